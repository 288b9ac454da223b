"""Cut the roads near a place out of an OpenStreetMap extract on disk.

Data © OpenStreetMap contributors, available under the Open Database Licence.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from streetimd_assets.errors import RoadError

if TYPE_CHECKING:
    import osmium

Node = tuple[int, float, float]
Bounds = tuple[float, float, float, float]

# all that decides whether a way is a road, which way it runs and what it is called: half of a file is other tags
_TAGS = frozenset(
    ("highway", "name", "oneway", "junction", "access", "area", "motor_vehicle", "motorcar", "service", "tunnel")
)


def cut_out_roads(roads_file: Path, bounds: Bounds, *, highway_classes: Sequence[str], folder: Path) -> Path:
    """Write the ways of some classes that have a node within bounds, whole, to a small file; or find it written.

    The extract is read once from beginning to end. Only the positions of its nodes are held in memory
    meanwhile, about 16 bytes each: some 200 MB for Greater London, 3 GB for England.

    Parameters
    ----------
    roads_file
        An extract in which nodes come before ways, as they do by custom: ``.osm``, ``.osm.gz``, ``.osm.bz2``
        or ``.osm.pbf``.
    bounds
        West, south, east and north, EPSG:4326.
    highway_classes
        Values of OpenStreetMap's ``highway``.
    folder
        Where the small file is kept, under a name that stands for the extract, bounds and classes.

    Returns
    -------
    path
        OpenStreetMap XML: nodes, without tags, and ways, with those tags that count.

    Raises
    ------
    RoadError
        If the extract cannot be read or the folder not be written to.
    """
    path = folder / f"{_name_of_cut(roads_file, bounds, highway_classes)}.osm"
    if path.is_file():
        return path
    try:
        ways = _ways_near(roads_file, bounds, highway_classes)
    except (RuntimeError, ValueError, OSError) as problem:
        raise RoadError(
            f"'{roads_file}' cannot be read as an OpenStreetMap extract ({problem}); download it again, or name "
            "another .osm, .osm.gz, .osm.bz2 or .osm.pbf file in geography.roads_file"
        ) from None
    # written under another name first: nobody ever reads half of it
    temporary = folder / f".{path.stem}-{os.getpid()}.osm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(temporary, ways)
        os.replace(temporary, path)
    except (RuntimeError, OSError) as problem:
        raise RoadError(
            f"{folder} cannot be written to ({problem}); free some space, or set STREETIMD_DATA to a folder you "
            "may write to"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _name_of_cut(roads_file: Path, bounds: Bounds, highway_classes: Sequence[str]) -> str:
    try:
        found = roads_file.stat()
    except OSError as problem:
        raise RoadError(
            f"'{roads_file}' cannot be read ({problem.strerror}); name an OpenStreetMap extract on disk in "
            "geography.roads_file, or leave it out to ask the Overpass server"
        ) from None
    said = (str(roads_file.resolve()), found.st_size, found.st_mtime_ns, bounds, sorted(highway_classes))
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _ways_near(
    roads_file: Path, bounds: Bounds, highway_classes: Sequence[str]
) -> list[tuple[int, dict[str, str], list[Node]]]:
    """Read id, tags and nodes of the ways wanted, in the order of the file."""
    import osmium

    wanted = osmium.filter.TagFilter(*(("highway", name) for name in highway_classes))
    reading = osmium.FileProcessor(roads_file).with_locations()
    ways = []
    for way in reading.with_filter(osmium.filter.EntityFilter(osmium.osm.WAY)).with_filter(wanted):
        nodes = _located(cast("osmium.osm.Way", way))
        if any(bounds[0] <= east <= bounds[2] and bounds[1] <= north <= bounds[3] for _, east, north in nodes):
            ways.append((way.id, {tag.k: tag.v for tag in way.tags if tag.k in _TAGS}, nodes))
    return ways


def _located(way: "osmium.osm.Way") -> list[Node]:
    """Return the nodes of a way, of its longest part if nodes between are not in the extract."""
    parts: list[list[Node]] = [[]]
    for node in way.nodes:
        if node.location.valid():
            parts[-1].append((node.ref, node.lon, node.lat))
        elif parts[-1]:
            parts.append([])
    return max(parts, key=len)


def _write(path: Path, ways: Sequence[tuple[int, dict[str, str], list[Node]]]) -> None:
    import osmium

    nodes = {node: (east, north) for _, _, part in ways for node, east, north in part}
    with osmium.SimpleWriter(path) as writer:
        for node, place in nodes.items():
            writer.add_node(osmium.osm.mutable.Node(id=node, location=place))
        for way, tags, part in ways:
            references = [node for node, _, _ in part]
            writer.add_way(osmium.osm.mutable.Way(id=way, tags=tags, nodes=references))
