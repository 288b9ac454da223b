"""Contact sheets show each chosen picture with its scores, and never more than that."""

import base64
import io
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.plots import contact_sheets
from streetimd_tests.plots.made_up_tables import SCRIPT, TITLES
from streetimd_tests.plots.reading_pages import ReadPage


def picture(width=200, height=200, *, noisy=False, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels) if noisy else Image.new("RGB", (width, height), (90, 120, 60))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def chosen(n_per_category=2, n_least_decisive=3, categories=tuple(TITLES)):
    rows = [
        (reason, category, position)
        for reason in ("highest_scoring", "category_grid")
        for category in categories
        for position in range(1, n_per_category + 1)
    ]
    rows += [("least_decisive", categories[0], position) for position in range(1, n_least_decisive + 1)]
    table = pd.DataFrame(rows, columns=["reason", "category", "position"])
    table["image_id"] = [f"p{number:03d}@090" for number in range(len(table))]
    return table.assign(
        lsoa_code="Z0000001", heading_deg=90.0, probability=0.912, margin=0.0347, image_path=table["image_id"],
        captured_on=date(2021, 5, 4), licence="CC BY-SA 4.0", credit="A. Photographer", viewer_url=None,
    )  # fmt: skip


def sheet(table, read_image=lambda path: picture(), **changes):
    given = {"heading": "Trial (SYNTHETIC IMAGES)", "titles": TITLES, "notes": ()} | changes
    return contact_sheets.contact_sheet_page(table, read_image, **given)


def thumbnails(page):
    sources = [attributes["src"] for attributes in ReadPage(page).attributes("img")]
    return [Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))) for source in sources]


def test_every_chosen_picture_stands_with_its_scores_place_date_and_credit():
    table = chosen()
    page = ReadPage(sheet(table))
    figures = page.attributes("figure")
    assert sorted(figure["title"] for figure in figures) == sorted(table["image_id"])
    told = ("probability 0.91", "margin 0.035", "heading 90°", "LSOA Z0000001", "2021-05-04")
    for words in (*told, "A. Photographer · CC BY-SA 4.0"):
        assert page.words.count(words) == len(table), words


def test_thumbnails_are_at_most_160_pixels_and_keep_their_shape():
    for thumbnail in thumbnails(sheet(chosen(1, 1), lambda path: picture(640, 320))):
        assert thumbnail.format == "JPEG"
        assert thumbnail.size == (160, 80)


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"\xff\xd8 not a picture", picture(noisy=True)[:4000]],
    ids=["none", "empty", "bad", "cut"],
)
def test_a_picture_that_cannot_be_had_leaves_a_gap_with_its_name(answer):
    table = chosen()
    page = ReadPage(sheet(table, lambda path: answer if path == "p001@090" else picture()))
    assert "No picture: the file of p001@090 is missing or unreadable" in page.words
    assert len(page.attributes("img")) == len(table) - 1
    assert len(page.attributes("figure")) == len(table)


def viewer_of(table):
    return table.assign(viewer_url=[f"https://viewer.example/?id={name}&look=90" for name in table["image_id"]])


def outside(page):
    links = ReadPage(page).attributes("a")
    return [link for link in links if not link["href"].startswith("#")]


def test_each_picture_leads_to_its_own_page_at_the_provider():
    table = viewer_of(chosen())
    links = outside(sheet(table))
    assert sorted(link["href"] for link in links) == sorted(table["viewer_url"])
    assert all(link["rel"] == "noopener noreferrer" for link in links)
    assert outside(sheet(chosen())) == []


def test_pictures_that_were_not_kept_are_labelled_gaps_that_lead_to_the_provider():
    table = viewer_of(chosen())
    page = sheet(table, lambda path: None)
    assert ReadPage(page).words.count("Picture not kept: open at the provider") == len(table)
    assert ReadPage(page).attributes("img") == []
    assert sorted(link["href"] for link in outside(page)) == sorted(table["viewer_url"])


def test_an_address_that_is_not_of_the_web_is_no_link():
    table = chosen().assign(viewer_url="javascript:alert(1)")
    assert outside(sheet(table)) == []
    assert "javascript" not in sheet(table, lambda path: None)


def test_a_picture_without_path_date_heading_or_credit_says_so():
    table = chosen(1, 0, ("park",)).assign(image_path=None, captured_on=None, heading_deg=None)
    words = ReadPage(sheet(table.assign(licence=None, credit=None))).words
    for part in ("No picture", "date not known", "heading not known", "credit and licence not known"):
        assert words.count(part) == len(table)


def test_script_planted_anywhere_comes_out_as_text():
    table = chosen(1, 1).assign(credit=SCRIPT, licence=SCRIPT, lsoa_code=SCRIPT, reason=SCRIPT)
    table["image_id"] = [f'{SCRIPT}" onload="alert(1)' for _ in range(len(table))]
    page = sheet(table, heading=SCRIPT, titles=dict.fromkeys(TITLES, SCRIPT), notes=[SCRIPT])
    read = ReadPage(page)
    assert not read.scripts
    assert not any("onload" in attributes for _, attributes in read.elements)
    assert read.words.count(SCRIPT) > 10


def test_the_page_needs_no_script_and_lets_none_run():
    (policy,) = (a["content"] for a in ReadPage(sheet(chosen())).attributes("meta") if "http-equiv" in a)
    assert "script-src 'none'" in policy
    assert "default-src 'none'" in policy


def test_every_link_leads_to_a_place_on_the_page():
    read = ReadPage(sheet(chosen()))
    places = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(places) == len(set(places))
    links = [attributes["href"] for attributes in read.attributes("a")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(places)


def test_every_picture_can_be_reached_with_the_keyboard_and_is_described():
    read = ReadPage(sheet(chosen()))
    assert all(attributes["tabindex"] == "0" for attributes in read.attributes("figure"))
    assert all("Street image classified as" in attributes["alt"] for attributes in read.attributes("img"))
    assert all(attributes["loading"] == "lazy" for attributes in read.attributes("img"))


def test_the_heading_stands_in_title_and_headline():
    page = sheet(chosen(1, 1))
    assert re.search(r"<title>[^<]*SYNTHETIC IMAGES[^<]*</title>", page)
    assert re.search(r"<h1>[^<]*SYNTHETIC IMAGES", page)


def test_240_pictures_of_the_hardest_kind_stay_below_3_mb():
    hard = [picture(320, 320, noisy=True, seed=seed) for seed in range(3)]
    table = chosen(12, 24, tuple("abcdefghi"))
    page = sheet(table, lambda path: hard[int(path[1:4]) % 3])
    assert len(ReadPage(page).attributes("img")) == 9 * 12 * 2 + 24
    assert len(page.encode()) < 3_000_000


def test_no_chosen_picture_makes_a_page_that_says_so():
    assert "No image has been chosen yet" in ReadPage(sheet(chosen().iloc[:0])).words


def test_shuffled_rows_make_the_same_page():
    table = chosen()
    assert sheet(table.sample(frac=1, random_state=1)) == sheet(table)


def test_the_strip_shows_the_best_of_each_category_first():
    table = chosen(12, 24)
    asked = []
    strip = contact_sheets.preview_strip(table, lambda path: asked.append(path) or picture())
    assert Image.open(io.BytesIO(strip)).size == (8 * 100 - 4, 96)
    of_asked = table.set_index("image_id").loc[asked]
    assert list(of_asked["reason"].unique()) == ["highest_scoring"]
    assert set(of_asked.iloc[:3]["category"]) == set(TITLES)


def test_the_strip_keeps_its_limit_with_the_hardest_pictures_and_with_none():
    hard = picture(320, 320, noisy=True)
    assert len(contact_sheets.preview_strip(chosen(), lambda path: hard)) <= 30_000
    assert len(contact_sheets.preview_strip(chosen(), lambda path: hard, max_bytes=3_000)) <= 3_000
    for table, answer in ((chosen(), None), (chosen().iloc[:0], hard)):
        assert Image.open(io.BytesIO(contact_sheets.preview_strip(table, lambda path, a=answer: a))).height == 96
