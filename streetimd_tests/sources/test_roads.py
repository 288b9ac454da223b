import copy
import json
import logging
import socket

import geopandas as gpd
import pytest

from streetimd_assets.errors import RoadError
from streetimd_assets.sources import roads
from streetimd_assets.sources.boundaries import fetch_lsoa_boundaries
from streetimd_assets.sources.roads import fetch_road_edges
from streetimd_assets.study.local_authorities import find_local_authority
from streetimd_tests.standins import serve_small_world, small_world
from streetimd_tests.standins.server import Reply, busy


@pytest.fixture(scope="module")
def lsoas():
    table = gpd.GeoDataFrame.from_features(small_world.lsoa_features(), crs="EPSG:4326").to_crs("EPSG:27700")
    return table[table["LSOA21NM"].str.startswith("West")]


def fetch(addresses, lsoas, folder, network_type="drive"):
    return fetch_road_edges(
        lsoas, overpass_url=addresses.overpass_url, network_type=network_type, cache_folder=folder
    )


@pytest.fixture(scope="module")
def edges(lsoas, tmp_path_factory):
    with serve_small_world() as addresses:
        return fetch(addresses, lsoas, tmp_path_factory.mktemp("osm"))


def test_edges_have_the_columns_and_crs_that_sampling_takes(edges):
    assert list(edges.columns) == ["from_node", "to_node", "osm_way_id", "road_name", "highway", "geometry"]
    assert edges.crs == "EPSG:27700"
    assert edges["osm_way_id"].dtype == "int64"
    assert set(edges.geom_type) == {"LineString"}


def test_a_two_way_street_is_two_edges_and_a_one_way_street_one(edges):
    low = edges[edges["road_name"] == "Low Street"]
    ends = set(zip(low["from_node"], low["to_node"], strict=True))
    # four stretches between three crossings and two dead ends, there and back
    assert len(low) == len(ends) == 8
    assert ends == {(there, here) for here, there in ends}
    first = edges[edges["road_name"] == "First Lane"]
    ends = set(zip(first["from_node"], first["to_node"], strict=True))
    assert not ends & {(there, here) for here, there in ends}


def test_a_street_has_the_length_it_has_on_the_ground(edges):
    # 0.016 degrees of longitude at 51.5025 degrees north
    expected = 0.016 * 111_320 * 0.62248
    assert edges[edges["road_name"] == "High Street"].length.sum() / 2 == pytest.approx(expected, rel=0.004)


def test_a_street_that_crosses_the_border_is_whole_within(edges, lsoas):
    second = edges[edges["road_name"] == "Second Lane"]
    height_m = 3 * 0.0025 * 111_250
    assert second.intersection(lsoas.union_all()).length.sum() / 2 == pytest.approx(height_m, rel=0.004)


def test_a_ring_that_meets_no_other_road_is_kept_and_has_no_name(edges):
    ring = edges[edges["road_name"].isna()]
    assert set(ring["osm_way_id"]) == {1505}
    assert all(name is None for name in ring["road_name"])


def test_only_roads_near_the_lsoas_come(edges, lsoas):
    assert edges["osm_way_id"].between(1500, 1599).all()


def test_the_first_error_was_asked_again_and_the_server_was_told_who_asks(lsoas, tmp_path):
    with serve_small_world() as addresses:
        fetch(addresses, lsoas, tmp_path)
    assert addresses.count("/interpreter", status=503) == addresses.count("/interpreter", status=200) == 1
    assert all(asked.headers["User-Agent"].startswith("StreetIMD/") for asked in addresses.overpass.log)


def test_the_same_lsoas_are_asked_for_once_even_if_the_server_has_gone(edges, lsoas, tmp_path):
    with serve_small_world(faults=()) as addresses:
        first = fetch(addresses, lsoas, tmp_path)
        n_asked = len(addresses.overpass.log)
        fetch(addresses, lsoas, tmp_path)
        assert len(addresses.overpass.log) == n_asked
    again = fetch(addresses, lsoas, tmp_path)
    assert again.drop(columns="geometry").equals(first.drop(columns="geometry"))
    assert again.geom_equals(first).all()


def test_half_a_cached_answer_is_thrown_away_and_asked_for_again(lsoas, tmp_path):
    with serve_small_world(faults=()) as addresses:
        whole = fetch(addresses, lsoas, tmp_path)
        (kept,) = tmp_path.glob("*.json")
        kept.write_text(kept.read_text()[:1000])
        assert len(fetch(addresses, lsoas, tmp_path)) == len(whole)


def test_osmnx_and_the_socket_module_are_left_as_they_were(lsoas, tmp_path, capsys):
    from osmnx import settings

    names = [name for name in vars(settings) if name in settings.__annotations__]
    before = {name: copy.deepcopy(getattr(settings, name)) for name in names}
    getaddrinfo = socket.getaddrinfo
    with serve_small_world(faults=[Reply(status=400)]) as addresses:
        with pytest.raises(RoadError):
            fetch(addresses, lsoas, tmp_path)
        fetch(addresses, lsoas, tmp_path)
    assert len(names) > 30
    assert {name: getattr(settings, name) for name in names} == before
    assert socket.getaddrinfo is getaddrinfo
    assert capsys.readouterr() == ("", "")


def test_no_file_is_written_outside_the_cache_folder(lsoas, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with serve_small_world(faults=()) as addresses:
        fetch(addresses, lsoas, tmp_path / "cache")
    assert list(here.iterdir()) == []
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_place_without_roads_is_one_sentence(lsoas, tmp_path):
    elsewhere = lsoas.set_geometry(lsoas.translate(50_000, 50_000))
    with serve_small_world(faults=()) as addresses, pytest.raises(RoadError, match="knows no 'drive' roads"):
        fetch(addresses, elsewhere, tmp_path)


def test_a_server_that_is_not_there_is_one_sentence_at_once(lsoas, tmp_path, monkeypatch):
    monkeypatch.setattr(roads, "WAITS_S", (0.01,))
    with serve_small_world() as addresses:
        pass
    with pytest.raises(RoadError, match=r"/api did not answer after 2 tries \(nothing answers at that address\)"):
        fetch(addresses, lsoas, tmp_path)


def test_a_server_that_stays_busy_is_given_up_in_one_sentence(lsoas, tmp_path):
    with (
        serve_small_world(faults=[busy(429)] * 4) as addresses,
        pytest.raises(RoadError, match=r"did not answer after 4 tries \(429 Too Many Requests\); try again later"),
    ):
        fetch(addresses, lsoas, tmp_path)


def test_roads_that_came_with_a_remark_are_not_taken_for_all_of_them(lsoas, tmp_path):
    content = json.loads(small_world.overpass_reply(small_world.WEST))
    content["remark"] = 'runtime error: Query timed out in "recurse" at line 1 after 180 seconds.'
    half = Reply(json.dumps(content).encode(), content_type="application/json")
    with serve_small_world(faults=[half]) as addresses:
        with pytest.raises(RoadError, match=r"gave up on the query .*Query timed out"):
            fetch(addresses, lsoas, tmp_path)
        # and they are not in the cache
        assert len(fetch(addresses, lsoas, tmp_path)) > 0


@pytest.mark.parametrize("fault", [Reply(b"<html>a page</html>"), Reply(b"parse error", 400)])
def test_a_refusal_is_one_sentence(lsoas, tmp_path, fault):
    with (
        serve_small_world(faults=[fault]) as addresses,
        pytest.raises(RoadError, match=r"/interpreter answered .*; name another server in geography\.overpass_url"),
    ):
        fetch(addresses, lsoas, tmp_path)


def test_an_answer_that_breaks_off_is_asked_for_again(lsoas, tmp_path, monkeypatch):
    monkeypatch.setattr(roads, "WAITS_S", (0.01,))
    with serve_small_world(faults=[Reply(small_world.overpass_reply(small_world.WEST), cut_off=True)]) as addresses:
        assert len(fetch(addresses, lsoas, tmp_path)) > 0
    assert addresses.count("/interpreter") == 2


def undirected_length_km(edges, lsoas):
    ends = [tuple(sorted(pair)) for pair in zip(edges["from_node"], edges["to_node"], strict=True)]
    once = edges.assign(ends=ends, mm=edges.length.mul(1000).round()).drop_duplicates(["osm_way_id", "ends", "mm"])
    return once.intersection(lsoas.union_all()).length.sum() / 1000


@pytest.mark.real_data
@pytest.mark.parametrize(("slug", "length_km"), [("camden", 286), ("tower-hamlets", 330)])
def test_real_roads_are_as_long_as_they_are_and_reach_every_lsoa_of_camden(
    real, slug, length_km, tmp_path, caplog
):
    caplog.set_level(logging.WARNING)
    lsoas = fetch_lsoa_boundaries(
        find_local_authority(slug), lsoa_service=real.lsoa_service, lookup_service=real.lookup_service
    )
    edges = fetch(real, lsoas, tmp_path)
    assert undirected_length_km(edges, lsoas) == pytest.approx(length_km, rel=0.02)
    if slug == "camden":
        roads_there = edges.union_all()
        assert lsoas.intersects(roads_there).all()
    assert not caplog.records
