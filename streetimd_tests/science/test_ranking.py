"""Ranking: the band is of the same kind and model, and stability is counted over seeds."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.model_tables import Model
from streetimd_assets.science.ranking import N_TOP, Draws, leading_beside_chance, ranked_features

MODEL = Model("imd_rank", "both", "random_forest", "mean")


def names_of(n):
    return [f"mean_embedding_{number:03d}" for number in range(n)]


def test_mean_and_spread_are_over_seeds_and_repeats_together():
    true = np.array([[[1.0, 5.0], [3.0, 5.0]], [[5.0, 5.0], [7.0, 5.0]]])
    rows = ranked_features(MODEL, "permutation", ["a", "b"], Draws(true, np.empty((0, 2))))
    assert tuple(rows.columns) == TABLES["feature_importances"].column_names
    first, second = rows.to_dict("records")
    assert (first["feature"], first["importance"], first["importance_sd"]) == ("b", 5, 0)
    assert (second["importance"], second["importance_sd"]) == (4, pytest.approx(np.std([1, 3, 5, 7], ddof=1)))
    assert rows["position"].tolist() == [1, 2]
    assert rows["importance"].is_monotonic_decreasing


def test_equal_features_stand_by_name():
    rows = ranked_features(MODEL, "gini", ["c", "a", "b"], Draws(np.ones((1, 1, 3)), np.ones((1, 3))))
    assert rows["feature"].tolist() == ["a", "b", "c"]


def test_the_band_is_over_features_and_shuffles_together():
    chance = np.arange(200.0).reshape(2, 100)
    rows = ranked_features(MODEL, "permutation", names_of(100), Draws(np.zeros((1, 1, 100)), chance))
    np.testing.assert_allclose(rows["band_low"], 199 * 0.025)
    np.testing.assert_allclose(rows["band_high"], 199 * 0.975)
    assert (rows["band_top"] == 199).all()


def test_kinds_that_get_different_shares_by_chance_have_a_band_each():
    chance = np.array([[1.0, 1.0, 5.0], [2.0, 2.0, 9.0]])
    rows = ranked_features(
        MODEL, "gini", ["a", "b", "c"], Draws(np.zeros((1, 1, 3)), chance), kinds=[True, True, False]
    )
    assert rows.set_index("feature")["band_top"].to_dict() == {"a": 2, "b": 2, "c": 9}


def test_without_shuffled_targets_the_band_is_not_known():
    rows = ranked_features(MODEL, "gini", ["a", "b"], Draws(np.zeros((1, 1, 2)), np.empty((0, 2))))
    assert rows[["band_low", "band_high", "band_top"]].isna().all(axis=None)


def test_top_share_counts_the_seeds_in_which_a_feature_is_among_the_highest():
    n = N_TOP + 5
    true = np.zeros((4, 1, n))
    true[:, 0] = -np.arange(n)
    # the last comes first in one seed of four, and pushes out the twentieth there
    true[2, 0, -1] = 1
    shares = Draws(true, np.empty((0, n))).top_share()
    assert shares[0] == 1
    assert shares[N_TOP - 1] == 0.75
    assert shares[N_TOP] == 0
    assert shares[-1] == 0.25
    assert shares.sum() == N_TOP


@pytest.mark.parametrize(("n_seeds", "n"), [(1, 40), (3, N_TOP)])
def test_top_share_is_not_known_of_one_seed_or_of_few_features(n_seeds, n):
    rows = ranked_features(MODEL, "permutation", names_of(n), Draws(np.ones((n_seeds, 2, n)), np.empty((0, n))))
    assert rows["top_share"].isna().all()


def test_the_leading_feature_is_held_against_the_highest_that_chance_gives():
    n = 40
    chance = np.zeros((2, n))
    chance[0, 5] = 0.3
    true = np.zeros((1, 1, n))
    true[0, 0, :4] = [0.1, 0.2, 0.4, 0.1]
    fewer = ranked_features(MODEL, "permutation", names_of(5), Draws(true[..., 1:6] * 9, chance[:, :5]))
    other = Model("imd_rank", "embeddings", "ridge", "mean").model_id
    rows = [
        fewer.assign(model_id=other),
        ranked_features(MODEL, "permutation", names_of(n), Draws(true, chance)),
        ranked_features(MODEL, "gini", names_of(n), Draws(true[..., ::-1] * 5, chance)),
    ]
    found = leading_beside_chance(pd.concat(rows, ignore_index=True))
    assert (found.feature, found.loss, found.loss_by_chance) == ("mean_embedding_002", 0.4, 0.3)
    assert (found.n_above_band, found.n_expected) == (4, pytest.approx(1))
