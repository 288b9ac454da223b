"""Read docker-compose.yml as Docker does, as far as this file uses its language."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
# those that run only with the profile `scale`
WORKERS = ("worker", "gpu-worker")
# those that speak to Dagster's database, and the one that only shows pages
DAGSTER_SERVICES = ("code", "webserver", "daemon", *WORKERS)
PYTHON_SERVICES = (*DAGSTER_SERVICES, "reports")
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<sign>:-|:\?|:\+)(?P<text>[^}]*))?\}")


class NotSetError(Exception):
    """A variable that the file cannot do without is not set; the text is what Docker shows."""


def read_compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with ``${NAME:-default}``, ``${NAME:?sentence}``, ``${NAME:+text}`` and ``$$`` replaced."""
    return _filled(yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8")), variables)


def read_environment_file(path: Path) -> dict[str, str]:
    """Return the variables that a file such as ``.env`` sets."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def services_to_start(compose: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """Return the services that ``docker compose up`` starts, in the order of the file."""
    profiles = set(variables.get("COMPOSE_PROFILES", "").split(","))
    services = compose["services"]
    return [name for name in services if not (wanted := services[name].get("profiles")) or profiles & set(wanted)]


def mounts(service: Mapping[str, Any]) -> dict[str, str]:
    """Return what a service sees in its container: path there -> volume or path of the repository."""
    pairs = [volume.removesuffix(":ro").rsplit(":", 1) for volume in service["volumes"]]
    return {inside: outside for outside, inside in pairs}


def _filled(part: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(part, str):
        return _VARIABLE.sub(lambda found: _value(found, variables), part)
    if isinstance(part, list):
        return [_filled(item, variables) for item in part]
    if isinstance(part, dict):
        return {key: _filled(item, variables) for key, item in part.items()}
    return part


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    value = variables.get(found["name"], "")
    if found["sign"] == ":+":
        return found["text"] if value else ""
    if not value and found["sign"] == ":?":
        raise NotSetError(found["text"])
    return value or found["text"] or ""
