"""How fast models are tuned, fitted and asked what they lean on, beside the libraries' own defaults.

    python -m benchmarks.models

1,500 LSOAs with 512 random dimensions, whose target is linear in 40 of them, so that R² here says nothing of
real places. Each learner tunes and fits itself, as in the analysis, on 1,200, beside what a notebook does; the
other 300 tell that no score was given away. Then a forest is asked what is lost when features are shuffled:
beside scikit-learn's ``permutation_importance`` in its obvious call and in its best one, on the first 64
features and with 3 shuffles, because all 512 would take scikit-learn many minutes. The same shuffles are dealt
to each, and the losses compared. One thread each, unless it says otherwise.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.findings import Finding, conclude, parser
from streetimd_assets.science.estimators import ESTIMATORS, Estimator, Ridge
from streetimd_assets.science.matrices import FeatureMatrix
from streetimd_assets.science.shuffling import predictions, shuffled_predictions

N_LSOAS, N_TRAIN, N_DIMENSIONS, N_INFORMATIVE = 1500, 1200, 512, 40
N_ASKED, N_SHUFFLES, N_TREES = 64, 3, 200
Array = npt.NDArray[np.float64]


def planted() -> tuple[FeatureMatrix, Array]:
    """Correlated dimensions, and a target that half of is noise."""
    rng = np.random.default_rng(1)
    mixing = rng.standard_normal((60, N_DIMENSIONS))
    values = rng.standard_normal((N_LSOAS, 60)) @ mixing / 8 + 0.5 * rng.standard_normal((N_LSOAS, N_DIMENSIONS))
    signal = values[:, :N_INFORMATIVE] @ rng.standard_normal(N_INFORMATIVE)
    target = signal + signal.std() * 0.6 * rng.standard_normal(N_LSOAS)
    return matrix_of(values.astype(np.float32)), target


def matrix_of(values: npt.NDArray[np.float32]) -> FeatureMatrix:
    n_lsoas, n_features = values.shape
    codes = np.array([f"E01{number:06d}" for number in range(n_lsoas)], dtype=object)
    names = tuple(f"mean_embedding_{number:03d}" for number in range(n_features))
    return FeatureMatrix(values, names, codes)


def default_forest(values: Any, target: Array) -> Any:
    """scikit-learn's defaults: every feature at every split."""
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(n_estimators=100, random_state=1, n_jobs=1).fit(values, target)


def default_lightgbm(values: Any, target: Array) -> Any:
    """LightGBM's defaults: every feature, 255 bins, 31 leaves."""
    from lightgbm import LGBMRegressor

    return LGBMRegressor(n_estimators=200, random_state=1, n_jobs=1, verbose=-1).fit(values, target)


def searched_ridge(values: Any, target: Array) -> Any:
    """A grid over the same penalties, each fitted in 5 folds."""
    from sklearn.linear_model import Ridge as PlainRidge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), PlainRidge())
    return GridSearchCV(model, {"ridge__alpha": Ridge.penalties}, cv=5, n_jobs=1).fit(values, target)


def ridge_cv(values: Any, target: Array) -> Any:
    """scikit-learn's own closed form over the same penalties, each LSOA left out in turn."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(Ridge.penalties)).fit(values, target)


# estimator, what stands beside it, the least ratio of their times, and that of their R²
PLAIN: list[tuple[str, str, Callable[[Any, Array], Any], str, str]] = [
    ("random_forest", "scikit-learn's defaults, one fit of as many trees", default_forest, ">= 2", ">= 0.8"),
    ("lightgbm", "LightGBM's defaults, one fit of 200 trees", default_lightgbm, ">= 1", ">= 0.95"),
    ("ridge", "scikit-learn's grid search over the same 22 penalties", searched_ridge, ">= 5", ">= 0.99"),
    ("ridge", "scikit-learn's RidgeCV over the same 22 penalties", ridge_cv, "", ">= 0.99"),
]


def learners() -> Iterator[Finding]:
    """Tune and fit each learner, beside the plain way, and score both on LSOAs that neither saw."""
    matrix, target = planted()
    train, rest = np.arange(N_TRAIN), np.arange(N_TRAIN, N_LSOAS)
    for name, beside, plain, wanted, as_good in PLAIN:
        learn(ESTIMATORS[name], matrix.take(np.arange(60)), target[:60])
        ours, ours_s = timed(lambda name=name: learn(ESTIMATORS[name], matrix.take(train), target[train]))
        theirs, theirs_s = timed(lambda plain=plain: plain(matrix.values[train], target[train]))
        what = f"{name} tuned and fitted on {N_TRAIN:,} x {N_DIMENSIONS}"
        yield Finding(what, ours_s, "s", beside, theirs_s, wanted)
        scores = [r2(target[rest], predictions(model, matrix.values[rest])) for model in (ours, theirs)]
        yield Finding(
            f"R² on {len(rest)} more by {name}", scores[0], "", beside, scores[1], as_good, more_is_better=True
        )


def learn(estimator: Estimator, matrix: FeatureMatrix, target: Array) -> Any:
    """Tune, then fit with what was chosen."""
    return estimator.fit(matrix, target, estimator.tune(matrix, target, seed=1), seed=1)


def r2(truth: Array, predicted: Array) -> float:
    return float(1 - np.sum((truth - predicted) ** 2) / np.sum((truth - truth.mean()) ** 2))


def importance() -> Iterator[Finding]:
    """Shuffle features of a forest, beside scikit-learn."""
    from sklearn.ensemble import RandomForestRegressor

    matrix, target = planted()
    values = matrix.values[:, :N_ASKED]
    forest = RandomForestRegressor(N_TREES, max_features=1 / 3, min_samples_leaf=3, random_state=1, n_jobs=2)
    forest.fit(values[:N_TRAIN], target[:N_TRAIN])
    held_out, truth = values[N_TRAIN:], target[N_TRAIN:]
    obvious, obvious_s = timed(lambda: by_sklearn(forest, held_out, truth))
    forest.set_params(n_jobs=1)
    best, best_s = timed(lambda: by_sklearn(forest, held_out, truth))
    ours, ours_s = timed(lambda: by_stacking(forest, held_out, truth))
    np.testing.assert_allclose(best, obvious, rtol=0, atol=1e-12)
    what = (
        f"permutation importance, {N_ASKED} features x {N_SHUFFLES} shuffles, {len(truth)} LSOAs, {N_TREES} trees"
    )
    yield Finding(what, ours_s, "s", "scikit-learn, a forest of n_jobs=2", obvious_s, ">= 8")
    yield Finding(what, ours_s, "s", "scikit-learn, a forest of n_jobs=1", best_s)
    yield Finding("largest difference of a loss of R²", float(np.abs(ours - best).max()), "R²", wanted="<= 1e-6")


def by_sklearn(forest: Any, values: Any, truth: Array) -> Array:
    """Ask scikit-learn: it predicts all rows once for every feature and shuffle."""
    from sklearn.inspection import permutation_importance

    return permutation_importance(forest, values, truth, n_repeats=N_SHUFFLES, random_state=1, n_jobs=1).importances


def by_stacking(forest: Any, values: Any, truth: Array) -> Array:
    """Ask ours, each feature with the shuffles that scikit-learn deals it."""
    return losses_by_stacking(forest, values, truth, shuffles_of_sklearn(len(truth), N_SHUFFLES, seed=1))


def shuffles_of_sklearn(n_rows: int, n_shuffles: int, *, seed: int) -> npt.NDArray[np.intp]:
    """Orders in which ``permutation_importance`` puts a column, the same for every feature.

    It shuffles the numbers of the rows further each time, and puts the column of the time before in that order.
    """
    dealt = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    rng, dealing, order = np.random.RandomState(dealt), np.arange(n_rows), np.arange(n_rows)
    orders = []
    for _ in range(n_shuffles):
        rng.shuffle(dealing)
        order = order[dealing]
        orders.append(order)
    return np.array(orders)


def losses_by_stacking(forest: Any, values: Any, truth: Array, orders: npt.NDArray[np.intp]) -> Array:
    """Loss of R² of each feature and shuffle, shape (n_features, n_shuffles)."""
    predicted = shuffled_predictions(forest, values, orders)
    before = r2(truth, predictions(forest, values))
    total = np.sum((truth - truth.mean()) ** 2)
    return np.asarray(before - (1 - np.sum((truth - predicted) ** 2, axis=2) / total))


def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    answer = act()
    return answer, time.monotonic() - began


def measure() -> Iterator[Finding]:
    """Measure all."""
    yield from learners()
    yield from importance()


if __name__ == "__main__":
    sys.exit(conclude("models", measure(), keep=parser(__doc__).parse_args().keep))
