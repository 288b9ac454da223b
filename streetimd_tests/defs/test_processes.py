"""Tasks in processes: none is lost, and whoever stops them stops all of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streetimd_assets.defs.processes import ProcessKilledError, do_in_processes


def note(folder, name, seconds=0.0):
    """Say in a file that a task has begun, and in another that it has ended."""
    Path(folder, f"{name}.begun").write_text(str(os.getpid()))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.02)
    Path(folder, f"{name}.ended").write_text("")


class OfTwo(Exception):
    """Cannot be made from what it says."""

    def __init__(self, one, two):
        super().__init__(one + two)


def refuse(number):
    if number == 1:
        raise LookupError("no such number")
    if number == 2:
        # which cannot be sent to another process
        raise ValueError(lambda: number)
    if number == 3:
        raise OfTwo("neither can", "this")


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def nothing():
    """There is nothing to do meanwhile."""


def begun(folder):
    return sorted(path.stem for path in Path(folder).glob("*.begun"))


def test_every_task_is_done_though_processes_are_replaced(tmp_path):
    n_tasks, told = 18, []
    tasks = [(str(tmp_path), f"{number:02d}") for number in range(n_tasks)]
    errors = do_in_processes(note, tasks, 1, meanwhile=lambda: told.append(len(list(tmp_path.glob("*.ended")))))
    assert errors == [None] * n_tasks
    assert told[-1] == n_tasks
    processes = [(tmp_path / f"{number:02d}.begun").read_text() for number in range(n_tasks)]
    assert [processes.count(pid) for pid in dict.fromkeys(processes)] == [8, 8, 2]


def test_no_task_begins_before_a_process_is_free_for_it(tmp_path):
    n_at_once = []

    def count():
        n_at_once.append(len(begun(tmp_path)) - len(list(tmp_path.glob("*.ended"))))

    do_in_processes(note, [(str(tmp_path), str(number), 0.7) for number in range(5)], 2, meanwhile=count)
    assert max(n_at_once) == 2


def test_what_a_task_raises_stops_no_other():
    errors = do_in_processes(refuse, [(number,) for number in range(5)], 2, meanwhile=nothing)
    assert [type(error) for error in errors] == [type(None), LookupError, RuntimeError, RuntimeError, type(None)]
    assert "ValueError" in str(errors[2])
    assert "OfTwo" in str(errors[3])


def test_a_process_that_is_killed_is_noticed():
    with pytest.raises(ProcessKilledError):
        do_in_processes(die, [(1,), (2,)], 1, meanwhile=nothing)


def test_without_tasks_no_process_is_started():
    assert do_in_processes(die, [], 2, meanwhile=nothing) == []


SCRIPT = """
from streetimd_assets.defs.processes import do_in_processes
from streetimd_tests.defs.test_processes import note, nothing

if __name__ == "__main__":
    do_in_processes(note, [({folder!r}, str(number), 4.0) for number in range(9)], 2, meanwhile=nothing)
"""


@pytest.mark.parametrize("sign", ["Ctrl+C", signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whoever_stops_the_first_process_stops_all_and_nothing_more_begins(tmp_path, sign):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(tmp_path)))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    first = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        # whether or not these tests were themselves begun by `nohup`
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    wait_until(lambda: len(begun(tmp_path)) == 2)
    processes = [int((tmp_path / f"{name}.begun").read_text()) for name in begun(tmp_path)]
    if sign == "Ctrl+C":
        os.killpg(first.pid, signal.SIGINT)
    else:
        first.send_signal(sign)
    assert first.wait(20) != 0
    wait_until(lambda: not any(map(is_running, processes)))
    time.sleep(1)
    assert len(begun(tmp_path)) == 2
    assert not list(tmp_path.glob("*.ended"))


def is_running(pid):
    try:
        # one that has ended and that nobody has asked for is not running
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(is_so, patience_s=60):
    deadline = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
