import asyncio
import errno
import io
import os
import threading
import time
import zlib
from datetime import date

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.errors import BudgetError, ImageryError
from streetimd_assets.schemas import get_table
from streetimd_assets.sources import web as web_module
from streetimd_assets.sources.imagery import aside, fetching
from streetimd_assets.sources.imagery.base import FetchFailed, Shot
from streetimd_assets.sources.imagery.collecting import ask_panoramas, collect_images, image_id, images_of
from streetimd_assets.sources.web import NoAnswer, Web
from streetimd_tests.standins.server import Reply, StandIn, busy

VIEW = "640 px"
HEADINGS = (0.0, 90.0, 180.0, 270.0)


def draw_picture(seed):
    levels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


class Streets:
    """A source of four headings, so many to a shot, that notes what it is asked, with answers of one's choice."""

    name = "streets"

    def __init__(self, answers=None, headings_a_shot=1):
        self.answers = answers or {}
        self.headings_a_shot = headings_a_shot
        self.asked = []

    async def find_panoramas(self, points, web, progress=None):
        for number in range(len(points)):
            progress(number + 1, len(points))
        return points

    def shots_of(self, panorama):
        size = self.headings_a_shot
        return tuple(Shot(panorama, HEADINGS[start : start + size]) for start in range(0, len(HEADINGS), size))

    async def fetch(self, shot, web):
        return {
            heading: await self.picture(image_id(shot.panorama["panorama_id"], heading))
            for heading in shot.headings_deg
        }

    async def picture(self, name):
        self.asked.append(name)
        await asyncio.sleep(0)
        answer = self.answers.get(name, draw_picture(zlib.crc32(name.encode())))
        if isinstance(answer, BaseException):
            raise answer
        return answer


class ServedStreets(Streets):
    """The same over HTTP: a request for each picture."""

    def __init__(self, address, **options):
        super().__init__(**options)
        self.address = address

    async def picture(self, name):
        answer = await Web.get(self.web, f"{self.address}/{name}")
        return answer.body

    async def fetch(self, shot, web):
        self.web = web
        return await super().fetch(shot, web)


class Shelf:
    """Keeps files in a folder and rows in memory, as a store would."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = {}

    def save(self, name, data):
        (self.folder / f"{name}.png").write_bytes(data)
        return f"images/{name}.png"

    def record(self, row):
        self.rows[row["image_id"]] = row


class Coins:
    """A purse of so many coins."""

    def __init__(self, n_coins):
        self.n_left = n_coins
        self.n_paid = 0
        self.is_closed = False

    async def reserve(self):
        assert not self.is_closed
        if not self.n_left:
            raise BudgetError("budget.max_images_per_run = 3 images is reached")
        self.n_left -= 1
        self.n_paid += 1

    def close(self):
        self.is_closed = True


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def make_panoramas(*names):
    table = pd.DataFrame({"panorama_id": list(names)})
    return table.assign(
        point_id=[f"p{name}" for name in names],
        status="ok",
        lsoa_code="E01801001",
        captured_on=[date(2025, 6, 1), *[None] * (len(names) - 1)],
        source="streets",
        licence="CC BY-SA 4.0",
        credit=None,
        viewer_url=[f"https://view.example/{name}" for name in names],
    )


@pytest.fixture
def panoramas():
    table = make_panoramas("a", "b", "c")
    return table.assign(status=["ok", "ok", "too_far"])


@pytest.fixture
def served():
    """Pictures over HTTP, by any path."""

    def answer(asked):
        return Reply(draw_picture(zlib.crc32(asked.path.encode())), content_type="image/png")

    with StandIn(answer) as server:
        yield server


def collect(panoramas, source, shelf, **more):
    more = {"recorded": dict(shelf.rows), "view": VIEW, "save": shelf.save, "record": shelf.record} | more
    return collect_images(panoramas, source, **{"web": Web, "n_at_once": 1} | more)


def test_every_usable_panorama_gives_a_row_per_heading(panoramas, shelf):
    images = collect(panoramas, Streets(), shelf)
    assert tuple(images.columns) == get_table("street_images").column_names
    headings = ("000", "090", "180", "270")
    assert list(images["image_id"]) == [f"{name}@{heading}" for name in "ab" for heading in headings]
    assert set(images["status"]) == {"ok"}
    first = images.iloc[0]
    assert (first["point_id"], first["captured_on"], first["credit"]) == ("pa", date(2025, 6, 1), None)
    assert (first["width_px"], first["height_px"]) == (40, 40)
    assert first["viewer_url"] == "https://view.example/a"


def test_saved_files_are_those_the_rows_say(panoramas, shelf):
    images = collect(panoramas, Streets(), shelf)
    for row in images.to_dict("records"):
        assert row["image_path"] == f"images/{row['image_id']}.png"
        assert (shelf.folder / f"{row['image_id']}.png").stat().st_size == row["n_bytes"]
    assert images["sha256"].is_unique


@pytest.mark.parametrize("n_at_once", [1, 7])
def test_what_is_recorded_equals_what_is_returned(panoramas, shelf, n_at_once):
    source = Streets({"a@090": b"", "b@000": FetchFailed("gone")})
    images = collect(panoramas, source, shelf, n_at_once=n_at_once)
    recorded = pd.DataFrame([shelf.rows[name] for name in images["image_id"]])
    assert set(recorded.pop("view")) == {VIEW}
    recorded = recorded[list(images.columns)]
    assert (
        recorded.astype(object)
        .where(recorded.notna(), None)
        .equals(images.astype(object).where(images.notna(), None))
    )


def test_however_many_are_under_way_at_once_the_images_are_the_same(shelf):
    panoramas = make_panoramas(*(f"p{number}" for number in range(40)))
    alone = collect(panoramas, Streets(), shelf)
    for n_at_once, headings_a_shot in ((3, 1), (64, 2), (500, 4)):
        source = Streets(headings_a_shot=headings_a_shot)
        together = collect(panoramas, source, Shelf(shelf.folder), n_at_once=n_at_once)
        pd.testing.assert_frame_equal(together, alone)
        assert len(source.asked) == len(set(source.asked)) == 160


def test_no_more_are_under_way_than_was_said(shelf):
    class Counting(Streets):
        now = most = 0

        async def picture(self, name):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.001)
            self.now -= 1
            return await super().picture(name)

    source = Counting()
    collect(make_panoramas(*(f"p{number}" for number in range(30))), source, shelf, n_at_once=9)
    assert source.most == 9


def test_panoramas_are_taken_in_an_order_that_has_nothing_to_do_with_their_place(shelf):
    names = [f"p{number:03d}" for number in range(200)]
    source = Streets()
    collect(make_panoramas(*names), source, shelf)
    taken = [int(name[1:4]) for name in source.asked[::4]]
    assert sorted(taken) == list(range(200))
    assert abs(np.corrcoef(taken, range(200))[0, 1]) < 0.2
    assert all(len({name[:4] for name in source.asked[k : k + 4]}) == 1 for k in range(0, 800, 4))


def test_a_bad_image_and_a_failed_one_are_rows_and_the_rest_is_collected(panoramas, shelf):
    source = Streets(
        {"a@090": b"<html>", "b@000": FetchFailed("the server closed the door"), "b@090": NoAnswer("mute")}
    )
    images = collect(panoramas, source, shelf).set_index("image_id")
    assert images.loc["a@090", "status"] == "invalid_image"
    assert images.loc["a@090", "n_bytes"] == 6
    assert images.loc["b@000", ["status", "status_detail"]].tolist() == ["failed", "the server closed the door"]
    assert images.loc["b@090", ["status", "status_detail"]].tolist() == ["failed", "mute"]
    assert images.loc[["a@090", "b@000", "b@090"], "image_path"].isna().all()
    assert (images["status"] == "ok").sum() == 5
    assert len(os.listdir(shelf.folder)) == 5


def test_a_shot_that_lacks_one_of_its_headings_fails_in_that_heading_alone(panoramas, shelf):
    class Blinking(Streets):
        async def fetch(self, shot, web):
            views = await super().fetch(shot, web)
            return {heading: data for heading, data in views.items() if heading != 90}

    images = collect(panoramas, Blinking(headings_a_shot=4), shelf).set_index("image_id")
    assert set(images.index[images["status"] == "failed"]) == {"a@090", "b@090"}


def test_a_run_stopped_half_way_goes_on_where_it_was(panoramas, shelf):
    class Stopped(BaseException):
        """Like the signal that ends a run: nothing on the way may catch it."""

    whole = Streets()
    collect(panoramas, whole, Shelf(shelf.folder))
    stopped = Streets({whole.asked[4]: Stopped()})
    with pytest.raises(Stopped):
        collect(panoramas, stopped, shelf)
    assert stopped.asked == whole.asked[:5]
    again = Streets()
    images = collect(panoramas, again, shelf)
    assert again.asked == whole.asked[4:]
    pd.testing.assert_frame_equal(images, collect(panoramas, Streets(), Shelf(shelf.folder)))


def test_settled_images_are_never_asked_for_again_and_failed_ones_are(panoramas, shelf):
    collect(panoramas, Streets({"a@090": b"<html>", "b@000": FetchFailed("gone")}), shelf)
    again = Streets()
    images = collect(panoramas, again, shelf).set_index("image_id")
    assert again.asked == ["b@000"]
    assert dict(images["status"].value_counts()) == {"ok": 7, "invalid_image": 1}


def test_where_everything_is_held_no_client_is_made(panoramas, shelf):
    first = collect(panoramas, Streets(), shelf)

    def no_web():
        raise AssertionError("asked for a client")

    pd.testing.assert_frame_equal(collect(panoramas, Streets(), shelf, web=no_web), first)


def test_a_picture_of_another_view_is_another_picture(panoramas, shelf):
    collect(panoramas, Streets(), shelf)
    wider = Streets()
    collect(panoramas, wider, shelf, view="640 px, 120 deg")
    assert len(wider.asked) == 8
    # the file holds the wider picture now
    narrow = Streets()
    collect(panoramas, narrow, shelf)
    assert len(narrow.asked) == 8


def test_of_a_shot_with_a_heading_missing_only_that_heading_is_saved_again(panoramas, shelf):
    collect(panoramas, Streets({"a@090": b""}, headings_a_shot=4), shelf)
    shelf.rows["a@180"]["status"] = "failed"
    before = dict(shelf.rows)
    again = Streets(headings_a_shot=4)
    collect(panoramas, again, shelf)
    assert again.asked == ["a@000", "a@090", "a@180", "a@270"]
    assert {name for name, row in shelf.rows.items() if row is not before[name]} == {"a@180"}


def test_the_plan_counts_images_held_and_requests_to_buy(panoramas, shelf):
    collect(panoramas, Streets({"a@090": b"", "a@180": FetchFailed("gone"), "a@270": FetchFailed("gone")}), shelf)
    for headings_a_shot, n_to_buy in ((1, 2), (4, 1)):
        planned = images_of(panoramas, Streets(headings_a_shot=headings_a_shot), shelf.rows, VIEW)
        assert planned.n_planned.tolist() == [4, 4, 0]
        assert planned.n_held == {"a": 2, "b": 4}
        assert planned.n_to_buy == n_to_buy
    other = images_of(panoramas.set_index(pd.Index([7, 5, 3])), Streets(), shelf.rows, "another view")
    assert other.n_planned.to_dict() == {7: 4, 5: 4, 3: 0}
    assert (other.n_held, other.n_to_buy) == ({"a": 0, "b": 0}, 8)


def test_an_image_kept_from_before_takes_the_lsoa_its_panorama_has_now(panoramas, shelf):
    collect(panoramas, Streets(), shelf)
    images = collect(panoramas.assign(lsoa_code="E01801002"), Streets(), shelf)
    assert set(images["lsoa_code"]) == {"E01801002"}


@pytest.mark.parametrize("n_at_once", [1, 4])
def test_a_refusal_stops_the_collection_and_keeps_what_was_had(shelf, n_at_once):
    panoramas = make_panoramas(*(f"p{number}" for number in range(30)))
    refusal = ImageryError("the quota is used up; go on tomorrow")
    source = Streets({"p7@180": refusal})
    with pytest.raises(ImageryError, match="the quota is used up") as caught:
        collect(panoramas, source, shelf, n_at_once=n_at_once)
    assert caught.value is refusal
    # what was under way beside it is finished, and nothing more is asked for
    at = source.asked.index("p7@180")
    assert set(source.asked) - {"p7@180"} == set(shelf.rows)
    assert len(source.asked) < at + 2 * n_at_once + 1
    again = Streets()
    collect(panoramas, again, shelf, n_at_once=n_at_once)
    assert set(again.asked).isdisjoint(set(source.asked) - {"p7@180"})


def test_a_full_disk_stops_the_collection_as_it_is(panoramas, shelf):
    full = OSError(errno.ENOSPC, "No space left on device")

    def save(name, data):
        if name == "a@180":
            raise full
        return shelf.save(name, data)

    with pytest.raises(OSError) as caught:
        collect(panoramas, Streets(), shelf, save=save)
    assert caught.value is full
    assert "a@180" not in shelf.rows
    assert {"a@000", "a@090"} <= set(shelf.rows)


def test_a_provider_that_stays_silent_is_given_up(shelf, monkeypatch):
    monkeypatch.setattr(fetching, "most_silences_in_a_row", lambda n_at_once: 10)
    names = [f"p{number}" for number in range(20)]
    silent = {f"{name}@{heading:03.0f}": NoAnswer("it did not answer") for name in names for heading in HEADINGS}
    source = Streets(silent)
    with pytest.raises(ImageryError, match=r"'streets' did not answer 10 requests, the last 10 in a row .*; check"):
        collect(make_panoramas(*names), source, shelf)
    assert len(source.asked) == 10
    # one answer in between, and it is a row like any other
    silent.pop(source.asked[4])
    silent = {name: silent[name] for name in source.asked[:9] if name in silent}
    images = collect(make_panoramas(*names), Streets(silent), shelf)
    assert (images["status"] == "failed").sum() == 8


def test_a_refusal_of_one_picture_is_an_answer_and_ends_a_silence(shelf, monkeypatch):
    monkeypatch.setattr(fetching, "most_silences_in_a_row", lambda n_at_once: 10)
    names = [f"p{number}" for number in range(20)]
    first = Streets()
    collect(make_panoramas(*names), first, shelf)
    answers = {name: NoAnswer("it did not answer") for name in first.asked[:19]}
    answers[first.asked[9]] = FetchFailed("404 Not Found")
    shelf.rows.clear()
    images = collect(make_panoramas(*names), Streets(answers), shelf)
    assert (images["status"] == "failed").sum() == 19


def test_a_collection_that_gets_no_answer_to_much_of_it_is_no_result(shelf):
    names = [f"p{number}" for number in range(5)]
    first = Streets()
    collect(make_panoramas(*names), first, shelf)
    silent = {name: NoAnswer("it did not answer") for name in first.asked[::3]}
    shelf.rows.clear()
    with pytest.raises(ImageryError, match=r"did not answer 6 requests, the last 1 in a row") as caught:
        collect(make_panoramas(*names), stopped := Streets(silent), shelf)
    assert caught.value.may_pass
    # as soon as that is sure
    assert len(stopped.asked) < 20
    # what is held is not asked again, and one picture that never comes stops nothing
    held = {name for name, row in shelf.rows.items() if row["status"] == "ok"}
    only = {first.asked[0]: NoAnswer("it did not answer")}
    images = collect(make_panoramas(*names), again := Streets(only), shelf)
    assert sorted(again.asked) == sorted(set(first.asked) - held)
    assert list(images["status"]).count("failed") == 1


def test_each_request_is_paid_before_it_is_sent_again_too(panoramas, shelf, served):
    served.faults = [busy(), Reply(b"x" * 100, cut_off=True)]
    purse = Coins(100)
    images = collect(panoramas, ServedStreets(served.address), shelf, purse=purse, n_at_once=3)
    assert (images["status"] == "ok").all()
    assert purse.n_paid == len(served.log) == 10
    assert purse.is_closed


def test_an_empty_purse_stops_the_collection_and_says_what_is_held_and_left(panoramas, shelf, served):
    purse = Coins(3)
    with pytest.raises(BudgetError) as caught:
        collect(panoramas, ServedStreets(served.address), shelf, purse=purse, n_at_once=2)
    assert str(caught.value) == (
        "budget.max_images_per_run = 3 images is reached; 3 of 8 images are held and 5 are left"
    )
    assert len(served.log) == len(shelf.rows) == 3
    assert purse.is_closed
    collect(panoramas, ServedStreets(served.address), shelf, purse=Coins(5), n_at_once=2)
    assert len(served.log) == 8


def test_a_purse_is_closed_also_when_nothing_is_to_be_bought_or_a_source_refuses(panoramas, shelf):
    purse = Coins(0)
    with pytest.raises(ImageryError):
        collect(panoramas, Streets({"a@000": ImageryError("no")}), shelf, purse=purse)
    assert purse.is_closed
    collect(panoramas, Streets(), shelf)
    purse = Coins(0)
    collect(panoramas, Streets(), shelf, purse=purse)
    assert purse.is_closed


class Interrupted(BaseException):
    """What a signal raises in the calling thread."""


def interrupting(when):
    """Progress that interrupts the calling thread once a condition holds."""

    def progress(n_done, n_images):
        if when():
            raise Interrupted

    return progress


def test_an_interruption_sends_nothing_more_and_loses_nothing_that_came(shelf, served, monkeypatch):
    monkeypatch.setattr(aside, "LOOK_EVERY_S", 0.02)
    panoramas = make_panoramas(*(f"p{number}" for number in range(120)))
    before = threading.active_count()
    with pytest.raises(Interrupted):
        collect(
            panoramas,
            ServedStreets(served.address),
            shelf,
            n_at_once=8,
            progress=interrupting(lambda: len(served.log) > 50),
        )
    n_sent = len(served.log)
    assert 50 < n_sent < 480
    assert {asked.path[1:] for asked in served.log} == set(shelf.rows)
    assert all((shelf.folder / f"{name}.png").exists() for name in shelf.rows)
    time.sleep(0.1)
    assert len(served.log) == n_sent
    assert threading.active_count() <= before + 8
    collect(panoramas, ServedStreets(served.address), shelf, n_at_once=8)
    assert len(served.log) == 480


def test_an_interruption_waits_a_few_seconds_for_a_server_that_hangs_and_no_longer(shelf, monkeypatch):
    monkeypatch.setattr(aside, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(fetching, "GRACE_S", 0.5)

    class Hanging(Streets):
        async def picture(self, name):
            if len(self.asked) > 10:
                self.asked.append(name)
                await asyncio.sleep(3600)
            return await super().picture(name)

    source = Hanging()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        collect(
            make_panoramas(*(f"p{number}" for number in range(50))),
            source,
            shelf,
            n_at_once=4,
            progress=interrupting(lambda: len(source.asked) > 12),
        )
    assert 0.5 < time.monotonic() - started < 5
    assert len(shelf.rows) >= 11


def test_an_interruption_does_not_wait_for_a_slow_pace_or_the_next_try(shelf, served, monkeypatch):
    monkeypatch.setattr(aside, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(fetching, "GRACE_S", 0.3)
    monkeypatch.setattr(web_module, "BASE_WAIT_S", 30)
    served.faults = [Reply(b"busy", 503)] * 4
    for pace in (None, 20):
        started = time.monotonic()
        with pytest.raises(Interrupted):
            collect(
                make_panoramas("a", "b"),
                ServedStreets(served.address),
                shelf,
                web=lambda pace=pace: Web(requests_per_minute=pace),
                n_at_once=4,
                progress=interrupting(lambda: len(served.log) > 0),
            )
        assert time.monotonic() - started < 5
        n_sent = len(served.log)
        time.sleep(0.1)
        assert len(served.log) == n_sent


def test_progress_is_told_in_the_calling_thread_now_and_then_and_at_the_end(shelf, monkeypatch):
    monkeypatch.setattr(aside, "LOOK_EVERY_S", 0.02)

    class Slow(Streets):
        async def picture(self, name):
            await asyncio.sleep(0.01)
            return await super().picture(name)

    told = []
    collect(
        make_panoramas(*(f"p{number}" for number in range(20))),
        Slow(),
        shelf,
        progress=lambda *counts: told.append((*counts, threading.current_thread())),
    )
    counts = [n_done for n_done, _, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == 80
    assert 3 < len(counts) < 100
    assert {(n_images, thread) for _, n_images, thread in told} == {(80, threading.main_thread())}


def test_panoramas_are_asked_for_also_where_an_event_loop_is_running_as_in_a_notebook():
    points = pd.DataFrame({"point_id": ["a", "b"]})
    told = []

    async def notebook():
        return ask_panoramas(Streets(), points, web=Web, progress=lambda *counts: told.append(counts))

    assert asyncio.run(notebook()) is points
    assert told == [(2, 2)]


def test_what_a_source_refuses_reaches_who_asks_for_panoramas():
    class Refusing(Streets):
        async def find_panoramas(self, points, web, progress=None):
            raise ImageryError("the key is not known")

    with pytest.raises(ImageryError, match="the key is not known"):
        ask_panoramas(Refusing(), pd.DataFrame(), web=Web)


def test_no_panorama_gives_an_empty_table_with_all_columns(panoramas, shelf):
    images = collect(panoramas.iloc[:0], Streets(), shelf)
    assert images.empty
    assert tuple(images.columns) == get_table("street_images").column_names


def test_the_order_of_panoramas_does_not_matter(panoramas, shelf):
    images = collect(panoramas, Streets(), shelf)
    pd.testing.assert_frame_equal(collect(panoramas.iloc[::-1], Streets(), Shelf(shelf.folder)), images)


@pytest.mark.parametrize(
    ("heading", "name"), [(0, "p@000"), (90.0, "p@090"), (296.652, "p@297"), (359.9, "p@000"), (None, "p@na")]
)
def test_an_image_is_named_by_panorama_and_heading(heading, name):
    assert image_id("p", heading) == name
    assert image_id("p", float("nan")) == "p@na"
