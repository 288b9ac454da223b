import time
from collections import Counter, defaultdict

import numpy as np
import pytest
import shapely

from streetimd_assets.synthetic import deprivation, geography, roads


@pytest.fixture(scope="module")
def streets(edges):
    """One row for each street between two nodes: its directed edges are told apart by nodes only."""
    real = edges[edges.length > 0].copy()
    real["ends"] = [frozenset(ends) for ends in zip(real["from_node"], real["to_node"], strict=True)]
    return real.drop_duplicates(["osm_way_id", "ends"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def road_length_m(streets, lsoas):
    lines = shapely.union_all(streets.geometry.values)
    return np.array([outline.intersection(lines).length for outline in lsoas.geometry])


def test_columns_are_those_osmnx_gives(edges):
    assert tuple(edges.columns) == roads.EDGE_COLUMNS
    assert edges.crs.to_epsg() == 27700
    assert set(edges.geom_type) == {"LineString"}
    assert edges["road_name"].isna().any()


def test_a_node_stands_in_one_place_and_edges_begin_and_end_at_theirs(edges):
    places = defaultdict(set)
    for edge in edges.itertuples():
        places[edge.from_node].add(edge.geometry.coords[0])
        places[edge.to_node].add(edge.geometry.coords[-1])
    assert {len(found) for found in places.values()} == {1}


def test_most_streets_are_two_directed_edges_and_some_run_one_way(edges):
    directed = {(e.from_node, e.to_node, e.osm_way_id): e.geometry for e in edges.itertuples()}
    back = {(u, v, way): directed.get((v, u, way)) for u, v, way in directed}
    one_way = [key for key, line in back.items() if line is None and directed[key].length > 0]
    assert 0.02 < len(one_way) / len(directed) < 0.12
    assert all(line.reverse().equals(directed[key]) for key, line in back.items() if line is not None)


def test_some_edges_come_twice_and_some_have_no_length(edges):
    assert edges.duplicated(["from_node", "to_node", "osm_way_id"]).sum() >= 10
    without_length = edges[edges.length == 0]
    assert len(without_length) >= 5
    assert (without_length["from_node"] != without_length["to_node"]).all()


def test_there_are_dead_ends(streets):
    met = Counter(node for ends in streets["ends"] for node in ends)
    assert sum(n == 1 for n in met.values()) >= 50


def test_different_streets_run_between_the_same_two_nodes(streets):
    beside = streets[streets.duplicated("ends", keep=False)]
    assert len(beside) >= 10
    for _, pair in beside.groupby("ends"):
        assert pair["osm_way_id"].is_unique
        assert pair.geometry.iloc[0].hausdorff_distance(pair.geometry.iloc[1]) > 10


def test_streets_run_along_and_across_borders_of_lsoas_and_local_authorities(streets, lsoas):
    lines = streets.geometry.values
    for places in (lsoas, lsoas.dissolve("lad_code")):
        borders = shapely.union_all(places.boundary.values)
        beside = shapely.buffer(borders, 0.02)
        shapely.prepare([borders, beside])
        along = shapely.covers(beside, lines)
        assert along.sum() >= 10
        assert (shapely.intersects(borders, lines) & ~along).sum() >= 20


def test_one_lsoa_has_no_road_and_every_other_has_enough_for_three_points(road_length_m):
    assert (road_length_m == 0).sum() == 1
    assert np.sort(road_length_m)[1] > 150
    assert 300 < road_length_m.mean() < 600


def test_sixty_metres_of_spacing_give_five_to_nine_points_an_lsoa(sample, lsoas):
    assert 5 < len(sample(spacing_m=60)) / len(lsoas) < 9


def test_a_street_on_a_border_is_the_same_for_both_local_authorities(edges, lsoas):
    parts = [roads.build_road_edges(part) for _, part in lsoas.groupby("lad_code")]
    asked = Counter(
        (edge.from_node, edge.to_node, edge.osm_way_id, edge.geometry.wkb)
        for part in parts
        for edge in part.drop_duplicates(["from_node", "to_node", "osm_way_id"]).itertuples()
    )
    whole = {(e.from_node, e.to_node, e.osm_way_id, e.geometry.wkb) for e in edges.itertuples()}
    assert set(asked) == whole
    assert sum(n > 1 for n in asked.values()) > 50


def test_the_whole_world_is_built_in_two_seconds_and_kept():
    started = time.process_time()
    lsoas = geography.build_lsoas(seed=977)
    deprivation.build_deprivation(lsoas, seed=977)
    first = roads.build_road_edges(lsoas, seed=977)
    assert time.process_time() - started < 2
    started = time.process_time()
    assert roads.build_road_edges(lsoas, seed=977).equals(first)
    assert time.process_time() - started < 0.3
