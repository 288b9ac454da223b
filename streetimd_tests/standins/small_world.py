"""Two small invented districts: squares as LSOAs, a grid of streets, and a File 7.

Everything is known by construction. West and East are each four squares wide and three high; a
street runs along each inner border, and one way of West begins outside of it.
"""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import shapely

WEST, EAST = "E09000801", "E09000802"
NAMES = {WEST: "West", EAST: "East"}
COLUMNS, ROWS = 4, 3
WIDTH_DEG, HEIGHT_DEG = 0.004, 0.0025
ORIGINS = {WEST: (-0.10, 51.50), EAST: (-0.04, 51.50)}

DOMAINS = (
    "Index of Multiple Deprivation (IMD) Score",
    "Income Score (rate)",
    "Employment Score (rate)",
    "Education, Skills and Training Score",
    "Health Deprivation and Disability Score",
    "Crime Score",
    "Barriers to Housing and Services Score",
    "Living Environment Score",
)
RANK, DECILE = "Rank (where 1 is most deprived)", "Decile (where 1 is most deprived 10% of LSOAs)"


def lsoa_codes(lad_code: str) -> list[str]:
    return [f"E01{lad_code[-3:]}{number:03d}" for number in range(1, COLUMNS * ROWS + 1)]


def lsoa_features() -> list[dict[str, Any]]:
    """GeoJSON features of all 24 LSOAs, with the fields of the ONS service."""
    features = []
    for lad_code, (west, south) in ORIGINS.items():
        for number, code in enumerate(lsoa_codes(lad_code)):
            row, column = divmod(number, COLUMNS)
            x, y = west + column * WIDTH_DEG, south + row * HEIGHT_DEG
            right, top = x + WIDTH_DEG, y + HEIGHT_DEG
            corners = [(x, y), (right, y), (right, top), (x, top), (x, y)]
            # neighbours share their corners to the last digit
            ring = [[round(degrees, 6) for degrees in corner] for corner in corners]
            name = f"{NAMES[lad_code]} {number + 1:03d}A"
            properties = {"FID": len(features) + 1, "LSOA21CD": code, "LSOA21NM": name}
            geometry = {"type": "Polygon", "coordinates": [ring]}
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return features


def lookup_features() -> list[dict[str, Any]]:
    """Rows of the look-up; the first LSOA of West lies in two wards and so stands there twice."""
    rows = [
        {"LSOA21CD": code, "LSOA21NM": code, "WD24CD": "E05000001", "LAD24CD": lad, "LAD24NM": NAMES[lad]}
        for lad in NAMES
        for code in lsoa_codes(lad)
    ]
    rows.append({**rows[0], "WD24CD": "E05000002"})
    return [{"properties": row, "geometry": None} for row in rows]


def outline(lad_code: str) -> shapely.Polygon:
    west, south = ORIGINS[lad_code]
    return shapely.box(west, south, west + COLUMNS * WIDTH_DEG, south + ROWS * HEIGHT_DEG)


def overpass_reply(lad_code: str) -> bytes:
    """Streets along the inner borders, one of them one-way; an unconnected ring; a bay without a name."""
    west, south = ORIGINS[lad_code]
    base = 1000 if lad_code == WEST else 2000
    nodes: list[dict[str, Any]] = []
    ways: list[dict[str, Any]] = []

    def add_way(points: list[tuple[float, float]], **tags: str) -> None:
        references = [_node(nodes, base, x, y) for x, y in points]
        ways.append({"type": "way", "id": base + 500 + len(ways), "nodes": references, "tags": tags})

    middle = [south + row * HEIGHT_DEG for row in (1, 2)]
    across = [west + column * WIDTH_DEG for column in (1, 2, 3)]
    end = west + COLUMNS * WIDTH_DEG
    for y, name in zip(middle, ("Low Street", "High Street"), strict=True):
        add_way([(west, y), *((x, y) for x in across), (end, y)], highway="residential", name=name)
    top = south + ROWS * HEIGHT_DEG
    for x, name in zip(across, ("First Lane", "Second Lane", "Third Lane"), strict=True):
        oneway = {"oneway": "yes"} if name == "First Lane" else {}
        # the lanes begin two kilometres to the south, outside of the district
        add_way([(x, south - 0.02), *((x, y) for y in middle), (x, top)], highway="tertiary", name=name, **oneway)
    x, y = west + 0.001, south + 0.001
    add_way([(x, y), (x + 0.0005, y), (x + 0.0005, y + 0.0005), (x, y)], highway="residential")
    reply = {"version": 0.6, "generator": "stand-in", "elements": [*nodes, *ways]}
    return json.dumps(reply).encode()


def _node(nodes: list[dict[str, Any]], base: int, x: float, y: float) -> int:
    for node in nodes:
        if (node["lon"], node["lat"]) == (x, y):
            return int(node["id"])
    nodes.append({"type": "node", "id": base + len(nodes), "lat": y, "lon": x})
    return int(nodes[-1]["id"])


def everyone() -> list[tuple[str, str, str]]:
    """The 24 LSOAs: code and name of the district, code of the LSOA."""
    return [(lad, NAMES[lad], code) for lad in NAMES for code in lsoa_codes(lad)]


def deprivation_csv(
    lsoas: Sequence[tuple[str, str, str]] | None = None, *, lsoa_year: int = 2021, lad_year: int = 2024
) -> bytes:
    """A File 7 of n LSOAs, by default :func:`everyone`: the kth has rank k in everything, and score n - k."""
    header = [
        f"LSOA code ({lsoa_year})",
        f"LSOA name ({lsoa_year})",
        f"Local Authority District code ({lad_year})",
        f"Local Authority District name ({lad_year})",
    ]
    for score in DOMAINS:
        label = score.partition(" Score")[0]
        header += [score, f"{label} {RANK}", f"{label} {DECILE}"]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    listed = everyone() if lsoas is None else lsoas
    for rank, (lad_code, name, code) in enumerate(listed, start=1):
        decile = (rank - 1) * 10 // len(listed) + 1
        writer.writerow([code, code, lad_code, name, *[len(listed) - rank, rank, decile] * len(DOMAINS)])
    return text.getvalue().encode()
