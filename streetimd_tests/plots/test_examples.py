"""Example images stand in a page of their own, with what is known of each, and without a map."""

import io

import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.plots.examples import example_page
from streetimd_tests.plots.made_up_tables import (
    HEADING,
    SCRIPT,
    TITLES,
    made_up_concepts,
    made_up_examples,
    made_up_lsoas,
    made_up_words,
)
from streetimd_tests.plots.reading_pages import ReadPage


def picture(_path):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "#336699").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def examples():
    lsoas = made_up_lsoas(1)
    return made_up_examples(lsoas["lsoa_code"], lsoas["lad_code"])


def page_of(examples, read_image=picture, **options):
    return ReadPage(example_page(examples, read_image, heading=HEADING, titles=TITLES, **options))


def correlations(r):
    return pd.DataFrame({"measure": "imd_rank", "dimension": [3], "pearson_r": [r]})


def test_each_end_of_each_feature_is_shown_with_value_category_place_date_and_credit(examples):
    page = page_of(examples)
    assert len(page.attributes("img")) == len(examples)
    assert "SYNTHETIC IMAGES" in page.words
    assert "1. Dimension 3 (mean)" in page.words
    assert "2. Share of Park" in page.words
    assert "value 0.100 taken for Park LSOA Z00000001 heading 90°, 2021-05-04 A. Painter · CC0" in page.words


def test_the_page_has_no_map(examples):
    assert not page_of(examples).attributes("svg")


def test_a_picture_that_was_not_kept_leads_to_its_provider(examples):
    page = page_of(examples, lambda _: None)
    assert not page.attributes("img")
    assert page.words.count("Picture not kept: open at the provider") == len(examples)


@pytest.mark.parametrize(("r", "word"), [(-0.5, "more"), (0.5, "less")])
def test_a_negative_correlation_with_a_rank_means_more_deprived(examples, r, word):
    words = page_of(examples, correlations=correlations(r)).words
    assert f"where it is high, LSOAs tend to be {word} deprived" in words


def test_without_a_correlation_nothing_is_said_of_deprivation(examples):
    assert "tend to be" not in page_of(examples, correlations=correlations(None)).words
    assert "tend to be" not in page_of(examples).words


def test_no_examples_leave_a_sentence(examples):
    assert "No feature has examples yet" in page_of(examples.iloc[:0]).words


def test_script_planted_in_examples_comes_out_as_text(examples):
    named = ["feature", "image_id", "lsoa_code", "category", "credit", "licence", "viewer_url"]
    planted = made_up_words().assign(text=SCRIPT, feature=SCRIPT)
    page = page_of(examples.assign(**dict.fromkeys(named, SCRIPT)), words=planted)
    assert page.words.count(SCRIPT) > 5
    assert all("alert(1)" not in script for script in page.code)


def test_the_words_at_each_end_stand_above_its_pictures(examples):
    words = page_of(examples, words=made_up_words()).words
    assert "Where it is highest In words: a boarded-up shop (2.3), litter (1.5). value" in words
    assert "Where it is lowest In words: a village green (−1.9), hanging baskets (−1.2). value" in words
    # a share has none
    assert words.count("In words:") == 2
    assert "texts and images lie apart in the model’s space" in words
    assert "Words are the phrases" not in page_of(examples).words


def as_direction(examples, feature):
    """The first feature is a direction instead."""
    return examples.assign(feature=examples["feature"].replace("mean_embedding_003", feature))


@pytest.mark.parametrize(("target", "word"), [("imd_rank", "less"), ("imd_score", "more")])
def test_of_the_models_direction_the_page_says_where_it_leads(examples, target, word):
    page = page_of(as_direction(examples, "ridge_direction"), target=target)
    assert "1. Direction of ridge regression" in page.words
    assert f"that the model predicts: {word} deprived" in page.words
    assert "After them come directions" in page.words


def test_a_text_is_named_in_quotes_with_its_correlation(examples):
    page = page_of(as_direction(examples, "concept: text 00"), concepts=made_up_concepts(25))
    assert "1. Words: “text 00”" in page.words
    assert "their place goes with IMD rank (1 = most deprived) at r = −0.60" in page.words
    assert "where it is high, LSOAs tend to be more deprived" in page.words
    assert "After them come directions" not in page_of(examples).words
