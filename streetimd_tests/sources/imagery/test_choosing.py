from datetime import date

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS
from streetimd_assets.sources.imagery.choosing import Picture, answer_points, choose_pictures
from streetimd_tests.sources.imagery.asking import choose, make_points, place

DAY = date(2024, 6, 1)
COMPASS = (0.0, 90.0, 180.0, 270.0)


def picture(name, heading=0.0, *, is_360=False, day=DAY, at=(0, 0)):
    longitude, latitude = place(*at)
    return Picture(name, longitude, latitude, day, is_360, heading, "CC BY-SA 4.0", "someone", f"https://v/{name}")


def names(*found, headings=COMPASS, **options):
    return [chosen.panorama_id for chosen in choose_pictures(found, headings, choose("mapillary", **options))]


def test_the_nearest_panorama_wins_over_nearer_photographs():
    found = [(1, picture("flat")), (9, picture("far", is_360=True)), (5, picture("near", is_360=True))]
    assert names(*found) == ["near"]


def test_the_newest_panorama_is_taken_where_that_is_preferred():
    found = [(1, picture("old", is_360=True, day=date(2019, 1, 1))), (20, picture("new", is_360=True))]
    assert names(*found, prefer="newest") == ["new"]
    assert names(*found, prefer="nearest") == ["old"]


def test_of_equals_the_first_by_name_is_taken_whatever_their_order():
    found = [(3, picture("b", is_360=True)), (3, picture("a", is_360=True))]
    assert names(*found) == names(*reversed(found)) == ["a"]


def test_flat_photographs_fill_the_headings_they_look_towards():
    found = [(4, picture("n", 350)), (3, picture("e", 100)), (2, picture("e too", 60)), (1, picture("w", 271))]
    assert names(*found) == ["n", "e too", "w"]


def test_a_photograph_between_two_headings_stands_for_one_of_them_only():
    assert names((1, picture("ne", 45))) == ["ne"]
    assert names((1, picture("ne", 45)), (2, picture("ne too", 45))) == ["ne", "ne too"]


def test_a_photograph_stands_for_a_heading_within_half_the_gap_and_45_degrees():
    eight = tuple(np.arange(0.0, 360, 45))
    assert names((1, picture("a", 22)), headings=eight) == ["a"]
    assert names((1, picture("a", 67)), headings=(0.0, 45.0)) == ["a"]
    assert names((1, picture("a", 68)), headings=(0.0, 45.0)) == []
    assert names((1, picture("a", 46)), headings=(0.0,)) == []
    assert names((1, picture("a", 315)), headings=(0.0, 180.0)) == ["a"]


def answers_of(points, *pictures, unanswered=None, **options):
    choice = choose("mapillary", **options)
    table = answer_points(points, pictures, choice, source="mapillary", unanswered=unanswered or {})
    assert tuple(table.columns) == ANSWER_COLUMNS
    return table.to_dict("records")


def test_each_point_is_answered_by_what_stands_within_the_distance():
    points = make_points((0, 0), (200, 0), (1000, 0))
    near, far = picture("near", is_360=True, at=(30, 0)), picture("far", is_360=True, at=(200, 51))
    a, b, c = answers_of(points, far, near)
    assert (a["point_id"], a["panorama_id"], a["status"], a["is_360"]) == ("p0", "near", "ok", True)
    assert (a["longitude_deg"], a["latitude_deg"]) == place(30, 0)
    assert (a["licence"], a["credit"], a["captured_on"]) == ("CC BY-SA 4.0", "someone", DAY)
    assert a["viewer_url"] == "https://v/near"
    assert (b["status"], c["status"], b["source"]) == ("no_imagery", "no_imagery", "mapillary")
    assert pd.isna(b["panorama_id"])


def test_a_point_has_a_row_for_each_flat_photograph():
    rows = answers_of(make_points((0, 0)), picture("a", 1), picture("b", 91), picture("c", 181), picture("d", 271))
    looks = {row["panorama_id"]: row["camera_heading_deg"] for row in rows}
    assert looks == {"a": 1, "b": 91, "c": 181, "d": 271}
    assert {row["point_id"] for row in rows} == {"p0"}


def test_headings_named_from_the_road_choose_what_looks_along_it():
    points = make_points((0, 0), road_bearing_deg=45.0)
    pictures = [picture("along", 50), picture("across", 140), picture("aslant", 91)]
    rows = answers_of(points, *pictures, headings_deg=(0, 180), headings_from="road")
    assert [row["panorama_id"] for row in rows] == ["along"]


@pytest.mark.parametrize(
    "dates", [{"captured_from": date(2024, 6, 2)}, {"captured_to": date(2024, 5, 31)}, {"months": (7, 8)}]
)
def test_a_point_whose_pictures_are_all_outside_the_dates_says_so(dates):
    (row,) = answers_of(make_points((0, 0)), picture("a", is_360=True), picture("b", is_360=True), **dates)
    assert row["status"] == "outside_dates"
    assert row["status_detail"] == "2 pictures, none within the study's dates; newest 2024-06-01"
    within = picture("within", is_360=True, day=date(2024, 6, 30) if "captured_from" in dates else date(2023, 7, 1))
    (row,) = answers_of(make_points((0, 0)), picture("a", is_360=True), within, **dates)
    assert (row["status"], row["panorama_id"]) == ("ok", "within")


def test_a_picture_of_no_known_day_is_not_within_dates():
    (row,) = answers_of(make_points((0, 0)), picture("a", is_360=True, day=None), months=(6,))
    assert row["status"] == "outside_dates"


def test_pictures_that_do_not_say_which_way_they_look_are_of_no_use():
    (row,) = answers_of(make_points((0, 0)), picture("a", None), picture("b", None, is_360=True))
    assert (row["status"], row["status_detail"]) == ("no_imagery", "2 pictures that do not say which way they look")


def test_a_point_that_was_not_answered_is_failed_even_if_something_was_found():
    (row,) = answers_of(make_points((0, 0)), picture("a", is_360=True), unanswered={"p0": "no connection"})
    assert (row["status"], row["status_detail"]) == ("failed", "no connection")
