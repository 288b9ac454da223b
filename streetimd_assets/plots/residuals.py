"""What the models leave over: whether neighbours err alike, where they do, and whom to trust less."""

from collections.abc import Iterator

import pandas as pd

from streetimd_assets.plots import comparison, maps, model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, area_table_of, missing_note, rows_of
from streetimd_assets.plots.maps import Shading
from streetimd_assets.schemas import HARDEST_FIRST

# kinds of LSOAs by number: below zero is a residual below the mean
_KINDS = {"low_low": -2, "low_high": -1, "none": 0, "high_low": 1, "high_high": 2}
_COLOURS = tuple(style.DIVERGING[place] for place in (0, 2, 4, 6, 8))
_LABEL = "Where errors clump: better or worse off than it looks"


def add_residuals(page: pages.Page, tables: Tables) -> None:
    """Add how alike neighbours err by model and split, and how many predictions rest on few images."""
    rows, scores = rows_of(tables, "residual_autocorrelation"), rows_of(tables, "model_scores")
    predictions = rows_of(tables, "lsoa_predictions")
    thin = _thin_sentence(
        predictions, model_sections.chosen_model(scores, predictions), is_of_images=area_table_of(tables) is None
    )
    blocks = [pages.paragraph(thin)] if thin else []
    if rows is None or scores is None:
        blocks.append(missing_note("residual_autocorrelation"))
    else:
        shown = _of_main_features(rows, scores, model_sections.target_of(tables))
        named = model_sections.chosen_model(scores, predictions)
        blocks = [pages.paragraph(_headline(rows, named), _READING), _table(shown), *blocks]
    page.add_section("residuals", "What the models leave over", *blocks)


_READING = (
    "Moran’s I is 0 where an error says nothing of the neighbours’, and 1 at most. Positive means that "
    "neighbouring LSOAs err alike: what the model misses varies over the map, and fewer independent LSOAs stand "
    "behind a score than were counted. The map of clumped errors shows where."
)


def _headline(rows: pd.DataFrame, model_id: str | None) -> str:
    """Return Moran's I of the model shown in detail, beside that of the target."""
    own = rows[rows["model_id"] == model_id]
    if own.empty or style.is_missing(own["morans_i"].iloc[0]):
        return ""
    row = own.iloc[0]
    return (
        f"With {style.split_label(row['split'])} held out, errors of <code>{style.escape(model_id)}</code> have "
        f"Moran’s I = {style.number(row['morans_i'])} ({_p(row['p_value'])}) among the "
        f"{style.count(row['n_neighbours'])} nearest LSOAs; the target itself has "
        f"{style.number(row['observed_morans_i'])}."
    )


def _p(value: float) -> str:
    return "p &lt; 0.01" if value < 0.01 else f"p = {style.number(value)}"


def _of_main_features(rows: pd.DataFrame, scores: pd.DataFrame, target: str) -> pd.DataFrame:
    """Join the models to what they are made of: those of the target, on the main features or on no image at all."""
    about = scores.drop_duplicates("model_id")[["model_id", "target", "estimator", "feature_set"]]
    joined = rows.merge(about, on="model_id")
    pairs = list(zip(joined["estimator"], joined["feature_set"], strict=True))
    joined["is_baseline"] = [style.is_baseline(*pair) for pair in pairs]
    joined["label"] = [comparison.model_label(*pair) for pair in pairs]
    is_shown = joined["feature_set"].isin(["embeddings", "table"]) | joined["is_baseline"]
    return joined[(joined["target"] == target) & is_shown]


def _table(rows: pd.DataFrame) -> str:
    cells = rows.assign(
        cell=[
            style.NOT_KNOWN if style.is_missing(found) else f"{style.number(found)} ({_p(p_value)})"
            for found, p_value in zip(rows["morans_i"], rows["p_value"], strict=True)
        ]
    ).pivot_table(index=["is_baseline", "label"], columns="split", values="cell", aggfunc="first")
    splits = [split for split in HARDEST_FIRST if split in cells]
    lines = [
        [str(label), *cells.loc[(is_baseline, label), splits].fillna(style.NOT_KNOWN)]
        for is_baseline, label in cells.index
    ]
    heads = ["Model", *(f"{style.split_label(split).capitalize()}<br>held out" for split in splits)]
    return pages.table("Moran’s I of held-out errors, with the p-value of random arrangements", heads, lines)


def _thin_sentence(predictions: pd.DataFrame | None, model_id: str | None, *, is_of_images: bool) -> str:
    """Say how many predictions rest on fewer images than the study calls enough; empty if that is not known.

    A table of area features need not count what its rows rest on, so that none is thin says nothing there.
    """
    if predictions is None or "is_thin" not in predictions:
        return ""
    own = predictions.loc[predictions["model_id"] == model_id, "is_thin"].astype(bool)
    if not (own.any() or is_of_images):
        return ""
    if not own.any():
        return f"None of {style.plural(len(own), 'prediction')} is thin: no LSOA has fewer images than is enough."
    fewer = "fewer images" if is_of_images else "less"
    return (
        f"{style.count(own.sum())} of {style.plural(len(own), 'prediction')} are thin, resting on {fewer} "
        "than <code>modelling.enough_images_per_lsoa</code>: trust them less. They are drawn as open diamonds, and "
        "named in the table of LSOAs."
    )


def cluster_drawings(tables: Tables, target: str) -> Iterator[tuple[pd.Series, Shading, str, str]]:
    """Yield the map of clumped errors, if there is the table `residual_clusters`.

    Kinds are told apart by colour and, in a grey print, by hatching and lightness, as on the map of
    residuals: orange is above the mean residual, purple and hatched below it.
    """
    rows = rows_of(tables, "residual_clusters")
    if rows is None:
        return
    above, below = ("better", "worse") if style.low_is_deprived(target) else ("worse", "better")
    names = (
        f"{below} than it looks",
        f"{below} amid {above}",
        "no clump",
        f"{above} amid {below}",
        f"{above} than it looks",
    )
    values = rows.set_index("lsoa_code")["cluster"].map(_KINDS).astype(float)
    yield values, maps.kind_shading(names, _COLOURS), _LABEL, _caption(rows, target)


def _caption(rows: pd.DataFrame, target: str) -> str:
    side = "below" if style.low_is_deprived(target) else "above"
    model = style.escape(rows["model_id"].iloc[0])
    return (
        f"Local Moran’s I of the errors of <code>{model}</code>, q below 0.05: of the LSOAs called clumped about "
        "one in twenty is so by chance. Worse than it looks is more deprived than predicted, with neighbours that "
        f"are so too: {side} the mean residual of {style.measure_label(target)}. Worse amid better is so among "
        "LSOAs that are less deprived than predicted."
    )
