"""Run parts of the graph in this process, for questions that one local authority answers."""

import hashlib
from pathlib import Path

import dagster as dg

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.settings import Settings
from streetimd_assets.study import Study, load_study
from streetimd_assets.study.imagery import Faults


def new_instance(folder: Path) -> dg.DagsterInstance:
    """Open a Dagster instance that keeps what it is told in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return dg.DagsterInstance.local_temp(str(folder))


def tiny_study(**changes) -> Study:
    """Return the demo with one point per LSOA."""
    demo = load_study("demo")
    sampling = demo.sampling.model_copy(update={"min_points_per_lsoa": 0, "max_points_per_lsoa": 1})
    return demo.model_copy(update={"sampling": sampling, **changes})


def without_faults(study: Study) -> Study:
    """Return the study with nothing planted wrong."""
    none = Faults(**dict.fromkeys(Faults.model_fields, 0))
    return study.model_copy(update={"imagery": study.imagery.model_copy(update={"faults": none})})


def store_of(study: Study, folder: Path):
    """Return the tables of a study kept below a folder."""
    return House(study, Settings("demo", folder)).store


def collect(study, folder, slug, instance, *, assets=None, run_config=None, **overrides):
    """Run job collect, or some of its assets, for one local authority."""
    definitions = build_defs(study, Settings("demo", folder), **overrides)
    return definitions.resolve_job_def("collect").execute_in_process(
        instance=instance,
        partition_key=slug,
        asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
        raise_on_error=False,
        run_config=run_config,
    )


def analyse(study, folder, instance):
    """Run job analyse over what has been collected."""
    definitions = build_defs(study, Settings("demo", folder))
    return definitions.resolve_job_def("analyse").execute_in_process(instance=instance, raise_on_error=False)


def failure_sentence(result) -> str:
    """Return what the UI shows of the first failed step: the words of its failure."""
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert failure.user_failure_data, f"not a sentence of ours: {failure.error}"
    return failure.user_failure_data.description


def hashes(folder: Path) -> dict[str, str]:
    """Hash every table file and image below a folder."""
    kept = [*folder.rglob("part.duckdb"), *folder.rglob("*.jpg")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
