"""Running a study from the terminal: what is out of date, and what a killed process leaves behind."""

import os
import signal
import subprocess
import sys
import uuid

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.defs.running import cores_shared, end_dead_runs
from streetimd_assets.defs.staleness import out_of_date
from streetimd_assets.settings import Settings
from streetimd_assets.store.runs_at_work import RunsAtWork
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
    runs = {name: str(uuid.uuid4()) for name in ("dead", "alive", "of_another_kind")}
    hold = (
        "import os, sys; from pathlib import Path; from streetimd_assets.store.runs_at_work import RunsAtWork\n"
        "with RunsAtWork(Path(sys.argv[1])).holding(sys.argv[2]): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", hold, str(tmp_path), runs["dead"]], check=False)
    with new_instance(tmp_path / "dagster") as instance, RunsAtWork(tmp_path).holding(runs["alive"]):
        for run_id in runs.values():
            started = dg.DagsterRunStatus.STARTED
            instance.add_run(dg.DagsterRun(job_name="collect", run_id=run_id, status=started))
        assert end_dead_runs(instance, Settings("demo", tmp_path)) == 1
        statuses = {name: instance.get_run_by_id(run_id).status.value for name, run_id in runs.items()}
        assert statuses == {"dead": "FAILURE", "alive": "STARTED", "of_another_kind": "STARTED"}


def test_cores_are_shared_only_while_local_authorities_run(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with cores_shared(1000):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("3", "1")
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_study_that_is_stopped_in_the_terminal_stops_at_once_and_is_shown_as_stopped(tmp_path):
    command = [sys.executable, "-m", "streetimd_assets.cli", "run", "demo", "--data", str(tmp_path)]
    chosen = ["--local-authority", "farrowby", "--local-authority", "alderwick", "--workers", "1"]
    running = subprocess.Popen([*command, *chosen], stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in running.stdout:
        if "road_segments" in line:
            # as Ctrl+C does, all that the terminal has started
            os.killpg(running.pid, signal.SIGINT)
            break
    assert running.wait(30) not in (0, 1)
    with dg.DagsterInstance.from_config(str(tmp_path / "demo" / "dagster_home")) as instance:
        shown = {run.tags.get("dagster/partition"): run.status.value for run in instance.get_runs()}
    assert shown == {None: "SUCCESS", "farrowby": "FAILURE"}
