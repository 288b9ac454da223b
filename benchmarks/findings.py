"""What a benchmark found: printed, judged against what is wanted, and kept as JSON for the table.

A finding is a figure beside that of the plain way or of a peer, measured in the same run, and their ratio:
ratios hold where seconds do not. Where there is nothing to compare with, the figure itself is judged.
"""

import argparse
import json
import operator
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
COMPARE = {">=": operator.ge, "<=": operator.le}
LIBRARIES = ("dagster", "duckdb", "lightgbm", "numpy", "osmnx", "pandas", "pillow", "scikit-learn", "torch")


@dataclass(frozen=True)
class Finding:
    """A figure, the one beside it, and what is wanted of their ratio or, without one, of the figure.

    Parameters
    ----------
    what
        The quantity, with the size of the work: ``mean, median, max of 200,000 x 512 in 500 LSOAs``.
    value
        What was measured of ours; None is "not measured", and `why` then says why.
    unit
        Of both figures: ``s``, ``images/s``, ``MiB``.
    beside
        What the other figure is of: the plain way, or a peer by its name.
    other
        The other figure, in the same unit and of the same run.
    wanted
        Such as ``>= 2.5``, judged on the ratio where there is one; empty is "nothing is asked".
    more_is_better
        True of rates, so that the ratio says how many times better in either case.
    why
        Why there is no figure.
    """

    what: str
    value: float | None
    unit: str
    beside: str = ""
    other: float | None = None
    wanted: str = ""
    more_is_better: bool = False
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than what stands beside it."""
        if self.value is None or self.other is None:
            return None
        return self.value / self.other if self.more_is_better else self.other / self.value

    @property
    def is_met(self) -> bool | None:
        """Whether it is what is wanted; None where nothing is, or nothing was measured."""
        judged = self.value if self.other is None else self.ratio
        if judged is None or not self.wanted:
            return None
        comparison, limit = self.wanted.split()
        return bool(COMPARE[comparison](judged, float(limit)))

    def __str__(self) -> str:
        if self.value is None:
            return f"  {self.what}: not measured: {self.why}"
        said = f"  {self.what}: {rounded(self.value)} {self.unit}"
        if self.ratio is not None:
            said += f", {self.beside} {rounded(self.other)} {self.unit}: {self.ratio:.2f} times better"
        if self.is_met is not None:
            said += f" (wanted {self.wanted}: {'met' if self.is_met else 'NOT MET'})"
        return said


def rounded(number: float | None) -> str:
    """Three significant digits, thousands apart."""
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the one switch that all commands have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results for the table")
    return made


def conclude(name: str, findings: Iterable[Finding], *, keep: bool) -> int:
    """Print each finding of a command as it comes, keep all if asked to, and return the status to exit with."""
    found = []
    for finding in findings:
        print(finding, flush=True)
        found.append(finding)
    if keep:
        write(name, found)
    return int(any(finding.is_met is False for finding in found))


def write(name: str, findings: Sequence[Finding]) -> None:
    """Keep the findings of a command and the machine that they are of."""
    RESULTS.mkdir(exist_ok=True)
    switches = [switch for switch in sys.argv[1:] if switch != "--keep"]
    command = " ".join([f"python -m benchmarks.{name}", *switches])
    kept = {"command": command, "machine": machine(), "findings": [*map(asdict, findings)]}
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    """Read what a command kept: all but its findings, and the findings."""
    kept = json.loads(path.read_text())
    known = {field.name for field in fields(Finding)}
    return kept, [Finding(**{key: row[key] for key in known & row.keys()}) for row in kept.pop("findings")]


def machine() -> dict[str, str]:
    """Name the processor, its cores, the day and the versions of what was measured with."""
    return {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "measured_on": f"{datetime.now(UTC):%Y-%m-%d}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def processor() -> str:
    """Name the processor, as Linux does where it is Linux."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
