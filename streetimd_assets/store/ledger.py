"""The ledger of requests that cost money: counted before they are sent, so never too few.

Each run writes a file of its own, ``<data root>/ledger/<provider>/<YYYY-MM>/<run id>.jsonl``, and nobody
else does. A run takes a share of what the month allows, a few hundred requests, while it holds the
month's one lock; within that share it sets requests aside in its file, a few at a time and on the disk,
before they are sent. While a run lives, which a lock on its file shows, its whole share counts; once it has
ended, however it did, what it set aside counts.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from streetimd_assets.errors import StoreError
from streetimd_assets.store.files import room_needed_for

if TYPE_CHECKING:
    from filelock import BaseFileLock

SHARE = 500
_LOCK_WAIT_S = 60.0

# of so many requests used in the month, and so many of the run with the month's number before them: how many more
Allowed = Callable[[int, Sequence[tuple[int, int]]], int]


@dataclass
class RunUse:
    """What one run used of a month.

    Parameters
    ----------
    run_id
        The run's name.
    is_alive
        True if it goes on.
    n_used
        Requests it has set aside for sending; what it gave back does not count.
    n_shared
        Requests of the month that it may use without asking again, those used included.
    parts
        ``(requests used, requests of the month before them)`` of each of its shares.
    """

    run_id: str
    is_alive: bool = False
    n_used: int = 0
    n_shared: int = 0
    parts: list[tuple[int, int]] = field(default_factory=list)

    @property
    def n_counted(self) -> int:
        """What the month must count: the share of a run that goes on, else what was used."""
        return max(self.n_used, self.n_shared) if self.is_alive else self.n_used

    def add(self, line: dict[str, Any]) -> None:
        """Take in the next line of its file."""
        self.run_id = line.get("run_id", self.run_id)
        if "opened_at" in line:
            # whoever wrote before has ended, and left the rest of its share
            self.n_shared = self.n_used
        if "share" in line:
            self.n_shared += line["share"]
            self.parts.append((0, line["month_before"]))
        change = line.get("reserved", 0) - line.get("returned", 0)
        if change and self.parts:
            self.parts[-1] = (self.parts[-1][0] + change, self.parts[-1][1])
        self.n_used += change


class Ledger:
    """One provider's ledger of one month.

    Parameters
    ----------
    data_root
        Folder of all studies: they share one bill.
    provider
        Its name.
    month
        As ``YYYY-MM``.
    """

    def __init__(self, data_root: Path, provider: str, month: str) -> None:
        self.data_root = Path(data_root)
        self.provider = provider
        self.month = month
        self.folder = self.data_root / "ledger" / provider / month
        self._ended: dict[tuple[str, int], RunUse] = {}

    def of_month(self, month: str) -> "Ledger":
        """Return the same provider's ledger of another month."""
        return Ledger(self.data_root, self.provider, month)

    def month_total(self) -> int:
        """Requests of the month: those set aside by runs that ended, the shares of those that go on."""
        return sum(use.n_counted for use in self.runs())

    def runs(self) -> list[RunUse]:
        """What each run used, in the order of their names.

        Raises
        ------
        StoreError
            If the month is locked for long, or its files cannot be used.
        """
        if not self.folder.exists():
            return []
        with self._locked():
            return self._read_runs()

    def open_run(self, run_id: str) -> "LedgerRun":
        """Open a run's file, or go on in it; a second process of a run that goes on gets one of its own.

        Raises
        ------
        StoreError
            If the month is locked for long, or its files cannot be written.
        """
        with self._locked():
            for number in range(1, 10_000):
                name = quote(run_id, safe="") + (f"~{number}" if number > 1 else "")
                path = self.folder / f"{name}.jsonl"
                alive = _try_lock(path)
                if alive is not None:
                    return LedgerRun(self, run_id, path, alive)
        raise StoreError(f"run '{run_id}' is open in too many processes; wait for one of them to end")

    def take_share(self, run: "LedgerRun", allowed: Allowed) -> int:
        """Give a run its next share of the month: the number of requests, 0 if none is allowed.

        Towards the end of what is allowed shares get smaller, so that several runs end together.

        Raises
        ------
        StoreError
            If the month is locked for long, or its files cannot be written.
        """
        with self._locked():
            uses = self._read_runs()
            month_before = sum(use.n_counted for use in uses)
            parts = [part for use in uses if use.run_id == run.run_id for part in _counted_parts(use)]
            left = allowed(month_before, parts)
            share = max(0, min(SHARE, left, max(20, left // 4)))
            if share:
                run.write({"share": share, "month_before": month_before})
            return share

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the month's lock, which whoever dies lets go of."""
        from filelock import FileLock, Timeout

        with _problems_said(self.folder):
            _make_folder(self.folder)
            try:
                with FileLock(self.folder / "month.lock", timeout=_LOCK_WAIT_S):
                    yield
            except Timeout:
                raise StoreError(
                    f"the ledger in {self.folder} has been locked for {_LOCK_WAIT_S:g} s by another process; "
                    "wait for it, or end it"
                ) from None

    def _read_runs(self) -> list[RunUse]:
        return [self._read_run(path) for path in sorted(self.folder.glob("*.jsonl"))]

    def _read_run(self, path: Path) -> RunUse:
        # a file that did not grow since its run had ended was not opened again
        key = path.name, path.stat().st_size
        if key not in self._ended:
            use = RunUse(path.stem, is_alive=_is_held(path))
            for line in _read_lines(path):
                use.add(line)
            if use.is_alive:
                return use
            self._ended[key] = use
        return self._ended[key]


class LedgerRun:
    """A run's own file, open for writing; its lock shows that the run goes on."""

    def __init__(self, ledger: Ledger, run_id: str, path: Path, alive: "BaseFileLock") -> None:
        self.ledger = ledger
        self.run_id = run_id
        self.path = path
        self._alive = alive
        is_new = not path.exists()
        self.write(
            {"opened_at": datetime.now(UTC).isoformat(timespec="seconds"), "run_id": run_id, "pid": os.getpid()}
        )
        if is_new:
            _sync_folder(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_share(self, allowed: Allowed) -> int:
        """Take the next share of the month; see :meth:`Ledger.take_share`."""
        return self.ledger.take_share(self, allowed)

    def reserve(self, n_requests: int) -> None:
        """Set requests of the share aside; when this returns, they are on the disk."""
        self.write({"reserved": n_requests})

    def close(self, n_unused: int = 0) -> None:
        """Give back what was set aside and not sent, and end."""
        try:
            if n_unused:
                self.write({"returned": n_unused})
        finally:
            self._alive.release()

    def write(self, line: dict[str, Any]) -> None:
        """Add a line and wait until it is on the disk.

        Raises
        ------
        DiskFullError
            If the disk or quota has no room left.
        StoreError
            If the file cannot be written for another reason.
        """
        # the line break comes first: a line that a kill left broken must not spoil the next
        data = f"\n{json.dumps(line)}".encode()
        with _problems_said(self.path), self.path.open("ab", buffering=0) as file:
            if file.write(data) < len(data):
                # a disk that fills up within a line takes what it can and says nothing
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())


@contextlib.contextmanager
def _problems_said(path: Path) -> Iterator[None]:
    """Turn whatever the disk answers while a file of the ledger is used into one sentence."""
    try:
        with room_needed_for(path):
            yield
    # a file system without locks is told of by the second
    except (OSError, NotImplementedError) as error:
        problem = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise StoreError(
            f"the ledger cannot go on in {getattr(error, 'filename', None) or path} ({problem}), and nothing is "
            "bought without it: see to that disk, or set STREETIMD_DATA to a folder on another, and materialise "
            "again"
        ) from error


def _counted_parts(use: RunUse) -> list[tuple[int, int]]:
    """Shares of a run as they count: what another of its processes still holds back counts as used."""
    parts = list(use.parts)
    if parts and use.is_alive:
        parts[-1] = (parts[-1][0] + use.n_counted - use.n_used, parts[-1][1])
    return parts


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        # a line that broke off was never waited for: nothing was sent on its account
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def _try_lock(path: Path) -> "BaseFileLock | None":
    """Take the lock of a run's file, or return None if a process that lives has it."""
    from filelock import FileLock, Timeout

    # it is let go of by whichever thread ends the run
    lock = FileLock(path.with_suffix(".lock"), thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def _is_held(path: Path) -> bool:
    """True if the run goes on, or if that cannot be known."""
    try:
        lock = _try_lock(path)
    except (OSError, NotImplementedError):
        return True
    if lock is None:
        return True
    lock.release()
    return False


def _make_folder(folder: Path) -> None:
    """Make a folder so that it outlasts a power failure."""
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    # there is no such thing on Windows
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
