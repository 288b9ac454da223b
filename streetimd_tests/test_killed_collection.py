"""A collection that is killed again and again buys nothing that is held twice, and counts every request."""

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer

from streetimd_assets.store.images import ImageStore
from streetimd_assets.store.ledger import Ledger
from streetimd_tests.standins.google import serve_google

N_POINTS, HEADINGS, N_AT_ONCE = 5_000, 4, 32
N_IMAGES = N_POINTS * HEADINGS
FAULT_SHARE = 0.03
# set aside by a run at a time, and lost with it when it is killed
BLOCK = 20
MONTH = f"{datetime.now(UTC):%Y-%m}"

# the path of a run from panoramas to street_images, without the graph around it
COLLECT = """
import functools, sys
from pathlib import Path
import geopandas as gpd, pandas as pd, shapely
from streetimd_assets.science.panoramas import locate_panoramas
from streetimd_assets.sources import web
from streetimd_assets.sources.imagery.budget import open_purse
from streetimd_assets.sources.imagery.collecting import ask_panoramas, collect_images
from streetimd_assets.sources.imagery.providers import find_provider, open_source
from streetimd_assets.store.images import ImageStore
from streetimd_assets.store.ledger import Ledger
from streetimd_assets.study.imagery import Budget, Imagery

folder, address, n_at_once, month, run_id = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
web.BASE_WAIT_S = 0.02
choice = Imagery(source="google", accept_terms=True, address=address, image_size_px=64, max_connections=n_at_once)
source = open_source(choice, {"GOOGLE_MAPS_API_KEY": "test-key"})
# of so many faults a picture meets four in a row once in a few dozen runs, and this test no failure
open_web = functools.partial(web.Web, max_connections=n_at_once, n_tries=6)
points = pd.read_parquet(folder / "points.parquet")
table = folder / "panoramas.parquet"
if not table.exists():
    square = shapely.multipoints(points[["easting_m", "northing_m"]]).envelope.buffer(100)
    lsoas = gpd.GeoDataFrame({"lsoa_code": ["E01000001"]}, geometry=[square], crs=27700)
    answers = ask_panoramas(source, points, web=open_web)
    located = locate_panoramas(answers, points, lsoas, max_distance_m=choice.max_distance_m)
    located.to_parquet(folder / "panoramas.tmp")
    (folder / "panoramas.tmp").rename(table)
store = ImageStore(folder, "camden")
purse = open_purse(
    Ledger(folder, "google", month), find_provider("google").prices, Budget(max_images_per_month=100_000), run_id
)
images = collect_images(
    pd.read_parquet(table), source, web=open_web, recorded=store.recorded(), view="64 px", save=store.save,
    record=store.record, purse=purse, n_at_once=n_at_once,
)
images.to_parquet(folder / "street_images.parquet")
"""


def write_points(folder):
    """A grid of points 30 m apart: a panorama of its own stands near each."""
    easting, northing = np.meshgrid(528_000 + 30.0 * np.arange(100), 184_000 + 30.0 * np.arange(N_POINTS // 100))
    longitude, latitude = Transformer.from_crs(27700, 4326, always_xy=True).transform(easting, northing)
    columns = {"easting_m": easting, "northing_m": northing, "longitude_deg": longitude, "latitude_deg": latitude}
    points = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    names = [f"p{number}" for number in range(N_POINTS)]
    points.assign(point_id=names, segment_id="1", lsoa_code="E01000001", road_bearing_deg=0.0).to_parquet(
        folder / "points.parquet"
    )


def count_lines(journal):
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


class Lives:
    """Runs of one collection in processes of their own, and what the provider was asked in each."""

    def __init__(self, folder, google):
        self.folder, self.google = folder, google
        self.store = ImageStore(folder, "camden")
        self.journal = folder / "images" / "camden" / "journal.jsonl"
        self.asked_before = {}
        self.table = []

    def live(self, killed_at=None):
        """Run to the end, or kill once so many images are in the journal; return the names asked for."""
        held = set(self.held())
        command = [sys.executable, "-c", COLLECT, self.folder, self.google.address, N_AT_ONCE, MONTH]
        with subprocess.Popen([*map(str, command), f"run-{len(self.table)}"]) as process:
            until = time.monotonic() + 240
            while killed_at is not None and count_lines(self.journal) < killed_at:
                assert process.poll() is None, "it ended before it could be killed"
                assert time.monotonic() < until
                time.sleep(0.05)
            if killed_at is not None:
                process.send_signal(signal.SIGKILL)
            assert process.wait(timeout=240) == (0 if killed_at is None else -signal.SIGKILL)
        time.sleep(0.5)  # for what is on its way to the provider
        counts = self.google.counts()
        asked = {name for name, n in counts["asked"].items() if n > self.asked_before.get(name, 0)}
        n_requests = counts["n_images"] - sum(self.asked_before.values())
        self.asked_before = counts["asked"]
        now_held = set(self.held())
        self.table.append(
            {
                "run": len(self.table) + 1,
                "ended": "complete" if killed_at is None else f"killed at {killed_at / N_IMAGES:.0%}",
                "held_before": len(held),
                "held_after": len(now_held),
                "requests": n_requests,
                "held_and_asked_again": len(asked & held),
                "in_flight_at_kill": len(asked - now_held) if killed_at is not None else 0,
                "billed_so_far": counts["n_billed"],
                "ledger_so_far": Ledger(self.folder, "google", MONTH).month_total(),
            }
        )
        return asked

    def held(self):
        return [name for name, row in self.store.recorded().items() if row["status"] in ("ok", "invalid_image")]


@pytest.mark.slow
def test_a_collection_killed_three_times_ends_complete_and_buys_nothing_that_is_held_again(
    tmp_path, record_property
):
    seed = random.SystemRandom().randrange(2**32)
    kills = sorted(random.Random(seed).sample(range(N_IMAGES // 10, N_IMAGES * 9 // 10), 3))
    write_points(tmp_path)
    with serve_google(fault_share=FAULT_SHARE, latency_s=0.02, seed=seed % 1000) as google:
        lives = Lives(tmp_path, google)
        asked = [lives.live(killed_at) for killed_at in [*kills, None]]
        counts = google.counts()
    table = pd.DataFrame(lives.table)
    asked_again = sum(len(names & set().union(*asked[:number])) for number, names in enumerate(asked))
    in_flight = int(table["in_flight_at_kill"].sum())
    # shown at the end of the test run, whether or not this passes
    title = f"{N_POINTS:,} points, {HEADINGS} headings, {FAULT_SHARE:.0%} faults {counts['kinds']}, seed {seed}"
    sums = f"asked for in more than one run: {asked_again} images; in flight at the kills: {in_flight}"
    record_property("measured", f"{title}\n{table.to_string(index=False)}\n{sums}")

    images = pd.read_parquet(tmp_path / "street_images.parquet")
    assert len(images) == N_IMAGES
    assert (images["status"] == "ok").all()
    assert images["sha256"].is_unique
    assert lives.store.files()[0] >= N_IMAGES
    assert (table["held_and_asked_again"] == 0).all()
    assert asked_again <= in_flight
    assert (table["in_flight_at_kill"] <= N_AT_ONCE).all()
    assert sum(counts["kinds"].values()) > 0.02 * N_IMAGES
    assert (table["ledger_so_far"] >= table["billed_so_far"]).all()
    # and it counts hardly more: what was set aside, and lost in a kill before it was sent
    assert table["ledger_so_far"].iloc[-1] <= counts["n_images"] + len(kills) * (BLOCK + N_AT_ONCE)
