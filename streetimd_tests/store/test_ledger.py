"""The ledger counts what was sent or more, whatever kills a run, and never gives a month away twice."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from streetimd_assets.errors import DiskFullError, StoreError
from streetimd_assets.store import ledger as ledger_module
from streetimd_assets.store.ledger import SHARE, Ledger

MONTH = "2026-05"

# takes a share, sets some of it aside, says so and waits to be killed
TAKE_AND_WAIT = """
import sys, time
from streetimd_assets.store.ledger import Ledger

run = Ledger(sys.argv[1], "google", "2026-05").open_run(sys.argv[2])
run.take_share(lambda month_before, parts: 10**6)
run.reserve(20)
run.reserve(20)
print("ready", flush=True)
time.sleep(60)
"""

# buys until nothing is left, one request at a time, and says how many that were
BUY_ALL = """
import sys
from streetimd_assets.store.ledger import Ledger

limit = int(sys.argv[3])
run = Ledger(sys.argv[1], "google", "2026-05").open_run(sys.argv[2])
n_bought = 0
while share := run.take_share(lambda month_before, parts: limit - month_before):
    for _ in range(0, share, 20):
        block = min(20, share)
        run.reserve(block)
        n_bought += block
        share -= block
run.close()
print(n_bought)
"""


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path, "google", MONTH)


def plenty(month_before, parts):
    return 10**6


def start(code, ledger, *arguments):
    command = [sys.executable, "-c", code, str(ledger.data_root), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_while_a_run_goes_on_its_share_counts_and_then_what_it_used(ledger):
    with ledger.open_run("one") as run:
        assert run.take_share(plenty) == SHARE
        run.reserve(20)
        assert ledger.month_total() == SHARE
        (use,) = ledger.runs()
        assert (use.run_id, use.is_alive, use.n_used, use.n_shared) == ("one", True, 20, SHARE)
        run.close(n_unused=7)
    assert ledger.month_total() == 13
    assert ledger.runs()[0].parts == [(13, 0)]


def test_months_and_providers_have_ledgers_of_their_own(ledger, tmp_path):
    with ledger.open_run("one") as run:
        run.take_share(plenty)
        run.reserve(5)
    assert ledger.month_total() == 5
    assert ledger.of_month("2026-06").month_total() == 0
    assert Ledger(tmp_path, "another", MONTH).month_total() == 0
    assert Ledger(tmp_path, "google", MONTH).month_total() == 5


def test_a_run_is_told_what_came_before_it_and_what_it_used_itself(ledger):
    told = []

    def allowed(month_before, parts):
        told.append((month_before, list(parts)))
        return 30

    with ledger.open_run("one") as one, ledger.open_run("two") as two:
        one.take_share(allowed)
        one.reserve(20)
        two.take_share(allowed)
        two.reserve(20)
        one.take_share(allowed)
    assert told == [(0, []), (20, []), (40, [(20, 0)])]


def test_towards_the_end_shares_get_smaller_and_never_exceed_what_is_left(ledger):
    shares = []
    with ledger.open_run("one") as run:
        while share := run.take_share(lambda month_before, parts: 1000 - month_before):
            shares.append(share)
            run.reserve(share)
    assert sum(shares) == 1000
    assert shares[0] == 250
    assert shares == sorted(shares, reverse=True)
    assert max(shares[-3:]) <= 20


def test_a_killed_run_keeps_what_it_set_aside_and_gives_back_the_rest_of_its_share(ledger):
    with start(TAKE_AND_WAIT, ledger, "killed") as process:
        assert process.stdout.readline() == "ready\n"
        assert ledger.month_total() == SHARE
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert ledger.month_total() == 40
    with ledger.open_run("killed") as run:
        assert ledger.month_total() == 40
        assert run.take_share(lambda month_before, parts: 100 - month_before) == 20
        run.reserve(10)
    (use,) = ledger.runs()
    assert use.n_used == 50
    assert use.parts == [(40, 0), (10, 40)]


def test_two_processes_of_one_run_are_counted_as_one_run(ledger):
    told = []
    with start(TAKE_AND_WAIT, ledger, "same") as process:
        assert process.stdout.readline() == "ready\n"
        with ledger.open_run("same") as run:
            run.take_share(lambda month_before, parts: told.append((month_before, list(parts))) or 5)
            run.reserve(5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # what the other process still may use counts as the run's
    assert told == [(SHARE, [(SHARE, 0)])]
    assert [(use.run_id, use.n_used) for use in ledger.runs()] == [("same", 40), ("same", 5)]


@pytest.mark.parametrize("left", [b'\n{"reserved": 2', b"\n\x00\x00\x00\x00", b"\n", b'\n{"share": 500, "mon'])
def test_a_line_that_broke_off_spoils_neither_those_before_nor_those_after(ledger, left):
    with ledger.open_run("one") as run:
        run.take_share(plenty)
        run.reserve(20)
    with run.path.open("ab") as file:
        file.write(left)
    assert ledger.month_total() == 20
    with ledger.open_run("one") as again:
        again.take_share(plenty)
        again.reserve(3)
    assert ledger.month_total() == 23


def test_what_is_set_aside_is_on_the_disk_before_it_is_said_to_be(ledger, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(ledger_module.os, "fsync", lambda number: (synced.append(number), sync(number)))
    with ledger.open_run("one") as run:
        run.take_share(plenty)
        n_before = len(synced)
        run.reserve(20)
        assert len(synced) == n_before + 1
        assert run.path.read_text().endswith('{"reserved": 20}')


def test_a_run_of_which_it_cannot_be_known_whether_it_goes_on_counts_with_its_share(ledger, monkeypatch):
    with ledger.open_run("one") as run:
        run.take_share(plenty)
        run.reserve(20)

    def refuse(path):
        raise OSError("no locks on this file system")

    monkeypatch.setattr(ledger_module, "_try_lock", refuse)
    assert ledger.month_total() == SHARE


def test_eight_processes_that_share_a_month_use_it_up_and_not_more(ledger):
    limit = 3000
    processes = [start(BUY_ALL, ledger, f"run-{number}", limit) for number in range(8)]
    bought = [int(process.communicate()[0]) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sum(bought) == ledger.month_total() == limit
    assert sum(use.n_used for use in ledger.runs()) == limit


def test_runs_killed_among_others_leave_the_month_within_its_limit(ledger):
    limit = 2000
    for number in range(3):
        with start(TAKE_AND_WAIT, ledger, f"killed-{number}") as process:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGKILL)
    processes = [start(BUY_ALL, ledger, f"run-{number}", limit) for number in range(3)]
    bought = [int(process.communicate()[0]) for process in processes]
    assert sum(bought) == limit - 3 * 40
    assert ledger.month_total() == limit


def test_any_name_of_a_run_is_a_file_name(ledger):
    with ledger.open_run("../an/odd name~2") as run:
        run.take_share(plenty)
        run.reserve(1)
    assert run.path.parent == ledger.folder
    assert ledger.runs()[0].run_id == "../an/odd name~2"


def test_a_full_disk_stops_whoever_wants_to_set_requests_aside(ledger, monkeypatch):
    with ledger.open_run("one") as run:
        run.take_share(plenty)

        def full(number):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(ledger_module.os, "fsync", full)
            with pytest.raises(DiskFullError, match="there is no room left to write"):
                run.reserve(20)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOLCK])
def test_whatever_the_disk_answers_is_one_sentence_that_names_the_file(ledger, monkeypatch, number):
    def broken(*_):
        raise OSError(number, os.strerror(number))

    with ledger.open_run("one") as run:
        run.take_share(plenty)
        with monkeypatch.context() as patch:
            patch.setattr(ledger_module.os, "fsync", broken)
            with pytest.raises(StoreError) as told:
                run.reserve(20)
    said = str(told.value)
    assert said.startswith(f"the ledger cannot go on in {run.path} ({os.strerror(number)}), and nothing is bought")
    assert "STREETIMD_DATA" in said
    assert "\n" not in said


@pytest.mark.parametrize("problem", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("no flock")])
def test_a_file_system_without_locks_is_said_in_one_sentence(ledger, monkeypatch, problem):
    def refuse(path):
        raise problem

    monkeypatch.setattr(ledger_module, "_try_lock", refuse)
    with pytest.raises(StoreError, match=r"the ledger cannot go on in .*/google/2026-05 \(.*lock.*\), and nothing"):
        ledger.open_run("one")


def test_a_file_of_the_ledger_that_cannot_be_read_is_named(ledger):
    (ledger.folder / "one.jsonl").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"the ledger cannot go on in .*one\.jsonl \("):
        ledger.month_total()


def test_a_run_whose_end_cannot_be_written_ends_all_the_same(ledger, monkeypatch):
    run = ledger.open_run("one")
    run.take_share(plenty)
    run.reserve(20)

    def broken(number):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module.os, "fsync", broken)
        with pytest.raises(StoreError):
            run.close(n_unused=7)
    assert [use.is_alive for use in ledger.runs()] == [False]


def test_a_month_locked_by_a_process_that_hangs_is_said_in_one_sentence(ledger, monkeypatch):
    with ledger.open_run("one"):
        pass
    hold = (
        "import sys, time\nfrom filelock import FileLock\nfrom streetimd_assets.store.ledger import Ledger\n"
        "with FileLock(Ledger(sys.argv[1], 'google', '2026-05').folder / 'month.lock'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    monkeypatch.setattr(ledger_module, "_LOCK_WAIT_S", 0.2)
    with start(hold, ledger) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(
            StoreError, match=r"has been locked for 0.2 s by another process; wait for it, or end it"
        ):
            ledger.month_total()
        process.send_signal(signal.SIGKILL)
    assert ledger.month_total() == 0
