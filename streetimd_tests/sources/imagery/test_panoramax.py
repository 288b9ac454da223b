import io
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources import web as web_module
from streetimd_assets.sources.imagery.base import FetchFailed
from streetimd_assets.sources.imagery.providers import find_provider, open_source
from streetimd_assets.sources.imagery.providers.panoramax import MOST_PICTURES, file_for, parse_items
from streetimd_assets.sources.web import NoAnswer
from streetimd_tests.sources.imagery.asking import choose, fetch_all, find, make_points, place
from streetimd_tests.sources.imagery.rendered import encode, render_panorama
from streetimd_tests.standins.panoramax import Panoramax, serve_panoramax
from streetimd_tests.standins.server import Reply, busy

REPLY = Path(__file__).parent / "replies" / "panoramax" / "search.json"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(web_module, "BASE_WAIT_S", 0.01)


def item(name, east=0.0, north=0.0, *, azimuth=0.0, field_of_view=360, moment="2024-06-01T12:00:00+00:00"):
    properties = {
        "datetime": moment,
        "license": "etalab-2.0",
        "view:azimuth": azimuth,
        "pers:interior_orientation": {"field_of_view": field_of_view},
    }
    geometry = {"type": "Point", "coordinates": list(place(east, north))}
    return {"id": name, "collection": "c", "geometry": geometry, "properties": properties}


def open_panoramax(server, **options):
    return open_source(choose("panoramax", address=f"{server.address}/api", **options), {})


def test_a_saved_answer_is_read_with_licence_credit_and_viewer_of_each_picture():
    pictures, is_full = parse_items(REPLY.read_bytes(), "https://api.panoramax.xyz/api")
    pano, flat, bare = pictures
    assert not is_full
    assert (pano.is_360, pano.camera_heading_deg, pano.captured_on) == (True, 5, date(2024, 7, 29))
    assert (pano.licence, pano.credit) == ("CC BY-SA 4.0", "walker, Panoramax")
    assert (pano.longitude_deg, pano.latitude_deg) == (-0.1276, 51.5072)
    assert pano.viewer_url == "https://api.panoramax.xyz/#focus=pic&pic=0005086d-65eb-4a90-9764-86b3661aaa77"
    assert (flat.is_360, flat.camera_heading_deg, flat.captured_on) == (False, 350, date(2019, 1, 2))
    assert (flat.licence, flat.credit) == ("etalab-2.0", "Une ville, Panoramax")
    assert (bare.captured_on, bare.licence, bare.camera_heading_deg, bare.credit) == (None, None, None, "Panoramax")


def test_what_is_no_item_collection_is_no_answer():
    beside = (b'{"features": null}', b'{"features": {}}', b'{"features": [], "links": 1}')
    for body in (b"[]", b"{}", b"nothing", *beside):
        with pytest.raises(NoAnswer, match="is not the JSON it should be"):
            parse_items(body, "")


def test_what_an_item_leaves_open_as_null_is_not_known():
    nothing = {"datetime": None, "license": None, "view:azimuth": None, "pers:interior_orientation": None}
    bare = item("a") | {"properties": nothing | {"geovisio:status": None}, "providers": None}
    without = item("b") | {"properties": None, "providers": [None, {"name": "walker", "roles": None}]}
    body = json.dumps({"features": [bare, without, None], "links": None}).encode()
    pictures, is_full = parse_items(body, "https://a.example/api")
    assert [picture.panorama_id for picture in pictures] == ["a", "b"]
    assert not is_full
    for picture in pictures:
        assert (picture.is_360, picture.camera_heading_deg, picture.captured_on) == (False, None, None)
        assert (picture.licence, picture.credit) == (None, "Panoramax")


def test_a_password_in_the_address_of_a_server_reaches_no_row():
    body = json.dumps({"features": [item("a")]}).encode()
    (picture,), _ = parse_items(body, "https://walker:sesame@a.example/api")
    assert picture.viewer_url == "https://a.example/#focus=pic&pic=a"


def test_the_larger_file_is_asked_for_only_where_views_need_it():
    assert file_for(choose("panoramax"), is_360=True) == "sd"
    assert file_for(choose("panoramax", field_of_view_deg=60), is_360=True) == "hd"
    assert file_for(choose("panoramax", field_of_view_deg=60), is_360=False) == "sd"


def test_a_panorama_is_found_and_cut_into_views_from_the_server_that_has_it():
    files = {"a": encode(render_panorama(2048, 30))}
    with serve_panoramax(Panoramax([item("a", 20, 20, azimuth=390)], files)) as server:
        source = open_panoramax(server, image_size_px=64)
        (row,) = find(source, make_points((0, 0))).to_dict("records")
        views = fetch_all(source, row)
    assert (row["status"], row["source"], row["licence"]) == ("ok", "panoramax", "etalab-2.0")
    assert row["viewer_url"] == f"{server.address}/#focus=pic&pic=a"
    assert [asked.path for asked in server.log[-2:]] == ["/api/pictures/a/sd.jpg", "/elsewhere/a/sd.jpg"]
    assert list(views) == [0, 90, 180, 270]
    for heading, data in views.items():
        east, north, _ = np.asarray(Image.open(io.BytesIO(data)), float)[31:33, 31:33].mean(axis=(0, 1)) - 127.5
        assert east * np.sin(np.radians(heading)) + north * np.cos(np.radians(heading)) > 120


def test_dates_are_filtered_here_for_the_catalogue_does_not():
    items = [item("old", moment="2015-01-01T00:00:00Z"), item("new", 30, 0)]
    with serve_panoramax(Panoramax(items)) as server:
        chosen = find(open_panoramax(server, captured_from="2020-01-01"), make_points((0, 0)))
        none = find(open_panoramax(server, captured_from="2025-01-01"), make_points((0, 0)))
    assert list(chosen["panorama_id"]) == ["new"]
    assert list(none["status"]) == ["outside_dates"]


@pytest.mark.parametrize(("most", "says_next"), [(32_767, False), (300, True)])
def test_a_town_with_more_pictures_than_an_answer_holds_is_seen_whole(most, says_next):
    crowd = [item(str(i), 40, 40) for i in range(MOST_PICTURES + 10)]
    with serve_panoramax(Panoramax([*crowd, item("last", 1, 1)], most=most, says_next=says_next)) as server:
        found = find(open_panoramax(server, max_distance_m=20), make_points((0, 0)))
    assert list(found["panorama_id"]) == ["last"]
    assert len(server.log) > 4


def a_row(name="a", *, is_360=False):
    return {"panorama_id": name, "is_360": is_360, "camera_heading_deg": 12.0}


def test_a_flat_photograph_is_handed_over_as_it_is():
    files = {"a": encode(Image.new("RGB", (64, 48)))}
    with serve_panoramax(Panoramax([], files), faults=[busy(), busy(429)]) as server:
        assert fetch_all(open_panoramax(server), a_row()) == {12.0: files["a"]}


def test_a_picture_that_is_gone_or_is_no_panorama_is_a_failure():
    with serve_panoramax(Panoramax([], {"a": encode(Image.new("RGB", (64, 48)))})) as server:
        source = open_panoramax(server)
        with pytest.raises(FetchFailed, match="Panoramax answers 404 Not Found for picture gone"):
            fetch_all(source, a_row("gone"))
        with pytest.raises(FetchFailed, match="64x48 pixels: not the whole of a panorama"):
            fetch_all(source, a_row(is_360=True))


def test_an_address_that_is_no_panoramax_is_one_sentence():
    with serve_panoramax(Panoramax([])) as server:
        source = open_source(choose("panoramax", address=f"{server.address}/wrong"), {})
        with pytest.raises(ImageryError, match=r"answers a search with 404 Not Found; see that imagery\.address"):
            find(source, make_points((0, 0)))


def test_a_page_instead_of_an_answer_is_asked_for_again():
    page = Reply(b"<html>one moment please</html>", content_type="text/html")
    with serve_panoramax(Panoramax([item("a")]), faults=[page, busy(502)]) as server:
        assert list(find(open_panoramax(server), make_points((0, 0)))["status"]) == ["ok"]


def test_the_provider_is_asked_no_more_than_thirty_times_a_minute():
    assert find_provider("panoramax").requests_per_minute == 30
