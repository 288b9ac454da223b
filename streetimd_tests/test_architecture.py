"""The rules of the house: rooms do not open into one another, and each door has one owner."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
HOUSE = PROJECT / "streetimd_assets"
ROOMS = {"science", "sources", "synthetic", "encoders", "store", "plots"}
# where the rooms meet
MEETING = {"definitions", "defs", "cli"}
OWNERS = {
    "dagster": {"defs", "definitions"},
    "dagster_celery": {"defs"},
    "celery": {"defs"},
    "duckdb": {"store"},
    "aiohttp": {"sources"},
    "requests": {"sources"},
    "osmnx": {"sources"},
    "torch": {"encoders"},
    "torchvision": {"encoders"},
    "open_clip": {"encoders"},
    "plotly": {"plots"},
}
HEAVY = ("torch", "torchvision", "open_clip", "osmnx", "sklearn", "lightgbm", "plotly")
MODULES = sorted(HOUSE.rglob("*.py"))
LONGEST = 400

of_every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(HOUSE).as_posix())


def place_of(path):
    """Return the room, or the module of the front, that a file stands in; the rest is hallway."""
    first = path.relative_to(HOUSE).parts[0].removesuffix(".py")
    return first if first in ROOMS | MEETING else "hallway"


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: write imports in full"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from ((node.lineno, name) for name in names)


def test_every_room_is_there():
    folders = {path.name for path in HOUSE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == ROOMS | {"defs", "study"}


@of_every_module
def test_rooms_meet_only_where_rooms_meet(path):
    here = place_of(path)
    for line, name in imported_names(path):
        package, _, rest = name.partition(".")
        if package == "streetimd_assets":
            there = rest.partition(".")[0]
            there = there if there in ROOMS | MEETING else "hallway"
            assert there in {here, "hallway"} or here in MEETING, f"line {line}: {here} imports {there}"


@of_every_module
def test_an_outside_library_is_imported_only_by_its_owner(path):
    here = place_of(path)
    for line, name in imported_names(path):
        package = name.partition(".")[0]
        assert here in OWNERS.get(package, {here}), f"line {line}: {package} belongs to {OWNERS[package]}"


def test_ruff_says_the_same_law():
    lint = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    banned = lint["flake8-tidy-imports"]["banned-api"]
    assert set(banned) == set(OWNERS)
    for package, owners in OWNERS.items():
        assert any(f"only in {owner}/" in banned[package]["msg"] for owner in owners)
        for owner in owners:
            pattern = "/**" if (HOUSE / owner).is_dir() else ".py"
            assert "TID251" in lint["per-file-ignores"][f"streetimd_assets/{owner}{pattern}"]


@of_every_module
def test_a_module_is_short_enough_to_read(path):
    # schemas.py is the one list of all tables, to be looked up in rather than read
    if path.name != "schemas.py":
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@of_every_module
def test_a_module_is_named_for_what_is_in_it(path):
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


@pytest.mark.parametrize("path", sorted((HOUSE / "defs").glob("*.py")), ids=lambda path: path.name)
def test_types_of_assets_are_objects_for_dagster_to_read(path):
    assert "__future__.annotations" not in {name for _, name in imported_names(path)}


def modules_loaded(code):
    """Run code in a process of its own and return what it prints, a line each."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_science_opens_in_a_notebook_without_dagster_torch_and_plotly():
    names = [f"streetimd_assets.science.{path.stem}" for path in sorted((HOUSE / "science").glob("[a-z]*.py"))]
    assert len(names) > 10
    packages = ("dagster", "duckdb", *HEAVY)
    code = f"""
import importlib, sys
for name in {names}:
    importlib.import_module(name)
    for package in {packages}:
        if package in sys.modules:
            print(name, "loads", package)
"""
    assert modules_loaded(code) == []


def test_the_asset_graph_is_built_without_what_only_its_work_needs():
    code = f"""
import sys
from streetimd_assets.definitions import defs
defs()
for package in {HEAVY}:
    if package in sys.modules:
        print(package)
"""
    assert modules_loaded(code) == []


def files_of_the_project():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a checkout of the repository")
    return [PROJECT / name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def test_no_file_names_a_place_on_its_writers_machine():
    own = re.compile(r"(?<![\w.$}\]-])(?:/(?:home|Users|work|mnt|root|tmp)/[\w.]|[A-Z]:\\Users\\)")
    found = []
    for path in files_of_the_project():
        data = path.read_bytes()
        if b"\0" in data[:4096] or path.suffix == ".safetensors":
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
            if own.search(line):
                found.append(f"{path.relative_to(PROJECT)}:{number}: {line.strip()[:100]}")
    assert found == []
