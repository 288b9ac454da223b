"""Which runs are at work: each holds a lock on a file of its own, which a process that is killed lets go of."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

# whoever looks whether a run is alive holds its lock for a moment
_PATIENCE_S = 10


class RunsAtWork:
    """The locks below a data root, seen from every process and container that shares it."""

    def __init__(self, data_root: Path) -> None:
        self._folder = Path(data_root) / "runs_at_work"

    @contextlib.contextmanager
    def holding(self, run_id: str) -> Iterator[None]:
        """Hold the lock of a run meanwhile.

        Where no lock can be had, the run goes on without: what keeps it from writing will stop it with a
        sentence of its own, and nobody is told that it is gone.
        """
        from filelock import FileLock

        path = self._path(run_id)
        new = path.with_suffix(".new")
        lock = FileLock(new)
        with contextlib.suppress(OSError, NotImplementedError):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=_PATIENCE_S)
            # under its name only once it is locked, so that nobody finds it free before it was ever held
            os.replace(new, path)
        try:
            yield
        finally:
            # gone before it is free, for the same reason
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()

    def is_gone(self, run_id: str) -> bool:
        """Return True, and remove its file, if a run has begun and not ended, and no process holds its lock."""
        from filelock import FileLock, Timeout

        path = self._path(run_id)
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError, NotImplementedError):
            return False
        path.unlink(missing_ok=True)
        lock.release()
        return True

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.lock"
