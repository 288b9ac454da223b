"""How the store and the UI bear all 296 local authorities: times, open files, and what is wanted of each.

    python -m benchmarks.load
    python -m benchmarks.load --lsoas 114

Writes numbers drawn at random into the tables of study `england` that are read study-wide, and records each
part in Dagster as a run would. Then measures what a user waits for, in the store and in a real browser
(Chromium; "not measured" without one). No number says anything about a place. Exits 1 if a figure is
worse than what is wanted of it, which is what two cores should manage with room to spare.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from benchmarks.findings import Finding, conclude, parser
from benchmarks.processes import peak_mib
from streetimd_assets.defs.correlation import LIGHT
from streetimd_assets.defs.house import House
from streetimd_assets.defs.running import prepare_dagster_home
from streetimd_assets.defs.study_wide import read_waist
from streetimd_assets.settings import Settings
from streetimd_assets.store.querying import query
from streetimd_assets.store.views import rebuild_views
from streetimd_assets.study import load_study
from streetimd_tests.store.rows import rows_of
from streetimd_tests.ui.dagster_page import browser_page, served_ui

N_LSOAS = 20
STUDY, LOCATION = "england", "streetimd_assets.definitions"
TABLES = ("lsoa_boundaries", "deprivation_indices", "imagery_plan", "lsoa_features")
JOIN = "SELECT count(*) AS n FROM " + " JOIN ".join(
    [TABLES[0], *(f"{name} USING (local_authority, lsoa_code)" for name in TABLES[1:])]
)
FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1024, {hard})); "


def main() -> int:
    """Measure, print, and return 1 if anything is too much."""
    switches = parser(__doc__)
    switches.add_argument("--lsoas", type=int, default=N_LSOAS, help="LSOAs of each local authority (England: 114)")
    chosen = switches.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(STUDY, Path(folder))
        house = House(load_study(STUDY), settings)
        write_everything(house, chosen.lsoas)
        n_parts = len(house.study.slugs)
        print(
            f"{n_parts} local authorities, {n_parts * chosen.lsoas:,} LSOAs, {len(TABLES)} tables, {size_of(house)}"
        )
        return conclude("load", measure(house, chosen.lsoas), keep=chosen.keep)


def measure(house: House, n_lsoas: int) -> Iterator[Finding]:
    """Measure in the store and in the browser."""
    yield from in_the_store(house, n_lsoas)
    yield Finding("largest process of the store's part", peak_mib(), "MiB")
    yield from in_the_browser(house.settings)


def write_everything(house: House, n_lsoas: int) -> None:
    """Write every part, and record it in Dagster."""
    prepare_dagster_home(house.settings)
    with dg.DagsterInstance.get() as instance:
        for number, slug in enumerate(house.study.slugs):
            codes = [f"E01{number:03d}{k:03d}" for k in range(n_lsoas)]
            for name in TABLES:
                rows = rows_of(house.store.table(name), n_lsoas, seed=number).assign(lsoa_code=codes)
                if name == "lsoa_features":
                    rows = rows.assign(encoder="one", category_set_hash=house.study.categories.content_hash)
                house.store.write(name, rows, slug)
                event = dg.AssetMaterialization(name, partition=slug, metadata={"dagster/row_count": n_lsoas})
                instance.report_runless_asset_event(event)


def size_of(house: House) -> str:
    files = list((house.folder / "tables").rglob("*.duckdb"))
    return f"{len(files):,} files, {sum(path.stat().st_size for path in files) / 2**20:,.0f} MiB"


def in_the_store(house: House, n_lsoas: int) -> Iterator[Finding]:
    """Views, study-wide reads, and queries with the files that shells allow."""
    yield timed("views written anew", 3, lambda: rebuild_views(house.store))
    # what is read grows with the LSOAs, and the time with it
    times = max(1.0, n_lsoas / N_LSOAS)
    yield timed("mean embeddings and deprivation of all read", 10 * times, lambda: read_waist(house, [], LIGHT))
    yield timed("all features and deprivation of all read", 60 * times, lambda: read_waist(house, []))
    yield timed("a query that joins four tables over all", 3, lambda: expect_all(house, query(house.folder, JOIN)))
    yield timed("the same asked anew, by a shell that allows 1,024 files", 6, lambda: ask_in_a_shell(house, 4096))
    one = house.study.slugs[0]
    count = f"SELECT count(*) AS n FROM lsoa_features WHERE local_authority = '{one}'"
    yield timed("a query of one local authority among all", 2, lambda: query(house.folder, count))


def expect_all(house: House, found: pd.DataFrame) -> None:
    n_parts = len(house.study.slugs)
    n = int(found["n"][0])
    assert n >= n_parts, f"{n} rows over {n_parts} local authorities"
    assert n % n_parts == 0, f"{n} rows over {n_parts} local authorities"


def ask_in_a_shell(house: House, hard: int) -> None:
    command = [sys.executable, "-c", FEW_FILES.format(hard=hard) + "from streetimd_assets.cli import main; main()"]
    asked = [*command, "sql", STUDY, JOIN, "--data", str(house.settings.data_root)]
    subprocess.run(asked, check=True, capture_output=True)


def in_the_browser(settings: Settings) -> Iterator[Finding]:
    """Pages of the UI, until what they are opened for is there."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        yield Finding("pages of the UI", None, "s", why="there is no Chromium")
        return
    began = time.monotonic()
    with served_ui(STUDY, settings.data_root) as address:
        yield Finding("the UI started", time.monotonic() - began, "s", wanted="<= 30")
        with browser_page(executable) as page:
            page.set_default_timeout(60_000)
            for title, show in PAGES.items():
                yield timed(f"in the browser: {title}", 5, partial(show, page, address))


def show_graph(page: Any, address: str) -> None:
    page.goto(f"{address}/asset-groups")
    page.get_by_text("importance", exact=True).first.wait_for()


def show_partitions(page: Any, address: str) -> None:
    page.goto(f"{address}/assets/lsoa_features?view=partitions")
    page.get_by_text("Materialized (296)").first.wait_for()


def show_one_partition(page: Any, address: str) -> None:
    page.goto(f"{address}/assets/lsoa_features?view=partitions&partition={load_study(STUDY).slugs[-1]}")
    page.get_by_text("dagster/row_count").first.wait_for()


def choose_all(page: Any, address: str) -> None:
    page.goto(f"{address}/locations/{LOCATION}/jobs/collect")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog").filter(has_text="Launch runs to materialize")
    dialog.get_by_text("All", exact=True).first.click()
    dialog.get_by_text("296 partitions").first.wait_for()


PAGES = {
    "the graph": show_graph,
    "the 296 partitions of an asset": show_partitions,
    "one of them, with its metadata": show_one_partition,
    "all 296 chosen in a job's launch window": choose_all,
}


def timed(title: str, most: float, act: Callable[[], object]) -> Finding:
    began = time.monotonic()
    act()
    return Finding(title, time.monotonic() - began, "s", wanted=f"<= {most:g}")


if __name__ == "__main__":
    sys.exit(main())
