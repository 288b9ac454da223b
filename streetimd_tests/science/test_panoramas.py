"""A panorama belongs where it stands, counts once, and says why if it is not used."""

from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from shapely.geometry import box

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science import geography, panoramas

WEST, SOUTH = 529_000.0, 184_000.0
COLUMNS = list(schemas.TABLES["panoramas"].column_names)


@pytest.fixture
def lsoas():
    """Two LSOAs side by side, 500 m each."""
    outlines = [box(WEST + 500 * i, SOUTH, WEST + 500 * (i + 1), SOUTH + 500) for i in (0, 1)]
    return gpd.GeoDataFrame({"lsoa_code": ["E01000001", "E01000002"]}, geometry=outlines, crs="EPSG:27700")


def points_at(**east_m):
    """Sample points this many metres east of the western border, half way up."""
    return pd.DataFrame(
        {
            "point_id": list(east_m),
            "lsoa_code": ["E01000001" if east < 500 else "E01000002" for east in east_m.values()],
            "easting_m": [WEST + east for east in east_m.values()],
            "northing_m": SOUTH + 250,
        }
    )


def answer(point_id, east_m, panorama_id=None, status="ok", **more):
    (longitude_deg,), (latitude_deg,) = geography.to_longitude_latitude([WEST + east_m], [SOUTH + 250])
    return {
        "point_id": point_id,
        "panorama_id": panorama_id or f"p{east_m:g}",
        "status": status,
        "status_detail": None,
        "longitude_deg": longitude_deg,
        "latitude_deg": latitude_deg,
        "captured_on": date(2024, 6, 1),
        "camera_heading_deg": None,
        "source": "painted",
        "licence": None,
        "credit": None,
    } | more


def locate(answers, points, lsoas):
    located = panoramas.locate_panoramas(pd.DataFrame(answers), points, lsoas, max_distance_m=50)
    assert list(located.columns) == COLUMNS
    return located.set_index("point_id")


def test_a_panorama_belongs_to_the_lsoa_it_stands_in_not_to_that_of_its_point(lsoas):
    located = locate([answer("a", 510)], points_at(a=490), lsoas)
    assert located.loc["a", "lsoa_code"] == "E01000002"
    assert located.loc["a", "distance_m"] == pytest.approx(20, abs=0.01)
    assert located.loc["a", "easting_m"] == pytest.approx(WEST + 510, abs=0.01)
    assert located.loc["a", "status"] == "ok"


def test_every_reason_not_to_use_a_panorama_is_a_status(lsoas):
    points = points_at(far=100, gone=200, outside=990, none=300, unofficial=320)
    answers = [
        answer("far", 160),
        answer("gone", 200, longitude_deg=None, latitude_deg=None),
        answer("outside", 1010),
        answer("none", 300, status="no_imagery", longitude_deg=None, latitude_deg=None, panorama_id=None),
        answer("unofficial", 320, status="not_official", status_detail="by a visitor"),
    ]
    located = locate(answers, points, lsoas)
    assert located["status"].to_dict() == {
        "far": "too_far",
        "gone": "failed",
        "none": "no_imagery",
        "outside": "outside_local_authority",
        "unofficial": "not_official",
    }
    assert located.loc["far", "status_detail"] == "60 m from its point, 50 m allowed"
    assert located.loc["gone", "status_detail"] == "has no position"
    assert located.loc["unofficial", "status_detail"] == "by a visitor"
    assert set(located["status"]) <= set(schemas.PANORAMA_STATUSES)


def test_a_panorama_on_another_continent_is_outside_rather_than_far(lsoas):
    located = locate([answer("a", 0, longitude_deg=-120.0, latitude_deg=40.0)], points_at(a=250), lsoas)
    assert located.loc["a", "status"] == "outside_local_authority"


def test_a_panorama_that_answers_several_points_is_left_to_the_nearest(lsoas):
    points = points_at(a=100, b=130, c=160)
    located = locate([answer(name, 140, "shared") for name in "abc"], points, lsoas)
    assert located["status"].tolist() == ["duplicate_panorama", "ok", "duplicate_panorama"]
    assert located.loc["a", "status_detail"] == "counted once, for point b"


def test_of_equally_near_points_the_first_by_name_keeps_the_panorama(lsoas):
    located = locate([answer(name, 140, "shared") for name in "ba"], points_at(b=150, a=130), lsoas)
    assert located["status"].to_dict() == {"a": "ok", "b": "duplicate_panorama"}


def test_a_point_too_far_away_does_not_take_a_panorama_from_a_nearer_one(lsoas):
    located = locate([answer(name, 140, "shared") for name in "ab"], points_at(a=10, b=150), lsoas)
    assert located["status"].tolist() == ["too_far", "ok"]


def test_a_photograph_of_ones_own_without_a_point_is_kept_without_a_distance(lsoas):
    located = locate([answer("my photo", 140)], points_at(a=10), lsoas)
    assert located.loc["my photo", "status"] == "ok"
    assert np.isnan(located.loc["my photo", "distance_m"])


def test_a_panorama_between_two_local_authorities_is_used_by_one(lsoas):
    answers, points = [answer("a", 500, "border")], points_at(a=495)
    western, eastern = (locate(answers, points, lsoas.iloc[[side]]) for side in (0, 1))
    assert sorted([western.loc["a", "status"], eastern.loc["a", "status"]]) == ["ok", "outside_local_authority"]


def test_panoramas_do_not_depend_on_the_order_of_answers(lsoas):
    points = points_at(a=100, b=130, c=160, d=700)
    answers = [answer(name, 140, "shared") for name in "abc"] + [answer("d", 700)]
    straight = locate(answers, points, lsoas)
    assert_frame_equal(straight, locate(answers[::-1], points.iloc[::-1], lsoas.iloc[::-1]))


def test_no_answers_give_no_panoramas(lsoas):
    none = pd.DataFrame([answer("a", 1)]).iloc[:0]
    assert panoramas.locate_panoramas(none, points_at(a=1), lsoas, max_distance_m=50).empty


def test_two_answers_for_one_point_are_refused(lsoas):
    with pytest.raises(ScienceError, match="point 'a' has more than one panorama"):
        locate([answer("a", 140), answer("a", 150)], points_at(a=100), lsoas)


def test_the_plan_counts_what_is_to_come_in_every_lsoa(lsoas):
    points = points_at(a=100, b=200, c=300, d=330)
    answers = [
        answer("a", 110, captured_on=date(2020, 1, 1)),
        answer("b", 202, captured_on=date(2024, 1, 1)),
        answer("c", 303, captured_on=None, camera_heading_deg=12.0),
        answer("d", 400, captured_on=date(1999, 1, 1)),
    ]
    located = locate(answers, points, lsoas).reset_index()
    lengths = pd.Series({"E01000001": 800.0})
    plan = panoramas.plan_imagery(points, located, lengths, ["E01000002", "E01000001"], n_headings=4)
    assert list(plan.columns) == list(schemas.TABLES["imagery_plan"].column_names)
    first, second = plan.to_dict("records")
    assert (first["n_points"], first["n_panoramas"], first["n_images_planned"]) == (4, 3, 9)
    assert first["median_distance_m"] == pytest.approx(3, abs=0.01)
    assert (first["oldest_captured_on"], first["median_captured_on"]) == (date(2020, 1, 1), date(2021, 12, 31))
    assert (second["road_length_m"], second["n_points"], second["n_images_planned"]) == (0, 0, 0)
    assert np.isnan(second["median_distance_m"])
    assert second["oldest_captured_on"] is None


def images_of(n_panoramas, headings=(0, 90, 180, 270)):
    rows = [
        {"panorama_id": f"p{number}", "heading_deg": heading, "status": "ok", "sha256": f"{number}-{heading}"}
        for number in range(n_panoramas)
        for heading in headings
    ]
    return pd.DataFrame(rows)


def test_four_headings_are_counted_for_each_panorama():
    images = images_of(3)
    assert panoramas.headings_per_panorama(images).to_dict() == {"p0": 4, "p1": 4, "p2": 4}
    assert panoramas.complete_share(images) == 1
    assert panoramas.complete_share(images.iloc[:0]) == 0


def test_a_flat_photograph_of_unknown_heading_is_complete():
    assert panoramas.complete_share(images_of(2, headings=[None])) == 1


def test_a_failed_image_leaves_its_panorama_incomplete():
    images = images_of(4)
    images.loc[2, "status"] = "failed"
    assert panoramas.complete_share(images) == 0.75


def test_the_same_heading_stored_four_times_is_caught():
    images = images_of(4)
    assert panoramas.complete_share(images.assign(heading_deg=0.0)) == 0


def test_the_same_picture_fetched_for_four_headings_is_caught():
    images = images_of(3)
    assert panoramas.repeated_files(images) == 0
    assert panoramas.repeated_files(images.assign(sha256=images["panorama_id"])) == 12
    assert panoramas.repeated_files(images.assign(sha256="blank", status="invalid_image")) == 0
