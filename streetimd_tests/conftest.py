"""The whole graph, run once as a user runs it, for the tests that read what it made."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from streetimd_assets.defs.house import House
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study


@dataclass(frozen=True)
class Ran:
    """A study that was run from the command line: where its data are and what was printed."""

    study: str
    data_root: Path
    output: str

    @property
    def house(self) -> House:
        """The study and its tables."""
        return House(load_study(self.study), Settings(self.study, self.data_root))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what asks real servers unless ``-m live`` wants it; begin with what takes longest."""
    if "live" not in config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("live") is None]
    # so that two workers end at about the same time
    first = ("test_whole_graph", "test_real_london", "test_workers", "test_killed_collection", "test_buying_images")
    items.sort(key=lambda item: not item.path.stem.startswith(first))


@pytest.fixture(autouse=True, scope="module")
def no_instance_of_another_module() -> None:
    """Let Dagster forget the instance that it loads definitions by.

    It goes back to the one before when one is closed, and so to one that is gone where two were not closed
    in the opposite order of their opening.
    """
    kept = sys.modules.get("dagster._core.storage.defs_state.base")
    if kept is not None:
        kept._current_storage.set(None)


def streetimd(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "streetimd_assets.cli", *arguments], capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo, whole."""
    data_root = tmp_path_factory.mktemp("demo")
    done = streetimd("demo", "--no-ui", "--data", str(data_root))
    return Ran("demo", data_root, done.stdout)


@pytest.fixture(scope="session")
def run_variant(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """Run a study file made from a bundled study by replacing lines."""

    def run(*replacements: tuple[str, str], text: str | None = None) -> Ran:
        from streetimd_assets.study.reading import bundled_study_text

        folder = tmp_path_factory.mktemp("variant")
        content = text or bundled_study_text("demo")
        for old, new in replacements:
            assert old in content, f"the demo study has no line {old!r}"
            content = content.replace(old, new)
        path = folder / "study.toml"
        path.write_text(content, encoding="utf-8")
        done = streetimd("run", str(path), "--data", str(folder / "data"))
        return Ran(str(path), folder / "data", done.stdout)

    return run


def pytest_terminal_summary(terminalreporter):
    """Print what tests measured: a worker of pytest-xdist has no terminal of its own."""
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, text in report.user_properties:
            if name == "measured" and report.when == "call":
                terminalreporter.write_sep("-", report.nodeid.rpartition("::")[2])
                terminalreporter.write_line(text)
