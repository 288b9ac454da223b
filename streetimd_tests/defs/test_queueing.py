"""Dagster's own daemons, with the settings that we write: heaviest first, one run per local authority, slots freed.

A real instance, a real code server with all of England, and the code that the daemon runs at each of its turns.
"""

import logging
import os
import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.monitoring import concurrency
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from streetimd_assets.defs.queueing import OF_THE_WHOLE_STUDY, priority
from streetimd_assets.defs.running import prepare_dagster_home
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

# by the number of their LSOAs, and not in the order of the alphabet
PLACES = ("birmingham", "leeds", "camden", "york", "adur", "rutland")
LOG = logging.getLogger(__name__)


class Queue:
    """What the daemon has to work with, and one of its turns at a time."""

    def __init__(self, instance, workspace):
        self.instance, self.workspace = instance, workspace
        self._daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def backfill(self, name, *, tags=None, **target):
        """Launch a backfill as the UI does, and have the daemon submit its runs."""
        known = {
            "backfill_id": name,
            "backfill_timestamp": time.time(),
            "tags": tags or {},
            "title": None,
            "description": None,
        }
        self.instance.add_backfill(self._backfill(known, **target))
        list(execute_backfill_iteration(self.workspace, LOG))

    def _backfill(self, known, *, places, assets=None, job=None):
        if job is None:
            return PartitionBackfill.from_asset_partitions(
                **known,
                asset_graph=self.workspace.create_request_context().asset_graph,
                asset_selection=[dg.AssetKey(asset) for asset in assets],
                partition_names=list(places),
                dynamic_partitions_store=self.instance,
                all_partitions=False,
                run_config=None,
            )
        (location,) = self.workspace.create_request_context().code_locations
        partitions = location.get_repository("__repository__").get_partition_set(f"{job}_partition_set")
        return PartitionBackfill(
            **known,
            partition_set_origin=partitions.get_remote_origin(),
            status=BulkActionStatus.REQUESTED,
            partition_names=list(places),
            from_failure=False,
            reexecution_steps=None,
        )

    @property
    def waiting(self):
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
        return [place_of(run) for run in reversed(runs)]

    def take(self):
        """Return what the daemon would launch now, at most four runs."""
        return self._daemon._get_runs_to_dequeue(self.instance, self.instance.get_concurrency_config(), None)

    def take_all(self):
        """Launch and end run after run, and return their places in the order in which they were launched."""
        order = []
        while taken := self.take():
            order += [place_of(run) for run in taken]
            for run in taken:
                self.instance.report_run_canceled(run)
        return order


def place_of(run):
    return run.tags.get("dagster/partition")


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("england")
    before = dict(os.environ)
    os.environ.update(STREETIMD_STUDY="england", STREETIMD_DATA=str(folder))
    os.environ.pop("DAGSTER_HOME", None)
    home = prepare_dagster_home(Settings("england", folder))
    target = ModuleTarget("streetimd_assets.definitions", None, None, "streetimd")
    try:
        with (
            dg.DagsterInstance.from_config(str(home)) as instance,
            WorkspaceProcessContext(instance, target) as work,
        ):
            yield Queue(instance, work)
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_a_backfill_of_assets_runs_the_heaviest_local_authority_first(queue):
    queue.backfill("assets", assets=["lsoa_boundaries"], places=reversed(PLACES))
    assert queue.waiting == sorted(PLACES), "Dagster itself submits them in the order of the alphabet"
    assert queue.take_all() == list(PLACES)


def test_a_backfill_of_a_job_does_too_one_run_for_each(queue):
    queue.backfill("job", job="plan_imagery", places=sorted(PLACES))
    assert sorted(queue.waiting) == sorted(PLACES)
    # a daemon that is started again goes through its backfills, and submits no run twice
    list(execute_backfill_iteration(queue.workspace, LOG))
    assert sorted(queue.waiting) == sorted(PLACES)
    assert queue.take_all() == list(PLACES)


def test_no_two_runs_of_one_local_authority_at_the_same_time(queue):
    queue.backfill("one", assets=["lsoa_boundaries"], places=["leeds", "york"])
    queue.backfill("other", assets=["lsoa_boundaries"], places=["leeds"])
    assert queue.waiting.count("leeds") == 2
    first = queue.take()
    assert [place_of(run) for run in first] == ["leeds", "york"]
    for run in first:
        queue.instance.report_run_canceled(run)
    assert [place_of(run) for run in queue.take()] == ["leeds"]
    assert queue.take_all() == ["leeds"]


def test_four_local_authorities_run_at_a_time(queue):
    queue.backfill("many", assets=["lsoa_boundaries"], places=PLACES)
    assert len(queue.take()) == 4
    queue.take_all()


def test_every_local_authority_of_england_comes_by_its_size_and_the_whole_study_before_them():
    slugs = load_study("england").slugs
    assert len(slugs) == 296
    assert sorted(slugs, key=priority, reverse=True)[0] == "birmingham"
    assert [priority(slug) for slug in slugs] == sorted((priority(slug) for slug in slugs), reverse=True)
    assert min(priority(slug) for slug in slugs) > 0
    assert priority(None) == OF_THE_WHOLE_STUDY > priority("birmingham")
    assert priority("alderwick") > priority("farrowby") > 0


def test_a_run_that_was_given_a_priority_keeps_it(queue):
    queue.backfill("urgent", assets=["lsoa_boundaries"], places=["adur"], tags={"dagster/priority": "99999"})
    queue.backfill("besides", assets=["lsoa_boundaries"], places=["birmingham"])
    assert queue.take_all() == ["adur", "birmingham"]


def _job(name):
    from streetimd_assets.definitions import build_defs

    return build_defs(load_study("england"), Settings.from_environment()).resolve_job_def(name)


def test_a_pool_is_one_provider_and_holds_two_steps(queue):
    graph = queue.workspace.create_request_context().asset_graph
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.materializable_asset_keys}
    assert pools["panoramas"] == pools["street_images"] == {"mapillary"}
    assert pools["road_segments"] == {"overpass"}
    assert pools["image_embeddings"] == pools["category_embeddings"] == {"torch"}
    config = queue.instance.get_concurrency_config().pool_config
    assert config.pool_granularity.value == "op"
    assert config.default_pool_limit == 2


def test_a_run_that_was_killed_gives_its_slots_back_after_a_minute(queue, monkeypatch):
    storage = queue.instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("mapillary")
    run = queue.instance.create_run_for_job(_job("plan_imagery"), status=dg.DagsterRunStatus.STARTED)
    assert storage.claim_concurrency_slot("mapillary", run.run_id, "panoramas").is_claimed
    queue.instance.report_run_failed(run, "its process was killed")

    def slots_in_use(after_s):
        later = datetime.now(UTC) + timedelta(seconds=after_s)
        monkeypatch.setattr(concurrency, "get_current_datetime", lambda: later)
        list(concurrency.execute_concurrency_slots_iteration(queue.workspace, LOG))
        return storage.get_concurrency_info("mapillary").active_slot_count

    assert queue.instance.run_monitoring_enabled
    assert slots_in_use(after_s=30) == 1
    assert slots_in_use(after_s=62) == 0


def test_what_schedules_and_sensors_did_is_not_kept_for_ever(queue):
    for kind in (InstigatorType.SCHEDULE, InstigatorType.SENSOR, InstigatorType.AUTO_MATERIALIZE):
        days = queue.instance.get_tick_retention_settings(kind)
        assert 0 < days[TickStatus.SKIPPED] <= 30
        assert all(0 < kept <= 365 for kept in days.values()), kind


def test_a_run_that_failed_is_not_started_again_by_itself(queue):
    assert not queue.instance.run_retries_enabled
