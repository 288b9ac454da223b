"""Which model reads deprivation best, and how much of it is more than a map would tell."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import HARDEST_FIRST
from streetimd_assets.science.baselines import BASELINES, OF_PLACE
from streetimd_assets.science.estimators import ESTIMATORS, Estimator, RandomForest
from streetimd_assets.science.fitted import FittedModel
from streetimd_assets.science.grounds import Ground, stake_out
from streetimd_assets.science.holding_out import Fit, HeldOut, hold_out, learn
from streetimd_assets.science.intervals import coverage_share, with_intervals
from streetimd_assets.science.matrices import FEATURE_SETS, TABLE, UNPOOLED, FeatureMatrix, with_target
from streetimd_assets.science.model_tables import (
    Model,
    Trial,
    difference_rows,
    difference_table,
    prediction_rows,
    score_rows,
    score_table,
)
from streetimd_assets.science.scoring import decile_edges, intervals_of, score_predictions
from streetimd_assets.study.effort import EFFORTS, Effort

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TunedModels:
    """What a comparison gives: three tables, and the models themselves."""

    scores: pd.DataFrame
    differences: pd.DataFrame
    predictions: pd.DataFrame
    fitted: list[FittedModel]


@dataclass(frozen=True, eq=False)
class _Task:
    """One model to be compared: what it learns from, and how its parameters are found."""

    model: Model
    tuning: str
    learner: Estimator
    observed: Array
    edges: Array
    is_main: bool
    is_fitted: bool


@dataclass(eq=False)
class _Found:
    """What has been found so far."""

    scores: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[pd.DataFrame] = field(default_factory=list)
    fitted: list[FittedModel] = field(default_factory=list)
    # by name: each model scored, its R², and its R² in each resample
    trials: dict[str, tuple[Trial, float, Array]] = field(default_factory=dict)
    # by estimator and split, None for all LSOAs: parameters tuned for the main target and features
    tuned: dict[tuple[str, str | None], Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def tuned_models(
    features: pd.DataFrame,
    target: pd.Series,
    coordinates: pd.DataFrame,
    *,
    target_name: str,
    shares: Sequence[str],
    feature_sets: Sequence[str] = FEATURE_SETS,
    statistic: str = "mean",
    other_targets: pd.DataFrame | None = None,
    effort: Effort = EFFORTS["default"],
    n_folds: int = 5,
    n_trees: int = 100,
    block_side_m: float | None = None,
    enough_images: int = 12,
    seed: int,
    estimators: Sequence[str] = tuple(ESTIMATORS),
    progress: Callable[[str], None] | None = None,
) -> TunedModels:
    """Compare models and baselines on the same LSOAs, held out at random, by blocks and by local authority.

    Random folds put neighbours of every LSOA scored among those fitted on. Leaving one local authority
    out asks how well an unseen place is read; what counts there is the gain over the baseline
    ``coordinates``, which knows only the map. Every row is reported: choosing the best of many by
    these scores makes its own score too kind.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``; LSOAs without kept images are left out of every model.
    target
        What is predicted in the main, indexed by ``lsoa_code``.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700), ``lad_code``; with
        ``road_density`` if that is to be a baseline.
    target_name
        Column of ``deprivation_indices`` predicted.
    shares
        Columns of category shares, such as ``shops_share``.
    feature_sets
        Sets of features, the main one first.
    statistic
        How images are pooled: mean, median or max.
    other_targets
        Other columns of ``deprivation_indices`` predicted besides, indexed by ``lsoa_code``.
    effort
        How much is tuned, and how much is fitted for the other targets and sets of features.
    n_folds
        Number of random folds, and of folds of blocks.
    n_trees
        Trees of the random forest.
    block_side_m
        Side of the square blocks of neighbours, metres; chosen by their number if left out.
    enough_images
        Predictions of LSOAs with fewer kept images are marked as thin.
    seed
        Seed of splits, tuning, models and intervals.
    estimators
        Names of the estimators compared.
    progress
        Called with a line of text before each model.

    Returns
    -------
    tuned
        Scores of experiment ``tuned``. In the row 'all' the R² is of the held-out predictions pooled,
        not a mean over folds; its 95% interval, and those of differences, resample blocks of neighbours.
        With fewer than four local authorities ``leave_one_la_out`` has rows without a score that say so.
        Differences are against the main ridge and against coordinates. Predictions are those of the main
        target, with 90% intervals. Fitted models are fitted on every LSOA: all for the main target, the
        main ridge for the others.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have features and a target, one has no coordinates, an estimator does
        not exist, or rows that differ in encoder or category set are mixed.
    """
    known, observed = with_target(features, target)
    ground = stake_out(
        known,
        coordinates,
        shares=shares,
        feature_sets=feature_sets,
        statistic=statistic,
        n_folds=n_folds,
        block_side_m=block_side_m,
        n_draws=effort.n_bootstrap,
        seed=seed,
    )
    codes = list(ground.places.index)
    targets = {target_name: observed.loc[codes].to_numpy()}
    if other_targets is not None:
        targets |= {str(name): other_targets[name].loc[codes].to_numpy(float) for name in other_targets.columns}
    learners = {**BASELINES, **ESTIMATORS, RandomForest.name: RandomForest(n_trees, effort.forest_features)}
    tasks = [
        _Task(
            model, tuning, learners[model.estimator], values, decile_edges(values), name == target_name, is_fitted
        )
        for name, values in targets.items()
        for model, tuning, is_fitted in _models(
            name, name == target_name, feature_sets, statistic, effort, estimators
        )
    ]
    found = _Found()
    for number, task in enumerate(tasks, start=1):
        if progress:
            progress(f"model {number} of {len(tasks)}: {task.model.model_id}, parameters: {task.tuning}")
        _compare(task, ground, found, seed)
    predictions = pd.concat(found.predictions).sort_values(["model_id", "lsoa_code"], ignore_index=True)
    images = ground.places["n_images"].reindex(predictions["lsoa_code"])
    return TunedModels(
        score_table(found.scores),
        _differences(found, list(targets), feature_sets[0], statistic),
        predictions.assign(is_thin=images.to_numpy() < enough_images),
        found.fitted,
    )


def best_model(scores: pd.DataFrame, target: str | None = None) -> Model:
    """Choose the tuned model with the highest pooled R² under the hardest split there is.

    It is the best of many on these very LSOAs, so its score is too kind: use it to say what to look
    at more closely, not how good models are.

    Parameters
    ----------
    scores
        Rows of ``model_scores``.
    target
        What it predicts; the target with most models if left out, which is the study's.

    Raises
    ------
    ScienceError
        If no tuned model has a score.
    """
    pooled = scores[(scores["fold"] == "all") & (scores["experiment"] == "tuned") & scores["r2"].notna()]
    pooled = pooled[pooled["feature_set"] != "baseline"]
    if not len(pooled):
        raise ScienceError("model_scores holds no tuned model; materialise model_scores first")
    pooled = pooled[pooled["target"] == (target or pooled["target"].mode().iloc[0])]
    split = next(name for name in HARDEST_FIRST if (pooled["split"] == name).any())
    ranked = pooled[pooled["split"] == split].sort_values(["r2", "model_id"], ascending=[False, True])
    first = ranked.iloc[0]
    statistic = None if pd.isna(first["statistic"]) else first["statistic"]
    return Model(first["target"], first["feature_set"], first["estimator"], statistic)


def _models(
    target: str,
    is_main: bool,
    feature_sets: Sequence[str],
    statistic: str,
    effort: Effort,
    estimators: Sequence[str],
) -> Iterator[tuple[Model, str, bool]]:
    """Yield the models of a target, how parameters are found, and if they are fitted on all; reused ones first."""
    unknown = sorted(set(estimators) - set(ESTIMATORS))
    if unknown:
        raise ScienceError(f"'{unknown[0]}' is not an estimator; use {', '.join(ESTIMATORS)}")
    for name in BASELINES if is_main and TABLE not in feature_sets else OF_PLACE:
        yield Model(target, "baseline", name), "none" if name == "mean" else "nested", False
    for feature_set in feature_sets if is_main else feature_sets[:1]:
        is_leading = is_main and feature_set == feature_sets[0]
        for estimator in estimators:
            if is_leading or estimator in effort.other_estimators:
                model = Model(target, feature_set, estimator, _pooled(feature_set, statistic))
                yield model, _tuning(estimator, effort, is_main, is_leading), is_main or estimator == "ridge"


def _pooled(feature_set: str, statistic: str) -> str | None:
    return None if feature_set in UNPOOLED else statistic


def _tuning(estimator: str, effort: Effort, is_main: bool, is_leading: bool) -> str:
    if effort.tuning == "all":
        return "nested"
    if ESTIMATORS[estimator].usual is None:
        return "nested" if is_main or effort.tuning == "nested" else "reused"
    if effort.tuning == "usual":
        return "usual"
    return "nested" if is_leading else "reused"


def _compare(task: _Task, ground: Ground, found: _Found, seed: int) -> None:
    """Score one model under every split, and keep what is asked of it."""
    trials = {
        split: Trial(task.model, split, "tuned", task.tuning, len(ground.places), ground.n_with_images)
        for split in HARDEST_FIRST
    }
    matrix = ground.matrix(task.model)
    if matrix is None:
        note = "the density of roads is not known of every LSOA; materialise imagery_plan"
        found.scores += [trial.unscored(note) for trial in trials.values()]
        return
    found.scores += [trials[split].unscored(note) for split, note in ground.splits.refused.items()]
    for split, held_out in _hold_out(task, matrix, ground, found, seed).items():
        _keep(trials[split], task, ground, held_out, found)
    if task.is_fitted:
        found.fitted.append(_fit_on_all(task, matrix, ground, found, seed))


def _hold_out(task: _Task, matrix: FeatureMatrix, ground: Ground, found: _Found, seed: int) -> dict[str, HeldOut]:
    """Predict the folds of all splits, spread over the cores together."""
    folds = ground.splits.folds
    fits = [
        Fit(task.learner, matrix, task.observed, fold, parameters, seed)
        for split in folds
        for fold, parameters in zip(folds[split], _given(task, split, len(folds[split]), found), strict=True)
    ]
    together, begin, apart = hold_out(fits), 0, {}
    for split, parts in folds.items():
        apart[split] = together.take(slice(begin, begin + len(parts)))
        begin += len(parts)
        if task.tuning == "nested":
            # the main target and features come first, and theirs are kept
            found.tuned.setdefault((task.model.estimator, split), apart[split].parameters)
    return apart


def _given(task: _Task, split: str | None, n: int, found: _Found) -> Sequence[Mapping[str, Any] | None]:
    """Parameters of each fold: the usual ones, those tuned on the same LSOAs before, or None to tune."""
    if task.tuning == "usual":
        return [task.learner.usual] * n
    return found.tuned[task.model.estimator, split] if task.tuning == "reused" else [None] * n


def _keep(trial: Trial, task: _Task, ground: Ground, held_out: HeldOut, found: _Found) -> None:
    """Add a model's rows under one split, and what it is compared with others by."""
    observed, predicted = task.observed, held_out.pooled()
    draws = ground.resamples.scores(observed, predicted, edges=task.edges)
    rows = with_intervals(prediction_rows(trial, ground.places, observed, held_out), ground.places["n_images"])
    score = score_predictions(observed, predicted, edges=task.edges)
    together: dict[str, Any] = {**score, **intervals_of(draws), "n_test": len(observed)}
    together["interval_coverage_share"] = coverage_share(rows)
    # one value per fold is low where the fold's truth is high: ranked over folds it would look like skill
    if all(np.ptp(values) == 0 for values in held_out.predicted):
        together |= dict.fromkeys(["spearman_r", "spearman_r_low", "spearman_r_high"])
    found.scores += score_rows(trial, observed, held_out, edges=task.edges, together=together)
    if score["r2"] is not None:
        found.trials[trial.model_id] = (trial, score["r2"], draws["r2"])
    if task.is_main:
        found.predictions.append(rows)


def _fit_on_all(task: _Task, matrix: FeatureMatrix, ground: Ground, found: _Found, seed: int) -> FittedModel:
    (given,) = _given(task, None, 1, found)
    regressor, parameters = learn(Fit(task.learner, matrix, task.observed, ground.splits.everyone, given, seed))
    if task.tuning == "nested":
        found.tuned.setdefault((task.model.estimator, None), [parameters])
    return FittedModel(
        model=task.model,
        regressor=regressor,
        parameters=parameters,
        feature_names=matrix.names,
        local_authorities=tuple(sorted(set(ground.places["lad_code"]))),
        n_lsoas=len(task.observed),
        seed=seed,
        category_set_hash=str(ground.features["category_set_hash"].iloc[0]),
        encoder=str(ground.features["encoder"].iloc[0]),
    )


def _differences(found: _Found, targets: Sequence[str], feature_set: str, statistic: str) -> pd.DataFrame:
    """Set every model beside the main ridge and beside coordinates, target by target and split by split."""
    rows: list[dict[str, Any]] = []
    for target in targets:
        ridge = Model(target, feature_set, "ridge", _pooled(feature_set, statistic))
        place = Model(target, "baseline", "coordinates")
        for split in HARDEST_FIRST:
            here: Mapping[str, tuple[Trial, float, Array]] = {
                name: entry
                for name, entry in found.trials.items()
                if (entry[0].model.target, entry[0].split) == (target, split)
            }
            rows += difference_rows(here, [ridge.under(split), place.under(split)])
    return difference_table(rows)
