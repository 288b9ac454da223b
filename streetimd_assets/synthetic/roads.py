"""The synthetic world's roads, as OpenStreetMap gives them: oddities included.

Two-way streets come as two directed edges, some edges come twice, some have no length. There are
one-way streets, dead ends, second streets between the same two junctions, streets along the border
of two LSOAs or local authorities and across it, and one LSOA without any.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
import shapely.ops

from streetimd_assets.synthetic.chance import fraction, uniform, whole_number
from streetimd_assets.synthetic.geography import build_lsoas, places_in_world

EDGE_COLUMNS = ("from_node", "to_node", "osm_way_id", "road_name", "highway", "geometry")

_STEMS = (
    "Abbey", "Beech", "Chapel", "Dale", "Elm", "Ferry", "Grange", "Holly", "Ivy", "Juniper", "King's",
    "Lime", "Mill", "Nelson", "Orchard", "Priory", "Queen's", "Rowan", "Station", "Tanner's", "Union",
    "Victoria", "Walnut", "York",
)  # fmt: skip
_KINDS = ("Street", "Road", "Lane", "Avenue", "Terrace", "Crescent", "Close", "Grove")
_CLASSES = ("residential", "residential", "residential", "unclassified", "tertiary", "secondary", "primary")
_SHORTEST_BORDER_M = 40.0
_BORDER_ROAD_SHARE = 0.08
_DEAD_END_SHARE = 0.3
_PARALLEL_SHARE = 0.04
_ONE_WAY_SHARE = 0.1
_DUPLICATE_SHARE = 0.03
_ZERO_LENGTH_SHARE = 0.02
_NAMELESS_SHARE = 0.06
# nodes that share another's place are numbered from here, beyond all others
_TWIN_NODES = 1_000_000

Place = npt.NDArray[np.float64]


def build_road_edges(lsoas: gpd.GeoDataFrame, *, seed: int = 1) -> gpd.GeoDataFrame:
    """Build the directed road edges that touch some LSOAs of the synthetic world.

    The world's network is always laid out whole: a street on a border is the same from both sides.

    Parameters
    ----------
    lsoas
        LSOAs of the synthetic world, with ``lsoa_code`` and ``geometry``.
    seed
        The seed they were built with.

    Returns
    -------
    edges
        Directed edges as OSMnx gives them: ``from_node``, ``to_node``, ``osm_way_id``,
        ``road_name`` (None if nameless), ``highway`` and ``geometry`` (lines, EPSG:27700, whole also
        where they leave the LSOAs).

    Raises
    ------
    BoundaryError
        If an LSOA is not one of the synthetic world of that seed.
    """
    rows = places_in_world(lsoas, seed=seed)
    edges = _world_edges(seed)
    # by place, not by outline: an edge of no length has no place of its own in GEOS's eyes
    starts = shapely.get_point(edges.geometry.values, 0)
    area = shapely.union_all(build_lsoas(seed=seed).geometry.values[rows])
    shapely.prepare(area)
    touching = shapely.intersects(area, edges.geometry.values) | shapely.intersects(area, starts)
    return edges[touching].reset_index(drop=True)


@cache
def _world_edges(seed: int) -> gpd.GeoDataFrame:
    lsoas = build_lsoas(seed=seed)
    borders = _shared_borders(lsoas)
    roadless = whole_number("roadless", seed, below=len(lsoas))
    pairs = [pair for pair in borders if roadless not in pair]
    centres = shapely.get_coordinates(shapely.point_on_surface(lsoas.geometry.values))
    network = _Network(seed, lsoas.geometry.values[roadless])
    for first, second in _linked(pairs, seed):
        border = borders[first, second]
        crossing = shapely.get_coordinates(shapely.line_interpolate_point(border, 0.5, normalized=True))[0]
        network.add_link(centres[first], crossing, centres[second])
        is_between_authorities = lsoas["lad_code"][first] != lsoas["lad_code"][second]
        share = _BORDER_ROAD_SHARE * (3 if is_between_authorities else 1)
        if fraction("border road", seed, first, second) < share:
            network.add_border_road(border, crossing)
    for i, centre in enumerate(centres):
        if fraction("dead end", seed, i) < _DEAD_END_SHARE:
            network.add_dead_end(centre)
    return gpd.GeoDataFrame(network.edges, columns=list(EDGE_COLUMNS), geometry="geometry", crs="EPSG:27700")


def _shared_borders(lsoas: gpd.GeoDataFrame) -> dict[tuple[int, int], shapely.LineString]:
    """Find the border of each two neighbouring LSOAs, by their rows."""
    outlines = lsoas.geometry.values
    first, second = shapely.STRtree(outlines).query(outlines, predicate="touches")
    once = first < second
    pairs = sorted(zip(first[once].tolist(), second[once].tolist(), strict=True))
    borders = {}
    for a, b in pairs:
        parts = shapely.get_parts(shapely.line_merge(shapely.intersection(outlines[a], outlines[b])))
        longest = max(parts, key=shapely.length)
        if longest.length > _SHORTEST_BORDER_M:
            borders[a, b] = longest
    return borders


def _linked(pairs: list[tuple[int, int]], seed: int) -> list[tuple[int, int]]:
    """Choose which neighbours a street links: a tree of random streets, then two for every LSOA."""
    shuffled = sorted(pairs, key=lambda pair: fraction("link", seed, *pair))
    root: dict[int, int] = {}

    def find(i: int) -> int:
        while root.get(i, i) != i:
            i = root[i]
        return i

    chosen = set()
    n_streets: dict[int, int] = defaultdict(int)
    for a, b in shuffled:
        if find(a) != find(b):
            root[find(a)] = find(b)
            chosen.add((a, b))
            n_streets[a] += 1
            n_streets[b] += 1
    for a, b in shuffled:
        if (a, b) not in chosen and min(n_streets[a], n_streets[b]) < 2:
            chosen.add((a, b))
            n_streets[a] += 1
            n_streets[b] += 1
    return sorted(chosen)


@dataclass
class _Network:
    """Directed edges as they are laid, none of them touching the LSOA without roads."""

    seed: int
    roadless: shapely.Polygon
    edges: list[tuple[int, int, int, str | None, str, shapely.LineString]] = field(default_factory=list)
    nodes: dict[tuple[float, float], int] = field(default_factory=dict)
    n_ways: int = 0

    def add_link(self, first: Place, crossing: Place, second: Place) -> None:
        """Lay a street from one LSOA's middle over the border to the other's, sometimes with a second beside it."""
        halves = [self._bend(first, crossing, 14.0), self._bend(crossing, second, 14.0)]
        key = ("link", self.seed, self.n_ways)
        highway = _CLASSES[whole_number(*key, "class", below=len(_CLASSES))]
        self._add_way(halves, highway, is_one_way=fraction(*key, "one way") < _ONE_WAY_SHARE)
        if fraction(*key, "parallel") < _PARALLEL_SHARE:
            detour = self._bend(first, crossing, 14.0, at_least_m=40.0)
            self._add_way([detour], "residential", is_one_way=fraction(*key, "one way too") < 0.5)

    def add_border_road(self, border: shapely.LineString, crossing: Place) -> None:
        """Lay a street along the border of two LSOAs, through the junction on it."""
        middle = border.length / 2
        halves = []
        for start, end in ((0.0, middle), (middle, border.length)):
            along = shapely.get_coordinates(shapely.ops.substring(border, start, end))
            along[-1 if start == 0.0 else 0] = crossing
            halves.append(along)
        self._add_way(halves, "tertiary", is_one_way=False)

    def add_dead_end(self, centre: Place) -> None:
        """Lay a short street that leads nowhere."""
        key = ("dead end", self.seed, self.n_ways)
        angle, length_m = uniform(0, 2 * math.pi, *key, "angle"), uniform(35, 90, *key, "length")
        end = centre + length_m * np.array([math.sin(angle), math.cos(angle)])
        self._add_way([self._bend(centre, end, 8.0)], "residential", is_one_way=False)

    def _bend(self, start: Place, end: Place, most_m: float, at_least_m: float = 0.0) -> Place:
        """Lead a line from place to place by three more, pushed to one side."""
        key = ("bend", self.seed, *np.round(start).astype(int), *np.round(end).astype(int), int(at_least_m))
        push_m = at_least_m + uniform(-most_m if not at_least_m else 0.0, most_m, *key)
        east, north = end - start
        aside = np.array([-north, east]) / math.hypot(east, north)
        share = np.linspace(0, 1, 5)[:, None]
        return np.asarray(start + share * (end - start) + np.sin(math.pi * share) * push_m * aside)

    def _add_way(self, lines: list[Place], highway: str, *, is_one_way: bool) -> None:
        """Lay one OpenStreetMap way, edge by edge, with the oddities that may befall it."""
        shapes = [shapely.LineString(np.round(line, 2)) for line in lines]
        key = ("way", self.seed, self.n_ways)
        self.n_ways += 1
        if any(shape.intersects(self.roadless) for shape in shapes):
            return
        way = (100_000_000 + 7 * self.n_ways, self._name(), highway)
        for i, shape in enumerate(shapes):
            start, end = self._node(shape.coords[0]), self._node(shape.coords[-1])
            laid = [(start, end, *way, shape)]
            if not is_one_way:
                laid.append((end, start, *way, shape.reverse()))
            if fraction(*key, i, "twice") < _DUPLICATE_SHARE:
                laid.append(laid[0])
            if fraction(*key, i, "no length") < _ZERO_LENGTH_SHARE:
                # two nodes on one place, as mapped junctions sometimes have
                laid.append((end, end + _TWIN_NODES, *way, shapely.LineString([shape.coords[-1]] * 2)))
            self.edges += laid

    def _name(self) -> str | None:
        key = ("name", self.seed, self.n_ways)
        if fraction(*key, "nameless") < _NAMELESS_SHARE:
            return None
        stem = _STEMS[whole_number(*key, "stem", below=len(_STEMS))]
        return f"{stem} {_KINDS[whole_number(*key, 'kind', below=len(_KINDS))]}"

    def _node(self, place: tuple[float, ...]) -> int:
        return self.nodes.setdefault((place[0], place[1]), 1_000_001 + len(self.nodes))
