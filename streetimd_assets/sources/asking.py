"""Ask a server over HTTP: patient with one that is busy, plain about one that refuses.

Every failure is one sentence with the address and the remedy. An address is named without its
query and without user or password, so that nothing secret reaches a log.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from streetimd_assets import __version__
from streetimd_assets.errors import SourceError

USER_AGENT = f"StreetIMD/{__version__}"
BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
WAITS_S = (0.5, 2.0, 8.0)
LONGEST_WAIT_S = 60.0

IsBusy = Callable[[bytes], bool]


class Busy(Exception):
    """The server may answer if asked again; ``wait_s`` is what it asked for, if it did."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def without_secrets(url: str) -> str:
    """Return an address without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_wait(header: str | None) -> float | None:
    """Read a ``Retry-After`` header in seconds, at most a minute; None if there is no number."""
    if header is None or not header.strip().isdigit():
        return None
    return min(float(header), LONGEST_WAIT_S)


def ask(
    url: str,
    params: Mapping[str, str] | None = None,
    *,
    error: type[SourceError],
    remedy: str,
    is_busy: IsBusy | None = None,
) -> bytes:
    """Return what a server answers to one GET request.

    A server that is busy (408, 429, 5xx), drops the connection or cannot be reached is asked
    again after a growing wait, or after the wait it asks for.

    Parameters
    ----------
    url, params
        The address and its query.
    error
        Class of the error raised.
    remedy
        What the user can do, in words that follow "; ".
    is_busy
        Says of an answer with status 200 whether it is really a plea to ask again.

    Raises
    ------
    SourceError
        Of the class given, if the server refuses or does not answer.
    """
    # in a thread of its own: a notebook's event loop is running already
    with ThreadPoolExecutor(max_workers=1) as thread:
        answer = _ask_patiently(url, dict(params or {}), error, remedy, is_busy)
        return thread.submit(asyncio.run, answer).result()


async def _ask_patiently(
    url: str, params: dict[str, str], error: type[SourceError], remedy: str, is_busy: IsBusy | None
) -> bytes:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=120)
    headers = {"User-Agent": USER_AGENT}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=True) as session:
        for wait_s in (*WAITS_S, None):
            try:
                return await _ask_once(session, url, params, error, remedy, is_busy)
            except Busy as busy:
                if wait_s is None:
                    raise error(
                        f"{without_secrets(url)} did not answer after {len(WAITS_S) + 1} tries ({busy}); "
                        f"try again later, or {remedy}"
                    ) from None
                await asyncio.sleep(wait_s if busy.wait_s is None else busy.wait_s)
    raise AssertionError("the last try returns or raises")


async def _ask_once(
    session: "aiohttp.ClientSession",  # type: ignore[name-defined]  # noqa: F821
    url: str,
    params: dict[str, str],
    error: type[SourceError],
    remedy: str,
    is_busy: IsBusy | None,
) -> bytes:
    import aiohttp

    try:
        async with session.get(url, params=params) as response:
            body: bytes = await response.read()
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
        raise error(f"'{without_secrets(url)}' is not an address; {remedy}") from None
    except (aiohttp.ClientError, TimeoutError) as problem:
        raise Busy(f"{type(problem).__name__}: no connection, or it was cut off") from None
    said = f"{response.status} {response.reason}"
    if response.status in BUSY_STATUSES:
        raise Busy(said, read_wait(response.headers.get("Retry-After")))
    if response.status != 200:
        raise error(f"{without_secrets(url)} answered {said}; {remedy}")
    if is_busy is not None and is_busy(body):
        raise Busy("it says it is busy")
    return body


def download(url: str, folder: Path, *, error: type[SourceError], remedy: str) -> Path:
    """Return the file at an address, asked for once and then kept.

    The file is named by the hash of its address, and the SHA-256 of its content stands beside
    it: a file that no longer has it is asked for again.

    Parameters
    ----------
    url
        Address of the file.
    folder
        Where downloads are kept; made if it does not exist.
    error, remedy
        As in :func:`ask`.

    Raises
    ------
    SourceError
        Of the class given, if the server refuses or does not answer.
    """
    name = Path(unquote(urlsplit(url).path)).name or "download"
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name[-80:]}"
    if _is_intact(path):
        return path
    body = ask(url, error=error, remedy=remedy)
    folder.mkdir(parents=True, exist_ok=True)
    _write(path, body)
    _write(_hash_file(path), f"{hashlib.sha256(body).hexdigest()}  {path.name}\n".encode())
    return path


def _hash_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _is_intact(path: Path) -> bool:
    if not (path.is_file() and _hash_file(path).is_file()):
        return False
    kept = _hash_file(path).read_text(encoding="utf-8").split(maxsplit=1)
    return bool(kept) and kept[0] == hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename: nobody ever reads half a file."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
