import errno
import io
import os
import zlib
from datetime import date

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.errors import ImageryError
from streetimd_assets.schemas import get_table
from streetimd_assets.sources.imagery import collecting
from streetimd_assets.sources.imagery.base import FetchFailed
from streetimd_assets.sources.imagery.collecting import collect_images, image_id


def draw_picture(seed):
    levels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


class Streets:
    """A source of four headings that counts what it is asked, with answers of one's choice."""

    name = "streets"

    def __init__(self, answers=None):
        self.answers = answers or {}
        self.asked = []

    def find_panoramas(self, points):
        raise NotImplementedError

    def headings_of(self, panorama):
        return (0.0, 90.0, 180.0, 270.0)

    def fetch_image(self, panorama, heading_deg):
        name = image_id(panorama["panorama_id"], heading_deg)
        self.asked.append(name)
        answer = self.answers.get(name, draw_picture(zlib.crc32(name.encode())))
        if isinstance(answer, BaseException):
            raise answer
        return answer


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


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


@pytest.fixture
def panoramas():
    table = pd.DataFrame({"panorama_id": ["a", "b", "c"]})
    return table.assign(
        point_id=["pa", "pb", "pc"],
        status=["ok", "ok", "too_far"],
        lsoa_code="E01801001",
        captured_on=[date(2025, 6, 1), None, None],
        source="streets",
        licence="CC BY-SA 4.0",
        credit=None,
    )


def collect(panoramas, source, shelf, **more):
    more = {"recorded": dict(shelf.rows), "save": shelf.save, "record": shelf.record, **more}
    return collect_images(panoramas, source, **more)


def test_every_usable_panorama_gives_a_row_per_heading(panoramas, shelf):
    images = collect(panoramas, Streets(), shelf)
    assert tuple(images.columns) == get_table("street_images").column_names
    headings = ("000", "090", "180", "270")
    assert list(images["image_id"]) == [f"{name}@{heading}" for name in "ab" for heading in headings]
    assert set(images["status"]) == {"ok"}
    first = images.iloc[0]
    assert (first["point_id"], first["captured_on"], first["credit"]) == ("pa", date(2025, 6, 1), None)
    assert (first["width_px"], first["height_px"]) == (40, 40)


def test_saved_files_are_those_the_rows_say(panoramas, shelf):
    images = collect(panoramas, Streets(), shelf)
    for row in images.to_dict("records"):
        assert row["image_path"] == f"images/{row['image_id']}.png"
        assert (shelf.folder / f"{row['image_id']}.png").stat().st_size == row["n_bytes"]
    assert images["sha256"].is_unique


def test_what_is_recorded_equals_what_is_returned(panoramas, shelf):
    images = collect(panoramas, Streets({"a@090": b"", "b@000": FetchFailed("gone")}), shelf)
    recorded = pd.DataFrame(shelf.rows.values())[list(images.columns)]
    assert recorded.astype(object).where(recorded.notna(), None).equals(
        images.astype(object).where(images.notna(), None)
    )


def test_a_bad_image_and_a_failed_one_are_rows_and_the_rest_is_collected(panoramas, shelf):
    source = Streets({"a@090": b"<html>", "b@000": FetchFailed("the server closed the door")})
    images = collect(panoramas, source, shelf).set_index("image_id")
    assert images.loc["a@090", "status"] == "invalid_image"
    assert images.loc["a@090", "n_bytes"] == 6
    assert images.loc["b@000", ["status", "status_detail"]].tolist() == ["failed", "the server closed the door"]
    assert images.loc[["a@090", "b@000"], "image_path"].isna().all()
    assert (images["status"] == "ok").sum() == 6
    assert len(os.listdir(shelf.folder)) == 6


def test_a_run_stopped_half_way_goes_on_where_it_was(panoramas, shelf):
    class Stopped(BaseException):
        """Like the signal that ends a run: nothing on the way may catch it."""

    stopped = Streets({"b@000": Stopped()})
    with pytest.raises(Stopped):
        collect(panoramas, stopped, shelf)
    assert stopped.asked == ["a@000", "a@090", "a@180", "a@270", "b@000"]
    again = Streets()
    images = collect(panoramas, again, shelf)
    assert again.asked == ["b@000", "b@090", "b@180", "b@270"]
    whole = collect(panoramas, Streets(), Shelf(shelf.folder))
    pd.testing.assert_frame_equal(images, whole)


def test_settled_images_are_never_asked_for_again_and_failed_ones_are(panoramas, shelf):
    collect(panoramas, Streets({"a@090": b"<html>", "b@000": FetchFailed("gone")}), shelf)
    again = Streets()
    images = collect(panoramas, again, shelf).set_index("image_id")
    assert again.asked == ["b@000"]
    assert dict(images["status"].value_counts()) == {"ok": 7, "invalid_image": 1}


def test_an_image_kept_from_before_takes_the_lsoa_its_panorama_has_now(panoramas, shelf):
    collect(panoramas, Streets(), shelf)
    images = collect(panoramas.assign(lsoa_code="E01801002"), Streets(), shelf)
    assert set(images["lsoa_code"]) == {"E01801002"}


def test_a_refusal_stops_the_collection_and_keeps_what_was_had(panoramas, shelf):
    source = Streets({"a@180": ImageryError("the quota is used up; go on tomorrow")})
    with pytest.raises(ImageryError, match="the quota is used up"):
        collect(panoramas, source, shelf)
    assert sorted(shelf.rows) == ["a@000", "a@090"]


def test_a_full_disk_stops_the_collection_as_it_is(panoramas, shelf):
    full = OSError(errno.ENOSPC, "No space left on device")

    def save(name, data):
        if name == "a@180":
            raise full
        return shelf.save(name, data)

    with pytest.raises(OSError) as caught:
        collect(panoramas, Streets(), shelf, save=save)
    assert caught.value is full
    assert sorted(shelf.rows) == ["a@000", "a@090"]


def test_progress_is_told_now_and_then_and_at_the_end(panoramas, shelf, monkeypatch):
    monkeypatch.setattr(collecting, "PROGRESS_EVERY", 3)
    counts = []
    collect(panoramas, Streets(), shelf, progress=lambda n_done, n_images: counts.append((n_done, n_images)))
    assert counts == [(3, 8), (6, 8), (8, 8)]


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
