"""Start the services of docker-compose.yml as processes of this machine, without a Docker engine.

Commands, environment, mounted files and health checks are the file's own. What a container would
give is put in its place: a loopback address for each service's name, a free port for each of its
ports, a folder for each of its volumes, and Debian's PostgreSQL and Redis for the images of them.

``python -m streetimd_tests.deploy.local_services .env`` starts them to be looked at, until Ctrl-C.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from streetimd_tests.deploy.compose import (
    REPOSITORY,
    NotSetError,
    mounts,
    read_compose,
    read_environment_file,
    services_to_start,
)

PATIENCE_S = 60
PATIENCE_TO_STOP_S = 20
PORTS = ("3000", "3001", "4000", "5432", "6379")


@dataclass
class LocalServices:
    """What containers would be given, and what stands for it here."""

    compose: dict[str, Any]
    folder: Path
    ports: dict[str, str]
    # of each service: what it sees in its container -> where that is here
    places: dict[str, dict[str, Path]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    # PostgreSQL's own folder, once it is made
    cluster: Path | None = None

    @property
    def address(self) -> str:
        """Where the webserver answers."""
        return f"http://127.0.0.1:{self.ports['3000']}"

    @property
    def pages_address(self) -> str:
        """Where the server of pages answers."""
        return f"http://127.0.0.1:{self.ports['3001']}"

    @property
    def data(self) -> Path:
        """The folder that stands for the data volume."""
        return self.places["code"]["/data"]

    def connect(self, database: str | None = None) -> "psycopg2.extensions.connection":
        """Connect to PostgreSQL as the services do."""
        chosen = self.compose["services"]["db"]["environment"]
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.ports["5432"],
            user=chosen["POSTGRES_USER"],
            password=chosen["POSTGRES_PASSWORD"],
            dbname=database or chosen["POSTGRES_DB"],
        )

    def log(self, name: str) -> str:
        """Return what a service has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def lay_out(self, name: str) -> None:
        """Make a folder of each of a service's volumes and copy each mounted file to where it is looked for."""
        places = self.places.setdefault(name, {})
        for inside, outside in mounts(self.compose["services"][name]).items():
            if outside.startswith("."):
                places[str(Path(inside).parent)] = self._copy(REPOSITORY / outside, Path(inside))
            else:
                places[inside] = self.folder / "volumes" / outside
                places[inside].mkdir(parents=True, exist_ok=True)

    def _copy(self, source: Path, inside: Path) -> Path:
        home = self.folder / inside.parent.relative_to("/")
        home.mkdir(parents=True, exist_ok=True)
        text = source.read_text().replace("host: code", "host: 127.0.0.1")
        for port, free in self.ports.items():
            text = text.replace(f"port: {port}", f"port: {free}")
        (home / inside.name).write_text(text)
        return home

    def here(self, text: str, name: str) -> str:
        """Return a word of a service's command or environment as it reads on this machine."""
        for inside, path in self.places.get(name, {}).items():
            if text == inside or text.startswith(f"{inside}/"):
                return str(path) + text.removeprefix(inside)
        hosts = "|".join(map(re.escape, ("127.0.0.1", *self.compose["services"])))
        for port, free in self.ports.items():
            text = free if text == port else re.sub(rf"\b({hosts}):{port}\b", f"127.0.0.1:{free}", text)
        return {"0.0.0.0": "127.0.0.1", "db": "127.0.0.1"}.get(text, text)

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service: this machine's, less what is ours, and the file's."""
        ours = ("STREETIMD_", "DAGSTER_", "POSTGRES_", "PG")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        programs = [str(Path(sys.executable).parent), str(postgres_programs()), inherited["PATH"]]
        inherited["PATH"] = os.pathsep.join(programs)
        declared = self.compose["services"][name]["environment"]
        return inherited | {key: self.here(value, name) for key, value in declared.items()}

    def start(self, name: str) -> None:
        """Start a service by its command, or PostgreSQL by that of this machine."""
        if name == "db":
            self._begin(name, *self._postgres())
            return
        command = [self.here(word, name) for word in self.compose["services"][name]["command"]]
        self._begin(name, command, {"env": self.environment(name), "cwd": self.places[name]["/data"]})

    def _begin(self, name: str, command: list[str], options: dict[str, Any]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )

    def _postgres(self) -> tuple[list[str], dict[str, Any]]:
        assert self.cluster is not None
        settings = ["-h", "127.0.0.1", "-p", self.ports["5432"], "-k", "", "-F"]
        command = [str(postgres_programs() / "postgres"), "-D", str(self.cluster), *settings]
        return command, {"cwd": self.cluster.parent, **_postgres_account()}

    def revive(self) -> list[str]:
        """Start again what has ended by itself, as ``restart: unless-stopped`` does; return the names."""
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in ended:
            self.start(name)
        return ended

    def wait_until_healthy(self, name: str) -> None:
        """Ask the service's own health check until it is content."""
        _, *command = self.compose["services"][name]["healthcheck"]["test"]
        words = [self.here(word, name) for word in command]
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(words, env=self.environment(name), capture_output=True, timeout=PATIENCE_S).returncode:
            process = self.processes[name]
            assert process.poll() is None, f"{name} ended with status {process.returncode}:\n{self.log(name)}"
            assert time.monotonic() < deadline, f"{name} is not healthy after {PATIENCE_S} s:\n{self.log(name)}"
            time.sleep(0.5)

    def stop(self, *names: str, sign: signal.Signals = signal.SIGTERM) -> None:
        """End services and all that they started: asked first, then made to."""
        chosen = [self.processes.pop(name) for name in names if name in self.processes]
        for process in chosen:
            _signal(process, sign)
        deadline = time.monotonic() + PATIENCE_TO_STOP_S
        while any(_is_running(process) for process in chosen) and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in chosen:
            _signal(process, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def started(
    folder: Path, variables: Mapping[str, str], on_data_volume: Mapping[str, str] | None = None
) -> Iterator[LocalServices]:
    """Start what ``docker compose up`` would, each once what it needs is healthy; end everything, come what may.

    The data volume holds the given files from the beginning. Skips the test if a server that is needed
    is not installed.
    """
    services = LocalServices(read_compose(variables), folder, _free_ports(*PORTS))
    chosen = services_to_start(services.compose, variables)
    needs = {name: _needs(services, name) & set(chosen) for name in chosen}
    postgres_programs()
    if "redis" in chosen:
        require_redis()
    names = [name for name in TopologicalSorter(needs).static_order() if name != "db"]
    for name in names:
        services.lay_out(name)
    for file, text in (on_data_volume or {}).items():
        (services.data / file).write_text(text)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_database(services))
        healthy = {"db"}
        for name in names:
            for needed in needs[name] - healthy:
                services.wait_until_healthy(needed)
                healthy.add(needed)
            # whatever needs it is ended before it
            stack.callback(services.stop, name)
            services.start(name)
        for name in set(names) - healthy:
            services.wait_until_healthy(name)
        yield services


def _needs(services: LocalServices, name: str) -> set[str]:
    return set(services.compose["services"][name].get("depends_on", ()))


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's server programs, or skip the test and say what to install."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not debian:
        pytest.skip("needs PostgreSQL's server (initdb, postgres): apt-get install postgresql")
    return debian[-1].parent


def require_redis() -> None:
    """Skip the test if Redis's server is not installed, and say what to install."""
    if not shutil.which("redis-server"):
        pytest.skip("needs Redis's server (redis-server): apt-get install redis-server")


@contextlib.contextmanager
def _database(services: LocalServices) -> Iterator[None]:
    """Make and start a database with the user, password and name that its image would be given."""
    chosen = services.compose["services"]["db"]["environment"]
    account = _postgres_account()
    with tempfile.TemporaryDirectory(prefix="streetimd-postgres-") as name:
        home = Path(name)
        (home / "password").write_text(chosen["POSTGRES_PASSWORD"])
        if account:
            for path in (home, home / "password"):
                shutil.chown(path, account["user"], account["group"])
        programs, services.cluster = postgres_programs(), home / "cluster"
        initdb = [programs / "initdb", "-D", services.cluster, "-U", chosen["POSTGRES_USER"], "-E", "UTF8"]
        subprocess.run(
            [*initdb, "--no-sync", "-A", "scram-sha-256", f"--pwfile={home / 'password'}"],
            cwd=home, check=True, capture_output=True, **account,
        )  # fmt: skip
        services.start("db")
        try:
            services.wait_until_healthy("db")
            with contextlib.closing(services.connect("postgres")) as connection:
                connection.autocommit = True
                connection.cursor().execute(f"CREATE DATABASE {chosen['POSTGRES_DB']}")
            yield
        finally:
            # SIGINT is PostgreSQL's word for a fast and orderly end
            services.stop("db", sign=signal.SIGINT)


def _postgres_account() -> dict[str, Any]:
    # PostgreSQL refuses to run as root, and its own user cannot enter the folders of a test run by root
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


def _free_ports(*published: str) -> dict[str, str]:
    """Return a free port of this machine for each of the file's."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in published]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {port: str(probe.getsockname()[1]) for port, probe in zip(published, probes, strict=True)}


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    """Return True while the process, or any that it started, is there."""
    process.poll()
    return _signal(process, 0)


def _signal(process: subprocess.Popen[bytes], sign: int) -> bool:
    """Send a signal to a process and all that it started; return False if none is there."""
    try:
        os.killpg(process.pid, sign)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Start the services with what an environment file sets, say where they are, and wait for Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("environment_file", type=Path, help="such as deploy/env.example, with a password filled in")
    variables = read_environment_file(parser.parse_args().environment_file)
    with tempfile.TemporaryDirectory(prefix="streetimd-services-") as folder:
        try:
            with started(Path(folder), variables) as services:
                running = ", ".join(services.processes)
                print(
                    f"{running} run; Dagster: {services.address}; data and logs until Ctrl-C: {folder}", flush=True
                )
                signal.pause()
        except KeyboardInterrupt:
            pass
        except (NotSetError, pytest.skip.Exception) as missing:
            sys.exit(str(missing))


if __name__ == "__main__":
    main()
