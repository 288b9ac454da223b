"""Estimators: each tunes itself on training rows alone, then is fitted with what it chose.

Adding an estimator is one class with ``name``, ``usual``, ``tune`` and ``fit``, and one entry in
:data:`ESTIMATORS`. What it learns from data (scales, penalties, the number of trees) it learns from
the matrix it is given, which is the training part of a fold. All are made of scikit-learn's and
LightGBM's own types, so a fitted model opens in a notebook without this package.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.folds import Fold, Labels, inner_folds
from streetimd_assets.science.matrices import FeatureMatrix
from streetimd_assets.science.penalties import held_out_errors, leave_one_out_errors

Array = npt.NDArray[np.float64]
Parameters = dict[str, Any]
N_INNER_FOLDS = 3


class Regressor(Protocol):
    """A fitted model."""

    def predict(self, X: Any, /) -> Any:
        """Predict the target, shape (n,), from features of shape (n, n_features)."""


class Estimator(Protocol):
    """A way to learn the target from features.

    Attributes
    ----------
    name
        As in the tables.
    usual
        Parameters that do well as a rule, for where tuning costs too much; None where it costs next to
        nothing, so that it is always done.
    """

    name: str

    @property
    def usual(self) -> Parameters | None:
        """Parameters for where tuning costs too much."""

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose parameters, looking at these rows only.

        Parameters
        ----------
        features
            Shape (n, n_features).
        target
            Shape (n,).
        groups
            Group of each row, if the model is to read groups that it has not seen, shape (n,).
        seed
            Seed of whatever is drawn.
        """

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Fit a model with these parameters."""


def fit_scaler(features: FeatureMatrix) -> Any:
    """Centre each column; give embedding dimensions one common scale, and each share its own.

    The dimensions of an embedding have one unit and no meaning one by one. With one scale for all, a
    rotation of the embedding changes no distance and no penalty.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features.values.astype(np.float64))
    together = features.is_embedding
    if together.any():
        scaler.scale_[together] = np.sqrt(scaler.var_[together].mean()) or 1.0
    return scaler


class Ridge:
    """Linear regression with a squared penalty, chosen by leaving out single rows, or groups of them."""

    name = "ridge"
    usual = None
    penalties = np.logspace(-1, 6, 22)
    n_inner_folds = 5

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose the penalty among 22 from 0.1 to a million."""
        scaled = fit_scaler(features).transform(features.values.astype(np.float64))
        if groups is None:
            errors = leave_one_out_errors(scaled, target, self.penalties)
        else:
            folds = inner_folds(len(target), groups, n_folds=self.n_inner_folds, seed=seed)
            errors = held_out_errors(scaled, target, self.penalties, folds)
        return {"alpha": float(self.penalties[np.argmin(errors)])}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Scale, then fit."""
        from sklearn import linear_model

        return _behind_scaler(features, target, linear_model.Ridge(**parameters))


class PartialLeastSquares:
    """Partial least squares: regression on the few directions that go most with the target.

    References
    ----------
    Wold, S., Sjöström, M. & Eriksson, L. (2001), PLS-regression: a basic tool of chemometrics.
    https://doi.org/10.1016/S0169-7439(01)00155-1
    """

    name = "pls"
    usual = None
    most_components = 16

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose the number of components by inner cross-validation, up to 16."""
        most = min(self.most_components, len(features.names), len(target) // 2)
        errors = np.zeros(most)
        for fold in inner_folds(len(target), groups, n_folds=N_INNER_FOLDS, seed=seed):
            model = self.fit(features.take(fold.train), target[fold.train], {"n_components": most}, seed=seed)
            scaled = model[0].transform(features.values[fold.test].astype(np.float64))
            errors += self._errors(model[1], scaled, target[fold.test])
        return {"n_components": int(np.argmin(errors)) + 1}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Any:
        """Scale, then fit."""
        from sklearn.cross_decomposition import PLSRegression

        return _behind_scaler(features, target, PLSRegression(scale=False, **parameters))

    def _errors(self, model: Any, scaled: Array, target: Array) -> Array:
        """Squared error with the first component, the first two, and so on: each is found after the others."""
        scores = (scaled - model._x_mean) @ model.x_rotations_
        predicted = model.intercept_ + np.cumsum(scores * model.y_loadings_[0], axis=1)
        return np.asarray(np.sum((target[:, None] - predicted) ** 2, axis=0))


class SupportVectors:
    """Support vector regression with a Gaussian kernel, on a standardised target.

    Its time grows with the square of the rows, so at most `max_rows` of them, chosen at random, are
    used. The kernel's width is fixed by the number of features.
    """

    name = "svr"
    usual: ClassVar[Parameters] = {"C": 3.0}
    costs = (0.3, 1.0, 3.0, 10.0)
    max_rows = 4000

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose the cost of errors by inner cross-validation; the kernel's width is fixed."""
        from sklearn.metrics.pairwise import rbf_kernel

        rows = self._sample(len(target), seed)
        features, target, groups = features.take(rows), target[rows], None if groups is None else groups[rows]
        gamma = 1 / len(features.names)
        # the kernel is the same in every inner fold and for every cost: work it out once
        scaled = fit_scaler(features).transform(features.values.astype(np.float64))
        kernel = rbf_kernel(scaled, gamma=gamma)
        folds = inner_folds(len(target), groups, n_folds=N_INNER_FOLDS, seed=seed)
        errors = [self._inner_error(kernel, target, cost, folds) for cost in self.costs]
        return {"C": self.costs[int(np.argmin(errors))]}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Scale features and target, then fit."""
        from sklearn.svm import SVR

        rows = self._sample(len(target), seed)
        features, target = features.take(rows), target[rows]
        machine = SVR(cache_size=500, gamma=1 / len(features.names), **parameters)
        return _behind_scaler(features, target, _on_standard_target(machine))

    def _sample(self, n: int, seed: int) -> npt.NDArray[np.intp]:
        if n <= self.max_rows:
            return np.arange(n)
        return np.sort(np.random.default_rng(seed).choice(n, self.max_rows, replace=False))

    def _inner_error(self, kernel: Array, target: Array, cost: float, folds: Sequence[Fold]) -> float:
        from sklearn.svm import SVR

        total = 0.0
        for fold in folds:
            model = _on_standard_target(SVR(kernel="precomputed", C=cost))
            model.fit(kernel[np.ix_(fold.train, fold.train)], target[fold.train])
            predicted = model.predict(kernel[np.ix_(fold.test, fold.train)])
            total += float(np.sum((target[fold.test] - predicted) ** 2))
        return total


class RandomForest:
    """Random forest; the number of features tried at each split by out-of-bag error.

    The search grows 50 trees for each choice and the chosen one `n_trees`. Trying every feature at
    every split, scikit-learn's default, takes many times as long, and gains R² where few of many
    features matter: ``benchmarks/models`` measures both. The effort `full` also tries three tenths.

    Parameters
    ----------
    n_trees
        Trees of the forest.
    tried
        Features to try at each split, among which the search chooses: ``"sqrt"``, or a share of all.
    """

    name = "random_forest"
    min_samples_leaf = 3

    def __init__(self, n_trees: int = 100, tried: tuple[str | float, ...] = ("sqrt", 0.1)) -> None:
        self.n_trees = n_trees
        self.tried = tried

    @property
    def usual(self) -> Parameters:
        """The square root of the features at each split."""
        return self._setting("sqrt")

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose how many features are tried at each split; by single rows left out of the bag, always."""
        scores = [
            self._grow(
                features, target, {**self._setting(tried), "n_estimators": 50, "oob_score": True}, seed
            ).oob_score_
            for tried in self.tried
        ]
        return self._setting(self.tried[int(np.argmax(scores))])

    def _setting(self, tried: str | float) -> Parameters:
        return {"max_features": tried, "min_samples_leaf": self.min_samples_leaf, "n_estimators": self.n_trees}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Grow the forest."""
        return self._grow(features, target, parameters, seed)

    def _grow(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        # in one thread: threads add up trees in any order, contend for the process's warning filters,
        # and save a quarter of the time at best
        forest = RandomForestRegressor(random_state=seed, n_jobs=1, **parameters)
        return forest.fit(features.values, target)


class LightGBM:
    """Gradient-boosted trees; size of leaves and number of trees by inner cross-validation.

    Each tree sees a tenth of the features in 63 bins and has at most 15 leaves, which is faster than
    LightGBM's defaults on 512 dimensions, tuning included, and no worse (``benchmarks.models``).
    """

    name = "lightgbm"
    usual: ClassVar[Parameters] = {"min_data_in_leaf": 10, "n_estimators": 150}
    leaf_sizes = (5, 20)
    max_trees = 400

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose among two leaf sizes and up to 400 trees, stopping 30 after the best."""
        import lightgbm

        inner = [(f.train, f.test) for f in inner_folds(len(target), groups, n_folds=N_INNER_FOLDS, seed=seed)]
        best: tuple[float, Parameters] = (np.inf, {})
        for size in self.leaf_sizes:
            settings = {**self._settings(features, seed), "min_data_in_leaf": size}
            rows = lightgbm.Dataset(features.values, target, params=settings, free_raw_data=False)
            stop: list[Callable[..., Any]] = [lightgbm.early_stopping(30, verbose=False)]
            history: Any = lightgbm.cv(settings, rows, self.max_trees, folds=inner, callbacks=stop)
            # with early stopping the path of errors ends at its lowest
            path = history["valid l2-mean"]
            if path[-1] < best[0]:
                best = (path[-1], {"min_data_in_leaf": size, "n_estimators": len(path)})
        return best[1]

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Grow the trees."""
        import lightgbm

        settings = {**self._settings(features, seed), "min_data_in_leaf": parameters["min_data_in_leaf"]}
        names = _plain_names(features.names)
        rows = lightgbm.Dataset(features.values, target, params=settings, feature_name=names)
        return lightgbm.train(settings, rows, parameters["n_estimators"])

    def _settings(self, features: FeatureMatrix, seed: int) -> Parameters:
        return {
            "objective": "regression",
            "metric": "l2",
            "learning_rate": 0.05,
            "num_leaves": 15,
            "max_bin": 63,
            "feature_fraction": min(1.0, max(0.1, 10 / len(features.names))),
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            # a second thread spends more time waiting for the first than it saves
            "num_threads": 1,
            "verbosity": -1,
        }


ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator
    for estimator in (Ridge(), PartialLeastSquares(), SupportVectors(), RandomForest(), LightGBM())
}


def _plain_names(names: Sequence[str]) -> list[str]:
    """Return names that LightGBM takes: users' own may hold commas, quotes and blanks, which it refuses."""
    if all(re.fullmatch(r"[\w.-]+", name, re.ASCII) for name in names):
        return list(names)
    return [f"feature_{place:03d}" for place in range(len(names))]


def _behind_scaler(features: FeatureMatrix, target: Array, regressor: Any) -> Any:
    """Fit a regressor on scaled features, and join the two as one model of unscaled ones."""
    from sklearn.pipeline import Pipeline

    scaler = fit_scaler(features)
    regressor.fit(scaler.transform(features.values.astype(np.float64)), target)
    return Pipeline([("scaler", scaler), ("regressor", regressor)])


def _on_standard_target(regressor: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
