"""Dark is always more, or more deprived; what is written beside a colour is the value itself."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.plots import maps, style


def lightness(colour):
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize(("measure", "most_deprived"), [("imd_rank", 1), ("imd_decile", 1), ("imd_score", 10)])
def test_the_most_deprived_lsoa_is_the_darkest_and_light_falls_evenly(measure, most_deprived):
    shading = maps.deprivation_shading(pd.Series(np.arange(1.0, 11.0)), measure)
    light = [lightness(shading.colour(value)) for value in range(1, 11)]
    ordered = light if most_deprived == 1 else light[::-1]
    assert ordered == sorted(ordered)
    assert ordered[0] < 40 < 200 < ordered[-1]


@pytest.mark.parametrize("shading", [maps.share_shading, maps.amount_shading])
def test_shares_and_amounts_start_at_zero_and_are_dark_where_high(shading):
    drawn = shading(pd.Series([20.0, 35.0, np.nan]))
    assert (drawn.low, drawn.high) == (0, 35)
    assert lightness(drawn.colour(35.0)) < lightness(drawn.colour(20.0)) < lightness(drawn.colour(0.0))


def test_residuals_are_white_at_zero_and_equally_wide_on_either_side():
    drawn = maps.residual_shading(pd.Series([-40.0, 25.0]), "imd_rank")
    assert (drawn.low, drawn.high, drawn.hatches_negative) == (-40, 40, True)
    assert drawn.colour(0.0) == "#f7f7f7"
    assert lightness(drawn.colour(0.0)) > max(lightness(drawn.colour(-40.0)), lightness(drawn.colour(40.0)))


def test_a_value_has_the_same_colour_alone_and_among_others():
    drawn = maps.share_shading(pd.Series([0.0, 80.0]))
    values = np.array([0.0, 13.0, np.nan, 41.5, 80.0, 95.0])
    steps = drawn.steps(values)
    assert steps.tolist() == [0, 10, -1, 33, 64, 64]
    palette = [*drawn.palette, style.NO_VALUE]
    assert [palette[step] for step in steps] == [drawn.colour(value) for value in values]


def test_values_are_written_with_their_unit_and_missing_ones_in_words():
    drawn = maps.amount_shading(pd.Series([12_000.0]), suffix=" years", digits=1)
    assert drawn.words(-1234.56) == "−1,234.6 years"
    assert drawn.words(np.nan) == "no value"


@pytest.mark.parametrize(
    ("values", "measure", "are_boxes"),
    [([1.0, 10.0], "imd_decile", True), ([1.0, 300.0], "imd_rank", False), ([1.5, 8.2], "imd_rank", False)],
)
def test_a_scale_of_a_few_whole_numbers_is_told_in_boxes(values, measure, are_boxes):
    assert maps.deprivation_shading(pd.Series(values), measure).is_counted_in_boxes is are_boxes


def test_nothing_but_missing_values_still_has_a_shading():
    nothing = pd.Series([np.nan, np.nan])
    for drawn in (maps.share_shading(nothing), maps.residual_shading(nothing, "imd_rank")):
        assert drawn.colour(np.nan) == style.NO_VALUE
        assert drawn.low < drawn.high
