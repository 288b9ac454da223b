"""Runs on two Celery workers, one of them for embeddings, through the services of the profile `scale`."""

import contextlib
import itertools
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streetimd_assets.study.reading import bundled_study_text
from streetimd_tests.deploy.compose import REPOSITORY, WORKERS, read_environment_file

pytest.importorskip("dagster_celery", reason="needs the extra 'deploy': pip install -e '.[deploy]'")
import duckdb
import redis

from streetimd_tests.deploy.asking import (
    ask,
    launch,
    rows,
    told_of,
    wait_for,
    wait_for_location,
    wait_until,
    wait_until_ended,
)
from streetimd_tests.deploy.local_services import LocalServices, started

pytestmark = [pytest.mark.services, pytest.mark.slow]
LOCAL_AUTHORITIES = ("farrowby", "elmsthorpe", "dunmere")
UP_TO_IMAGES = (
    "lsoa_boundaries",
    "road_segments",
    "deprivation_indices",
    "sample_points",
    "panoramas",
    "street_images",
)
PASSWORDS = {"POSTGRES_PASSWORD": "chosen/by:the@user?#", "REDIS_PASSWORD": "0nlyLettersAndDigits"}
PATIENCE_S = 300

BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
RUNS_OF_BACKFILL = """query($backfillId: String!) { partitionBackfillOrError(backfillId: $backfillId) {
    ... on PartitionBackfill { status runs { runId } } } }"""
TERMINATE = """mutation($runId: String!, $policy: TerminateRunPolicy) {
    terminateRun(runId: $runId, terminatePolicy: $policy) { __typename } }"""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServices]:
    variables = read_environment_file(REPOSITORY / "deploy" / "env.example")
    variables |= {"COMPOSE_PROFILES": "scale", "STREETIMD_STUDY": "/data/few-images.toml", **PASSWORDS}
    few_images = bundled_study_text("demo").replace("points_per_lsoa = 3", "points_per_lsoa = 0")
    few_images = few_images.replace("points_per_lsoa = 5", "points_per_lsoa = 1")
    with started(tmp_path_factory.mktemp("workers"), variables, {"few-images.toml": few_images}) as running:
        wait_for_location(running)
        yield running


@pytest.fixture(scope="module")
def fetched(services: LocalServices) -> list[dict[str, Any]]:
    """Runs of a backfill, one of each local authority: all up to images."""
    params = {
        "assetSelection": [{"path": [name]} for name in UP_TO_IMAGES],
        "partitionNames": LOCAL_AUTHORITIES,
    }
    launched = ask(services, BACKFILL, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def all_runs() -> list[str] | None:
        told = ask(services, RUNS_OF_BACKFILL, backfillId=launched["backfillId"])["partitionBackfillOrError"]
        run_ids = [run["runId"] for run in told["runs"]]
        return run_ids if len(run_ids) == len(LOCAL_AUTHORITIES) else None

    run_ids = wait_for(all_runs, lambda: services.log("daemon"), PATIENCE_S)
    return [wait_until_ended(services, run_id, PATIENCE_S) for run_id in run_ids]


@pytest.fixture(scope="module")
def embedded(services: LocalServices, fetched: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs launched one by one, one of each local authority: embeddings of the images."""
    run_ids = [launch(services, ["image_embeddings"], slug) for slug in LOCAL_AUTHORITIES]
    return [wait_until_ended(services, run_id, PATIENCE_S) for run_id in run_ids]


@pytest.fixture
def gpu_worker(services: LocalServices) -> Iterator[None]:
    """The worker for embeddings, which a test may stop and leave so if it fails."""
    yield
    if "gpu-worker" not in services.processes:
        services.start("gpu-worker")


def left_behind(services: LocalServices) -> dict[str, str]:
    """Return all that Redis keeps, by key."""
    held = redis.Redis(
        port=int(services.ports["6379"]), password=PASSWORDS["REDIS_PASSWORD"], decode_responses=True
    )
    with contextlib.closing(held) as asked:
        return {key: asked.get(key) for key in asked.scan_iter() if asked.type(key) == "string"}


def worker_of(services: LocalServices, run: dict[str, Any]) -> str:
    """Return the name of the worker that ran a run, less its machine's."""
    kept = left_behind(services)[f"celery-task-meta-{run['tags']['dagster-celery/task_id']}"]
    return json.loads(kept)["worker"].split("@")[0]


def tasks_done(services: LocalServices, name: str) -> set[str]:
    """Return the tasks that a worker says it has done."""
    return set(re.findall(r"Task execute_job\[([0-9a-f-]+)\] succeeded", services.log(name)))


def test_every_run_succeeds_and_says_which_workers_it_was_for(services, fetched, embedded):
    assert [run["status"] for run in (*fetched, *embedded)] == ["SUCCESS"] * 6, services.log("daemon")
    assert {run["tags"]["dagster/partition"] for run in fetched} == set(LOCAL_AUTHORITIES)
    assert [run["tags"]["dagster-celery/queue"] for run in fetched] == ["dagster"] * 3
    assert [run["tags"]["dagster-celery/queue"] for run in embedded] == ["gpu"] * 3


def test_each_worker_ran_what_was_in_its_queue_and_nothing_else(services, fetched, embedded):
    assert [worker_of(services, run) for run in fetched] == ["cpu"] * 3
    assert [worker_of(services, run) for run in embedded] == ["gpu"] * 3
    by_queue = [{run["tags"]["dagster-celery/task_id"] for run in runs} for runs in (fetched, embedded)]
    assert [tasks_done(services, name) for name in WORKERS] == by_queue


def test_no_more_embedding_runs_leave_dagsters_queue_than_there_are_workers_for_them(embedded):
    in_order = sorted(embedded, key=lambda run: run["startTime"])
    for earlier, later in itertools.pairwise(in_order):
        assert earlier["endTime"] <= later["startTime"]


def test_what_two_workers_made_is_one_study_on_the_data_volume(services, embedded):
    for slug in LOCAL_AUTHORITIES:
        counts = []
        for table in ("street_images", "image_embeddings"):
            path = services.data / "demo" / "tables" / table / f"local_authority={slug}" / "part.duckdb"
            is_whole = "status = 'ok'" if table == "street_images" else "len(embedding) = 512"
            with duckdb.connect(str(path), read_only=True) as connection:
                counts += connection.execute(f"SELECT count(*) FROM {table} WHERE {is_whole}").fetchone()
        assert counts[0] == counts[1] > 0, slug


def test_a_run_at_work_on_a_worker_can_be_cancelled(services, embedded):
    run_id = launch(services, ["image_embeddings"], "farrowby")
    wait_until(services, run_id, {"STARTED"}, PATIENCE_S)
    assert ask(services, TERMINATE, runId=run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert wait_until_ended(services, run_id, PATIENCE_S)["status"] == "CANCELED"


@pytest.mark.parametrize(("is_back", "said"), [(False, "no longer answers"), (True, "no longer knows of it")])
def test_a_run_whose_worker_is_killed_fails_in_one_sentence_and_succeeds_when_launched_again(
    services, embedded, gpu_worker, is_back, said
):
    run_id = launch(services, ["image_embeddings"], "farrowby")
    wait_until(services, run_id, {"STARTED"}, PATIENCE_S)
    # it is the daemon that asks: not before the worker is there again, if it comes back
    services.stop("gpu-worker", "daemon", sign=signal.SIGKILL)
    if is_back:
        services.start("gpu-worker")
        services.wait_until_healthy("gpu-worker")
    services.start("daemon")
    assert wait_until_ended(services, run_id, PATIENCE_S)["status"] == "FAILURE"
    ((event,),) = rows(
        services,
        "SELECT event FROM event_logs WHERE run_id = %s AND dagster_event_type = 'PIPELINE_FAILURE'",
        run_id,
    )
    assert re.search(rf"its worker, gpu@\S+, {said}; launch the run again, and it resumes", event)
    if not is_back:
        services.start("gpu-worker")
    again = wait_until_ended(services, launch(services, ["image_embeddings"], "farrowby"), PATIENCE_S)
    assert again["status"] == "SUCCESS", services.log("gpu-worker")


def test_a_run_that_waits_for_a_worker_can_be_cancelled_and_is_not_run_later(services, embedded, gpu_worker):
    services.stop("gpu-worker")
    waiting = launch(services, ["image_embeddings"], "farrowby")
    wait_for(
        lambda: told_of(services, waiting)["tags"].get("dagster-celery/task_id"),
        lambda: services.log("daemon"),
        PATIENCE_S,
    )
    assert told_of(services, waiting)["status"] == "STARTING"
    # of a run that has not begun, the UI offers no other way
    forced = {"runId": waiting, "policy": "MARK_AS_CANCELED_IMMEDIATELY"}
    assert ask(services, TERMINATE, **forced)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    services.start("gpu-worker")
    wait_until_ended(services, launch(services, ["image_embeddings"], "elmsthorpe"), PATIENCE_S)
    assert told_of(services, waiting)["status"] == "CANCELED"
    begun = "SELECT count(*) FROM event_logs WHERE run_id = %s AND dagster_event_type = 'PIPELINE_START'"
    assert rows(services, begun, waiting) == [(0,)]


def test_passwords_are_in_no_log_no_task_and_no_list_of_processes(services, embedded):
    kept = left_behind(services)
    assert any(run["tags"]["dagster-celery/task_id"] in key for run in embedded for key in kept)
    told = {name: services.log(name) for name in services.processes} | kept
    for name, process in services.processes.items():
        told[f"command of {name}"] = Path(f"/proc/{process.pid}/cmdline").read_text()
    assert "redis-server" in told["command of redis"]
    for password in PASSWORDS.values():
        assert [name for name, text in told.items() if password in text] == []
