"""Runs on workers of several machines, through Celery: which queue a run waits in, and whether its worker lives.

Named by a ``dagster.yaml`` whose runs are to go to workers; nothing else imports this module. Dagster's
own launcher does the work; what is added here are the answers it lacks when many runs last for hours.
"""

from typing import Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.snap import ExecutionPlanSnapshot
from dagster_celery.defaults import task_default_queue
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from streetimd_assets.defs.queueing import HeaviestFirst

# a worker whose machine is busy is slow to answer, and is not to be taken for dead
_PATIENCE_S = 10


def queue_of_steps(plan: ExecutionPlanSnapshot) -> str:
    """Return the queue that one of a run's steps asks for by its tag, or the one for all others."""
    chosen = set(plan.step_keys_to_execute)
    tags = [step.tags or {} for step in plan.steps if step.key in chosen]
    asked = {each[DAGSTER_CELERY_QUEUE_TAG] for each in tags if DAGSTER_CELERY_QUEUE_TAG in each}
    return min(asked, default=task_default_queue)


class QueueOfSteps(HeaviestFirst):
    """The queue of runs, which also writes on each run the queue of the workers it is for.

    It is written before the run waits, so that no more runs leave Dagster's queue than there are
    workers for them. A tag that somebody chose stays as it is.
    """

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Add the tag and let the run wait."""
        run = context.dagster_run
        if DAGSTER_CELERY_QUEUE_TAG not in run.tags and run.execution_plan_snapshot_id:
            plan = self._instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
            self._instance.add_run_tags(run.run_id, {DAGSTER_CELERY_QUEUE_TAG: queue_of_steps(plan)})
        return super().submit_run(context)


class WorkersLauncher(CeleryRunLauncher):
    """Dagster's launcher of runs as Celery tasks, which notices a worker that is gone."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the worker that took the run whether it is still at it.

        What a dead worker has left behind says ``STARTED`` for ever.
        """
        told = super().check_run_worker_health(run)
        if told.status is not WorkerStatus.RUNNING:
            return told
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        worker = _worker_of(self.celery.AsyncResult(task_id).info)
        if worker is None:
            return told
        answer = self.celery.control.inspect(destination=[worker], timeout=_PATIENCE_S).query_task(task_id)
        if (answer or {}).get(worker):
            return told
        said = "no longer knows of it" if answer else "no longer answers"
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"its worker, {worker}, {said}; launch the run again, and it resumes"
        )

    def terminate(self, run_id: str) -> bool:
        """Have a run cancelled that a worker is at, and say meanwhile that it is being cancelled."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or DAGSTER_CELERY_TASK_ID_TAG not in run.tags:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)


def _worker_of(left_behind: Any) -> str | None:
    """Return the name of the worker that says it has begun, in what it has left behind."""
    return left_behind.get("hostname") if isinstance(left_behind, dict) else None
