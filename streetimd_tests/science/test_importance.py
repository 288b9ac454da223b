"""Importance: planted features come first and rise above chance, others do not, groups show what is shared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.estimators import ESTIMATORS, RandomForest
from streetimd_assets.science.examples import leading_features
from streetimd_assets.science.feature_groups import find_groups
from streetimd_assets.science.importance import feature_importances, gini_shares, permutation_losses
from streetimd_assets.science.matrices import FeatureMatrix, feature_matrix
from streetimd_assets.science.refits import Refits
from streetimd_tests.planted_features import SHARES, embedding_cells, planted_world, shuffled

GIVEN = {
    "target_name": "imd_score",
    "shares": SHARES,
    "n_trees": 30,
    "n_permutations": 3,
    "n_clusters": 6,
    "n_components": 5,
    "seed": 1,
}
FEW = GIVEN | {"n_trees": 10, "n_permutations": 2, "n_folds": 3, "n_seeds": 1, "n_shuffled_targets": 1}
FOREST = "imd_score/both-mean/random_forest"
RIDGE = "imd_score/embeddings-mean/ridge"
BOOSTED = "imd_score/percentages/lightgbm"
REFITS = Refits(n_folds=4, n_seeds=1, n_shuffled_targets=0, seed=1, tunes=True)


def score_of(estimator, feature_set="embeddings"):
    """A row of model_scores that makes this the best model."""
    told = {"fold": "all", "experiment": "tuned", "split": "random_folds", "r2": 0.5, "model_id": "any"}
    return pd.DataFrame([told | {"target": "imd_score", "feature_set": feature_set, "statistic": "mean",
                                 "estimator": estimator}])  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return planted_world(160, 24, r2=0.8)


@pytest.fixture(scope="module")
def importances(world):
    features, target, _ = world
    return feature_importances(features, target, score_of("ridge"), **GIVEN)


def test_the_planted_dimension_comes_first_for_every_model_and_method(importances):
    first = importances[importances["position"] == 1].set_index(["model_id", "method"])
    singles = first.loc[[(FOREST, "permutation"), (FOREST, "gini"), (RIDGE, "permutation")]]
    assert (singles["feature"] == "mean_embedding_000").all()
    clusters = first.loc[[(FOREST, "permutation_cluster"), (RIDGE, "permutation_cluster")]]
    assert all("mean_embedding_000" in members.split("\n") for members in clusters["members"])
    assert set(first.index) == {
        *((model, f"permutation{group}") for model in (FOREST, RIDGE) for group in ("", "_cluster", "_component")),
        (FOREST, "gini"),
        (BOOSTED, "shap"),
    }


def test_what_is_planted_rises_above_all_that_a_shuffled_target_gives(importances):
    leading = importances[importances["feature"] == "mean_embedding_000"]
    assert len(leading) == 3
    assert (leading["importance"] > leading["band_top"]).all()
    assert (leading["top_share"] == 1).all()


def test_features_that_say_nothing_lose_nothing_on_held_out_lsoas(importances):
    rows = importances[importances["method"] == "permutation"]
    assert (rows.loc[rows["position"] == 1, "importance"] > 0.5).all()
    assert (rows.loc[rows["position"] > 1, "importance"].abs() < 0.05).all()


def test_gini_shares_sum_to_one(importances):
    assert importances.loc[importances["method"] == "gini", "importance"].sum() == pytest.approx(1)


def test_every_feature_is_ranked_once_with_the_declared_columns(importances):
    assert tuple(importances.columns) == TABLES["feature_importances"].column_names
    for _, rows in importances.groupby(["model_id", "method"]):
        ranked = rows.sort_values("position")
        assert ranked["position"].tolist() == list(range(1, len(rows) + 1))
        assert ranked["importance"].is_monotonic_decreasing
        assert ranked["feature"].is_unique
    assert set(SHARES) < set(importances.loc[importances["model_id"] == FOREST, "feature"])
    assert importances["top_share"].dropna().between(0, 1).all()
    assert importances.loc[importances["method"].isin(["permutation", "gini"]), "top_share"].notna().all()
    assert (importances["band_low"] <= importances["band_high"]).all()
    assert (importances["band_high"] <= importances["band_top"]).all()


def test_groups_name_their_members_and_nothing_else_does(importances):
    is_group = importances["method"].isin(["permutation_cluster", "permutation_component"])
    assert importances.loc[~is_group, "members"].isna().all()
    clusters = importances[(importances["method"] == "permutation_cluster") & (importances["model_id"] == FOREST)]
    members = "\n".join(clusters["members"]).split("\n")
    assert sorted(members) == sorted([*(f"mean_embedding_{number:03d}" for number in range(24)), *SHARES])


def test_the_leading_features_are_single_features_of_one_method(importances):
    leading = leading_features(importances, n_features=3)
    assert leading["feature"].iloc[0] == "mean_embedding_000"
    assert set(leading["model_id"]) == {FOREST}
    assert leading["feature"].str.contains("embedding|share").all()
    of_gini = leading_features(importances[importances["method"].isin(["gini", "shap"])], n_features=30)
    assert set(of_gini["model_id"]) == {FOREST}
    assert of_gini["feature_position"].tolist() == list(range(1, len(of_gini) + 1))


def test_in_a_null_world_no_more_rise_above_the_band_than_chance_has_it():
    features, target, _ = planted_world(120, 60, r2=0.0, seed=2)
    n_shuffled = 3
    rows = feature_importances(
        features, target, score_of("ridge"), **GIVEN | {"n_seeds": 1, "n_shuffled_targets": n_shuffled}
    )
    n_tried = 0
    for (_, method), some in rows[rows["method"].isin(["permutation", "gini"])].groupby(["model_id", "method"]):
        if method == "gini":
            # shares are too few to count
            some = some[some["feature"].str.contains("_embedding_")]
        # the truth is one more shuffle among its like: how many of n lie above the 97.5% of m draws
        n, m = len(some), n_shuffled * len(some)
        allowed = stats.betabinom.ppf(0.999, n, 0.025 * m, 0.975 * m)
        assert (some["importance"] > some["band_high"]).sum() <= allowed < n / 4
        n_tried += 1
    assert n_tried == 3
    assert (rows.loc[rows["method"] == "permutation", "importance"] < 0.05).all()


def test_two_copies_of_a_dimension_share_its_importance_and_their_cluster_shows_it(world):
    features, target, _ = world
    vectors = np.stack(features["mean_embedding"])
    vectors[:, 7] = -vectors[:, 0]
    twice = features.assign(mean_embedding=embedding_cells(vectors))
    rows = feature_importances(twice, target, score_of("ridge"), **GIVEN | {"n_clusters": 23, "n_seeds": 1})
    for model in (FOREST, RIDGE):
        told = rows[rows["model_id"] == model].set_index(["method", "feature"])
        one, other = (told.loc[("permutation", f"mean_embedding_00{n}"), "importance"] for n in (0, 7))
        (cluster,) = told[told["members"] == "mean_embedding_000\nmean_embedding_007"].to_dict("records")
        # of y = w (x + x) shuffling both changes (2w x)², one (w x)²: four times as much
        assert cluster["importance"] > 1.8 * max(one, other)
        assert min(one, other) > 0.1


def rotated(matrix, turn):
    return replace(matrix, values=(matrix.values.astype(np.float64) @ turn))


def test_shuffling_a_component_is_shuffling_a_column_of_the_rotated_matrix(world):
    # ridge on a common scale does not see which way the axes point, so the two are the same number
    features, target, _ = world
    matrix = feature_matrix(features, "embeddings", shares=SHARES)
    groups = find_groups(matrix, n_clusters=2, n_components=24)
    assert groups.directions.shape == (24, 24)
    given = {"refits": replace(REFITS, n_seeds=2), "n_permutations": 2}
    turned = rotated(matrix, groups.directions.T)
    ridge, truth = ESTIMATORS["ridge"], target.to_numpy()
    components = permutation_losses(ridge, matrix, truth, groups=groups, **given)["permutation_component"]
    columns = permutation_losses(ridge, turned, truth, **given)["permutation"]
    np.testing.assert_allclose(components.true, columns.true, atol=1e-6)
    assert components.true.max() > 0.1


def test_losses_are_the_increase_of_squared_error_over_the_variation_of_the_target(world):
    # by hand: each fold's model, each column shuffled in the order used
    features, target, _ = world
    matrix, truth = feature_matrix(features, "embeddings", shares=SHARES), target.to_numpy()
    losses = permutation_losses(ESTIMATORS["ridge"], matrix, truth, refits=REFITS, n_permutations=40)
    coefficient = losses["permutation"].true.mean(axis=(0, 1))[0]
    # shuffling the one feature x of y = bx loses 2b² var(x), here 2 × 0.8 less what the penalty takes
    assert coefficient == pytest.approx(1.6, abs=0.2)


def test_losses_are_about_held_out_lsoas_and_not_about_those_fitted_on():
    # a forest remembers noise: asked about LSOAs it has seen it would lean on features that say nothing
    features, target, _ = planted_world(80, 6, r2=0.0)
    matrix = feature_matrix(features, "embeddings", shares=SHARES)
    losses = permutation_losses(RandomForest(30), matrix, target.to_numpy(), refits=REFITS, n_permutations=3)
    assert losses["permutation"].true.shape == (1, 3, 6)
    assert losses["permutation"].true.mean() < 0.03


def test_gini_gives_many_valued_noise_more_than_two_valued_noise_and_its_band_says_so():
    rng = np.random.default_rng(4)
    dimensions, shares = rng.normal(size=(120, 5)), rng.integers(0, 2, (120, 5))
    names = [f"mean_embedding_{n:03d}" for n in range(5)] + [f"kind{n}_share" for n in range(5)]
    codes = np.array([f"Z{n:03d}" for n in range(120)], dtype=object)
    matrix = FeatureMatrix(np.hstack([dimensions, shares]).astype(np.float32), tuple(names), codes)
    draws = gini_shares(
        RandomForest(40), matrix, rng.normal(size=120), refits=replace(REFITS, n_shuffled_targets=4)
    )
    assert draws.true.shape == (1, 40, 10)
    assert draws.band(~matrix.is_embedding)[1] < draws.band(matrix.is_embedding)[0]


@pytest.mark.parametrize("estimator", ["lightgbm", "svr", "pls"])
def test_whichever_model_is_best_it_is_asked(world, estimator):
    features, target, _ = world
    rows = feature_importances(features, target, score_of(estimator, "both"), **FEW)
    told = rows[rows["model_id"] == f"imd_score/both-mean/{estimator}"]
    assert (
        told.loc[(told["method"] == "permutation") & (told["position"] == 1), "feature"].item()
        == "mean_embedding_000"
    )


def test_shares_alone_are_not_grouped(world):
    features, target, _ = world
    rows = feature_importances(features, target, score_of("ridge", "percentages").assign(statistic=None), **FEW)
    assert set(rows.loc[rows["model_id"] == "imd_score/percentages/ridge", "method"]) == {"permutation"}


def test_the_same_seed_gives_the_same_table_for_rows_in_any_order(world):
    features, target, _ = world
    one = feature_importances(features, target, **FEW)
    pd.testing.assert_frame_equal(one, feature_importances(shuffled(features), shuffled(target), **FEW))
    other = feature_importances(features, target, **FEW | {"seed": 2})
    assert not one["importance"].equals(other["importance"])


def test_without_shuffled_targets_there_is_no_band(world):
    features, target, _ = world
    rows = feature_importances(features, target, **FEW | {"n_shuffled_targets": 0})
    assert rows[["band_low", "band_high", "band_top", "top_share"]].isna().all(axis=None)


def test_too_few_lsoas_are_refused(world):
    with pytest.raises(ScienceError, match="9 LSOAs have features"):
        feature_importances(world[0].head(9), world[1], **GIVEN)
