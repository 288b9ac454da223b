"""The report says whether neighbours err alike, shows where, and marks what rests on few images."""

import json
import re

import pandas as pd
import pytest

from streetimd_assets.plots import maps, style
from streetimd_assets.plots.comparison import observed_and_predicted
from streetimd_assets.plots.linked_maps import LinkedMaps
from streetimd_assets.plots.lsoa_sections import add_lsoas
from streetimd_assets.plots.pages import Page
from streetimd_assets.plots.residuals import add_residuals, cluster_drawings
from streetimd_tests.plots.made_up_tables import HEADING, made_up_lsoas, made_up_tables
from streetimd_tests.plots.reading_pages import ReadPage

MODEL = "imd_rank/embeddings-mean/ridge/leave_one_la_out"


@pytest.fixture(scope="module")
def tables():
    return made_up_tables()


def words_of(tables, add=add_residuals, *more):
    page = Page(HEADING, "Trial")
    add(page, tables, *more)
    return ReadPage(page.render()).words


def test_likeness_of_errors_is_told_beside_that_of_the_target(tables):
    words = words_of(tables)
    assert f"With whole local authorities held out, errors of {MODEL} have Moran’s I = 0.31 (p < 0.01)" in words
    assert "among the 8 nearest LSOAs; the target itself has 0.52" in words
    assert "Ridge regression on embeddings 0.31 (p < 0.01) 0.21 (p < 0.01)" in words
    assert "Random forest on embeddings 0.10 (p = 0.40) 0.00 (p = 0.40)" in words
    # baselines come last
    assert words.index("Baseline: training mean 0.60") > words.index("Ridge regression on embeddings 0.31")


def test_a_model_scored_under_one_split_alone_leaves_a_dash(tables):
    rows = tables["residual_autocorrelation"]
    kept = rows[(rows["model_id"] == MODEL) | ~rows["model_id"].str.contains("ridge")]
    assert "Ridge regression on embeddings 0.31 (p < 0.01) –" in words_of(
        tables | {"residual_autocorrelation": kept}
    )


def test_thin_predictions_are_counted_drawn_apart_and_named_in_the_table(tables):
    assert "10 of 100 predictions are thin" in words_of(tables)
    rows = tables["lsoa_predictions"]
    figure = observed_and_predicted(rows, model_id=MODEL, target="imd_rank")
    assert list(figure.data[0].marker.symbol) == (["diamond-open"] + ["circle"] * 9) * 10
    assert "open diamonds: from few images (10)" in figure.layout.xaxis.title.text
    words = words_of(tables, add_lsoas, made_up_lsoas())
    assert len(re.findall(r"\d\), thin", words)) == 10


def test_without_thin_predictions_the_report_says_so_and_draws_circles(tables):
    plenty = tables | {"lsoa_predictions": tables["lsoa_predictions"].assign(is_thin=False)}
    assert "None of 100 predictions is thin" in words_of(plenty)
    figure = observed_and_predicted(plenty["lsoa_predictions"], model_id=MODEL, target="imd_rank")
    assert set(figure.data[0].marker.symbol) == {"circle"}
    assert "diamonds" not in figure.layout.xaxis.title.text


@pytest.mark.parametrize(
    ("target", "low_low", "side"), [("imd_rank", "worse", "below"), ("imd_score", "better", "above")]
)
def test_low_residuals_are_worse_than_they_look_for_ranks_and_better_for_scores(tables, target, low_low, side):
    ((values, shading, _, caption),) = cluster_drawings(tables, target)
    kinds = tables["residual_clusters"].set_index("lsoa_code")["cluster"]
    names = {kind: {shading.words(value) for value in values[kinds == kind]} for kind in set(kinds)}
    other = {"worse": "better", "better": "worse"}[low_low]
    assert names == {
        "low_low": {f"{low_low} than it looks"},
        "low_high": {f"{low_low} amid {other}"},
        "none": {"no clump"},
        "high_low": {f"{other} amid {low_low}"},
        "high_high": {f"{other} than it looks"},
    }
    assert f"{side} the mean residual of {style.measure_label(target)}" in caption


def grey(colour):
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_kinds_can_be_told_apart_in_a_grey_print():
    ((_, shading, _, _),) = cluster_drawings(made_up_tables(), "imd_rank")
    shades = {value: grey(shading.colour(value)) for value in (-2.0, -1.0, 0.0, 1.0, 2.0)}
    # those below zero are hatched: within the hatched and the plain, lightness differs
    assert abs(shades[-2.0] - shades[-1.0]) > 60
    plain = sorted(shades[value] for value in (0.0, 1.0, 2.0))
    assert plain[1] - plain[0] > 40
    assert plain[2] - plain[1] > 40
    assert shading.hatches_negative


def test_the_key_of_the_map_names_every_kind_and_counts_its_lsoas(tables):
    lsoas = made_up_lsoas()
    ((values, shading, label, caption),) = cluster_drawings(tables, "imd_rank")
    known = values.iloc[:-3]
    drawn = LinkedMaps(lsoas, heading=HEADING).map(known, shading=shading, label=label, caption=caption)
    entries = re.findall(r">([^<>]+: \d+)</text>", drawn)
    assert entries == [
        "worse than it looks: 5",
        "worse amid better: 5",
        "no clump: 77",
        "better amid worse: 5",
        "better than it looks: 5",
        "no value: 3",
    ]
    (hatched,) = re.findall(r'class="hatching"[^>]* d="([^"]*)"', drawn)
    # one of them has a hole, a path of its own
    assert hatched.count("z") == 11


def test_a_menu_hatches_kinds_below_zero_by_their_place(tables):
    ((values, shading, label, _),) = cluster_drawings(tables, "imd_rank")
    counts = pd.Series(1.0, index=values.index)
    linked = LinkedMaps(made_up_lsoas(), heading=HEADING)
    drawn = linked.menu_map(
        {"Images": (counts, maps.amount_shading(counts)), label: (values, shading)}, label="", caption=""
    )
    below = [json.loads(found) for found in re.findall(r'"below":(\[[\d,]*\])', drawn)]
    codes = list(made_up_lsoas()["lsoa_code"])
    assert below == [[], [codes.index(code) for code in values.index[values < 0]]]


def test_tables_that_are_not_there_leave_a_sentence():
    assert "residual_autocorrelation has no rows yet" in words_of({})
    assert list(cluster_drawings({}, "imd_rank")) == []
