"""Surfaces drawn from a covariance have it."""

import math

import numpy as np
import pytest

from streetimd_assets.synthetic.covariances import Covariance

PLACES = np.array([[0.0, 0.0], [0.0, 1000.0], [3000.0, 0.0]])


@pytest.mark.parametrize(
    ("shape", "at_one_length"),
    [
        ("exponential", math.exp(-1)),
        ("matern", (1 + math.sqrt(3)) * math.exp(-math.sqrt(3))),
        ("squared_exponential", math.exp(-0.5)),
        ("rational_quadratic", 1 / 1.5),
    ],
)
def test_a_length_away_a_surface_is_as_alike_as_the_formula_says(shape, at_one_length):
    between = Covariance(shape, length_m=1000, nugget_share=0.25).between(PLACES)
    assert between[0, 1] == pytest.approx(0.75 * at_one_length)
    np.testing.assert_allclose(np.diag(between), 1)


def test_a_stretched_surface_is_alike_three_times_as_far_along_as_across():
    east = Covariance("matern", 1200, 0.0, stretch=3, bearing_deg=90).between(PLACES)
    assert east[0, 2] == pytest.approx(east[0, 1])
    north = Covariance("matern", 1200, 0.0, stretch=3, bearing_deg=0).between(PLACES)
    assert north[0, 1] > 0.79
    assert north[0, 2] < 0.01


def test_surfaces_drawn_with_the_factor_have_the_covariance():
    covariance = Covariance("squared_exponential", 2000, 0.0, stretch=3, bearing_deg=30)
    drawn = covariance.factor(PLACES) @ np.random.default_rng(0).standard_normal((3, 20_000))
    # standard error of a covariance of unit variances is at most sqrt(2 / n)
    np.testing.assert_allclose(drawn @ drawn.T / 20_000, covariance.between(PLACES), atol=4 * math.sqrt(2 / 20_000))


def test_a_bent_surface_is_alike_less_far_in_the_middle_than_at_the_edge():
    line = np.column_stack([np.arange(0.0, 20_001, 1000), np.zeros(21)])
    between = Covariance("exponential", 3000, 0.0, bend=0.65).between(line)
    next_to_each_other = np.diag(between, 1)
    # the middle of the line is the eleventh place
    assert next_to_each_other.argmin() in (9, 10)
    assert np.all(np.diff(next_to_each_other[10:]) > 0)
    # the places farthest from the middle stay where they are
    assert between[0, 20] == pytest.approx(math.exp(-20_000 / 3000))
