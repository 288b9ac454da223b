"""In a browser, under the page's own policy: maps answer together, by mouse and by keyboard, and soon."""

import re
import time
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from streetimd_assets.plots import maps, pages, report, style
from streetimd_assets.plots.linked_maps import LinkedMaps
from streetimd_assets.plots.provenance import Provenance
from streetimd_tests.plots.made_up_tables import TITLES, made_up_lsoas, made_up_tables
from streetimd_tests.ui.dagster_page import browser_page, chromium

pytestmark = pytest.mark.ui
HEADING = "Trial (SYNTHETIC IMAGES)"
N = 25


@pytest.fixture(scope="module")
def browser():
    with browser_page(chromium(), width=1280, height=1000) as page:
        page.complaints = []
        page.on("console", lambda said: page.complaints.append(said.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        assert not page.complaints


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with a map of ranks, a menu of two shares and residuals, a figure, and a table of LSOAs."""
    lsoas = made_up_lsoas(1)
    codes = lsoas["lsoa_code"]
    rank = pd.Series(np.arange(1.0, N + 1), index=codes)
    share = pd.Series(np.linspace(0, 50, N), index=codes).where(rank != 3)
    residual = rank - 13
    linked = LinkedMaps(lsoas, heading=HEADING, extra={codes.iloc[0]: [("Note", "the first <b>one</b>")]})
    shading = maps.deprivation_shading(rank, "imd_rank")
    choices = {
        "Park": (share, maps.share_shading(share)),
        "Residual": (residual, maps.residual_shading(residual, "imd_rank")),
    }
    page = pages.Page(HEADING, "Maps", css=linked.css, scripts=[linked.script])
    drawn = linked.map(rank, label="IMD rank", caption="", shading=shading)
    shares = linked.menu_map(choices, label="here", caption="")
    page.add_section("maps", "Maps", '<div class="pair">', drawn, shares, "</div>")
    figure = style.new_figure(height=300)
    figure.add_scatter(x=[1, 2], y=[3, 4])
    page.add_section("figure", "Figure", page.figure(figure, name="Dots", caption="Two dots."))
    rows = [[name, code] for name, code in zip(lsoas["lsoa_name"], codes, strict=True)]
    ids = [f"lsoa-{code}" for code in codes]
    page.add_section("lsoas", "LSOAs", pages.table("LSOAs by name", ["LSOA", "Code"], rows, words=(0, 1), ids=ids))
    path = tmp_path_factory.mktemp("pages") / "maps.html"
    path.write_text(page.render(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    # another fragment alone would not load the page again
    browser.goto("about:blank")
    browser.goto(address)
    return browser


def box(page):
    return page.locator(".lsoa-box")


def point_at(page, place, which=0):
    """Move the mouse to the middle of an LSOA of a map; squares stand five by five, the first in the south-west."""
    window = page.locator("svg.land").nth(which).bounding_box()
    across, up = (place % 5 + 0.3) / 5, (place // 5 + 0.3) / 5
    side = min(window["width"], window["height"])
    left = window["x"] + (window["width"] - side) / 2
    page.mouse.move(left + side * across, window["y"] + window["height"] - side * up)


def marked(page):
    """Places of the LSOAs marked, one per map."""
    outlines = "[...document.querySelectorAll('.areas path')].map((path) => path.getAttribute('d'))"
    marks = "[...document.querySelectorAll('.mark:not(.under)')].map((path) => path.getAttribute('d'))"
    return page.evaluate(f"(() => {{ const all = {outlines}; return {marks}.map((d) => all.indexOf(d)); }})()")


def test_the_box_names_an_lsoa_with_its_value_in_every_map(opened):
    point_at(opened, 0)
    assert box(opened).inner_text().split("\n") == [
        "Place 0 000A", "Z00000000", "IMD rank", "1", "Park: here", "0.0%", "Note", "the first <b>one</b>",
    ]  # fmt: skip
    assert marked(opened) == [0, 0]
    point_at(opened, 13, which=1)
    assert box(opened).inner_text().split("\n")[2:] == ["IMD rank", "14", "Park: here", "27.1%"]
    assert marked(opened) == [13, 13]
    opened.mouse.move(2, 2)
    assert not box(opened).is_visible()
    assert marked(opened) == [-1, -1]


def test_a_click_leads_to_the_row_of_the_lsoa(opened):
    point_at(opened, 17)
    opened.mouse.down()
    opened.mouse.up()
    row = opened.locator("#lsoa-Z00000017")
    assert row.evaluate("row => row === document.activeElement && row.classList.contains('marked')")
    assert 0 < row.bounding_box()["y"] < 1000
    # it stays the one marked, although another row now lies under the mouse
    opened.wait_for_timeout(300)
    assert marked(opened) == [17, 17]


def test_a_row_pointed_at_or_reached_by_keys_marks_the_maps(opened):
    opened.locator("#lsoa-Z00000004").hover()
    assert marked(opened) == [4, 4]
    opened.locator("#lsoa-Z00000004").focus()
    opened.keyboard.press("ArrowDown")
    assert marked(opened) == [5, 5]
    assert opened.locator("tr[tabindex='0']").count() == 1


def test_the_keyboard_alone_goes_through_a_map_and_to_a_row(opened):
    opened.locator("h2").first.click()
    reached = "document.activeElement.classList.contains('land')"
    while not opened.evaluate(reached):
        opened.keyboard.press("Tab")
    assert marked(opened) == [0, 0]
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"):
        opened.keyboard.press(key)
    assert marked(opened) == [6, 6]
    assert box(opened).inner_text().startswith("Place 0 006A")
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "lsoa-Z00000006"


def test_escape_closes_the_box(opened):
    opened.locator("svg.land").first.focus()
    opened.keyboard.press("ArrowRight")
    assert box(opened).is_visible()
    opened.keyboard.press("Escape")
    assert not box(opened).is_visible()


def test_the_menu_changes_colours_words_hatching_and_key(opened):
    read = "[...document.querySelectorAll('.areas')][1]"
    opened.locator("figure.map select").select_option("Residual")
    residual = maps.residual_shading(pd.Series([-12.0, 12.0]), "imd_rank")
    fills = opened.evaluate(f"[...{read}.children].map((area) => area.getAttribute('fill'))")
    assert fills == [residual.colour(value) for value in range(-12, 13)]
    hatched = opened.evaluate("document.querySelectorAll('.hatching')[1].getAttribute('d').split('M').length - 1")
    # the first LSOA has a hole, a ring of its own
    assert hatched == 12 + 1
    assert opened.locator("svg.map").nth(1).get_by_text("Residual: here").is_visible()
    assert not opened.locator("svg.map").nth(1).get_by_text("Park: here").is_visible()
    point_at(opened, 0)
    assert "Residual: here\n−12" in box(opened).inner_text()
    opened.locator("figure.map select").select_option("Park")
    dashed = opened.evaluate("document.querySelectorAll('path.missing')[1].getAttribute('d').split('M').length - 1")
    assert dashed == 1
    point_at(opened, 2)
    assert "Park: here\nno value" in box(opened).inner_text()


def test_all_maps_look_through_the_same_window_and_the_scale_bar_follows(opened):
    views = "[...document.querySelectorAll('.land')].map((land) => land.getAttribute('viewBox'))"
    whole = opened.evaluate(views)
    opened.get_by_label("Zoom in").first.click()
    closer = opened.evaluate(views)
    assert closer[0] == closer[1]
    assert closer[0] != whole[0]
    assert opened.locator("g.scale text").all_text_contents() == ["200 m, EPSG:27700"] * 2
    opened.get_by_label("Zoom out").last.click()
    assert [list(map(float, view.split())) for view in opened.evaluate(views)] == [
        list(map(float, view.split())) for view in whole
    ]


def test_figures_are_drawn_from_the_packed_plot_library(opened):
    opened.locator("#figure-1").scroll_into_view_if_needed()
    opened.locator("#figure-1 .main-svg").first.wait_for()


def test_for_a_print_every_figure_is_drawn_as_wide_as_paper_and_afterwards_as_the_window(opened):
    drawn = opened.locator("#figure-1 .main-svg").first
    expect(opened.locator("html")).to_have_attribute("data-figures", "ready")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert drawn.get_attribute("width") == "670"
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(drawn).to_have_attribute("width", re.compile(r"^\d{4}"))


def test_without_scripts_the_maps_still_show_and_tell_their_values(browser, address):
    context = browser.context.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("svg.map").count() == 2
    assert page.locator("svg.map use title").nth(4).text_content() == "Place 0 004A Z00000004: 8.3%"
    assert page.locator("svg.map use").nth(4).bounding_box()["width"] > 50
    assert not page.locator("figure.map select").is_visible()
    context.close()


def test_an_old_browser_is_told_that_it_cannot_draw_figures(browser, address):
    context = browser.context.browser.new_context(viewport=browser.viewport_size)
    page = context.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(address)
    assert "needs a browser of 2023 or later" in page.locator("#figure-1").inner_text()
    point_at(page, 0)
    assert box(page).is_visible()
    context.close()


def study_of_300_lsoas_and_10_000_images(folder):
    """A study report of made-up tables, as a file."""
    lsoas, rng, n = made_up_lsoas(12), np.random.default_rng(0), 10_000
    tables = made_up_tables(lsoas)
    probability = rng.uniform(0.2, 0.9, n)
    tables["category_probabilities"] = pd.DataFrame(
        {
            "image_id": [f"{place // 4:06d}@{90 * (place % 4):03d}" for place in range(n)],
            "lsoa_code": rng.choice(lsoas["lsoa_code"], n),
            "category": rng.choice(list(TITLES), n),
            "probability": probability,
            "margin": probability / 2,
        }
    )
    days = [date(2016, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 3000, n // 4)]
    tables["panoramas"] = pd.DataFrame(
        {"status": "ok", "captured_on": days, "lsoa_code": rng.choice(lsoas["lsoa_code"], n // 4)}
    )
    tables["street_images"] = pd.concat([tables["street_images"].iloc[:1]] * n, ignore_index=True)
    page = report.study_report_page(tables, lsoas, heading=HEADING, made=Provenance(), titles=TITLES)
    path = folder / "study_report.html"
    path.write_text(page, encoding="utf-8")
    return path


def test_a_report_of_300_lsoas_and_10_000_images_is_small_and_its_map_answers_in_three_seconds(browser, tmp_path):
    path = study_of_300_lsoas_and_10_000_images(tmp_path)
    assert path.stat().st_size < 15_000_000
    # the machine may be busy with something else at the moment: the best of three counts
    assert min(seconds_until_the_map_answers(browser, f"{path.as_uri()}#maps") for _ in range(3)) < 3
    assert "IMD" in box(browser).inner_text()


def seconds_until_the_map_answers(browser, address):
    browser.goto("about:blank")
    started = time.monotonic()
    browser.goto(address, wait_until="commit")
    browser.locator("figure.map.live").first.wait_for()
    point_at(browser, 0)
    box(browser).wait_for()
    return time.monotonic() - started
