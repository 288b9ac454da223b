"""Which runs are at work: each holds a lock on a file of its own, which a process that is killed lets go of."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

# whoever looks whether a run is alive holds its lock for a moment
_PATIENCE_S = 10
# the files of runs that were killed
_KEPT_S = 30 * 86_400


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
            self._sweep()
            lock.acquire(timeout=_PATIENCE_S)
            new.write_text(run_id)
            # under its name only once it is locked, so that nobody finds it free before it was ever held
            os.replace(new, path)
        try:
            yield
        except Exception:
            # its file stays: if its end could not be recorded either, whoever looks will see that it is gone
            lock.release()
            raise
        except BaseException:
            self._end(path, lock)
            raise
        else:
            self._end(path, lock)

    def is_gone(self, run_id: str) -> bool:
        """Return True, each time, if a run has begun and not ended, and no process holds its lock."""
        from filelock import FileLock, Timeout

        path = self._path(run_id)
        if not path.exists():
            return False
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError, NotImplementedError):
            return False
        try:
            if path.stat().st_size:
                return True
            # the run ended at this moment, and the file is one that locking has just made
            path.unlink(missing_ok=True)
            return False
        finally:
            lock.release()

    def _end(self, path: Path, lock: "FileLock") -> None:
        # gone before it is free, so that nobody finds it free
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()

    def _sweep(self) -> None:
        """Remove what runs left that were gone long ago; by now somebody has looked."""
        for path in self._folder.glob("*.lock"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _KEPT_S and self.is_gone(path.stem):
                    path.unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.lock"
