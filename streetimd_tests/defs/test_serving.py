"""`streetimd ui` as a process: the Dagster UI and the server of pages begin and end together."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from streetimd_assets.defs.serving import serve
from streetimd_assets.errors import ServiceError
from streetimd_assets.settings import Settings

PATIENCE_S = 60
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads processes from Linux's /proc")


@pytest.fixture
def ports():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "demo" / "pages" / "study_report.html"
    path.parent.mkdir(parents=True)
    path.write_text("<h1>report</h1>")
    return path


@pytest.fixture
def ui(tmp_path, ports, page):
    """A running `streetimd ui` that has started Dagster and shows pages."""
    command = ["ui", "demo", "--data", str(tmp_path), "--port", str(ports[0]), "--pages-port", str(ports[1])]
    ours = ("STREETIMD_", "DAGSTER_")
    process = subprocess.Popen(
        [sys.executable, "-m", "streetimd_assets.cli", *command],
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: children_of(process.pid) and shown(ports[1]) == page.read_bytes())
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def shown(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/demo/study_report.html", timeout=5) as reply:
            return reply.read()
    except OSError:
        return None


def stat_of(pid):
    """Return the fields of a process after its name: state, parent, group, session."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def processes():
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            yield int(name), stat_of(name)
        except (FileNotFoundError, ProcessLookupError):
            continue


def children_of(pid):
    return [child for child, stat in processes() if int(stat[1]) == pid]


def alive_in_session(session):
    return [pid for pid, stat in processes() if int(stat[3]) == session and stat[0] != "Z"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_ends_dagster_and_the_pages_with_it(ui, ports, sign):
    (dagster,) = children_of(ui.pid)
    # it has begun to start servers of its own
    wait_until(lambda: len(alive_in_session(dagster)) > 1)
    ui.send_signal(sign)
    assert ui.wait(PATIENCE_S) == 0
    assert alive_in_session(dagster) == []
    assert shown(ports[1]) is None


def test_dagster_knows_where_the_pages_are_and_they_end_when_it_dies(ui, ports):
    (dagster,) = children_of(ui.pid)
    with open(f"/proc/{dagster}/environ") as file:
        environment = dict(pair.split("=", 1) for pair in file.read().split("\0") if pair)
    assert environment["STREETIMD_PAGES_URL"] == f"http://127.0.0.1:{ports[1]}"
    assert environment["STREETIMD_STUDY"] == "demo"
    wait_until(lambda: len(alive_in_session(dagster)) > 1)
    os.kill(dagster, signal.SIGKILL)
    assert ui.wait(PATIENCE_S) != 0
    assert alive_in_session(dagster) == []
    assert shown(ports[1]) is None


def test_a_taken_port_stops_it_before_anything_is_started(tmp_path):
    settings = Settings("demo", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as probe:
        port, free = taken.getsockname()[1], probe.getsockname()[1]
        probe.close()
        with pytest.raises(ServiceError, match=rf"port {port} is taken .* --port {port + 1}$"):
            serve(settings, port, free)
        with pytest.raises(ServiceError, match=rf"port {port} is taken .* --pages-port {port + 1}$"):
            serve(settings, free, port)
        with pytest.raises(ServiceError, match=rf"port {free} cannot serve both .* --pages-port {free + 1}$"):
            serve(settings, free, free)
    assert list(tmp_path.iterdir()) == []
