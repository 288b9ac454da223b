"""The first question: how much does a plain random forest read from each set of features?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import STATISTICS
from streetimd_assets.science.estimators import RandomForest
from streetimd_assets.science.folds import block_labels, repeated_holdout
from streetimd_assets.science.grounds import places_of
from streetimd_assets.science.holding_out import HeldOut, cross_validate
from streetimd_assets.science.matrices import (
    FEATURE_SETS,
    MIN_LSOAS,
    UNPOOLED,
    FeatureMatrix,
    feature_matrix,
    with_target,
)
from streetimd_assets.science.model_tables import (
    Model,
    Trial,
    difference_rows,
    difference_table,
    score_rows,
    score_table,
)
from streetimd_assets.science.scoring import Resamples, decile_edges, intervals_of, score_predictions
from streetimd_assets.study.effort import EFFORTS, Effort

SPLIT = "repeated_80_20"
CHEAP_FOREST = {"max_features": "sqrt", "min_samples_leaf": 5}
# categories that fewer LSOAs than this show would leave the others too few in common
COMMON_COVERAGE = 0.5
N_BLOCKS = 30

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ForestTable:
    """Rows of ``model_scores`` and of ``model_differences``."""

    scores: pd.DataFrame
    differences: pd.DataFrame


def forest_table(
    features: pd.DataFrame,
    target: pd.Series,
    coordinates: pd.DataFrame,
    *,
    shares: Sequence[str],
    content_categories: Sequence[str],
    feature_sets: Sequence[str] = FEATURE_SETS,
    effort: Effort = EFFORTS["default"],
    n_repeats: int,
    n_trees: int = 100,
    block_side_m: float | None = None,
    seed: int,
    target_name: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> ForestTable:
    """Score one random forest on every set of features, on 80% of the LSOAs against the other 20%.

    The forest is cheap so that every split can be repeated: the square root of the features
    tried at each split, leaves of at least 5 LSOAs, nothing tuned. A larger one scores a
    few hundredths higher and takes many times as long.

    Percentages do not depend on how images are pooled, so they stand once, without a statistic. A
    category's own embeddings are NULL where an LSOA shows none of it: its row says how many LSOAs
    have them, these differ from category to category, and so do the places scored. A category with
    fewer than 20 has a row without scores. So that categories can be compared with one another, those
    that at least half of the LSOAs show are scored once more on the LSOAs that show all of them, beside
    all images of the same LSOAs. The maximum grows with the number of images.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``.
    target
        What is predicted, indexed by ``lsoa_code``.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700).
    shares
        Columns of category shares, such as ``shops_share``.
    content_categories
        Names of the categories whose images are also used alone.
    feature_sets
        Sets of features of all images.
    effort
        Ways of pooling for each category alone, and resamples behind an interval.
    n_repeats
        Number of splits.
    n_trees
        Trees of each forest.
    block_side_m
        Side of the blocks resampled for intervals, metres; chosen by their number if left out.
    seed
        Seed of splits, forests and resamples: every set on the same LSOAs meets the same splits.
    target_name
        Column of ``deprivation_indices`` predicted; the name of `target` if left out.
    progress
        Called with a line of text before each set of features.

    Returns
    -------
    forests
        Scores of experiment ``forest_80_20``: one row per repeat, and 'all': means over the repeats, with
        an interval that resamples blocks of neighbours and is averaged over repeats alike. Differences are
        from the mean embedding on the same LSOAs.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have features and a target, one has no coordinates, or rows that differ in
        encoder or category set are mixed.
    """
    known, observed = with_target(features, target)
    blocks = _blocks(known, coordinates, block_side_m)
    name, common = target_name or str(target.name), _common(known, content_categories)
    todo = [(model, "own") for model in _models(name, feature_sets, content_categories, effort.forest_statistics)]
    if effort.has_common_lsoas and common.categories:
        todo += [(model, "common") for model in _common_models(name, common.categories)]
    rows: list[dict[str, Any]] = []
    trials: dict[str, tuple[Trial, float, Array]] = {}
    for number, (model, lsoas) in enumerate(todo, start=1):
        if progress:
            progress(f"forest {number} of {len(todo)}: {model.model_id}, {lsoas} LSOAs")
        here = known if lsoas == "own" else known[known["lsoa_code"].isin(common.lsoa_codes)]
        matrix = feature_matrix(here, shares=shares, **model.matrix_arguments())
        trial = Trial(model, SPLIT, "forest_80_20", "none", len(matrix.lsoa_codes), len(known), lsoas)
        if len(matrix.lsoa_codes) < MIN_LSOAS:
            rows.append(trial.unscored(f"fewer than {MIN_LSOAS} LSOAs have these features"))
            continue
        held_out = _hold_out(matrix, observed, n_repeats, n_trees, seed)
        rows += _score(trial, matrix, observed, blocks, held_out, effort.n_bootstrap, seed, trials)
    reference = Model(name, feature_sets[0], RandomForest.name, _pooled(feature_sets[0]))
    beside = [reference.under(SPLIT), f"{reference.under(SPLIT)}/common"]
    return ForestTable(score_table(rows), difference_table(difference_rows(trials, beside)))


@dataclass(frozen=True, eq=False)
class _Common:
    """Categories that many LSOAs show, and the LSOAs that show all of these."""

    categories: tuple[str, ...]
    lsoa_codes: npt.NDArray[np.object_]


def _common(known: pd.DataFrame, categories: Sequence[str]) -> _Common:
    shown = pd.DataFrame({name: known[f"{name}_mean_embedding"].notna() for name in categories})
    kept = [name for name in categories if shown[name].mean() >= COMMON_COVERAGE]
    have_all = shown[kept].all(axis=1).to_numpy(bool) if kept else np.zeros(len(known), bool)
    return _Common(tuple(kept), known["lsoa_code"].to_numpy(object)[have_all])


def _models(
    target: str, feature_sets: Sequence[str], categories: Sequence[str], statistics: Sequence[str]
) -> list[Model]:
    """Every set of features of all images, pooled in each way, then each category alone."""
    name = RandomForest.name
    whole = [
        Model(target, feature_set, name, how)
        for feature_set in feature_sets
        for how in ((None,) if feature_set in UNPOOLED else STATISTICS)
    ]
    return whole + [
        Model(target, "embeddings", name, how, category) for category in categories for how in statistics
    ]


def _common_models(target: str, categories: Sequence[str]) -> list[Model]:
    """All images, and each category alone, by their mean."""
    return [Model(target, "embeddings", RandomForest.name, "mean", category) for category in (None, *categories)]


def _pooled(feature_set: str) -> str | None:
    return None if feature_set in UNPOOLED else "mean"


def _blocks(known: pd.DataFrame, coordinates: pd.DataFrame, side_m: float | None) -> "pd.Series[Any]":
    """Block of neighbours of each LSOA, by its code."""
    codes = known["lsoa_code"].to_numpy(object)
    places = places_of(codes, coordinates)
    labels, _ = block_labels(places["easting_m"], places["northing_m"], n_blocks=N_BLOCKS, side_m=side_m)
    return pd.Series(labels, index=codes)


def _hold_out(
    matrix: FeatureMatrix, observed: "pd.Series[float]", n_repeats: int, n_trees: int, seed: int
) -> HeldOut:
    folds = repeated_holdout(len(matrix.lsoa_codes), n_repeats=n_repeats, seed=seed)
    truth = np.asarray(observed.loc[list(matrix.lsoa_codes)], dtype=np.float64)
    fixed = [{**CHEAP_FOREST, "n_estimators": n_trees}] * len(folds)
    return cross_validate(RandomForest(), matrix, truth, folds, seed=seed, parameters=fixed)


def _score(
    trial: Trial,
    matrix: FeatureMatrix,
    observed: "pd.Series[float]",
    blocks: "pd.Series[Any]",
    held_out: HeldOut,
    n_draws: int,
    seed: int,
    trials: dict[str, tuple[Trial, float, Array]],
) -> list[dict[str, Any]]:
    """Rows of one forest; a score that one repeat lacks is left out of its mean."""
    codes = list(matrix.lsoa_codes)
    truth = np.asarray(observed.loc[codes], dtype=np.float64)
    edges = decile_edges(np.asarray(observed, dtype=np.float64))
    resamples = Resamples.draw(blocks.loc[codes].to_numpy(object), n_draws=n_draws, seed=seed)
    pairs = list(zip(held_out.folds, held_out.predicted, strict=True))
    scores = [score_predictions(truth[fold.test], predicted, edges=edges) for fold, predicted in pairs]
    means = {str(name): value for name, value in pd.DataFrame(scores, dtype=float).mean().items()}
    by_repeat = [resamples.scores(truth[fold.test], p, fold.test, edges=edges) for fold, p in pairs]
    draws = {name: np.mean([of_one[name] for of_one in by_repeat], axis=0) for name in by_repeat[0]}
    trials[trial.model_id] = (trial, means["r2"], draws["r2"])
    together = {**means, **intervals_of(draws), "n_test": len(held_out.folds[0].test)}
    return score_rows(trial, truth, held_out, edges=edges, together=together)
