"""Roads from OpenStreetMap, through OSMnx: from an Overpass server, or from an extract on disk.

Data © OpenStreetMap contributors, available under the Open Database Licence.
"""

import gc
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import RoadError
from streetimd_assets.sources.downloads import Download, local_file
from streetimd_assets.sources.extracts import cut_out_roads
from streetimd_assets.sources.overpass import REMEDY, osmnx_settings
from streetimd_assets.sources.web import Busy, without_secrets

if TYPE_CHECKING:
    import geopandas as gpd
    import networkx as nx
    from shapely import MultiPolygon, Polygon

# roads are fetched this far beyond the LSOAs, so that streets on the border are whole
BORDER_M = 100.0
# an Overpass server that is busy needs longer than others do
WAITS_S = (2.0, 15.0, 60.0)
# as in OSMnx's "drive": what is no road for the public's cars, whatever its class
_NO_STREETS = ("alley", "driveway", "emergency_access", "parking", "parking_aisle", "private")


@dataclass(frozen=True)
class RoadChoice:
    """Which ways of OpenStreetMap are roads to sample.

    Parameters
    ----------
    highway_classes
        Values of ``highway``.
    include_tunnels
        Take those with a ``tunnel`` too. Bridges are always taken.
    include_private
        Take those with ``access`` ``private`` or ``no`` too.
    """

    highway_classes: tuple[str, ...]
    include_tunnels: bool
    include_private: bool

    @property
    def query(self) -> str:
        """What the Overpass server is asked for; the rest is judged here, so both ways to roads agree."""
        return f'["highway"~"^({"|".join(sorted(self.highway_classes))})$"]["area"!~"^yes$"]'

    def takes(self, tags: Mapping[str, Any]) -> bool:
        """True if a way with these tags is wanted."""
        return (
            tags.get("highway") in self.highway_classes
            and tags.get("area") != "yes"
            and "no" not in (tags.get("motor_vehicle"), tags.get("motorcar"))
            and tags.get("service") not in _NO_STREETS
            and (self.include_tunnels or tags.get("tunnel", "no") == "no")
            and (self.include_private or tags.get("access") not in ("private", "no"))
        )


@contextmanager
def _collecting_garbage_last() -> Iterator[None]:
    """Let Python look for garbage only afterwards: among the millions of parts of a graph that takes longest."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
            gc.collect()


@_collecting_garbage_last()
def fetch_road_edges(
    lsoas: "gpd.GeoDataFrame",
    *,
    overpass_url: str,
    highway_classes: Sequence[str],
    include_tunnels: bool,
    include_private: bool,
    cache_folder: Path,
) -> "gpd.GeoDataFrame":
    """Fetch the directed road network in and just around some LSOAs.

    An edge runs from one junction, dead end or change of OpenStreetMap way to the next, so it
    belongs to one way; a two-way street is two edges. Parts of the network that are not connected
    with the rest are kept.

    Parameters
    ----------
    lsoas
        LSOAs with ``geometry`` in EPSG:27700.
    overpass_url
        Address of the Overpass API, without ``/interpreter``.
    highway_classes, include_tunnels, include_private
        As in :class:`RoadChoice`.
    cache_folder
        Where answers are kept: the same LSOAs and classes are asked for once.

    Returns
    -------
    edges
        ``from_node``, ``to_node``, ``osm_way_id``, ``road_name`` (None if it has none), ``highway``
        and ``geometry`` in EPSG:27700, in the order of ways and nodes.

    Raises
    ------
    RoadError
        If the server cannot be reached, refuses, gives up on the query, or knows no road here.

    References
    ----------
    Boeing (2025), Modeling and analyzing urban networks and amenities with OSMnx.
    https://doi.org/10.1111/gean.70009
    """
    choice = RoadChoice(tuple(highway_classes), include_tunnels, include_private)
    area, folder = _area_to_ask(lsoas), _folder_of_answers(lsoas, overpass_url, choice, cache_folder)
    for wait_s in (*WAITS_S, None):
        try:
            with osmnx_settings(overpass_url, folder):
                graph = _fetch_graph(area, choice)
            return _as_edges(_roads_only(graph, choice, without_secrets(overpass_url)))
        except Busy as busy:
            if wait_s is None:
                raise RoadError(
                    f"{without_secrets(overpass_url)} did not answer after {len(WAITS_S) + 1} tries ({busy}); "
                    f"try again later, or {REMEDY}"
                ).passing() from None
            time.sleep(wait_s if busy.wait_s is None else busy.wait_s)
        except json.JSONDecodeError:
            # a run was stopped while OSMnx was writing its cache
            _sweep_cache(folder)
    raise RoadError(f"'{folder}' holds answers that cannot be read; empty that folder and run again")


@_collecting_garbage_last()
def read_road_edges(
    lsoas: "gpd.GeoDataFrame",
    *,
    roads_file: Path,
    highway_classes: Sequence[str],
    include_tunnels: bool,
    include_private: bool,
    cache_folder: Path,
) -> "gpd.GeoDataFrame":
    """Read the directed road network in and just around some LSOAs from an extract on disk.

    The edges are those that :func:`fetch_road_edges` gets from a server with the same data.

    Parameters
    ----------
    lsoas
        LSOAs with ``geometry`` in EPSG:27700.
    roads_file
        An OpenStreetMap extract: ``.osm``, ``.osm.gz``, ``.osm.bz2`` or ``.osm.pbf``.
    highway_classes, include_tunnels, include_private
        As in :class:`RoadChoice`.
    cache_folder
        Where the part of the extract near the LSOAs is kept: it is cut out once.

    Returns
    -------
    edges
        As those of :func:`fetch_road_edges`.

    Raises
    ------
    RoadError
        If the extract cannot be read, or has no road here.
    """
    import osmnx as ox

    choice = RoadChoice(tuple(highway_classes), include_tunnels, include_private)
    area = _area_to_ask(lsoas)
    cut = cut_out_roads(roads_file, area.bounds, highway_classes=choice.highway_classes, folder=cache_folder)
    try:
        with osmnx_settings("", cache_folder):
            graph = ox.graph_from_xml(cut, simplify=False, retain_all=True)
        graph = ox.truncate.truncate_graph_polygon(graph, area, truncate_by_edge=True)
    except ValueError:
        graph = None
    # graphs are garbage in circles, and there have been two of them
    gc.collect()
    return _as_edges(_roads_only(graph, choice, f"'{roads_file}'"))


def road_provenance(
    lsoas: "gpd.GeoDataFrame",
    *,
    overpass_url: str,
    roads_file: Path | None,
    highway_classes: Sequence[str],
    cache_folder: Path,
) -> list[Download]:
    """Say where the roads of some LSOAs came from, after they were fetched or read.

    Parameters
    ----------
    lsoas, overpass_url, highway_classes, cache_folder
        As they were given to :func:`fetch_road_edges`.
    roads_file
        The extract, if roads were read from one.

    Returns
    -------
    answers
        The extract, or the server's answers as they are kept, by hash; ``note`` is the date of their data,
        where the server says it.
    """
    if roads_file is not None:
        return [local_file(roads_file, error=RoadError, remedy="name another file in geography.roads_file")]
    choice = RoadChoice(tuple(highway_classes), include_tunnels=False, include_private=False)
    folder = _folder_of_answers(lsoas, overpass_url, choice, cache_folder)
    remedy = "empty that folder and run again"
    answers = [local_file(path, error=RoadError, remedy=remedy) for path in sorted(folder.glob("*.json"))]
    return [
        replace(answer, address=without_secrets(overpass_url), note=_date_of_data(answer.path))
        for answer in answers
    ]


def _date_of_data(answer: Path) -> str | None:
    said = json.loads(answer.read_text(encoding="utf-8")).get("osm3s", {}).get("timestamp_osm_base")
    return f"OpenStreetMap as of {said}" if said else None


def _folder_of_answers(lsoas: "gpd.GeoDataFrame", overpass_url: str, choice: RoadChoice, folder: Path) -> Path:
    asked = f"{overpass_url} {choice.query} {_area_to_ask(lsoas).wkt}"
    return folder / hashlib.sha256(asked.encode()).hexdigest()[:16]


def _area_to_ask(lsoas: "gpd.GeoDataFrame") -> "Polygon | MultiPolygon":
    """One outline around the LSOAs in longitude and latitude, short enough for a query."""
    import geopandas as gpd

    outline = lsoas.geometry.union_all().buffer(BORDER_M).simplify(BORDER_M / 4)
    return gpd.GeoSeries([outline], crs="EPSG:27700").to_crs("EPSG:4326").iloc[0]


def _fetch_graph(area: "Polygon | MultiPolygon", choice: RoadChoice) -> "nx.MultiDiGraph | None":
    """Fetch a graph of every stretch from node to node, None if there is none, or plead to ask again."""
    import osmnx as ox
    import requests

    try:
        return ox.graph_from_polygon(
            area, custom_filter=choice.query, simplify=False, retain_all=True, truncate_by_edge=True
        )
    except json.JSONDecodeError:
        raise
    except requests.RequestException as problem:
        raise Busy(f"{type(problem).__name__}: no connection, or it was cut off") from None
    except ValueError:
        return None


def _roads_only(graph: "nx.MultiDiGraph | None", choice: RoadChoice, origin: str) -> "nx.MultiDiGraph":
    """Leave out what is not wanted, and then the nodes where nothing meets any more."""
    import networkx as nx
    import osmnx as ox

    if graph is not None:
        edges = graph.edges(keys=True, data=True)
        graph.remove_edges_from([(u, v, key) for u, v, key, tags in edges if not choice.takes(tags)])
        graph.remove_nodes_from(list(nx.isolates(graph)))
    if not graph:
        raise RoadError(
            f"{origin} knows no road of the classes wanted in these LSOAs ({', '.join(choice.highway_classes)}); "
            "name more in geography.highway_classes, or roads from elsewhere in geography.overpass_url or "
            "geography.roads_file"
        )
    # rings are kept: a crescent that meets no other road is a road
    return ox.simplify_graph(graph, edge_attrs_differ=["osmid"], remove_rings=False)


def _sweep_cache(cache_folder: Path) -> None:
    """Remove the answers that are not whole."""
    for path in cache_folder.glob("*.json"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            path.unlink()


def _as_edges(graph: "nx.MultiDiGraph") -> "gpd.GeoDataFrame":
    import osmnx as ox

    edges = ox.convert.graph_to_gdfs(graph, nodes=False).reset_index()
    edges = edges.rename(columns={"u": "from_node", "v": "to_node", "osmid": "osm_way_id", "name": "road_name"})
    columns = ["from_node", "to_node", "osm_way_id", "road_name", "highway"]
    edges = edges.reindex(columns=[*columns, "key", "geometry"]).set_crs(edges.crs)
    edges["road_name"] = edges["road_name"].astype(object).where(edges["road_name"].notna(), None)
    order = ["osm_way_id", "from_node", "to_node", "key"]
    edges = edges.sort_values(order, ignore_index=True).drop(columns="key")
    return edges.to_crs("EPSG:27700")
