"""Which features a model leans on: permutation on held-out LSOAs, and Gini.

The dimensions of an embedding are correlated and have no names. A model can lean on one of many that
say the same, so a low importance does not mean that a dimension knows nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.comparison import best_model
from streetimd_assets.science.estimators import ESTIMATORS, Estimator, RandomForest, Regressor
from streetimd_assets.science.folds import random_folds
from streetimd_assets.science.matrices import FeatureMatrix, feature_matrix, require_enough, with_target
from streetimd_assets.science.model_tables import Model

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
# from the number of a feature and copies with it shuffled to predictions; None if it is never looked at
Ask = Callable[[int, Values], Array | None]


def feature_importances(
    features: pd.DataFrame,
    target: pd.Series,
    scores: pd.DataFrame | None = None,
    *,
    target_name: str,
    shares: Sequence[str],
    statistic: str = "mean",
    n_folds: int = 5,
    n_permutations: int = 5,
    n_trees: int = 100,
    seed: int,
    feature_set: str = "both",
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Rank features of the random forest on embeddings and shares, and of the best tuned model.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``.
    target
        What is predicted, indexed by ``lsoa_code``.
    scores
        Rows of ``model_scores``, which tell the best tuned model; None for the forest alone.
    target_name
        Column of ``deprivation_indices`` predicted.
    shares
        Columns of category shares, such as ``shops_share``.
    statistic
        How images are pooled: mean, median or max.
    n_folds
        Random folds: each model is tuned and fitted without the LSOAs it is then asked about.
    n_permutations
        Times each feature is shuffled within each fold.
    n_trees
        Trees of the forest.
    seed
        Seed of folds, models and shuffles.
    feature_set
        Features of the forest: ``both``, or ``table`` where there are no images.
    progress
        Called with a line of text before each model.

    Returns
    -------
    feature_importances
        ``permutation``: loss of pooled held-out R² when the feature is shuffled, mean and standard
        deviation over shuffles. ``gini``, for the forest: share of impurity removed in a forest on all
        LSOAs, and standard deviation over its trees; it favours features with many values, and comes
        from LSOAs the forest has seen. Position 1 is the highest of its model and method.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have features and a target, or rows that differ in encoder or category
        set are mixed.
    """
    known, observed = with_target(features, target)
    learners = {**ESTIMATORS, RandomForest.name: RandomForest(n_trees)}
    forest = Model(target_name, feature_set, RandomForest.name, None if feature_set == "table" else statistic)
    models = dict.fromkeys([forest, best_model(scores)] if scores is not None else [forest])
    tables = []
    for number, model in enumerate(models, start=1):
        if progress:
            progress(f"importance {number} of {len(models)}: {model.model_id}")
        matrix = feature_matrix(known, shares=shares, **model.matrix_arguments())
        require_enough(len(matrix.lsoa_codes), "have these features and a target")
        truth = observed.loc[list(matrix.lsoa_codes)].to_numpy()
        learner = learners[model.estimator]
        losses = permutation_losses(
            learner, matrix, truth, n_folds=n_folds, n_permutations=n_permutations, seed=seed
        )
        tables.append(_ranked(model, "permutation", matrix.names, losses))
        if model.estimator == RandomForest.name:
            tables.append(_ranked(model, "gini", matrix.names, gini_shares(learner, matrix, truth, seed=seed)))
    key = list(TABLES["feature_importances"].key)
    return pd.concat(tables).sort_values(key, ignore_index=True)


def permutation_losses(
    estimator: Estimator,
    matrix: FeatureMatrix,
    target: Array,
    *,
    n_folds: int,
    n_permutations: int,
    seed: int,
) -> Array:
    """Loss of pooled held-out R² when each feature is shuffled among the LSOAs of a fold.

    Parameters
    ----------
    estimator
        Tuned and fitted on the rest of each fold.
    matrix
        Features, shape (n_lsoas, n_features).
    target
        Shape (n_lsoas,).
    n_folds, n_permutations
        Folds, and shuffles within each.
    seed
        Seed of folds, models and shuffles.

    Returns
    -------
    losses
        Shape (n_permutations, n_features).

    References
    ----------
    Breiman, L. (2001), Random forests, Machine Learning 45. https://doi.org/10.1023/A:1010933404324
    """
    rng = np.random.default_rng(seed)
    losses = np.zeros((n_permutations, len(matrix.names)))
    for fold in random_folds(len(target), n_folds=n_folds, seed=seed):
        train, known = matrix.take(fold.train), target[fold.train]
        model = estimator.fit(train, known, estimator.tune(train, known, seed=seed), seed=seed)
        values, truth = matrix.values[fold.test], target[fold.test]
        orders = np.array([rng.permutation(len(truth)) for _ in range(n_permutations)])
        before = np.sum((truth - np.asarray(model.predict(values))) ** 2)
        for feature, predicted in shuffled_predictions(model, values, orders):
            losses[:, feature] += np.sum((truth - predicted) ** 2, axis=1) - before
    return losses / np.sum((target - target.mean()) ** 2)


def shuffled_predictions(
    model: Regressor, values: Values, orders: npt.NDArray[np.intp]
) -> Iterator[tuple[int, Array]]:
    """Predict with one feature shuffled, for each feature the model uses.

    All shuffles of a feature are predicted in one call, a forest asks only the trees that split on the
    feature, and support vectors change one term of their distances: the answer is the same as by the
    obvious loop and comes many times sooner.

    Parameters
    ----------
    model
        A fitted model.
    values
        Features of the held-out LSOAs, shape (n_lsoas, n_features).
    orders
        Row numbers in shuffled order, shape (n_shuffles, n_lsoas).

    Yields
    ------
    feature, predicted
        Number of the feature, and predictions of shape (n_shuffles, n_lsoas).
    """
    copies = np.tile(values, (len(orders), 1))
    ask = _asking(model, values)
    for feature in range(values.shape[1]):
        copies[:, feature] = values[orders, feature].ravel()
        predicted = ask(feature, copies)
        copies[:, feature] = np.tile(values[:, feature], len(orders))
        if predicted is not None:
            yield feature, predicted.reshape(len(orders), len(values))


def _asking(model: Any, values: Values) -> Ask:
    """Choose the shortest way to predict copies of the values in which one feature is shuffled."""
    import lightgbm
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import RandomForestRegressor

    if isinstance(model, RandomForestRegressor):
        return _forest_by_feature(model, values)
    if isinstance(model, lightgbm.Booster):
        n_splits = model.feature_importance("split")
        return lambda feature, copies: (
            np.asarray(model.predict(copies, num_threads=1)) if n_splits[feature] else None
        )
    if isinstance(model[-1], TransformedTargetRegressor):
        return _support_vectors_by_feature(model, values)
    return lambda _, copies: np.asarray(model.predict(copies))


def _support_vectors_by_feature(model: Any, values: Values) -> Ask:
    """Change one term of the distances to the support vectors; the others stay as they are."""
    from sklearn.metrics.pairwise import rbf_kernel

    scaler, machine, unit = model[0], model[-1].regressor_, model[-1].transformer_
    vectors, gamma = machine.support_vectors_, machine.gamma
    weights = rbf_kernel(scaler.transform(values.astype(np.float64)), vectors, gamma=gamma) * machine.dual_coef_

    def scaled(rows: Values, feature: int) -> Array:
        return (rows[:, feature].astype(np.float64) - scaler.mean_[feature]) / scaler.scale_[feature]

    def ask(feature: int, copies: Values) -> Array:
        old, there = scaled(values, feature), vectors[:, feature]
        new = scaled(copies, feature).reshape(-1, len(values))
        # (new - there)² - (old - there)²
        further = (new - old)[:, :, None] * ((new + old)[:, :, None] - 2 * there)
        standard = np.einsum("ik,rik->ri", weights, np.exp(-gamma * further)) + machine.intercept_
        return np.asarray(unit.inverse_transform(standard.reshape(-1, 1)).ravel())

    return ask


def _forest_by_feature(forest: Any, values: Values) -> Ask:
    """Ask only the trees that split on the feature; the others answer as before."""
    trees = [member.tree_ for member in forest.estimators_]
    before = np.stack([tree.predict(values).ravel() for tree in trees])
    users: dict[int, list[int]] = {}
    for number, tree in enumerate(trees):
        for feature in np.unique(tree.feature[tree.feature >= 0]):
            users.setdefault(int(feature), []).append(number)

    def ask(feature: int, copies: Values) -> Array | None:
        if feature not in users:
            return None
        others = before.sum(axis=0) - before[users[feature]].sum(axis=0)
        total = np.tile(others, len(copies) // len(values))
        for number in users[feature]:
            total += trees[number].predict(copies).ravel()
        return np.asarray(total / len(trees))

    return ask


def gini_shares(estimator: Estimator, matrix: FeatureMatrix, target: Array, *, seed: int) -> Array:
    """Share of impurity each feature removes, tree by tree, in a forest fitted on every LSOA.

    Returns
    -------
    shares
        Shape (n_trees, n_features); each row sums to one, or to zero for a tree of one leaf.
    """
    parameters = estimator.tune(matrix, target, seed=seed)
    forest: Any = estimator.fit(matrix, target, parameters, seed=seed)
    return np.array([member.feature_importances_ for member in forest.estimators_])


def _ranked(model: Model, method: str, names: Sequence[str], draws: Array) -> pd.DataFrame:
    """Rows of one model and method from draws of shape (n_draws, n_features)."""
    table = pd.DataFrame(
        {
            "model_id": model.model_id,
            "method": method,
            "feature": list(names),
            "importance": draws.mean(axis=0),
            "importance_sd": draws.std(axis=0, ddof=min(1, len(draws) - 1)),
        }
    )
    ranked = table.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)
    return ranked.assign(position=np.arange(1, len(ranked) + 1))
