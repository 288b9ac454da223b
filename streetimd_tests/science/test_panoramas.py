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
            "road_bearing_deg": 90.0,
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
        "is_360": True,
        "camera_heading_deg": None,
        "source": "painted",
        "licence": None,
        "credit": None,
        "viewer_url": None,
    } | more


def photograph(point_id, east_m, heading_deg, **more):
    return answer(point_id, east_m, f"f{heading_deg:g}", is_360=False, camera_heading_deg=heading_deg, **more)


def plan_of(points, located, lengths=None, *, n_images=4, held=None, cost_usd=0.0):
    return panoramas.plan_imagery(
        points,
        located,
        pd.Series({"E01000001": 800.0}) if lengths is None else lengths,
        ["E01000002", "E01000001"],
        images_per_panorama=pd.Series(n_images, index=located.index),
        held=held or {},
        cost_usd=cost_usd,
        today=date(2026, 1, 1),
    )


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


@pytest.mark.parametrize(
    "second",
    [
        answer("a", 150),
        photograph("a", 140, 90.0),
        answer("a", 140, None, status="no_imagery", is_360=None) | {"panorama_id": None},
    ],
    ids=["another panorama", "the same photograph", "no imagery"],
)
def test_two_answers_for_one_point_are_refused_unless_they_are_photographs_that_differ(lsoas, second):
    with pytest.raises(ScienceError, match="point 'a' has more than one panorama, or one twice"):
        locate([photograph("a", 140, 90.0), second], points_at(a=100), lsoas)


def test_a_point_may_be_answered_by_flat_photographs_that_look_different_ways(lsoas):
    answers = [photograph("a", 140 + number, heading) for number, heading in enumerate((270.0, 0.0, 90.0))]
    located = panoramas.locate_panoramas(pd.DataFrame(answers), points_at(a=130), lsoas, max_distance_m=50)
    assert located["panorama_id"].tolist() == ["f0", "f270", "f90"]
    assert located["status"].tolist() == ["ok"] * 3
    assert located["camera_heading_deg"].tolist() == [0, 270, 90]
    assert not located["is_360"].any()
    assert panoramas.answered_share(located) == 1


def test_a_photograph_that_answers_two_points_is_left_to_the_nearest(lsoas):
    answers = [photograph("a", 140, 0.0), photograph("a", 141, 90.0), photograph("b", 140, 0.0)]
    located = panoramas.locate_panoramas(pd.DataFrame(answers), points_at(a=120, b=145), lsoas, max_distance_m=50)
    assert located["status"].tolist() == ["duplicate_panorama", "ok", "ok"]


def test_a_panorama_is_told_the_bearing_of_the_road_at_its_point(lsoas):
    located = locate([answer("a", 140), answer("mine", 150)], points_at(a=130).assign(road_bearing_deg=37.5), lsoas)
    assert located.loc["a", "road_bearing_deg"] == 37.5
    assert np.isnan(located.loc["mine", "road_bearing_deg"])


def test_a_place_without_imagery_does_not_look_all_round(lsoas):
    none = answer("a", 140, status="no_imagery", is_360=None, longitude_deg=None, latitude_deg=None)
    located = locate([none | {"panorama_id": None}, answer("b", 160)], points_at(a=140, b=160), lsoas)
    assert located["is_360"].to_dict() == {"a": False, "b": True}
    assert located["is_360"].dtype == bool


def test_what_a_provider_says_of_dates_and_its_own_page_stays(lsoas):
    late = answer(
        "a", 140, status="outside_dates", status_detail="taken in 2014", viewer_url="https://example.org/p"
    )
    located = locate([late], points_at(a=130), lsoas)
    assert located.loc["a", ["status", "status_detail", "viewer_url"]].tolist() == [
        "outside_dates",
        "taken in 2014",
        "https://example.org/p",
    ]


def test_the_share_answered_counts_points_not_photographs(lsoas):
    answers = [photograph("a", 140, 0.0), photograph("a", 140, 90.0), answer("b", 300, status="no_imagery")]
    located = panoramas.locate_panoramas(pd.DataFrame(answers), points_at(a=130, b=300), lsoas, max_distance_m=50)
    assert panoramas.answered_share(located) == 0.5
    assert panoramas.answered_share(located.iloc[:0]) == 0


def test_the_plan_counts_what_is_to_come_in_every_lsoa(lsoas):
    points = points_at(a=100, b=200, c=300, d=330)
    answers = [
        answer("a", 110, captured_on=date(2020, 1, 1)),
        answer("b", 202, captured_on=date(2024, 1, 1)),
        answer("c", 303, captured_on=None),
        answer("d", 400, captured_on=date(1999, 1, 1)),
    ]
    located = locate(answers, points, lsoas).reset_index()
    plan = plan_of(points, located, n_images=pd.Series([4, 4, 1, 4]))
    assert list(plan.columns) == list(schemas.TABLES["imagery_plan"].column_names)
    first, second = plan.to_dict("records")
    assert (first["n_points"], first["n_panoramas"], first["n_images_planned"]) == (4, 3, 9)
    assert first["median_distance_m"] == pytest.approx(3, abs=0.01)
    assert (first["oldest_captured_on"], first["median_captured_on"]) == (date(2020, 1, 1), date(2021, 12, 31))
    # the median of 6.0 and 2.0 years
    assert first["median_age_years"] == pytest.approx(4, abs=0.01)
    assert (second["road_length_m"], second["n_points"], second["n_images_planned"]) == (0, 0, 0)
    assert np.isnan(second["median_distance_m"])
    assert np.isnan(second["median_age_years"])
    assert second["oldest_captured_on"] is None


def test_what_is_held_is_neither_fetched_nor_paid_again(lsoas):
    points = points_at(a=100, b=200, c=700)
    located = locate([answer("a", 100), answer("b", 200), answer("c", 700)], points, lsoas).reset_index()
    # of a panorama that is not planned any more, and of more headings than are planned
    plan = plan_of(points, located, held={"p100": 3, "p700": 8, "gone": 4}, cost_usd=10.0).set_index("lsoa_code")
    assert plan["n_images_planned"].to_dict() == {"E01000001": 8, "E01000002": 4}
    assert plan["n_images_held"].to_dict() == {"E01000001": 3, "E01000002": 4}
    assert plan["n_images_to_fetch"].to_dict() == {"E01000001": 5, "E01000002": 0}
    assert plan["cost_usd"].to_dict() == {"E01000001": 10.0, "E01000002": 0.0}


def test_the_cost_of_all_is_shared_out_by_images(lsoas):
    points = points_at(a=100, b=200, c=700)
    located = locate([answer("a", 100), answer("b", 200), answer("c", 700)], points, lsoas).reset_index()
    plan = plan_of(points, located, cost_usd=0.84)
    assert plan["cost_usd"].tolist() == pytest.approx([0.56, 0.28])
    nothing = plan_of(points, located.assign(status="too_far"), cost_usd=0.0)
    assert nothing["cost_usd"].tolist() == [0, 0]
    assert nothing["n_images_to_fetch"].tolist() == [0, 0]


def used(**places):
    """Panoramas by point: (panorama_id, year), several for photographs."""
    rows = [
        {
            "point_id": point_id,
            "panorama_id": name,
            "status": "ok" if year else "too_far",
            "captured_on": day_of(year),
        }
        for point_id, found in places.items()
        for name, year in found
    ]
    return pd.DataFrame(rows, columns=["point_id", "panorama_id", "status", "captured_on"])


NOTHING_CHANGED = dict.fromkeys(("n_new", "n_newer", "n_other", "n_gone", "n_not_answered", "n_unchanged"), 0)
NOWHERE = {"panorama_id": None, "longitude_deg": None, "latitude_deg": None}


def day_of(year):
    return date(year, 6, 1) if year else None


def test_what_changed_since_is_counted_place_by_place():
    before = used(
        same=[("p", 2020)], renewed=[("q", 2018)], older=[("r", 2020)], lost=[("s", 2020)], far=[("t", 0)]
    )
    after = used(
        same=[("p", 2020)], renewed=[("q2", 2023)], older=[("r2", 2019)], far=[("t", 2021)], here=[("u", 2020)]
    )
    assert panoramas.compare_panoramas(before, after) == {
        "n_new": 2,
        "n_newer": 1,
        "n_other": 1,
        "n_gone": 1,
        "n_not_answered": 0,
        "n_unchanged": 1,
    }


def test_a_place_that_was_not_answered_is_not_said_to_be_gone():
    before = used(silent=[("p", 2020)], lost=[("q", 2020)], half=[("r", 2020), ("s", 2020)], never=[("t", 0)])
    after = used(silent=[(None, 0)], lost=[("q", 0)], half=[("r", 0), ("s", 0)], never=[(None, 0)])
    failed = (after["point_id"].isin(["silent", "never"])) | (after["panorama_id"] == "r")
    told = panoramas.compare_panoramas(before, after.assign(status=after["status"].mask(failed, "failed")))
    assert (told["n_gone"], told["n_not_answered"]) == (2, 1)


def test_nothing_changed_if_the_same_photographs_come_in_another_order():
    photographs = used(a=[("p", 2020), ("q", 2021)], b=[("r", 2020)])
    told = panoramas.compare_panoramas(photographs, photographs.iloc[::-1])
    assert told == NOTHING_CHANGED | {"n_unchanged": 2}


def test_everything_is_new_the_first_time():
    told = panoramas.compare_panoramas(used(), used(a=[("p", 2020)], b=[("q", 2021)]))
    assert told == NOTHING_CHANGED | {"n_new": 2}


def found_at(points, lsoas, *answers):
    located = panoramas.locate_panoramas(pd.DataFrame(answers), points, lsoas, max_distance_m=50)
    assert not located.duplicated(["point_id", "position"]).any()
    return located


def silence(point_id):
    return answer(point_id, 0, status="failed", status_detail="no answer", is_360=None) | NOWHERE


def test_what_was_found_before_is_carried_on_where_nobody_answers_now(lsoas):
    points = points_at(a=100, b=200, c=300, d=700)
    before = found_at(
        points,
        lsoas,
        photograph("a", 110, 0.0),
        photograph("a", 190, 90.0),
        photograph("a", 111, 180.0),
        answer("b", 210),
        answer("c", 310),
    )
    assert before["status"].tolist() == ["ok", "ok", "too_far", "ok", "ok"]
    none = answer("b", 210, status="no_imagery") | NOWHERE
    found = found_at(points, lsoas, silence("a"), none, answer("c", 311), silence("d"))
    kept = panoramas.keep_unanswered(found, before)
    assert list(kept.columns) == COLUMNS
    assert pd.api.types.is_bool_dtype(kept["is_360"])
    told = kept[["point_id", "position", "panorama_id", "status"]].fillna({"panorama_id": "-"})
    assert list(told.itertuples(index=False, name=None)) == [
        ("a", 1, "f0", "ok"),
        ("a", 2, "f180", "ok"),
        # this one was answered, and so was the next
        ("b", 1, "-", "no_imagery"),
        ("c", 1, "p311", "ok"),
        # of this one nothing was known
        ("d", 1, "-", "failed"),
    ]
    assert set(kept.loc[kept["point_id"] == "a", "status_detail"]) == {"not answered this time, as found before"}
    assert panoramas.compare_panoramas(before, kept)["n_not_answered"] == 0
    # a second silence changes nothing
    assert_frame_equal(panoramas.keep_unanswered(found, kept), kept)


def test_a_panorama_that_another_point_uses_now_is_not_carried_on(lsoas):
    points = points_at(a=100, b=120)
    before = found_at(points, lsoas, answer("a", 105, "shared"))
    found = found_at(points, lsoas, silence("a"), answer("b", 105, "shared"))
    assert_frame_equal(panoramas.keep_unanswered(found, before), found)
    far = found.assign(status=found["status"].mask(found["point_id"] == "b", "too_far"))
    assert panoramas.keep_unanswered(far, before)["status"].tolist() == ["ok", "too_far"]


def test_panoramas_of_another_source_are_not_carried_on(lsoas):
    points = points_at(a=100)
    before = found_at(points, lsoas, answer("a", 105, source="mapillary"))
    found = found_at(points, lsoas, silence("a"))
    assert_frame_equal(panoramas.keep_unanswered(found, before), found)


def test_the_first_time_there_is_nothing_to_carry_on_or_to_keep(lsoas):
    found = found_at(points_at(a=100, b=200), lsoas, silence("a"), answer("b", 200))
    none = pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    assert_frame_equal(panoramas.keep_unanswered(found, none), found)
    assert_frame_equal(panoramas.keep_bearings(found, none), found)
    assert panoramas.keep_unanswered(found.iloc[:0], found).empty


def test_a_panorama_that_a_denser_sample_gives_to_another_point_keeps_its_bearing(lsoas):
    sparse = points_at(a=100).assign(road_bearing_deg=30.0)
    before = found_at(sparse, lsoas, answer("a", 120, "shared"))
    dense = points_at(a=100, b=118, c=400).assign(road_bearing_deg=[30.0, 75.0, 80.0])
    found = found_at(dense, lsoas, *(answer(name, 120, "shared") for name in "ab"), answer("c", 400))
    assert found["status"].tolist() == ["duplicate_panorama", "ok", "ok"]
    kept = panoramas.keep_bearings(found, before)
    # the new panorama has its own point's
    assert kept["road_bearing_deg"].tolist() == [30, 30, 80]
    assert_frame_equal(kept.drop(columns="road_bearing_deg"), found.drop(columns="road_bearing_deg"))


def test_only_a_panorama_that_was_used_keeps_its_bearing_and_none_is_kept_too(lsoas):
    points = points_at(a=100, b=300)
    before = found_at(points.assign(road_bearing_deg=10.0), lsoas, answer("a", 110), answer("mine", 310, "p310"))
    found = found_at(points, lsoas, answer("a", 110), answer("b", 310, "p310"))
    assert panoramas.keep_bearings(found, before)["road_bearing_deg"].tolist() == [
        10,
        pytest.approx(np.nan, nan_ok=True),
    ]
    unused = before.assign(status="too_far")
    assert_frame_equal(panoramas.keep_bearings(found, unused), found)


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


def test_a_panorama_uploaded_twice_is_counted_and_is_no_repeated_file():
    images = images_of(3)
    twice = images.assign(sha256=images["sha256"].str.replace("1-", "0-"))
    assert panoramas.repeated_files(twice) == 0
    assert panoramas.files_in_several_panoramas(twice) == 4
    assert panoramas.files_in_several_panoramas(twice[twice["panorama_id"] != "p0"]) == 0
    assert panoramas.files_in_several_panoramas(images.assign(sha256=images["panorama_id"])) == 0
    assert panoramas.files_in_several_panoramas(twice.assign(status="invalid_image")) == 0
