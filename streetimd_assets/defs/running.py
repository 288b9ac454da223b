"""Run a whole study through Dagster from a terminal, telling what is done as it is done."""

import multiprocessing
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path

import dagster as dg
from dagster import AssetRecordsFilter, DagsterEventType, RunsFilter

from streetimd_assets.defs.house import House
from streetimd_assets.errors import StreetIMDError
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

LAUNCH_TAG = "streetimd/launch"
Say = Callable[[str], None]


def prepare_dagster_home(settings: Settings) -> Path:
    """Create Dagster's folder with our settings if it is not there, and name it to Dagster."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        with as_file(files("streetimd_assets.defs") / "dagster.yaml") as ours:
            shutil.copyfile(ours, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def run_study(
    settings: Settings, *, local_authorities: Iterable[str] | None = None, n_workers: int = 2, say: Say
) -> None:
    """Materialise a study: each local authority, then the whole, then each one's report.

    What is there already, made by the same code from the same choices, is used again.

    Raises
    ------
    StreetIMDError
        If a run fails; its sentence says which and why.
    """
    study = load_study(settings.study)
    chosen = [study.authority(name).slug for name in local_authorities or study.slugs]
    prepare_dagster_home(settings)
    House(study, settings).store.sweep()
    launch = Launch(settings, n_workers, say)
    collected = launch.run("collect", chosen)
    analysed = launch.run("analyse", [None], is_needed=collected > 0)
    launch.run("report_local_authority", chosen, is_needed=analysed > 0)


class Launch:
    """Runs of one study, a few at a time, each in a process of its own."""

    def __init__(self, settings: Settings, n_workers: int, say: Say) -> None:
        self._settings = settings
        self._n_workers = n_workers
        self._say = say
        self._started = time.monotonic()

    def run(self, job: str, partitions: Sequence[str | None], *, is_needed: bool = False) -> int:
        """Run what is out of date of a job, for each partition; return for how many that was."""
        tag = uuid.uuid4().hex
        _share_cores(min(self._n_workers, len(partitions)))
        spawning = multiprocessing.get_context("spawn")
        with (
            dg.DagsterInstance.get() as instance,
            # a fresh process now and then gives its memory back
            ProcessPoolExecutor(self._n_workers, mp_context=spawning, max_tasks_per_child=8) as pool,
        ):
            runs = []
            for partition in partitions:
                keys = out_of_date(self._definitions, instance, job, partition, all_of_it=is_needed)
                if keys:
                    runs.append(pool.submit(_execute, self._settings, job, partition, keys, tag))
                else:
                    self._tell(job, partition, "is there already and is used again")
            self._follow(instance, tag, runs)
        return len(runs)

    def _follow(self, instance: dg.DagsterInstance, tag: str, runs: list[Future[None]]) -> None:
        """Tell each materialisation as it is recorded, until every run has ended."""
        told: dict[str, int] = {}
        while True:
            is_over = all(run.done() for run in runs)
            for record in instance.get_run_records(RunsFilter(tags={LAUNCH_TAG: tag})):
                run = record.dagster_run
                told[run.run_id] = self._tell_new(instance, run, told.get(run.run_id, 0))
            if is_over:
                break
            time.sleep(0.5)
        for finished in runs:
            finished.result()

    def _tell_new(self, instance: dg.DagsterInstance, run: dg.DagsterRun, n_told: int) -> int:
        events = instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
        for event in events[n_told:]:
            made = event.asset_materialization
            if made is not None:
                count = made.metadata.get("dagster/row_count")
                rows = f"{count.value:>9,} rows" if count is not None else "     page"
                self._tell(made.asset_key.to_user_string(), made.partition, rows)
        return len(events)

    def _tell(self, what: str, partition: str | None, said: str) -> None:
        seconds = time.monotonic() - self._started
        self._say(f"{seconds:5.0f} s  {partition or 'whole study':<20} {what:<24} {said}")

    @cached_property
    def _definitions(self) -> dg.Definitions:
        from streetimd_assets.definitions import build_defs

        return build_defs(load_study(self._settings.study), self._settings)


def _share_cores(n_processes: int) -> None:
    """Give each process started from here its part of the cores.

    Libraries that start a thread per core in every process make the threads wait for one another.
    """
    n_threads = str(max(1, (os.cpu_count() or 1) // n_processes))
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = n_threads


def out_of_date(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    partition: str | None,
    *,
    all_of_it: bool = False,
) -> list[str]:
    """Return the assets of a job that must be made again, and all of the job that follows from them.

    An asset is out of date if its file is gone, or if it was last made by other code or other choices.
    """
    graph = definitions.resolve_asset_graph()
    ours = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    stale: set[dg.AssetKey] = set()
    for key in graph.toposorted_asset_keys:
        if key not in ours:
            continue
        node = graph.get(key)
        made_by = _latest_code_version(instance, key, partition if node.is_partitioned else None)
        if all_of_it or made_by != node.code_version or node.parent_keys & stale:
            # tables made in one step are made again together
            stale |= node.execution_set_asset_keys
    return sorted(key.to_user_string() for key in stale)


def _latest_code_version(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None) -> str | None:
    """Return the code version of the last materialisation, if its file is still there."""
    chosen = AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
    for record in instance.fetch_materializations(chosen, limit=1).records:
        made = record.asset_materialization
        path = made.metadata.get("path") if made else None
        if made is None or path is None or not Path(str(path.value)).exists():
            return None
        return (made.tags or {}).get("dagster/code_version")
    return None


def _execute(settings: Settings, job: str, partition: str | None, assets: list[str], tag: str) -> None:
    """Run some assets of a job in this process; its events go to the instance the user interface shows."""
    from streetimd_assets.definitions import build_defs

    definitions = build_defs(load_study(settings.study), settings)
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(name) for name in assets],
            tags={LAUNCH_TAG: tag},
            raise_on_error=False,
            # the terminal shows progress; the whole log is in the user interface
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        if not result.success:
            where = f" for {partition}" if partition else ""
            raise StreetIMDError(f"{job}{where} stopped: {_reason(instance, result.run_id)}")


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the first failure's own words."""
    for event in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        data = event.get_dagster_event().step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        if data.error:
            cause = data.error.cause or data.error
            return cause.message.strip()
    return "see the run's log in the Dagster UI"
