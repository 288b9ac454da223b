"""A user opens the asset graph, materialises one local authority by clicking, and reads what came out."""

import pytest

from streetimd_assets.schemas import TABLES
from streetimd_tests.ui.dagster_page import browser_page, chromium, served_ui

pytestmark = pytest.mark.ui
LOCATION = "streetimd_assets.definitions"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    chromium()
    with served_ui("demo", tmp_path_factory.mktemp("ui")) as served:
        yield served


@pytest.fixture
def page(address):
    with browser_page(chromium()) as opened:
        opened.set_default_timeout(45_000)
        yield opened


def test_the_graph_shows_every_group_and_its_assets(page, address):
    page.goto(f"{address}/asset-groups")
    for group in sorted({table.group for table in TABLES.values()}):
        page.get_by_text(group, exact=True).first.wait_for()
    page.goto(f"{address}/locations/{LOCATION}/asset-groups/geography/lineage")
    for name in ("lsoa_boundaries", "deprivation_indices"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_one_partition_is_materialised_by_clicking_and_its_metadata_read(page, address):
    page.goto(f"{address}/assets/lsoa_boundaries")
    page.get_by_role("button", name="Materialize").first.click()
    # the list of partitions is a dialog of its own for a moment
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
    dialog.get_by_text("Select a partition or create one").click()
    page.keyboard.type("farrowby")
    page.locator("li", has_text="farrowby").first.click()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Launch 1 run").click()
    dialog.wait_for(state="hidden")
    page.goto(f"{address}/runs")
    page.get_by_text("Success", exact=True).first.wait_for()
    page.goto(f"{address}/assets/lsoa_boundaries?view=partitions&partition=farrowby")
    page.get_by_text("area_km2").first.wait_for()
    assert page.get_by_text("row_count").count() > 0
    assert page.get_by_text("40", exact=True).count() > 0


def test_schedules_are_shown_switched_off(page, address):
    page.goto(f"{address}/automation")
    for name in ("refresh_local_authorities", "analyse_study"):
        page.get_by_text(name).first.wait_for()
    assert page.get_by_role("switch", checked=True).count() == 0
