"""Start the Dagster UI on the study's own instance."""

import os
import socket
import subprocess
import sys

from streetimd_assets.defs.running import prepare_dagster_home
from streetimd_assets.errors import ServiceError
from streetimd_assets.settings import Settings


def require_free_port(port: int) -> None:
    """Raise ServiceError if another program already listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ServiceError(
                f"port {port} is taken by another program; choose another with --port {port + 1}"
            ) from None


def serve(settings: Settings, port: int) -> int:
    """Serve the UI until it is stopped with Ctrl+C; return its exit status."""
    require_free_port(port)
    prepare_dagster_home(settings)
    environment = {
        **os.environ,
        "STREETIMD_STUDY": settings.study,
        "STREETIMD_DATA": str(settings.data_root),
        # `dagster dev` announces its successor at every start
        "PYTHONWARNINGS": "ignore",
    }
    command = ["dev", "-m", "streetimd_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    try:
        return subprocess.run([sys.executable, "-m", "dagster", *command], env=environment).returncode
    except KeyboardInterrupt:
        return 0
