"""Predict LSOAs by models that never saw them: tuned and fitted on the rest alone, fold by fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.cores import spread
from streetimd_assets.science.estimators import Estimator, Regressor
from streetimd_assets.science.folds import Fold
from streetimd_assets.science.matrices import FeatureMatrix

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of LSOAs by models that never saw them.

    Parameters
    ----------
    folds
        The folds of one split.
    predicted
        One vector per fold, in the order of its ``test``.
    parameters
        One set per fold, as tuned on its ``train``.
    """

    folds: Sequence[Fold]
    predicted: Sequence[Array]
    parameters: Sequence[Mapping[str, Any]]

    def take(self, part: slice) -> "HeldOut":
        """Return some of the folds."""
        return HeldOut(self.folds[part], self.predicted[part], self.parameters[part])

    def pooled(self) -> Array:
        """Join the folds of a split that holds each row out once, shape (n_lsoas,)."""
        rows = np.concatenate([fold.test for fold in self.folds])
        return np.concatenate(self.predicted)[np.argsort(rows)]


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit: on some rows, to predict others; without parameters, it is tuned first."""

    estimator: Estimator
    matrix: FeatureMatrix
    target: Array
    fold: Fold
    parameters: Mapping[str, Any] | None
    seed: int


def cross_validate(
    estimator: Estimator,
    matrix: FeatureMatrix,
    target: Array,
    folds: Sequence[Fold],
    *,
    seed: int,
    parameters: Sequence[Mapping[str, Any]] | None = None,
) -> HeldOut:
    """Predict each fold by a model fitted on the rest alone, and tuned on it.

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
    parameters
        One set per fold, which must not have been chosen on the rows it holds out; None to tune.
    """
    given: Sequence[Mapping[str, Any] | None] = parameters or len(folds) * (None,)
    fits = [Fit(estimator, matrix, target, fold, chosen, seed) for fold, chosen in zip(folds, given, strict=True)]
    return hold_out(fits)


def hold_out(fits: Sequence[Fit]) -> HeldOut:
    """Do some fits, spread over the cores, and predict what each holds out."""
    made = spread(_predict, fits, n_values=fits[0].matrix.values.size)
    return HeldOut([fit.fold for fit in fits], [predicted for predicted, _ in made], [chosen for _, chosen in made])


def _predict(fit: Fit) -> tuple[Array, Mapping[str, Any]]:
    model, parameters = learn(fit)
    return np.asarray(model.predict(fit.matrix.values[fit.fold.test]), dtype=np.float64).ravel(), parameters


def learn(fit: Fit) -> tuple[Regressor, Mapping[str, Any]]:
    """Tune, if no parameters are given, and fit on the fold's training rows."""
    train, known = fit.matrix.take(fit.fold.train), fit.target[fit.fold.train]
    chosen = fit.parameters
    if chosen is None:
        chosen = fit.estimator.tune(train, known, groups=fit.fold.groups_of_train, seed=fit.seed)
    return fit.estimator.fit(train, known, chosen, seed=fit.seed), chosen
