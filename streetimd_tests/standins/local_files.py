"""Copies of the invented district West as files on disk, under the codes of local authorities that England has."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from streetimd_tests.standins import small_world

# from the west edge of one copy to that of the next
APART_DEG = 0.05
CAMDEN = "E09000007"


def write_district(folder: Path, lad_code: str = CAMDEN) -> str:
    """Write boundaries, look-up, roads and index of one copy; return the sections of a study that name them."""
    return write_districts(folder, [lad_code])


def write_districts(folder: Path, lad_codes: Sequence[str]) -> str:
    """Write copies side by side, the first where West is; return the sections of a study that name the files."""
    folder.mkdir(parents=True, exist_ok=True)
    copies = list(enumerate(lad_codes))
    features = [feature for number, _ in copies for feature in _features(number)]
    collection = {"type": "FeatureCollection", "features": features}
    (folder / "lsoas.geojson").write_text(json.dumps(collection), encoding="utf-8")
    lsoas = [(lad_code, lad_code, code) for number, lad_code in copies for code in _codes(number)]
    rows = "".join(f"{code},{lad_code}\n" for lad_code, _, code in lsoas)
    (folder / "lookup.csv").write_text(f"LSOA21CD,LAD24CD\n{rows}", encoding="utf-8")
    (folder / "index.csv").write_bytes(small_world.deprivation_csv(lsoas))
    _write_osm(folder / "roads.osm", [element for number, _ in copies for element in _streets(number)])
    return (
        f'[geography]\nboundaries = "{folder}/lsoas.geojson"\nlookup = "{folder}/lookup.csv"\n'
        f'roads_file = "{folder}/roads.osm"\n[deprivation]\nurl = "{folder}/index.csv"\ncovers = "part"\n'
    )


def _codes(number: int) -> list[str]:
    """LSOAs of a copy; those of the first are West's own."""
    return [f"E01{number:03d}{code[6:]}" if number else code for code in small_world.lsoa_codes(small_world.WEST)]


def _features(number: int) -> list[dict[str, Any]]:
    west = [
        feature
        for feature in small_world.lsoa_features()
        if feature["properties"]["LSOA21CD"] in set(small_world.lsoa_codes(small_world.WEST))
    ]
    for feature, code in zip(west, _codes(number), strict=True):
        feature["properties"]["LSOA21CD"] = code
        (ring,) = feature["geometry"]["coordinates"]
        feature["geometry"]["coordinates"] = [[[_east(x, number), y] for x, y in ring]]
    return west


def _streets(number: int) -> list[Mapping[str, Any]]:
    """Nodes and ways of a copy, each with a number of its own."""
    elements = json.loads(small_world.overpass_reply(small_world.WEST))["elements"]
    for element in elements:
        element["id"] += 10_000 * number
        if "lon" in element:
            element["lon"] = _east(element["lon"], number)
        element["nodes"] = [node + 10_000 * number for node in element.get("nodes", ())]
    return elements


def _east(longitude_deg: float, number: int) -> float:
    # neighbours share their corners to the last digit
    return round(longitude_deg + APART_DEG * number, 6)


def _write_osm(path: Path, elements: Sequence[Mapping[str, Any]]) -> None:
    """Write the streets as OpenStreetMap XML, as an extract has them: nodes, then ways."""
    osm = ElementTree.Element("osm", version="0.6", generator="stand-in")
    for element in sorted(elements, key=lambda element: element["type"]):
        position = {name: str(element[name]) for name in ("lat", "lon") if name in element}
        item = ElementTree.SubElement(osm, element["type"], id=str(element["id"]), version="1", **position)
        for node in element["nodes"]:
            ElementTree.SubElement(item, "nd", ref=str(node))
        for key, value in element.get("tags", {}).items():
            ElementTree.SubElement(item, "tag", k=key, v=value)
    ElementTree.ElementTree(osm).write(path, encoding="utf-8", xml_declaration=True)
