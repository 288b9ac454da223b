"""A contact sheet is looked through by keyboard in a real browser, also where scripts are switched off."""

import pytest

from streetimd_tests.plots.test_contact_sheets import chosen, control_rows, sheet, viewer_of
from streetimd_tests.ui.dagster_page import browser_page, chromium

pytestmark = pytest.mark.ui


@pytest.fixture(scope="module")
def opened():
    """A browser window, and what it complains of."""
    with browser_page(chromium(), width=1300) as page:
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, complaints


@pytest.fixture
def browser(opened, tmp_path):
    """A browser at a contact sheet of three categories, nine pictures each, six of them a row."""
    path = tmp_path / "sheet.html"
    path.write_text(sheet(viewer_of(chosen(9, 10))), encoding="utf-8")
    page, complaints = opened
    page.goto(path.as_uri())
    yield page
    assert complaints == []


def place(page):
    """Sheet and place in it of what has the focus, both from 0."""
    return page.evaluate(
        """() => {
          const figure = document.activeElement.closest(".sheet figure");
          if (!figure) return null;
          const sheets = [...document.querySelectorAll(".sheet")];
          return [sheets.indexOf(figure.parentElement), [...figure.parentElement.children].indexOf(figure)];
        }"""
    )


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    return place(page)


def at_first_picture(page):
    page.focus(".sheet figure")
    assert place(page) == [0, 0]


def test_arrows_move_among_pictures_and_from_sheet_to_sheet(browser):
    at_first_picture(browser)
    assert press(browser, "ArrowRight", "ArrowRight") == [0, 2]
    # nine pictures stand in rows of six and three
    assert press(browser, "ArrowDown") == [0, 8]
    assert press(browser, "ArrowUp") == [0, 2]
    assert press(browser, "ArrowRight", "ArrowRight", "ArrowDown") == [0, 8]
    assert press(browser, "ArrowRight") == [1, 0]
    assert press(browser, "ArrowLeft") == [0, 8]
    assert press(browser, "Home") == [0, 0]
    assert press(browser, "End") == [0, 8]
    assert press(browser, "Home", "ArrowLeft", "ArrowUp") == [0, 0]


def test_a_sheet_is_one_stop_of_the_tab_key_and_remembers_its_place(browser):
    at_first_picture(browser)
    assert press(browser, "ArrowRight") == [0, 1]
    assert press(browser, "Tab") == [1, 0]
    assert press(browser, "Shift+Tab") == [0, 1]


def test_enter_enlarges_escape_comes_back_and_arrows_go_on_inside(browser):
    at_first_picture(browser)
    small = browser.locator(".sheet img").first.bounding_box()["width"]
    browser.keyboard.press("Enter")
    assert browser.locator("dialog[open] img").bounding_box()["width"] > 2 * small
    first = browser.get_attribute("dialog[open]", "aria-label")
    browser.keyboard.press("ArrowRight")
    assert browser.get_attribute("dialog[open]", "aria-label") != first
    assert press(browser, "Escape") == [0, 1]
    assert browser.locator("dialog[open]").count() == 0


def test_enter_in_the_larger_view_follows_the_link_to_the_provider(browser):
    at_first_picture(browser)
    browser.context.route("https://viewer.example/**", lambda route: route.fulfill(body="the provider"))
    with browser.expect_popup() as opened:
        press(browser, "Enter", "Enter")
    assert opened.value.url.startswith("https://viewer.example/")


def test_a_question_mark_shows_the_keys_and_hides_them(browser):
    browser.keyboard.press("?")
    assert "from picture to picture" in browser.inner_text("dialog[open]")
    browser.keyboard.press("?")
    assert browser.locator("dialog[open]").count() == 0


def test_a_click_on_a_picture_enlarges_it_and_a_click_beside_closes(browser):
    browser.locator(".sheet img").nth(3).click()
    assert browser.locator("dialog[open] img").count() == 1
    browser.mouse.click(5, 5)
    assert browser.locator("dialog[open]").count() == 0
    assert place(browser) == [0, 3]


def test_without_scripts_every_picture_and_link_is_reached_by_tab(opened, tmp_path):
    path = tmp_path / "sheet.html"
    path.write_text(sheet(viewer_of(control_rows(2))), encoding="utf-8")
    with opened[0].context.browser.new_context(java_script_enabled=False) as window:
        still = window.new_page()
        still.goto(path.as_uri())
        assert still.locator("p.keys").is_hidden()
        still.locator(".sheet figure").first.focus()
        still.keyboard.press("Tab")
        assert still.locator(".sheet figure").first.locator("a:focus").count() == 1
        still.keyboard.press("Tab")
        assert still.locator(".sheet figure:focus").get_attribute("title") == "p001@090"
