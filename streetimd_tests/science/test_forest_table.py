"""The table of forests: every set of features, each category alone, and all of them on common ground."""

import json

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.forest_table import forest_table
from streetimd_assets.study.effort import EFFORTS
from streetimd_tests.planted_features import CATEGORIES, SHARES, planted_world, shuffled


def table_of_forests(world, **arguments):
    features, target, coordinates = world
    given = {"shares": SHARES, "content_categories": CATEGORIES, "n_repeats": 2, "seed": 1, **arguments}
    return forest_table(features, target, coordinates, **given)


def pooled(scores):
    return scores[scores["fold"] == "all"].set_index("model_id")


@pytest.fixture(scope="module")
def forests():
    features, target, coordinates = planted_world(150, 12, r2=0.8, planted_in="shares")
    for how in ("mean", "median", "max"):
        for name, n_shown in (("park", 15), ("shops", 100)):
            column = f"{name}_{how}_embedding"
            features[column] = features[column].where(np.arange(150) < n_shown, None)
    return table_of_forests((features, target, coordinates))


def test_forests_are_scored_on_every_set_of_features(forests):
    rows = pooled(forests.scores).query("lsoas == 'own'")
    assert len(rows) == 2 * 3 + 1 + 3 * len(CATEGORIES)
    assert "imd_score/percentages/random_forest/repeated_80_20" in rows.index
    assert "imd_score/embeddings-max-shops/random_forest/repeated_80_20" in rows.index
    n_rows = forests.scores.groupby("model_id").size()
    assert (n_rows[~n_rows.index.str.contains("park")] == 3).all()


def test_forests_find_the_signal_where_it_was_planted(forests):
    best = pooled(forests.scores).groupby("feature_set")["r2"].max()
    assert best["percentages"] > 0.4
    assert best["embeddings"] < 0.15


def test_a_category_says_how_many_lsoas_show_it_and_too_few_have_no_score(forests):
    rows = pooled(forests.scores)
    shops = rows.loc["imd_score/embeddings-mean-shops/random_forest/repeated_80_20"]
    assert (shops["n_lsoas"], shops["n_train"], shops["n_test"]) == (100, 80, 20)
    park = rows.loc["imd_score/embeddings-max-park/random_forest/repeated_80_20"]
    assert (park["n_lsoas"], park["n_test"], park["coverage_share"]) == (15, 0, 0.1)
    assert np.isnan(park["r2"])
    assert park["note"] == "fewer than 20 LSOAs have these features"


def test_the_row_all_is_the_mean_over_repeats_inside_its_interval(forests):
    scores = forests.scores
    for model_id, rows in scores[scores["fold"] != "all"].groupby("model_id"):
        row = pooled(scores).loc[model_id]
        assert row["r2"] == pytest.approx(rows["r2"].mean())
        assert row["r2_low"] < row["r2"] < row["r2_high"]


def test_the_forest_says_how_cheap_it_is_and_repeats_itself(forests):
    scores = forests.scores
    chosen = scores.loc[scores["fold"] == "0", "parameters"].map(json.loads)
    assert all(parameters == chosen.iloc[0] for parameters in chosen)
    assert chosen.iloc[0]["n_estimators"] == 100
    features, target, coordinates = planted_world(50, 6)
    small = {"content_categories": (), "n_repeats": 1}
    one = table_of_forests((features, target, coordinates), **small)
    other = table_of_forests((shuffled(features), shuffled(target), coordinates), **small)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.differences, other.differences)


def test_forests_are_refused_too_few_lsoas():
    with pytest.raises(ScienceError, match="0 LSOAs have features"):
        table_of_forests(tuple(part.head(0) for part in planted_world(30, 4)))


# common ground


def test_categories_are_compared_on_the_lsoas_that_show_all_of_them(forests):
    common = pooled(forests.scores).query("lsoas == 'common'")
    # 15 of 150 LSOAs would have been left by the rare category, which is therefore not among them
    assert set(common["category"].dropna()) == {"terraced", "shops"}
    assert set(common["n_lsoas"]) == {100}
    assert set(common["coverage_share"]) == {100 / 150}
    assert set(common["statistic"]) == {"mean"}
    assert common["category"].isna().sum() == 1


def test_differences_are_between_forests_on_the_same_lsoas(forests):
    rows = forests.differences
    r2 = pooled(forests.scores)["r2"]
    apart = r2.loc[rows["model_id"]].to_numpy() - r2.loc[rows["reference_id"]].to_numpy()
    np.testing.assert_allclose(rows["r2_difference"], apart)
    n_lsoas = pooled(forests.scores)["n_lsoas"]
    assert (n_lsoas.loc[rows["model_id"]].to_numpy() == n_lsoas.loc[rows["reference_id"]].to_numpy()).all()
    assert "imd_score/embeddings-max/random_forest/repeated_80_20" in set(rows["model_id"])


def test_quick_tries_the_mean_of_each_category_on_its_own_lsoas_only():
    quick = table_of_forests(planted_world(60, 6), effort=EFFORTS["quick"]).scores
    assert set(quick["lsoas"]) == {"own"}
    assert set(quick.dropna(subset="category")["statistic"]) == {"mean"}
