"""A page is one file that fetches nothing, runs only its own scripts, and shows text as text."""

import base64
import hashlib

import pytest

from streetimd_assets.plots import pages, style
from streetimd_tests.plots.made_up_tables import SCRIPT
from streetimd_tests.plots.reading_pages import ReadPage


def page_with_figure(heading="Trial (SYNTHETIC IMAGES)"):
    page = pages.Page(heading, "A subject")
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


def test_only_the_page_own_scripts_may_run():
    read = ReadPage(page_with_figure())
    (policy,) = (a["content"] for a in read.attributes("meta") if "http-equiv" in a)
    hashes = {base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in read.code}
    assert len(hashes) == 2
    assert set(policy.partition("script-src ")[2].split()) == {f"'sha256-{value}'" for value in hashes}
    assert "default-src 'none'" in policy


def test_nothing_is_fetched_from_anywhere():
    for tag, attributes in ReadPage(page_with_figure()).elements:
        assert tag not in ("link", "iframe", "object", "embed")
        assert "src" not in attributes


def test_no_button_offers_to_send_the_figure_to_a_server():
    assert "showSendToCloud: false" in page_with_figure()


def test_the_plot_library_stands_in_a_page_once_and_only_where_there_are_figures():
    assert page_with_figure().count("plotly.js v") == 1
    assert len(pages.Page("Trial", "Nothing").render()) < 20_000


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
