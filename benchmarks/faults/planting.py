"""The faults: each does harm in the middle of runs, or before they begin, and undoes what a person would undo."""

import errno
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from benchmarks.faults.campaign import N_CONNECTIONS, Campaign
from streetimd_tests.deploy.asking import rows

if TYPE_CHECKING:
    from benchmarks.faults.campaign import Run

PROCESS = re.compile(r"\(pid: (\d+)\)")
ENGINE_EVENTS = "SELECT event FROM event_logs WHERE run_id = %s AND dagster_event_type = 'ENGINE_EVENT'"
STORM_S = 15.0
# as dagster.yaml has it
N_AT_WORK = 4
# requests of all runs that may be at work together
AT_ONCE = N_AT_WORK * N_CONNECTIONS


@dataclass(frozen=True)
class Fault:
    """A fault by its name.

    Parameters
    ----------
    title
        What the table calls it.
    during
        Done while twelve runs are in progress, given a share of progress from 0.1 to 0.9.
    before
        Done to a complete study, before all of it is run again; undone when the runs have ended. It yields
        the places that are to be run.
    failed
        The fewest and the most runs that may fail of it; of runs at work there are four.
    latest
        Share of progress by which it comes: later, nothing may be asked for any more.
    most_twice
        The most images that may be asked for twice: those that were under way when a run was killed.
    """

    title: str
    during: Callable[[Campaign], None] | None = None
    before: Callable[[Campaign], AbstractContextManager[list[str]]] | None = None
    failed: tuple[int, int] = (0, 0)
    latest: float = 0.9
    most_twice: int | None = None


def kill(name: str) -> Callable[[Campaign], None]:
    """Kill a service; it is started again as Docker would."""
    return lambda campaign: campaign.kill(name)


def kill_a_run(campaign: Campaign) -> None:
    """Kill the process of one run at work."""

    def killed() -> "Run | None":
        for run in campaign.runs():
            if run.status == "STARTED" and (process := process_of(campaign, run)):
                os.kill(process, signal.SIGKILL)
                return run
        return None

    campaign.until(killed, "a run at work")


def process_of(campaign: Campaign, run: "Run") -> int | None:
    """Return the process in which a run executes its steps, as its events tell."""
    for (event,) in rows(campaign.services, ENGINE_EVENTS, run.run_id):
        message = json.loads(event)["dagster_event"]["message"] or ""
        if message.startswith("Executing steps") and (found := PROCESS.search(message)):
            return int(found[1])
    return None


def fill_the_disk(campaign: Campaign) -> None:
    """Leave no byte on the disk of the data until a run has failed of it."""
    filler = campaign.services.data / "filler"
    with filler.open("wb", buffering=0) as file:
        step = 2**24
        while step >= 2**12:
            try:
                file.write(b"\0" * step)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                step //= 16
    try:
        campaign.until(lambda: _failed(campaign) or None, "a run to fail of the full disk")
    finally:
        filler.unlink()


def storm(campaign: Campaign) -> None:
    """Answer every request with 429 for a while."""
    with _answering_429(campaign):
        time.sleep(STORM_S)


def long_storm(campaign: Campaign) -> None:
    """Answer every request with 429 until a run has given up."""
    with _answering_429(campaign):
        campaign.until(lambda: _failed(campaign) or None, "a run to give up")


@contextmanager
def _answering_429(campaign: Campaign) -> Iterator[None]:
    def n_answered() -> int:
        return int(campaign.google.counts()["kinds"].get("429", 0))

    n_before = n_answered()
    campaign.google.change(always="429")
    try:
        yield
    finally:
        campaign.google.change(always="")
    assert n_answered() > n_before, "nothing was asked for during the storm"


def _failed(campaign: Campaign) -> list["Run"]:
    return [run for run in campaign.runs() if run.status == "FAILURE"]


@contextmanager
def readers(campaign: Campaign) -> Iterator[list[str]]:
    """Hold every table file open and in the middle of a query, as notebooks do that nobody closes."""
    with ExitStack() as stack:
        held = []
        for path in campaign.table_files():
            reader = stack.enter_context(duckdb.connect(str(path), read_only=True))
            name = path.parts[-3]
            reader.execute("BEGIN TRANSACTION")
            held.append((path, reader, reader.execute(f"SELECT count(*) FROM {name}").fetchall()))
        yield [*campaign.slugs]
        for path, reader, before in held:
            after = reader.execute(f"SELECT count(*) FROM {path.parts[-3]}").fetchall()
            assert after == before, f"{path} changed under a reader"


@contextmanager
def spoilt_tables(campaign: Campaign) -> Iterator[list[str]]:
    """Spoil a table of each local authority: cut in half, written over, or emptied."""
    files = campaign.table_files()
    for n_spoilt, slug in enumerate(campaign.slugs, start=1):
        ours = sorted(path for path in files if path.parent.name.endswith(f"={slug}"))
        path = campaign.random.choice(ours)
        way = campaign.random.choice([cut_in_half, write_over, empty])
        way(path, campaign)
        assert len(campaign.torn()) == n_spoilt, f"{path} is spoilt and nobody notices"
    yield [*campaign.slugs]


@contextmanager
def cut_pictures(campaign: Campaign) -> Iterator[list[str]]:
    """Cut a picture of four local authorities in half, as a power failure may."""
    for slug in campaign.slugs[:4]:
        cut_in_half(picture_of(campaign, slug), campaign)
        forget_embeddings(campaign, slug)
    yield [*campaign.slugs[:4]]


@contextmanager
def rotten_pictures(campaign: Campaign) -> Iterator[list[str]]:
    """Write over a picture of four local authorities in its length, as a bad disk may."""
    chosen = campaign.slugs[:4]
    paths = [picture_of(campaign, slug) for slug in chosen]
    for slug, path in zip(chosen, paths, strict=True):
        write_over(path, campaign)
        forget_embeddings(campaign, slug)
    yield [*chosen]
    # what the sentence asks for
    for path in paths:
        path.unlink()


def picture_of(campaign: Campaign, slug: str) -> Path:
    row = campaign.random.choice([*campaign.held(slug).values()])
    return campaign.house.folder / row["image_path"]


def forget_embeddings(campaign: Campaign, slug: str) -> None:
    """Remove what would be carried on, so that every picture is read again."""
    campaign.house.store.path("image_embeddings", slug).unlink()


def cut_in_half(path: Path, _: Campaign) -> None:
    os.truncate(path, path.stat().st_size // 2)


def write_over(path: Path, campaign: Campaign) -> None:
    """Put random bytes where there were others, all but the first sixteenth."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 16)
        file.write(campaign.random.randbytes(size - size // 16))


def empty(path: Path, _: Campaign) -> None:
    os.truncate(path, 0)


FAULTS = {
    "none": Fault("nothing", during=lambda campaign: None, most_twice=0),
    "run": Fault("kill -9 of a run", during=kill_a_run, failed=(1, 1), most_twice=N_CONNECTIONS),
    "code": Fault(
        "kill -9 of the code server and its runs", during=kill("code"), failed=(1, N_AT_WORK), most_twice=AT_ONCE
    ),
    "daemon": Fault("kill -9 of the daemon", during=kill("daemon"), most_twice=0),
    "db": Fault("kill -9 of PostgreSQL", during=kill("db"), failed=(0, N_AT_WORK), most_twice=AT_ONCE),
    # while one is noticed to have failed, the next may begin
    "disk": Fault("no room on the disk", during=fill_the_disk, failed=(1, N_AT_WORK + 2)),
    "storm": Fault(f"429 to every request for {STORM_S:g} s", during=storm, latest=0.6),
    "long-storm": Fault(
        "429 to every request until a run gives up", during=long_storm, failed=(1, N_AT_WORK + 2), latest=0.6
    ),
    "readers": Fault("readers that hold every table", before=readers, most_twice=0),
    "tables": Fault("a spoilt table in each", before=spoilt_tables),
    "cut": Fault("a picture cut in half, in four", before=cut_pictures),
    "rotten": Fault("a picture written over, in four", before=rotten_pictures, failed=(4, 4)),
}
