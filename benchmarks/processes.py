"""Measure a function in a fresh process: its seconds, and the largest memory the process had.

python -m benchmarks.processes MODULE:FUNCTION ARGUMENTS-AS-JSON
"""

import importlib
import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any


def in_fresh_process(function: str, *arguments: Any) -> dict[str, Any]:
    """Call ``module:function`` of this package elsewhere.

    Returns
    -------
    measured
        ``seconds`` and ``peak_mib`` of the process, and over them what the function returned by name.
    """
    command = [sys.executable, "-m", "benchmarks.processes", function, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib() -> float:
    """Return the largest memory that this process has had until now."""
    # Linux counts in KiB, macOS in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


class Memory:
    """Watch how much memory this process takes within a block, beyond what it had at its beginning.

    ``beyond_mib`` is None where there is no ``/proc`` to look at.
    """

    beyond_mib: float | None = None

    def __enter__(self) -> "Memory":
        self._before, self._most = _now_mib(), 0.0
        self._done = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watching.join()
        if self._before is not None:
            self.beyond_mib = self._most - self._before

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self._most = max(self._most, _now_mib() or 0.0)


def _now_mib() -> float | None:
    told = Path("/proc/self/statm")
    return int(told.read_text().split()[1]) * resource.getpagesize() / 2**20 if told.exists() else None


def main(function: str, arguments: str) -> None:
    """Call the function here and print what was measured."""
    module, _, name = function.partition(":")
    act = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    began = time.monotonic()
    told = act(*json.loads(arguments)) or {}
    print(json.dumps({"seconds": time.monotonic() - began, "peak_mib": peak_mib(), **told}))


if __name__ == "__main__":
    main(*sys.argv[1:])
