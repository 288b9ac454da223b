import hashlib
import json
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from streetimd_assets.errors import SourceError
from streetimd_assets.sources import downloads, web
from streetimd_assets.sources.downloads import download, local_file
from streetimd_tests.standins.files import Files
from streetimd_tests.standins.server import Reply, StandIn, busy

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.01)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands at noon until it is set to another time."""

    class Clock:
        now = NOON

        def tomorrow(self):
            self.now += timedelta(days=1, minutes=1)

    clock = Clock()
    monkeypatch.setattr(downloads, "_now", lambda: clock.now)
    return clock


@pytest.fixture
def content():
    # the path as it is sent, quoted
    return {"/File%207.csv": b"index of today"}


@pytest.fixture
def server(content):
    def answer(asked):
        return Files({path: lambda path=path: content[path] for path in content}).answer(asked)

    with StandIn(answer) as server:
        yield server


def fetch(server, folder, path="/File 7.csv"):
    return download(f"{server.address}{path}", folder, error=SourceError, remedy="look at it")


def records(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_download_says_where_it_came_from_and_when_and_what_it_is(server, tmp_path, clock):
    kept = fetch(server, tmp_path / "kept", "/File%207.csv?key=sesame")
    assert kept.path.read_bytes() == b"index of today"
    assert kept.address == f"{server.address}/File%207.csv"
    assert (kept.sha256, kept.fetched_at) == (sha256(b"index of today"), NOON)
    assert (kept.changed_from, kept.note) == (None, None)
    (record,) = records(tmp_path / "kept")
    assert record["sha256"] == kept.sha256
    assert record["n_bytes"] == 14
    assert record["address"] == kept.address
    assert record["fetched_at"] == record["checked_at"] == NOON.isoformat()
    assert record["etag"]
    everything = b"".join(path.read_bytes() for path in (tmp_path / "kept").iterdir())
    assert b"sesame" not in everything + "".join(os.listdir(tmp_path / "kept")).encode()


def test_a_download_is_not_asked_for_again_within_a_day(server, tmp_path, clock):
    first = fetch(server, tmp_path)
    clock.now += timedelta(hours=23)
    assert fetch(server, tmp_path) == first
    assert len(server.log) == 1


def test_after_a_day_the_server_is_asked_whether_it_changed_and_sends_nothing_if_not(server, tmp_path, clock):
    first = fetch(server, tmp_path)
    clock.tomorrow()
    assert fetch(server, tmp_path) == first
    assert [asked.status for asked in server.log] == [200, 304]
    # and then not again for another day
    fetch(server, tmp_path)
    assert len(server.log) == 2
    assert records(tmp_path)[0]["fetched_at"] == NOON.isoformat()


def test_a_server_without_tags_sends_the_same_again_and_it_stays_as_old_as_it_is(tmp_path, clock):
    with StandIn(lambda asked: Reply(b"same")) as server:
        first = fetch(server, tmp_path)
        clock.tomorrow()
        assert fetch(server, tmp_path) == first
    assert len(server.log) == 2


def test_the_day_of_a_file_is_named_to_a_server_that_gave_one(tmp_path, clock):
    modified = "Mon, 02 Mar 2026 10:00:00 GMT"

    def answer(asked):
        is_known = asked.headers.get("If-Modified-Since") == modified
        return Reply(status=304) if is_known else Reply(b"index", headers={"Last-Modified": modified})

    with StandIn(answer) as server:
        fetch(server, tmp_path)
        clock.tomorrow()
        assert fetch(server, tmp_path).path.read_bytes() == b"index"
    assert [asked.status for asked in server.log] == [200, 304]


def test_other_content_is_used_and_said_and_the_earlier_one_is_kept(server, content, tmp_path, clock):
    before = fetch(server, tmp_path)
    content["/File%207.csv"] = b"index of tomorrow"
    clock.tomorrow()
    after = fetch(server, tmp_path)
    assert after.path.read_bytes() == b"index of tomorrow"
    assert before.path.read_bytes() == b"index of today"
    assert after.changed_from == before.sha256
    assert after.note == (
        f"{after.address} has other content than on 2026-03-02, which is used from now on; the earlier content "
        f"(SHA-256 {before.sha256[:12]}…) is kept as {before.path.name}"
    )
    (record,) = records(tmp_path)
    assert [earlier["sha256"] for earlier in record["history"]] == [before.sha256]
    # it is said by the call that found it, and by no other
    assert fetch(server, tmp_path).changed_from is None


def test_a_server_that_cannot_be_reached_leaves_the_copy_in_use_and_that_is_said(server, tmp_path, clock):
    first = fetch(server, tmp_path)
    clock.tomorrow()
    server.faults = [busy()] * 9
    again = fetch(server, tmp_path)
    assert (again.path, again.sha256) == (first.path, first.sha256)
    assert "could not be checked, so the copy of 2026-03-02 is used (" in again.note
    # the next hour's calls say the same without waiting for it
    n_asked = len(server.log)
    assert fetch(server, tmp_path).note == again.note
    assert len(server.log) == n_asked
    clock.now += timedelta(hours=2)
    server.faults = []
    assert fetch(server, tmp_path).note is None


@pytest.mark.parametrize("reply", [Reply(status=404), Reply(b"\n<!DOCTYPE html><html>log in</html>")])
def test_a_refusal_or_a_login_page_never_takes_the_place_of_a_file(server, tmp_path, clock, reply):
    first = fetch(server, tmp_path)
    clock.tomorrow()
    server.faults = [reply]
    again = fetch(server, tmp_path)
    assert again.path.read_bytes() == first.path.read_bytes() == b"index of today"
    assert again.note


def test_a_login_page_instead_of_a_file_is_one_sentence(tmp_path):
    with StandIn(lambda asked: Reply(b"<html>log in</html>")) as server, pytest.raises(SourceError) as caught:
        fetch(server, tmp_path)
    assert (
        str(caught.value) == f"{server.address}/File 7.csv answered with a web page instead of a file; look at it"
    )


@pytest.mark.parametrize("damage", [b"", b"ind", b"index of todaY"])
def test_a_damaged_file_is_fetched_again(server, tmp_path, damage):
    first = fetch(server, tmp_path)
    first.path.write_bytes(damage)
    assert fetch(server, tmp_path).path.read_bytes() == b"index of today"
    assert [asked.status for asked in server.log] == [200, 200]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"file": "x"}'])
def test_a_damaged_record_is_fetched_again(server, tmp_path, damage):
    fetch(server, tmp_path)
    (record,) = tmp_path.glob("*.json")
    record.write_text(damage)
    assert fetch(server, tmp_path).path.read_bytes() == b"index of today"
    assert len(server.log) == 2


def test_a_download_that_breaks_off_or_fails_leaves_no_file_behind(tmp_path):
    with StandIn(lambda asked: Reply(b"half of it", cut_off=True)) as server, pytest.raises(SourceError):
        fetch(server, tmp_path)
    assert [name for name in os.listdir(tmp_path) if not name.endswith(".lock")] == []


def test_a_kill_between_file_and_record_leaves_what_was_there_before(server, content, tmp_path, clock, monkeypatch):
    before = fetch(server, tmp_path)
    content["/File%207.csv"] = b"index of tomorrow"
    clock.tomorrow()
    with monkeypatch.context() as killed:
        killed.setattr(downloads, "_write_record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch(server, tmp_path)
    after = fetch(server, tmp_path)
    assert after.changed_from == before.sha256


def test_many_runs_at_once_ask_once(server, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(server, tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert len(server.log) == 1


def test_files_of_the_same_name_from_different_addresses_are_kept_apart(tmp_path):
    with StandIn(lambda asked: Reply(asked.query["year"].encode())) as server:
        kept = [fetch(server, tmp_path, f"/f.csv?year={year}").path for year in (2019, 2025)]
    assert [path.read_bytes() for path in kept] == [b"2019", b"2025"]


def test_a_folder_that_cannot_be_made_is_one_sentence(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match=r"file/kept cannot be written to .* set STREETIMD_DATA"):
        fetch(server, tmp_path / "file" / "kept")


def test_a_file_of_the_users_own_has_its_hash_and_the_day_it_was_changed(tmp_path):
    path = tmp_path / "own.csv"
    path.write_bytes(b"own")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    own = local_file(path, error=SourceError, remedy="look at it")
    assert (own.path, own.address, own.sha256, own.fetched_at) == (path, str(path), sha256(b"own"), NOON)
    with pytest.raises(SourceError, match=r"none\.csv' cannot be read \(FileNotFoundError\); look at it"):
        local_file(tmp_path / "none.csv", error=SourceError, remedy="look at it")
