"""The short ways to predict shuffled features give what the obvious loop gives."""

import numpy as np
import pytest

from benchmarks.models import losses_by_stacking, shuffles_of_sklearn
from streetimd_assets.science import shuffling
from streetimd_assets.science.estimators import ESTIMATORS, RandomForest, fit_scaler
from streetimd_assets.science.matrices import feature_matrix
from streetimd_assets.science.shuffling import predictions, shuffled_predictions, turned_predictions
from streetimd_tests.planted_features import SHARES, planted_world

N_HELD_OUT = 30
ORDERS = np.array([np.random.default_rng(seed).permutation(N_HELD_OUT) for seed in range(2)])
LEARNERS = {**ESTIMATORS, "random_forest": RandomForest(20)}


@pytest.fixture(scope="module")
def asked():
    features, target, _ = planted_world(160, 12, r2=0.8)
    return feature_matrix(features, "both", shares=SHARES), target.to_numpy()


@pytest.fixture(scope="module")
def models(asked):
    matrix, target = asked
    train, known = matrix.take(np.arange(N_HELD_OUT, 160)), target[N_HELD_OUT:]
    fitted = {
        name: learner.fit(train, known, learner.tune(train, known, seed=1), seed=1)
        for name, learner in LEARNERS.items()
    }
    return {**fitted, "pls of scikit-learn": partial_least_squares(train, known)}


def partial_least_squares(train, known):
    from sklearn.cross_decomposition import PLSRegression
    from sklearn.pipeline import Pipeline

    scaler = fit_scaler(train)
    regressor = PLSRegression(3, scale=False).fit(scaler.transform(train.values), known[:, None])
    model = Pipeline([("scaler", scaler), ("regressor", regressor)])
    # the shape that a sum over LSOAs would be spread out by without a word
    assert model.predict(train.values).shape == (len(known), 1)
    return model


def obvious(model, values, groups):
    """Predict each copy of the rows, one group and shuffle at a time."""
    predicted = np.empty((groups.max() + 1, *ORDERS.shape))
    for group in range(groups.max() + 1):
        for repeat, order in enumerate(ORDERS):
            changed = values.copy()
            changed[:, groups == group] = values[order][:, groups == group]
            predicted[group, repeat] = predictions(model, changed)
    return predicted


@pytest.mark.parametrize("name", [*LEARNERS, "pls of scikit-learn"])
@pytest.mark.parametrize("groups", [np.arange(15), np.array([0, 1, 2, 0, 1, 1, 3, 3, 3, 2, 2, 0, 0, 1, 2])])
def test_the_short_way_predicts_what_the_obvious_loop_predicts(asked, models, name, groups):
    values = asked[0].values[:N_HELD_OUT]
    found = shuffled_predictions(models[name], values, ORDERS, groups)
    expected = obvious(models[name], values, groups)
    assert np.ptp(expected, axis=0).max() > 0.1, "shuffling must change something, or nothing is compared"
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["random_forest", "ridge", "svr"])
def test_losses_are_those_of_scikit_learn_with_the_same_shuffles(asked, models, name):
    from sklearn.inspection import permutation_importance

    values, truth = asked[0].values[:N_HELD_OUT], asked[1][:N_HELD_OUT]
    theirs = permutation_importance(models[name], values, truth, n_repeats=4, random_state=7).importances
    orders = shuffles_of_sklearn(N_HELD_OUT, 4, seed=7)
    assert theirs.std(axis=1).max() > 0.01, "shuffles must differ, or any would do"
    np.testing.assert_allclose(losses_by_stacking(models[name], values, truth, orders), theirs, rtol=0, atol=1e-6)


def test_left_out_groups_are_single_features(asked, models):
    values = asked[0].values[:N_HELD_OUT]
    singles = shuffled_predictions(models["ridge"], values, ORDERS)
    np.testing.assert_array_equal(singles, shuffled_predictions(models["ridge"], values, ORDERS, np.arange(15)))


def test_support_vectors_far_off_are_predicted_as_exactly(asked, models, monkeypatch):
    # a feature whose series would not converge is predicted copy by copy
    values = asked[0].values[:N_HELD_OUT]
    by_series = shuffled_predictions(models["svr"], values, ORDERS)
    reach = np.median(shuffling._SupportVectors.of(models["svr"]).reach(values))
    monkeypatch.setattr(shuffling, "_FEATURES_AT_ONCE", 4)
    for farthest in (8.0, reach, 0):
        monkeypatch.setattr(shuffling, "_FARTHEST", farthest)
        np.testing.assert_allclose(shuffled_predictions(models["svr"], values, ORDERS), by_series, atol=1e-9)


@pytest.mark.parametrize("name", [*LEARNERS, "pls of scikit-learn"])
def test_scores_along_a_direction_are_shuffled_and_the_rest_stays(asked, models, name):
    values = asked[0].values[:N_HELD_OUT].astype(float)
    directions = np.linalg.qr(np.random.default_rng(3).normal(size=(15, 2)))[0].T
    found = turned_predictions(models[name], values, ORDERS, directions)
    for number, direction in enumerate(directions):
        for repeat, order in enumerate(ORDERS):
            moved = (
                values - np.outer(values @ direction, direction) + np.outer(values[order] @ direction, direction)
            )
            np.testing.assert_allclose(found[number, repeat], predictions(models[name], moved), atol=1e-4)
    assert np.ptp(found, axis=1).max() > 0.1


def test_an_axis_as_direction_is_that_feature(asked, models):
    values = asked[0].values[:N_HELD_OUT]
    for name in ("ridge", "lightgbm", "svr"):
        turned = turned_predictions(models[name], values, ORDERS, np.eye(15)[[4]])
        np.testing.assert_allclose(turned[0], shuffled_predictions(models[name], values, ORDERS)[4], atol=1e-5)


def test_a_tree_that_never_splits_changes_nothing(asked):
    matrix, target = asked
    stump = RandomForest(3).fit(matrix, np.ones_like(target), {"n_estimators": 3}, seed=1)
    np.testing.assert_array_equal(shuffled_predictions(stump, matrix.values[:N_HELD_OUT], ORDERS), 1.0)
