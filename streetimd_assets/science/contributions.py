"""How much each share or area feature moves a prediction, and which way: SHAP of boosted trees, held out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.correlation import correlate
from streetimd_assets.science.estimators import Estimator
from streetimd_assets.science.holding_out import Fit
from streetimd_assets.science.matrices import FeatureMatrix
from streetimd_assets.science.ranking import Draws
from streetimd_assets.science.refits import Refits

Array = npt.NDArray[np.float64]


def contributions(
    estimator: Estimator, matrix: FeatureMatrix, target: Array, *, refits: Refits
) -> tuple[Draws, Array]:
    """How much each feature moves the predictions of boosted trees, on LSOAs held out.

    TreeSHAP shares the difference between a prediction and the mean prediction out among the features,
    by LightGBM's own reckoning. It tells what the model does: of features that go together it may load
    one or the other.

    Returns
    -------
    draws
        Mean absolute contribution in units of the target, fold by fold of the first seed, shape (1,
        n_folds, n_features); by chance the mean over folds.
    directions
        Correlation of a feature with its contribution, shape (n_features,); NaN where one of the two is
        the same everywhere.

    References
    ----------
    Lundberg, S. M. et al. (2020), From local explanations to global understanding with explainable AI for
    trees, Nature Machine Intelligence 2. https://doi.org/10.1038/s42256-019-0138-9
    """
    first = Refits(refits.n_folds, 1, refits.n_shuffled_targets, refits.seed, refits.tunes)
    answers = first.ask(tree_shap, estimator, matrix, target)
    sizes = np.array([[np.abs(told.added).mean(axis=0) for told in folds] for folds in answers.true])
    chance = [np.mean([np.abs(told.added).mean(axis=0) for told in folds], axis=0) for folds in answers.by_chance]
    values, added = (
        np.concatenate([getattr(told, part) for told in answers.true[0]]) for part in ("values", "added")
    )
    directions = np.array([_direction(*columns) for columns in zip(values.T, added.T, strict=True)])
    return Draws(sizes, np.array(chance).reshape(len(chance), len(matrix.names))), directions


def _direction(values: Array, added: Array) -> float:
    return float(correlate(values[:, None], added)[0]) if np.ptp(added) else np.nan


@dataclass(frozen=True, eq=False)
class Contributed:
    """Values of the LSOAs held out and what each adds to the prediction, each (n_lsoas, n_features)."""

    values: Array
    added: Array


def tree_shap(model: Any, fit: Fit) -> Contributed:
    """Share each prediction of the LSOAs held out among the features."""
    values = fit.matrix.values[fit.fold.test].astype(np.float64)
    told = np.asarray(model.predict(values, pred_contrib=True, num_threads=1))
    # the last column is the mean prediction
    return Contributed(values, told[:, :-1])
