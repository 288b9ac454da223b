"""Models of deprivation, fitted study-wide: one local authority has too few LSOAs for 512 dimensions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from streetimd_assets.defs.correlation import WAIST
from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, Waist, coordinates, everywhere, read_waist
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    check_specs,
    declared,
    kept,
    refusals_in_one_sentence,
    stamped,
    table_asset,
)
from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import PREDICTED
from streetimd_assets.science import (
    comparison,
    fitted,
    forest_table,
    geography,
    local_scores,
    soundness,
)

_TOO_GOOD = 0.98
LEAST_COVERAGE, MOST_COVERAGE = 0.8, 0.97

EVERY_PREDICTION_IS_HELD_OUT = Check(
    "every_prediction_is_held_out",
    "an LSOA was predicted twice or never by a model, so scores would be too kind; materialise this again, and "
    "tell us.",
)
IMAGES_SAY_MORE_THAN_THE_MAP = Check(
    "images_say_more_than_the_map",
    "no model of images beats the models without them; do not read the features' importance, collect more first.",
    is_blocking=False,
)
NO_SCORE_IS_TOO_GOOD = Check(
    "no_score_is_too_good",
    "R² above 0.98 means that the target is among the features or an LSOA on both sides of a split: look for it.",
)
EVERY_MODEL_LOADS_AGAIN = Check(
    "every_model_loads_again",
    "a model was written damaged; see that the disk has room, and materialise this again.",
)
PREDICTIONS_ARE_NOT_ONE_SIDED = Check(
    "predictions_are_not_one_sided",
    "all models err in one direction here; say so where predictions of this local authority are used.",
    is_blocking=False,
)
DIFFERENCES_AGREE_WITH_SCORES = Check(
    "differences_agree_with_scores",
    "a difference is not that of the two scores, so models were mixed up; materialise this again, and tell us.",
)
INTERVALS_HOLD_WHAT_THEY_SAY = Check(
    "intervals_hold_what_they_say",
    f"90% intervals of the main model hold less than {LEAST_COVERAGE:.0%} or more than {MOST_COVERAGE:.0%} of the "
    "LSOAs held out; widen them by eye, and do not use them for single LSOAs.",
    is_blocking=False,
)
CHECKS = {
    "model_scores": (NO_SCORE_IS_TOO_GOOD, IMAGES_SAY_MORE_THAN_THE_MAP, INTERVALS_HOLD_WHAT_THEY_SAY),
    "model_differences": (DIFFERENCES_AGREE_WITH_SCORES,),
    "lsoa_predictions": (EVERY_PREDICTION_IS_HELD_OUT,),
    "fitted_models": (EVERY_MODEL_LOADS_AGAIN,),
}


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Scores, out-of-fold predictions and fitted models; scores within each local authority."""
    how, target = house.study.modelling, house.study.deprivation.target
    scored_by = (
        *(target, how.effort, how.feature_set, how.statistic, how.n_folds, how.block_side_m),
        *(how.min_images_per_lsoa, how.enough_images_per_lsoa, how.seed, how.n_trees_grown),
    )
    # the cheap forests are rows of these only
    with_forests = ("model_scores", "model_differences")
    decided_by = {name: (*scored_by, how.n_repeats) if name in with_forests else scored_by for name in CHECKS}

    @dg.multi_asset(
        name="model_comparison",
        specs=[
            dg.AssetSpec(
                name,
                deps=everywhere(*WAIST, "lsoa_boundaries", *(["imagery_plan"] if house.study.has_images else [])),
                description=_DESCRIPTIONS[name],
                code_version=stamped(2, *decided_by[name]),
                **declared(house, name, frozenset({"scikitlearn", "lightgbm"})),
            )
            for name in CHECKS
        ],
        check_specs=[spec for name, checks in CHECKS.items() for spec in check_specs(name, checks)],
    )
    def model_comparison(context: dg.AssetExecutionContext, config: Coverage) -> Iterator[Any]:
        """Fit, tune and score the models."""
        with refusals_in_one_sentence():
            waist = read_waist(house, config.local_authorities)
            forests, tuned = _fit(house, waist, context.log.info)
            scores = pd.concat([forests.scores, tuned.scores], ignore_index=True)
            differences = pd.concat([forests.differences, tuned.differences], ignore_index=True)
            models = pd.DataFrame([model.to_row() for model in tuned.fitted])
            for name, table, (figures, results) in (
                ("model_scores", scores, _of_scores(scores)),
                ("model_differences", differences, _of_differences(differences, scores)),
                ("lsoa_predictions", tuned.predictions, _of_predictions(tuned.predictions, scores)),
                ("fitted_models", models, _of_models(models)),
            ):
                yield from kept(house, name, Made(table, {**figures, **waist.figures}, results))

    @table_asset(house, code_version="2", checks=[PREDICTIONS_ARE_NOT_ONE_SIDED])
    def local_authority_scores(
        context: dg.AssetExecutionContext,
        lsoa_boundaries: pd.DataFrame,
        lsoa_predictions: pd.DataFrame,
        model_scores: pd.DataFrame,
    ) -> Made:
        """How well the study-wide models predict here, and whether they are off in one direction.

        R² is against the local authority's own mean, a harder bar than the whole study's; with few LSOAs
        it is mostly luck, and NULL under ten. Intervals are given from about thirty LSOAs on.
        """
        authority = house.authority(context)
        here = lsoa_predictions[lsoa_predictions["lad_code"] == authority.lad_code]
        how = house.study.modelling
        table = local_scores.score_local_authority(
            here,
            model_scores,
            geography.lsoa_positions(geography.as_geodataframe(lsoa_boundaries)),
            n_draws=how.what_is_done.n_bootstrap,
            seed=how.seed,
        )
        images = table[table["feature_set"] != "baseline"]
        off = float((images["mean_error"].abs() / images["mean_absolute_error"]).min()) if len(images) else 0.0
        return Made(
            table,
            {
                "highest_r2_here": float(images["r2"].max()),
                "smallest_mean_absolute_error": float(images["mean_absolute_error"].min()),
                "median_mean_error": float(images["mean_error"].median()),
            },
            [PREDICTIONS_ARE_NOT_ONE_SIDED.result(off < 0.8, smallest_mean_error_over_absolute_error=off)],
        )

    return [model_comparison, local_authority_scores]


def _fit(house: House, waist: Waist, log: Any) -> tuple[forest_table.ForestTable, comparison.TunedModels]:
    how, target = house.study.modelling, house.study.deprivation.target
    contents = house.study.categories.content_names
    places = coordinates(house, waist)
    places["road_density"] = _road_densities(house, waist).reindex(places["lsoa_code"]).to_numpy()
    common: dict[str, Any] = {
        "target_name": target,
        "shares": waist.shares,
        # the main set comes first
        "feature_sets": sorted(house.study.feature_sets, key=lambda name: name != house.study.main_feature_set),
        "effort": how.what_is_done,
        "n_trees": how.n_trees_grown,
        "block_side_m": how.block_side_m,
        "seed": how.seed,
        "progress": log,
    }
    forests = forest_table.forest_table(
        waist.features,
        waist.target(target),
        places,
        content_categories=contents,
        n_repeats=how.n_repeats,
        **common,
    )
    tuned = comparison.tuned_models(
        waist.features,
        waist.target(target),
        places,
        other_targets=waist.measures([name for name in PREDICTED if name != target]),
        statistic=how.statistic,
        n_folds=how.n_folds,
        enough_images=house.study.enough_images_per_lsoa,
        **common,
    )
    return forests, tuned


def _road_densities(house: House, waist: Waist) -> "pd.Series[float]":
    """Metres of road per square metre by LSOA, of the local authorities whose roads have been measured."""
    there = [slug for slug in waist.local_authorities if house.store.holds("imagery_plan", slug)]
    if not there:
        return pd.Series(dtype=float)
    roads = house.store.read_study_wide("imagery_plan", there, ["lsoa_code", "road_length_m"])
    areas = house.store.read_study_wide("lsoa_boundaries", there, ["lsoa_code", "area_m2"])
    joined = roads.merge(areas, on="lsoa_code", validate="one_to_one").set_index("lsoa_code")
    return joined["road_length_m"] / joined["area_m2"]


def _of_scores(scores: pd.DataFrame) -> tuple[dict[str, Any], list[dg.AssetCheckResult]]:
    """Figures and checks of ``model_scores``."""
    whole = scores[(scores["fold"] == "all") & scores["r2"].notna()]
    main = soundness.tuned_for_main_target(scores)
    best = {f"highest_r2_{split}": float(r2) for split, r2 in main.groupby("split")["r2"].max().items()}
    gain, split = soundness.gain_over_baselines(scores)
    coverage = soundness.interval_coverage(scores)
    highest = float(whole["r2"].max())
    figures = {
        **best,
        "gain_over_models_without_images": gain,
        "share_inside_90_percent_intervals": coverage,
        "n_models": int(whole["model_id"].nunique()),
    }
    return figures, [
        NO_SCORE_IS_TOO_GOOD.result(not highest > _TOO_GOOD, highest_r2=highest),
        IMAGES_SAY_MORE_THAN_THE_MAP.result(gain > 0, gain_in_r2=gain, split=split),
        INTERVALS_HOLD_WHAT_THEY_SAY.result(LEAST_COVERAGE <= coverage <= MOST_COVERAGE, share_inside=coverage),
    ]


def _of_differences(
    differences: pd.DataFrame, scores: pd.DataFrame
) -> tuple[dict[str, Any], list[dg.AssetCheckResult]]:
    """Figures and checks of ``model_differences``."""
    r2 = scores[scores["fold"] == "all"].set_index("model_id")["r2"]
    apart = r2.reindex(differences["model_id"]).to_numpy() - r2.reindex(differences["reference_id"]).to_numpy()
    error = float(np.abs(apart - differences["r2_difference"].to_numpy()).max(initial=0.0))
    return {"n_surely_apart": int(_surely_apart(differences).sum())}, [
        DIFFERENCES_AGREE_WITH_SCORES.result(error < 1e-9, largest_disagreement=error)
    ]


def _surely_apart(differences: pd.DataFrame) -> "pd.Series[bool]":
    """True where the interval of a difference lies on one side of zero."""
    return (differences["r2_difference_low"] > 0) | (differences["r2_difference_high"] < 0)


def _of_predictions(
    predictions: pd.DataFrame, scores: pd.DataFrame
) -> tuple[dict[str, Any], list[dg.AssetCheckResult]]:
    """Figures and checks of ``lsoa_predictions``."""
    whole = scores[(scores["fold"] == "all") & scores["model_id"].isin(predictions["model_id"])]
    expected = whole.set_index("model_id")["n_test"]
    by_model = predictions.groupby("model_id")["lsoa_code"]
    found = by_model.nunique().reindex(expected.index)
    is_once = bool((found == expected).all() and (by_model.size().reindex(expected.index) == expected).all())
    error = predictions["residual"].abs().groupby(predictions["model_id"]).mean()
    return {
        "n_models": len(expected),
        "smallest_mean_absolute_error": float(error.min()),
        "median_interval_width": float((predictions["predicted_high"] - predictions["predicted_low"]).median()),
    }, [EVERY_PREDICTION_IS_HELD_OUT.result(is_once, n_models=len(expected), n_predictions=len(predictions))]


def _of_models(models: pd.DataFrame) -> tuple[dict[str, Any], list[dg.AssetCheckResult]]:
    """Figures and checks of ``fitted_models``."""
    damaged = [row["model_id"] for row in models.to_dict("records") if not _loads(row)]
    return {"n_models": len(models), "n_bytes": int(models["payload"].map(len).sum())}, [
        EVERY_MODEL_LOADS_AGAIN.result(not damaged, n_models=len(models), damaged=damaged)
    ]


def _loads(row: Any) -> bool:
    try:
        fitted.load_model(row)
    except ScienceError:
        return False
    return True


_DESCRIPTIONS = {
    "model_scores": (
        "How well each model predicts the target and other measures on LSOAs it never saw. The 95% intervals "
        "resample blocks of neighbours. `forest_80_20` is a cheap random forest on repeated 80/20 splits, for "
        "every way of summarising images; `tuned` are several models under random folds, blocks of neighbours and "
        "whole local authorities held out. The highest of many scores on the same split flatters: read it beside "
        "the baselines. What quick, default and full effort do is said in the study's report."
    ),
    "model_differences": (
        "How much better or worse each model is than the main ridge and than coordinates alone, on the same LSOAs. "
        "The 80/20 forests stand beside the one on the mean embedding. The intervals are of the difference itself, "
        "which is surer than either score."
    ),
    "lsoa_predictions": (
        "Out-of-fold prediction of each LSOA by each tuned model: the model never saw that LSOA. The residual is "
        "what images miss there. The 90% interval holds on average over LSOAs, and less well in a local authority "
        "unlike all others."
    ),
    "fitted_models": (
        "The tuned models fitted on every LSOA covered, to be loaded again (skops or LightGBM text). For LSOAs "
        "outside the study; on those inside, what they say is too kind: use lsoa_predictions."
    ),
}
