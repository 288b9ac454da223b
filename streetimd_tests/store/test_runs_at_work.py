"""A run that is killed is gone; one that is at work, has ended or has not begun is not."""

import os
import signal
import subprocess
import sys
import time

import pytest

from streetimd_assets.store.runs_at_work import RunsAtWork

HOLD = """
import sys, time
from pathlib import Path
from streetimd_assets.store.runs_at_work import RunsAtWork

with RunsAtWork(Path(sys.argv[1])).holding("one"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def process(tmp_path):
    """Another process that holds the lock of run `one`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as begun:
        assert begun.stdout.readline() == "held\n"
        yield begun
        begun.kill()


def test_a_run_at_work_is_not_gone_however_often_it_is_asked(process, tmp_path):
    assert [RunsAtWork(tmp_path).is_gone("one") for _ in range(3)] == [False] * 3


def test_a_run_that_was_killed_is_gone_however_often_it_is_asked(process, tmp_path):
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [RunsAtWork(tmp_path).is_gone("one") for _ in range(3)] == [True] * 3


def test_what_a_killed_run_leaves_is_swept_up_after_a_month(process, tmp_path):
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = (tmp_path / "runs_at_work").iterdir()
    with RunsAtWork(tmp_path).holding("two"):
        assert left.exists()
    month_ago = time.time() - 31 * 86_400
    os.utime(left, (month_ago, month_ago))
    with RunsAtWork(tmp_path).holding("two"):
        assert not left.exists()


def test_a_run_that_ends_in_an_exception_is_gone_unless_its_end_is_recorded(tmp_path):
    with pytest.raises(OSError), RunsAtWork(tmp_path).holding("one"):
        raise OSError("the database is away")
    assert RunsAtWork(tmp_path).is_gone("one")


def test_a_run_that_is_cancelled_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), RunsAtWork(tmp_path).holding("one"):
        raise KeyboardInterrupt
    assert list((tmp_path / "runs_at_work").iterdir()) == []


def test_a_run_that_ends_while_it_is_looked_at_is_not_gone(tmp_path, monkeypatch):
    (tmp_path / "runs_at_work").mkdir()
    # there a moment ago
    monkeypatch.setattr("pathlib.Path.exists", lambda path: True)
    assert not RunsAtWork(tmp_path).is_gone("one")
    monkeypatch.undo()
    assert list((tmp_path / "runs_at_work").iterdir()) == []


def test_a_run_that_has_ended_or_has_not_begun_is_not_gone(tmp_path):
    runs = RunsAtWork(tmp_path)
    with runs.holding("one"):
        assert not RunsAtWork(tmp_path).is_gone("one")
    assert not runs.is_gone("one")
    assert not runs.is_gone("another")
    assert list((tmp_path / "runs_at_work").iterdir()) == []


def test_a_run_goes_on_where_no_lock_can_be_had(tmp_path):
    (tmp_path / "runs_at_work").write_text("a file where the folder should be")
    with RunsAtWork(tmp_path).holding("one"):
        assert not RunsAtWork(tmp_path).is_gone("one")
