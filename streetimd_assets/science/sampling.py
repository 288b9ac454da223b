"""Lay sample points along roads, evenly or at random, by length and never twice.

Samples are nested: a denser or larger one keeps every point of an earlier one, so that no picture is
paid for twice. :mod:`streetimd_assets.science.places` says how.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.errors import RoadError
from streetimd_assets.science import geography, places

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

MIN_DISTANCE_M = 1.0
_SHORTEST_SEGMENT_M = 0.01

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
        Columns lsoa_code and geometry, EPSG:27700; ways that touch none of them are dropped.

    Returns
    -------
    segments
        Columns of ``road_segments``; lines run on from segment to segment of a way, and a way is whole as
        far as ``edges`` have it: where its points lie does not depend on where other roads cut it up.
        ``segment_id`` is the way and the place along it, numbered from 0. ``bearing_deg`` is from a
        segment's first end to its last, clockwise from true north; None for a closed one.

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
            "and boundaries are of the same place and that geography.highway_classes has the classes of road there"
        )
    ways = streets["osm_way_id"].iloc[touching].unique()
    segments = _along_ways(streets[streets["osm_way_id"].isin(ways)].reset_index(drop=True))
    segments = segments.assign(length_m=segments.geometry.length, bearing_deg=_bearings(segments))
    return segments[list(schemas.TABLES["road_segments"].column_names)].reset_index(drop=True)


def sample_points(
    segments: "GeoDataFrame",
    lsoas: "GeoDataFrame",
    *,
    spacing_m: float,
    mode: places.Mode,
    min_points_per_lsoa: int = 0,
    max_points_per_lsoa: int | None = None,
    seed: int,
) -> pd.DataFrame:
    """Lay points on roads, one for each ``spacing_m`` of length, none within a metre of another.

    ``regular`` takes a point every ``spacing_m`` along each way from a random start (a systematic sample).
    ``random`` takes metres of road by chance, and a point anywhere in each, so that their number varies as
    counts do: by its square root. Of places within `MIN_DISTANCE_M` of each other, as at junctions, the one
    whose turn comes first is kept.

    The sample of an LSOA is a beginning of one fixed order of its places. So half the spacing (any
    smaller spacing, if random), a higher minimum or a higher cap keeps every earlier point; and a
    change of roads moves no point of other ways, but may take those within a metre of a new way.

    Parameters
    ----------
    segments
        Rows of ``road_segments`` with geometry in EPSG:27700.
    lsoas
        Columns lsoa_code and geometry, EPSG:27700; points outside all of them are dropped.
    spacing_m
        Metres of road from point to point.
    min_points_per_lsoa
        An LSOA with roads but fewer points gets those of half the spacing, a quarter and so on down to
        about a metre, until it has this many or its roads have no place left.
    max_points_per_lsoa
        Keep this many where there are more.
    seed
        Of all that is drawn.

    Returns
    -------
    points
        Rows of ``sample_points``; ``road_bearing_deg`` is clockwise from true north.

    Raises
    ------
    RoadError
        If there are no segments.
    """
    if segments.empty:
        raise RoadError("there are no road segments to lay points on; materialise road_segments first")
    geography.require_british_grid(segments)
    strings = places.string_ways(segments, seed=seed)
    free = _free_places(places.places_along(strings, spacing_m=spacing_m, mode=mode), lsoas)
    n_wanted = free["lsoa_code"].value_counts().reindex(sorted(lsoas["lsoa_code"]), fill_value=0)
    n_wanted = n_wanted.clip(upper=max_points_per_lsoa).clip(lower=min_points_per_lsoa)
    free = _with_denser_places(free, strings, lsoas, spacing_m, mode, min_points_per_lsoa)
    free = free.sort_values(["lsoa_code", "turn"], ignore_index=True)
    is_chosen = free.groupby("lsoa_code").cumcount() < n_wanted.loc[free["lsoa_code"]].to_numpy()
    return _with_names(free[is_chosen], strings, segments)


def points_kept(before: pd.DataFrame, after: pd.DataFrame) -> int:
    """Count the points of an earlier sample that a later one has too."""
    return int(before["point_id"].isin(after["point_id"]).sum())


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


def _bearings(segments: "GeoDataFrame") -> Metres:
    import shapely

    lines = segments.geometry.to_numpy()
    ends = (shapely.get_coordinates(shapely.get_point(lines, end)).T for end in (0, -1))
    return geography.bearings(*(coordinate for end in ends for coordinate in end))


def _free_places(found: pd.DataFrame, lsoas: "GeoDataFrame") -> pd.DataFrame:
    """Keep the places that no earlier place comes within `MIN_DISTANCE_M` of, and name their LSOA.

    A place that is itself left out still keeps others away. So whether a place is free depends on what
    lies within a metre of it and on nothing farther off.
    """
    from scipy.spatial import KDTree

    in_turn = found.sort_values(["turn", "easting_m", "northing_m"], ignore_index=True)
    is_free = np.ones(len(in_turn), dtype=bool)
    if len(in_turn) > 1:
        tree = KDTree(in_turn[["easting_m", "northing_m"]].to_numpy())
        is_free[tree.query_pairs(MIN_DISTANCE_M, output_type="ndarray").max(axis=1, initial=-1)] = False
    free = in_turn[is_free]
    free = free.assign(lsoa_code=geography.find_lsoas(free["easting_m"], free["northing_m"], lsoas))
    return free[free["lsoa_code"].notna()]


def _with_denser_places(
    free: pd.DataFrame,
    strings: places.Strings,
    lsoas: "GeoDataFrame",
    spacing_m: float,
    mode: places.Mode,
    least: int,
) -> pd.DataFrame:
    """Go on to half the spacing, and half of that, in the LSOAs that have fewer places than the least."""
    import shapely

    roads = shapely.STRtree(strings.lines)
    while (spacing_m := spacing_m / 2) >= MIN_DISTANCE_M:
        n_free = free["lsoa_code"].value_counts().reindex(lsoas["lsoa_code"], fill_value=0).to_numpy()
        short = lsoas[n_free < least]
        # as far around as a place can keep another away
        near = np.unique(
            roads.query(shapely.buffer(short.geometry.to_numpy(), 2 * MIN_DISTANCE_M), "intersects")[1]
        )
        if not len(near):
            break
        denser = places.places_along(strings, spacing_m=spacing_m, mode=mode, which=near)
        kept = free[~free["lsoa_code"].isin(short["lsoa_code"])]
        free = pd.concat([kept, _free_places(denser, short)], ignore_index=True)
    return free


def _with_names(chosen: pd.DataFrame, strings: places.Strings, segments: "GeoDataFrame") -> pd.DataFrame:
    """Add all that is said of a point, in the order of point_id."""
    decimetres = (chosen[["easting_m", "northing_m"]] * 10).round().astype("int64").astype(str)
    longitude_deg, latitude_deg = geography.to_longitude_latitude(chosen["easting_m"], chosen["northing_m"])
    before = chosen["vertex"].to_numpy()
    along = np.c_[strings.vertices[before], strings.vertices[before + 1]]
    named = chosen.assign(
        point_id=decimetres["easting_m"] + "_" + decimetres["northing_m"],
        segment_id=segments["segment_id"].to_numpy()[chosen["segment_row"]],
        longitude_deg=longitude_deg,
        latitude_deg=latitude_deg,
        road_bearing_deg=geography.folded(geography.bearings(*along.T)),
    )
    columns = list(schemas.TABLES["sample_points"].column_names)
    return named[columns].sort_values("point_id", ignore_index=True)
