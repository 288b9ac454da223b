import bz2
import copy
import gzip
import hashlib
import json
import logging
import socket

import geopandas as gpd
import pytest

from streetimd_assets.errors import RoadError
from streetimd_assets.sources import roads
from streetimd_assets.sources.roads import RoadChoice, fetch_road_edges, read_road_edges, road_provenance
from streetimd_assets.study.model import HIGHWAY_CLASSES
from streetimd_tests.standins import serve_small_world, small_world
from streetimd_tests.standins.server import Reply, busy

AS_GIVEN = {"highway_classes": HIGHWAY_CLASSES, "include_tunnels": False, "include_private": False}


@pytest.fixture(scope="module")
def lsoas():
    table = gpd.GeoDataFrame.from_features(small_world.lsoa_features(), crs="EPSG:4326").to_crs("EPSG:27700")
    return table[table["LSOA21NM"].str.startswith("West")]


def fetch(addresses, lsoas, folder, **options):
    return fetch_road_edges(
        lsoas, overpass_url=addresses.overpass_url, cache_folder=folder, **{**AS_GIVEN, **options}
    )


def read(roads_file, lsoas, folder, **options):
    return read_road_edges(lsoas, roads_file=roads_file, cache_folder=folder, **{**AS_GIVEN, **options})


def as_xml(reply):
    """The same roads as an OpenStreetMap file, with something that is no road."""
    elements = json.loads(reply)["elements"]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<osm version="0.6" generator="stand-in">']
    for node in (element for element in elements if element["type"] == "node"):
        lines.append(f'<node id="{node["id"]}" lat="{node["lat"]}" lon="{node["lon"]}"/>')
    for way in (element for element in elements if element["type"] == "way"):
        parts = [f'<nd ref="{node}"/>' for node in way["nodes"]]
        parts += [f'<tag k="{key}" v="{value}"/>' for key, value in way["tags"].items()]
        lines.append(f'<way id="{way["id"]}">{"".join(parts)}</way>')
    first = next(element["id"] for element in elements if element["type"] == "node")
    lines.append(f'<way id="9999"><nd ref="{first}"/><tag k="waterway" v="river"/></way></osm>')
    return "\n".join(lines).encode()


def same(one, other):
    columns = one.drop(columns="geometry").equals(other.drop(columns="geometry"))
    return columns and bool(one.geom_equals(other).all())


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
    assert same(again, first)


def test_half_a_cached_answer_is_thrown_away_and_asked_for_again(lsoas, tmp_path):
    with serve_small_world(faults=()) as addresses:
        whole = fetch(addresses, lsoas, tmp_path)
        (kept,) = tmp_path.rglob("*.json")
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
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 1


def test_a_place_without_roads_is_one_sentence(lsoas, tmp_path):
    elsewhere = lsoas.set_geometry(lsoas.translate(50_000, 50_000))
    with (
        serve_small_world(faults=()) as addresses,
        pytest.raises(RoadError, match=r"knows no road .*highway_classes"),
    ):
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


TAGS = {
    "a bridge": ({"bridge": "yes"}, True),
    "a bus lane": ({"motor_vehicle": "no"}, False),
    "an alley": ({"service": "alley"}, False),
    "a square": ({"area": "yes"}, False),
    "a gated road": ({"access": "private"}, "private"),
    "a closed road": ({"access": "no"}, "private"),
    "a road for residents": ({"access": "destination"}, True),
    "a tunnel": ({"tunnel": "yes"}, "tunnels"),
    "an archway": ({"tunnel": "building_passage"}, "tunnels"),
    "what is said to be no tunnel": ({"tunnel": "no"}, True),
}


@pytest.mark.parametrize(("tags", "taken"), TAGS.values(), ids=TAGS)
def test_roads_are_for_the_public_in_the_open_unless_asked_for(tags, taken):
    road = {"highway": "residential", **tags}
    plain = RoadChoice(HIGHWAY_CLASSES, include_tunnels=False, include_private=False)
    assert plain.takes(road) == (taken is True)
    assert RoadChoice(HIGHWAY_CLASSES, include_tunnels=True, include_private=False).takes(road) == (
        taken in (True, "tunnels")
    )
    assert RoadChoice(HIGHWAY_CLASSES, include_tunnels=False, include_private=True).takes(road) == (
        taken in (True, "private")
    )


@pytest.mark.parametrize("highway", ["motorway", "motorway_link", "service", "footway", "track", "residential_"])
def test_motorways_and_what_is_no_street_are_left_out(highway):
    assert not RoadChoice(HIGHWAY_CLASSES, include_tunnels=True, include_private=True).takes({"highway": highway})


def test_only_the_classes_wanted_are_asked_for_and_come(lsoas, tmp_path):
    with serve_small_world(faults=()) as addresses:
        edges = fetch(addresses, lsoas, tmp_path, highway_classes=("tertiary", "primary"))
    (query,) = [asked.query["data"] for asked in addresses.overpass.log if asked.query.get("data")]
    assert '["highway"~"^(primary|tertiary)$"]' in query
    assert set(edges["highway"]) == {"tertiary"}


def tagged(reply, way, **tags):
    content = json.loads(reply)
    for element in content["elements"]:
        if element["id"] == way:
            element["tags"] |= tags
    return json.dumps(content).encode()


def test_a_tunnel_is_left_out_or_taken_without_asking_again(lsoas, edges, tmp_path):
    reply = tagged(small_world.overpass_reply(small_world.WEST), 1501, tunnel="yes")
    with serve_small_world(faults=[Reply(reply, content_type="application/json")]) as addresses:
        without = fetch(addresses, lsoas, tmp_path)
        n_asked = len(addresses.overpass.log)
        with_tunnels = fetch(addresses, lsoas, tmp_path, include_tunnels=True)
        assert len(addresses.overpass.log) == n_asked
    assert "High Street" not in set(without["road_name"])
    assert same(with_tunnels, edges)


def test_a_road_left_out_cuts_no_other_in_two(lsoas, edges, tmp_path):
    reply = tagged(small_world.overpass_reply(small_world.WEST), 1501, access="private")
    with serve_small_world(faults=[Reply(reply, content_type="application/json")]) as addresses:
        found = fetch(addresses, lsoas, tmp_path)
    before, after = (part[part["road_name"] == "Second Lane"] for part in (edges, found))
    assert len(after) == len(before) - 2
    assert after.length.sum() == pytest.approx(before.length.sum())


WRITERS = {
    ".osm": lambda path, body: path.write_bytes(body),
    ".osm.gz": lambda path, body: path.write_bytes(gzip.compress(body)),
    ".osm.bz2": lambda path, body: path.write_bytes(bz2.compress(body)),
    ".osm.pbf": lambda path, body: write_pbf(path, body),
}


def write_pbf(path, body):
    import osmium

    plain = path.with_name("plain.osm")
    plain.write_bytes(body)
    with osmium.SimpleWriter(path) as writer:
        for thing in osmium.FileProcessor(plain):
            writer.add(thing)


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_extract_on_disk_gives_the_edges_of_a_server(lsoas, edges, tmp_path, suffix):
    path = tmp_path / f"roads{suffix}"
    WRITERS[suffix](path, as_xml(small_world.overpass_reply(small_world.WEST)))
    assert same(read(path, lsoas, tmp_path / "cache"), edges)


def test_an_extract_is_cut_once_and_cut_again_when_it_has_changed(lsoas, tmp_path):
    path, cache = tmp_path / "roads.osm", tmp_path / "cache"
    reply = small_world.overpass_reply(small_world.WEST)
    path.write_bytes(as_xml(reply))
    first = read(path, lsoas, cache)
    (cut,) = cache.iterdir()
    written_at = cut.stat().st_mtime_ns
    assert same(read(path, lsoas, cache, include_private=True), first)
    assert [(file, file.stat().st_mtime_ns) for file in cache.iterdir()] == [(cut, written_at)]
    path.write_bytes(as_xml(tagged(reply, 1501, name="Highest Street")))
    assert "Highest Street" in set(read(path, lsoas, cache)["road_name"])


def test_a_road_that_leaves_a_clipped_extract_is_not_led_across_the_gap(lsoas, edges, tmp_path):
    body = as_xml(small_world.overpass_reply(small_world.WEST))
    # the second of the five nodes of Low Street, and with it what it is a part of, is not in the file
    clipped = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b'<node id="1001"'))
    path = tmp_path / "clipped.osm"
    path.write_bytes(clipped)
    found = read(path, lsoas, tmp_path / "cache")
    before, after = (part[part["road_name"] == "Low Street"] for part in (edges, found))
    assert after.length.sum() == pytest.approx(before.length.sum() / 2, rel=0.01)


def test_where_roads_came_from_is_known_afterwards(lsoas, tmp_path):
    options = {"highway_classes": HIGHWAY_CLASSES, "cache_folder": tmp_path / "cache"}
    with serve_small_world(faults=()) as addresses:
        fetch(addresses, lsoas, tmp_path / "cache")
    (answer,) = road_provenance(lsoas, overpass_url=addresses.overpass_url, roads_file=None, **options)
    assert answer.address == addresses.overpass_url
    assert answer.sha256 == hashlib.sha256(answer.path.read_bytes()).hexdigest()
    assert answer.note == "OpenStreetMap as of 2025-08-10T23:25:26Z"
    path = tmp_path / "roads.osm"
    path.write_bytes(as_xml(small_world.overpass_reply(small_world.WEST)))
    (extract,) = road_provenance(lsoas, overpass_url="", roads_file=path, **options)
    assert (extract.address, extract.sha256) == (str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def test_an_extract_that_is_not_there_is_one_sentence(lsoas, tmp_path):
    with pytest.raises(RoadError, match=r"nowhere\.osm\.pbf' cannot be read .*geography\.roads_file"):
        read(tmp_path / "nowhere.osm.pbf", lsoas, tmp_path / "cache")


BROKEN = {
    "half a file": ("half.osm", lambda: as_xml(small_world.overpass_reply(small_world.WEST))[:1000]),
    "a page": ("page.osm", lambda: b"<html>not found</html>"),
    "no compressed file": ("roads.osm.gz", lambda: b"plain"),
    "no protocol buffer": ("roads.osm.pbf", lambda: b"<html>not found</html>"),
    "another kind of file": ("roads.csv", lambda: b"a,b"),
}


@pytest.mark.parametrize(("name", "body"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_extract_is_one_sentence(lsoas, tmp_path, name, body):
    path = tmp_path / name
    path.write_bytes(body())
    with pytest.raises(RoadError, match=rf"{name}' cannot be read as an OpenStreetMap extract"):
        read(path, lsoas, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_an_extract_of_another_place_is_one_sentence(lsoas, tmp_path):
    path = tmp_path / "east.osm"
    path.write_bytes(as_xml(small_world.overpass_reply(small_world.EAST)))
    with pytest.raises(RoadError, match=r"east\.osm' knows no road of the classes wanted"):
        read(path, lsoas, tmp_path / "cache")


def undirected_length_km(edges, lsoas):
    ends = [tuple(sorted(pair)) for pair in zip(edges["from_node"], edges["to_node"], strict=True)]
    once = edges.assign(ends=ends, mm=edges.length.mul(1000).round()).drop_duplicates(["osm_way_id", "ends", "mm"])
    return once.intersection(lsoas.union_all()).length.sum() / 1000


EVERYTHING = {"include_tunnels": True, "include_private": True}


def real_place(folder, name):
    (extract,) = (folder / name).glob("roads_drive_*.osm.gz")
    return gpd.read_file(f"/vsigzip/{folder / name / 'lsoa21.geojson.gz'}").to_crs("EPSG:27700"), extract


@pytest.mark.real_data
def test_roads_of_camden_are_as_long_as_they_are_from_a_server_and_a_file_alike(
    real, real_folder, tmp_path, caplog
):
    caplog.set_level(logging.WARNING)
    lsoas, extract = real_place(real_folder, "camden")
    edges = fetch(real, lsoas, tmp_path, **EVERYTHING)
    assert undirected_length_km(edges, lsoas) == pytest.approx(286, rel=0.005)
    assert lsoas.intersects(edges.union_all()).all()
    assert same(read(extract, lsoas, tmp_path, **EVERYTHING), edges)
    assert not caplog.records


@pytest.mark.real_data
def test_tunnels_and_closed_roads_are_nine_of_the_330_km_of_tower_hamlets(real_folder, tmp_path):
    lsoas, extract = real_place(real_folder, "tower_hamlets")
    assert undirected_length_km(read(extract, lsoas, tmp_path), lsoas) == pytest.approx(330.5 - 8.9, abs=0.5)
