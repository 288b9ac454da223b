"""A running Dagster UI and a real browser looking at it; also draws the pictures in ``docs/``."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

# set by whoever runs the tests, and not for these
OURS = {"DAGSTER_HOME", "STREETIMD_DATA", "STREETIMD_PAGES_URL", "STREETIMD_STUDY"}
_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served_ui(study: str, data_root: Path) -> Iterator[str]:
    """Start ``streetimd ui`` with its server of pages; yield the UI's address once the code location is loaded."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "streetimd_assets.cli",
        "ui",
        study,
        "--data",
        str(data_root),
        "--port",
        str(port),
        "--pages-port",
        str(free_port()),
    ]
    log = (data_root / "ui.log").open("w+")
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    # its own process group, so that Dagster's children end with it
    server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)
    try:
        _wait_until_loaded(address, server, log)
        yield address
    finally:
        # it is gone if it did not come up
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        log.close()


def _wait_until_loaded(address: str, server: subprocess.Popen[bytes], log: Any) -> None:
    asked = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
    query = json.dumps({"query": asked}).encode()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        request = urllib.request.Request(f"{address}/graphql", query, {"Content-Type": "application/json"})
        try:
            if b'"RepositoryLocation"' in urllib.request.urlopen(request, timeout=5).read():
                return
        except OSError:
            pass
        time.sleep(0.5)
    log.seek(0)
    raise AssertionError(f"the UI did not come up:\n{log.read()[-3000:]}")


def chromium() -> str:
    """Return the browser's path, or skip and name it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return path or pytest.skip("needs the browser Chromium: install your system's package chromium")


@contextmanager
def browser_page(executable: str, *, width: int = 1500, height: int = 950) -> Iterator[Any]:
    """Yield a page of a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS)
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()
