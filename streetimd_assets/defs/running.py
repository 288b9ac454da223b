"""Run a whole study through Dagster from a terminal, telling what is done as it is done."""

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEventType, RunsFilter

from streetimd_assets.defs.house import House
from streetimd_assets.defs.jobs import WORDS
from streetimd_assets.defs.processes import ProcessKilledError, do_in_processes
from streetimd_assets.defs.refreshing import REFRESHED
from streetimd_assets.defs.staleness import out_of_date
from streetimd_assets.defs.waiting import sleep_while_waiting
from streetimd_assets.errors import StreetIMDError
from streetimd_assets.settings import Settings
from streetimd_assets.store.files import room_needed_for
from streetimd_assets.store.runs_at_work import RunsAtWork
from streetimd_assets.study import load_study

LAUNCH_TAG = "streetimd/launch"
Say = Callable[[str], None]


def prepare_dagster_home(settings: Settings) -> Path:
    """Create the study's Dagster folder with our settings if it is not there, and name it to Dagster."""
    home = settings.dagster_home(load_study(settings.study).name)
    with room_needed_for(home / "dagster.yaml"):
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "dagster.yaml").exists():
            with as_file(files("streetimd_assets.defs") / "dagster.yaml") as ours:
                shutil.copyfile(ours, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def run_study(
    settings: Settings,
    *,
    local_authorities: Iterable[str] | None = None,
    n_workers: int = 2,
    is_refresh: bool = False,
    fetch_again: bool = False,
    say: Say,
) -> None:
    """Materialise a study: each local authority, then the whole, then each one's report.

    What is there already, made by the same code from the same choices, is used again.

    Parameters
    ----------
    settings, local_authorities
        The study; its local authorities, all if None.
    n_workers
        Local authorities collected at the same time.
    is_refresh
        Ask the image source anew which panoramas there are.
    fetch_again
        Fetch, and pay for, pictures again that were deleted after embedding.
    say
        Told each line of progress.

    Raises
    ------
    StreetIMDError
        If a run fails; its sentence says which and why.
    """
    if is_refresh or fetch_again:
        load_study(settings.study).require_images("ask for anew")
    chosen = _prepare(settings, local_authorities)
    launch = Launch(settings, n_workers, say)
    again = {"ops": {"street_images": {"config": {"fetch_again": True}}}} if fetch_again else {}
    anew = [*(REFRESHED if is_refresh else ()), *(("street_images",) if fetch_again else ())]
    # once for all of them, before each local authority would do it for itself
    launch.run("collect", [None], only=WORDS)
    launch.run("collect", chosen, anew=anew, run_config=again)
    launch.run("analyse", [None])
    before = launch.reported
    launch.run("report_local_authority", chosen)
    if launch.reported != before:
        # made before them, it does not link to them yet
        launch.run("analyse", [None], anew=("study_report",))


def plan_study(settings: Settings, *, local_authorities: Iterable[str] | None = None, say: Say) -> list[str]:
    """Materialise what tells coverage and cost, asking for panoramas anew and for no image.

    Returns
    -------
    slugs
        The local authorities planned.

    Raises
    ------
    StreetIMDError
        If a run fails; its sentence says which and why.
    """
    load_study(settings.study).require_images("plan")
    chosen = _prepare(settings, local_authorities)
    Launch(settings, 1, say).run("plan_imagery", chosen, anew=REFRESHED)
    return chosen


def label_study(settings: Settings, *, local_authorities: Iterable[str] | None = None, say: Say) -> list[str]:
    """Materialise the pages on which people label images, of local authorities that have been classified.

    Returns
    -------
    slugs
        The local authorities that have a page to label on.

    Raises
    ------
    StreetIMDError
        If none of them has been classified yet, or a run fails.
    """
    load_study(settings.study).require_images("label")
    chosen = _prepare(settings, local_authorities)
    store = House(load_study(settings.study), settings).store
    ready = [slug for slug in chosen if store.holds("category_probabilities", slug)]
    if not ready or (local_authorities and len(ready) < len(chosen)):
        missing = ", ".join(slug for slug in chosen[:5] if slug not in ready)
        raise StreetIMDError(
            f"no images of {missing} have been classified yet; collect them first with `streetimd run "
            f"{settings.study}`, then label them"
        )
    Launch(settings, 1, say).run("label", ready)
    return ready


def _prepare(settings: Settings, local_authorities: Iterable[str] | None) -> list[str]:
    """Make ready for runs; return the partitions chosen."""
    study = load_study(settings.study)
    chosen = [study.authority(name).slug for name in local_authorities or study.slugs]
    prepare_dagster_home(settings)
    House(study, settings).store.sweep()
    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance, settings)
    return chosen


class Launch:
    """Runs of one study, a few at a time, each in a process of its own."""

    def __init__(self, settings: Settings, n_workers: int, say: Say) -> None:
        self._settings = settings
        self._n_workers = n_workers
        self._say = say
        self._started = time.monotonic()

    def run(
        self,
        job: str,
        partitions: Sequence[str | None],
        *,
        anew: Sequence[str] = (),
        only: Sequence[str] = (),
        run_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Run what is out of date of a job, for each partition, and the assets named ``anew`` in any case.

        With ``only``, nothing but the assets it names is looked at.

        Raises
        ------
        StreetIMDError
            If a run fails, or its process is killed.
        """
        tag = uuid.uuid4().hex
        with cores_shared(min(self._n_workers, len(partitions))), dg.DagsterInstance.get() as instance:
            runs = []
            for partition in partitions:
                keys = out_of_date(self._definitions, self._house, instance, job, partition, anew, only)
                if keys:
                    runs.append((self._settings, job, partition, keys, tag, dict(run_config or {})))
                elif not only:
                    self._tell(job, partition, "is there already and is used again")
            try:
                tell = partial(self._tell_new, instance, tag, {})
                errors = do_in_processes(_execute, runs, self._n_workers, meanwhile=tell)
            except ProcessKilledError:
                raise StreetIMDError(
                    f"a process of job {job} was killed, most likely because memory ran out; "
                    "run it again with --workers 1, and it goes on where it was"
                ) from None
        for error in errors:
            if error is not None:
                raise error

    @property
    def reported(self) -> set[str]:
        """Local authorities that have a report."""
        slugs, page = self._house.study.slugs, self._house.page
        return {slug for slug in slugs if page("local_authority_report", slug).exists()}

    def _tell_new(self, instance: dg.DagsterInstance, tag: str, n_told: dict[str, int]) -> None:
        """Tell each materialisation that has been recorded since, by how many of each run have been told."""
        for record in instance.get_run_records(RunsFilter(tags={LAUNCH_TAG: tag})):
            run_id = record.dagster_run.run_id
            events = instance.all_logs(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
            for event in events[n_told.get(run_id, 0) :]:
                made = event.asset_materialization
                if made is not None:
                    count = made.metadata.get("dagster/row_count")
                    rows = f"{count.value:>9,} rows" if count is not None else "     page"
                    self._tell(made.asset_key.to_user_string(), made.partition, rows)
            n_told[run_id] = len(events)

    def _tell(self, what: str, partition: str | None, said: str) -> None:
        seconds = time.monotonic() - self._started
        self._say(f"{seconds:5.0f} s  {partition or 'whole study':<20} {what:<24} {said}")

    @cached_property
    def _house(self) -> House:
        return House(load_study(self._settings.study), self._settings)

    @cached_property
    def _definitions(self) -> dg.Definitions:
        from streetimd_assets.definitions import build_defs

        return build_defs(self._house.study, self._settings)


@contextmanager
def cores_shared(n_processes: int) -> Iterator[None]:
    """Give each process started meanwhile its part of the cores, where the user has not said otherwise.

    Libraries that start a thread per core in every process make the threads wait for one another.
    """
    n_threads = str(max(1, (os.cpu_count() or 1) // n_processes))
    chosen = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name not in os.environ]
    os.environ |= dict.fromkeys(chosen, n_threads)
    try:
        yield
    finally:
        for name in chosen:
            del os.environ[name]


def end_dead_runs(instance: dg.DagsterInstance, settings: Settings) -> int:
    """Mark runs whose process is gone as failed and give their pool slots back; return how many.

    A killed process cannot do so itself, and the next run would wait for its slot for ever.
    """
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    at_work = RunsAtWork(settings.data_root)
    dead = [run for run in instance.get_runs(RunsFilter(statuses=unfinished)) if at_work.is_gone(run.run_id)]
    for run in dead:
        instance.report_run_failed(run, "its process was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(dead)


def _execute(
    settings: Settings, job: str, partition: str | None, assets: list[str], tag: str, run_config: dict[str, Any]
) -> None:
    """Run some assets of a job in this process; its events go to the instance the user interface shows."""
    from streetimd_assets.definitions import build_defs

    sleep_while_waiting()
    definitions, run_id = build_defs(load_study(settings.study), settings), str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance, RunsAtWork(settings.data_root).holding(run_id):
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_id=run_id,
            partition_key=partition,
            asset_selection=[dg.AssetKey(name) for name in assets],
            tags={LAUNCH_TAG: tag},
            raise_on_error=False,
            # the terminal shows progress; the whole log is in the user interface
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **run_config},
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
