"""How OSMnx is to ask an Overpass server: once, politely, and with a word on what went wrong."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import RoadError
from streetimd_assets.sources.web import BUSY_STATUSES, USER_AGENT, Busy, read_wait, without_secrets

if TYPE_CHECKING:
    import requests

REMEDY = "name another server in geography.overpass_url"

# OSMnx keeps its settings in one module for the whole process
_lock = threading.Lock()


@contextmanager
def osmnx_settings(overpass_url: str, cache_folder: Path) -> Iterator[None]:
    """Give OSMnx our settings, to one thread at a time, and put back what it had.

    It also replaces ``socket.getaddrinfo``, which is put back as well. Inside, a server that is busy is
    :class:`Busy`, and one that refuses a :class:`RoadError`.
    """
    from osmnx import settings

    ours: dict[str, Any] = {
        "overpass_url": overpass_url.rstrip("/"),
        "cache_folder": cache_folder,
        "use_cache": True,
        "useful_tags_way": [*settings.useful_tags_way, "motor_vehicle", "motorcar"],
        "cache_only_mode": False,
        "log_console": False,
        "log_file": False,
        "http_user_agent": USER_AGENT,
        "http_referer": USER_AGENT,
        # no third party is asked where the server is
        "doh_url_template": None,
        "requests_kwargs": {"auth": _NotAlone(), "hooks": {"response": _judge_answer}},
    }
    with _lock:
        before = {name: getattr(settings, name) for name in ours}
        getaddrinfo = socket.getaddrinfo
        for name, value in ours.items():
            setattr(settings, name, value)
        try:
            yield
        finally:
            socket.getaddrinfo = getaddrinfo
            for name, value in before.items():
                setattr(settings, name, value)


class _NotAlone:
    """Stops at once where no server listens: OSMnx would wait a minute before it says so.

    requests calls its ``auth`` before it sends, and not at all for an answer from the cache.
    """

    def __init__(self) -> None:
        self._has_answered = False

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        import requests

        if not self._has_answered:
            try:
                requests.get(str(request.url), headers={"User-Agent": USER_AGENT}, timeout=30).close()
            except requests.RequestException:
                raise Busy("nothing answers at that address") from None
            self._has_answered = True
        return request


def _judge_answer(answer: "requests.Response", **_: object) -> None:
    """Judge an answer before OSMnx does, which waits without end and overlooks a remark.

    A query that ran out of time or memory is answered with status 200, a remark, and perhaps a
    part of the roads.
    """
    if answer.status_code in BUSY_STATUSES:
        said = f"{answer.status_code} {answer.reason}"
        raise Busy(said, read_wait(answer.headers.get("Retry-After")))
    if not answer.url.endswith("/interpreter"):
        return
    server, body = without_secrets(answer.url), answer.content.strip()
    if answer.status_code != 200 or not body.startswith(b"{"):
        said = f"{answer.status_code} {answer.reason}" if answer.status_code != 200 else "a page, not roads"
        raise RoadError(f"{server} answered {said}; {REMEDY}")
    if not body.endswith(b"}"):
        raise Busy("its answer broke off")
    # the remark follows the roads, at the very end of the answer
    remark = answer.json().get("remark") if b'"remark"' in body[-2000:] else None
    if remark:
        raise RoadError(f"{server} gave up on the query ({remark}); try again later, or {REMEDY}")
