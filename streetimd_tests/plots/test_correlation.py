"""Correlations are drawn beside what noise alone reaches."""

import numpy as np
import pytest

from streetimd_assets.plots import correlation
from streetimd_tests.plots.made_up_tables import N_DIMENSIONS, made_up_tables


@pytest.fixture(scope="module")
def tables():
    return made_up_tables()


def draw(tables, noise=None, **how):
    noise = tables["noise_correlations"] if noise is None else noise
    return correlation.correlations_beside_noise(tables["imd_correlations"], noise, **how)


def r_of(tables, measure):
    rows = tables["imd_correlations"]
    return rows.loc[rows["measure"] == measure, "pearson_r"].to_numpy()


def test_dimensions_stand_from_the_strongest_down_whatever_their_sign(tables):
    dots = [trace for trace in draw(tables, measure="crime_score").data if trace.type == "scatter"]
    height = dict(pair for trace in dots for pair in zip(trace.x, trace.y, strict=True))
    drawn = [height[place] for place in range(1, N_DIMENSIONS + 1)]
    assert drawn == pytest.approx(sorted(np.abs(r_of(tables, "crime_score")), reverse=True))
    n_negative = sum(len(trace.x) for trace in dots if trace.name == "r negative")
    assert n_negative == (r_of(tables, "crime_score") < 0).sum()


@pytest.mark.parametrize("floor", [correlation.SAMPLING, correlation.SPATIAL], ids=lambda floor: floor.kind)
def test_each_band_runs_from_5_to_95_percent_of_the_largest_r_of_its_noise(tables, floor):
    figure = draw(tables, measure="imd_rank")
    (band,) = [shape for shape in figure.layout.shapes if shape.type == "rect" and shape.name == floor.name]
    largest = tables["noise_correlations"].query("kind == @floor.kind")["max_absolute_r"]
    assert (band.y0, band.y1) == pytest.approx((largest.quantile(0.05), largest.quantile(0.95)))
    (label,) = [annotation for annotation in figure.layout.annotations if floor.name in annotation.text]
    assert label.y == band.y1


def test_the_bands_differ_without_colour(tables):
    bands = [shape for shape in draw(tables, measure="imd_rank").layout.shapes if shape.type == "rect"]
    assert {bool(band.line.width) for band in bands} == {True, False}


def test_the_distributions_of_noise_count_every_draw(tables):
    bars = [trace for trace in draw(tables, measure="imd_rank").data if trace.type == "bar"]
    assert [sum(trace.x) for trace in bars] == [100, 100]
    assert sum(sum(trace.x) for trace in bars) == len(tables["noise_correlations"])
    assert bars[0].marker.pattern.shape != bars[1].marker.pattern.shape


def test_a_study_without_spatial_draws_keeps_the_sampling_floor(tables):
    noise = tables["noise_correlations"].query("kind == 'independent'")
    names = {shape.name for shape in draw(tables, noise, measure="imd_rank").layout.shapes}
    assert names == {correlation.SAMPLING.name}


def test_without_noise_no_floor_is_drawn(tables):
    figure = draw(tables, tables["noise_correlations"].iloc[:0], measure="imd_rank")
    assert not figure.layout.shapes
    assert not figure.layout.annotations


def test_by_dimension_r_keeps_its_sign_and_the_floor_lies_on_either_side(tables):
    figure = draw(tables, measure="imd_rank", order="dimension")
    assert list(figure.data[0].x) == list(range(N_DIMENSIONS))
    assert figure.data[0].y == pytest.approx(r_of(tables, "imd_rank"))
    assert {np.sign(shape.y0) for shape in figure.layout.shapes} == {-1, 1}


@pytest.mark.parametrize(
    ("measure", "direction"), [("imd_rank", "1 = most deprived"), ("imd_score", "higher = more deprived")]
)
def test_axes_say_which_way_deprivation_runs_and_how_many_lsoas_there_are(tables, measure, direction):
    for order in ("strength", "dimension"):
        title = draw(tables, measure=measure, order=order).layout.yaxis.title.text
        assert direction in title
        assert "100 LSOAs" in title
