"""Models of deprivation, fitted study-wide: one local authority has too few LSOAs for 512 dimensions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.correlation import WAIST
from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, Waist, everywhere, read_waist
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    declared,
    materialised,
    refusals_in_one_sentence,
    stamped,
    table_asset,
)
from streetimd_assets.science import comparison, geography, local_scores
from streetimd_assets.store.views import show_table

TABLES_MADE = ("model_scores", "lsoa_predictions", "fitted_models")
NO_TEST_ROW_WAS_TRAINED_ON = Check(
    "every_prediction_is_held_out", "An LSOA was predicted twice or never by a model: do not use the scores."
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Scores, out-of-fold predictions and fitted models; scores within each local authority."""
    how, target = house.study.modelling, house.study.deprivation.target

    @dg.multi_asset(
        name="model_comparison",
        specs=[
            dg.AssetSpec(
                name,
                deps=everywhere(*WAIST, "lsoa_boundaries"),
                description=_DESCRIPTIONS[name],
                code_version=stamped(1, target, how),
                **declared(house, name, frozenset({"scikitlearn", "lightgbm"})),
            )
            for name in TABLES_MADE
        ],
        check_specs=[NO_TEST_ROW_WAS_TRAINED_ON.spec("lsoa_predictions")],
    )
    def model_comparison(context: dg.AssetExecutionContext, config: Coverage) -> Iterator[Any]:
        """Fit, tune and score the models."""
        with refusals_in_one_sentence():
            waist = read_waist(house, config.local_authorities)
            forests, tuned = _fit(house, waist, context.log.info)
            scores = pd.concat([forests, tuned.scores], ignore_index=True)
            fitted = pd.DataFrame([model.to_row() for model in tuned.fitted])
            for name, table in zip(TABLES_MADE, (scores, tuned.predictions, fitted), strict=True):
                path = dg.MetadataValue.path(str(house.store.path(name)))
                figures = {**_figures(name, table), **waist.figures, "path": path}
                checks = [_held_out(table, scores)] if name == "lsoa_predictions" else []
                house.store.write(name, table)
                show_table(house.store, name)
                yield materialised(house, name, Made(table, figures, checks))

    @table_asset(house, code_version="1")
    def local_authority_scores(
        context: dg.AssetExecutionContext, lsoa_predictions: pd.DataFrame, model_scores: pd.DataFrame
    ) -> Made:
        """How well the study-wide models predict here, and whether they are off in one direction."""
        authority = house.authority(context)
        here = lsoa_predictions[lsoa_predictions["lad_code"] == authority.lad_code]
        table = local_scores.score_local_authority(here, model_scores)
        figures = {"smallest_mean_absolute_error": float(table["mean_absolute_error"].min())} if len(table) else {}
        return Made(table, figures)

    return [model_comparison, local_authority_scores]


def _fit(house: House, waist: Waist, log: Any) -> tuple[pd.DataFrame, comparison.TunedModels]:
    how, target = house.study.modelling, house.study.deprivation.target
    contents = house.study.categories.content_names
    shares = [f"{name}_share" for name in contents]
    forests = comparison.forest_table(
        waist.features,
        waist.target(target),
        target_name=target,
        shares=shares,
        content_categories=contents,
        n_repeats=how.n_repeats,
        seed=how.seed,
        progress=log,
    )
    tuned = comparison.tuned_models(
        waist.features,
        waist.target(target),
        coordinates(house, waist),
        target_name=target,
        shares=shares,
        statistic=how.statistic,
        n_folds=how.n_folds,
        n_trees=how.n_trees,
        seed=how.seed,
        progress=log,
    )
    return forests, tuned


def coordinates(house: House, waist: Waist) -> pd.DataFrame:
    """Return where each LSOA is: columns lsoa_code, easting_m, northing_m, lad_code (EPSG:27700)."""
    outlines = geography.as_geodataframe(house.store.read_study_wide("lsoa_boundaries", waist.local_authorities))
    # a point inside, where a centroid could fall outside a bent LSOA
    inside = outlines.geometry.representative_point()
    return pd.DataFrame(
        {
            "lsoa_code": outlines["lsoa_code"],
            "easting_m": inside.x,
            "northing_m": inside.y,
            "lad_code": outlines["lad_code"],
        }
    )


def _held_out(predictions: pd.DataFrame, scores: pd.DataFrame) -> dg.AssetCheckResult:
    whole = scores[(scores["fold"] == "all") & scores["model_id"].isin(predictions["model_id"])]
    expected = whole.set_index("model_id")["n_test"]
    found = predictions.groupby("model_id")["lsoa_code"].nunique().reindex(expected.index)
    return NO_TEST_ROW_WAS_TRAINED_ON.result(
        bool((found == expected).all()), n_models=len(expected), n_predictions=len(predictions)
    )


def _figures(name: str, table: pd.DataFrame) -> dict[str, Any]:
    if name != "model_scores":
        return {"n_models": table["model_id"].nunique()}
    whole = table[(table["fold"] == "all") & (table["experiment"] == "tuned")]
    best = whole.groupby("split")["r2"].max()
    return {f"highest_r2_{split}": float(r2) for split, r2 in best.items()}


_DESCRIPTIONS = {
    "model_scores": (
        "How well each model predicts the target on LSOAs it never saw, with 95% intervals. "
        "`forest_80_20` is a cheap random forest repeated over 80/20 splits for every way of summarising "
        "images; `tuned` are several models, tuned inside each training part. The highest of many scores on "
        "the same split flatters: read it beside the baselines."
    ),
    "lsoa_predictions": "Out-of-fold prediction of each LSOA by each tuned model: the model never saw that LSOA.",
    "fitted_models": "The tuned models fitted on every LSOA covered, to be loaded again (skops or LightGBM text).",
}
