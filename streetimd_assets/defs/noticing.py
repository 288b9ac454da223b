"""Runs whose process is killed are noticed, also where the process that would notice is killed with it.

Dagster's code server fails a run of its own that crashes. If the server itself is killed, and its runs with it,
they would be shown as running for ever, and keep their places in the queue.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

from streetimd_assets.defs.waiting import sleep_while_waiting
from streetimd_assets.settings import Settings
from streetimd_assets.store.runs_at_work import RunsAtWork


class NoticingLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which can tell whether a run is still at work; named in ``dagster.yaml``."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Let the daemon ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say that a run has failed if nobody holds its lock."""
        if _runs_at_work().is_gone(run.run_id):
            return CheckRunHealthResult(
                WorkerStatus.FAILED, "its process was killed; launch the run again, and it resumes"
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)


class _Noticed(InProcessExecutor):
    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        with _runs_at_work().holding(plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)


def _create(context: dg.InitExecutorContext) -> InProcessExecutor:
    sleep_while_waiting()
    plain: Any = dg.in_process_executor.executor_creation_fn
    made = plain(context)
    return _Noticed(made.retries, made.step_dependency_config)


# all steps of a run in its one process, which holds the run's lock meanwhile
in_process_executor = dg.ExecutorDefinition(
    dg.in_process_executor.name,
    dg.in_process_executor.config_schema,  # type: ignore[arg-type]
    executor_creation_fn=_create,
)


def _runs_at_work() -> RunsAtWork:
    return RunsAtWork(Settings.from_environment().data_root)
