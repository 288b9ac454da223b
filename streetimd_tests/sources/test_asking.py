import asyncio
import socket

import pytest

from streetimd_assets.errors import SourceError
from streetimd_assets.sources import asking, web
from streetimd_tests.standins.server import Reply, StandIn, busy


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.01)


def ask(url, **more):
    return asking.ask(url, error=SourceError, remedy="look at the address", **more)


def always(reply):
    return lambda asked: reply


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(status):
    with StandIn(always(Reply(b"roads")), faults=[busy(status), busy(status)]) as server:
        assert ask(server.address) == b"roads"
    assert [asked.status for asked in server.log] == [status, status, 200]


def test_an_answer_that_breaks_off_is_asked_for_again():
    with StandIn(always(Reply(b"roads")), faults=[Reply(b"roads", cut_off=True)]) as server:
        assert ask(server.address) == b"roads"
    assert len(server.log) == 2


def test_a_server_that_stays_busy_is_given_up_after_four_tries_in_one_sentence():
    with StandIn(always(busy())) as server, pytest.raises(SourceError) as caught:
        ask(f"{server.address}/query")
    assert len(server.log) == 4
    sentence = str(caught.value)
    assert f"{server.address}/query did not answer after 4 tries (503" in sentence
    assert sentence.endswith("or look at the address")


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_not_asked_again(status):
    with StandIn(always(Reply(status=status))) as server, pytest.raises(SourceError, match=f"answered {status}"):
        ask(server.address)
    assert len(server.log) == 1


def test_a_server_that_is_not_there_is_one_sentence():
    port = free_port()
    with pytest.raises(SourceError, match=rf"http://127\.0\.0\.1:{port} did not answer .* no connection"):
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["http://", "no address", "ftp://example.org/file"])
def test_what_is_not_a_web_address_is_said_to_be_none(address):
    with pytest.raises(SourceError, match="is not an address; look at the address"):
        ask(address)


def test_no_key_user_or_password_reaches_an_error():
    with StandIn(always(Reply(status=403))) as server, pytest.raises(SourceError) as caught:
        ask(server.address.replace("//", "//anna:sesame@") + "/file?key=mellon#part")
    assert not any(secret in str(caught.value) for secret in ("anna", "sesame", "mellon"))


def test_servers_are_told_who_asks():
    with StandIn(always(Reply(b"roads"))) as server:
        ask(server.address)
    assert server.log[0].headers["User-Agent"].startswith("StreetIMD/")


def test_asking_works_where_an_event_loop_is_running_as_in_a_notebook():
    async def cell(address):
        return ask(address)

    with StandIn(always(Reply(b"roads"))) as server:
        assert asyncio.run(cell(server.address)) == b"roads"
