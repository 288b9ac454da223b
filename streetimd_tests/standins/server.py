"""A small HTTP server in a thread, with a log of what it was asked and faults to order."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """One request as it came, and the status it was answered with."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int = 0
    body: bytes = b""


@dataclass
class Reply:
    """What is answered; ``cut_off`` sends half of what was promised."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut_off: bool = False


def busy(status: int = 503) -> Reply:
    """A server that is busy, and asks to be asked again at once."""
    return Reply(b"<html>busy</html>", status, "text/html", {"Retry-After": "0"})


Answer = Callable[[Asked], Reply]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # a shorter queue makes a client that opens many connections at once wait a second for some of them
    request_queue_size = 128


class StandIn:
    """Serve ``answer`` on a free port of loopback.

    Faults are used up one by one before anything is answered; paths that hold one of
    ``never_faulty`` are spared.
    """

    def __init__(self, answer: Answer, *, faults: Sequence[Reply] = (), never_faulty: Sequence[str] = ()):
        self.answer = answer
        self.faults = list(faults)
        self.never_faulty = tuple(never_faulty)
        self.log: list[Asked] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "StandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply_to(self, asked: Asked) -> Reply:
        spared = any(part in asked.path for part in self.never_faulty)
        with self._lock:
            fault = self.faults.pop(0) if self.faults and not spared else None
        reply = fault or self.answer(asked)
        asked.status = reply.status
        with self._lock:
            self.log.append(asked)
        return reply

    def _handler(stand_in) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(body.decode(), body)

            def _answer(self, query: str, body: bytes = b"") -> None:
                path = urlsplit(self.path).path
                asked = Asked(self.command, path, dict(parse_qsl(query)), dict(self.headers), body=body)
                reply = stand_in.reply_to(asked)
                self.send_response(reply.status)
                headers = {"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))}
                for name, value in {**headers, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut_off else reply.body)
                self.close_connection = reply.cut_off or self.close_connection

            def log_message(self, *_: object) -> None:
                """Keep the terminal for the tests."""

        return Handler
