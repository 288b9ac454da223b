"""Running a study from the terminal: what is out of date, and what a killed process leaves behind."""

import os
import socket
import subprocess
import sys
import uuid

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.defs.running import PROCESS_TAG, end_dead_runs
from streetimd_assets.defs.staleness import out_of_date
from streetimd_assets.settings import Settings
from streetimd_tests.graph import collect, new_instance, tiny_study

FIRST = ["lsoa_boundaries", "road_segments", "deprivation_indices", "sample_points", "panoramas"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The first assets of Farrowby, and the instance that knows of them."""
    folder = tmp_path_factory.mktemp("kept")
    with new_instance(folder / "dagster") as instance:
        assert collect(tiny_study(), folder, "farrowby", instance, assets=FIRST).success
        yield folder, instance


def stale(kept, study):
    folder, instance = kept
    settings = Settings("demo", folder)
    found = out_of_date(build_defs(study, settings), House(study, settings), instance, "collect", "farrowby")
    return [name for name in FIRST if name in found]


def test_what_was_made_by_the_same_choices_is_not_made_again(kept):
    assert stale(kept, tiny_study()) == []


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        ("geography", {"highway_classes": ("primary",)}, ["road_segments", "sample_points", "panoramas"]),
        ("deprivation", {"url": "https://example.org/other.csv"}, FIRST),
        ("sampling", {"spacing_m": 70.0}, ["sample_points", "panoramas"]),
        ("imagery", {"seed": 2}, ["panoramas"]),
        ("imagery", {"max_distance_m": 20.0}, ["panoramas"]),
    ],
)
def test_a_changed_choice_makes_stale_what_it_decides_and_what_follows(kept, section, change, expected):
    study = tiny_study()
    changed = study.model_copy(update={section: getattr(study, section).model_copy(update=change)})
    assert stale(kept, changed) == expected


def test_another_study_in_the_same_data_root_is_not_taken_for_this_one(kept):
    assert stale(kept, tiny_study().model_copy(update={"name": "demo-two"})) == FIRST


def test_a_change_that_was_stopped_half_way_is_finished_by_the_next_run(tmp_path):
    study = tiny_study()
    denser = study.model_copy(update={"sampling": study.sampling.model_copy(update={"seed": 5})})
    with new_instance(tmp_path / "dagster") as instance:
        assert collect(study, tmp_path, "farrowby", instance, assets=FIRST).success
        # stopped after the points: the panoramas are still those of the old points
        assert collect(denser, tmp_path, "farrowby", instance, assets=["sample_points"]).success
        assert stale((tmp_path, instance), denser) == ["panoramas"]


def test_runs_whose_process_was_killed_are_ended_and_others_are_left(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    with new_instance(tmp_path / "dagster") as instance:
        runs = {}
        for name, process in {"dead": gone.pid, "alive": os.getpid()}.items():
            runs[name] = instance.add_run(
                dg.DagsterRun(
                    job_name="collect",
                    run_id=str(uuid.uuid4()),
                    status=dg.DagsterRunStatus.STARTED,
                    tags={PROCESS_TAG: f"{socket.gethostname()}:{process}"},
                )
            ).run_id
        assert end_dead_runs(instance) == 1
        assert instance.get_run_by_id(runs["dead"]).status == dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(runs["alive"]).status == dg.DagsterRunStatus.STARTED
