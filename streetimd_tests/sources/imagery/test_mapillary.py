import asyncio
import io
import json
import random
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.errors import ImageryError, TermsError
from streetimd_assets.sources import web as web_module
from streetimd_assets.sources.imagery.base import FetchFailed
from streetimd_assets.sources.imagery.providers import find_provider, open_source
from streetimd_assets.sources.imagery.providers.mapillary import (
    FIELDS,
    NEARLY_MOST,
    parse_images,
    thumbs_for,
)
from streetimd_assets.sources.web import NoAnswer, Web
from streetimd_tests.sources.imagery.asking import choose, fetch_all, find, make_points, place, points_at
from streetimd_tests.sources.imagery.rendered import encode, render_panorama
from streetimd_tests.standins.mapillary import LOGIN, TOKEN, Mapillary, serve_mapillary
from streetimd_tests.standins.server import Reply, busy

REPLIES = Path(__file__).parent / "replies" / "mapillary"
SECRET = "MLY|9999|hide-me-9999"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(web_module, "BASE_WAIT_S", 0.01)


def image(name, east=0.0, north=0.0, *, heading=0.0, is_pano=True, **more):
    geometry = {"type": "Point", "coordinates": list(place(east, north))}
    shape = (
        {"width": 5760, "height": 2880, "camera_type": "spherical"} if is_pano else {"camera_type": "perspective"}
    )
    about = {"captured_at": 1750097300000, "compass_angle": heading, "creator": {"username": "walker", "id": "1"}}
    return {"id": name, "geometry": geometry, "is_pano": is_pano, **shape, **about, **more}


def open_mapillary(server, token=TOKEN, **options):
    return open_source(choose("mapillary", address=server.address, **options), {"MAPILLARY_ACCESS_TOKEN": token})


def found_of(server, points, **options):
    return find(open_mapillary(server, **options), points).to_dict("records")


def test_a_saved_answer_is_read_with_all_that_may_be_missing():
    pictures, is_full = parse_images((REPLIES / "images.json").read_bytes())
    pano, flat, bare = pictures
    assert not is_full
    assert (pano.panorama_id, pano.is_360) == ("498763468214164", True)
    assert (pano.longitude_deg, pano.latitude_deg) == (-0.1716696, 51.5474807)
    assert pano.camera_heading_deg == pytest.approx(296.652)
    assert (pano.captured_on, pano.licence, pano.credit) == (date(2025, 6, 16), "CC BY-SA 4.0", "walker, Mapillary")
    assert pano.viewer_url == "https://www.mapillary.com/app/?pKey=498763468214164"
    assert (flat.is_360, flat.camera_heading_deg, flat.credit) == (False, 40.5, "Zoë D., Mapillary")
    assert (bare.captured_on, bare.camera_heading_deg, bare.credit) == (None, None, "Mapillary")


@pytest.mark.parametrize(
    ("width", "height", "is_taken"),
    [
        ("5760", "2880", True),
        ("5760", "1200", False),
        ("wide", 2880, True),
        (None, "2880", True),
        (5760, "0", True),
    ],
)
def test_a_size_given_as_text_is_read_and_one_that_is_no_number_is_not_known(width, height, is_taken):
    body = json.dumps({"data": [image("a", width=width, height=height)]}).encode()
    assert [picture.panorama_id for picture in parse_images(body).pictures] == ["a"] * is_taken


def test_what_is_no_answer_to_a_search_is_no_answer():
    for body in (b"[]", b"{}", b'{"data": 1}', b"nothing"):
        with pytest.raises(NoAnswer):
            parse_images(body)


def test_the_smallest_file_that_is_as_sharp_as_the_views_comes_first():
    def first(**options):
        return thumbs_for(choose("mapillary", **options), is_360=True)[0]

    assert first(image_size_px=640, field_of_view_deg=90) == "thumb_2048_url"
    assert first(image_size_px=320, field_of_view_deg=90) == "thumb_1024_url"
    assert first(image_size_px=640, field_of_view_deg=60) == "thumb_original_url"
    assert thumbs_for(choose("mapillary"), is_360=False) == (
        "thumb_1024_url",
        "thumb_2048_url",
        "thumb_original_url",
    )
    assert set(thumbs_for(choose("mapillary", field_of_view_deg=60), is_360=True)) == set(
        thumbs_for(choose("mapillary"), is_360=True)
    )


def test_a_panorama_is_found_and_cut_into_views_that_look_in_the_studys_headings():
    files = {"pano": encode(render_panorama(2048, 120))}
    with serve_mapillary(Mapillary([image("pano", 10, 5, heading=120)], files)) as server:
        source = open_mapillary(server, image_size_px=64)
        (row,) = find(source, make_points((0, 0))).to_dict("records")
        (shot,) = source.shots_of(row)
        views = fetch_all(source, row)
    assert (row["status"], row["panorama_id"], row["is_360"]) == ("ok", "pano", True)
    assert shot.headings_deg == tuple(views) == (0, 90, 180, 270)
    for heading, data in views.items():
        middle = np.asarray(Image.open(io.BytesIO(data)), float)[31:33, 31:33].mean(axis=(0, 1)) - 127.5
        assert np.degrees(np.arctan2(middle[0], middle[1])) % 360 == pytest.approx(heading, abs=2) or heading == 0
        assert middle @ [np.sin(np.radians(heading)), np.cos(np.radians(heading)), 0] > 120


def test_a_flat_photograph_is_handed_over_as_it_is_at_its_own_heading():
    files = {"flat": encode(Image.new("RGB", (1024, 768), (9, 99, 9)))}
    with serve_mapillary(Mapillary([image("flat", heading=93.5, is_pano=False)], files)) as server:
        source = open_mapillary(server)
        (row,) = find(source, make_points((0, 0))).to_dict("records")
        assert fetch_all(source, row) == {93.5: files["flat"]}


def test_computed_position_and_heading_are_preferred():
    computed = {"computed_geometry": {"coordinates": list(place(0, 20))}, "computed_compass_angle": 200}
    with serve_mapillary(Mapillary([image("a", 0, 0, heading=10, **computed)])) as server:
        (row,) = found_of(server, make_points((0, 0)))
    assert (row["longitude_deg"], row["latitude_deg"]) == pytest.approx(place(0, 20))
    assert row["camera_heading_deg"] == 200


@pytest.mark.parametrize("most", [2000, NEARLY_MOST + 1])
def test_a_town_with_more_pictures_than_an_answer_holds_is_seen_whole(most):
    rng = random.Random(7)
    pictures = [image(str(i), rng.uniform(-100, 100), rng.uniform(-100, 100)) for i in range(6000)]
    nearest = image("nearest", 1, 1)
    with serve_mapillary(Mapillary([*pictures, nearest], most=most)) as server:
        (row,) = found_of(server, make_points((1, 1)))
        boxes = [tuple(map(float, asked.query["bbox"].split(","))) for asked in server.log]
    assert row["panorama_id"] == "nearest"
    assert len(boxes) > 4
    assert max(max(east - west, north - south) for west, south, east, north in boxes) <= 0.004 + 1e-7


def test_the_token_is_sent_to_mapillary_in_a_header_and_nowhere_else():
    files = {"a": encode(render_panorama(512, 0))}
    with serve_mapillary(Mapillary([image("a")], files)) as server:
        source = open_mapillary(server, image_size_px=64)
        (row,) = find(source, make_points((0, 0))).to_dict("records")
        fetch_all(source, row)
    searches = [asked for asked in server.log if not asked.path.startswith("/files/")]
    downloads = [asked for asked in server.log if asked.path.startswith("/files/")]
    assert {asked.headers["Authorization"] for asked in searches} == {f"OAuth {TOKEN}"}
    assert len(downloads) == 1
    assert "Authorization" not in downloads[0].headers
    assert not any("MLY" in f"{asked.path}{asked.query}" for asked in server.log)
    assert searches[0].query["fields"] == FIELDS


def a_row(name="a", *, is_360=False):
    return {"panorama_id": name, "is_360": is_360, "camera_heading_deg": 0.0}


def test_an_expired_link_is_asked_for_anew_once():
    files = {"a": encode(Image.new("RGB", (64, 64)))}
    with serve_mapillary(Mapillary([image("a")], files, n_expired=1)) as server:
        assert fetch_all(open_mapillary(server), a_row()) == {0: files["a"]}
        assert [asked.status for asked in server.log] == [200, 403, 200, 200]
    with serve_mapillary(Mapillary([image("a")], files, n_expired=9)) as server:
        with pytest.raises(FetchFailed, match="Mapillary's image server answers 403 Forbidden"):
            fetch_all(open_mapillary(server), a_row())
        assert len(server.log) == 4


def test_a_picture_that_is_gone_or_has_no_file_is_a_failure():
    with (
        serve_mapillary(Mapillary([])) as server,
        pytest.raises(FetchFailed, match=r"no picture gone any more \(400 Bad Request\)"),
    ):
        fetch_all(open_mapillary(server), a_row("gone"))
    with (
        serve_mapillary(Mapillary([], {"a": b"x"}, widths=())) as server,
        pytest.raises(FetchFailed, match="no file of picture a"),
    ):
        fetch_all(open_mapillary(server), a_row())


def test_the_next_best_file_is_taken_where_one_is_missing():
    files = {"a": encode(render_panorama(512, 0))}
    with serve_mapillary(Mapillary([image("a")], files, widths=("1024",))) as server:
        assert set(fetch_all(open_mapillary(server), a_row(is_360=True))) == {0, 90, 180, 270}
        assert server.log[-1].path == "/files/a/1024"


PAGE = Reply(b"<html>one moment please</html>", content_type="text/html")
CUT_OFF = Reply(b'{"data": []}', content_type="application/json", cut_off=True)


@pytest.mark.parametrize("fault", [busy(429), busy(500), PAGE, CUT_OFF], ids=["429", "500", "page", "cut off"])
def test_a_passing_fault_is_waited_out(fault):
    files = {"a": encode(Image.new("RGB", (64, 64)))}
    service = Mapillary([image("a")], files)
    with serve_mapillary(service, faults=[fault]) as server:
        source = open_mapillary(server)
        (row,) = find(source, make_points((0, 0))).to_dict("records")
        assert row["status"] == "ok"
        server.faults += [fault, fault]
        assert fetch_all(source, a_row()) == {0: files["a"]}


def test_a_service_that_stays_broken_stops_the_search_and_fails_a_picture():
    with serve_mapillary(Mapillary([image("a")]), faults=[busy()] * 400) as server:
        with pytest.raises(ImageryError, match=r"Mapillary does not answer \(.*503 Service Unavailable"):
            found_of(server, make_points(*((500 * i, 0) for i in range(30))))
        with pytest.raises((NoAnswer, FetchFailed)):
            fetch_all(open_mapillary(server), a_row())


def test_a_login_page_means_that_mapillary_has_blocked_us_and_is_not_asked_again():
    with serve_mapillary(Mapillary([image("a")], {"a": b"x"}), faults=[LOGIN]) as server:
        with pytest.raises(
            ImageryError, match=r"sends this machine elsewhere \(302, to https://www\.mapillary\.com/login"
        ):
            found_of(server, make_points((0, 0)))
        assert len(server.log) == 1
        server.faults.append(LOGIN)
        with pytest.raises(ImageryError, match="blocked"):
            fetch_all(open_mapillary(server), a_row())
    assert not any(asked.path == "/login" for asked in server.log)


def test_a_login_page_instead_of_a_file_stops_the_run_too():
    with serve_mapillary(Mapillary([image("a")], {"a": b"x"})) as server:
        answers = iter([server.answer, lambda asked: LOGIN])
        service = server.answer
        server.answer = lambda asked: next(answers, service)(asked)
        with pytest.raises(ImageryError, match="blocked"):
            fetch_all(open_mapillary(server), a_row())


def test_a_key_that_is_refused_is_one_sentence_without_the_key():
    with serve_mapillary(Mapillary([image("a")])) as server:
        with pytest.raises(
            ImageryError, match=r"does not accept the key \(401 Unauthorized\); see that MAPILLARY"
        ) as caught:
            find(open_mapillary(server, SECRET), make_points((0, 0)))
        assert "hide-me" not in str(caught.value)
        with pytest.raises(ImageryError) as caught:
            fetch_all(open_mapillary(server, SECRET), a_row())
        assert "hide-me" not in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "said"), [("bad_token", "does not accept the key"), ("request_limit", r"limit .* \(code 4\)")]
)
def test_saved_refusals_stop_the_run(reply, said):
    refusal = Reply((REPLIES / f"{reply}.json").read_bytes(), 400, "application/json")
    with serve_mapillary(Mapillary([]), faults=[refusal]) as server, pytest.raises(ImageryError, match=said):
        found_of(server, make_points((0, 0)))


def test_an_address_that_is_not_mapillarys_is_one_sentence():
    not_found = Reply(b"<html>not found</html>", 404, "text/html")
    with (
        serve_mapillary(Mapillary([]), faults=[not_found]) as server,
        pytest.raises(ImageryError, match=r"answers a search with 404 Not Found; see that imagery\.address"),
    ):
        found_of(server, make_points((0, 0)))


def test_without_a_token_the_source_does_not_open():
    with pytest.raises(TermsError, match="needs MAPILLARY_ACCESS_TOKEN"):
        open_source(choose("mapillary"), {})


def test_the_provider_is_free_open_and_may_be_kept():
    provider = find_provider("mapillary")
    assert provider.prices is None
    assert (provider.terms.may_store_pixels, provider.terms.needs_acceptance) == (True, False)


@pytest.fixture(scope="module")
def real_images(real_folder):
    """The real sample in the fields of the API, and what its authors say of the same pictures."""
    folder = real_folder / "images" / "global_streetscapes_sample"
    tables = [pd.read_csv(folder / f"02_metadata_{name}_full_sample.csv.gz") for name in ("mly1", "mly2")]
    common = pd.read_csv(folder / "02_metadata_common_attributes_full_sample.csv.gz").set_index("uuid")
    joined = tables[0].merge(tables[1], on="uuid", suffixes=("", "_2")).set_index("uuid")
    common = common.loc[joined.index]
    images = [
        {
            "id": str(row["orig_id"]),
            "captured_at": row["mly_captured_at"],
            "is_pano": bool(row["mly_is_pano"]),
            "camera_type": about["projection_type"],
            "width": about["width"],
            "height": about["height"],
            "compass_angle": about["heading"],
            "computed_compass_angle": row["mly_computed_compass_angle"],
            "geometry": {"coordinates": [about["lon"], about["lat"]]},
            "computed_geometry": {"coordinates": json.loads(row["mly_computed_geometry.coordinates"])},
        }
        for (_, row), (_, about) in zip(joined.iterrows(), common.iterrows(), strict=True)
    ]
    return images, common


@pytest.mark.real_data
def test_real_metadata_are_read_as_their_authors_read_them(real_images):
    images, common = real_images
    pictures, is_full = parse_images(json.dumps({"data": images}).encode())
    assert (len(pictures), is_full) == (1892, True)
    assert sum(picture.is_360 for picture in pictures) == (common["projection_type"] == "spherical").sum() == 660
    assert [picture.panorama_id for picture in pictures] == [str(name) for name in common["orig_id"]]
    longitudes = np.array([picture.longitude_deg for picture in pictures])
    # computed positions lie near those of the device, but for a few
    assert np.median(np.abs(longitudes - common["lon"].to_numpy())) < 1e-4
    local_days = pd.to_datetime(common["datetime_local"].str[:10]).dt.date
    days_apart = [abs((picture.captured_on - day).days) for picture, day in zip(pictures, local_days, strict=True)]
    assert max(days_apart) <= 1
    assert all(0 <= picture.camera_heading_deg < 360 for picture in pictures)


@pytest.mark.real_data
def test_a_point_where_a_real_panorama_was_taken_is_answered_by_a_panorama_that_stands_there(real_images):
    images, _ = real_images
    # the sample is of Stuttgart; it is moved to where eastings and northings are good
    shift = np.array(place(0, 0)) - images[0]["geometry"]["coordinates"]
    moved = [
        one | {"geometry": {"coordinates": list(shift + one["geometry"]["coordinates"])}, "computed_geometry": None}
        for one in images
    ]
    places = [one["geometry"]["coordinates"] for one in moved if one["is_pano"]][::66]
    with serve_mapillary(Mapillary(moved)) as server:
        found = find(open_mapillary(server), points_at(places))
    assert len(found) == len(places) == 10
    assert set(found["status"]) == {"ok"}
    assert found["is_360"].all()
    np.testing.assert_allclose(found[["longitude_deg", "latitude_deg"]], places, atol=2e-6)


def test_cancelling_a_search_leaves_nothing_running():
    async def ask():
        with serve_mapillary(Mapillary([image("a")])) as server:
            async with Web() as web:
                task = asyncio.create_task(open_mapillary(server).find_panoramas(make_points((0, 0)), web))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert len(asyncio.all_tasks()) == 1

    asyncio.run(ask())
