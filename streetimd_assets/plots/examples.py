"""Pictures of what lies at either end of the features a model leans on.

They stand in a page of their own; beside maps only where the provider of the pictures allows that.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from streetimd_assets.plots import pages, picture_sheets, style
from streetimd_assets.plots.picture_sheets import Pictures, ReadImage

_ENDS = {"high": "Where it is highest", "low": "Where it is lowest"}

CSS = (
    picture_sheets.CSS
    + """
h4.end { margin: .8rem 0 .4rem; font-size: .95rem; font-weight: 500; }
"""
)


def example_page(
    examples: pd.DataFrame,
    read_image: ReadImage,
    *,
    heading: str,
    titles: Mapping[str, str],
    correlations: pd.DataFrame | None = None,
    target: str = "imd_rank",
) -> str:
    """Return a self-contained page of the example images, without any map.

    Parameters
    ----------
    examples
        The table `example_images`.
    read_image
        Gives the bytes of a picture by its `image_path`, or None if there is no such file; a gap with
        a link to the provider's viewer is left then.
    heading
        Title of the study, which says SYNTHETIC IMAGES where images are painted.
    titles
        Category names and what people read for them.
    correlations
        The table `imd_correlations`, to say which way a dimension goes with deprivation.
    target
        The measure the models predict.

    Returns
    -------
    html
        The page; everything from outside is escaped.
    """
    page = pages.Page(
        heading, "Examples of the features that matter most", css=CSS, scripts=[picture_sheets.SCRIPT]
    )
    page.introduction += [caution(examples), picture_sheets.KEYS]
    pictures = Pictures(read_image, len(examples))
    if examples.empty:
        page.add_section("examples", "Examples", pages.paragraph("No feature has examples yet.", quiet=True))
    for position, rows in examples.groupby("feature_position", sort=True):
        title, block = feature_block(rows, pictures, titles, correlations, target)
        page.add_section(f"feature-{position}", title, block)
    return page.render()


def caution(examples: pd.DataFrame) -> str:
    """Return whose features these are, and what can and what cannot be read from examples."""
    named = "".join(f" <code>{style.escape(model_id)}</code>" for model_id in examples["model_id"].unique()[:1])
    return pages.paragraph(
        f"For each of the features that model{named} loses most without, these are the images with the highest "
        "and the lowest value of it: of a dimension the image’s own number, of a category share the probability "
        "of that category. At most one image of a panorama and two of an LSOA are shown.",
        "They are the extremes, not the usual case, and a dimension has no name: what people see in a row of "
        "pictures is a guess about the model, to be tested, not a finding.",
    )


def feature_block(
    rows: pd.DataFrame,
    pictures: Pictures,
    titles: Mapping[str, str],
    correlations: pd.DataFrame | None = None,
    target: str = "imd_rank",
) -> tuple[str, str]:
    """Return a feature's title and its pictures at both ends, as finished HTML."""
    first = rows.iloc[0]
    title = f"{style.count(first['feature_position'])}. {style.feature_label(str(first['feature']), titles)}"
    ends = "".join(
        f'<h4 class="end">{words}</h4>{_sheet(rows[rows["end"] == end], pictures, titles)}'
        for end, words in _ENDS.items()
    )
    return title, _direction(str(first["feature"]), correlations, target) + ends


def _direction(feature: str, correlations: pd.DataFrame | None, target: str) -> str:
    """Return a sentence on how a dimension goes with deprivation; empty if that is not known."""
    head, _, dimension = feature.rpartition("_")
    if correlations is None or head != "mean_embedding" or not dimension.isdigit():
        return ""
    rows = correlations[(correlations["measure"] == target) & (correlations["dimension"] == int(dimension))]
    if rows.empty or style.is_missing(rows["pearson_r"].iloc[0]):
        return ""
    r = float(rows["pearson_r"].iloc[0])
    more = "more" if (r < 0) == style.low_is_deprived(target) else "less"
    return pages.paragraph(
        f"Over LSOAs its mean goes with {style.measure_label(target)} at r = {style.number(r)}: where it is high, "
        f"LSOAs tend to be {more} deprived."
    )


def _sheet(rows: pd.DataFrame, pictures: Pictures, titles: Mapping[str, str]) -> str:
    return pictures.sheet(
        [_picture(row, pictures, titles) for row in rows.sort_values("position").to_dict("records")]
    )


def _picture(row: Mapping[Any, Any], pictures: Pictures, titles: Mapping[str, str]) -> str:
    label, value = style.title_of(str(row["category"]), titles), style.number(row["value"], 3)
    return pictures.figure(
        row,
        description=f"Street image with value {value}, taken for {label}, LSOA {style.escape(row['lsoa_code'])}",
        caption=f"<strong>value {value}</strong><br>taken for {label}<br>{picture_sheets.origin(row)}",
    )
