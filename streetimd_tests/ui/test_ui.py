"""A user opens the asset graph, materialises by clicking, and reads what came out in the page itself."""

import shutil
import time
from types import SimpleNamespace

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.schemas import TABLES
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_assets.study.reading import bundled_study_text
from streetimd_tests.graph import new_instance
from streetimd_tests.ui.dagster_page import browser_page, chromium, served_ui

pytestmark = pytest.mark.ui
LOCATION = "streetimd_assets.definitions"
SMALLER = {
    "min_points_per_lsoa = 3": "min_points_per_lsoa = 0",
    "max_points_per_lsoa = 5": "max_points_per_lsoa = 1",
    "image_size_px = 192": "image_size_px = 96",
    "n_trees = 100": "n_trees = 10\nn_folds = 2\nn_repeats = 1\nn_permutations = 1",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A small demo's UI; Farrowby has been collected and analysed, and has no report yet."""
    chromium()
    folder = tmp_path_factory.mktemp("ui")
    text = bundled_study_text("demo")
    for line, smaller in SMALLER.items():
        assert line in text
        text = text.replace(line, smaller)
    study = folder / "study.toml"
    study.write_text(text, encoding="utf-8")
    collect_and_analyse(study, folder)
    with served_ui(str(study), folder) as address:
        yield SimpleNamespace(address=address, folder=folder / "demo", study=str(study))


def collect_and_analyse(study, folder):
    """Make what the report of Farrowby is drawn from, recorded where the UI looks."""
    definitions = build_defs(load_study(str(study)), Settings(str(study), folder))
    with new_instance(folder / "demo" / "dagster_home") as instance:
        for job, assets in (
            ("collect", None),
            ("analyse", None),
            ("report_local_authority", ["local_authority_scores"]),
        ):
            definition = definitions.resolve_job_def(job)
            assert definition.execute_in_process(
                instance=instance,
                partition_key="farrowby" if definition.partitions_def else None,
                asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            ).success


@pytest.fixture
def page(served):
    with browser_page(chromium()) as opened:
        opened.set_default_timeout(60_000)
        yield opened


def launch(page, partitions, button):
    """Choose partitions in the dialog that is open, and launch."""
    # the list of partitions is a dialog of its own for a moment
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
    dialog.get_by_text("Select a partition or create one").click()
    for partition in partitions:
        page.keyboard.type(partition)
        page.locator("li", has_text=partition).first.click()
        page.get_by_placeholder("Filter partitions").fill("")
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name=button).click()
    dialog.wait_for(state="hidden")


def go_until(page, url, said):
    """Open a page again and again until it says something; a run takes its time."""
    from playwright import sync_api

    deadline = time.monotonic() + 150
    while True:
        page.goto(url)
        try:
            return page.get_by_text(said).first.wait_for(timeout=6_000)
        except sync_api.TimeoutError:
            assert time.monotonic() < deadline, f"{url} does not say {said!r}"


def test_the_graph_shows_every_group_and_its_assets(page, served):
    page.goto(f"{served.address}/asset-groups")
    for group in sorted({table.group for table in TABLES.values()}):
        page.get_by_text(group, exact=True).first.wait_for()
    page.goto(f"{served.address}/locations/{LOCATION}/asset-groups/geography/lineage")
    for name in ("lsoa_boundaries", "deprivation_indices"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_from_the_graph_to_a_report_in_the_browser(page, served):
    report = served.folder / "pages" / "local_authority_report" / "farrowby.html"
    assert not report.exists()
    page.goto(f"{served.address}/locations/{LOCATION}/asset-groups/comparison/lineage")
    page.get_by_text("local_authority_report", exact=True).first.click()
    page.get_by_role("link", name="View in Asset Catalog").click()
    page.get_by_role("button", name="Materialize").first.click()
    launch(page, ["farrowby"], "Launch 1 run")
    there = f"{served.address}/assets/local_authority_report?view=partitions&partition=farrowby"
    go_until(page, there, "n_lsoas_with_images")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="local_authority_report/farrowby.html").first.click()
    assert report.exists()
    opened.value.get_by_role("heading", level=1).wait_for()
    heading = opened.value.get_by_role("heading", level=1).inner_text()
    assert "Demo" in heading
    assert "Farrowby" in heading
    assert "SYNTHETIC IMAGES" in heading


def test_an_asset_page_shows_columns_with_units_owner_kind_and_job(page, served):
    page.goto(f"{served.address}/assets/street_images")
    page.get_by_text("The only asset that may cost money").first.wait_for()
    page.get_by_text("direction the camera faces, clockwise from north [deg]").first.wait_for()
    for said in ("from 0 up to but not 360", "DuckDB", "streetimd", "imagery", "collect", "key: image_id"):
        assert page.get_by_text(said, exact=True).count() > 0, said


def test_several_local_authorities_are_launched_at_once(page, served):
    page.goto(f"{served.address}/assets/lsoa_boundaries")
    page.get_by_role("button", name="Materialize").first.click()
    launch(page, ["dunmere", "elmsthorpe"], "Launch backfill")
    go_until(page, f"{served.address}/assets/lsoa_boundaries?view=partitions&partition=dunmere", "Materialized (3)")
    page.get_by_text("area_km2").first.wait_for()
    for slug in ("dunmere", "elmsthorpe"):
        assert (served.folder / f"tables/lsoa_boundaries/local_authority={slug}/part.duckdb").exists()


def test_failed_and_missing_launches_exactly_those(page, served):
    name, places = "deprivation_indices", ("alderwick", "brackenholt", "corvendale", "dunmere", "elmsthorpe")
    definitions = build_defs(load_study(served.study), Settings(served.study, served.folder.parent))

    def run(asset, slug):
        return definitions.resolve_job_def("collect").execute_in_process(
            instance=instance, partition_key=slug, asset_selection=[dg.AssetKey(asset)], raise_on_error=False
        )

    def made():
        records = instance.fetch_materializations(dg.AssetKey(name), limit=100).records
        return sorted(record.asset_materialization.partition for record in records)

    with new_instance(served.folder / "dagster_home") as instance:
        # it has no boundaries yet
        assert not run(name, "alderwick").success
        assert all(run("lsoa_boundaries", slug).success for slug in places)
        assert run(name, "dunmere").success
        assert made() == ["dunmere", "farrowby"]
        page.goto(f"{served.address}/assets/{name}")
        page.get_by_role("button", name="Materialize").first.click()
        dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
        dialog.get_by_text("Failed and missing", exact=True).click()
        dialog.get_by_text("4 partitions", exact=True).first.wait_for()
        dialog.get_by_role("button", name="Launch backfill").click()
        dialog.wait_for(state="hidden")
        deadline = time.monotonic() + 150
        while len(made()) < 6:
            assert time.monotonic() < deadline, made()
            time.sleep(2)
        launched = instance.get_runs(
            dg.RunsFilter(tags={"dagster/backfill": instance.get_backfills()[0].backfill_id})
        )
        assert sorted(each.tags["dagster/partition"] for each in launched) == sorted({*places} - {"dunmere"})
        assert made() == sorted([*places, "farrowby"]), "nothing that was there was made again"


def test_checks_say_what_they_are_for_and_for_which_local_authority_they_held(page, served):
    page.goto(f"{served.address}/assets/lsoa_boundaries?view=checks&checkDetail=outlines_do_not_overlap")
    page.get_by_text("Outlines do not overlap. If not: a picture would stand in two LSOAs").first.wait_for()
    page.get_by_text("This is a blocking asset check").first.wait_for()
    page.get_by_text("overlap_share").first.wait_for()
    for name in ("columns_are_as_declared", "no_lsoa_is_missing"):
        assert page.get_by_text(name, exact=True).count() > 0


def test_the_page_of_collect_says_how_to_launch_one_or_all_and_offers_both(page, served):
    page.goto(f"{served.address}/locations/{LOCATION}/jobs/collect")
    page.get_by_text("the only one that may cost money").first.wait_for()
    page.get_by_role("button", name="Materialize all").first.click()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
    dialog.get_by_text("Failed and missing", exact=True).wait_for()
    dialog.get_by_text("All", exact=True).click()
    dialog.get_by_text("6 partitions", exact=True).first.wait_for()


def test_a_failed_run_says_why_and_what_to_do_in_one_sentence(page, served):
    broken = served.folder / "tables/lsoa_boundaries/local_authority=farrowby/part.duckdb"
    kept = broken.with_suffix(".kept")
    shutil.copy(broken, kept)
    broken.write_text("not a table")
    try:
        page.goto(f"{served.address}/assets/road_segments")
        page.get_by_role("button", name="Materialize").first.click()
        launch(page, ["farrowby"], "Launch 1 run")
        go_until(page, f"{served.address}/runs", "Failure")
        # the latest run stands first
        page.locator("a[href*='/runs/']").first.click()
        page.get_by_text("delete it and materialise lsoa_boundaries for farrowby again").first.wait_for()
    finally:
        kept.replace(broken)


def test_schedules_and_sensors_are_shown_switched_off(page, served):
    page.goto(f"{served.address}/automation")
    for name in ("refresh_local_authorities", "analyse_study", "analyse_what_has_changed", "tell_of_failures"):
        page.get_by_text(name).first.wait_for()
    assert page.get_by_role("switch", checked=True).count() == 0
