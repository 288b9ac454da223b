"""Image files and the journal of what was asked for.

Images are ordinary files below ``<study folder>/images/<local authority>/``. The journal beside
them has one JSON line per image, written as soon as it is known, so a stopped run resumes where it
was and an image that is held is never asked for again; and one for each whose file was deleted
after it had been embedded.
"""

import errno
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streetimd_assets.errors import StoreError
from streetimd_assets.store.files import room_needed_for, written_whole

# file systems take 255 bytes; the temporary name of a file that is being written is 42 longer
_LONGEST_NAME = 200
_LOCK = "collecting.lock"


class ImageStore:
    """The image files of one local authority in one study.

    Images may be saved and recorded from several threads at once.
    """

    def __init__(self, study_folder: Path, local_authority: str) -> None:
        self._study_folder = Path(study_folder)
        self._relative = f"images/{local_authority}"
        self._folder = self._study_folder / self._relative
        self._journal = self._folder / "journal.jsonl"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else collect or delete images of this local authority meanwhile.

        Raises
        ------
        StoreError
            If somebody does.
        """
        from filelock import FileLock, Timeout

        with room_needed_for(self._journal):
            self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"images in {self._folder} are being collected or deleted by another run; let it end, or stop it, "
                "and materialise again"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def save(self, image_id: str, data: bytes) -> str:
        """Write an image whole; return its path relative to the study's folder."""
        path = self._path(image_id)
        with written_whole(path) as temporary, open(temporary, "xb", buffering=0) as file:
            _write_all(file, data)
        return f"{self._relative}/{path.name}"

    def record(self, row: dict[str, Any]) -> None:
        """Add a row of ``street_images`` to the journal, with ``view`` beside it if it has one."""
        self._append([row])

    def recorded(self) -> dict[str, dict[str, Any]]:
        """Return the latest journal row of each image that is held.

        Held is an image whose file is there in its full length, or was deleted by :meth:`delete`,
        which ``is_deleted`` says; and one that never had a file, because it failed or was no
        picture. A file that a power failure cut short is not held.
        """
        rows = self._latest_rows()
        return {name: row for name, row in rows.items() if self._is_held(row)}

    def delete(self, image_ids: Iterable[str]) -> int:
        """Delete the files of images and go on holding them as images; return how many files went.

        The journal says so before a file goes: after a power failure a file may be left, which
        deleting again removes, but an image that was paid for is never taken for one that is missing.
        """
        names = [name for name in image_ids if self._path(name).is_file()]
        if names:
            self._append([{"image_id": name, "is_deleted": True} for name in names], is_forced=True)
        for name in names:
            self._path(name).unlink(missing_ok=True)
        return len(names)

    def files(self) -> tuple[int, int]:
        """Return how many picture files there are, and their bytes together."""
        n_files = n_bytes = 0
        for path in self._picture_files():
            n_files, n_bytes = n_files + 1, n_bytes + path.stat().st_size
        return n_files, n_bytes

    def purge(self) -> int:
        """Delete every picture file, also those that killed runs left; return how many there were.

        What is known of the images stays, and they go on counting as held.
        """
        held = (name for name, row in self.recorded().items() if row.get("image_path"))
        n_deleted = self.delete(list(held))
        left = list(self._picture_files())
        for path in left:
            path.unlink(missing_ok=True)
        return n_deleted + len(left)

    def _append(self, rows: Sequence[dict[str, Any]], *, is_forced: bool = False) -> None:
        lines = [json.dumps(row, default=lambda value: value.isoformat(), allow_nan=False) for row in rows]
        # the line break comes first: a line that a kill left broken must not spoil the next
        data = "".join(f"\n{line}" for line in lines).encode()
        with room_needed_for(self._journal):
            self._folder.mkdir(parents=True, exist_ok=True)
            # one write to a file opened for appending is never mixed with that of another thread
            with self._journal.open("ab", buffering=0) as journal:
                _write_all(journal, data)
                if is_forced:
                    os.fsync(journal.fileno())

    def _latest_rows(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        if not self._journal.exists():
            return rows
        with self._journal.open("rb") as journal:
            for line in journal:
                row = _read_line(line)
                if row is None:
                    continue
                name = row["image_id"]
                # a deletion is a line of its own, which says nothing else
                if not row["is_deleted"] or "status" in row:
                    rows[name] = row
                elif name in rows:
                    rows[name]["is_deleted"] = True
        return rows

    def _is_held(self, row: dict[str, Any]) -> bool:
        path = row.get("image_path")
        if path is None or row["is_deleted"]:
            return True
        try:
            return (self._study_folder / path).stat().st_size == row.get("n_bytes")
        except FileNotFoundError:
            return False

    def _picture_files(self) -> Iterator[Path]:
        if self._folder.exists():
            ours = (self._journal.name, _LOCK)
            yield from (path for path in self._folder.iterdir() if path.name not in ours and path.is_file())

    def _path(self, image_id: str) -> Path:
        return self._folder / f"{_file_name(image_id)}.jpg"


def read_image_file(study_folder: Path, image_path: str) -> bytes | None:
    """Return the bytes of an image by its path relative to the study's folder, or None if it is gone."""
    path = Path(study_folder) / image_path
    return path.read_bytes() if path.is_file() else None


def _read_line(line: bytes) -> dict[str, Any] | None:
    """Read a line of the journal; None if it is empty, or broken as a kill leaves it."""
    try:
        row: dict[str, Any] = json.loads(line.decode("utf-8", errors="replace"))
    except json.JSONDecodeError:
        return None
    if row.get("captured_on"):
        row["captured_on"] = date.fromisoformat(row["captured_on"])
    # the names of the columns are kept once, not once for each of very many rows
    return {"is_deleted": False} | {sys.intern(column): value for column, value in row.items()}


def _file_name(image_id: str) -> str:
    """Return a name that is safe on every file system and different for different images."""
    name = quote(image_id, safe="@", errors="surrogatepass")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        return f"{name[: _LONGEST_NAME - len(digest)]}{digest}"
    return name


def _write_all(file: io.FileIO, data: bytes) -> None:
    """Write in one go; a disk that fills up meanwhile takes what it can and says nothing."""
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
