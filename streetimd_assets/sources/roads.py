"""Roads from OpenStreetMap, through OSMnx and an Overpass server.

Data © OpenStreetMap contributors, available under the Open Database Licence.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import RoadError
from streetimd_assets.sources.asking import BUSY_STATUSES, USER_AGENT, Busy, read_wait, without_secrets

if TYPE_CHECKING:
    import geopandas as gpd
    import networkx as nx
    import requests
    from shapely import MultiPolygon, Polygon

# roads are fetched this far beyond the LSOAs, so that streets on the border are whole
BORDER_M = 100.0
# an Overpass server that is busy needs longer than others do
WAITS_S = (2.0, 15.0, 60.0)
_REMEDY = "name another server in geography.overpass_url"

# OSMnx keeps its settings in one module for the whole process
_settings_lock = threading.Lock()


def fetch_road_edges(
    lsoas: "gpd.GeoDataFrame", *, overpass_url: str, network_type: str, cache_folder: Path
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
    network_type
        Kind of network, in OSMnx's words: ``drive``, ``walk``, …
    cache_folder
        Where answers are kept: the same LSOAs are asked for once.

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
    area = _area_to_ask(lsoas)
    for wait_s in (*WAITS_S, None):
        try:
            with _settings_lock, _osmnx_settings(overpass_url, cache_folder):
                graph = _fetch_graph(area, overpass_url, network_type)
            return _as_edges(graph)
        except Busy as busy:
            if wait_s is None:
                raise RoadError(
                    f"{without_secrets(overpass_url)} did not answer after {len(WAITS_S) + 1} tries ({busy}); "
                    f"try again later, or {_REMEDY}"
                ) from None
            time.sleep(wait_s if busy.wait_s is None else busy.wait_s)
        except json.JSONDecodeError:
            # a run was stopped while OSMnx was writing its cache
            _sweep_cache(cache_folder)
    raise RoadError(f"'{cache_folder}' holds answers that cannot be read; empty that folder and run again")


def _area_to_ask(lsoas: "gpd.GeoDataFrame") -> "Polygon | MultiPolygon":
    """One outline around the LSOAs in longitude and latitude, short enough for a query."""
    import geopandas as gpd

    outline = lsoas.geometry.union_all().buffer(BORDER_M).simplify(BORDER_M / 4)
    return gpd.GeoSeries([outline], crs="EPSG:27700").to_crs("EPSG:4326").iloc[0]


def _fetch_graph(area: "Polygon | MultiPolygon", overpass_url: str, network_type: str) -> "nx.MultiDiGraph":
    """Fetch and simplify a graph; every way out is a graph, a plea to ask again or a sentence."""
    import osmnx as ox
    import requests

    server = without_secrets(overpass_url)
    try:
        graph = ox.graph_from_polygon(
            area, network_type=network_type, simplify=False, retain_all=True, truncate_by_edge=True
        )
    except json.JSONDecodeError:
        raise
    except requests.RequestException as problem:
        raise Busy(f"{type(problem).__name__}: no connection, or it was cut off") from None
    except ValueError:
        raise RoadError(
            f"{server} knows no '{network_type}' roads in these LSOAs; set geography.network_type to another "
            f"kind, or {_REMEDY}"
        ) from None
    # rings are kept: a crescent that meets no other road is a road
    return ox.simplify_graph(graph, edge_attrs_differ=["osmid"], remove_rings=False)


@contextmanager
def _osmnx_settings(overpass_url: str, cache_folder: Path) -> Iterator[None]:
    """Give OSMnx our settings, and put back what it had; it also replaces ``getaddrinfo``."""
    from osmnx import settings

    ours: dict[str, Any] = {
        "overpass_url": overpass_url.rstrip("/"),
        "cache_folder": cache_folder,
        "use_cache": True,
        "cache_only_mode": False,
        "log_console": False,
        "log_file": False,
        "http_user_agent": USER_AGENT,
        "http_referer": USER_AGENT,
        # no third party is asked where the server is
        "doh_url_template": None,
        "requests_kwargs": {"auth": _NotAlone(), "hooks": {"response": _judge_answer}},
    }
    before = {name: getattr(settings, name) for name in ours}
    getaddrinfo = socket.getaddrinfo
    for name, value in ours.items():
        setattr(settings, name, value)
    try:
        yield
    finally:
        socket.getaddrinfo = getaddrinfo
        for name, value in before.items():
            setattr(settings, name, value)


class _NotAlone:
    """Stops at once where no server listens: OSMnx would wait a minute before it says so.

    requests calls its ``auth`` before it sends, and not at all for an answer from the cache.
    """

    def __init__(self) -> None:
        self._has_answered = False

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        import requests

        if not self._has_answered:
            try:
                requests.get(str(request.url), headers={"User-Agent": USER_AGENT}, timeout=30).close()
            except requests.RequestException:
                raise Busy("nothing answers at that address") from None
            self._has_answered = True
        return request


def _judge_answer(answer: "requests.Response", **_: object) -> None:
    """Judge an answer before OSMnx does, which waits without end and overlooks a remark.

    A query that ran out of time or memory is answered with status 200, a remark, and perhaps a
    part of the roads.
    """
    if answer.status_code in BUSY_STATUSES:
        said = f"{answer.status_code} {answer.reason}"
        raise Busy(said, read_wait(answer.headers.get("Retry-After")))
    if not answer.url.endswith("/interpreter"):
        return
    server, body = without_secrets(answer.url), answer.content.strip()
    if answer.status_code != 200 or not body.startswith(b"{"):
        said = f"{answer.status_code} {answer.reason}" if answer.status_code != 200 else "a page, not roads"
        raise RoadError(f"{server} answered {said}; {_REMEDY}")
    if not body.endswith(b"}"):
        raise Busy("its answer broke off")
    # the remark follows the roads, at the very end of the answer
    remark = answer.json().get("remark") if b'"remark"' in body[-2000:] else None
    if remark:
        raise RoadError(f"{server} gave up on the query ({remark}); try again later, or {_REMEDY}")


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
