import asyncio
import gzip
import logging
import socket
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from streetimd_assets.sources import web
from streetimd_assets.sources.web import NoAnswer, Web, read_wait, without_secrets
from streetimd_tests.standins.server import Reply, StandIn, busy


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.01)


def always(reply):
    return lambda asked: reply


def get(url, *args, paced=None, **more):
    """Ask once, with a client of its own; how the client is made comes in ``paced``."""

    async def once():
        async with Web(**(paced or {})) as client:
            return await client.get(url, *args, **more), client.n_requests

    return asyncio.run(once())


@contextmanager
def raw_server(say):
    """A server that sends whatever bytes ``say(write)`` writes, to anyone who asks."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            with suppress(OSError):
                say(self.request.sendall)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(status):
    with StandIn(always(Reply(b"roads")), faults=[busy(status), busy(status)]) as server:
        answer, n_requests = get(server.address)
    assert (answer.status, answer.body, n_requests) == (200, b"roads", 3)


def test_an_answer_that_breaks_off_is_asked_for_again():
    with StandIn(always(Reply(b"roads")), faults=[Reply(b"roads", cut_off=True)]) as server:
        assert get(server.address)[0].body == b"roads"


def test_a_server_that_falls_silent_is_given_up_after_all_tries():
    with raw_server(lambda write: time.sleep(0.5)) as address, pytest.raises(NoAnswer) as caught:
        get(address, paced={"n_tries": 2, "read_timeout_s": 0.1})
    assert "did not answer after 2 tries" in str(caught.value)
    assert caught.value.is_silent


def test_a_body_that_drips_is_not_waited_for_forever():
    def drip(write):
        write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            write(b"x")
            time.sleep(0.02)

    began = time.perf_counter()
    with raw_server(drip) as address, pytest.raises(NoAnswer, match="did not answer when tried once"):
        get(address, paced={"n_tries": 1, "read_timeout_s": 0.05})
    assert time.perf_counter() - began < 1.5


@pytest.mark.parametrize("status", [200, 204, 304, 400, 401, 403, 404, 410])
def test_any_other_status_is_an_answer_and_is_not_asked_again(status):
    body = b"" if status in (204, 304) else b"said"
    with StandIn(always(Reply(body, status))) as server:
        answer, n_requests = get(server.address)
    assert (answer.status, answer.body, n_requests) == (status, body, 1)


def test_a_redirect_is_an_answer_that_names_its_target_without_the_query():
    redirect = Reply(status=302, headers={"Location": "https://elsewhere.example/login?next=sesame"})
    with StandIn(always(redirect)) as server:
        answer, _ = get(server.address)
    assert (answer.status, answer.location) == (302, "https://elsewhere.example/login")


def test_a_key_in_a_header_never_reaches_the_host_that_a_redirect_names():
    with StandIn(always(Reply(b"caught"))) as other:
        redirect = Reply(status=302, headers={"Location": f"{other.address.replace('127.0.0.1', 'localhost')}/"})
        with StandIn(always(redirect)) as server:
            for is_followed in (False, True):
                get(server.address, None, {"Authorization": "OAuth sesame"}, follow_redirects=is_followed)
    assert len(server.log) == 2
    assert all(asked.headers["Authorization"] == "OAuth sesame" for asked in server.log)
    assert ["Authorization" in asked.headers for asked in other.log] == [False]


def test_redirects_without_end_are_given_up():
    circle = Reply(status=302, headers={"Location": "/again?key=sesame"})
    with StandIn(always(circle)) as server, pytest.raises(NoAnswer, match="TooManyRedirects") as caught:
        get(server.address, paced={"n_tries": 1}, follow_redirects=True)
    assert "sesame" not in str(caught.value)


def test_a_redirect_to_a_file_on_this_machine_is_not_followed():
    trap = Reply(status=302, headers={"Location": "file:///etc/hostname"})
    with StandIn(always(trap)) as server, pytest.raises(NoAnswer):
        get(server.address, paced={"n_tries": 1}, follow_redirects=True)


@pytest.mark.parametrize(
    ("header", "wait_s"), [("2", 2.0), (" 3 ", 3.0), ("99999", 60.0), ("-1", None), ("soon", None), (None, None)]
)
def test_a_wait_asked_for_is_read_and_is_at_most_a_minute(header, wait_s):
    assert read_wait(header) == wait_s


def test_a_wait_may_be_asked_for_as_a_date():
    now = datetime.now(UTC)
    assert 28 < read_wait(format_datetime(now + timedelta(seconds=30), usegmt=True)) <= 30
    assert read_wait(format_datetime(now + timedelta(days=2), usegmt=True)) == 60
    assert read_wait(format_datetime(now - timedelta(days=2), usegmt=True)) == 0


def test_the_wait_a_server_asks_for_is_kept():
    plea = Reply(status=429, headers={"Retry-After": "1"})
    began = time.perf_counter()
    with StandIn(always(Reply(b"roads")), faults=[plea]) as server:
        get(server.address)
    assert 1 <= time.perf_counter() - began < 2


def test_a_server_with_too_much_to_do_that_says_at_once_is_given_time(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.2)
    began = time.perf_counter()
    with StandIn(always(Reply(b"roads")), faults=[busy(429), busy(429)]) as server:
        get(server.address)
    # 0.2 and 0.8 s
    assert time.perf_counter() - began >= 1


def test_waits_grow_and_differ_from_one_request_to_the_next(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.05)

    def waits():
        times = []

        def answer(asked):
            times.append(time.perf_counter())
            return Reply(status=500)

        with StandIn(answer) as server, pytest.raises(NoAnswer):
            get(server.address)
        return [after - before for before, after in pairwise(times)]

    first, second = waits(), waits()
    for observed in (first, second):
        # 0.05, 0.2 and 0.8 s, each with up to 0.05 s more
        assert all(low <= wait < low + 0.25 for low, wait in zip((0.05, 0.2, 0.8), observed, strict=True))
    assert first != second


def test_a_plea_with_status_200_is_heeded_if_the_caller_knows_it():
    with StandIn(always(Reply(b"roads")), faults=[Reply(b"over limit")]) as server:
        answer, n_requests = get(server.address, is_busy=lambda body: body == b"over limit")
    assert (answer.body, n_requests) == (b"roads", 2)


def test_a_body_over_the_limit_is_not_read_to_its_end():
    sent = []

    def without_end(write):
        write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            sent.append(0x10000)

    with raw_server(without_end) as address, pytest.raises(NoAnswer, match=r"sends more than 1 MiB") as caught:
        get(f"{address}/image?key=sesame", paced={"max_bytes": 2**20})
    # what was under way when the reader left is in the machine's own buffers
    assert sum(sent) < 40 * 2**20
    assert "sesame" not in str(caught.value)
    assert not caught.value.is_silent


def test_a_compressed_body_is_measured_by_what_it_unpacks_to():
    bomb = Reply(gzip.compress(bytes(8 * 2**20)), headers={"Content-Encoding": "gzip"})
    with StandIn(always(bomb)) as server, pytest.raises(NoAnswer, match="sends more than 1 MiB"):
        get(server.address, paced={"max_bytes": 2**20})


def test_a_body_as_long_as_the_limit_is_read():
    with StandIn(always(Reply(bytes(1000)))) as server:
        assert len(get(server.address, paced={"max_bytes": 1000})[0].body) == 1000


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://",
        "no address",
        "ftp://example.org/f",
        "file:///etc/hostname",
        "http://[::1",
        "http://a:b/",
        "http://a..b/",
        "http://ä..b/",
        f"http://{'a' * 64}.example/",
    ],
)
def test_what_is_not_a_web_address_is_said_to_be_none(address):
    with pytest.raises(NoAnswer, match="is not an address"):
        get(address)


def test_an_encoded_address_is_sent_as_it_stands():
    targets = []

    def keep(write):
        write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    class Recorder(socketserver.StreamRequestHandler):
        def handle(self):
            targets.append(self.rfile.readline().split()[1].decode())
            keep(self.wfile.write)

    with socketserver.TCPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        get(f"{address}/m?location=51.5%2C-0.1&signature=a-_%3D")
        get(f"{address}/m", {"location": "51.5,-0.1", "where": "LAD24CD='E09000007'"})
        server.shutdown()
    assert targets == [
        "/m?location=51.5%2C-0.1&signature=a-_%3D",
        "/m?location=51.5%2C-0.1&where=LAD24CD%3D%27E09000007%27",
    ]


def test_servers_are_told_who_asks():
    with StandIn(always(Reply(b"roads"))) as server:
        get(server.address, None, {"Accept": "image/*"})
    assert server.log[0].headers["User-Agent"].startswith("StreetIMD/")
    assert server.log[0].headers["Accept"] == "image/*"


@pytest.mark.parametrize("reply", [busy(), Reply(b"x" * 100, cut_off=True)], ids=["busy", "cut off"])
def test_no_key_user_or_password_reaches_an_error_or_a_log(reply, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with StandIn(always(reply)) as server:
        address = server.address.replace("//", "//anna:sesame@") + "/file?key=mellon#part"
        with pytest.raises(NoAnswer) as caught:
            get(address, {"token": "friend"}, {"X-Key": "hodor"})
    chain = repr(caught.value) + repr(caught.value.__cause__)
    told = chain + caplog.text + "".join(capfd.readouterr())
    assert "/file did not answer" in told
    assert not any(secret in told for secret in ("anna", "sesame", "mellon", "friend", "hodor"))


@pytest.mark.parametrize(
    "url", ["http://anna:sesame@[::1/?key=mellon", "//anna:sesame@host/a?b=mellon#c", "x?mellon"]
)
def test_an_address_is_named_without_secrets_however_broken_it_is(url):
    assert not any(secret in without_secrets(url) for secret in ("anna", "sesame", "mellon"))


def times_of(n, requests_per_minute, **more):
    """Seconds from the start at which each of ``n`` requests at once reached the server."""
    times = []

    async def all_at_once(address):
        async with Web(requests_per_minute=requests_per_minute) as client:
            await asyncio.gather(*(client.get(address, **more) for _ in range(n)))

    with StandIn(lambda asked: times.append(time.perf_counter()) or Reply(b"x")) as server:
        began = time.perf_counter()
        asyncio.run(all_at_once(server.address))
    return sorted(moment - began for moment in times)


def test_requests_are_spread_evenly_over_the_minute():
    times = times_of(21, requests_per_minute=1200)
    # 20 a second: no more than a few in the first tenth, and the 21st not before a second is over
    assert sum(moment < 0.1 for moment in times) <= 4
    assert 0.95 < times[-1] < 1.6


def test_a_host_without_a_pace_is_not_held_up():
    assert times_of(20, requests_per_minute=60, is_paced=False)[-1] < 1


def test_each_request_is_told_before_it_is_sent_and_none_is_sent_after_a_refusal():
    told = []

    async def ask(address):
        async with Web() as client:

            async def tell():
                told.append(client.n_requests)
                if len(told) == 5:
                    raise RuntimeError("the purse is empty")

            client.before_each = tell
            await client.get(address)
            with pytest.raises(RuntimeError, match="the purse is empty"):
                await client.get(address)

    with StandIn(always(busy()), faults=[busy(), busy(), Reply(b"image")]) as server:
        asyncio.run(ask(server.address))
    assert told == [0, 1, 2, 3, 4]
    assert len(server.log) == 4


def test_a_redirect_to_a_name_that_cannot_be_looked_up_is_no_answer():
    redirect = Reply(status=302, headers={"Location": f"http://{'a' * 64}.example/"})
    with StandIn(always(redirect)) as server, pytest.raises(NoAnswer, match="sends on to what is no web address"):
        get(server.address, follow_redirects=True)
    assert len(server.log) == 1


@pytest.mark.parametrize(
    "refusal",
    [OSError(28, "no room is left"), ConnectionResetError("told"), TimeoutError("told"), RuntimeError("told")],
    ids=lambda refusal: type(refusal).__name__,
)
def test_what_is_raised_before_a_request_reaches_the_caller_as_it_is_and_nothing_is_sent(refusal):
    told = []

    async def refuse():
        told.append(1)
        raise refusal

    async def ask(address):
        async with Web(n_tries=3) as client:
            client.before_each = refuse
            await client.get(address)

    with StandIn(always(Reply(b"image"))) as server, pytest.raises(type(refusal)) as caught:
        asyncio.run(ask(server.address))
    assert caught.value is refusal
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert (len(told), len(server.log)) == (1, 0)


def test_what_aiohttp_repeats_by_itself_is_told_too():
    told = []

    async def ask(address):
        async with Web(n_tries=1) as client:

            async def tell():
                told.append(client.n_requests)

            client.before_each = tell
            # a connection that is kept and then dropped is what aiohttp repeats
            await client.get(address)
            with pytest.raises(NoAnswer):
                await client.get(address)

    with dropping_server() as (address, n_received):
        asyncio.run(ask(address))
        assert len(told) == n_received() == 3


@contextmanager
def dropping_server():
    """Answer the first request and keep the connection; take in every later request and hang up."""
    received = []

    def serve(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    received.append(data)
                    if len(received) > 1:
                        break
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", lambda: len(received)


def test_a_request_that_is_cancelled_ends_at_once():
    async def cancelled(address):
        async with Web() as client:
            task = asyncio.create_task(client.get(address))
            await asyncio.sleep(0.1)
            task.cancel()
            began = time.perf_counter()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.perf_counter() - began

    with raw_server(lambda write: time.sleep(0.5)) as address:
        assert asyncio.run(cancelled(address)) < 0.3


def test_a_proxy_named_in_the_environment_is_asked(monkeypatch):
    with StandIn(always(Reply(b"through the proxy"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert get("http://streets.example/roads")[0].body == b"through the proxy"


def test_no_more_connections_are_open_than_allowed():
    open_now, most, lock = [0], [0], threading.Lock()

    def answer(asked):
        with lock:
            open_now[0] += 1
            most[0] = max(most[0], open_now[0])
        time.sleep(0.02)
        with lock:
            open_now[0] -= 1
        return Reply(b"x")

    async def many(address):
        async with Web(max_connections=3) as client:
            await asyncio.gather(*(client.get(address) for _ in range(20)))

    with StandIn(answer) as server:
        asyncio.run(many(server.address))
    assert most[0] == 3
