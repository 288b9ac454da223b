"""Put a file in place whole or not at all, and say plainly when there is no room."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from streetimd_assets.errors import DiskFullError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TEMPORARY = ".tmp-"


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it into place if the block succeeds.

    A reader that has `target` open keeps what it reads; a crash leaves the old file and a
    temporary one, which :func:`sweep` removes.

    Raises
    ------
    DiskFullError
        If the disk or quota has no room left.
    """
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}-{target.name}")
    try:
        with room_needed_for(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, target)
    finally:
        for left in (temporary, temporary.with_name(temporary.name + ".wal")):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def room_needed_for(target: Path) -> Iterator[None]:
    """Turn a full disk or quota, met while writing `target`, into one sentence."""
    try:
        yield
    except Exception as error:
        if not _is_no_room(error):
            raise
        raise DiskFullError(
            f"there is no room left to write {target} ({_free(target)} free on its disk); nothing that was there "
            "is lost: free some space, or set STREETIMD_DATA to a larger disk, and materialise again"
        ) from error


def sweep(folder: Path) -> int:
    """Remove temporary files that a killed run left below a folder; return how many."""
    left = list(folder.rglob(f"{_TEMPORARY}*")) if folder.exists() else []
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def _is_no_room(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    # DuckDB reports the operating system's error as text
    return any(os.strerror(number) in str(error) for number in _NO_ROOM)


def _free(target: Path) -> str:
    folder = next(parent for parent in target.parents if parent.exists())
    return f"{shutil.disk_usage(folder).free / 2**20:,.0f} MiB"
