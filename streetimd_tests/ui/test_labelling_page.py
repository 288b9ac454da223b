"""A rater labels by keyboard alone; the CSV saved is read back and the tables are made from it."""

import json
from contextlib import contextmanager

import pytest

from streetimd_assets.defs.labelling import take_labels
from streetimd_assets.errors import LabelError
from streetimd_assets.science.label_agreement import TABLES_MADE
from streetimd_assets.sources.label_files import read_label_files
from streetimd_tests.labelled_study import classify, demo_house, materialise
from streetimd_tests.ui.dagster_page import browser_page, chromium

pytestmark = pytest.mark.ui
RATER = '=Zoë "Z" O\'Brien, PhD'


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page of some thirty images, and the truth of each."""
    chromium()
    house = demo_house(tmp_path_factory.mktemp("labelling"), n_labels_per_group=2, n_labels_at_random=20)
    truth = classify(house, "farrowby", n_images=120)
    assert materialise(house, "label_candidates", "labelling_page", slug="farrowby").success
    return house, truth, house.page("labelling_page", "farrowby")


@contextmanager
def opened_page(path):
    """Yield the page in a browser, and see at the end that nothing went wrong in it."""
    with browser_page(chromium()) as opened:
        opened.set_default_timeout(15_000)
        problems = []
        opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.goto(path.as_uri())
        yield opened
        assert problems == []


@pytest.fixture
def page(page_file):
    with opened_page(page_file[2]) as opened:
        yield opened


def begin(page, rater=RATER):
    page.keyboard.type(rater)
    page.keyboard.press("Enter")
    page.locator("#picture").wait_for()


def shown(page):
    """The image on the screen, by what the page itself knows of it."""
    data = json.loads(page.locator("#labelling-data").text_content())
    place = int(page.locator("#place").text_content().split()[1])
    return data["images"][place - 1]["id"], place


def key_of(page, name):
    choices = json.loads(page.locator("#labelling-data").text_content())["choices"]
    return next(choice["key"] for choice in choices if choice["name"] == name)


def label(page, key):
    _, before = shown(page)
    page.keyboard.press(key)
    page.wait_for_function(
        "before => document.getElementById('work').hidden || "
        "document.getElementById('place').textContent.split(' ')[1] != before",
        arg=str(before),
    )


def n_labelled(page):
    return int(page.locator("#count").text_content().split()[0])


def save(page, folder):
    with page.expect_download() as waiting:
        page.keyboard.press("Control+s")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_a_session_by_keyboard_alone_becomes_tables(page_file, tmp_path):
    house, truth, page_path = page_file
    with opened_page(page_path) as page:
        labelled, path = label_everything(page, truth, tmp_path)
    total = len(labelled)
    assert path.name == "labels_demo_farrowby_zoe-z-o-brien-phd.csv"
    said = take_labels(house.settings, [path])
    assert f"took {total} labels by 1 rater from 1 file" in said
    assert materialise(house, "image_labels", *TABLES_MADE).success
    labels = house.store.read("image_labels")
    assert labels.set_index("image_id")["label"].to_dict() == labelled
    assert set(labels["rater"]) == {RATER}
    assert labels["labelled_at"].notna().all()
    agreement = house.store.read("label_agreement").set_index("category")
    assert agreement["n_labelled"].sum() == total - 1
    figures = house.store.read("label_figures").set_index("figure")
    assert figures.loc["accuracy", "n_images"] == total - 1


def label_everything(page, truth, folder):
    """Label every image by its truth, but the first, of which the rater is unsure; return labels and file."""
    begin(page)
    total = int(page.locator("#count").text_content().split()[2])
    keys = {name: key_of(page, name) for name in {*truth, "unsure"}}
    labelled = {}
    for number in range(total):
        name, _ = shown(page)
        labelled[name] = "unsure" if number == 0 else truth[name]
        label(page, keys[labelled[name]])
    page.locator("#finished").wait_for()
    assert n_labelled(page) == total == len(labelled)
    with page.expect_download() as waiting:
        # the button to save has the focus
        page.keyboard.press("Enter")
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return labelled, path


def test_the_saved_file_has_no_cell_that_a_spreadsheet_would_run(page, page_file, tmp_path):
    begin(page, "@SUM(A1)")
    label(page, "1")
    path = save(page, tmp_path)
    cells = path.read_text(encoding="utf-8").splitlines()[1].split(",")
    assert not any(cell.strip('"').startswith(("=", "+", "-", "@")) for cell in cells)
    house = page_file[0]
    table, _ = read_label_files([path], study=house.study, images_of=lambda slug: {cells[0]})
    assert table["rater"].tolist() == ["@SUM(A1)"]


def test_back_and_again_changes_a_label_and_a_held_key_labels_one_image(page):
    begin(page, "Ben")
    label(page, "1")
    label(page, "2")
    page.keyboard.press("Backspace")
    page.keyboard.press("ArrowLeft")
    _, place = shown(page)
    assert place == 1
    assert page.locator("#choices button[aria-pressed=true]").text_content().startswith("1")
    label(page, "4")
    # on to the first without a label
    assert shown(page)[1] == 3
    assert n_labelled(page) == 2
    page.keyboard.press("Home")
    assert page.locator("#choices button[aria-pressed=true]").text_content().startswith("4")
    page.keyboard.press("End")
    for _ in range(5):
        # without a release in between, as a key held down repeats
        page.keyboard.down("3")
    page.keyboard.up("3")
    page.wait_for_timeout(300)
    assert n_labelled(page) == 3


def test_keys_struck_faster_than_the_page_shows_label_one_image_each(page):
    begin(page, "Swift")
    for key in "123412":
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert n_labelled(page) == 6
    assert shown(page)[1] == 7
    page.keyboard.press("1")
    # to take back what was struck just now
    page.keyboard.press("Backspace")
    assert shown(page)[1] == 7


def test_work_is_found_again_after_the_page_was_closed_and_leaving_with_unsaved_work_is_warned_of(page, tmp_path):
    begin(page, "Cy")
    label(page, "1")
    label(page, "0")
    warned = []
    page.on("dialog", lambda dialog: (warned.append(dialog.type), dialog.accept()))
    page.reload()
    assert warned == ["beforeunload"]
    page.get_by_role("button", name="Go on as Cy (2 labelled)").press("Enter")
    page.locator("#picture").wait_for()
    assert n_labelled(page) == 2
    assert shown(page)[1] == 3
    save(page, tmp_path)
    page.reload()
    assert warned == ["beforeunload"]
    # another rater begins anew
    begin(page, "Dora")
    assert n_labelled(page) == 0


def test_a_saved_file_gives_the_work_back_where_the_browser_has_forgotten_it(page, page_file, tmp_path):
    begin(page, "Eve, PhD")
    for key in "132":
        label(page, key)
    path = save(page, tmp_path)
    page.evaluate("localStorage.clear()")
    page.reload()
    begin(page, "eve, phd")
    assert n_labelled(page) == 0
    page.keyboard.press("?")
    page.locator("#load").set_input_files(path)
    page.get_by_text("Took 3 labels").wait_for()
    assert n_labelled(page) == 3
    # as a spreadsheet saves it where commas divide decimals
    resaved = tmp_path / "resaved.csv"
    text = path.read_text(encoding="utf-8").replace(",", ";").replace("Eve; PhD", "Eve, PhD")
    resaved.write_text("\ufeff" + text, encoding="utf-8")
    page.evaluate("localStorage.clear()")
    page.reload()
    begin(page, "eve, phd")
    page.locator("#load").set_input_files(resaved)
    page.get_by_text("Took 3 labels from resaved.csv").wait_for()
    # a file of another rater is not taken for one's own
    other = tmp_path / "other.csv"
    other.write_text(path.read_text(encoding="utf-8").replace("Eve, PhD", "Other"), encoding="utf-8")
    page.locator("#load").set_input_files(other)
    page.get_by_text("has no label of eve, phd").wait_for()


def test_without_a_store_in_the_browser_the_page_works_and_says_so(page_file):
    with browser_page(chromium()) as opened:
        opened.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new Error('closed'); }})"
        )
        opened.goto(page_file[2].as_uri())
        begin(opened, "Fay")
        label(opened, "1")
        assert n_labelled(opened) == 1
        assert opened.get_by_text("This browser does not keep your work").is_visible()


def test_a_mouse_labels_too_and_the_next_key_is_not_swallowed_by_the_button(page):
    begin(page, "Gus")
    page.locator("#choices button").nth(1).click()
    page.wait_for_function("() => document.getElementById('place').textContent.startsWith('Image 2 ')")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_timeout(250)
    assert n_labelled(page) == 1
    label(page, "3")
    assert n_labelled(page) == 2


def test_a_name_is_asked_for_first_and_a_blank_one_is_none(page):
    assert not page.locator("#stage").is_visible()
    page.keyboard.type("   ")
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    assert not page.locator("#stage").is_visible()


def test_everything_needed_is_on_a_small_screen_without_scrolling(page):
    page.set_viewport_size({"width": 1366, "height": 657})
    begin(page, "Hal")
    for place in ("#place", "#picture", "#about", "#choices .unsure", "#back", "#save"):
        box = page.locator(place).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 657, place


def test_a_file_of_another_study_is_refused_by_name(page_file, tmp_path):
    house, *_ = page_file
    path = tmp_path / "labels.csv"
    path.write_text("image_id,rater\n", encoding="utf-8")
    with pytest.raises(LabelError, match=r"labels\.csv has no column label"):
        take_labels(house.settings, [path])
