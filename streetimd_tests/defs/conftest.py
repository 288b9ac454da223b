"""A small study run whole, once, for the tests that read or spoil what it made."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock

from streetimd_assets.definitions import build_defs
from streetimd_assets.settings import Settings
from streetimd_assets.study import Study
from streetimd_tests.graph import new_instance, tiny_study

PLACE = "farrowby"


@dataclass(frozen=True)
class Tiny:
    """One local authority of the demo with one point per LSOA: its data and what Dagster recorded."""

    study: Study
    folder: Path

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The study's graph."""
        return build_defs(self.study, Settings("demo", self.folder))

    def run(self, job: str, instance: dg.DagsterInstance, assets: list[str] | None = None):
        """Run a job, or some of its assets, for the one local authority."""
        definition = self.definitions.resolve_job_def(job)
        return definition.execute_in_process(
            instance=instance,
            partition_key=PLACE if definition.partitions_def else None,
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def quick_study() -> Study:
    """Return a study that takes seconds: few points, small pictures, few trees and folds."""
    study = tiny_study()
    few = study.modelling.model_copy(
        update={"n_repeats": 1, "n_folds": 2, "n_trees": 10, "n_permutations": 1, "n_noise_draws": 50}
    )
    small = study.imagery.model_copy(update={"image_size_px": 96})
    return study.model_copy(update={"modelling": few, "imagery": small})


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Tiny:
    """The small study with every job run, made once for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    made = Tiny(quick_study(), (base if worker_id == "master" else base.parent) / "tiny")
    with FileLock(f"{made.folder}.lock"):
        if not made.folder.exists():
            with new_instance(made.folder / "dagster") as instance:
                for job in ("collect", "label", "analyse", "report_local_authority"):
                    assert made.run(job, instance).success, job
    return made
