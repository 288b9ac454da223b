"""Features are ranked by how much a model leans on them."""

import pytest

from streetimd_assets.plots import importance
from streetimd_tests.plots.made_up_tables import TITLES, made_up_importances


def test_bars_stand_in_rank_order_with_their_standard_deviation():
    table = made_up_importances().sample(frac=1, random_state=1)
    figure = importance.ranked_importances(table, method="permutation", titles=TITLES)
    (bars,) = figure.data
    assert list(bars.x) == [0.2, 0.1, -0.01]
    assert list(bars.error_x.array) == [0.02, 0.01, 0.01]
    assert list(figure.layout.yaxis.ticktext) == ["Dimension 3 (mean)", "Share of Park", "Dimension 1 (mean)"]


def test_shares_are_hatched_so_that_grey_prints_tell_them_from_dimensions():
    figure = importance.ranked_importances(made_up_importances(), method="gini", titles=TITLES)
    assert list(figure.data[0].marker.pattern.shape) == ["", "/", ""]


def test_only_the_most_important_are_drawn_and_the_axis_says_of_how_many():
    figure = importance.ranked_importances(made_up_importances(), method="gini", titles=TITLES, n_features=2)
    assert len(figure.data[0].x) == 2
    assert "2 of 3 features" in figure.layout.xaxis.title.text


@pytest.mark.parametrize(("method", "unit"), [("permutation", "Loss of R²"), ("gini", "impurity")])
def test_the_axis_says_what_importance_means(method, unit):
    figure = importance.ranked_importances(made_up_importances(), method=method, titles=TITLES)
    assert unit in figure.layout.xaxis.title.text
