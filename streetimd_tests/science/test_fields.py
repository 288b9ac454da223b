"""A field drawn is the field found: range, shared variance, shape and direction."""

from dataclasses import replace

import numpy as np
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science import fields
from streetimd_assets.science.field_fits import fit_field
from streetimd_assets.science.fields import SpatialField
from streetimd_tests.science.smooth_worlds import places_of, smooth_draws

N = 700
EASTING, NORTHING = places_of(N, seed=5)


def fit_many(field, n_worlds):
    drawn = smooth_draws(EASTING, NORTHING, field, n_draws=n_worlds, seed=6)
    return [fit_field(np.exp(values), EASTING, NORTHING, seed=1) for values in drawn.T]


@pytest.mark.parametrize("shape", fields.SHAPES)
def test_likeness_falls_to_one_over_e_at_the_range_whatever_the_shape(shape):
    field = SpatialField(2_000.0, 0.7, shape)
    near, at_range, far = field.likeness(np.array([0.0, 2_000.0, 40_000.0]))
    assert (near, at_range, far) == pytest.approx((0.7, 0.7 / np.e, 0), abs=1e-6)


def test_likeness_reaches_farther_along_the_bearing_by_the_stretch():
    field = SpatialField(1_000.0, 1 - 1e-9, stretch=4.0, bearing_deg=90.0)
    here, east, north = field.flattened(np.array([[0.0, 0.0], [2_000.0, 0.0], [0.0, 500.0]]))
    # east is along: the range is 2 km there and 500 m across
    assert np.linalg.norm(east - here) == pytest.approx(1_000)
    assert np.linalg.norm(north - here) == pytest.approx(1_000)


def test_an_exponential_field_is_found_again():
    found = fit_many(SpatialField(2_500.0, 0.75), n_worlds=8)
    # single fits of 700 LSOAs scatter by a third; their median is closer
    assert np.median([field.range_m for field in found]) == pytest.approx(2_500, rel=0.25)
    assert np.median([field.smooth_share for field in found]) == pytest.approx(0.75, abs=0.08)
    assert [field.shape for field in found].count("exponential") >= 6
    assert sum(field.stretch == 1 for field in found) >= 5


def test_a_smooth_field_stretched_in_one_direction_is_found_again():
    found = fit_many(SpatialField(4_000.0, 0.75, "gaussian", 3.0, 60.0), n_worlds=6)
    assert "exponential" not in [field.shape for field in found]
    assert np.median([field.stretch for field in found]) == pytest.approx(3, abs=0.8)
    assert np.median([field.bearing_deg for field in found]) == pytest.approx(60, abs=10)
    assert np.median([field.range_m for field in found]) == pytest.approx(4_000, rel=0.3)


def test_independent_values_have_little_or_nothing_in_common():
    values = np.random.default_rng(7).standard_normal(N)
    field = fit_field(values, EASTING, NORTHING, seed=1)
    # nothing in common, or only between next neighbours
    assert field.smooth_share * np.exp(-1_000 / field.range_m) < 0.15


def test_the_likelihood_is_that_of_the_whole_covariance_where_all_are_neighbours():
    n, field = 30, SpatialField(3_000.0, 0.6, "matern", 2.0, 30.0)
    places = np.column_stack([EASTING[:n], NORTHING[:n]])
    scores = np.random.default_rng(8).standard_normal(n)
    layers = [fields.Layer(i, i + 1, np.arange(i)[None, :]) for i in range(n)]
    found = fields.restricted_likelihood(scores, field.flattened(places), layers, field)
    flat = field.flattened(places)
    covariance = field.likeness(np.linalg.norm(flat[:, None] - flat, axis=2))
    np.fill_diagonal(covariance, 1.0)
    inverse, ones = np.linalg.inv(covariance), np.ones(n)
    residual = scores - (ones @ inverse @ scores) / (ones @ inverse @ ones)
    variance = residual @ inverse @ residual / (n - 1)
    expected = -(np.linalg.slogdet(covariance)[1] + (n - 1) * np.log(variance) + np.log(ones @ inverse @ ones)) / 2
    assert found == pytest.approx(expected)


def test_the_order_of_rows_and_the_scale_of_values_change_no_field():
    values = smooth_draws(EASTING[:200], NORTHING[:200], SpatialField(3_000.0, 0.7), n_draws=1, seed=9)[:, 0]
    first = fit_field(values, EASTING[:200], NORTHING[:200], seed=1)
    order = np.random.default_rng(1).permutation(200)
    assert fit_field(np.exp(values[order]), EASTING[order], NORTHING[order], seed=1) == first


def test_fields_are_drawn_with_the_longest_range_that_is_nearly_as_likely():
    values = smooth_draws(EASTING[:300], NORTHING[:300], SpatialField(3_000.0, 0.7), n_draws=1, seed=9)[:, 0]
    field = fit_field(values, EASTING[:300], NORTHING[:300], seed=1)
    assert 1.05 * field.range_m <= field.longest_range_m < 3 * field.range_m
    places = np.column_stack([EASTING, NORTHING])

    def drawn(field):
        rng = np.random.default_rng(1)
        return next(fields.draw_fields(field, places, n_draws=2, rng=rng, n_at_once=2))

    longest = replace(field, range_m=field.longest_range_m, longest_range_m=None)
    np.testing.assert_array_equal(drawn(field), drawn(longest))
    assert not np.array_equal(drawn(field), drawn(replace(field, longest_range_m=None)))


def test_what_is_no_field_is_refused_in_a_sentence():
    for wrong in ({"range_m": 0.0}, {"smooth_share": 1.0}, {"smooth_share": -0.1}, {"stretch": 0.5}):
        with pytest.raises(ScienceError, match="does not exist"):
            SpatialField(**{"range_m": 1_000.0, "smooth_share": 0.5} | wrong)
    with pytest.raises(ScienceError, match="all 30 LSOAs stand at one place"):
        fit_field(np.arange(30.0), np.zeros(30), np.zeros(30), seed=1)
