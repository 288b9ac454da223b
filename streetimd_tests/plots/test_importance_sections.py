"""The section on importance says what each method means, and how far it rises above chance."""

import pytest

from streetimd_assets.plots import pages
from streetimd_assets.plots.importance_sections import beside_chance, importance_blocks
from streetimd_tests.plots.made_up_tables import HEADING, TITLES, made_up_importances
from streetimd_tests.plots.reading_pages import ReadPage


def read(rows):
    page = pages.Page(HEADING, "Trial")
    page.add_section("importance", "Feature importance", *importance_blocks(page, rows, TITLES))
    return ReadPage(page.render())


@pytest.fixture(scope="module")
def section():
    return read(made_up_importances())


def test_every_method_has_its_figure_and_its_meaning(section):
    assert len(section.figures) == 5
    for said in (
        "favours features with many distinct values",
        "comes from LSOAs that the forest has seen",
        "Importance is the model’s, not the world’s",
        "Features that say the same share their loss",
        "It is never below zero",
        "smooth over the map can pass it",
    ):
        assert said in section.words


def test_members_are_told_shares_first_and_no_more_than_a_few(section):
    assert (
        "Share of Park, Dimension 0 (mean), Dimension 1 (mean), Dimension 2 (mean), Dimension 3 (mean), "
        in section.words
    )
    assert "Dimension 4 (mean) and 2 more" in section.words


def test_each_figure_says_how_many_rise_above_chance(section):
    assert section.words.count("is higher than the highest by chance") == 4
    assert section.words.count("is not higher than the highest by chance, so do not read the order") == 1


def test_the_brackets_are_explained_where_there_are_any(section):
    assert section.words.count("In brackets: seeds in which it is among the 20 highest.") == 2


def test_features_above_the_band_are_counted_beside_what_chance_puts_there():
    rows = made_up_importances()
    some = rows[rows["method"] == "permutation"]
    assert beside_chance(some).startswith(
        "2 of 3 lie above the band, where chance would put 0.1; the first is higher"
    )
    assert "the first is not higher" in beside_chance(some.assign(band_top=0.3))
    assert beside_chance(some.assign(band_high=float("nan"))) == "What chance gives is not known."


def test_a_method_nobody_declared_is_shown_by_its_name():
    rows = made_up_importances().replace({"method": {"gini": "<b>new</b>"}})
    assert "<b>new</b>" in read(rows).words
