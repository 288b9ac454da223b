"""The report tells how many points are enough, or that the curve still rises."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.plots.learning_curve import add_learning_curve, enough_sentence, learning_curve
from streetimd_assets.plots.pages import Page
from streetimd_assets.science.learning_curve import enough_points
from streetimd_tests.planted_features import shuffled
from streetimd_tests.plots.made_up_tables import HEADING, made_up_curve
from streetimd_tests.plots.reading_pages import ReadPage


def curve_with(r2):
    rows = made_up_curve(100)
    return rows.assign(r2=np.repeat(r2, 2))


def whole(rows):
    return rows[rows["repeat"] == "all"].sort_values("n_points_per_lsoa")


@pytest.mark.parametrize("r2", [[0.4, 0.47, 0.495, 0.5], [0.5, 0.5, 0.5, 0.5], [0.4, 0.6, 0.5, 0.5]])
def test_the_fewest_points_that_read_as_much_as_all_are_called_enough(r2):
    rows = curve_with(r2)
    enough = enough_points(rows)
    said = enough_sentence(whole(rows))
    assert said.startswith(f"Up to {enough} point")
    assert f"({4.0 * enough:.1f} images kept on average) are enough here" in said
    assert "with whole local authorities held out, within 0.01 of the 0.50" in said
    assert ("is not sure" in said) == (enough == 3)


def test_a_curve_that_still_rises_calls_nothing_enough():
    rows = curve_with([0.3, 0.4, 0.45, 0.5])
    assert enough_points(rows) is None
    said = enough_sentence(whole(rows))
    assert "enough" not in said
    assert "R² still rises, with whole local authorities held out: 0.45 from up to 3 points per LSOA, 0.50" in said


def test_one_point_is_no_curve():
    rows = whole(made_up_curve(100)).iloc[:1]
    assert enough_sentence(rows) == "No LSOA has more than 1 point: there is no curve to read."


def test_the_figure_draws_means_choices_and_intervals():
    rows = shuffled(made_up_curve(100))
    band, choices, line = learning_curve(rows).data
    assert list(line.x) == [1, 2, 3, 8]
    assert list(line.y) == [0.40, 0.47, 0.495, 0.50]
    assert sorted(choices.y) == sorted(rows.loc[rows["repeat"] == "0", "r2"])
    assert max(band.y) == pytest.approx(0.55)
    assert min(band.y) == pytest.approx(0.35)
    axis = learning_curve(rows).layout.xaxis
    assert list(axis.ticktext) == ["1<br>(4)", "2<br>(8)", "3<br>(12)", "8<br>(24)"]
    assert "100 LSOAs at every step" in axis.title.text


@pytest.mark.parametrize("tables", [{}, {"learning_curve": pd.DataFrame()}], ids=["missing", "empty"])
def test_without_the_table_a_sentence_stands_in_its_place(tables):
    page = Page(HEADING, "Trial")
    add_learning_curve(page, tables)
    assert "learning_curve has no rows yet" in ReadPage(page.render()).words
