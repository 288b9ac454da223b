"""Put a file in place whole or not at all, and say plainly when there is no room."""

import contextlib
import errno
import math
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb

from streetimd_assets.errors import DiskFullError, StoreError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
# a write that still goes on has changed its file more lately than this
_ABANDONED_S = 600
_TEMPORARY = ".tmp-"
_ELSEWHERE = "set STREETIMD_DATA to a folder you may write to"


@contextlib.contextmanager
def written_whole(target: Path, *, elsewhere: str = _ELSEWHERE) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it into place if the block succeeds.

    A reader that has `target` open keeps what it reads; a crash leaves the old file and a
    temporary one, which :func:`sweep` removes.

    `elsewhere` says how to have it written where there is leave to.

    Raises
    ------
    DiskFullError
        If the disk or quota has no room left.
    StoreError
        If the folder may not be written to.
    """
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}-{target.name}")
    with room_needed_for(target, elsewhere=elsewhere):
        # asking first is cheaper than being told that it exists, once for each of a million images
        if not os.path.isdir(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, target)
        except BaseException:
            for left in (temporary, temporary.with_name(temporary.name + ".wal")):
                left.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def room_needed_for(target: Path, *, elsewhere: str = _ELSEWHERE) -> Iterator[None]:
    """Turn a full disk or quota, or a folder closed to us, met while writing `target`, into one sentence.

    `elsewhere` says how to have it written where there is leave to.
    """
    try:
        yield
    except Exception as error:
        if _is_one_of(_NOT_ALLOWED, error):
            problem = str(error).splitlines()[0]
            raise StoreError(f"{target} cannot be written ({problem}); {elsewhere}") from error
        if not _is_one_of(_NO_ROOM, error):
            raise
        raise DiskFullError(
            f"there is no room left to write {target} ({_free(target)} free on its disk); nothing that was there "
            "is lost: free some space, or set STREETIMD_DATA to a larger disk, and materialise again"
        ) from error


def allow_open_files() -> int | None:
    """Let this process open as many files at once as the system lets it, and return how many; None if not known.

    A query over all local authorities opens one file for each of them and each table, and shells begin with
    a limit far below what they may set.
    """
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS names no limit, and refuses to have none
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft


def sweep(folder: Path, *, abandoned_s: float = _ABANDONED_S) -> int:
    """Remove temporary files that killed runs left below a folder; return how many.

    Those changed within the last `abandoned_s` seconds stay: another run may be writing them.
    """
    latest = time.time() - abandoned_s
    left = [path for path in folder.rglob(f"{_TEMPORARY}*") if _changed_at(path) <= latest]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        # its writer has just put it in place
        return math.inf


def _is_one_of(numbers: set[int], error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in numbers
    # DuckDB reports the operating system's error as text
    return isinstance(error, duckdb.Error) and any(os.strerror(number) in str(error) for number in numbers)


def _free(target: Path) -> str:
    folder = next(parent for parent in target.parents if parent.exists())
    return f"{shutil.disk_usage(folder).free / 2**20:,.0f} MiB"
