"""Ask the webserver as the pages of the UI do, and the database itself."""

import contextlib
import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from streetimd_tests.deploy.local_services import LocalServices

Answer = TypeVar("Answer")
PATIENCE_S = 60
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

WORKSPACE = """{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename } } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUN = """query($runId: ID!) { runOrError(runId: $runId) { ... on Run {
    runId status startTime endTime tags { key value } } } }"""


def ask(services: LocalServices, query: str, **variables: Any) -> dict[str, Any]:
    """Ask the webserver as the pages of the UI do."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"{services.address}/graphql", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.load(reply)["data"]


def wait_for(
    answer: Callable[[], Answer | None], otherwise: Callable[[], str], patience_s: float = PATIENCE_S
) -> Answer:
    """Ask until there is an answer, or fail with what explains its absence."""
    deadline = time.monotonic() + patience_s
    while (given := answer()) is None:
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.5)
    return given


def wait_for_location(services: LocalServices) -> dict[str, Any]:
    """Return the code location as the webserver sees it, once it is more than a refused connection."""

    def loaded() -> dict[str, Any] | None:
        (entry,) = ask(services, WORKSPACE)["workspaceOrError"]["locationEntries"]
        is_loaded = (entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation"
        return entry if is_loaded else None

    return wait_for(loaded, lambda: services.log("webserver"))


def launch(services: LocalServices, assets: Sequence[str], slug: str) -> str:
    """Launch a run of some assets of a local authority, and return its identifier."""
    params = {
        "selector": {
            "repositoryLocationName": "streetimd",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": [name]} for name in assets],
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": slug}]},
        "mode": "default",
    }
    launched = ask(services, LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return launched["run"]["runId"]


def told_of(services: LocalServices, run_id: str) -> dict[str, Any]:
    """Return what the UI tells of a run, its tags by their name."""
    told = ask(services, RUN, runId=run_id)["runOrError"]
    return told | {"tags": {tag["key"]: tag["value"] for tag in told["tags"]}}


def wait_until(services: LocalServices, run_id: str, statuses: set[str], patience_s: float) -> dict[str, Any]:
    """Return what the UI tells of a run once it has one of these statuses."""

    def reached() -> dict[str, Any] | None:
        told = told_of(services, run_id)
        return told if told["status"] in statuses else None

    return wait_for(reached, lambda: f"{told_of(services, run_id)}\n{services.log('daemon')}", patience_s)


def wait_until_ended(services: LocalServices, run_id: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Return what the UI tells of a run that has ended."""
    return wait_until(services, run_id, ENDED, patience_s)


def rows(services: LocalServices, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    with contextlib.closing(services.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute(query, values)
        return cursor.fetchall()
