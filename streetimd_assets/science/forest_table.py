"""The first question: how much does a plain random forest read from each set of features?"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import STATISTICS
from streetimd_assets.science.estimators import RandomForest
from streetimd_assets.science.folds import repeated_holdout
from streetimd_assets.science.matrices import MIN_LSOAS, FeatureMatrix, feature_matrix, with_target
from streetimd_assets.science.model_tables import NO_SCORE, HeldOut, Model, score_rows, score_table
from streetimd_assets.science.scoring import resampled_interval, score_predictions

SPLIT = "repeated_80_20"
FEATURE_SETS_OF_IMAGES = ("embeddings", "percentages", "both")
CHEAP_FOREST = {"n_estimators": 100, "max_features": "sqrt", "min_samples_leaf": 5}


def forest_table(
    features: pd.DataFrame,
    target: pd.Series,
    *,
    shares: Sequence[str],
    content_categories: Sequence[str],
    n_repeats: int,
    seed: int,
    target_name: str | None = None,
    feature_sets: Sequence[str] = FEATURE_SETS_OF_IMAGES,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score one random forest on every set of features, on 80% of the LSOAs against the other 20%.

    The forest is cheap so that every split can be repeated: 100 trees, the square root of the
    features tried at each split, leaves of at least 5 LSOAs, nothing tuned. A larger one scores a
    few hundredths higher and takes many times as long.

    Percentages do not depend on how images are pooled, so they stand once, without a statistic. A
    category's own embeddings are NULL where an LSOA shows none of it: its row says how many LSOAs
    have them, these differ from category to category, and so do the places scored. A category with
    fewer than 20 has a row without scores. The maximum grows with the number of images.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``.
    target
        What is predicted, indexed by ``lsoa_code``.
    shares
        Columns of category shares, such as ``shops_share``.
    content_categories
        Names of the categories whose images are also used alone.
    n_repeats
        Number of splits.
    seed
        Seed of splits and forests: every set on the same LSOAs meets the same splits.
    target_name
        Column of ``deprivation_indices`` predicted; the name of `target` if left out.
    feature_sets
        Sets of features compared; ``table`` alone where there are no images.
    progress
        Called with a line of text before each set of features.

    Returns
    -------
    model_scores
        Experiment ``forest_80_20``: one row per repeat, and 'all': means over the repeats, with an
        interval over repeats widened for what they share (Nadeau & Bengio, 2003).

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have features and a target, or rows that differ in encoder or category
        set are mixed.
    """
    known, observed = with_target(features, target)
    models = _models(target_name or str(target.name), content_categories, feature_sets)
    rows: list[dict[str, Any]] = []
    for number, model in enumerate(models, start=1):
        if progress:
            progress(f"forest {number} of {len(models)}: {model.model_id}")
        matrix = feature_matrix(known, shares=shares, **model.matrix_arguments())
        rows += _score(model, matrix, observed.loc[list(matrix.lsoa_codes)].to_numpy(), n_repeats, seed)
    return score_table(rows)


def _models(target: str, categories: Sequence[str], feature_sets: Sequence[str]) -> list[Model]:
    """Every set of features: pooled in three ways, then each category alone in three ways."""
    name = RandomForest.name
    if "table" in feature_sets:
        return [Model(target, "table", name)]
    return [
        *(Model(target, chosen, name, how) for chosen in ("embeddings", "both") for how in STATISTICS),
        Model(target, "percentages", name),
        *(Model(target, "embeddings", name, how, category) for category in categories for how in STATISTICS),
    ]


def _score(
    model: Model, matrix: FeatureMatrix, observed: npt.NDArray[np.float64], n_repeats: int, seed: int
) -> list[dict[str, Any]]:
    if len(observed) < MIN_LSOAS:
        nothing = HeldOut([], [], [])
        together = {**NO_SCORE, "n_test": 0}
        return score_rows(model, SPLIT, observed, nothing, experiment="forest_80_20", together=together)
    folds = repeated_holdout(len(observed), n_repeats=n_repeats, seed=seed)
    forest = RandomForest()
    predicted = []
    for fold in folds:
        fitted = forest.fit(matrix.take(fold.train), observed[fold.train], CHEAP_FOREST, seed=seed)
        predicted.append(fitted.predict(matrix.values[fold.test]))
    held_out = HeldOut(folds, predicted, [CHEAP_FOREST] * len(folds))
    together = _over_repeats(observed, held_out)
    return score_rows(model, SPLIT, observed, held_out, experiment="forest_80_20", together=together)


def _over_repeats(observed: npt.NDArray[np.float64], held_out: HeldOut) -> dict[str, Any]:
    """Means over repeats; a score that one repeat lacks is left out of its mean."""
    scores = pd.DataFrame(
        [
            score_predictions(observed[fold.test], predicted)
            for fold, predicted in zip(held_out.folds, held_out.predicted, strict=True)
        ],
        dtype=float,
    )
    fold = held_out.folds[0]
    r2 = scores["r2"].dropna().to_numpy()
    low, high = resampled_interval(r2, test_over_train=len(fold.test) / len(fold.train)) or (None, None)
    means = {str(name): value for name, value in scores.mean().items()}
    return {**means, "r2_low": low, "r2_high": high, "n_test": len(fold.test)}
