"""Worlds of numbers are what they say: what is planted is there, and nothing else is."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import get_table
from streetimd_assets.synthetic import worlds
from streetimd_assets.synthetic.worlds import number_world

SMALL = {"n_lsoas": 300, "n_dimensions": 64}


def made(kind, seed=1, **options):
    return number_world(kind, **{**SMALL, "statistics": ("mean",), **options}, seed=seed)


def places_of(world):
    return world.coordinates[["easting_m", "northing_m"]].to_numpy(float)


def stacked(world, statistic="mean"):
    return np.stack(world.features[f"{statistic}_embedding"])


def morans_i(places, values):
    """Moran's I of each column, with the six nearest LSOAs as neighbours."""
    neighbours = cKDTree(places).query(places, 7)[1][:, 1:]
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    return (standard * standard[neighbours].mean(axis=1)).mean(axis=0)


@pytest.fixture(scope="module")
def signal():
    return made("signal", statistics=("mean", "median", "max"), image_counts="uneven")


# tables


def test_estimators_get_rows_of_the_declared_tables(signal):
    declared = set(get_table("lsoa_features", worlds.CATEGORIES).column_names)
    assert set(signal.features.columns) <= declared
    assert {f"{name}_embedding" for name in ("mean", "median", "max")} < set(signal.features.columns)
    assert set(signal.deprivation.columns) == set(get_table("deprivation_indices").column_names)
    for table in (signal.features, signal.deprivation):
        assert table[["lsoa_code", "lad_code"]].equals(signal.coordinates[["lsoa_code", "lad_code"]])
    assert signal.features["lsoa_code"].is_unique
    np.testing.assert_allclose(signal.features[list(signal.shares)].sum(axis=1), 1)


def test_the_same_seed_is_the_same_world_and_another_seed_another(signal):
    again = made("signal", statistics=("mean", "median", "max"), image_counts="uneven")
    pd.testing.assert_frame_equal(again.deprivation, signal.deprivation)
    np.testing.assert_array_equal(stacked(again), stacked(signal))
    other = made("signal", seed=2)
    assert abs(np.corrcoef(other.deprivation["imd_rank"], signal.deprivation["imd_rank"])[0, 1]) < 0.5
    assert abs(other.truth.direction @ signal.truth.direction) < 0.5


def test_how_images_are_counted_changes_nothing_else(signal):
    even = made("signal")
    pd.testing.assert_frame_equal(even.deprivation, signal.deprivation)
    np.testing.assert_array_equal(even.truth.embeddings, signal.truth.embeddings)


def test_what_is_not_known_is_refused():
    with pytest.raises(ScienceError, match="'null' is not known of a number world; use signal, null_iid"):
        made("null")
    with pytest.raises(ScienceError, match="use exponential, other"):
        made("signal", field="matern")


# places


def test_local_authorities_adjoin_and_are_of_one_size(signal):
    sizes = signal.coordinates.groupby("lad_code").size()
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 1
    for _, rows in signal.coordinates.groupby("lad_code"):
        places = rows[["easting_m", "northing_m"]].to_numpy()
        graph = cKDTree(places).sparse_distance_matrix(cKDTree(places), 1.8 * worlds.SPACING_M)
        assert connected_components(graph)[0] == 1


def test_two_cities_are_far_apart_and_share_no_local_authority():
    world = made("two_cities")
    city = pd.Series(world.truth.city)
    assert city.groupby(world.coordinates["lad_code"]).nunique().eq(1).all()
    assert (city == 1).sum() == 150
    first, second = (places_of(world)[city == number] for number in (0, 1))
    assert cKDTree(first).query(second)[0].min() > 50_000


@pytest.mark.parametrize("field", ["exponential", "other"])
def test_deprivation_is_as_autocorrelated_as_it_is_in_towns(field):
    found = []
    for seed in range(12):
        world = made("null_spatial", seed, n_lsoas=700, n_dimensions=4, field=field)
        found.append(morans_i(places_of(world), world.deprivation["imd_rank"].to_numpy(float)))
    assert 0.43 < np.mean(found) < 0.6
    assert 0.25 < min(found) < max(found) < 0.75


def test_fields_that_no_surrogate_assumes_differ_by_direction_and_place_and_are_not_exponential():
    covariances = [made("null_spatial", seed, n_dimensions=4, field="other").truth for seed in range(12)]
    for part in ("deprivation_covariance", "embedding_covariance"):
        found = [getattr(truth, part) for truth in covariances]
        assert {one.shape for one in found} == {"matern", "squared_exponential", "rational_quadratic"}
        assert {one.stretch for one in found} == {3.0}
        assert {one.bend for one in found} == {0.65}
        assert np.ptp([one.bearing_deg for one in found]) > 60


# what is planted


def test_a_world_with_signal_is_the_null_world_and_one_direction_more(signal):
    null = made("null_spatial")
    planted = worlds.SIGNAL_SD * np.outer(signal.truth.visible, signal.truth.direction)
    np.testing.assert_allclose(signal.truth.embeddings - null.truth.embeddings, planted, atol=1e-6)
    assert np.linalg.norm(signal.truth.direction) == pytest.approx(1)
    assert null.truth.direction is None
    pd.testing.assert_frame_equal(null.deprivation, signal.deprivation)


def test_the_second_city_looks_different_and_is_more_deprived():
    world = made("two_cities")
    unseen = np.linalg.svd(world.truth.direction[None])[2][1:]
    middles = [world.truth.embeddings[world.truth.city == number].mean(axis=0) for number in (0, 1)]
    assert np.linalg.norm(unseen @ (middles[1] - middles[0])) > 0.6 * worlds.CITY_SHIFT
    ranks = world.deprivation.groupby(world.truth.city)["imd_rank"].mean()
    assert ranks[1] < ranks[0] - 30


def test_streets_show_most_of_deprivation_and_not_all():
    shown = [
        np.corrcoef(world.truth.visible, world.deprivation["imd_rank"])[0, 1]
        for world in (made("signal", seed, n_dimensions=4) for seed in range(12))
    ]
    assert -0.88 < np.mean(shown) < -0.8


def test_null_worlds_know_nothing_of_deprivation_even_where_they_are_smooth():
    squared, rough, smooth = [], [], []
    for seed in range(6):
        for kind, found in (("null_iid", rough), ("null_spatial", smooth)):
            world = made(kind, seed)
            found.append(morans_i(places_of(world), stacked(world)).mean())
            if kind == "null_iid":
                columns = np.column_stack([stacked(world), world.deprivation["imd_score"]])
                squared += list(np.corrcoef(columns.T)[-1, :-1] ** 2)
    # r² of independent values has mean 1 / (n - 1)
    assert np.mean(squared) == pytest.approx(1 / 299, rel=0.3)
    assert abs(np.mean(rough)) < 0.03
    assert np.mean(smooth) > 0.25


# images


def test_a_mean_over_n_images_is_off_by_the_noise_of_one_over_root_n(signal):
    n_images = signal.features["n_images"].to_numpy()
    errors = stacked(signal) - signal.truth.embeddings
    standard = errors * np.sqrt(n_images)[:, None] / signal.truth.image_sd
    # 19,200 standard normal numbers
    assert standard.var() == pytest.approx(1, abs=0.05)
    assert standard[n_images <= 5].var() == pytest.approx(1, abs=0.1)


def test_uneven_counts_run_from_one_to_sixty_and_most_lsoas_have_few():
    n_images = made("null_iid", n_lsoas=1500, n_dimensions=4, image_counts="uneven").features["n_images_kept"]
    assert (n_images.min(), n_images.max()) == (1, 60)
    assert n_images.mean() > 1.25 * n_images.median()
    assert set(made("null_iid").features["n_images"]) == {20}


def test_the_maximum_grows_with_the_number_of_images_and_the_median_does_not(signal):
    n_images = signal.features["n_images"]
    growth = {
        name: np.corrcoef(np.log(n_images), (stacked(signal, name) - signal.truth.embeddings).mean(axis=1))[0, 1]
        for name in ("median", "max")
    }
    assert growth["max"] > 0.9
    assert abs(growth["median"]) < 0.25
