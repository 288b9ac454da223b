import asyncio
import logging
import random

import pytest

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.choosing import Picture
from streetimd_assets.sources.imagery.tiles import Found, survey_points, tiles_around
from streetimd_assets.sources.web import NoAnswer
from streetimd_tests.sources.imagery.asking import make_points, place

DISTANCE_M = 50


def make_pictures(n, seed=1, spread_m=400):
    rng = random.Random(seed)
    places = [place(rng.uniform(-spread_m, spread_m), rng.uniform(-spread_m, spread_m)) for _ in range(n)]
    return [Picture(str(i), *at, None, True, 0.0, None, None, None) for i, at in enumerate(places)]


def is_inside(tile, picture):
    return tile.west <= picture.longitude_deg <= tile.east and tile.south <= picture.latitude_deg <= tile.north


def survey(points, ask, **options):
    options = {"title": "It", "size_deg": 0.004, "max_distance_m": DISTANCE_M, "n_at_once": 4} | options
    return asyncio.run(survey_points(points, ask, **options))


def thinning(pictures, most, log=None):
    """A search that returns at most so many, and says nothing."""

    async def ask(tile):
        inside = [picture for picture in pictures if is_inside(tile, picture)]
        if log is not None:
            log.append(tile)
        await asyncio.sleep(0)
        return Found(inside[:most], len(inside[:most]) >= most)

    return ask


def test_tiles_cover_everything_within_the_distance_of_a_point():
    points = make_points((0, 0), (333, -250), (-700, 120))
    tiles = tiles_around(points, size_deg=0.004, max_distance_m=DISTANCE_M)
    assert len(set(tiles)) == len(tiles) <= 12
    for east, north in ((0, 0), (333, -250), (-700, 120)):
        for dx, dy in ((0, 50), (50, 0), (0, -50), (-50, 0), (0, 0)):
            longitude, latitude = place(east + dx, north + dy)
            assert any(t.west <= longitude <= t.east and t.south <= latitude <= t.north for t in tiles)


def test_tiles_stand_on_one_grid_whatever_the_points():
    few = tiles_around(make_points((0, 0)), size_deg=0.004, max_distance_m=DISTANCE_M)
    many = tiles_around(make_points((0, 0), (1000, 1000)), size_deg=0.004, max_distance_m=DISTANCE_M)
    assert set(few) < set(many)


@pytest.mark.parametrize("most", [5, 20, 10_000])
def test_every_picture_near_a_point_is_found_however_little_an_answer_holds(most):
    points = make_points(*((x, y) for x in (-200, 0, 200) for y in (-200, 0, 200)))
    pictures = make_pictures(500)
    everything = survey(points, thinning(pictures, 10_000)).pictures
    assert 0 < len(everything) < 500
    assert survey(points, thinning(pictures, most)).pictures == everything


def test_only_quarters_that_come_near_a_point_are_asked_for():
    log = []
    found = survey(make_points((0, 0)), thinning(make_pictures(3000), 100, log))
    whole = [tile for tile in log if tile.n_splits == 0]
    assert found.n_split > 0
    assert found.n_asked == len(log)
    assert len(log) < len(whole) + 4 * found.n_split


def test_a_place_with_more_than_can_be_had_ends_and_says_so(caplog):
    here = [Picture(str(i), *place(0, 0), None, True, 0.0, None, None, None) for i in range(50)]
    with caplog.at_level(logging.INFO):
        found = survey(make_points((0, 0)), thinning(here, 10))
    assert found.n_still_full >= 1
    assert len(found.pictures) == 10
    assert "of the smallest tiles are still full; some pictures there were not seen" in caplog.text
    assert "asked for in quarters" in caplog.text


def test_a_tile_without_answer_is_asked_for_in_quarters_and_fails_only_points_near_what_stays_silent():
    points = make_points((0, 0), (600, 600))

    async def ask(tile):
        if tile.n_splits == 0 or is_inside(tile, Picture("x", *place(0, 0), None, True, 0, None, None, None)):
            raise NoAnswer("it broke down")
        return Found([], False)

    found = survey(points, ask)
    assert found.unanswered == {"p0": "it broke down"}


def test_a_service_that_does_not_answer_at_all_stops_the_run_after_a_few_questions():
    n_asked = 0

    async def ask(tile):
        nonlocal n_asked
        n_asked += 1
        raise NoAnswer("no connection")

    points = make_points(*((500 * i, 0) for i in range(50)))
    with pytest.raises(ImageryError, match=r"It does not answer \(no connection\); run again later"):
        survey(points, ask)
    assert n_asked < 20


def test_a_refusal_stops_the_run():
    async def ask(tile):
        raise ImageryError("no")

    with pytest.raises(ImageryError, match=r"^no$"):
        survey(make_points((0, 0), (900, 0)), ask)


def test_progress_ends_with_everything_done():
    told = []
    found = survey(make_points((0, 0)), thinning(make_pictures(500), 3), progress=lambda *n: told.append(n))
    assert told[-1] == (found.n_asked, found.n_asked)
    assert found.n_asked > len(told) > 1


def test_without_points_nothing_is_asked():
    assert survey(make_points(), thinning([], 1)).n_asked == 0
