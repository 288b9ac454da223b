"""What is fetched is tried again where the outside world was silent; a refusal is not."""

from pathlib import Path

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs import table_asset
from streetimd_assets.settings import Settings
from streetimd_assets.sources import web
from streetimd_assets.study import load_study
from streetimd_tests.graph import collect, failure_sentence, new_instance
from streetimd_tests.standins import small_world
from streetimd_tests.standins.google import serve_google
from streetimd_tests.standins.local_files import write_district
from streetimd_tests.standins.server import Reply, StandIn, busy

FETCHED = {"lsoa_boundaries", "road_segments", "deprivation_indices", "panoramas", "street_images"}
CAMDEN, LAD_CODE = "camden", "E09000007"
KEY = "AIzaKeyOfThisTest"
TRIES_OF_ONE_REQUEST = 4


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.01)
    monkeypatch.setattr(table_asset, "RETRY_AFTER_S", 0.05)


def test_only_assets_that_are_fetched_are_tried_again_after_waits_that_grow_and_differ():
    definitions = build_defs(load_study("england"), Settings("england", Path("data")))
    nodes = definitions.resolve_job_def("collect").nodes
    policies = {node.name: node.definition.retry_policy for node in nodes}
    tried_again = {name for name, policy in policies.items() if policy}
    assert tried_again == FETCHED
    for name in FETCHED:
        assert policies[name].max_retries == 2
        assert policies[name].backoff == dg.Backoff.EXPONENTIAL
        assert policies[name].jitter == dg.Jitter.PLUS_MINUS


def n_retries(result):
    return sum(event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY for event in result.all_events)


@pytest.fixture
def index():
    """The server of the deprivation index."""
    content = small_world.deprivation_csv().decode().replace(small_world.WEST, LAD_CODE).encode()
    with StandIn(lambda _: Reply(content, content_type="text/csv")) as server:
        yield server


def fetch_index(index, folder):
    sections = write_district(folder / "files").replace(f"{folder}/files/index.csv", f"{index.address}/index.csv")
    (folder / "study.toml").write_text(
        f'name = "west"\nlocal_authorities = ["Camden"]\ncategory_set = "demo"\n{sections}'
        '[imagery]\nsource = "panoramax"\n',
        encoding="utf-8",
    )
    with new_instance(folder / "dagster") as instance:
        study, made = load_study(folder / "study.toml"), ["lsoa_boundaries", "deprivation_indices"]
        return collect(study, folder / "data", CAMDEN, instance, assets=made)


def test_a_server_that_was_busy_for_a_while_is_asked_again_and_the_run_succeeds(index, tmp_path):
    index.faults = [busy()] * (TRIES_OF_ONE_REQUEST + 1)
    result = fetch_index(index, tmp_path)
    assert result.success
    assert n_retries(result) == 1
    assert [asked.status for asked in index.log] == [503] * (TRIES_OF_ONE_REQUEST + 1) + [200]


def test_a_server_that_stays_silent_ends_the_run_with_its_sentence_after_two_more_tries(index, tmp_path):
    index.answer = lambda _: busy()
    result = fetch_index(index, tmp_path)
    assert "try again later" in failure_sentence(result)
    assert n_retries(result) == 2
    assert len(index.log) == 3 * TRIES_OF_ONE_REQUEST


def test_a_server_that_refuses_is_asked_once(index, tmp_path):
    index.answer = lambda _: Reply(b"gone", 404)
    result = fetch_index(index, tmp_path)
    assert "answered 404" in failure_sentence(result)
    assert n_retries(result) == 0
    assert len(index.log) == 1


@pytest.fixture(scope="module")
def google():
    with serve_google(key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def points(google, tmp_path_factory):
    """A study that buys images, with sample points made once."""
    folder = tmp_path_factory.mktemp("points")
    sections = write_district(folder / "files")
    (folder / "study.toml").write_text(
        f'name = "west"\nlocal_authorities = ["Camden"]\ncategory_set = "demo"\n{sections}'
        f'[sampling]\nspacing_m = 25\n[imagery]\nsource = "google"\naddress = "{google.address}"\n'
        "image_size_px = 96\naccept_terms = true\n[budget]\nmax_images_per_month = 20\n",
        encoding="utf-8",
    )
    with new_instance(folder / "dagster") as instance:
        before = ["lsoa_boundaries", "road_segments", "deprivation_indices", "sample_points"]
        assert collect(load_study(folder / "study.toml"), folder / "data", CAMDEN, instance, assets=before).success
    return folder


@pytest.mark.parametrize(
    ("key", "always", "assets", "n_again", "said"),
    [
        ("AIzaWrong", "", ["panoramas"], 0, "refuses the key"),
        (KEY, "OVER_QUERY_LIMIT", ["panoramas"], 0, "quota is used up"),
        (KEY, "", ["panoramas", "street_images"], 0, "max_images_per_month = 20"),
        (KEY, "503", ["panoramas"], 2, "did not answer"),
    ],
)
def test_a_key_a_quota_or_a_budget_is_not_tried_again_and_silence_is(
    points, google, monkeypatch, key, always, assets, n_again, said
):
    monkeypatch.setenv("GOOGLE_MAPS_API_KEY", key)
    google.change(always=always)
    with new_instance(points / "dagster") as instance:
        result = collect(load_study(points / "study.toml"), points / "data", CAMDEN, instance, assets=assets)
    assert said in failure_sentence(result)
    assert n_retries(result) == n_again
