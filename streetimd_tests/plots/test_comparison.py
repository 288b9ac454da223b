"""Scores are drawn as dots with intervals, predictions beside what was observed."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.plots import comparison
from streetimd_tests.plots.made_up_tables import SCRIPT, TITLES, made_up_tables


@pytest.fixture(scope="module")
def tables():
    return made_up_tables()


def dots(figure):
    """Label, series and R² of every dot."""
    labels = figure.layout.yaxis.ticktext
    return {
        (labels[round(place)], trace.name): (r2, trace)
        for trace in figure.data
        for r2, place in zip(trace.x, trace.y, strict=True)
    }


def test_tuned_models_stand_at_their_r2_once_per_split(tables):
    found = dots(comparison.tuned_scores(tables["model_scores"]))
    assert len(found) == 8
    assert found["Ridge regression on embeddings", "random folds"][0] == pytest.approx(0.6)
    assert found["Ridge regression on embeddings", "whole local authorities"][0] == pytest.approx(0.5)
    assert found["Baseline: coordinates only", "whole local authorities"][0] == pytest.approx(0.05)


def test_single_folds_and_other_experiments_are_not_drawn(tables):
    for figure in (
        comparison.tuned_scores(tables["model_scores"]),
        comparison.forest_scores(tables["model_scores"], TITLES),
    ):
        values = np.concatenate([np.array(trace.x, dtype=float) for trace in figure.data])
        assert np.nanmin(values) > -0.2


def test_baselines_have_open_marks_and_stand_below_the_models(tables):
    figure = comparison.tuned_scores(tables["model_scores"])
    for (label, _), (_, trace) in dots(figure).items():
        assert trace.marker.symbol.endswith("-open") == label.startswith("Baseline")
    is_baseline = [label.startswith("Baseline") for label in figure.layout.yaxis.ticktext]
    assert is_baseline == sorted(is_baseline)


def test_splits_differ_in_colour_and_in_shape(tables):
    traces = comparison.tuned_scores(tables["model_scores"]).data
    marks = {(trace.name, trace.marker.color, trace.marker.symbol.removesuffix("-open")) for trace in traces}
    assert len(marks) == len({mark[1] for mark in marks}) == len({mark[2] for mark in marks}) == 2


def test_intervals_reach_from_low_to_high(tables):
    _, trace = dots(comparison.tuned_scores(tables["model_scores"]))["Random forest on embeddings", "random folds"]
    assert trace.error_x.array == pytest.approx([0.05] * len(trace.x))
    assert trace.error_x.arrayminus == pytest.approx([0.1] * len(trace.x))


def test_the_forest_table_tells_pooling_and_category_and_how_many_lsoas(tables):
    figure = comparison.forest_scores(tables["model_scores"], TITLES)
    found = dots(figure)
    assert found["Embeddings", "max"][0] == pytest.approx(0.55)
    assert found["Images of Park only", "median"][0] == pytest.approx(0.35)
    assert found["Category shares", "not pooled"][0] == pytest.approx(0.25)
    assert "n = 4 to 100 LSOAs" in figure.layout.xaxis.title.text


def test_a_model_without_a_score_keeps_its_place_without_a_dot(tables):
    r2, _ = dots(comparison.forest_scores(tables["model_scores"], TITLES))["Images of Terraced houses only", "max"]
    assert np.isnan(r2)


def test_observed_and_predicted_are_those_of_the_model_named(tables):
    model_id = "imd_rank/embeddings-mean/ridge/random_folds"
    rows = tables["lsoa_predictions"].query("model_id == @model_id").sort_values("lsoa_code")
    figure = comparison.observed_and_predicted(rows, model_id=model_id, target="imd_rank")
    points, equality = figure.data
    assert points.x == pytest.approx(rows["predicted"])
    assert points.y == pytest.approx(rows["observed"])
    assert equality.x == equality.y
    assert "1 = most deprived" in figure.layout.xaxis.title.text
    assert "100 LSOAs" in figure.layout.xaxis.title.text


def test_of_very_many_lsoas_some_are_drawn_and_the_axis_says_how_many():
    n = 12_000
    codes = [f"E{number:08d}" for number in range(n)]
    table = pd.DataFrame({"model_id": "m", "lsoa_code": codes, "observed": np.arange(n), "predicted": np.arange(n)})
    figure = comparison.observed_and_predicted(table, model_id="m", target="imd_rank")
    assert len(figure.data[0].x) == 5_000
    assert figure.data[0].x[-1] == n - 1
    assert "12,000 LSOAs, 5,000 of them drawn" in figure.layout.xaxis.title.text


def test_names_of_lsoas_are_text_in_hover_boxes(tables):
    rows = tables["lsoa_predictions"]
    names = dict.fromkeys(rows["lsoa_code"], SCRIPT)
    figure = comparison.observed_and_predicted(
        rows, model_id=rows["model_id"].iloc[0], target="imd_rank", names=names
    )
    assert all(text.startswith("&lt;script&gt;") for text in figure.data[0].text)
