"""Start the Dagster UI on the study's own instance, and the server of its pages beside it."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

from streetimd_assets.defs.page_server import listen, pages_served, reached_at
from streetimd_assets.defs.processes import asked_to_end
from streetimd_assets.defs.running import prepare_dagster_home
from streetimd_assets.errors import ServiceError
from streetimd_assets.settings import Settings

# Dagster ends its webserver, daemon and code server within this
_PATIENCE_S = 15


def require_free_port(port: int, option: str = "--port") -> None:
    """Raise ServiceError if another program already listens on the port."""
    listen("127.0.0.1", port, option=option).close()


def require_free_ports(port: int, pages_port: int) -> None:
    """Raise ServiceError if the UI and the pages cannot have these ports."""
    if port == pages_port:
        raise ServiceError(
            f"port {port} cannot serve both the UI and the pages; choose another with --pages-port {port + 1}"
        )
    require_free_port(port)
    require_free_port(pages_port, "--pages-port")


def serve(settings: Settings, port: int, pages_port: int = 3001) -> int:
    """Serve the UI and the study's pages until stopped; return the UI's exit status, 0 if it was asked to end.

    Parameters
    ----------
    settings
        Names the study and where its data are kept.
    port, pages_port
        Ports of this machine for the Dagster UI and for the pages it links to.

    Raises
    ------
    ServiceError
        If a port is taken, or both are the same.
    """
    require_free_ports(port, pages_port)
    door = listen("127.0.0.1", pages_port, option="--pages-port")
    settings = reached_at(settings, pages_port)
    with door, pages_served(settings, door):
        prepare_dagster_home(settings)
        return _serve_dagster(settings, port)


def _serve_dagster(settings: Settings, port: int) -> int:
    environment = {
        **os.environ,
        "STREETIMD_STUDY": settings.study,
        "STREETIMD_DATA": str(settings.data_root),
        "STREETIMD_PAGES_URL": settings.pages_url,
        # `dagster dev` announces its successor at every start
        "PYTHONWARNINGS": "ignore",
    }
    command = ["dev", "-m", "streetimd_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with asked_to_end():
        # in a session of its own, so that it is told to end once, by us, whoever told us
        dagster = subprocess.Popen(
            [sys.executable, "-m", "dagster", *command], env=environment, start_new_session=True
        )
        try:
            return dagster.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(dagster)


def _end(dagster: subprocess.Popen[bytes]) -> None:
    """End Dagster and all it started: asked first, then made to."""
    try:
        if dagster.poll() is None:
            dagster.send_signal(signal.SIGINT)
            dagster.wait(_PATIENCE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(dagster.pid, signal.SIGKILL)
        dagster.wait()
