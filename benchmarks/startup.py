"""How long Dagster waits for the definitions, beyond Dagster itself, and what they leave unloaded.

    python -m benchmarks.startup

A notebook's module imports all it may need at its top; here what only some steps need is imported by them.
Each is timed in a fresh process, after Dagster has been imported, and all take turns: the definitions of
study `demo`, those of study `england` with its 296 partitions, and the plain way, which imports torch,
OSMnx, scikit-learn and LightGBM besides.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.findings import Finding, conclude, parser

HEAVY = ("torch", "osmnx", "sklearn", "lightgbm")
N_ROUNDS = 5
# built as Dagster builds them: partitions, jobs, schedules and sensors
LOAD = """
import json, sys, time
import dagster
began = time.monotonic()
{first}
from streetimd_assets.definitions import defs
definitions = defs()
definitions.get_repository_def().get_all_jobs()
seconds = time.monotonic() - began
print(json.dumps({{"seconds": seconds, "loaded": [name for name in {heavy} if name in sys.modules]}}))
"""
# what is imported first, and the study
WAYS = {
    "demo": ("", "demo"),
    "england": ("", "england"),
    "plain": ("import torch, osmnx, sklearn.ensemble, lightgbm", "demo"),
}


def load(way: str) -> dict[str, Any]:
    """Load in a fresh process."""
    first, study = WAYS[way]
    code = LOAD.format(first=first, heavy=HEAVY)
    environment = {**os.environ, "STREETIMD_STUDY": study}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure() -> Iterator[Finding]:
    """Measure all."""
    rounds = [{way: load(way) for way in WAYS} for _ in range(N_ROUNDS)]
    took = {way: median(one[way]["seconds"] for one in rounds) for way in WAYS}
    what = "definitions loaded, beyond Dagster itself"
    yield Finding(what, took["demo"], "s", wanted="<= 2")
    yield Finding(what, took["demo"], "s", f"with {', '.join(HEAVY)} imported at the top", took["plain"])
    yield Finding(f"{what}, 296 partitions", took["england"], "s", wanted="<= 4")
    n_loaded = len({name for one in rounds for way in ("demo", "england") for name in one[way]["loaded"]})
    yield Finding(f"of {', '.join(HEAVY)}, imported by them", n_loaded, "libraries", wanted="<= 0")


if __name__ == "__main__":
    sys.exit(conclude("startup", measure(), keep=parser(__doc__).parse_args().keep))
