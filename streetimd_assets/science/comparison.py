"""Which model reads deprivation best, and how much of it is more than a map would tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.estimators import BASELINES, ESTIMATORS, Estimator, RandomForest
from streetimd_assets.science.fitted import FittedModel
from streetimd_assets.science.folds import Fold, leave_one_out_by_group, random_folds
from streetimd_assets.science.forest_table import forest_table
from streetimd_assets.science.intervals import with_intervals
from streetimd_assets.science.matrices import FeatureMatrix, feature_matrix, require_enough, with_target
from streetimd_assets.science.model_tables import HeldOut, Model, prediction_rows, score_rows, score_table
from streetimd_assets.science.scoring import bootstrap_interval, score_predictions

__all__ = ["TunedModels", "best_model", "cross_validate", "forest_table", "tuned_models"]

MIN_LOCAL_AUTHORITIES = 4
# the plainest model on every set; the costlier ones where they could add something
FEATURE_SETS_OF = {"ridge": ("embeddings", "percentages", "both")}
OTHER_FEATURE_SETS = ("embeddings", "both")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TunedModels:
    """What a comparison gives: ``model_scores``, ``lsoa_predictions`` and the models themselves."""

    scores: pd.DataFrame
    predictions: pd.DataFrame
    fitted: list[FittedModel]


@dataclass(frozen=True, eq=False)
class _Setting:
    """The LSOAs compared on, and how they are split."""

    codes: npt.NDArray[np.object_]
    lad_codes: npt.NDArray[np.object_]
    observed: Array
    splits: Mapping[str, Sequence[Fold]]
    seed: int


def cross_validate(
    estimator: Estimator, matrix: FeatureMatrix, target: Array, folds: Sequence[Fold], *, seed: int
) -> HeldOut:
    """Predict each fold by a model tuned and fitted on the rest alone.

    Scales, penalties, sizes and the number of trees are all chosen within ``fold.train``.

    Parameters
    ----------
    estimator
        How to learn.
    matrix
        Features, shape (n_lsoas, n_features).
    target
        Shape (n_lsoas,).
    folds
        The split.
    seed
        Seed of tuning and fitting.
    """
    predicted, parameters = [], []
    for fold in folds:
        train, known = matrix.take(fold.train), target[fold.train]
        chosen = estimator.tune(train, known, seed=seed)
        model = estimator.fit(train, known, chosen, seed=seed)
        predicted.append(np.asarray(model.predict(matrix.values[fold.test]), dtype=np.float64))
        parameters.append(chosen)
    return HeldOut(folds, predicted, parameters)


def tuned_models(
    features: pd.DataFrame,
    target: pd.Series,
    coordinates: pd.DataFrame,
    *,
    target_name: str,
    shares: Sequence[str],
    statistic: str = "mean",
    n_folds: int = 5,
    n_trees: int = 200,
    seed: int,
    estimators: Sequence[str] = tuple(ESTIMATORS),
    feature_sets: Sequence[str] = FEATURE_SETS_OF["ridge"],
    progress: Callable[[str], None] | None = None,
) -> TunedModels:
    """Compare tuned models and two baselines on the same LSOAs, split at random and by place.

    Random folds put neighbours of every LSOA scored among those fitted on. Leaving one local authority
    out asks how well an unseen place is read; what counts there is the gain over the baseline
    ``coordinates``, which knows only the map. Every row is reported: choosing the best of many by
    these scores makes its own score too kind.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``; LSOAs without kept images are left out of every model.
    target
        What is predicted, indexed by ``lsoa_code``.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700), ``lad_code``.
    target_name
        Column of ``deprivation_indices`` predicted.
    shares
        Columns of category shares, such as ``shops_share``.
    statistic
        How images are pooled: mean, median or max.
    n_folds
        Number of random folds.
    n_trees
        Trees of the random forest.
    seed
        Seed of splits, tuning, models and intervals.
    estimators
        Names of the estimators compared.
    feature_sets
        Sets of features compared; ``table`` alone where there are no images.
    progress
        Called with a line of text before each model and split.

    Returns
    -------
    tuned
        Scores of experiment ``tuned``. In the row 'all' the R² is of the held-out predictions pooled,
        not a mean over folds, and its 95% interval resamples LSOAs (within their local authorities
        where those are left out: it is about these local authorities). The split ``leave_one_la_out``
        needs at least four local authorities; with more than twenty, several are left out together.
        Predictions carry 90% intervals. Fitted models are tuned and fitted on every LSOA.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have features and a target, one has no coordinates, an estimator does
        not exist, or rows that differ in encoder or category set are mixed.
    """
    known, observed = with_target(features, target)
    widest = "both" if "both" in feature_sets else feature_sets[0]
    codes = feature_matrix(known, widest, statistic=statistic, shares=shares).lsoa_codes
    require_enough(len(codes), "have embeddings, shares and a target")
    known = known[known["lsoa_code"].isin(codes)]
    places = _places(coordinates, codes)
    setting = _setting(places, observed.loc[list(codes)].to_numpy(), n_folds, seed)
    learners = {**ESTIMATORS, RandomForest.name: RandomForest(n_trees)}
    scores: list[dict[str, Any]] = []
    predictions: list[pd.DataFrame] = []
    fitted: list[FittedModel] = []
    models = _models(target_name, statistic, estimators, feature_sets)
    n_steps, n_begun = len(models) * len(setting.splits), 0
    for model in models:
        learner = (BASELINES if model.feature_set == "baseline" else learners)[model.estimator]
        matrix = _matrix(model, known, places, shares)
        for split in setting.splits:
            n_begun += 1
            if progress:
                n_folds_here = len(setting.splits[split])
                progress(f"model {n_begun} of {n_steps}: {model.under(split)}, {n_folds_here} folds")
            rows, held_out = _compare(model, learner, matrix, setting, split)
            scores += rows
            predictions.append(held_out)
        if model.feature_set != "baseline":
            fitted.append(_fit_on_all(model, learner, matrix, known, setting))
    key = ["model_id", "lsoa_code"]
    table = pd.concat(predictions).sort_values(key, ignore_index=True)
    table = with_intervals(table, known.set_index("lsoa_code")["n_images_kept"])
    return TunedModels(score_table(scores), table, fitted)


def best_model(scores: pd.DataFrame) -> Model:
    """Choose the tuned model with the highest pooled R², by local authorities left out if they were.

    It is the best of many on these very LSOAs, so its score is too kind: use it to say what to look
    at more closely, not how good models are.

    Parameters
    ----------
    scores
        Rows of ``model_scores``.

    Raises
    ------
    ScienceError
        If no tuned model has a score.
    """
    pooled = scores[(scores["fold"] == "all") & (scores["experiment"] == "tuned") & scores["r2"].notna()]
    pooled = pooled[pooled["feature_set"] != "baseline"]
    if not len(pooled):
        raise ScienceError("model_scores holds no tuned model; materialise model_scores first")
    apart = pooled[pooled["split"] == "leave_one_la_out"]
    ranked = (apart if len(apart) else pooled).sort_values(["r2", "model_id"], ascending=[False, True])
    first = ranked.iloc[0]
    statistic = None if pd.isna(first["statistic"]) else first["statistic"]
    return Model(first["target"], first["feature_set"], first["estimator"], statistic)


def _models(target: str, statistic: str, estimators: Sequence[str], feature_sets: Sequence[str]) -> list[Model]:
    unknown = sorted(set(estimators) - set(ESTIMATORS))
    if unknown:
        raise ScienceError(f"'{unknown[0]}' is not an estimator; use {', '.join(ESTIMATORS)}")
    models = [Model(target, "baseline", name) for name in BASELINES]
    for estimator in estimators:
        own = FEATURE_SETS_OF.get(estimator, OTHER_FEATURE_SETS)
        for feature_set in (name for name in feature_sets if name in own or name == "table"):
            pooled = None if feature_set in ("percentages", "table") else statistic
            models.append(Model(target, feature_set, estimator, pooled))
    return models


def _places(coordinates: pd.DataFrame, codes: npt.NDArray[np.object_]) -> pd.DataFrame:
    """Coordinates of the LSOAs, in their order."""
    places = coordinates.drop_duplicates("lsoa_code").set_index("lsoa_code").reindex(codes)
    unplaced = places.index[places["easting_m"].isna() | places["northing_m"].isna()]
    if len(unplaced):
        raise ScienceError(f"LSOA {unplaced[0]} has features and no coordinates; materialise lsoa_boundaries again")
    return places


def _setting(places: pd.DataFrame, observed: Array, n_folds: int, seed: int) -> _Setting:
    lad_codes = places["lad_code"].to_numpy(object)
    splits = {"random_folds": random_folds(len(observed), n_folds=n_folds, seed=seed)}
    if len(set(lad_codes)) >= MIN_LOCAL_AUTHORITIES:
        splits["leave_one_la_out"] = leave_one_out_by_group(lad_codes)
    return _Setting(places.index.to_numpy(object), lad_codes, observed, splits, seed)


def _matrix(model: Model, features: pd.DataFrame, places: pd.DataFrame, shares: Sequence[str]) -> FeatureMatrix:
    if model.feature_set != "baseline":
        return feature_matrix(features, shares=shares, **model.matrix_arguments())
    columns = ["easting_m", "northing_m"]
    return FeatureMatrix(places[columns].to_numpy(float), tuple(columns), places.index.to_numpy(object))


def _compare(
    model: Model, learner: Estimator, matrix: FeatureMatrix, setting: _Setting, split: str
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Scores and predictions of one model under one split."""
    observed = setting.observed
    held_out = cross_validate(learner, matrix, observed, setting.splits[split], seed=setting.seed)
    predicted = held_out.pooled()
    strata = setting.lad_codes if split == "leave_one_la_out" else None
    low, high = bootstrap_interval(observed, predicted, strata=strata, seed=setting.seed)
    together = {**score_predictions(observed, predicted), "r2_low": low, "r2_high": high}
    # one value per fold is low where the fold's truth is high: ranked over folds it would look like skill
    if all(np.ptp(values) == 0 for values in held_out.predicted):
        together["spearman_r"] = None
    together["n_test"] = len(observed)
    rows = score_rows(model, split, observed, held_out, experiment="tuned", together=together)
    return rows, prediction_rows(model, split, matrix, setting.lad_codes, observed, held_out)


def _fit_on_all(
    model: Model, learner: Estimator, matrix: FeatureMatrix, features: pd.DataFrame, setting: _Setting
) -> FittedModel:
    parameters = learner.tune(matrix, setting.observed, seed=setting.seed)
    return FittedModel(
        model=model,
        regressor=learner.fit(matrix, setting.observed, parameters, seed=setting.seed),
        parameters=parameters,
        feature_names=matrix.names,
        local_authorities=tuple(sorted(set(setting.lad_codes))),
        n_lsoas=len(setting.observed),
        seed=setting.seed,
        category_set_hash=str(features["category_set_hash"].iloc[0]),
        encoder=str(features["encoder"].iloc[0]),
    )
