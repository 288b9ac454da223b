"""The page of a search shows the nearest first, and says how to read its similarities."""

from datetime import date

import pandas as pd

from streetimd_assets.plots import search
from streetimd_tests.plots.made_up_tables import SCRIPT, TITLES
from streetimd_tests.plots.reading_pages import ReadPage
from streetimd_tests.plots.test_contact_sheets import picture


def found(n_images=3):
    return pd.DataFrame(
        {
            "image_id": [f"p{number:03d}@090" for number in range(n_images)],
            "lsoa_code": "Z0000001",
            "local_authority": "alderwick",
            "similarity": [0.31 - 0.01 * number for number in range(n_images)],
            "category": ["park", None, "terrace"][:n_images],
            "heading_deg": 90.0,
            "captured_on": date(2021, 5, 4),
            "image_path": "somewhere",
            "viewer_url": None,
            "credit": "A. Photographer",
            "licence": "CC BY-SA 4.0",
        }
    )


def page_of(table, read_image=lambda path: picture(), **changes):
    given = {"heading": "Trial (SYNTHETIC IMAGES)", "text": "a pond", "names": {"alderwick": "Alderwick"}}
    return search.search_page(table, read_image, titles=TITLES, **(given | changes))


def test_the_nearest_stands_first_with_its_similarity_category_and_place():
    read = ReadPage(page_of(found()))
    assert [figure["title"] for figure in read.attributes("figure")] == list(found()["image_id"])
    for words in ("1. similarity 0.310 Park Alderwick", "2. similarity 0.300 not classified Alderwick"):
        assert words in read.words
    assert "A. Photographer · CC BY-SA 4.0" in read.words


def test_heading_text_and_notes_stand_on_the_page():
    words = ReadPage(page_of(found(), notes=["Similarity is relative."])).words
    assert "Trial (SYNTHETIC IMAGES)" in words
    assert "Images nearest to “a pond”" in words
    assert "Similarity is relative." in words


def test_markup_in_what_was_searched_and_found_comes_out_as_text():
    table = found().assign(credit=SCRIPT, licence=SCRIPT, lsoa_code=SCRIPT, local_authority=SCRIPT, category=SCRIPT)
    read = ReadPage(page_of(table, text=SCRIPT, heading=SCRIPT, notes=[SCRIPT]))
    assert len(read.code) == 1
    assert "alert(1)" not in read.code[0]
    assert read.words.count(SCRIPT) > 10


def test_a_picture_that_was_not_kept_is_a_gap_with_a_link():
    table = found().assign(viewer_url="https://viewer.example/?id=1")
    read = ReadPage(page_of(table, lambda path: None))
    assert read.attributes("img") == []
    assert read.words.count("Picture not kept: open at the provider") == 3
