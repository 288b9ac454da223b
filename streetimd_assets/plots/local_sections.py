"""Sections of a local authority's page: its coverage, and how well models do there."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from streetimd_assets.plots import comparison, coverage, links, model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of
from streetimd_assets.schemas import HARDEST_FIRST

if TYPE_CHECKING:
    import geopandas as gpd

# more LSOAs without images than this are counted, not named
_MOST_NAMED = 12


def introduction(name: str, n_lsoas: int, addresses: Mapping[str, str], *, is_of_images: bool = True) -> str:
    """Return what the page is about, with the ways to other pages: their addresses by what they show."""
    about = pages.paragraph(
        f"{style.escape(name)} has {style.plural(n_lsoas, 'LSOA')}.",
        f"This page shows {_SHOWN if is_of_images else _SHOWN_WITHOUT_IMAGES}, and how well models that never saw "
        "an LSOA predict its deprivation.",
    )
    return about + links.other_pages(addresses)


_SHOWN = "what the street images cover, what is in them"
_SHOWN_WITHOUT_IMAGES = "which LSOAs have area features"


def add_coverage(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame") -> None:
    """Add how many images there are, by status and LSOA."""
    features = rows_of(tables, "lsoa_features")
    if features is None:
        page.add_section("coverage", "Coverage", missing_note("lsoa_features"), coverage.status_table(tables))
        return
    kept = features.set_index("lsoa_code")["n_images_kept"].reindex(lsoas["lsoa_code"]).fillna(0)
    without, area_table = sorted(lsoas.loc[(kept == 0).to_numpy(), "lsoa_name"]), coverage.area_table_of(tables)
    said = f"{style.count((kept > 0).sum())} of {style.plural(len(lsoas), 'LSOA')} have "
    sentences = [
        f"{said}images: {style.count(features['n_images'].sum())} were classified, {style.count(kept.sum())} kept, "
        f"{style.number(kept.median(), 0)} in the median LSOA."
        if area_table is None
        else f"{said}every feature of <code>{area_table}</code>; an LSOA that lacks one is left out."
    ]
    if 0 < len(without) <= _MOST_NAMED:
        what = "images" if area_table is None else "some"
        sentences.append(f"Without {what}: {', '.join(style.escape(name) for name in without)}.")
    elif len(without):
        lack = "have none" if area_table is None else "lack some"
        sentences.append(f"{style.plural(len(without), 'LSOA')} {lack}; the table of LSOAs below names them.")
    statuses = coverage.status_table(tables) if area_table is None else ""
    page.add_section("coverage", "Coverage", pages.paragraph(*sentences), statuses)


def add_scores(page: pages.Page, tables: Tables) -> None:
    """Add how well each model does within this local authority."""
    scores, predictions = rows_of(tables, "local_authority_scores"), rows_of(tables, "lsoa_predictions")
    blocks = []
    if scores is None:
        blocks.append(missing_note("local_authority_scores"))
    else:
        blocks += [
            _score_sentence(style.measure_label(model_sections.target_of(tables))),
            *_score_tables(scores),
        ]
    model_id = model_sections.chosen_model(rows_of(tables, "model_scores"), predictions)
    if predictions is not None and model_id is not None:
        blocks.append(
            page.figure(
                comparison.observed_and_predicted(
                    predictions, model_id=model_id, target=model_sections.target_of(tables)
                ),
                name="Dots: observed against predicted deprivation, one per LSOA",
                caption=f"Model <code>{style.escape(model_id)}</code>; on the dashed line the two agree.",
            )
        )
    page.add_section("scores", "How well models do here", *blocks)


def _score_sentence(label: str) -> str:
    return pages.paragraph(
        f"What is predicted is {label}. R² is against the mean of this local authority, a harder test than "
        "against the whole study’s; under 10 LSOAs it is not given. Mean error is predicted minus observed: far "
        "from zero, the model is wrong here in one direction. 95% intervals resample squares of "
        "neighbours, and are given where there are eight squares of about three LSOAs or more."
    )


def _score_tables(scores: pd.DataFrame) -> list[str]:
    """Return a table of the hardest split, and one of the others that opens at a click."""
    hardest = [split for split in HARDEST_FIRST if (scores["split"] == split).any()][:1]
    is_hardest = scores["split"].isin(hardest)
    tables = [_score_table("Models scored within the local authority", scores[is_hardest])]
    if not is_hardest.all():
        others = _score_table("Models scored within the local authority, by easier splits", scores[~is_hardest])
        tables.append(pages.folded("The same models, held out more easily", others))
    return tables


def _score_table(caption: str, scores: pd.DataFrame) -> str:
    rows = [
        [comparison.model_label(row["estimator"], row["feature_set"]), style.split_label(row["split"]),
         style.count(row["n_lsoas"]), style.interval(row, "r2"), style.interval(row, "mean_absolute_error", 0),
         style.interval(row, "mean_error", 0), style.interval(row, "spearman_r")]
        for row in scores.sort_values(["split", "mean_absolute_error", "model_id"]).to_dict("records")
    ]  # fmt: skip
    heads = ["Model", "Held out", "LSOAs", "R² here", "Mean absolute<br>error", "Mean<br>error", "Spearman"]
    return pages.table(caption, heads, rows, words=(0, 1))
