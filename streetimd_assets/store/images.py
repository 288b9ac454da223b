"""Image files and the journal of what was asked for.

Images are ordinary files below ``<study folder>/images/<local authority>/``. The journal beside
them has one JSON line per image, written as soon as it is known, so a stopped run resumes where it
was and an image that is held is never asked for again.
"""

import errno
import hashlib
import json
import os
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streetimd_assets.store.files import room_needed_for, written_whole

# file systems take 255 bytes; the temporary name of a file that is being written is 42 longer
_LONGEST_NAME = 200


class ImageStore:
    """The image files of one local authority in one study."""

    def __init__(self, study_folder: Path, local_authority: str) -> None:
        self._study_folder = Path(study_folder)
        self._folder = self._study_folder / "images" / local_authority
        self._journal = self._folder / "journal.jsonl"

    def save(self, image_id: str, data: bytes) -> str:
        """Write an image whole; return its path relative to the study's folder."""
        path = self._folder / f"{_file_name(image_id)}.jpg"
        with written_whole(path) as temporary:
            temporary.write_bytes(data)
        return path.relative_to(self._study_folder).as_posix()

    def record(self, row: dict[str, Any]) -> None:
        """Add a row of ``street_images`` to the journal."""
        line = json.dumps(row, default=lambda value: value.isoformat(), allow_nan=False)
        with room_needed_for(self._journal):
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._journal.open("ab", buffering=0) as journal:
                # the line break comes first: a line that a kill left broken must not spoil the next
                data = f"\n{line}".encode()
                if journal.write(data) < len(data):
                    # a disk that fills up within a line takes what it can and says nothing
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def recorded(self) -> dict[str, dict[str, Any]]:
        """Return the latest journal row of each image whose file, if it has one, is still there."""
        rows: dict[str, dict[str, Any]] = {}
        if not self._journal.exists():
            return rows
        for line in self._journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if row.get("captured_on"):
                row["captured_on"] = date.fromisoformat(row["captured_on"])
            rows[row["image_id"]] = row
        return {name: row for name, row in rows.items() if self._is_there(row)}

    def _is_there(self, row: dict[str, Any]) -> bool:
        path = row.get("image_path")
        return path is None or (self._study_folder / path).exists()


def read_image_file(study_folder: Path, image_path: str) -> bytes | None:
    """Return the bytes of an image by its path relative to the study's folder, or None if it is gone."""
    path = Path(study_folder) / image_path
    return path.read_bytes() if path.is_file() else None


def _file_name(image_id: str) -> str:
    """Return a name that is safe on every file system and different for different images."""
    name = quote(image_id, safe="@", errors="surrogatepass")
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        return f"{name[: _LONGEST_NAME - len(digest)]}{digest}"
    return name
