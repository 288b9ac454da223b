"""The catalogue in the Dagster UI: every asset says what it is, whose it is and what of it matters."""

import math
from pathlib import Path

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.shapes import bounds_of
from streetimd_assets.schemas import TABLES, get_table
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_tests.graph import new_instance

STUDIES = ("demo", "greater-manchester")
GRAPHS = {
    name: build_defs(load_study(name), Settings(name, Path("nowhere"))).resolve_asset_graph() for name in STUDIES
}
ASSETS = sorted(key.to_user_string() for key in GRAPHS["demo"].materializable_asset_keys)
PAGES = sorted(set(ASSETS) - set(TABLES))
CHECKS = sorted(GRAPHS["demo"].asset_check_keys, key=str)
# of the number of rows there is a tile of its own
BESIDE_THE_ROWS = 2

of_every_asset = pytest.mark.parametrize("name", ASSETS)


def node(name, study="demo"):
    return GRAPHS[study].get(dg.AssetKey(name))


def spec_of(check):
    return GRAPHS["demo"].get_check_spec(check)


def test_every_table_is_an_asset():
    assert set(TABLES) <= set(ASSETS)


@of_every_asset
def test_an_asset_says_what_it_is_in_a_short_sentence_and_then_why_or_what_to_beware_of(name):
    said = " ".join(node(name).description.split())
    first, _, more = said.partition(". ")
    assert 20 <= len(first) <= 125, first
    assert len(more) >= 40, f"{name}: say also why it is there, or what it does not say"
    assert said.endswith(".")


@of_every_asset
def test_an_asset_has_an_owner_a_kind_a_group_tags_and_a_code_version(name):
    asset = node(name)
    assert asset.owners
    assert asset.kinds & {"duckdb", "html"}
    assert asset.group_name != "default"
    assert asset.tags["streetimd/study"] == "demo"
    assert asset.tags["streetimd/covers"] == ("local-authority" if asset.is_partitioned else "whole-study")
    assert asset.code_version


@of_every_asset
def test_an_asset_of_a_real_study_is_described_as_well(name):
    if dg.AssetKey(name) in GRAPHS["greater-manchester"].materializable_asset_keys:
        assert node(name, "greater-manchester").description == node(name).description
    else:
        assert TABLES[name].group == "truth"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_shows_its_columns_with_units_and_bounds(name):
    declared = get_table(name, load_study("demo").categories.names)
    assert node(name).group_name == declared.group
    shown = node(name).metadata["dagster/column_schema"]
    assert [column.name for column in shown.columns] == list(declared.column_names)
    for column, told in zip(declared.columns, shown.columns, strict=True):
        assert told.type == column.type
        assert column.meaning in told.description
        assert f"[{column.unit}]" in told.description or not column.unit
        assert told.constraints.nullable == column.nullable
        bounds = bounds_of(column)
        assert told.constraints.other == ([str(bounds)] if bounds and bounds.is_limited else [])
    assert declared.grain in node(name).metadata["grain"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_checked_for_its_shape_before_it_is_kept(name):
    shape = spec_of(dg.AssetCheckKey(dg.AssetKey(name), "columns_are_as_declared"))
    assert shape.blocking


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.asset_key.to_user_string()}-{check.name}")
def test_a_check_is_a_sentence_and_says_in_one_more_what_to_do(check):
    spec = spec_of(check)
    claim, _, remedy = spec.description.partition(". If not: ")
    assert claim.partition(":")[0] == check.name.replace("_", " ").capitalize()
    assert len(remedy) >= 30
    assert remedy.rstrip(".").count(". ") == 0, "one sentence"
    assert remedy.endswith(".")


def test_jobs_say_how_to_launch_one_ten_or_all():
    definitions = build_defs(load_study("demo"), Settings("demo", Path("nowhere")))
    jobs = {job.name: job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    assert set(jobs) == {"plan_imagery", "collect", "label", "analyse", "report_local_authority"}
    for name, job in jobs.items():
        assert "Materialize" in job.description
        assert (job.partitions_def is None) == (name == "analyse")
        assert ("Ten, or all" in job.description) == (name != "analyse")


def test_every_asset_is_in_a_job_and_the_large_pages_for_raters_only_in_theirs():
    definitions = build_defs(load_study("demo"), Settings("demo", Path("nowhere")))
    of = {
        name: {key.to_user_string() for key in definitions.resolve_job_def(name).asset_layer.executable_asset_keys}
        for name in ("plan_imagery", "collect", "label", "analyse", "report_local_authority")
    }
    assert set().union(*of.values()) == set(ASSETS)
    assert of["label"] == {"label_candidates", "labelling_page"}
    assert of["collect"].isdisjoint(of["label"] | of["analyse"] | of["report_local_authority"])
    assert {"category_embeddings", "prompt_variants", "concept_directions"} <= of["collect"]
    # what needs no encoder is none of its work
    assert {"concept_correlations", "example_words"} <= of["analyse"]
    assert {"image_labels", "label_figures", "example_images", "example_sheet", "study_report"} <= of["analyse"]


@pytest.fixture(scope="module")
def latest(tiny):
    """What the latest materialisation of each asset says."""
    with new_instance(tiny.folder / "dagster") as instance:
        said = {}
        for name in ASSETS:
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            assert event is not None, f"{name} was not made by any job"
            said[name] = event.asset_materialization.metadata
        yield said


@of_every_asset
def test_figures_that_matter_are_numbers_over_time(latest, name):
    numbers = {
        key: value.value
        for key, value in latest[name].items()
        if isinstance(value, (dg.IntMetadataValue, dg.FloatMetadataValue)) and "/" not in key
    }
    assert len(numbers) >= BESIDE_THE_ROWS, f"{name} shows {sorted(numbers)}"
    assert all(math.isfinite(number) for number in numbers.values())
    assert set(numbers) != {"n_bytes"}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_how_many_rows_it_has_and_where_it_is(latest, tiny, name):
    assert latest[name]["dagster/row_count"].value >= 0
    assert Path(latest[name]["path"].value).is_relative_to(tiny.folder)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_a_link_a_browser_can_open(latest, tiny, name):
    page = latest[name]["page"]
    assert isinstance(page, dg.UrlMetadataValue)
    assert page.value.startswith("http://127.0.0.1:3001/demo/")
    assert page.value.endswith(".html")
    assert (tiny.folder / "demo" / "pages" / page.value.partition("/demo/")[2]).is_file()


@of_every_asset
def test_what_dagster_keeps_of_a_materialisation_is_small(latest, name):
    """Previews stay there for ever, and are sent with every list of materialisations."""
    for key, value in latest[name].items():
        assert len(str(value.value)) < 42_000, f"{key} of {name}: 30 KB of picture are 41,000 characters"
