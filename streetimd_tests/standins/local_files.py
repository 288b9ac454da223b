"""The invented district West as files on disk, under the code of a local authority that England has."""

import json
from pathlib import Path
from xml.etree import ElementTree

from streetimd_tests.standins import small_world


def write_district(folder: Path, lad_code: str = "E09000007") -> str:
    """Write boundaries, look-up, roads and index; return the sections of a study that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    codes = set(small_world.lsoa_codes(small_world.WEST))
    features = [f for f in small_world.lsoa_features() if f["properties"]["LSOA21CD"] in codes]
    collection = {"type": "FeatureCollection", "features": features}
    (folder / "lsoas.geojson").write_text(json.dumps(collection), encoding="utf-8")
    rows = "".join(f"{code},{lad_code}\n" for code in sorted(codes))
    (folder / "lookup.csv").write_text(f"LSOA21CD,LAD24CD\n{rows}", encoding="utf-8")
    index = small_world.deprivation_csv().decode().replace(small_world.WEST, lad_code)
    (folder / "index.csv").write_text(index, encoding="utf-8")
    _write_osm(folder / "roads.osm")
    return (
        f'[geography]\nboundaries = "{folder}/lsoas.geojson"\nlookup = "{folder}/lookup.csv"\n'
        f'roads_file = "{folder}/roads.osm"\n[deprivation]\nurl = "{folder}/index.csv"\ncovers = "part"\n'
    )


def _write_osm(path: Path) -> None:
    """Write the streets as OpenStreetMap XML, as an extract has them."""
    osm = ElementTree.Element("osm", version="0.6", generator="stand-in")
    for element in json.loads(small_world.overpass_reply(small_world.WEST))["elements"]:
        position = {name: str(element[name]) for name in ("lat", "lon") if name in element}
        item = ElementTree.SubElement(osm, element["type"], id=str(element["id"]), version="1", **position)
        for node in element.get("nodes", ()):
            ElementTree.SubElement(item, "nd", ref=str(node))
        for key, value in element.get("tags", {}).items():
            ElementTree.SubElement(item, "tag", k=key, v=value)
    ElementTree.ElementTree(osm).write(path, encoding="utf-8", xml_declaration=True)
