"""Feature matrices: named columns, keyed rows, nothing missing and nothing made up."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.matrices import feature_matrix, with_target
from streetimd_tests.planted_features import SHARES, embedding_cells, planted_world, shuffled


@pytest.fixture(scope="module")
def world():
    return planted_world(30, 8)


def test_columns_are_named_for_the_statistic_and_the_dimension(world):
    matrix = feature_matrix(world[0], "both", statistic="median", shares=SHARES)
    assert matrix.names[:2] == ("median_embedding_000", "median_embedding_001")
    assert matrix.names[-3:] == SHARES
    assert matrix.is_embedding.tolist() == [True] * 8 + [False] * 3


def test_columns_of_a_category_carry_its_name(world):
    matrix = feature_matrix(world[0], "embeddings", statistic="max", category="shops", shares=SHARES)
    assert matrix.names[3] == "shops_max_embedding_003"
    assert matrix.is_embedding.all()


def test_percentages_are_the_content_shares_and_nothing_else(world):
    features = world[0].assign(rejected_share=0.5, interior_share=0.5)
    matrix = feature_matrix(features, "percentages", shares=SHARES)
    assert matrix.names == SHARES
    np.testing.assert_allclose(matrix.values.sum(axis=1), 1, rtol=1e-6)


def test_rows_belong_to_their_lsoa_whatever_the_order_of_the_table(world):
    features = world[0]
    one, other = (feature_matrix(table, "both", shares=SHARES) for table in (features, shuffled(features)))
    assert one.lsoa_codes.tolist() == sorted(features["lsoa_code"])
    assert other.lsoa_codes.tolist() == one.lsoa_codes.tolist()
    np.testing.assert_array_equal(one.values, other.values)


def test_an_lsoa_without_images_of_a_category_is_left_out_of_that_category_only(world):
    features = world[0].copy()
    features.at[4, "shops_mean_embedding"] = None
    absent = features.at[4, "lsoa_code"]
    alone = feature_matrix(features, "embeddings", category="shops", shares=SHARES)
    assert absent not in alone.lsoa_codes
    assert len(alone.lsoa_codes) == 29
    assert absent in feature_matrix(features, "embeddings", shares=SHARES).lsoa_codes


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"feature_set": "pixels"}, "pixels"),
        ({"feature_set": "both", "statistic": "mode"}, "mode"),
        ({"feature_set": "embeddings", "category": "castle"}, "castle_mean_embedding"),
        ({"feature_set": "percentages", "shares": ("castle_share",)}, "castle_share"),
    ],
)
def test_what_does_not_exist_is_named(world, arguments, named):
    with pytest.raises(ScienceError, match=named):
        feature_matrix(world[0], **{"shares": SHARES, **arguments})


def test_the_target_is_joined_on_the_code_and_not_on_the_position(world):
    features, target, _ = world
    known, observed = with_target(shuffled(features, 1), shuffled(target, 2))
    pd.testing.assert_series_equal(observed, target.sort_index())
    pd.testing.assert_frame_equal(known.reset_index(drop=True), features)


def test_lsoas_without_target_or_images_are_left_out(world):
    features, target = world[0].copy(), world[1].copy()
    target.iloc[3] = np.nan
    features["mean_embedding"] = embedding_cells(np.stack(features["mean_embedding"]))
    features.at[5, "mean_embedding"] = None
    known, observed = with_target(features, target)
    assert len(known) == len(observed) == 28
    assert not {features.at[3, "lsoa_code"], features.at[5, "lsoa_code"]} & set(observed.index)


def test_too_few_lsoas_are_counted_in_one_sentence(world):
    features, target, _ = world
    with pytest.raises(ScienceError, match="5 LSOAs have features and a target; at least 20 are needed"):
        with_target(features.head(5), target)
    with pytest.raises(ScienceError, match="0 LSOAs have features"):
        with_target(features.head(0), target)


def test_an_lsoa_with_two_rows_is_refused_because_it_could_stand_on_both_sides_of_a_split(world):
    features, target, _ = world
    code = features.at[2, "lsoa_code"]
    with pytest.raises(ScienceError, match=f"LSOA {code} has several rows of features"):
        with_target(pd.concat([features, features.iloc[[2]]]), target)
    with pytest.raises(ScienceError, match=f"LSOA {code} has several rows of the target"):
        with_target(features, pd.concat([target, target.iloc[[2]]]))


def test_rows_of_two_encoders_are_never_pooled(world):
    features = world[0].copy()
    features.loc[:9, "encoder"] = "another"
    with pytest.raises(ScienceError, match="another"):
        with_target(features, world[1])


def test_a_target_that_never_varies_is_refused(world):
    with pytest.raises(ScienceError, match="the target is 3 in all 30 LSOAs"):
        with_target(world[0], world[1] * 0 + 3)
