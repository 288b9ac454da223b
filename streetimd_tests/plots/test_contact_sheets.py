"""Contact sheets show each chosen picture with its scores, and never more than that."""

import base64
import hashlib
import io
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.plots import contact_sheets, picture_sheets
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
        **{f"{name}_probability": 0.912 if place == 0 else 0.07 / place for place, name in enumerate(categories)},
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
    told = ("Terraced houses 0.91", "margin 0.035", "heading 90°", "LSOA Z0000001", "2021-05-04")
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
    assert read.code == [picture_sheets.SCRIPT]
    assert not any("onload" in attributes for _, attributes in read.elements)
    assert read.words.count(SCRIPT) > 10


def test_the_page_lets_no_script_run_but_the_one_of_its_keys():
    read = ReadPage(sheet(chosen()))
    (policy,) = (a["content"] for a in read.attributes("meta") if "http-equiv" in a)
    (script,) = read.code
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.endswith(f"script-src 'sha256-{digest}'")
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


def sections(page):
    """Words of each section by its anchor."""
    parts = re.split(r'<section id="([^"]+)"', page)
    return {name: ReadPage(f"<div{text.split('</section>')[0]}</div>").words for name, text in pairs(parts)}


def pairs(parts):
    return zip(parts[1::2], parts[2::2], strict=True)


def control_rows(n_images=2):
    rows = chosen(n_images, 0, ("park",)).query("reason == 'highest_scoring'")
    shares = {"terrace_probability": 0.2, "park_probability": 0.7, "interior_probability": 0.1}
    return rows.assign(reason="control", category="control", probability=0.031, **shares)


def made_up_sensitivities():
    rows = [
        ("reworded: a map of {}", "reworded", None, 120, 10, "park", "terrace", 7),
        ("park without: a lawn", "without_prompt", "park", 120, 3, "park", "interior", 3),
        ("park without: a pond", "without_prompt", "park", 120, 0, None, None, 0),
        ("control: a cucumber", "control", None, 120, 1, "park", "control", 1),
    ]
    columns = ["variant", "kind", "category", "n_images", "n_changed", "changed_from", "changed_to"]
    table = pd.DataFrame(rows, columns=[*columns, "n_changed_from_to"])
    return table.assign(changed_share=table["n_changed"] / table["n_images"])


def test_a_picture_shows_its_three_likeliest_categories_as_bars_and_the_one_it_was_chosen_for():
    shares = {"shops": 0.52, "park": 0.31, "road": 0.14, "works": 0.03}
    row = chosen(1, 0, ("shops",)).iloc[[0]].assign(**{f"{name}_probability": p for name, p in shares.items()})
    titles = {name: name.title() for name in shares}
    page = sheet(row.assign(category="works", probability=0.03), titles=titles)
    read = ReadPage(page)
    assert "Shops 0.52 Park 0.31 Road 0.14 Works 0.03" in read.words
    bars = [attributes for attributes in read.attributes("li") if "style" in attributes]
    assert [bar["style"] for bar in bars] == ["--share:52%", "--share:31%", "--share:14%", "--share:3%"]
    assert [bar.get("class") for bar in bars] == [None, None, None, "for"]


def test_reject_categories_stand_in_a_section_of_their_own_and_nowhere_else():
    parts = sections(sheet(chosen(), rejects=["interior"]))
    assert list(parts) == ["highest-scoring", "least-decisive", "category-grid", "set-aside"]
    assert "Interior: highest-scoring" in parts["set-aside"]
    assert "Interior: drawn at random" in parts["set-aside"]
    for section in ("highest-scoring", "category-grid"):
        # the other two categories link to their sheets, the reject has none
        assert "Interior (" not in parts[section]
        assert "Park (2)" in parts[section]


def test_the_control_stands_last_with_what_it_would_take():
    table = pd.concat([chosen(), control_rows()], ignore_index=True)
    page = sheet(table, sensitivities=made_up_sensitivities())
    parts = sections(page)
    assert list(parts)[-2:] == ["control", "prompt-sensitivity"]
    assert "a cucumber would take 1 of 120 images (0.83%)" in parts["control"]
    assert parts["control"].count("control, if it were offered 0.03") == 2


def test_changes_of_the_prompts_stand_in_a_table_the_largest_first_and_idle_ones_are_counted():
    words = sections(sheet(chosen(), sensitivities=made_up_sensitivities()))["prompt-sensitivity"]
    assert words.index("reworded: a map of {}") < words.index("park without: a lawn")
    assert "Park → Terraced houses (7)" in words
    assert "8.3%" in words
    assert "1 other change of the prompts moved no image" in words
    assert "a pond" not in words


def test_markup_in_prompts_comes_out_as_text():
    table = made_up_sensitivities().assign(variant=f"control: {SCRIPT}", changed_from=SCRIPT, changed_to=SCRIPT)
    page = sheet(pd.concat([chosen(), control_rows()], ignore_index=True), sensitivities=table)
    read = ReadPage(page)
    assert read.code == [picture_sheets.SCRIPT]
    assert read.words.count(SCRIPT) >= 4


def test_a_study_without_other_wordings_has_no_section_of_them():
    assert "prompt-sensitivity" not in sections(sheet(chosen(), sensitivities=made_up_sensitivities().iloc[:0]))


@pytest.mark.parametrize("n_per_category", [60, 200])
def test_a_page_keeps_its_limit_however_many_pictures_are_chosen(n_per_category):
    # noise does not compress, and long names and links are as bad as they come
    hard = [picture(320, 320, noisy=True, seed=seed) for seed in range(2)]
    names = tuple(f"a_category_with_a_long_name_{number:02d}" for number in range(12))
    table = chosen(n_per_category, 500, names).assign(credit="C" * 500, licence="L" * 500)
    table["viewer_url"] = [f"https://viewer.example/{'v' * 150}?id={name}" for name in table["image_id"]]
    titles = {name: f"{name} in other words for people" for name in names}
    # a few pictures under many names: what is drawn is what counts, reading is what takes time
    table["image_path"] = [f"{place % 40:03d}" for place in range(len(table))]
    page = sheet(table, lambda path: hard[int(path) % 2], titles=titles)
    assert len(page.encode()) <= picture_sheets.PAGE_BYTES
    n_shown = len(ReadPage(page).attributes("img"))
    assert 1_500 < n_shown <= len(table)
    assert ("pixels wide, because there are so many" in page) == (n_per_category == 200 or n_shown > 1_000)


def test_where_not_all_fit_the_first_of_each_group_are_shown_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(picture_sheets, "PAGE_BYTES", picture_sheets._REST_BYTES + 40 * 4_433)
    table = chosen(12, 24)
    table["margin"] = np.random.default_rng(3).random(len(table))
    page = sheet(table)
    shown = {figure["title"] for figure in ReadPage(page).attributes("figure")}
    assert len(shown) <= 40
    assert f"Of 96 chosen images, {len(shown)} are shown" in page
    kept = table[table["image_id"].isin(shown)]
    sizes = kept.groupby(["reason", "category"]).size()
    assert sizes["highest_scoring"].nunique() == 1
    for _, group in kept[kept["reason"] != "least_decisive"].groupby(["reason", "category"]):
        assert sorted(group["position"]) == list(range(1, len(group) + 1))
    doubtful = table[table["reason"] == "least_decisive"]
    assert set(doubtful.nsmallest(sizes["least_decisive"].sum(), "margin")["image_id"]) <= shown


def test_a_picture_chosen_twice_is_read_once():
    table, asked = chosen(), []
    table["image_path"] = "one"
    sheet(table, lambda path: asked.append(path) or picture())
    assert asked == ["one"]
