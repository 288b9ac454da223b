"""Lay sample points along roads, evenly or at random, by length and never twice."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.errors import RoadError
from streetimd_assets.science import geography

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

MIN_DISTANCE_M = 1.0
_SHORTEST_SEGMENT_M = 0.01
_MAX_DRAWS = 50

Metres = npt.NDArray[np.float64]


def undirected_segments(edges: "GeoDataFrame", lsoas: "GeoDataFrame") -> "GeoDataFrame":
    """Reduce directed road edges to the segments people would count: two-way streets once.

    Edges are the same street if they have the same line, to the centimetre, in either direction, so
    different streets between the same two junctions are both kept. Lines without length are dropped.

    Parameters
    ----------
    edges
        Directed edges in EPSG:27700, columns from_node, to_node, osm_way_id, road_name, highway, geometry.
    lsoas
        Columns lsoa_code and geometry, EPSG:27700; segments that touch none of them are dropped.

    Returns
    -------
    segments
        Columns of ``road_segments``; lines run on from segment to segment of a way. ``segment_id`` is the
        way and the place along it, numbered from 0 before segments outside the LSOAs are dropped.

    Raises
    ------
    RoadError
        If no edge touches the LSOAs.
    """
    geography.require_british_grid(edges)
    geography.require_british_grid(lsoas)
    streets = _each_street_once(edges)
    touching = np.unique(lsoas.sindex.query(streets.geometry, predicate="intersects")[0])
    if not len(touching):
        raise RoadError(
            f"none of the {len(edges)} road edges given touches any of the {len(lsoas)} LSOAs; check that roads "
            "and boundaries are of the same place and that geography.network_type has roads there"
        )
    segments = _along_ways(streets).iloc[touching]
    segments = segments.assign(length_m=segments.geometry.length)
    return segments[list(schemas.TABLES["road_segments"].column_names)].reset_index(drop=True)


def sample_points(
    segments: "GeoDataFrame",
    lsoas: "GeoDataFrame",
    *,
    spacing_m: float,
    mode: Literal["regular", "random"],
    min_points_per_lsoa: int = 0,
    max_points_per_lsoa: int | None = None,
    seed: int,
) -> pd.DataFrame:
    """Lay points on roads, one for each ``spacing_m`` of length, none within a metre of another.

    ``regular`` strings all segments end to end, way by way, and takes a point every ``spacing_m`` from
    one random start, so that spacing carries over from segment to segment of a street (a systematic
    sample). ``random`` draws as many points uniformly on length. Where points come within
    `MIN_DISTANCE_M` of each other, as at junctions, ``regular`` leaves one out and ``random`` draws again.

    Parameters
    ----------
    segments
        Rows of ``road_segments`` with geometry in EPSG:27700.
    lsoas
        Columns lsoa_code and geometry, EPSG:27700; points outside all of them are dropped.
    spacing_m
        Metres of road from point to point.
    min_points_per_lsoa
        An LSOA with roads but fewer points is given more, each as far as can be from all others, until
        it has this many or its roads have no place left.
    max_points_per_lsoa
        Keep a random choice of this many where there are more.
    seed
        Of the random start, draws and choices.

    Returns
    -------
    points
        Rows of ``sample_points``.

    Raises
    ------
    RoadError
        If there are no segments.
    """
    if segments.empty:
        raise RoadError("there are no road segments to lay points on; materialise road_segments first")
    geography.require_british_grid(segments)
    rng = np.random.default_rng(seed)
    ordered = _in_order(segments)
    lay = _every if mode == "regular" else _uniformly
    points = lay(ordered, spacing_m, rng)
    points["lsoa_code"] = geography.find_lsoas(points["easting_m"], points["northing_m"], lsoas)
    points = points[points["lsoa_code"].notna()]
    points = _top_up(points, ordered, lsoas, min_points_per_lsoa, rng)
    points = _with_names(points)
    if max_points_per_lsoa is not None:
        draw = pd.Series(rng.random(len(points)), index=points.index).groupby(points["lsoa_code"]).rank()
        points = points[draw <= max_points_per_lsoa]
    return points.reset_index(drop=True)


def road_lengths(segments: "GeoDataFrame", lsoas: "GeoDataFrame") -> "pd.Series[float]":
    """Length of road inside each LSOA, metres, by lsoa_code; 0 where it has none.

    Road that runs exactly along a border counts half on either side.
    """
    import shapely

    geography.require_british_grid(segments)
    lines, areas = segments.geometry.to_numpy(), lsoas.geometry.to_numpy()
    area, line = segments.sindex.query(areas, predicate="intersects")
    inside = shapely.length(shapely.intersection(lines[line], areas[area]))
    on_border = shapely.length(shapely.intersection(lines[line], shapely.boundary(areas)[area]))
    lengths = np.bincount(area, weights=inside - on_border / 2, minlength=len(lsoas))
    return pd.Series(lengths, index=pd.Index(lsoas["lsoa_code"]), name="road_length_m").sort_index()


def unsampled_lsoas(points: pd.DataFrame, lsoas: pd.DataFrame) -> list[str]:
    """Codes of the LSOAs in which no point lies, in order."""
    return sorted(set(lsoas["lsoa_code"]) - set(points["lsoa_code"]))


def largest_distance_to_road(points: pd.DataFrame, segments: "GeoDataFrame") -> float:
    """Largest distance from a point to the segment it names, metres; infinite if there is no such segment."""
    import shapely

    lines = segments.set_index("segment_id").geometry.reindex(points["segment_id"]).to_numpy()
    apart_m = shapely.distance(lines, shapely.points(points[["easting_m", "northing_m"]].to_numpy()))
    return float(np.nan_to_num(apart_m, nan=np.inf).max(initial=0.0))


def smallest_spacing(points: pd.DataFrame) -> float:
    """Smallest distance between any two points, metres, across LSOAs as well; infinite under two points."""
    from scipy.spatial import KDTree

    positions = points[["easting_m", "northing_m"]].to_numpy(dtype=np.float64)
    return float(KDTree(positions).query(positions, k=2)[0][:, 1].min()) if len(positions) > 1 else np.inf


def _each_street_once(edges: "GeoDataFrame") -> "GeoDataFrame":
    """Drop lines without length and all but one of the edges with the same line; smallest way id first."""
    import shapely

    lines = edges.geometry.to_numpy()
    has_length = shapely.length(lines) >= _SHORTEST_SEGMENT_M
    whole_centimetres = shapely.set_precision(lines, 0.01, mode="pointwise")
    # normalised lines run one way only, whichever way the edge does
    line = pd.Series(shapely.to_wkb(shapely.normalize(whole_centimetres)), index=edges.index)
    streets = edges.assign(_line=line, _as_given=shapely.to_wkb(lines))[has_length]
    streets = streets.sort_values(["osm_way_id", "_line", "_as_given", "from_node"], ignore_index=True)
    return streets.drop_duplicates("_line", ignore_index=True).drop(columns=["_line", "_as_given"])


def _along_ways(streets: "GeoDataFrame") -> "GeoDataFrame":
    """Number the segments of each way from 0 along it, and turn each to run on from the last."""
    import shapely

    ways = streets["osm_way_id"].to_numpy()
    ends = streets[["from_node", "to_node"]].to_numpy()
    order, is_turned = np.zeros(len(streets), dtype=int), np.zeros(len(streets), dtype=bool)
    starts = np.flatnonzero(np.r_[True, ways[1:] != ways[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], len(ways)], strict=True):
        for place, (row, turned) in enumerate(_walk(ends[start:stop].tolist())):
            order[start + row], is_turned[start + row] = place, turned
    lines = streets.geometry.to_numpy()
    names = [f"{way}-{place}" for way, place in zip(ways, order, strict=True)]
    return streets.assign(segment_id=names, geometry=np.where(is_turned, shapely.reverse(lines), lines)).set_crs(
        geography.BRITISH_NATIONAL_GRID
    )


def _walk(ends: Sequence[Sequence[int]]) -> Iterator[tuple[int, bool]]:
    """Walk segments, given as pairs of nodes, from an end of the way on; yield each and if it is turned."""
    left = dict(enumerate(ends))
    while left:
        nodes = [node for pair in left.values() for node in pair]
        loose = [node for node in nodes if nodes.count(node) % 2]
        node = min(loose or nodes)
        while (row := next((row for row, pair in left.items() if node in pair), None)) is not None:
            first, last = left.pop(row)
            yield row, node != first
            node = last if node == first else first


def _in_order(segments: "GeoDataFrame") -> "GeoDataFrame":
    place = segments["segment_id"].str.rpartition("-")[2].astype(int)
    return segments.assign(_place=place).sort_values(["osm_way_id", "_place"], ignore_index=True)


def _every(segments: "GeoDataFrame", spacing_m: float, rng: np.random.Generator) -> pd.DataFrame:
    """Points every ``spacing_m`` along all segments, strung end to end."""
    length_m = float(segments.geometry.length.sum())
    points = _positions(segments, np.arange(rng.uniform(0, spacing_m), length_m, spacing_m))
    return points[~_crowded(points)]


def _uniformly(segments: "GeoDataFrame", spacing_m: float, rng: np.random.Generator) -> pd.DataFrame:
    """As many points as ``_every`` lays, each anywhere on the segments with equal chance."""
    length_m = float(segments.geometry.length.sum())
    n_points = int(length_m / spacing_m + rng.random())
    at_m = np.empty(0)
    # a few of the draws fall beside others and are drawn again
    for _ in range(_MAX_DRAWS):
        at_m = np.r_[at_m, rng.uniform(0, length_m, n_points - len(at_m))]
        points = _positions(segments, at_m)
        is_crowded = _crowded(points)
        if not is_crowded.any():
            break
        at_m = at_m[~is_crowded]
    return points[~is_crowded]


def _positions(segments: Any, at_m: Metres) -> pd.DataFrame:
    """Points at these lengths along the segments, strung end to end in the order given.

    One interpolation over the vertices of all segments; positions are rounded to millimetres.
    """
    import shapely

    vertices, segment = shapely.get_coordinates(segments.geometry.to_numpy(), return_index=True)
    step_m = np.hypot(*np.diff(vertices, axis=0).T)
    step_m[np.diff(segment) > 0] = 0.0
    vertex_m = np.r_[0.0, np.cumsum(step_m)]
    start_m = vertex_m[np.flatnonzero(np.r_[True, np.diff(segment) > 0])]
    on = np.clip(np.searchsorted(start_m, at_m, side="right") - 1, 0, None)
    return pd.DataFrame(
        {
            "segment_id": segments["segment_id"].to_numpy()[on],
            "easting_m": np.interp(at_m, vertex_m, vertices[:, 0]).round(3),
            "northing_m": np.interp(at_m, vertex_m, vertices[:, 1]).round(3),
        }
    )


def _crowded(points: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """True for a point within `MIN_DISTANCE_M` of an earlier one."""
    from scipy.spatial import KDTree

    crowded = np.zeros(len(points), dtype=bool)
    if len(points) > 1:
        tree = KDTree(points[["easting_m", "northing_m"]].to_numpy())
        crowded[tree.query_pairs(MIN_DISTANCE_M, output_type="ndarray")[:, 1]] = True
    return crowded


def _top_up(
    points: pd.DataFrame, segments: "GeoDataFrame", lsoas: "GeoDataFrame", minimum: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Add points to LSOAs that have roads but fewer points than ``minimum``."""
    n_points = points["lsoa_code"].value_counts().reindex(lsoas["lsoa_code"], fill_value=0)
    for code in sorted(n_points.index[n_points < minimum]):
        lsoa = lsoas[lsoas["lsoa_code"] == code]
        places = _places(segments, lsoa, rng)
        if len(places):
            chosen = _farthest(places, points, minimum - int(n_points[code]))
            points = pd.concat([points, places.iloc[chosen].assign(lsoa_code=code)], ignore_index=True)
    return points


def _places(segments: "GeoDataFrame", lsoa: "GeoDataFrame", rng: np.random.Generator) -> pd.DataFrame:
    """Places a point could have on the roads of one LSOA, about a metre apart, at most 500, shuffled."""
    outline = lsoa.geometry.iloc[0]
    near = segments.iloc[np.sort(segments.sindex.query(outline, predicate="intersects"))]
    pieces = near.set_geometry(near.geometry.intersection(outline)).explode(ignore_index=True)
    pieces = pieces[pieces.geometry.length > 0]
    length_m = float(pieces.geometry.length.sum())
    if not length_m:
        return pd.DataFrame()
    n_places = int(np.clip(length_m, 8, 500))
    at_m = np.asarray((rng.permutation(n_places) + rng.random()) * (length_m / n_places), dtype=np.float64)
    places = _positions(pieces, at_m)
    return places[pd.notna(geography.find_lsoas(places["easting_m"], places["northing_m"], lsoa))]


def _farthest(places: pd.DataFrame, points: pd.DataFrame, n_wanted: int) -> list[int]:
    """Choose places one by one, each the farthest from all points and places chosen before."""
    from scipy.spatial import KDTree

    columns = ["easting_m", "northing_m"]
    free = places[columns].to_numpy(dtype=np.float64)
    apart_m = np.full(len(free), np.inf)
    if len(points):
        apart_m = KDTree(points[columns].to_numpy(dtype=np.float64)).query(free)[0]
    chosen: list[int] = []
    while len(chosen) < n_wanted and apart_m.max() > MIN_DISTANCE_M:
        chosen.append(int(np.argmax(apart_m)))
        apart_m = np.minimum(apart_m, np.hypot(*(free - free[chosen[-1]]).T))
    return chosen


def _with_names(points: pd.DataFrame) -> pd.DataFrame:
    """Add point_id, longitude and latitude, in the order of point_id."""
    decimetres = (points[["easting_m", "northing_m"]] * 10).round().astype("int64").astype(str)
    longitude_deg, latitude_deg = geography.to_longitude_latitude(points["easting_m"], points["northing_m"])
    named = points.assign(
        point_id=decimetres["easting_m"] + "_" + decimetres["northing_m"],
        longitude_deg=longitude_deg,
        latitude_deg=latitude_deg,
    )
    columns = list(schemas.TABLES["sample_points"].column_names)
    return named[columns].sort_values("point_id", ignore_index=True)
