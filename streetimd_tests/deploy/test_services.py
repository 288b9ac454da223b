"""The services of docker-compose.yml, started against a real PostgreSQL and used as a browser uses them."""

import signal
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import duckdb
import pytest

from streetimd_assets.study.local_authorities import SYNTHETIC_LOCAL_AUTHORITIES, find_local_authority
from streetimd_tests.deploy.compose import REPOSITORY, read_environment_file

pytest.importorskip("dagster_postgres", reason="needs the extra 'deploy': pip install -e '.[deploy]'")
from streetimd_tests.deploy.asking import (
    launch,
    rows,
    told_of,
    wait_for,
    wait_for_location,
    wait_until,
    wait_until_ended,
)
from streetimd_tests.deploy.local_services import LocalServices, started

pytestmark = pytest.mark.services
PARTITION = "farrowby"
# the daemon looks for dead runs every half minute
PATIENCE_S = 120
# with every character that an address of a database gives a meaning to
PASSWORD = "chosen/by:the@user?#"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServices]:
    # what the example offers, with the one thing filled in that a user must choose
    variables = read_environment_file(REPOSITORY / "deploy" / "env.example")
    variables["POSTGRES_PASSWORD"] = PASSWORD
    with started(tmp_path_factory.mktemp("services"), variables) as running:
        yield running


@pytest.fixture(scope="module")
def location(services: LocalServices) -> dict[str, Any]:
    return wait_for_location(services)


@pytest.fixture(scope="module")
def run(services: LocalServices, location: dict[str, Any]) -> dict[str, Any]:
    """A run of one asset of one local authority, launched through the webserver, that has ended."""
    return wait_until_ended(services, launch(services, ["lsoa_boundaries"], PARTITION))


@pytest.fixture
def opened(services: LocalServices, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """What the services' dagster.yaml leads to, as a run opens it."""
    for name, value in services.environment("code").items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(services.places["code"]["/opt/dagster"])) as instance:
        yield instance


def test_the_webserver_has_loaded_the_asset_graph_from_the_code_server(location):
    assert location["name"] == "streetimd"
    assert location["loadStatus"] == "LOADED"


def test_a_run_launched_in_the_webserver_waits_in_the_queue_and_succeeds(services, run):
    assert run["status"] == "SUCCESS", services.log("code")
    recorded = "SELECT dagster_event_type FROM event_logs WHERE run_id = %s ORDER BY id"
    events = [event for (event,) in rows(services, recorded, run["runId"])]
    # only the daemon takes a run out of the queue
    order = [events.index(f"PIPELINE_{step}") for step in ("ENQUEUED", "STARTING", "START", "SUCCESS")]
    assert order == sorted(order)


def test_the_table_is_on_the_data_volume(services, run):
    folder = services.data / "demo" / "tables" / "lsoa_boundaries" / f"local_authority={PARTITION}"
    assert [path.name for path in folder.iterdir()] == ["part.duckdb"]
    with duckdb.connect(str(folder / "part.duckdb"), read_only=True) as connection:
        ((n_rows,),) = connection.execute("SELECT count(*) FROM lsoa_boundaries").fetchall()
    assert n_rows == find_local_authority(PARTITION, SYNTHETIC_LOCAL_AUTHORITIES).n_lsoas


def test_the_materialisation_is_recorded_in_postgresql_and_nowhere_else(services, run):
    recorded = (
        "SELECT asset_key, partition FROM event_logs "
        "WHERE run_id = %s AND dagster_event_type = 'ASSET_MATERIALIZATION'"
    )
    assert rows(services, recorded, run["runId"]) == [('["lsoa_boundaries"]', PARTITION)]
    assert list(services.places["code"]["/opt/dagster"].rglob("*.db")) == []


def test_what_the_step_printed_is_where_the_webserver_looks_for_it(services, run):
    written = services.data / "dagster_logs" / run["runId"] / "compute_logs"
    assert {path.suffix for path in written.iterdir()} >= {".err", ".out"}


def test_a_report_on_the_data_volume_opens_in_the_server_of_reports(services):
    page = services.data / "demo" / "pages" / "study_report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<h1>made by a run</h1>")
    with urllib.request.urlopen(f"{services.pages_address}/demo/study_report.html", timeout=20) as reply:
        assert reply.read() == page.read_bytes()


def test_runs_that_are_killed_with_the_code_server_fail_in_one_sentence_and_succeed_when_launched_again(
    services, run
):
    run_id = launch(services, ["road_segments", "sample_points", "panoramas", "street_images"], PARTITION)
    wait_until(services, run_id, {"STARTED"}, PATIENCE_S)
    locks = services.data / "runs_at_work"
    wait_for(lambda: [*locks.glob(f"{run_id}.lock")] or None, lambda: services.log("code"), PATIENCE_S)
    services.stop("code", sign=signal.SIGKILL)
    assert told_of(services, run_id)["status"] == "STARTED"
    services.start("code")
    assert wait_until_ended(services, run_id, PATIENCE_S)["status"] == "FAILURE"
    said = "SELECT event FROM event_logs WHERE run_id = %s AND dagster_event_type = 'PIPELINE_FAILURE'"
    ((event,),) = rows(services, said, run_id)
    assert "its process was killed; launch the run again, and it resumes" in event
    wait_for_location(services)
    again = launch(services, ["road_segments", "sample_points"], PARTITION)
    assert wait_until_ended(services, again, PATIENCE_S)["status"] == "SUCCESS", services.log("code")
    assert [path.stem for path in locks.iterdir()] == [run_id]


def test_the_password_is_in_no_log(services, run):
    assert [name for name in services.processes if PASSWORD in services.log(name)] == []


def test_runs_that_are_the_first_to_ask_for_a_pool_do_not_fail_each_other(services, opened):
    asked = [opened.event_log_storage.initialize_concurrency_limit_to_default] * 8
    with ThreadPoolExecutor(len(asked)) as threads:
        assert all(threads.map(lambda ask_for: ask_for("a_new_pool"), asked))
    info = opened.event_log_storage.get_concurrency_info("a_new_pool")
    assert (info.slot_count, info.limit) == (2, 2)


def test_a_pool_follows_when_the_limit_of_all_is_changed(services, opened):
    yaml = services.places["code"]["/opt/dagster"] / "dagster.yaml"
    opened.event_log_storage.initialize_concurrency_limit_to_default("a_changed_pool")
    written = yaml.read_text()
    yaml.write_text(written.replace("default_limit: 2", "default_limit: 3"))
    try:
        with dg.DagsterInstance.from_config(str(yaml.parent)) as changed:
            changed.event_log_storage.initialize_concurrency_limit_to_default("a_changed_pool")
            info = changed.event_log_storage.get_concurrency_info("a_changed_pool")
    finally:
        yaml.write_text(written)
    assert (info.slot_count, info.limit) == (3, 3)
