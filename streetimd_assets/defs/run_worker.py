"""What a worker of several machines runs: ``celery -A streetimd_assets.defs.run_worker worker``.

Where the broker is, and how tasks are kept, is read from the ``dagster.yaml`` in ``DAGSTER_HOME``, so
that workers and those who send them runs cannot disagree.
"""

import multiprocessing
import multiprocessing.util
import sys
from typing import Any

import dagster as dg
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task


def _application() -> Celery:
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
    if not isinstance(launcher, CeleryRunLauncher):
        sys.exit(
            "dagster.yaml in DAGSTER_HOME does not send runs to workers; with docker-compose.yml, set "
            "COMPOSE_PROFILES=scale in .env, elsewhere start from deploy/dagster-scale.yaml"
        )
    create_execute_job_task(launcher.celery)
    create_resume_job_task(launcher.celery)
    return launcher.celery


@worker_process_init.connect
def let_it_start_processes(**told: Any) -> None:
    """Let a run use every core: Celery marks its processes as ones that may start none."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]


@worker_process_shutdown.connect
def end_what_it_started(**told: Any) -> None:
    """End a run's processes with it: Celery leaves out what Python does at a process's end."""
    multiprocessing.util._run_finalizers(0)  # type: ignore[attr-defined]


app = _application()
