"""Importance: planted features come first, the others have none, and the short way equals the long one."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.comparison import tuned_models
from streetimd_assets.science.estimators import ESTIMATORS, RandomForest
from streetimd_assets.science.importance import feature_importances, permutation_losses, shuffled_predictions
from streetimd_assets.science.matrices import feature_matrix
from streetimd_tests.planted_features import SHARES, planted_world, shuffled

GIVEN = {"target_name": "imd_score", "shares": SHARES, "n_trees": 30, "n_permutations": 3, "seed": 1}


@pytest.fixture(scope="module")
def world():
    return planted_world(160, 12, r2=0.8)


@pytest.fixture(scope="module")
def importances(world):
    features, target, coordinates = world
    models = tuned_models(
        features, target, coordinates, target_name="imd_score", shares=SHARES, seed=1, estimators=["ridge"]
    )
    return feature_importances(features, target, models.scores, **GIVEN)


def test_the_planted_dimension_comes_first_for_every_model_and_method(importances):
    first = importances[importances["position"] == 1]
    assert set(first["feature"]) == {"mean_embedding_000"}
    assert set(zip(first["model_id"].str.split("/").str[2], first["method"], strict=True)) == {
        ("random_forest", "permutation"),
        ("random_forest", "gini"),
        ("ridge", "permutation"),
    }


def test_features_that_say_nothing_lose_nothing_on_held_out_lsoas(importances):
    rows = importances[importances["method"] == "permutation"]
    assert (rows.loc[rows["position"] == 1, "importance"] > 0.5).all()
    assert (rows.loc[rows["position"] > 1, "importance"].abs() < 0.05).all()


def test_gini_shares_sum_to_one(importances):
    assert importances.loc[importances["method"] == "gini", "importance"].sum() == pytest.approx(1)


def test_every_feature_is_ranked_once_with_the_declared_columns(importances):
    assert set(importances.columns) == set(TABLES["feature_importances"].column_names)
    for _, rows in importances.groupby(["model_id", "method"]):
        ranked = rows.sort_values("position")
        assert ranked["position"].tolist() == list(range(1, len(rows) + 1))
        assert ranked["importance"].is_monotonic_decreasing
        assert ranked["feature"].is_unique
    forest = importances[importances["model_id"] == "imd_score/both-mean/random_forest"]
    assert set(SHARES) < set(forest["feature"])


def test_in_a_null_world_no_feature_matters():
    features, target, _ = planted_world(160, 12, r2=0.0, seed=2)
    rows = feature_importances(features, target, **GIVEN)
    assert (rows.loc[rows["method"] == "permutation", "importance"] < 0.03).all()


def test_shuffled_rows_give_the_same_table(world):
    features, target, _ = world
    one = feature_importances(features, target, **GIVEN)
    pd.testing.assert_frame_equal(one, feature_importances(shuffled(features), shuffled(target), **GIVEN))


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_the_short_way_predicts_what_the_obvious_loop_predicts(world, name):
    features, target, _ = world
    matrix = feature_matrix(features, "both", shares=SHARES)
    learner = {**ESTIMATORS, "random_forest": RandomForest(20)}[name]
    values, truth = matrix.values[:30], target.to_numpy()
    model = learner.fit(matrix, truth, learner.tune(matrix, truth, seed=1), seed=1)
    orders = np.array([np.random.default_rng(seed).permutation(30) for seed in range(2)])
    found = dict(shuffled_predictions(model, values, orders))
    for feature in range(values.shape[1]):
        for repeat, order in enumerate(orders):
            changed = values.copy()
            changed[:, feature] = values[order, feature]
            predicted = found[feature][repeat] if feature in found else model.predict(values)
            np.testing.assert_allclose(predicted, model.predict(changed), rtol=1e-5, atol=1e-6)


def test_losses_are_about_held_out_lsoas_and_not_about_those_fitted_on():
    # a forest remembers noise: asked about LSOAs it has seen it would lean on features that say nothing
    features, target, _ = planted_world(80, 6, r2=0.0)
    matrix = feature_matrix(features, "embeddings", shares=SHARES)
    losses = permutation_losses(RandomForest(30), matrix, target.to_numpy(), n_folds=4, n_permutations=3, seed=1)
    assert losses.shape == (3, 6)
    assert losses.mean() < 0.03


def test_too_few_lsoas_are_refused(world):
    with pytest.raises(ScienceError, match="9 LSOAs have features"):
        feature_importances(world[0].head(9), world[1], **GIVEN)
