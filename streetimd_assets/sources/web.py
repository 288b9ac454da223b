"""One client for everything asked over HTTP: paced, patient with a server that is busy, and bounded.

What a refusal means is for the caller to judge: an answer with any status that is no plea to ask
again is handed back. An address is named without its query and without user or password, so that
nothing secret reaches a log.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit, urlunsplit
from urllib.request import getproxies

from streetimd_assets import __version__

if TYPE_CHECKING:
    import aiohttp
    from aiolimiter import AsyncLimiter
    from yarl import URL

USER_AGENT = f"StreetIMD/{__version__}"
BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# without a word from the server the waits are about this, four times this and sixteen times this
BASE_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
MAX_BYTES = 64 * 2**20

IsBusy = Callable[[bytes], bool]


class NoAnswer(Exception):
    """A server did not answer after all tries, its answer has no end, or the address is none.

    ``is_silent`` is true in the first case, where it may answer later.
    """

    def __init__(self, sentence: str, *, is_silent: bool = False) -> None:
        super().__init__(sentence)
        self.is_silent = is_silent


class _NotSent(Exception):
    """``before_each`` raised ``problem``: a wrapping, as aiohttp takes some errors for those of the network."""

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Busy(Exception):
    """The server may answer if asked again; ``wait_s`` is what it asked for, if it did."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Parameters
    ----------
    status, reason
        Its status, and the status's usual name.
    body
        The whole body, decompressed.
    content_type
        As the server calls it, which may be wrong; ``""`` if it does not.
    location
        Where a redirect points, without its query; None if it is none.
    etag, last_modified
        What a conditional request can name later.
    """

    status: int
    reason: str
    body: bytes
    content_type: str
    location: str | None
    etag: str | None = None
    last_modified: str | None = None


def json_object(body: bytes) -> dict[str, Any] | None:
    """Read a reply as the JSON object it should be; None if it is none, whatever else it is."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        # the latter of what is nested too deep
        return None
    return said if isinstance(said, dict) else None


class Web:
    """Ask servers over HTTP, many at once: an asynchronous context manager around one session.

    Proxies are taken from the environment.

    Parameters
    ----------
    requests_per_minute
        At this pace, spread evenly: there is no burst at the start. None for no limit.
    max_connections
        Open at the same time; further requests wait for one.
    n_tries
        How often a request is sent at most.
    max_bytes
        A longer body is not read to its end.
    read_timeout_s
        Seconds without a byte after which the server counts as silent; the whole of a body may take
        ten times as long.

    Attributes
    ----------
    n_requests
        Requests sent so far, each try counted.
    before_each
        Awaited before each request that is sent, tries and followed redirects included; what it raises
        stops that request and reaches the caller.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        max_connections: int = 32,
        n_tries: int = 4,
        max_bytes: int = MAX_BYTES,
        read_timeout_s: float = 60,
    ) -> None:
        self.n_requests = 0
        self.n_tries = n_tries
        self.max_bytes = max_bytes
        self._requests_per_minute = requests_per_minute
        self._max_connections = max_connections
        self._read_timeout_s = read_timeout_s
        self._limiter: AsyncLimiter | None = None
        self.before_each: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Self:
        import aiohttp
        import stamina

        stamina.instrumentation.set_on_retry_hooks([])  # they would print each wait on the terminal
        self._patiently = stamina.AsyncRetryingCaller(
            attempts=self.n_tries,
            timeout=None,
            wait_initial=BASE_WAIT_S,
            wait_max=LONGEST_WAIT_S,
            wait_jitter=BASE_WAIT_S,
            wait_exp_base=4,
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=self._read_timeout_s)
        self._limiter = _pace(self._requests_per_minute)
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            headers={"User-Agent": USER_AGENT},
            # where there is none, looking for a proxy at each request costs more than the request
            trust_env=bool({"http", "https", "all"} & set(getproxies())),
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            # no request depends on those before it
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        follow_redirects: bool = False,
        is_busy: IsBusy | None = None,
        is_paced: bool = True,
    ) -> Answer:
        """Return what a server answers to one GET request.

        A server that is busy (408, 429, 5xx), drops the connection, breaks off or cannot be reached
        is asked again after a growing wait with jitter, or after the ``Retry-After`` it names. Any
        other status is an answer.

        Parameters
        ----------
        url, params
            The address and its query. An address that is already encoded is sent as it stands, and
            ``params`` are encoded as :func:`urllib.parse.urlencode` does, so a signature over them holds.
        headers
            Of this request alone; a key in one is never sent to another host.
        follow_redirects
            Follow them, at most ten. Otherwise a redirect is an answer.
        is_busy
            Says of an answer with status 200 whether it is really a plea to ask again.
        is_paced
            False for a host that the pace is not meant for.

        Raises
        ------
        NoAnswer
            After the last try, if the body is longer than ``max_bytes``, or if this is no address.
        """
        request = {"url": _address(url, params), "headers": headers, "allow_redirects": follow_redirects}
        try:
            return await self._patiently(_may_ask_again, self._ask_once, request, is_busy, is_paced)
        except Busy as busy:
            tries = f"after {self.n_tries} tries" if self.n_tries > 1 else "when tried once"
            raise NoAnswer(f"{without_secrets(url)} did not answer {tries} ({busy})", is_silent=True) from None

    async def _ask_once(self, request: dict[str, Any], is_busy: IsBusy | None, is_paced: bool) -> Answer:
        import aiohttp

        # aiohttp itself repeats a request whose connection was dropped: a middleware sees that too
        send = self._send_paced if is_paced else self._send
        try:
            async with self._session.get(**request, middlewares=(send,)) as response:
                body = await self._read_body(response)
                return _judge(response, body, is_busy)
        except _NotSent as not_sent:
            problem = not_sent.problem
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError):
            raise NoAnswer(f"{without_secrets(str(request['url']))} sends on to what is no web address") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Busy(f"{type(fault).__name__}: no connection, or it was cut off") from None
        # raised where no other error is being handled, so that it leaves as it came
        raise problem

    async def _send_paced(
        self, request: "aiohttp.ClientRequest", handler: "aiohttp.ClientHandlerType"
    ) -> "aiohttp.ClientResponse":
        if self._limiter is not None:
            await self._limiter.acquire()
        return await self._send(request, handler)

    async def _send(
        self, request: "aiohttp.ClientRequest", handler: "aiohttp.ClientHandlerType"
    ) -> "aiohttp.ClientResponse":
        if self.before_each is not None:
            try:
                await self.before_each()
            except Exception as problem:
                raise _NotSent(problem) from None
        self.n_requests += 1
        return await handler(request)

    async def _read_body(self, response: "aiohttp.ClientResponse") -> bytes:
        """Read a body to its end, unless it has none."""
        body = bytearray()
        async with asyncio.timeout(10 * self._read_timeout_s):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self.max_bytes:
                    raise NoAnswer(
                        f"{without_secrets(str(response.url))} sends more than {self.max_bytes / 2**20:,.4g} MiB, "
                        "which is more than is read"
                    )
        return bytes(body)


def without_secrets(url: str) -> str:
    """Return an address without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        # brackets that hold no IPv6 address; what follows them could be anything
        return url.partition("[")[0].rpartition("@")[2] + "[…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def read_wait(header: str | None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date, as seconds from now; at most a minute.

    None if it is neither.

    Examples
    --------
    >>> read_wait("2"), read_wait("86400"), read_wait("Fri, 13 Feb 2009 23:31:30 GMT"), read_wait("soon")
    (2.0, 60.0, 0.0, None)
    """
    said = (header or "").strip()
    if re.fullmatch(r"\d{1,9}", said):
        return min(float(said), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    wait_s = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)


def _judge(response: "aiohttp.ClientResponse", body: bytes, is_busy: IsBusy | None) -> Answer:
    """Return the answer, or raise Busy if it is a plea to ask again."""
    headers = response.headers
    reason = _name_of(response.status)
    if response.status in BUSY_STATUSES:
        wait_s = read_wait(headers.get("Retry-After"))
        # who has too much to do and says "at once" would be asked four times within a second
        is_too_soon = response.status == 429 and not wait_s
        raise Busy(f"{response.status} {reason}", None if is_too_soon else wait_s)
    if response.status == 200 and is_busy is not None and is_busy(body):
        raise Busy("it says it is busy")
    location = headers.get("Location")
    return Answer(
        status=response.status,
        reason=reason,
        body=body,
        content_type=headers.get("Content-Type", ""),
        location=None if location is None else without_secrets(location),
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
    )


def _name_of(status: int) -> str:
    """Usual name of a status; what a server writes there could repeat a key that it was sent."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _may_ask_again(problem: Exception) -> bool | float:
    """Tell stamina whether to try again, or after which wait."""
    if not isinstance(problem, Busy):
        return False
    return True if problem.wait_s is None else problem.wait_s


def _address(url: str, params: Mapping[str, str] | None) -> "URL":
    from yarl import URL

    query = urlencode(params or {})
    whole = url + ("&" if "?" in url else "?") * bool(query) + query
    # quoting what is quoted already could change it, and with it what a signature was made of
    is_encoded = re.fullmatch(r"[\w.~:/?#\[\]@!$&'()*+,;=%-]+", whole, re.ASCII)
    try:
        address = URL(whole, encoded=bool(is_encoded))
        is_one = address.scheme in ("http", "https") and bool(address.host) and bool(address.port)
        # names with an empty part, or one over 63 characters, are found out only when they are looked up
        (address.host or "").encode("idna")
    except ValueError:
        is_one = False
    if not is_one:
        raise NoAnswer(f"'{without_secrets(url)}' is not an address")
    return address


def _pace(requests_per_minute: int | None) -> "AsyncLimiter | None":
    """Make a limiter of short periods: one of a whole minute lets all its requests out at once."""
    from aiolimiter import AsyncLimiter

    if requests_per_minute is None:
        return None
    period_s = max(0.05, 60 / requests_per_minute)
    return AsyncLimiter(max(1.0, requests_per_minute * period_s / 60), period_s)
