"""Estimators: each tunes itself on training rows alone, then is fitted with what it chose.

Adding an estimator is one class with ``name``, ``tune`` and ``fit``, and one entry in
:data:`ESTIMATORS`. What it learns from data (scales, penalties, the number of trees) it learns from
the matrix it is given, which is the training part of a fold. All are made of scikit-learn's and
LightGBM's own types, so a fitted model opens in a notebook without this package.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.folds import random_folds
from streetimd_assets.science.matrices import FeatureMatrix

Array = npt.NDArray[np.float64]
Parameters = dict[str, Any]
N_INNER_FOLDS = 3


class Regressor(Protocol):
    """A fitted model."""

    def predict(self, X: Any, /) -> Any:
        """Predict the target, shape (n,), from features of shape (n, n_features)."""


class Estimator(Protocol):
    """A way to learn the target from features."""

    name: str

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Choose parameters, looking at these rows only."""

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
    """Linear regression with a squared penalty, chosen by closed-form leave-one-out error."""

    name = "ridge"
    penalties = np.logspace(-1, 6, 22)

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Choose the penalty among 22 from 0.1 to a million."""
        from sklearn.linear_model import RidgeCV

        scaled = fit_scaler(features).transform(features.values.astype(np.float64))
        return {"alpha": float(RidgeCV(alphas=self.penalties).fit(scaled, target).alpha_)}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Scale, then fit."""
        from sklearn import linear_model

        return _behind_scaler(features, target, linear_model.Ridge(**parameters))


class SupportVectors:
    """Support vector regression with a Gaussian kernel, on a standardised target.

    Its time grows with the square of the rows, so at most `max_rows` of them, chosen at random, are
    used.
    """

    name = "svr"
    costs = (0.3, 1.0, 3.0, 10.0)
    max_rows = 4000

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Choose the cost of errors by inner cross-validation; the kernel's width is fixed."""
        from sklearn.metrics.pairwise import rbf_kernel

        features, target = self._sample(features, target, seed)
        gamma = 1 / len(features.names)
        # the kernel is the same in every inner fold and for every cost: work it out once
        scaled = fit_scaler(features).transform(features.values.astype(np.float64))
        kernel = rbf_kernel(scaled, gamma=gamma)
        errors = [self._inner_error(kernel, target, cost, seed) for cost in self.costs]
        return {"C": self.costs[int(np.argmin(errors))], "gamma": gamma}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Scale features and target, then fit."""
        from sklearn.svm import SVR

        features, target = self._sample(features, target, seed)
        return _behind_scaler(features, target, _on_standard_target(SVR(cache_size=500, **parameters)))

    def _sample(self, features: FeatureMatrix, target: Array, seed: int) -> tuple[FeatureMatrix, Array]:
        if len(target) <= self.max_rows:
            return features, target
        rows = np.sort(np.random.default_rng(seed).choice(len(target), self.max_rows, replace=False))
        return features.take(rows), target[rows]

    def _inner_error(self, kernel: Array, target: Array, cost: float, seed: int) -> float:
        from sklearn.svm import SVR

        total = 0.0
        for fold in random_folds(len(target), n_folds=N_INNER_FOLDS, seed=seed):
            model = _on_standard_target(SVR(kernel="precomputed", C=cost))
            model.fit(kernel[np.ix_(fold.train, fold.train)], target[fold.train])
            predicted = model.predict(kernel[np.ix_(fold.test, fold.train)])
            total += float(np.sum((target[fold.test] - predicted) ** 2))
        return total


class RandomForest:
    """Random forest; the number of features tried and the size of leaves by out-of-bag error.

    The search grows 50 trees for each setting and the chosen one `n_trees`. Trying every feature at
    every split, scikit-learn's default, takes eight times as long for no better a score.
    """

    name = "random_forest"
    settings = tuple(
        {"max_features": tried, "min_samples_leaf": leaf} for tried in ("sqrt", 0.1) for leaf in (2, 5)
    )

    def __init__(self, n_trees: int = 200) -> None:
        self.n_trees = n_trees

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Choose among four settings."""
        scores = [
            self._grow(features, target, {**setting, "n_estimators": 50, "oob_score": True}, seed).oob_score_
            for setting in self.settings
        ]
        return {**self.settings[int(np.argmax(scores))], "n_estimators": self.n_trees}

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

    Each tree sees a tenth of the features in 63 bins and has at most 15 leaves, which is 17 times as
    fast as LightGBM's defaults on 512 dimensions and no worse.
    """

    name = "lightgbm"
    leaf_sizes = (5, 20)
    max_trees = 400

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Choose among two leaf sizes and up to 400 trees, stopping 30 after the best."""
        import lightgbm

        inner = [(f.train, f.test) for f in random_folds(len(target), n_folds=N_INNER_FOLDS, seed=seed)]
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


class TrainingMean:
    """Baseline: the mean of the LSOAs fitted on, for everyone."""

    name = "mean"

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Nothing to choose."""
        return {}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Remember the mean."""
        from sklearn.dummy import DummyRegressor

        return DummyRegressor().fit(features.values, target)


class Neighbours:
    """Baseline: the mean of the nearest LSOAs on the map; how many, by inner cross-validation."""

    name = "coordinates"
    counts = (3, 5, 10, 20)

    def tune(self, features: FeatureMatrix, target: Array, *, seed: int) -> Parameters:
        """Choose the number of neighbours."""
        errors = dict.fromkeys(self.counts, 0.0)
        for fold in random_folds(len(target), n_folds=N_INNER_FOLDS, seed=seed):
            inner, held_out = features.take(fold.train), features.take(fold.test)
            for count in self.counts:
                model = self.fit(inner, target[fold.train], {"n_neighbors": count}, seed=seed)
                errors[count] += float(np.sum((target[fold.test] - model.predict(held_out.values)) ** 2))
        return {"n_neighbors": min(errors, key=lambda count: errors[count])}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Remember the positions."""
        from sklearn.neighbors import KNeighborsRegressor

        count = min(parameters["n_neighbors"], len(target))
        return KNeighborsRegressor(n_neighbors=count).fit(features.values, target)


ESTIMATORS: dict[str, Estimator] = {
    estimator.name: estimator for estimator in (Ridge(), RandomForest(), LightGBM(), SupportVectors())
}
BASELINES: dict[str, Estimator] = {estimator.name: estimator for estimator in (TrainingMean(), Neighbours())}


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
