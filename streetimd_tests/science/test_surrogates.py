"""Random surfaces keep the values and the smoothness of the measure they stand for, and nothing else."""

import numpy as np
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science import surrogates
from streetimd_assets.science.surrogates import (
    SpatialField,
    morans_i,
    spectral_surfaces,
    surrogate_p_values,
    surrogate_surfaces,
)
from streetimd_tests.science.smooth_worlds import places_of, smooth_draws

N = 400
EASTING, NORTHING = places_of(N, seed=1)
FIELD = SpatialField(4_000.0, 0.8)
SMOOTH = smooth_draws(EASTING, NORTHING, FIELD, n_draws=40, seed=2)
VALUES = np.exp(SMOOTH[:, 0])
ORDER = np.random.default_rng(3).permutation(N)


@pytest.fixture(scope="module")
def surfaces():
    return surrogate_surfaces(VALUES, EASTING, NORTHING, n_draws=300, seed=1, field=FIELD)


@pytest.fixture(scope="module")
def spectral():
    return spectral_surfaces(VALUES, EASTING, NORTHING, n_draws=300, seed=1)


def test_every_surface_holds_the_very_values_of_the_measure(surfaces):
    expected = np.sort((VALUES - VALUES.mean()) / VALUES.std())
    assert surfaces.dtype == np.float32
    np.testing.assert_allclose(np.sort(surfaces, axis=0), np.tile(expected[:, None], 300), atol=1e-5)


def test_surfaces_are_as_alike_as_their_field_at_every_distance(surfaces):
    """Against the true covariance, drawn densely and given the same values: so is the measure in theory."""
    dense = smooth_draws(EASTING, NORTHING, FIELD, n_draws=2_000, seed=4)
    ranked = np.sort((VALUES - VALUES.mean()) / VALUES.std())[np.argsort(np.argsort(dense, axis=0), axis=0)]
    apart = np.hypot(EASTING[:, None] - EASTING, NORTHING[:, None] - NORTHING)
    many = surrogate_surfaces(VALUES, EASTING, NORTHING, n_draws=2_000, seed=1, field=FIELD)
    found, expected = many @ many.T / 2_000, ranked @ ranked.T / 2_000
    for low, high in ((1, 1_500), (1_500, 3_000), (3_000, 6_000), (6_000, 12_000), (12_000, 25_000)):
        ring = (apart > low) & (apart <= high)
        assert found[ring].mean() == pytest.approx(expected[ring].mean(), abs=0.02)


def test_surfaces_keep_morans_i_on_average_and_shuffled_values_do_not():
    here = (EASTING, NORTHING)
    kept, measured = [], []
    for values in SMOOTH[:, 5:9].T:
        drawn = surrogate_surfaces(values, *here, n_draws=6, seed=1)
        kept.append(np.mean([morans_i(surface, *here) for surface in drawn.T]))
        measured.append(morans_i(values, *here))
    assert np.mean(kept) == pytest.approx(np.mean(measured), abs=0.06)
    assert abs(morans_i(VALUES[ORDER], *here)) < 0.1


def test_spectral_surfaces_keep_morans_i_mean_and_variance_exactly(spectral):
    measured = morans_i(VALUES, EASTING, NORTHING)
    for surface in spectral[:, :20].T.astype(float):
        assert morans_i(surface, EASTING, NORTHING) == pytest.approx(measured, abs=1e-5)
    np.testing.assert_allclose(spectral.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(spectral.std(axis=0), 1, atol=1e-4)


def test_spectral_surfaces_have_nothing_to_do_with_the_measure(spectral):
    r = spectral.T @ ((VALUES - VALUES.mean()) / VALUES.std()) / N
    assert abs(r.mean()) < 4 * r.std() / np.sqrt(len(r))
    assert np.abs(r).max() < 0.9


def test_beyond_the_most_lsoas_there_is_no_spectrum(monkeypatch):
    monkeypatch.setattr(surrogates, "MOST_LSOAS_FOR_SPECTRUM", N - 1)
    assert spectral_surfaces(VALUES, EASTING, NORTHING, n_draws=2, seed=1) is None


@pytest.mark.parametrize("make", [surrogate_surfaces, spectral_surfaces])
def test_the_order_of_rows_changes_no_surface_and_another_seed_changes_all(make):
    # values that stand in no order, so that a row keeps its own
    how = {"n_draws": 5} | ({"field": FIELD} if make is surrogate_surfaces else {})
    first = make(VALUES, EASTING, NORTHING, seed=1, **how)
    np.testing.assert_array_equal(make(VALUES[ORDER], EASTING[ORDER], NORTHING[ORDER], seed=1, **how), first[ORDER])
    assert not np.array_equal(make(VALUES, EASTING, NORTHING, seed=2, **how), first)


def test_parts_are_the_columns_of_the_whole(monkeypatch):
    monkeypatch.setattr(surrogates, "_DRAWS_AT_ONCE", 40)
    whole = surrogate_surfaces(VALUES, EASTING, NORTHING, n_draws=100, seed=1, field=FIELD)
    parts = surrogates.surrogate_parts(VALUES, EASTING, NORTHING, n_draws=100, seed=1, field=FIELD)
    p_values = surrogate_p_values(SMOOTH, VALUES, parts)
    np.testing.assert_array_equal(p_values, surrogate_p_values(SMOOTH, VALUES, whole))


def test_a_p_value_counts_the_surfaces_that_reach_as_far_and_the_measure_itself(surfaces):
    r = np.corrcoef(SMOOTH[:, 1], VALUES)[0, 1]
    drawn = np.array([np.corrcoef(SMOOTH[:, 1], surface)[0, 1] for surface in surfaces.T])
    expected = (1 + np.sum(np.abs(drawn) >= abs(r))) / 301
    assert surrogate_p_values(SMOOTH[:, 1:2], VALUES, surfaces) == pytest.approx([expected])


def test_surfaces_equal_to_the_measure_count_as_large():
    same = np.repeat(((VALUES - VALUES.mean()) / VALUES.std()).astype(np.float32)[:, None], 9, axis=1)
    np.testing.assert_array_equal(surrogate_p_values(SMOOTH, VALUES, same), 1)


def test_a_planted_correlation_is_found_and_a_constant_column_has_no_p_value(surfaces):
    columns = np.column_stack([VALUES + 0.3 * SMOOTH[:, 1], np.full(N, 0.1), SMOOTH[:, 1]])
    planted, constant, innocent = surrogate_p_values(columns, VALUES, surfaces)
    assert planted == pytest.approx(1 / 301)
    assert np.isnan(constant)
    assert innocent > 0.05


def test_reversed_ranks_keep_every_p_value():
    ranks = np.argsort(np.argsort(VALUES)) + 1.0
    p_values = [
        surrogate_p_values(SMOOTH, each, surrogate_surfaces(each, EASTING, NORTHING, n_draws=200, seed=1))
        for each in (ranks, N + 1 - ranks)
    ]
    np.testing.assert_allclose(*p_values, atol=1e-12)


def test_morans_i_is_that_of_libpysal_weights_and_the_textbook():
    from libpysal.weights import KNN

    weights = KNN.from_array(np.column_stack([EASTING, NORTHING]), k=8).sparse
    deviation = VALUES - VALUES.mean()
    expected = deviation @ (weights @ deviation) / (deviation @ deviation) * N / weights.sum()
    assert morans_i(VALUES, EASTING, NORTHING) == pytest.approx(expected)


def test_lsoas_at_one_place_break_nothing():
    easting, northing = EASTING.copy(), NORTHING.copy()
    easting[:30], northing[:30] = easting[0], northing[0]
    field = surrogates.fit_field(VALUES, easting, northing, seed=1)
    surfaces = surrogate_surfaces(VALUES, easting, northing, n_draws=10, seed=1, field=field)
    assert np.isfinite(surfaces).all()
    # alike, and not the same: the nugget is each LSOA's own
    assert (np.ptp(surfaces[:30], axis=0) > 0).all()
    assert np.isfinite(spectral_surfaces(VALUES, easting, northing, n_draws=10, seed=1)).all()
    assert np.isfinite(morans_i(VALUES, easting, northing))


def test_what_cannot_be_drawn_is_refused_in_a_sentence():
    with pytest.raises(ScienceError, match="5 LSOAs have a measure and a place"):
        surrogate_surfaces(VALUES[:5], EASTING[:5], NORTHING[:5], n_draws=2, seed=1)
    with pytest.raises(ScienceError, match="1 LSOAs lack a value or a place"):
        spectral_surfaces(np.where(np.arange(N) == 3, np.nan, VALUES), EASTING, NORTHING, n_draws=2, seed=1)
    with pytest.raises(ScienceError, match="is 2 in all 400 LSOAs"):
        morans_i(np.full(N, 2.0), EASTING, NORTHING)
