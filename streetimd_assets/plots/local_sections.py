"""Sections of a local authority's page: its coverage, its maps, and how well models do there."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from streetimd_assets.plots import categories, comparison, coverage, maps, model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of

if TYPE_CHECKING:
    import geopandas as gpd

# more LSOAs without images than this are counted, not named
_MOST_NAMED = 12


def introduction(tables: Tables, name: str, n_lsoas: int, classification_page: str | None) -> str:
    """Return what the page is about, with the way to the contact sheets."""
    sentences = [
        f"{style.escape(name)} has {style.plural(n_lsoas, 'LSOA')}.",
        "This page shows what the street images cover, what is in them, and how well models that never saw an "
        "LSOA predict its deprivation.",
    ]
    if classification_page:
        sentences.append(
            f'<a href="{style.escape(classification_page)}">Look at the images and how they were classified</a>.'
        )
    return pages.paragraph(*sentences)


def add_coverage(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame") -> None:
    """Add how many images there are, by status and LSOA."""
    features = rows_of(tables, "lsoa_features")
    if features is None:
        page.add_section("coverage", "Coverage", missing_note("lsoa_features"), coverage.status_table(tables))
        return
    kept = features.set_index("lsoa_code")["n_images_kept"].reindex(lsoas["lsoa_code"]).fillna(0)
    without = sorted(lsoas.loc[(kept == 0).to_numpy(), "lsoa_name"])
    sentences = [
        f"{style.count((kept > 0).sum())} of {style.plural(len(lsoas), 'LSOA')} have images: "
        f"{style.count(features['n_images'].sum())} were classified, {style.count(kept.sum())} kept, "
        f"{style.number(kept.median(), 0)} in the median LSOA.",
        coverage.capture_sentence(rows_of(tables, "panoramas")),
    ]
    if 0 < len(without) <= _MOST_NAMED:
        sentences.append(f"Without images: {', '.join(style.escape(name) for name in without)}.")
    elif len(without):
        sentences.append(f"{style.plural(len(without), 'LSOA')} have none; the table at the end names them.")
    page.add_section("coverage", "Coverage", pages.paragraph(*sentences), coverage.status_table(tables))


def add_maps(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame", titles: Mapping[str, str]) -> None:
    """Add maps of deprivation, of category shares, and of what a model predicts and misses."""
    maps_drawn = [
        *_coverage_map(page, rows_of(tables, "lsoa_features"), lsoas),
        *_decile_map(page, rows_of(tables, "deprivation_indices"), lsoas),
        *_share_map(page, rows_of(tables, "lsoa_features"), lsoas, titles),
        *_prediction_maps(page, tables, lsoas),
    ]
    page.add_section("maps", "Maps", '<div class="pair">', *maps_drawn, "</div>")


def _coverage_map(page: pages.Page, features: pd.DataFrame | None, lsoas: "gpd.GeoDataFrame") -> list[str]:
    if features is None:
        return []
    kept = features.set_index("lsoa_code")["n_images_kept"].reindex(lsoas["lsoa_code"]).fillna(0)
    shading = maps.Shading(0.0, max(float(kept.max()), 1.0), style.SEQUENTIAL[::-1])
    drawn = maps.lsoa_map(lsoas, kept, label="Images kept", shading=shading)
    return [page.figure(drawn, name="Map: images kept in each LSOA", caption="Images kept; dark is many.")]


def _decile_map(page: pages.Page, deprivation: pd.DataFrame | None, lsoas: "gpd.GeoDataFrame") -> list[str]:
    if deprivation is None:
        return [missing_note("deprivation_indices")]
    deciles = deprivation.set_index("lsoa_code")["imd_decile"]
    drawn = maps.lsoa_map(
        lsoas, deciles, label=style.measure_label("imd_decile"),
        shading=maps.deprivation_shading(deciles, "imd_decile"),
    )  # fmt: skip
    caption = "National decile of the Index of Multiple Deprivation; dark is most deprived."
    return [page.figure(drawn, name="Map: IMD decile of each LSOA", caption=caption)]


def _share_map(
    page: pages.Page, features: pd.DataFrame | None, lsoas: "gpd.GeoDataFrame", titles: Mapping[str, str]
) -> list[str]:
    if features is None:
        return [missing_note("lsoa_features")]
    names = [str(name) for name in categories.category_totals(features).index]
    shares = features.set_index("lsoa_code")[[f"{name}_share" for name in names]].astype(float)
    drawn = maps.category_share_map(lsoas, shares.set_axis(names, axis=1), titles)
    caption = "Share of an LSOA’s images in one category, dark is high; the menu changes the category."
    return [page.figure(drawn, name="Map: share of images in a category, by LSOA", caption=caption)]


def _prediction_maps(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame") -> list[str]:
    predictions = rows_of(tables, "lsoa_predictions")
    model_id = model_sections.chosen_model(rows_of(tables, "model_scores"), predictions)
    if predictions is None or model_id is None:
        return [missing_note("lsoa_predictions")]
    target = model_sections.target_of(tables)
    rows = predictions[predictions["model_id"] == model_id].set_index("lsoa_code")
    label = style.measure_label(target)
    code = f"<code>{style.escape(model_id)}</code>"
    positive = "less" if style.low_is_deprived(target) else "more"
    negative = "more" if positive == "less" else "less"
    return [
        page.figure(
            maps.lsoa_map(
                lsoas, rows["predicted"], label=f"Predicted {label}",
                shading=maps.deprivation_shading(rows["predicted"], target),
            ),
            name="Map: predicted deprivation of each LSOA",
            caption=f"Predicted by {code} without having seen the LSOA; dark is most deprived.",
        ),
        page.figure(
            maps.lsoa_map(
                lsoas, rows["residual"], label="Observed minus predicted",
                shading=maps.residual_shading(rows["residual"], target),
            ),
            name="Map: observed minus predicted deprivation of each LSOA",
            caption=f"Residual of {code} for {label}: orange LSOAs are {positive} deprived than their streets "
            f"suggest, purple and hatched ones {negative}.",
        ),
    ]  # fmt: skip


def add_scores(page: pages.Page, tables: Tables) -> None:
    """Add how well each model does within this local authority."""
    scores, predictions = rows_of(tables, "local_authority_scores"), rows_of(tables, "lsoa_predictions")
    blocks = []
    if scores is None:
        blocks.append(missing_note("local_authority_scores"))
    else:
        blocks += [
            _score_sentence(style.measure_label(model_sections.target_of(tables))),
            _score_table(scores),
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
        "from zero, the model is wrong here in one direction."
    )


def _score_table(scores: pd.DataFrame) -> str:
    rows = [
        [comparison.model_label(row["estimator"], row["feature_set"]), style.split_label(row["split"]),
         style.count(row["n_lsoas"]), style.number(row["r2"]), style.number(row["mean_absolute_error"], 1),
         style.number(row["mean_error"], 1), style.number(row["spearman_r"])]
        for row in scores.sort_values(["split", "mean_absolute_error", "model_id"]).to_dict("records")
    ]  # fmt: skip
    heads = ["Model", "Held out", "LSOAs", "R² here", "Mean absolute<br>error", "Mean<br>error", "Spearman"]
    return pages.table("Models scored within the local authority", heads, rows, words=(0, 1))


def add_lsoas(page: pages.Page, tables: Tables, lsoas: "gpd.GeoDataFrame") -> None:
    """Add one row per LSOA: images, deprivation, prediction and residual."""
    joined = pd.DataFrame(lsoas[["lsoa_code", "lsoa_name"]])
    for name, columns in (
        ("lsoa_features", ["n_panoramas", "n_images_kept"]),
        ("deprivation_indices", ["imd_rank", "imd_decile"]),
    ):
        table = rows_of(tables, name)
        part = pd.DataFrame(columns=["lsoa_code", *columns]) if table is None else table[["lsoa_code", *columns]]
        joined = joined.merge(part, on="lsoa_code", how="left")
    predictions = rows_of(tables, "lsoa_predictions")
    model_id = model_sections.chosen_model(rows_of(tables, "model_scores"), predictions)
    if predictions is not None:
        own = predictions.loc[predictions["model_id"] == model_id, ["lsoa_code", "predicted", "residual"]]
        joined = joined.merge(own, on="lsoa_code", how="left")
    numbers = [name for name in joined.columns if name not in ("lsoa_code", "lsoa_name")]
    rows = [
        [
            style.escape(row["lsoa_name"]),
            style.escape(row["lsoa_code"]),
            *(style.count(row[n]) for n in numbers),
        ]
        for row in joined.sort_values("lsoa_name").to_dict("records")
    ]
    heads = [_HEADS.get(name, name) for name in joined.columns if name != "lsoa_code"]
    heads.insert(1, "Code")
    page.add_section("lsoas", "LSOA by LSOA", pages.table("LSOAs by name", heads, rows, words=(0, 1)))


_HEADS = {
    "lsoa_name": "LSOA",
    "n_panoramas": "Panoramas",
    "n_images_kept": "Images kept",
    "imd_rank": "IMD rank (1 = most deprived)",
    "imd_decile": "Decile",
    "predicted": "Predicted",
    "residual": "Residual",
}
