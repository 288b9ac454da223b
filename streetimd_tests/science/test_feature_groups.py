"""Groups: what is planted as one is found as one, without a look at the target."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.science.components import principal_components
from streetimd_assets.science.feature_groups import MOST_MEMBERS_NAMED, find_groups
from streetimd_assets.science.matrices import FeatureMatrix

RNG = np.random.default_rng(5)
N = 200


def matrix_of(columns, n_shares=0):
    n_embedding = columns.shape[1] - n_shares
    names = [f"mean_embedding_{number:03d}" for number in range(n_embedding)]
    names += [f"kind{number}_share" for number in range(n_shares)]
    codes = np.array([f"Z{number:04d}" for number in range(len(columns))], dtype=object)
    return FeatureMatrix(columns.astype(np.float32), tuple(names), codes)


@pytest.fixture
def families():
    """Three families of 5, 3 and 2 dimensions; one of each runs the other way."""
    roots = RNG.normal(size=(N, 3))
    family = np.array([0, 1, 2, 0, 1, 0, 0, 2, 1, 0])
    sign = np.where(np.isin(np.arange(10), (3, 4, 7)), -1, 1)
    return roots[:, family] * sign + 0.3 * RNG.normal(size=(N, 10)), family


def test_planted_families_are_found_whichever_way_a_member_runs(families):
    columns, family = families
    groups = find_groups(matrix_of(columns), n_clusters=3, n_components=3)
    assert groups.clusters.tolist() == family.tolist()
    members = groups.cluster_members()
    assert list(members) == ["cluster_01", "cluster_02", "cluster_03"]
    assert members["cluster_03"] == "mean_embedding_002\nmean_embedding_007"


def test_the_largest_cluster_is_the_first(families):
    columns, family = families
    groups = find_groups(matrix_of(columns[:, ::-1]), n_clusters=3, n_components=3)
    assert groups.clusters.tolist() == family[::-1].tolist()


def test_one_long_chain_does_not_swallow_the_rest():
    # each resembles the next; by average linkage the middle takes in nearly all
    path = np.cumsum(RNG.normal(size=(N, 60)), axis=1)
    sizes = np.bincount(find_groups(matrix_of(path), n_clusters=10, n_components=1).clusters)
    assert len(sizes) == 10
    assert sizes.max() < 30


def test_every_member_correlates_with_every_other(families):
    columns, _ = families
    matrix = matrix_of(columns)
    groups = find_groups(matrix, n_clusters=3, n_components=1)
    r = np.abs(np.corrcoef(matrix.values, rowvar=False))
    for number in range(3):
        members = groups.clusters == number
        assert r[np.ix_(members, members)].min() > 0.7


def test_a_feature_that_never_varies_stands_alone(families):
    columns, _ = families
    still = np.column_stack([columns, np.full(N, 0.25)])
    groups = find_groups(matrix_of(still, n_shares=1), n_clusters=4, n_components=3)
    assert np.sum(groups.clusters == groups.clusters[-1]) == 1


@pytest.mark.parametrize("n_clusters", [4, 20])
def test_no_more_features_than_clusters_are_not_grouped(n_clusters):
    groups = find_groups(matrix_of(RNG.normal(size=(N, 4))), n_clusters=n_clusters, n_components=20)
    assert groups.clusters is None
    assert groups.cluster_members() == {}
    assert groups.directions.shape == (4, 4)


def test_components_are_those_of_the_table_of_components():
    columns = RNG.normal(size=(N, 6)) * [5, 1, 3, 2, 1, 1] + 7
    matrix = matrix_of(np.column_stack([columns, RNG.uniform(0, 9, N)]), n_shares=1)
    directions = find_groups(matrix, n_clusters=2, n_components=3).directions
    target = pd.Series(RNG.normal(size=N), index=matrix.lsoa_codes)
    table, _ = principal_components(matrix.values[:, :6], target, n_components=3)
    alike = np.abs(np.sum(directions[:, :6] * np.stack(table["loadings"]), axis=1))
    np.testing.assert_allclose(alike, 1, atol=1e-5)
    assert not directions[:, 6].any(), "shares have names, and are not turned"


def test_of_a_component_the_largest_loadings_are_named():
    columns = RNG.normal(size=(N, 30))
    columns[:, 4] *= 50
    matrix = matrix_of(columns)
    members = find_groups(matrix, n_clusters=2, n_components=2).component_members()
    assert list(members) == ["component_01", "component_02"]
    first = members["component_01"].split("\n")
    assert first[0] == "mean_embedding_004"
    assert len(first) == MOST_MEMBERS_NAMED


def test_shares_alone_have_no_components():
    groups = find_groups(matrix_of(RNG.uniform(size=(N, 3)), n_shares=3), n_clusters=2, n_components=3)
    assert groups.directions.shape == (0, 3)
    assert groups.component_members() == {}
