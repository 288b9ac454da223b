"""Files fetched once and then kept, each with a record of where it came from and what it was.

The record stands beside the file as JSON: address, SHA-256, size, when it was fetched and last
checked, and what was there before. It names the file, and is put in place last and whole, so a
download that is cut off never counts and a reader keeps the file it has opened.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from streetimd_assets.errors import SourceError
from streetimd_assets.sources.asking import N_TRIES, ask_for_answer
from streetimd_assets.sources.web import without_secrets

CHECK_AFTER = timedelta(days=1)
# a server that could not be reached is left alone for so long, or each of 296 places would wait for it
TRY_AGAIN_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Download:
    """A file and where it came from.

    Parameters
    ----------
    path
        Where it is.
    address
        Where it came from, without secrets; of a file named by the user, its path.
    sha256
        Of its content.
    fetched_at
        When this content was fetched, in UTC; of a file named by the user, when it was last changed.
    changed_from
        SHA-256 of the earlier content, if this very call found another one; the record keeps it.
    note
        A sentence on what is out of the ordinary, such as a change or a server that does not answer.
    """

    path: Path
    address: str
    sha256: str
    fetched_at: datetime
    changed_from: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Fetched:
    """New content, and what a later conditional request can name."""

    body: bytes
    etag: str | None = None
    last_modified: str | None = None


# is given the headers of a conditional request, empty if nothing is held; None says it is as it was
Fetch = Callable[[Mapping[str, str]], Fetched | None]


@dataclass(frozen=True)
class _Record:
    """What stands in the JSON beside a file; times are ISO 8601 in UTC."""

    address: str
    file: str
    sha256: str
    n_bytes: int
    fetched_at: str
    checked_at: str
    etag: str | None
    last_modified: str | None
    history: list[dict[str, str]]
    failed_at: str | None = None
    note: str | None = None

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the content only if it is another."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value}

    def is_intact(self, folder: Path) -> bool:
        path = folder / self.file
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256

    def is_settled(self, now: datetime) -> bool:
        """True if it is too early to ask again."""
        checked = datetime.fromisoformat(self.checked_at)
        failed = datetime.fromisoformat(self.failed_at) if self.failed_at else None
        # a time to come was written by a clock that was wrong
        return timedelta(0) <= now - checked < CHECK_AFTER or (
            failed is not None and timedelta(0) <= now - failed < TRY_AGAIN_AFTER
        )

    def as_download(self, folder: Path, *, changed_from: str | None = None, note: str | None = None) -> Download:
        at = datetime.fromisoformat(self.fetched_at)
        return Download(folder / self.file, self.address, self.sha256, at, changed_from, note)


def download(url: str, folder: Path, *, error: type[SourceError], remedy: str) -> Download:
    """Return the file at an address, checked with its server at most once a day.

    Other content at the same address is used, and said; the earlier file stays beside it. If the
    server cannot be asked the file that is held is used, and that is said.

    Parameters
    ----------
    url
        Address of the file.
    folder
        Where downloads are kept; made if it does not exist.
    error, remedy
        As in :func:`~streetimd_assets.sources.asking.ask`.

    Raises
    ------
    SourceError
        Of the class given, if nothing is held and the server refuses, does not answer or sends a web page.
    """

    def fetch(conditions: Mapping[str, str]) -> Fetched | None:
        # with a copy at hand there is less reason for patience
        n_tries = 2 if conditions else N_TRIES
        taken = (200, 304) if conditions else (200,)
        answer = ask_for_answer(url, headers=conditions, error=error, remedy=remedy, n_tries=n_tries, taken=taken)
        if answer.status == 304:
            return None
        if answer.body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
            raise error(f"{without_secrets(url)} answered with a web page instead of a file; {remedy}")
        return Fetched(answer.body, answer.etag, answer.last_modified)

    name = unquote(re.split(r"[?#]", url)[0]).rpartition("/")[2]
    return keep(url, folder, fetch, name=name or "download", error=error)


def keep(
    address: str, folder: Path, fetch: Fetch, *, name: str, error: type[SourceError], which: str = ""
) -> Download:
    """Return what is kept of an address, fetched if nothing is or it is time to check it.

    Parameters
    ----------
    address
        Where it comes from.
    folder
        Where it is kept; made if it does not exist.
    fetch
        Fetches it; raises ``error`` if it cannot.
    name
        Ending of the file's name.
    error
        Class of the error raised.
    which
        What else tells it from others of the same address.

    Raises
    ------
    SourceError
        Of the class given, if nothing is held and nothing can be fetched, or the folder cannot be written.
    """
    from filelock import FileLock

    key = hashlib.sha256(f"{address}{which}".encode()).hexdigest()[:16]
    record_path = folder / f"{key}-{name[-80:]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # of many runs that need the same file at once, one asks for it
        with FileLock(folder / f".{key}.lock"):
            return _keep_locked(record_path, without_secrets(address), fetch, error)
    except OSError as problem:
        raise error(
            f"{folder} cannot be written to ({problem.strerror or type(problem).__name__}); free some space, or "
            "set STREETIMD_DATA to a folder you may write to"
        ) from None


def local_file(path: Path, *, error: type[SourceError], remedy: str) -> Download:
    """Return a file that the user names, with its SHA-256.

    Raises
    ------
    SourceError
        Of the class given, if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as problem:
        raise error(f"'{path}' cannot be read ({type(problem).__name__}); {remedy}") from None
    return Download(path, str(path), sha256, changed_at)


def _keep_locked(record_path: Path, address: str, fetch: Fetch, error: type[SourceError]) -> Download:
    folder, now = record_path.parent, _now()
    held = _read_record(record_path)
    is_intact = held is not None and held.is_intact(folder)
    if held is None or not is_intact:
        # what is not there or damaged is not asked for conditionally
        return _take_in(record_path, address, held, _content(fetch({}), address, error), now)
    if held.is_settled(now):
        return held.as_download(folder, note=held.note)
    try:
        fetched = fetch(held.conditions())
    except error as problem:
        note = f"{address} could not be checked, so the copy of {held.fetched_at[:10]} is used ({problem})"
        _write_record(record_path, replace(held, failed_at=now.isoformat(), note=note))
        return held.as_download(folder, note=note)
    if fetched is None:
        _write_record(record_path, replace(held, checked_at=now.isoformat(), failed_at=None, note=None))
        return held.as_download(folder)
    return _take_in(record_path, address, held, fetched, now)


def _content(fetched: Fetched | None, address: str, error: type[SourceError]) -> Fetched:
    if fetched is None:
        raise error(f"{address} says that nothing has changed, though nothing is held of it; try again later")
    return fetched


def _take_in(record_path: Path, address: str, held: _Record | None, fetched: Fetched, now: datetime) -> Download:
    """Keep content that has come, beside what was there before if it is another."""
    folder = record_path.parent
    sha256 = hashlib.sha256(fetched.body).hexdigest()
    key, _, name = record_path.stem.partition("-")
    record = _Record(
        address=address,
        file=f"{key}-{sha256[:12]}-{name}",
        sha256=sha256,
        n_bytes=len(fetched.body),
        fetched_at=now.isoformat(timespec="seconds"),
        checked_at=now.isoformat(timespec="seconds"),
        etag=fetched.etag,
        last_modified=fetched.last_modified,
        history=[],
    )
    changed_from = note = None
    if held is not None:
        record = replace(record, history=held.history)
        if held.sha256 == sha256:
            record = replace(record, fetched_at=held.fetched_at)
        else:
            changed_from = held.sha256
            earlier = {"sha256": held.sha256, "file": held.file, "fetched_at": held.fetched_at}
            record = replace(record, history=[*held.history, {**earlier, "replaced_at": record.fetched_at}])
            note = (
                f"{address} has other content than on {held.fetched_at[:10]}, which is used from now on; the "
                f"earlier content (SHA-256 {held.sha256[:12]}…) is kept as {held.file}"
            )
    if not record.is_intact(folder):
        _write(folder / record.file, fetched.body)
    _write_record(record_path, record)
    return record.as_download(folder, changed_from=changed_from, note=note)


def _read_record(path: Path) -> _Record | None:
    try:
        written: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return _Record(**written)
    except (FileNotFoundError, ValueError, TypeError):
        # none, or not one of ours: what it spoke of is fetched again
        return None


def _write_record(path: Path, record: _Record) -> None:
    _write(path, json.dumps(asdict(record), indent=2).encode())


def _write(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename: nobody ever reads half a file."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _now() -> datetime:
    return datetime.now(UTC)
