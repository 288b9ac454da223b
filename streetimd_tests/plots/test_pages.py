"""A page is one file that fetches nothing, runs only its own scripts, and shows text as text."""

import base64
import hashlib

import pytest

from streetimd_assets.plots import pages, style
from streetimd_tests.plots.made_up_tables import SCRIPT
from streetimd_tests.plots.reading_pages import ReadPage


def page_with_figure(heading="Trial (SYNTHETIC IMAGES)", scripts=()):
    page = pages.Page(heading, "A subject", scripts=list(scripts))
    figure = style.new_figure(height=300)
    figure.add_scatter(x=[1, 2], y=[0.123456789, float("nan")], text=["</script><b>", "ok"])
    page.add_section("part", "A part", page.figure(figure, name="Dots", caption="Two dots."))
    return page.render()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SCRIPT, "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a\x00b\x1b[31m", "ab[31m"),
        ('King\'s "Head" & Co', "King&#x27;s &quot;Head&quot; &amp; Co"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_escape_leaves_nothing_that_a_page_would_act_on(value, shown):
    assert style.escape(value) == shown


def test_a_figure_comes_back_from_the_page_as_it_went_in():
    (figure,) = ReadPage(page_with_figure()).figures
    assert figure["data"][0]["text"][0] == "</script><b>"
    assert figure["data"][0]["y"] == [0.1234568, None]


def test_every_figure_carries_the_heading_of_the_study():
    (figure,) = ReadPage(page_with_figure()).figures
    assert figure["layout"]["title"]["text"] == "Trial (SYNTHETIC IMAGES)"


def test_a_page_says_that_its_figures_need_scripts_and_leaves_them_no_room_without():
    page = page_with_figure()
    assert page.count("<noscript>This figure is drawn by a script, and scripts do not run here.</noscript>") == 1
    assert "<noscript><style>figure.plot > div { height: auto !important" in page
    assert "noscript" not in pages.Page("Trial", "No figures").render()


def hashes_of(scripts):
    return {f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in scripts}


def allowed_by(read):
    (policy,) = (a["content"] for a in read.attributes("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy
    return set(policy.partition("script-src ")[2].split())


def test_only_the_page_own_scripts_may_run():
    read = ReadPage(page_with_figure())
    assert len(read.code) == 1
    assert allowed_by(read) == hashes_of([*read.code, read.plot_library])


def test_a_small_script_may_run_and_comes_before_the_one_that_draws_figures():
    first, drawing = ReadPage(page_with_figure(scripts=["const a = '<b>';"])).code
    assert first == "const a = '<b>';"
    assert "Plotly.newPlot" in drawing
    page = pages.Page("Trial", "Nothing to draw", scripts=["first()", "second()"]).render()
    assert ReadPage(page).code == ["first()", "second()"]
    assert allowed_by(ReadPage(page)) == hashes_of(["first()", "second()"])


def test_a_page_without_script_allows_none():
    assert allowed_by(ReadPage(pages.Page("Trial", "Nothing").render())) == {"'none'"}


def test_nothing_is_fetched_from_anywhere():
    for tag, attributes in ReadPage(page_with_figure()).elements:
        assert tag not in ("link", "iframe", "object", "embed")
        assert "src" not in attributes


def test_no_button_offers_to_send_the_figure_to_a_server():
    assert "showSendToCloud: false" in page_with_figure()


def test_the_plot_library_stands_in_a_page_once_packed_and_only_where_there_are_figures():
    page = page_with_figure()
    assert ReadPage(page).plot_library.count("plotly.js v") == 1
    assert len(page) < 2_200_000
    assert len(pages.Page("Trial", "Nothing").render()) < 20_000


def test_the_same_page_made_twice_is_the_same():
    assert page_with_figure() == page_with_figure()


def test_rows_of_a_table_carry_the_ids_they_are_given():
    rows = ReadPage(pages.table("Two", ["Name", "n"], [["a", "1"], ["b", "2"]], ids=["row-a", "row-b"]))
    assert [row.get("id") for row in rows.attributes("tr")] == [None, "row-a", "row-b"]


def test_the_page_names_its_language_title_and_sections():
    page = page_with_figure()
    read = ReadPage(page)
    assert page.startswith("<!DOCTYPE html>")
    assert read.attributes("html") == [{"lang": "en"}]
    assert "<title>A subject · Trial (SYNTHETIC IMAGES)</title>" in page
    assert {"href": "#part"} in read.attributes("a")
    assert any(a.get("aria-label") == "Dots" and a.get("role") == "img" for a in read.attributes("div"))


def test_a_long_table_scrolls_in_a_box_that_the_keyboard_reaches():
    table = ReadPage(pages.table("Many", ["Name", "n"], [["a", "1"]] * 100))
    (box,) = table.attributes("div")
    assert (box["tabindex"], box["role"], box["aria-label"]) == ("0", "region", "Many")
    assert len(table.attributes("tr")) == 101
