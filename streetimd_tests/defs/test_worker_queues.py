"""Which workers a run is for, read from its steps."""

import dagster as dg
import pytest

pytest.importorskip("dagster_celery", reason="needs the extra 'deploy': pip install -e '.[deploy]'")
from dagster._core.execution.api import create_execution_plan
from dagster._core.snap import snapshot_from_execution_plan

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.worker_queues import queue_of_steps
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study


@pytest.fixture(scope="module")
def definitions(tmp_path_factory) -> dg.Definitions:
    return build_defs(load_study("demo"), Settings("demo", tmp_path_factory.mktemp("data")))


def queue_of(definitions: dg.Definitions, job: str, steps: list[str] | None = None) -> str:
    chosen = definitions.resolve_job_def(job)
    plan = create_execution_plan(chosen, step_keys_to_execute=steps)
    return queue_of_steps(snapshot_from_execution_plan(plan, chosen.get_job_snapshot_id()))


@pytest.mark.parametrize(
    ("job", "queue"),
    [
        ("plan_imagery", "dagster"),
        ("collect", "gpu"),
        ("label", "dagster"),
        ("analyse", "dagster"),
        ("report_local_authority", "dagster"),
    ],
)
def test_a_job_is_for_workers_with_a_gpu_if_it_embeds_images(definitions, job, queue):
    assert queue_of(definitions, job) == queue


def test_only_steps_that_are_run_are_asked(definitions):
    assert queue_of(definitions, "collect", ["lsoa_boundaries", "road_segments"]) == "dagster"
    assert queue_of(definitions, "collect", ["image_embeddings"]) == "gpu"
