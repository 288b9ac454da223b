"""The services of docker-compose.yml, started against a real PostgreSQL and used as a browser uses them."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import duckdb
import pytest

from streetimd_assets.study.local_authorities import SYNTHETIC_LOCAL_AUTHORITIES, find_local_authority
from streetimd_tests.deploy.compose import REPOSITORY, read_environment_file

pytest.importorskip("dagster_postgres", reason="needs the extra 'deploy': pip install -e '.[deploy]'")
from streetimd_tests.deploy.local_services import LocalServices, started

pytestmark = pytest.mark.services
Answer = TypeVar("Answer")
PATIENCE_S = 60
PARTITION = "farrowby"
# with every character that an address of a database gives a meaning to
PASSWORD = "chosen/by:the@user?#"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

WORKSPACE = """{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename } } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = """query($runId: ID!) { runOrError(runId: $runId) { ... on Run { runId status } } }"""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServices]:
    # what the example offers, with the one thing filled in that a user must choose
    variables = read_environment_file(REPOSITORY / "deploy" / "env.example")
    variables["POSTGRES_PASSWORD"] = PASSWORD
    with started(tmp_path_factory.mktemp("services"), variables) as running:
        yield running


@pytest.fixture(scope="module")
def location(services: LocalServices) -> dict[str, Any]:
    """The code location as the webserver sees it, once it is more than a refused connection."""
    return wait_for(lambda: loaded_location(services), lambda: services.log("webserver"))


@pytest.fixture(scope="module")
def run(services: LocalServices, location: dict[str, Any]) -> dict[str, str]:
    """A run of one asset of one local authority, launched through the webserver, that has ended."""
    params = {
        "selector": {
            "repositoryLocationName": location["name"],
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": ["lsoa_boundaries"]}],
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": PARTITION}]},
        "mode": "default",
    }
    launched = ask(services, LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    return wait_for(lambda: ended_run(services, run_id), lambda: services.log("daemon"))


def ask(services: LocalServices, query: str, **variables: Any) -> dict[str, Any]:
    """Ask the webserver as the pages of the UI do."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"{services.address}/graphql", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.load(reply)["data"]


def loaded_location(services: LocalServices) -> dict[str, Any] | None:
    (entry,) = ask(services, WORKSPACE)["workspaceOrError"]["locationEntries"]
    is_loaded = (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
    return entry if is_loaded else None


def ended_run(services: LocalServices, run_id: str) -> dict[str, str] | None:
    found = ask(services, STATUS, runId=run_id)["runOrError"]
    return found if found["status"] in ENDED else None


def wait_for(answer: Callable[[], Answer | None], otherwise: Callable[[], str]) -> Answer:
    """Ask until there is an answer, or fail with what explains its absence."""
    deadline = time.monotonic() + PATIENCE_S
    while (given := answer()) is None:
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.5)
    return given


def rows(services: LocalServices, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    with contextlib.closing(services.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(query, values)
        return cursor.fetchall()


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
    assert list(services.paths["/opt/dagster"].rglob("*.db")) == []


def test_what_the_step_printed_is_where_the_webserver_looks_for_it(services, run):
    written = services.data / "dagster_logs" / run["runId"] / "compute_logs"
    assert {path.suffix for path in written.iterdir()} >= {".err", ".out"}


def test_a_report_on_the_data_volume_opens_in_the_server_of_reports(services):
    page = services.data / "demo" / "pages" / "study_report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<h1>made by a run</h1>")
    with urllib.request.urlopen(f"{services.pages_address}/demo/study_report.html", timeout=20) as reply:
        assert reply.read() == page.read_bytes()


def test_the_password_is_in_no_log(services, run):
    assert [name for name in services.processes if PASSWORD in services.log(name)] == []
