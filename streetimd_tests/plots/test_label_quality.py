"""The section on labels says what people say, with intervals and counts, or how to label."""

import pandas as pd
import pytest

from streetimd_assets.plots import label_quality, pages
from streetimd_assets.science.label_agreement import TABLES_MADE, assess_labels
from streetimd_assets.science.labelling import choose_candidates
from streetimd_tests.plots.made_up_tables import HEADING, SCRIPT
from streetimd_tests.plots.reading_pages import ReadPage
from streetimd_tests.simulated_raters import NAMES, files_of, labels_by, made_up_images

TITLES = {"terrace": "Terraced houses", "park": "Parks", "shops": "Shops", "derelict": "Derelict land"}


@pytest.fixture(scope="module")
def tables():
    probabilities, truth = made_up_images(1500)
    drawn = choose_candidates(probabilities, files_of(probabilities), n_per_group=40, n_at_random=100, seed=1)
    seen = truth[drawn["image_id"]]
    labels = pd.concat([labels_by("Anna", seen), labels_by(SCRIPT, seen[:200], errors=0.1)])
    drawn = drawn.assign(local_authority="camden")
    return assess_labels(drawn, labels, probabilities, categories=NAMES, seed=1).tables


def section(tables, titles=TITLES):
    page = pages.Page(HEADING, "Trial")
    label_quality.add_label_quality(page, tables, titles)
    assert page.anchors == ["labels"]
    return ReadPage(page.render())


def test_accuracy_kappa_and_temperature_are_said_with_their_intervals(tables):
    words = section(tables).words
    figures = tables["label_figures"].set_index("figure")
    accuracy, kappa = figures.loc["accuracy"], figures.loc["cohens_kappa"]
    assert f"People agree with the model on {accuracy['value']:.1%} of images" in words
    assert f"95% interval {accuracy['low']:.1%} to {accuracy['high']:.1%}" in words
    assert f"Cohen's kappa {kappa['value']:.2f} ({kappa['low']:.2f} to {kappa['high']:.2f})" in words
    assert "Temperature" in words
    assert "all 1,500 images of camden" in words


def test_each_category_has_a_row_with_its_counts(tables):
    words = section(tables).words
    for row in tables["label_agreement"].to_dict("records"):
        assert f"{TITLES[row['category']]} {row['n_labelled']} {row['n_predicted']} {row['precision']:.1%}" in words


def test_every_figure_has_units_and_counts_on_its_axes(tables):
    figures = section(tables).figures
    assert len(figures) == 3
    for figure in figures:
        words = figure["layout"]["xaxis"]["title"]["text"]
        assert "labelled image" in words
        assert "%" in words or "robability" in words or "model says" in words


def test_the_matrix_has_a_number_in_each_cell_with_images_and_rows_are_what_people_say(tables):
    matrix = label_quality.confusion_matrix(tables["label_confusions"], TITLES, n_images=123)
    cells = tables["label_confusions"]
    told = [note.text for note in matrix.layout.annotations]
    assert len(told) == (cells["n_images"] > 0).sum()
    assert list(matrix.data[0].y) == list(TITLES.values())
    row = cells[cells["label"] == "park"].set_index("category")
    percent = 100 * row["share"] / row["share"].sum()
    assert matrix.data[0].z[1][0] == pytest.approx(percent["terrace"])


def test_images_on_which_raters_are_tied_are_counted_once_on_every_axis(tables):
    n_images = tables["label_figures"].set_index("figure").loc["accuracy", "n_images"]
    # the second rater errs at times: some images stand in two cells
    assert tables["label_confusions"]["n_images"].sum() > n_images
    for figure in section(tables).figures:
        assert f"{n_images} labelled images" in figure["layout"]["xaxis"]["title"]["text"]


def test_before_and_after_differ_in_symbol_and_dash_for_grey_prints(tables):
    curves = label_quality.reliability_curve(tables["reliability_bins"]).data[1:]
    assert len({(curve.marker.symbol, curve.line.dash) for curve in curves}) == 2


@pytest.mark.parametrize("empty", [True, False])
def test_without_labels_the_section_says_how_to_label(tables, empty):
    given = {name: tables[name].iloc[:0] for name in TABLES_MADE} if empty else {}
    read = section(given)
    assert "Nobody has labelled images yet" in read.words
    assert "streetimd label STUDY" in read.words
    assert not read.figures


def test_a_raters_name_is_text(tables):
    read = section(tables)
    assert SCRIPT in read.words
    assert all("alert(1)" not in code for code in read.code)


def test_few_labels_without_temperature_kappa_and_bins_still_make_a_section(tables):
    figures = tables["label_figures"].copy()
    figures.loc[figures["figure"] != "accuracy", ["value", "low", "high"]] = None
    read = section(tables | {"label_figures": figures, "reliability_bins": tables["reliability_bins"].iloc[:0]})
    assert "not known until two have labelled" in read.words
    # nothing is said of scaling where there is none, nor of the unsure where nobody is
    unscaled = section(tables | {"reliability_bins": tables["reliability_bins"].query("stage == 'before'")})
    assert "other half of the labels" in section(tables).words
    assert "other half of the labels" not in unscaled.words
    assert "unsure" not in read.words
    assert len(read.figures) == 2
