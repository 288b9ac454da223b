"""How fast roads become sample points, how many images they buy beside the notebooks' way, and a region's time.

    python -m benchmarks.sampling

A synthetic network of 50,000 two-way streets, so 100,000 directed edges, is sampled at 50 m. A notebook
calls OSMnx's ``interpolate_points`` on every directed edge, so each street is walked twice and each junction
visited once for every edge that ends there. Then a region of about the size of inner London is taken from an
OpenStreetMap extract to its sample points, in a fresh process. It is tiled: copies of two boroughs' real roads
and LSOAs side by side, with positions and numbers shifted. It needs real data in the folder that
STREETIMD_REAL_DATA names.
"""

import gzip
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from benchmarks.findings import Finding, conclude, parser
from benchmarks.processes import in_fresh_process, peak_mib
from streetimd_assets.science import sampling
from streetimd_assets.sources.roads import read_road_edges
from streetimd_assets.study import load_study

SPACING_M, N_ROUNDS = 50.0, 3
N_ALONG, BLOCK_M = 159, 115.0
BOROUGHS, N_TILES, TILE_DEG = ("camden", "tower_hamlets"), 6, 0.3
HIGHEST_ID = 100_000_000_000


def synthetic_streets() -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Directed edges of a crooked grid of two-way streets, and square LSOAs beneath it.

    A way runs over five blocks; a block has a bend.
    """
    rng = np.random.default_rng(1)
    places = np.stack(np.meshgrid(np.arange(N_ALONG), np.arange(N_ALONG), indexing="ij"), axis=-1) * BLOCK_M
    nodes = 400_000 + places + rng.uniform(-20, 20, places.shape)
    number = np.arange(N_ALONG**2).reshape(N_ALONG, N_ALONG)
    rows: list[dict[str, Any]] = []
    for across, ways_from in ((False, 0), (True, 1_000_000)):
        ends = (number.T if across else number)[:, :-1], (number.T if across else number)[:, 1:]
        for line, (first, last) in enumerate(zip(*ends, strict=True)):
            for place, (u, v) in enumerate(zip(first, last, strict=True)):
                begin, end = nodes.reshape(-1, 2)[[u, v]]
                bend = (begin + end) / 2 + rng.uniform(-10, 10, 2)
                way = {"osm_way_id": ways_from + line * N_ALONG + place // 5, "road_name": None}
                for one, other, path in ((u, v, [begin, bend, end]), (v, u, [end, bend, begin])):
                    rows.append({"from_node": one, "to_node": other, "geometry": shapely.LineString(path), **way})
    edges = gpd.GeoDataFrame(rows, crs="EPSG:27700").assign(highway="residential")
    corners = 399_900 + np.arange(0, N_ALONG * BLOCK_M + 200, 800.0)
    west, south = (part.ravel() for part in np.meshgrid(corners, corners))
    codes = [f"E01{number:06d}" for number in range(len(west))]
    squares = shapely.box(west, south, west + 800, south + 800)
    return edges, gpd.GeoDataFrame({"lsoa_code": codes}, geometry=squares, crs="EPSG:27700")


def sample(segments: gpd.GeoDataFrame, lsoas: gpd.GeoDataFrame) -> pd.DataFrame:
    """Sample with this package."""
    return sampling.sample_points(segments, lsoas, spacing_m=SPACING_M, mode="regular", seed=1)


def sample_as_notebooks(edges: gpd.GeoDataFrame) -> list[tuple[float, float]]:
    """Walk every directed edge."""
    import osmnx as ox

    return [point for line in edges.geometry for point in ox.utils_geo.interpolate_points(line, SPACING_M)]


def synthetic() -> Iterator[Finding]:
    """Let both ways take turns on the synthetic network."""
    edges, lsoas = synthetic_streets()
    began = time.monotonic()
    segments = sampling.undirected_segments(edges, lsoas)
    streets_s = time.monotonic() - began
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(N_ROUNDS):
        began = time.monotonic()
        points = sample(segments, lsoas)
        ours.append(time.monotonic() - began)
        began = time.monotonic()
        visited = sample_as_notebooks(edges)
        plain.append(time.monotonic() - began)
    what, way = f"{len(edges):,} directed edges (synthetic)", "OSMnx's interpolate_points on directed edges"
    yield Finding(f"{what}, each street once", streets_s, "s")
    # points alone on the other side: no LSOA, no bearing, no longitude and latitude
    yield Finding(f"{what} sampled at {SPACING_M:g} m", median(ours), "s", wanted="<= 0.8")
    yield Finding(f"{what} sampled at {SPACING_M:g} m", median(ours), "s", way, median(plain))
    yield Finding(f"points of {what}", len(points), "points", way, len(visited), ">= 2.5")
    yield Finding(f"nearest two points of {what}", sampling.smallest_spacing(points), "m", wanted=">= 1")


def tile(folder: Path, real: Path) -> tuple[int, int]:
    """Write the region's extract and LSOAs; return how many ways and LSOAs it has."""
    nodes, ways, outlines = [], [], []
    for borough in BOROUGHS:
        with gzip.open(real / borough / "roads_drive_2025-08-10.osm.gz", "rt", encoding="utf-8") as extract:
            lines = extract.readlines()
        nodes += [line for line in lines if line.startswith("<node")]
        ways += [line for line in lines if line.startswith("<way")]
        outlines.append(gpd.read_file(f"/vsigzip/{real / borough / 'lsoa21.geojson.gz'}"))
    # streets where the two meet would be there twice
    nodes, ways = list(dict.fromkeys(nodes)), list(dict.fromkeys(ways))
    lsoas = pd.concat(outlines, ignore_index=True).rename(columns={"LSOA21CD": "lsoa_code"})
    shifts = [(number - N_TILES // 2) * TILE_DEG for number in range(N_TILES)]
    with (folder / "region.osm").open("w", encoding="utf-8") as region:
        region.write('<?xml version="1.0" encoding="UTF-8"?>\n<osm version="0.6">\n')
        for lines in (nodes, ways):
            for number, shift_deg in enumerate(shifts):
                region.writelines(shifted(line, number * HIGHEST_ID, shift_deg) for line in lines)
        region.write("</osm>\n")
    copies = [
        lsoas.assign(lsoa_code=f"{number}-" + lsoas["lsoa_code"], geometry=lsoas.translate(shift_deg))
        for number, shift_deg in enumerate(shifts)
    ]
    together = gpd.GeoDataFrame(pd.concat(copies, ignore_index=True), crs="EPSG:4326").to_crs("EPSG:27700")
    together[["lsoa_code", "geometry"]].to_parquet(folder / "lsoas.parquet")
    return N_TILES * len(ways), len(together)


def shifted(line: str, number: int, east_deg: float) -> str:
    """Give a line of an extract other numbers, and a node another longitude."""
    line = re.sub(r' (id|ref)="(\d+)"', lambda found: f' {found[1]}="{int(found[2]) + number}"', line)
    return re.sub(r' lon="([^"]+)"', lambda found: f' lon="{float(found[1]) + east_deg:.7f}"', line)


def sample_region(folder: str) -> dict[str, float]:
    """Go from extract to sample points, as three assets do."""
    began = time.monotonic()
    place, lsoas = load_study("england").geography, gpd.read_parquet(Path(folder, "lsoas.parquet"))
    edges = read_road_edges(
        lsoas,
        roads_file=Path(folder, "region.osm"),
        highway_classes=place.highway_classes,
        include_tunnels=place.include_tunnels,
        include_private=place.include_private,
        cache_folder=Path(folder, "cache"),
    )
    segments = sampling.undirected_segments(edges, lsoas)
    points = sample(segments, lsoas)
    # what is compared with is not part of it
    return {
        "seconds": time.monotonic() - began,
        "peak_mib": peak_mib(),
        "n_points": len(points),
        "km": float(segments.length.sum() / 1000),
        "n_as_notebooks": len(sample_as_notebooks(edges)),
        "apart_m": sampling.smallest_spacing(points),
    }


def region() -> Iterator[Finding]:
    """Sample the region in a fresh process."""
    named = os.environ.get("STREETIMD_REAL_DATA")
    if not named or not Path(named).is_dir():
        yield Finding("a region from extract to points", None, "s", why="STREETIMD_REAL_DATA names no folder")
        return
    with tempfile.TemporaryDirectory() as folder:
        n_ways, n_lsoas = tile(Path(folder), Path(named))
        found = in_fresh_process("sampling:sample_region", folder)
    what = f"a region (tiled) of {n_ways:,} ways, {found['km']:,.0f} km and {n_lsoas:,} LSOAs"
    way = "OSMnx's interpolate_points on directed edges"
    yield Finding(f"{what}, from extract to points", found["seconds"], "s", wanted="<= 60")
    yield Finding(f"largest memory of {what}", found["peak_mib"], "MiB", wanted="<= 2048")
    yield Finding(f"points of {what}", found["n_points"], "points", way, found["n_as_notebooks"])
    yield Finding(f"nearest two points of {what}", found["apart_m"], "m", wanted=">= 1")


def measure() -> Iterator[Finding]:
    """Measure all."""
    yield from synthetic()
    yield from region()


if __name__ == "__main__":
    sys.exit(conclude("sampling", measure(), keep=parser(__doc__).parse_args().keep))
