"""Features are ranked by how much a model leans on them, beside what they get by chance."""

import numpy as np
import pytest

from streetimd_assets.plots import importance
from streetimd_tests.plots.made_up_tables import TITLES, made_up_importances


def draw(method, **how):
    return importance.ranked_importances(made_up_importances(), method=method, titles=TITLES, **how)


def traces_of(figure):
    return {trace.name: trace for trace in figure.data}


def test_bars_stand_in_rank_order_with_their_standard_deviation():
    table = made_up_importances().sample(frac=1, random_state=1)
    figure = importance.ranked_importances(table, method="permutation", titles=TITLES)
    bars = traces_of(figure)["importance"]
    assert list(bars.x) == [0.2, 0.1, -0.01]
    assert list(bars.error_x.array) == [0.02, 0.01, 0.01]
    assert list(figure.layout.yaxis.ticktext) == [
        "Dimension 3 (mean) [100%]",
        "Share of Park [50%]",
        "Dimension 1 (mean) [0%]",
    ]


def test_the_band_of_chance_lies_behind_the_bars_and_the_highest_is_marked():
    figure = draw("permutation")
    names = [trace.name for trace in figure.data]
    assert names == ["by chance", "importance", "highest by chance"], "later traces are drawn over earlier ones"
    band, bars, highest = figure.data
    np.testing.assert_allclose(band.base, -0.02)
    np.testing.assert_allclose(np.add(band.base, band.x), 0.05)
    assert figure.layout.barmode == "overlay"
    assert list(highest.x) == [0.12] * 3
    assert list(band.y) == list(bars.y) == list(highest.y)


def test_dimensions_and_shares_have_the_band_of_their_kind():
    band = traces_of(draw("gini"))["by chance"]
    assert list(np.add(band.base, band.x)) == [0.3, 0.1, 0.3]


def test_without_a_band_only_the_bars_are_drawn():
    table = made_up_importances().assign(band_low=np.nan, band_high=np.nan, band_top=np.nan, top_share=np.nan)
    figure = importance.ranked_importances(table, method="permutation", titles=TITLES)
    assert [trace.name for trace in figure.data] == ["importance"]
    assert next(iter(figure.layout.yaxis.ticktext)) == "Dimension 3 (mean)"
    assert "chance" not in figure.data[0].text[0]


def test_shares_are_hatched_so_that_grey_prints_tell_them_from_dimensions():
    assert list(traces_of(draw("gini"))["importance"].marker.pattern.shape) == ["", "/", ""]


def test_only_the_most_important_are_drawn_and_the_axis_says_of_how_many():
    figure = draw("gini", n_features=2)
    assert len(traces_of(figure)["importance"].x) == 2
    assert "2 of 3 features" in figure.layout.xaxis.title.text


@pytest.mark.parametrize(
    ("method", "unit"),
    [
        ("permutation", "Loss of R²"),
        ("permutation_cluster", "shuffled together"),
        ("permutation_component", "scores along the component"),
        ("gini", "impurity"),
        ("shap", "prediction of IMD rank (1 = most deprived)"),
    ],
)
def test_the_axis_says_what_importance_means(method, unit):
    assert unit in draw(method).layout.xaxis.title.text


def test_every_method_that_is_declared_is_drawn():
    assert set(importance.METHODS) == set(made_up_importances()["method"])


def test_groups_are_named_by_how_many_they_join():
    assert list(draw("permutation_cluster").layout.yaxis.ticktext) == [
        "Cluster 1 of 8 features",
        "Dimension 3 (mean), alone",
    ]
    assert list(draw("permutation_component").layout.yaxis.ticktext) == ["Component 2"]


def test_shares_say_which_way_they_move_the_prediction():
    # a higher rank is less deprived
    assert list(draw("shap").layout.yaxis.ticktext) == [
        "Share of Terraced houses (more of it: more deprived)",
        "Share of Park (no one way)",
    ]


@pytest.mark.parametrize(
    ("r", "target", "said"),
    [
        (0.8, "imd_rank", "more of it: less deprived"),
        (-0.8, "imd_rank", "more of it: more deprived"),
        (0.8, "imd_score", "more of it: more deprived"),
        (-0.8, "income_score", "more of it: less deprived"),
        (-0.8, "imd_decile", "more of it: more deprived"),
        (-0.1, "imd_score", "no one way"),
        (float("nan"), "imd_score", ""),
    ],
)
def test_a_direction_is_said_of_deprivation_whichever_way_the_measure_runs(r, target, said):
    assert importance.direction_words(r, target) == said


def test_the_hover_tells_chance_and_stability():
    text = traces_of(draw("permutation"))["importance"].text[0]
    assert "0.2000 ± 0.0200" in text
    assert "by chance −0.0200 to 0.0500, at most 0.1200" in text
    assert "among the 20 highest in 100% of seeds" in text
