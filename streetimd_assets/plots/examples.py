"""Pictures and words of what lies at either end of the features a model leans on, and of directions.

They stand in a page of their own; beside maps only where the provider of the pictures allows that.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from streetimd_assets.plots import pages, picture_sheets, style
from streetimd_assets.plots.picture_sheets import Pictures, ReadImage
from streetimd_assets.schemas import CONCEPT_HEAD, RIDGE_DIRECTION

_ENDS = {"high": "Where it is highest", "low": "Where it is lowest"}
_ABOUT_WORDS = (
    "Words are the phrases of the study that lie there, with their distance from the mean of all phrases in "
    "standard deviations: texts and images lie apart in the model’s space, so only differences among texts tell "
    "something. What none of the phrases says cannot be named."
)

CSS = (
    picture_sheets.CSS
    + """
h4.end { margin: .8rem 0 .4rem; font-size: .95rem; font-weight: 500; }
p.words { margin: 0 0 .6rem; font-size: .92rem; }
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
    words: pd.DataFrame | None = None,
    concepts: pd.DataFrame | None = None,
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
    words
        The table `example_words`, whose texts stand beside the pictures.
    concepts
        The table `concept_correlations`, to say which way a text goes with deprivation.

    Returns
    -------
    html
        The page; everything from outside is escaped.
    """
    page = pages.Page(
        heading, "Examples of the features that matter most", css=CSS, scripts=[picture_sheets.SCRIPT]
    )
    page.introduction += [caution(examples, words), picture_sheets.KEYS]
    pictures = Pictures(read_image, len(examples))
    if examples.empty:
        page.add_section("examples", "Examples", pages.paragraph("No feature has examples yet.", quiet=True))
    for position, rows in examples.groupby("feature_position", sort=True):
        title, block = feature_block(rows, pictures, titles, correlations, target, words, concepts)
        page.add_section(f"feature-{position}", title, block)
    return page.render()


def caution(examples: pd.DataFrame, words: pd.DataFrame | None = None) -> str:
    """Return whose features and directions these are, and what can and what cannot be read from examples."""
    is_direction = examples["feature"].map(lambda name: style.is_direction(str(name))).astype(bool)
    ids = examples.loc[~is_direction, "model_id"].dropna().unique()[:1]
    named = "".join(f" <code>{style.escape(model_id)}</code>" for model_id in ids)
    beside = (
        "After them come directions: that of ridge regression, which is all such a model looks at, and those of "
        "the texts that go most with deprivation."
    )
    return pages.paragraph(
        f"For each of the features that model{named} loses most without, these are the images with the highest "
        "and the lowest value of it: of a dimension the image’s own number, of a category share the probability "
        "of that category. At most one image of a panorama and two of an LSOA are shown.",
        beside if is_direction.any() else "",
        "" if words is None or words.empty else _ABOUT_WORDS,
        "They are the extremes, not the usual case, and a dimension has no name: what people see in a row of "
        "pictures is a guess about the model, to be tested, not a finding.",
    )


def feature_block(
    rows: pd.DataFrame,
    pictures: Pictures,
    titles: Mapping[str, str],
    correlations: pd.DataFrame | None = None,
    target: str = "imd_rank",
    words: pd.DataFrame | None = None,
    concepts: pd.DataFrame | None = None,
) -> tuple[str, str]:
    """Return a feature's title and its pictures and words at both ends, as finished HTML."""
    feature = str(rows.iloc[0]["feature"])
    title = f"{style.count(rows.iloc[0]['feature_position'])}. {style.feature_label(feature, titles)}"
    ends = "".join(
        f'<h4 class="end">{said}</h4>{_words(words, feature, end)}'
        f"{_sheet(rows[rows['end'] == end], pictures, titles)}"
        for end, said in _ENDS.items()
    )
    return title, _going_with(feature, correlations, concepts, target) + ends


def _words(words: pd.DataFrame | None, feature: str, end: str) -> str:
    """Return the texts at one end of a feature; empty if it has none."""
    if words is None:
        return ""
    rows = words[(words["feature"] == feature) & (words["end"] == end)].sort_values("position")
    if rows.empty:
        return ""
    said = ", ".join(
        f"{style.escape(text)} ({style.number(value, 1)})"
        for text, value in zip(rows["text"], rows["value"], strict=True)
    )
    return f'<p class="words">In words: {said}.</p>'


def _going_with(feature: str, correlations: pd.DataFrame | None, concepts: pd.DataFrame | None, target: str) -> str:
    """Return a sentence on how a feature goes with deprivation; empty if that is not known."""
    if feature == RIDGE_DIRECTION:
        less = "less" if style.low_is_deprived(target) else "more"
        return pages.paragraph(
            f"The higher, the higher the {style.measure_label(target)} that the model predicts: {less} deprived."
        )
    if feature.startswith(CONCEPT_HEAD):
        return _direction(concepts, "concept", feature.removeprefix(CONCEPT_HEAD), "their place", target)
    head, _, dimension = feature.rpartition("_")
    if head != "mean_embedding" or not dimension.isdigit():
        return ""
    return _direction(correlations, "dimension", int(dimension), "its mean", target)


def _direction(found: pd.DataFrame | None, column: str, name: str | int, what: str, target: str) -> str:
    """Return a sentence from a table of correlations with a measure."""
    if found is None:
        return ""
    rows = found[(found["measure"] == target) & (found[column] == name)]
    if rows.empty or style.is_missing(rows["pearson_r"].iloc[0]):
        return ""
    r = float(rows["pearson_r"].iloc[0])
    more = "more" if (r < 0) == style.low_is_deprived(target) else "less"
    return pages.paragraph(
        f"Over LSOAs {what} goes with {style.measure_label(target)} at r = {style.number(r)}: where it is high, "
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
