"""What a worker of several machines runs: ``celery -A streetimd_assets.defs.run_worker worker``.

Where the broker is, and how tasks are kept, is read from the ``dagster.yaml`` in ``DAGSTER_HOME``, so
that workers and those who send them runs cannot disagree.
"""

import sys

import dagster as dg
from celery import Celery
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


app = _application()
