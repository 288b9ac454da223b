"""Points lie on roads, as many as the length of the roads allows, once each."""

import gzip
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from shapely.geometry import LineString, box

from streetimd_assets import schemas
from streetimd_assets.errors import RoadError, ScienceError
from streetimd_assets.science import geography, sampling
from streetimd_tests.real_data import real_data_folder

WEST, SOUTH, SIDE = 529_000.0, 184_000.0, 500.0


def at(east, north):
    """A corner of the chequerboard, in sides of a square."""
    return WEST + east * SIDE, SOUTH + north * SIDE


def squares(n_columns=2, n_rows=2, first_column=0):
    cells = [(i, j) for j in range(n_rows) for i in range(first_column, first_column + n_columns)]
    codes = [f"E0100{i:02d}{j:02d}" for i, j in cells]
    return gpd.GeoDataFrame(
        {"lsoa_code": codes}, geometry=[box(*at(i, j), *at(i + 1, j + 1)) for i, j in cells], crs="EPSG:27700"
    )


def street(way, nodes, *corners, two_way=True):
    """One street as directed edges: there, and back if two-way."""
    line = LineString([at(*corner) for corner in corners])
    there = {"from_node": nodes[0], "to_node": nodes[1], "osm_way_id": way, "geometry": line}
    back = {"from_node": nodes[1], "to_node": nodes[0], "osm_way_id": way, "geometry": line.reverse()}
    return [there, back] if two_way else [there]


def edges_of(*streets):
    rows = [edge for edges in streets for edge in edges]
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:27700")
    return frame.assign(road_name=None, highway="residential")


def grid_of_streets(n_columns=4, n_rows=4):
    """A street through the middle of each row and column of squares, in segments from crossing to crossing."""
    streets = []
    for j in range(n_rows):
        for i in range(n_columns):
            here, east, north = 100 * i + j, 100 * (i + 1) + j, 100 * i + j + 1
            streets.append(street(1000 + j, (here, east), (i + 0.31, j + 0.42), (i + 1.31, j + 0.42)))
            streets.append(street(2000 + i, (here, north), (i + 0.31, j + 0.42), (i + 0.31, j + 1.42)))
    return edges_of(*streets)


def lay(segments, lsoas, **options):
    return sampling.sample_points(segments, lsoas, **{"spacing_m": 50, "mode": "regular", "seed": 1} | options)


def test_two_way_streets_are_counted_once():
    edges = edges_of(
        street(7, (1, 2), (0.1, 0.5), (0.9, 0.5)), street(8, (2, 3), (0.9, 0.5), (1.9, 0.5), two_way=False)
    )
    segments = sampling.undirected_segments(edges, squares())
    assert segments["segment_id"].tolist() == ["7-0", "8-0"]
    assert segments["length_m"].tolist() == pytest.approx([400, 500])
    assert list(segments.columns) == list(schemas.TABLES["road_segments"].column_names)


def test_the_same_line_in_another_way_or_between_other_nodes_is_counted_once():
    edges = edges_of(
        street(7, (1, 2), (0.1, 0.5), (0.9, 0.5)), street(6, (91, 92), (0.9, 0.5), (0.1, 0.5), two_way=False)
    )
    segments = sampling.undirected_segments(edges, squares())
    assert segments["segment_id"].tolist() == ["6-0"]


def test_different_streets_between_the_same_junctions_are_both_kept():
    edges = edges_of(
        street(7, (1, 2), (0.1, 0.5), (0.9, 0.5)), street(7, (1, 2), (0.1, 0.5), (0.5, 0.6), (0.9, 0.5))
    )
    assert len(sampling.undirected_segments(edges, squares())) == 2


def test_a_loop_ridden_both_ways_is_counted_once():
    loop = [(0.1, 0.1), (0.4, 0.1), (0.4, 0.4), (0.1, 0.1)]
    segments = sampling.undirected_segments(edges_of(street(7, (1, 1), *loop)), squares())
    assert len(segments) == 1


def test_lines_without_length_and_streets_elsewhere_are_dropped():
    edges = edges_of(
        street(7, (1, 2), (0.1, 0.5), (0.9, 0.5)),
        street(8, (1, 1), (0.1, 0.5), (0.1, 0.5)),
        street(9, (8, 9), (7.0, 7.0), (8.0, 8.0)),
    )
    assert sampling.undirected_segments(edges, squares())["osm_way_id"].tolist() == [7]


def test_segments_of_a_way_are_numbered_and_run_on_along_it():
    parts = [
        street(7, (30, 40), (0.7, 0.5), (0.9, 0.5), two_way=False),
        street(7, (20, 10), (0.3, 0.5), (0.1, 0.5), two_way=False),
        street(7, (20, 30), (0.3, 0.5), (0.7, 0.5), two_way=False),
    ]
    segments = sampling.undirected_segments(edges_of(*parts), squares()).sort_values("segment_id")
    ends = [(line.coords[0], line.coords[-1]) for line in segments.geometry]
    assert [end for _, end in ends[:-1]] == [start for start, _ in ends[1:]]
    assert segments["length_m"].tolist() == pytest.approx([100, 200, 100])


def test_segments_do_not_depend_on_the_order_of_edges():
    edges, lsoas = grid_of_streets(), squares(3, 3)
    straight = sampling.undirected_segments(edges, lsoas)
    shuffled = sampling.undirected_segments(edges.sample(frac=1, random_state=4), lsoas.iloc[::-1])
    assert straight["segment_id"].is_unique
    assert_frame_equal(geography.as_table(straight), geography.as_table(shuffled))


def test_roads_of_another_place_are_named_as_the_problem():
    elsewhere = edges_of(street(9, (8, 9), (7.0, 7.0), (8.0, 8.0)))
    with pytest.raises(RoadError, match="none of the 2 road edges given touches any of the 4 LSOAs"):
        sampling.undirected_segments(elsewhere, squares())
    with pytest.raises(RoadError, match="none of the 0 road edges"):
        sampling.undirected_segments(elsewhere.iloc[:0], squares())


def test_no_segments_cannot_be_sampled():
    segments = sampling.undirected_segments(grid_of_streets(), squares()).iloc[:0]
    with pytest.raises(RoadError, match="materialise road_segments first"):
        lay(segments, squares())


def test_roads_in_degrees_are_refused():
    with pytest.raises(ScienceError, match="EPSG:4326"):
        sampling.undirected_segments(grid_of_streets().to_crs(4326), squares())


def test_regular_points_are_a_spacing_apart_across_the_segments_of_a_street():
    parts = [street(7, (i, i + 1), (0.05 + 0.13 * i, 0.5), (0.18 + 0.13 * i, 0.5)) for i in range(10)]
    lsoas = squares()
    points = lay(sampling.undirected_segments(edges_of(*parts), lsoas), lsoas, spacing_m=20)
    assert np.diff(np.sort(points["easting_m"])) == pytest.approx(20, abs=0.002)
    assert len(points) in (32, 33)


def allowed_m(mode, expected):
    """Four standard deviations of a count: of draws, or of what the random start of each street leaves over."""
    return 4 * np.sqrt(expected) if mode == "random" else 0.015 * expected


@pytest.mark.parametrize("mode", ["regular", "random"])
@pytest.mark.parametrize("spacing_m", [5, 10, 50])
def test_points_are_as_many_as_length_over_spacing_and_keep_a_metre_apart(mode, spacing_m):
    lsoas = squares(12, 12)
    segments = sampling.undirected_segments(grid_of_streets(12, 12), lsoas)
    points = lay(segments, lsoas, spacing_m=spacing_m, mode=mode)
    expected = sampling.road_lengths(segments, lsoas).sum() / spacing_m
    assert len(points) == pytest.approx(expected, abs=allowed_m(mode, expected))
    assert sampling.smallest_spacing(points) >= 1
    assert sampling.largest_distance_to_road(points, segments) < 0.002


@pytest.mark.parametrize("mode", ["regular", "random"])
def test_points_are_uniform_on_length(mode):
    lsoas = squares(8, 1)
    streets = [street(way, (way, way + 900), (0.01, way / 400), (7.99, way / 400)) for way in range(1, 398)]
    segments = sampling.undirected_segments(edges_of(*streets), lsoas)
    points = lay(segments, lsoas, mode=mode, spacing_m=400)
    along = np.sort((points["easting_m"] - at(0.01, 0)[0]) / (7.98 * SIDE))
    # the Kolmogorov-Smirnov statistic of 3,960 points, whose 99.9% point is 1.95
    assert len(points) > 3_500
    statistic = np.abs(along - (np.arange(len(along)) + 0.5) / len(along)).max() * np.sqrt(len(along))
    assert statistic < 1.95


@pytest.mark.parametrize("mode", ["regular", "random"])
@pytest.mark.parametrize("spacing_m", [17.3, 60])
@pytest.mark.parametrize("seed", range(4))
def test_a_denser_or_larger_sample_keeps_every_earlier_point(mode, spacing_m, seed):
    lsoas = squares(4, 4)
    segments = sampling.undirected_segments(grid_of_streets(5, 5), lsoas)
    smaller = {"min_points_per_lsoa": 7, "max_points_per_lsoa": 9}
    samples = [
        lay(segments, lsoas, mode=mode, seed=seed, **options)
        for options in (
            {"spacing_m": 4 * spacing_m, "max_points_per_lsoa": 3},
            {"spacing_m": 4 * spacing_m, "max_points_per_lsoa": 9},
            {"spacing_m": 4 * spacing_m, **smaller},
            {"spacing_m": 4 * spacing_m, **smaller, "min_points_per_lsoa": 9},
            {"spacing_m": 2 * spacing_m, **smaller, "min_points_per_lsoa": 9, "max_points_per_lsoa": 12},
            {"spacing_m": spacing_m, "min_points_per_lsoa": 12, "max_points_per_lsoa": 30},
            {"spacing_m": spacing_m, "min_points_per_lsoa": 12},
            {"spacing_m": spacing_m / 2, "min_points_per_lsoa": 150},
        )
    ]
    for before, after in pairwise(samples):
        assert sampling.points_kept(before, after) == len(before) <= len(after)
    assert len(samples[0]) < len(samples[3]) < len(samples[-1])
    assert sampling.smallest_spacing(samples[-1]) >= 1


def test_points_drawn_at_random_are_kept_by_any_smaller_spacing():
    lsoas = squares(4, 4)
    segments = sampling.undirected_segments(grid_of_streets(5, 5), lsoas)
    samples = [lay(segments, lsoas, mode="random", spacing_m=spacing_m) for spacing_m in (90, 77.7, 50, 49, 6)]
    assert all(sampling.points_kept(before, after) == len(before) for before, after in pairwise(samples))


def test_another_seed_lays_other_points():
    lsoas = squares(4, 4)
    segments = sampling.undirected_segments(grid_of_streets(5, 5), lsoas)
    one, other = lay(segments, lsoas, seed=1), lay(segments, lsoas, seed=2)
    assert sampling.points_kept(one, other) < 0.02 * len(one)


@pytest.mark.parametrize("mode", ["regular", "random"])
def test_a_new_road_moves_no_point_of_the_others(mode):
    lsoas = squares(4, 4)
    ring = [(1.2, 1.3), (1.8, 1.3), (1.8, 1.9), (1.2, 1.9), (1.2, 1.3)]
    fork = [street(8, (4, 5), (2.1, 2.1), (2.5, 2.5)), street(8, (5, 6), (2.5, 2.5), (2.9, 2.5))]
    fork.append(street(8, (5, 7), (2.5, 2.5), (2.5, 2.9)))
    # one road that leaves the LSOAs, a closed one and one that forks, each as the new road cuts it up
    old = [street(6, (1, 2), (-0.1, 0.5), (3.5, 0.5)), street(7, (3, 3), *ring), *fork]
    cut = [street(6, (1, 11), (-0.1, 0.5), (1.5, 0.5)), street(6, (11, 2), (1.5, 0.5), (3.5, 0.5))]
    cut += [street(7, (12, 13), (1.5, 1.3), (1.8, 1.3), (1.8, 1.9), (1.5, 1.9))]
    cut += [street(7, (13, 12), (1.5, 1.9), (1.2, 1.9), (1.2, 1.3), (1.5, 1.3)), *fork]
    new = [street(5, nodes, (1.5, a), (1.5, b)) for nodes, a, b in (((10, 11), 0.1, 0.5), ((11, 12), 0.5, 1.3))]
    new += [street(5, (12, 13), (1.5, 1.3), (1.5, 1.9)), street(5, (13, 14), (1.5, 1.9), (1.5, 2.5))]
    # where the new road meets an old one there is a node, so the old line has a vertex there before as well
    old[0] = street(6, (1, 2), (-0.1, 0.5), (1.5, 0.5), (3.5, 0.5))
    old[1] = street(
        7, (3, 3), *[(1.2, 1.3), (1.5, 1.3), (1.8, 1.3), (1.8, 1.9), (1.5, 1.9), (1.2, 1.9), (1.2, 1.3)]
    )
    before, after = (
        lay(sampling.undirected_segments(edges_of(*streets), lsoas), lsoas, mode=mode, spacing_m=11)
        for streets in (old, cut + new)
    )
    beside_new = np.abs(before["easting_m"] - at(1.5, 0)[0]) <= 1
    assert len(before) > 200
    assert sampling.points_kept(before[~beside_new], after) == (~beside_new).sum()
    of_old = after[~after["segment_id"].str.startswith("5-")]
    assert sampling.points_kept(of_old, before) == len(of_old)


def test_a_new_road_beyond_the_border_moves_no_point_within():
    lsoas = squares(2, 2)
    outside = [street(6, (1, 2), (-3, 0.5), (-1, 0.5), (1.5, 0.5))]
    cut = [street(6, (1, 3), (-3, 0.5), (-1, 0.5)), street(6, (3, 2), (-1, 0.5), (1.5, 0.5))]
    crossing = street(5, (3, 4), (-1, 0.5), (-1, 1.5))
    before, after = (
        lay(sampling.undirected_segments(edges_of(*streets), lsoas), lsoas, spacing_m=15)
        for streets in (outside, [*cut, crossing])
    )
    assert len(before) == pytest.approx(750 / 15, abs=1)
    assert before["point_id"].tolist() == after["point_id"].tolist()


def test_bearings_are_from_true_north_and_those_of_points_have_no_front():
    lsoas = squares(2, 2)
    edges = edges_of(
        street(6, (1, 2), (0.1, 0.2), (0.1, 0.8), two_way=False),
        street(7, (4, 3), (0.9, 0.3), (0.2, 0.3), two_way=False),
        street(8, (5, 5), (1.1, 1.1), (1.4, 1.1), (1.4, 1.4), (1.1, 1.1), two_way=False),
    )
    segments = sampling.undirected_segments(edges, lsoas).set_index("segment_id")
    # Camden is 1.86 degrees east of the grid's meridian, where grid north is 1.46 degrees east of true north
    convergence_deg = 1.46
    assert segments.loc["6-0", "bearing_deg"] == pytest.approx(convergence_deg, abs=0.02)
    assert segments.loc["7-0", "bearing_deg"] in (
        pytest.approx(90 + convergence_deg, abs=0.02),
        pytest.approx(270 + convergence_deg, abs=0.02),
    )
    assert np.isnan(segments.loc["8-0", "bearing_deg"])
    points = lay(segments.reset_index(), lsoas, spacing_m=10)
    of = points.groupby(points["segment_id"].str[0])["road_bearing_deg"]
    assert of.get_group("6").to_numpy() == pytest.approx(convergence_deg, abs=0.02)
    assert of.get_group("7").to_numpy() == pytest.approx(90 + convergence_deg, abs=0.02)
    sides_deg = np.array([0, 45, 90]) + convergence_deg
    assert np.unique(of.get_group("8").round(1)) == pytest.approx(sides_deg, abs=0.1)


def test_directed_edges_would_double_the_points_and_be_caught():
    lsoas = squares(4, 4)
    edges = grid_of_streets()
    naive = edges.assign(
        segment_id=[f"{way}-{n}" for n, way in enumerate(edges["osm_way_id"])], length_m=edges.length
    )
    right = sampling.undirected_segments(edges, lsoas)
    assert sampling.road_lengths(naive, lsoas).sum() == pytest.approx(2 * sampling.road_lengths(right, lsoas).sum())


def test_points_off_their_roads_are_seen():
    lsoas = squares()
    segments = sampling.undirected_segments(grid_of_streets(), lsoas)
    points = lay(segments, lsoas)
    assert sampling.largest_distance_to_road(points.assign(easting_m=points["easting_m"] + 3), segments) > 2.9
    assert sampling.largest_distance_to_road(points.assign(segment_id="0-0"), segments) == np.inf
    assert sampling.smallest_spacing(pd.concat([points, points.iloc[:1]])) == 0


def test_points_say_where_they_are_in_every_way():
    lsoas = squares()
    points = lay(sampling.undirected_segments(grid_of_streets(), lsoas), lsoas)
    assert list(points.columns) == list(schemas.TABLES["sample_points"].column_names)
    assert points["point_id"].is_unique
    assert points["point_id"].is_monotonic_increasing
    first = points.iloc[0]
    assert first["point_id"] == f"{round(first['easting_m'] * 10)}_{round(first['northing_m'] * 10)}"
    assert geography.wrong_lsoa_share(points, lsoas) == 0
    assert geography.largest_position_disagreement(points) < 0.01


@pytest.mark.parametrize("mode", ["regular", "random"])
def test_points_depend_on_the_seed_and_on_nothing_else(mode):
    lsoas = squares(3, 3)
    segments = sampling.undirected_segments(grid_of_streets(), lsoas)
    options = {"mode": mode, "min_points_per_lsoa": 22, "max_points_per_lsoa": 23}
    points = lay(segments, lsoas, **options)
    shuffled = lay(segments.sample(frac=1, random_state=2), lsoas.iloc[::-1], **options)
    assert_frame_equal(points, shuffled)
    assert not lay(segments, lsoas, **options, seed=2)["point_id"].equals(points["point_id"])


@pytest.mark.parametrize("mode", ["regular", "random"])
def test_a_minimum_is_reached_without_crowding_and_a_cap_is_kept(mode):
    lsoas = squares(4, 4)
    segments = sampling.undirected_segments(grid_of_streets(), lsoas)
    points = lay(segments, lsoas, mode=mode, spacing_m=300, min_points_per_lsoa=6, max_points_per_lsoa=8)
    n_points = points["lsoa_code"].value_counts().reindex(lsoas["lsoa_code"])
    assert n_points.between(6, 8).all()
    assert sampling.smallest_spacing(points) > 1
    assert sampling.largest_distance_to_road(points, segments) < 0.002
    capped = lay(segments, lsoas, mode=mode, spacing_m=20, max_points_per_lsoa=5)
    assert capped["lsoa_code"].value_counts().max() == 5
    assert set(capped["point_id"]) < set(lay(segments, lsoas, mode=mode, spacing_m=20)["point_id"])


def test_a_minimum_beyond_what_roads_hold_stops_at_a_metre_apart():
    lsoas = squares(2, 1)
    short = edges_of(street(7, (1, 2), (0.5, 0.5), (0.51, 0.5)), street(8, (1, 9), (0.51, 0.5), (0.51, 0.9)))
    segments = sampling.undirected_segments(short, lsoas)
    points = lay(segments[segments["osm_way_id"] == 7], lsoas, min_points_per_lsoa=50)
    assert 2 <= len(points) <= 5
    assert sampling.smallest_spacing(points) > 1


def test_an_lsoa_without_roads_stays_empty_and_is_reported():
    lsoas = squares(2, 1)
    segments = sampling.undirected_segments(edges_of(street(7, (1, 2), (0.1, 0.5), (0.9, 0.5))), lsoas)
    points = lay(segments, lsoas, min_points_per_lsoa=5)
    assert sampling.unsampled_lsoas(points, lsoas) == ["E01000100"]
    assert sampling.road_lengths(segments, lsoas).tolist() == pytest.approx([400, 0])


def test_the_length_of_a_border_street_is_shared_by_its_lsoas():
    lsoas = squares(2, 1)
    segments = sampling.undirected_segments(edges_of(street(7, (1, 2), (1, 0.1), (1, 0.9))), lsoas)
    assert sampling.road_lengths(segments, lsoas).tolist() == pytest.approx([200, 200])


@pytest.mark.parametrize("wiggle", [0.0, 0.003])
def test_no_point_of_a_border_street_is_doubled_by_two_local_authorities(wiggle):
    north = np.linspace(0.02, 1.98, 60)
    east = 1 + wiggle * np.sin(40 * north)
    border_street = street(7, (1, 2), *zip(east, north, strict=True))
    either = [squares(1, 2), squares(1, 2, first_column=1)]
    laid = [lay(sampling.undirected_segments(edges_of(border_street), side), side, spacing_m=20) for side in either]
    points = pd.concat(laid, ignore_index=True)
    assert points["point_id"].is_unique
    assert sampling.smallest_spacing(points) > 15
    length_m = sampling.undirected_segments(edges_of(border_street), squares(2, 2))["length_m"].sum()
    assert len(points) == pytest.approx(length_m / 20, abs=1)


def test_no_point_at_all_is_a_table_without_rows():
    lsoas = squares()
    segments = sampling.undirected_segments(edges_of(street(7, (1, 2), (0.1, 0.5), (0.11, 0.5))), lsoas)
    points = lay(segments, lsoas, spacing_m=2000)
    assert list(points.columns) == list(schemas.TABLES["sample_points"].column_names)
    assert len(points) == 0


@pytest.fixture(scope="module", params=["camden", "tower_hamlets"])
def borough(request, tmp_path_factory):
    """Segments and LSOAs of a London borough, from the roads OpenStreetMap has."""
    folder = real_data_folder() / request.param
    import osmnx as ox

    path = tmp_path_factory.mktemp(request.param) / "roads.osm"
    path.write_bytes(gzip.decompress((folder / "roads_drive_2025-08-10.osm.gz").read_bytes()))
    edges = ox.convert.graph_to_gdfs(ox.graph_from_xml(path, retain_all=True), nodes=False).reset_index()
    edges = edges.rename(columns={"u": "from_node", "v": "to_node", "name": "road_name"}).to_crs(27700)
    # merged edges carry several ways, names and classes
    first = {
        column: edges[column].map(lambda value: value[0] if isinstance(value, list) else value)
        for column in ("osmid", "road_name", "highway")
    }
    edges = edges.assign(**first).rename(columns={"osmid": "osm_way_id"})
    lsoas = gpd.read_file(f"/vsigzip/{folder / 'lsoa21.geojson.gz'}").to_crs(27700)
    lsoas = lsoas.rename(columns={"LSOA21CD": "lsoa_code"})
    return request.param, sampling.undirected_segments(edges, lsoas), lsoas


@pytest.mark.real_data
def test_road_lengths_of_real_boroughs_are_those_known(borough):
    name, segments, lsoas = borough
    assert segments["segment_id"].is_unique
    known_m = {"camden": 286_000, "tower_hamlets": 330_000}[name]
    assert sampling.road_lengths(segments, lsoas).sum() == pytest.approx(known_m, rel=0.005)


@pytest.mark.real_data
@pytest.mark.parametrize("mode", ["regular", "random"])
@pytest.mark.parametrize("seed", [1, 2])
def test_points_of_real_boroughs_follow_the_length_of_their_roads(borough, mode, seed):
    name, segments, lsoas = borough
    points = lay(segments, lsoas, mode=mode, seed=seed)
    expected = sampling.road_lengths(segments, lsoas).sum() / 50
    assert len(points) == pytest.approx(expected, abs=allowed_m(mode, expected))
    assert sampling.smallest_spacing(points) >= 1
    assert sampling.largest_distance_to_road(points, segments) < 0.002
    larger = lay(segments, lsoas, mode=mode, seed=seed, min_points_per_lsoa=1)
    assert sampling.points_kept(points, larger) == len(points)
    if name == "camden":
        assert sampling.unsampled_lsoas(larger, lsoas) == []


@pytest.mark.real_data
@pytest.mark.parametrize("mode", ["regular", "random"])
def test_samples_of_real_boroughs_are_nested(borough, mode):
    _, segments, lsoas = borough
    options = [
        {"spacing_m": 60, "max_points_per_lsoa": 5},
        {"spacing_m": 60},
        {"spacing_m": 60, "min_points_per_lsoa": 12},
        {"spacing_m": 30, "min_points_per_lsoa": 12},
        {"spacing_m": 15, "min_points_per_lsoa": 40},
    ]
    samples = [lay(segments, lsoas, mode=mode, seed=3, **option) for option in options]
    for before, after in pairwise(samples):
        assert sampling.points_kept(before, after) == len(before) < len(after)
    assert sampling.smallest_spacing(samples[-1]) >= 1


@pytest.mark.real_data
def test_points_of_a_real_borough_stay_when_half_of_its_roads_go(borough):
    _, segments, lsoas = borough
    is_kept = segments["osm_way_id"] % 2 == 0
    before, after = lay(segments, lsoas), lay(segments[is_kept], lsoas)
    ways = segments.set_index("segment_id")["osm_way_id"]
    of_kept = before[(before["segment_id"].map(ways) % 2 == 0)]
    assert sampling.points_kept(of_kept, after) == len(of_kept)
    # and those that come back had been within a metre of a road that has gone
    assert len(after) < 1.03 * len(of_kept)


@pytest.mark.real_data
def test_a_minimum_in_real_boroughs_keeps_points_apart(borough):
    _, segments, lsoas = borough
    points = lay(segments, lsoas, spacing_m=200, min_points_per_lsoa=10)
    with_roads = sampling.road_lengths(segments, lsoas) > 100
    n_points = points["lsoa_code"].value_counts().reindex(with_roads.index[with_roads], fill_value=0)
    assert n_points.min() >= 10
    assert sampling.smallest_spacing(points) >= 1
