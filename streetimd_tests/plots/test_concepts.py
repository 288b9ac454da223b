"""Texts are ranked by how they go with deprivation, with intervals, beside the band of random words."""

import numpy as np
import pytest

from streetimd_assets.plots.concepts import add_concepts, random_words, ranked_concepts
from streetimd_assets.plots.pages import Page
from streetimd_tests.plots.made_up_tables import HEADING, SCRIPT, made_up_concepts, made_up_scores
from streetimd_tests.plots.reading_pages import ReadPage


@pytest.fixture
def concepts():
    return made_up_concepts(100)


def section(concepts, target="imd_rank"):
    page = Page(HEADING, "Trial")
    add_concepts(
        page, {"concept_correlations": concepts, "model_scores": made_up_scores(100).assign(target=target)}
    )
    return ReadPage(page.render())


def dots(figure):
    """Name, r and ends of the bar of each dot, by its row from the top."""
    rows = {}
    for trace in figure.data:
        ends = zip(trace.x, trace.y, trace.error_x.arrayminus, trace.error_x.array, strict=True)
        rows |= {int(row): (x, x - low, x + high) for x, row, low, high in ends}
    return {figure.layout.yaxis.ticktext[row]: rows[row] for row in sorted(rows)}


@pytest.mark.parametrize("measure", ["imd_rank", "imd_score"])
def test_what_goes_with_deprivation_stands_at_the_top_whatever_the_measure(concepts, measure):
    figure = ranked_concepts(concepts.sample(frac=1, random_state=1), kind="prompt", measure=measure, n_each_end=25)
    assert list(dots(figure)) == [f"text {number:02d}" for number in range(40)]
    sign = -1 if measure == "imd_rank" else 1
    r, low, high = dots(figure)["text 00"]
    assert r == pytest.approx(sign * 0.6)
    assert (low, high) == (pytest.approx(r - 0.1), pytest.approx(r + 0.15))
    assert f"deprivation to the {'left' if sign < 0 else 'right'}" in figure.layout.xaxis.title.text


def test_of_many_texts_both_ends_are_drawn_and_the_axis_says_so(concepts):
    figure = ranked_concepts(concepts, kind="prompt", measure="imd_rank", n_each_end=5)
    assert list(dots(figure)) == [f"text {number:02d}" for number in (0, 1, 2, 3, 4, 35, 36, 37, 38, 39)]
    assert "10 of 40 texts, those at either end; 100 LSOAs" in figure.layout.xaxis.title.text


@pytest.mark.parametrize(("kind", "reach"), [("prompt", 0.19), ("pair", 0.095)])
def test_the_band_holds_95_percent_of_random_words_of_the_same_make(concepts, kind, reach):
    figure = ranked_concepts(concepts, kind=kind, measure="imd_score")
    (band,) = figure.layout.shapes
    assert (band.x0, band.x1) == (pytest.approx(-reach), pytest.approx(reach))
    assert len(random_words(concepts[concepts["measure"] == "imd_score"], is_pair=kind == "pair")) == 30
    assert figure.layout.annotations[0].text == f"95% of 30 random {'pairs' if kind == 'pair' else 'words'}"


def test_sure_and_unsure_texts_differ_in_shape_for_a_grey_print(concepts):
    figure = ranked_concepts(concepts, kind="prompt", measure="imd_rank", n_each_end=25)
    shown = {trace.marker.symbol: np.abs(trace.x) for trace in figure.data}
    assert set(shown) == {"circle", "circle-open"}
    assert shown["circle"].min() > 0.3 >= shown["circle-open"].max()


def test_the_section_tells_the_ends_and_what_chance_alone_would_give(concepts):
    words = section(concepts).words
    assert "What deprivation looks like in words" in words
    assert "Of 42 texts and pairs, “text 00” goes most with deprivation: r = −0.60 (−0.70 to −0.45)" in words
    assert "“text 39” goes most against it: r = 0.50 (0.40 to 0.65)" in words
    beyond = int((concepts.query("measure == 'imd_rank'")["random_word_p_value"] <= 0.05).sum())
    assert f"{beyond} go with it more, either way, than 95% of random words" in words
    assert "by chance alone about 2 would" in words
    assert "nothing of the people who live there" in words
    assert "run down low; lower −0.55 (−0.65 to −0.40)" in words
    assert "random: thing" not in words


def test_of_a_score_the_same_text_goes_most_with_deprivation(concepts):
    assert "“text 00” goes most with deprivation: r = 0.60" in section(concepts, "imd_score").words


def test_without_random_words_nothing_is_said_of_them_and_without_texts_there_is_only_a_note(concepts):
    alone = concepts[concepts["kind"] != "random"]
    words = section(alone).words
    assert "go with it more, either way" not in words
    assert not ranked_concepts(alone, kind="pair", measure="imd_rank").layout.shapes
    assert "concept_correlations has no rows yet" in section(concepts.iloc[:0]).words


def test_a_text_without_correlation_is_not_drawn(concepts):
    concepts.loc[concepts["concept"] == "text 00", ["pearson_r", "pearson_r_low", "pearson_r_high"]] = np.nan
    assert "text 00" not in dots(ranked_concepts(concepts, kind="prompt", measure="imd_rank", n_each_end=25))
    assert "text 00" not in section(concepts).words


def test_script_planted_in_texts_comes_out_as_text(concepts):
    page = section(concepts.assign(concept=SCRIPT, away=SCRIPT))
    assert page.words.count(SCRIPT) > 3
    assert all("alert(1)" not in script for script in page.code)
    assert any("&lt;script&gt;" in str(figure) for figure in page.figures)
