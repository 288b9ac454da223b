import io
import os
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS, FetchFailed
from streetimd_assets.sources.imagery.checking import check_image
from streetimd_assets.sources.imagery.providers import open_source
from streetimd_tests.sources.imagery.asking import choose, fetch_all, find, make_points
from streetimd_tests.sources.imagery.rendered import encode, gpano_cropped, render_panorama


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "photographs"
    path.mkdir()
    return path


def save_photograph(path, *, position=None, heading=None, level=100, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if position is not None:
        longitude, latitude = position
        gps = exif.get_ifd(0x8825)
        gps |= {1: "S" if latitude < 0 else "N", 2: to_parts(latitude)}
        gps |= {3: "W" if longitude < 0 else "E", 4: to_parts(longitude)}
        if heading is not None:
            gps[17] = heading
    if "taken" in tags:
        exif.get_ifd(0x8769)[0x9003] = tags["taken"]
    if "artist" in tags:
        exif[0x013B] = tags["artist"]
    Image.new("RGB", (40, 40), (level, 0, 0)).save(path, exif=exif)


def to_parts(angle):
    degrees, rest = divmod(abs(angle), 1)
    minutes, rest = divmod(rest * 60, 1)
    return degrees, minutes, rest * 60


def write_manifest(folder, *rows, columns=("image_path", "longitude", "latitude", "heading", "captured_at")):
    path = folder / "manifest.csv"
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    return path


def open_folder(folder, manifest=None, **options):
    named = {} if manifest is None else {"manifest": str(manifest)}
    return open_source(choose("folder", folder=str(folder), **named, **options), {})


def rows_of(source, progress=None):
    return find(source, make_points(), progress).to_dict("records")


def answers_of(folder, manifest=None, **options):
    found = find(open_folder(folder, manifest, **options), make_points())
    return found.set_index("point_id", drop=False)


def test_a_manifest_places_photographs_with_heading_day_licence_and_credit(folder):
    columns = ("image_path", "longitude", "latitude", "heading", "captured_at", "licence", "credit")
    rows = [
        ("a.jpg", -0.1, 51.5, 450.5, "2025-06-16T18:08:20Z", "CC BY-SA 4.0", "Anna"),
        ("below/b.jpg", -0.2, 51.6, None, None, None, None),
    ]
    answers = answers_of(folder, write_manifest(folder, *rows, columns=columns))
    assert tuple(answers.columns) == ANSWER_COLUMNS
    a, b = answers.loc["a"], answers.loc["b"]
    assert (a["longitude_deg"], a["latitude_deg"], a["camera_heading_deg"]) == (-0.1, 51.5, 90.5)
    assert (a["captured_on"], a["licence"], a["credit"]) == (date(2025, 6, 16), "CC BY-SA 4.0", "Anna")
    assert (a["status"], a["source"], a["panorama_id"]) == ("ok", "folder", "a")
    assert b["captured_on"] is None
    assert np.isnan(b["camera_heading_deg"])


def test_without_columns_for_them_licence_and_credit_are_null(folder):
    answers = answers_of(folder, write_manifest(folder, ("a.jpg", -0.1, 51.5, None, None)))
    assert answers[["licence", "credit"]].isna().all(axis=None)


@pytest.mark.parametrize("day", ["2021", "2021-03", "2021-03-01", "2021-03-01 10:00:00+02:00"])
def test_a_day_may_be_written_in_part(folder, day):
    answers = answers_of(folder, write_manifest(folder, ("a.jpg", 0, 51, 0, day)))
    assert answers["captured_on"].iloc[0].year == 2021


def test_a_photograph_without_position_is_answered_with_none(folder):
    manifest = write_manifest(folder, ("a.jpg", None, None, 0, None), ("b.jpg", 0.1, None, 0, None))
    answers = answers_of(folder, manifest)
    assert answers[["longitude_deg", "latitude_deg"]].isna().all(axis=None)
    assert set(answers["status"]) == {"ok"}


@pytest.mark.parametrize("position", [("530000", "180000"), ("west", "51"), ("0", "inf")])
def test_a_position_that_is_not_in_degrees_is_a_failed_row_that_says_so(folder, position):
    answers = answers_of(folder, write_manifest(folder, ("a.jpg", *position, 0, None)))
    assert answers["status"].iloc[0] == "failed"
    assert "is not a number of degrees" in answers["status_detail"].iloc[0]
    assert answers[["longitude_deg", "latitude_deg"]].isna().all(axis=None)


def test_photographs_of_one_point_are_views_of_one_place(folder):
    columns = ("image_path", "longitude", "latitude", "heading", "point_id")
    for number, heading in enumerate((270, 0, 180, 90)):
        save_photograph(folder / f"{number}.png", level=heading // 2)
    rows = [(f"{number}.png", -0.1, 51.5, heading, "p1") for number, heading in enumerate((270, 0, 180, 90))]
    images = open_folder(folder, write_manifest(folder, *rows, columns=columns))
    (panorama,) = rows_of(images)
    assert (panorama["point_id"], panorama["is_360"]) == ("p1", False)
    assert [shot.headings_deg for shot in images.shots_of(panorama)] == [(0,), (90,), (180,), (270,)]
    views = fetch_all(images, panorama)
    for number, heading in enumerate((270, 0, 180, 90)):
        assert views[heading] == (folder / f"{number}.png").read_bytes()


def test_two_views_in_one_direction_or_from_two_places_are_refused(folder):
    columns = ("image_path", "longitude", "latitude", "heading", "point_id")
    twice = write_manifest(folder, ("a.jpg", 0, 51, 90, "p1"), ("b.jpg", 0, 51, 90.2, "p1"), columns=columns)
    with pytest.raises(ImageryError, match="names 2 photographs of 'p1' with heading 090; give each"):
        answers_of(folder, twice)
    apart = write_manifest(folder, ("a.jpg", 0, 51, 0, "p1"), ("b.jpg", 0.1, 51, 90, "p1"), columns=columns)
    with pytest.raises(ImageryError, match="puts 'p1' in 2 places; give"):
        answers_of(folder, apart)


def test_files_of_one_name_in_different_folders_are_different_places(folder):
    for place in ("north", "south"):
        save_photograph(folder / place / "1.jpg", position=(-0.1, 51.5))
    answers = answers_of(folder)
    assert list(answers["point_id"]) == ["north~1.jpg", "south~1.jpg"]


def test_a_photograph_that_is_not_there_fails_when_it_is_fetched(folder):
    images = open_folder(folder, write_manifest(folder, ("gone.jpg", -0.1, 51.5, 90, None)))
    (panorama,) = rows_of(images)
    with pytest.raises(FetchFailed, match=r"'gone\.jpg' is not in the image folder"):
        fetch_all(images, panorama)


@pytest.mark.parametrize("path", ["../a.jpg", "a/../../a.jpg", "/etc/passwd", "..\\a.jpg", "C:/a.jpg"])
def test_a_manifest_may_not_name_a_file_outside_the_folder(folder, path):
    with pytest.raises(ImageryError, match=r"row 1 of manifest .* is not inside the image folder"):
        answers_of(folder, write_manifest(folder, (path, -0.1, 51.5, None, None)))


def test_exif_gives_position_heading_day_and_credit(folder):
    save_photograph(
        folder / "a.jpg", position=(-0.1713, 51.5487), heading=296.5, taken="2024:02:29 10:11:12", artist="Anna"
    )
    save_photograph(folder / "b.jpg")
    a, b = answers_of(folder).loc["a"], answers_of(folder).loc["b"]
    assert (a["longitude_deg"], a["latitude_deg"]) == pytest.approx((-0.1713, 51.5487), abs=1e-6)
    assert (a["camera_heading_deg"], a["captured_on"], a["credit"]) == (296.5, date(2024, 2, 29), "Anna")
    assert a["licence"] is None
    assert np.isnan(b["longitude_deg"])


def test_a_broken_file_is_a_failed_row_among_the_others(folder):
    save_photograph(folder / "a.jpg", position=(-0.1, 51.5))
    (folder / "b.jpg").write_bytes(b"nothing")
    answers = answers_of(folder)
    assert dict(answers["status"]) == {"a": "ok", "b": "failed"}


def test_the_heading_of_a_photograph_is_its_own_or_not_known(folder):
    save_photograph(folder / "a.jpg", position=(-0.1, 51.5), heading=45)
    save_photograph(folder / "b.jpg", position=(-0.1, 51.5))
    images = open_folder(folder)
    a, b = rows_of(images)
    assert fetch_all(images, a) == {45.0: (folder / "a.jpg").read_bytes()}
    assert fetch_all(images, b) == {None: (folder / "b.jpg").read_bytes()}


def test_an_empty_or_missing_folder_is_one_sentence(folder):
    (folder / "notes.txt").write_text("no photographs")
    (folder / ".thumbnails").mkdir()
    save_photograph(folder / ".thumbnails" / "a.jpg")
    with pytest.raises(ImageryError, match=r"photographs' holds no \.jpg, .* file; put photographs there"):
        answers_of(folder)
    with pytest.raises(ImageryError, match=r"nowhere' cannot be read \(FileNotFoundError\); set imagery\.folder"):
        answers_of(folder / "nowhere")
    with pytest.raises(ImageryError, match=r"notes\.txt' cannot be read \(NotADirectoryError\)"):
        answers_of(folder / "notes.txt")


@pytest.fixture
def an_ordinary_user():
    """Give up root's rights for a while: nothing is forbidden to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.usefixtures("an_ordinary_user")
def test_a_folder_one_may_not_read_is_one_sentence():
    with tempfile.TemporaryDirectory() as forbidden:
        Path(forbidden).chmod(0)
        with pytest.raises(ImageryError, match=r"cannot be read \(PermissionError\)"):
            answers_of(Path(forbidden))
        Path(forbidden).chmod(0o700)


def test_a_manifest_without_a_column_or_rows_or_a_file_is_one_sentence(folder):
    with pytest.raises(ImageryError, match="has no column longitude and no column latitude; it needs image_path"):
        answers_of(folder, write_manifest(folder, ("a.jpg",), columns=("image_path",)))
    with pytest.raises(ImageryError, match="has no rows; write one for each photograph"):
        answers_of(folder, write_manifest(folder))
    with pytest.raises(ImageryError, match=r"nowhere\.csv' cannot be read .*; set imagery\.manifest"):
        answers_of(folder, folder / "nowhere.csv")
    with pytest.raises(ImageryError, match=r"row 1 .* has no image_path; name its file"):
        answers_of(folder, write_manifest(folder, (None, 0, 51, 0, None)))


def test_a_parquet_manifest_says_the_same_as_a_csv(folder):
    manifest = write_manifest(folder, ("a.jpg", -0.1, 51.5, 90.5, "2025-06-16"), ("b.jpg", -0.2, 51.6, None, None))
    table = pd.read_csv(manifest)
    table.assign(captured_at=pd.to_datetime(table["captured_at"])).to_parquet(folder / "manifest.parquet")
    pd.testing.assert_frame_equal(answers_of(folder, manifest), answers_of(folder, folder / "manifest.parquet"))


def test_a_panorama_is_cut_into_views_by_the_heading_of_its_manifest(folder):
    (folder / "a.jpg").write_bytes(encode(render_panorama(512, 200)))
    images = open_folder(folder, write_manifest(folder, ("a.jpg", -0.1, 51.5, 200, None)), image_size_px=64)
    (panorama,) = rows_of(images)
    assert (panorama["status"], panorama["is_360"], panorama["camera_heading_deg"]) == ("ok", True, 200)
    views = fetch_all(images, panorama)
    assert list(views) == [0, 90, 180, 270]
    for heading, data in views.items():
        assert looks_towards(data) == pytest.approx(heading, abs=3) or heading == 0


def looks_towards(view):
    middle = np.asarray(Image.open(io.BytesIO(view)), float)[31:33, 31:33].mean(axis=(0, 1)) - 127.5
    return np.degrees(np.arctan2(middle[0], middle[1])) % 360


@pytest.mark.parametrize("where", ["gps", "xmp"])
def test_the_heading_of_a_panorama_is_also_read_from_its_file(folder, where):
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps |= {1: "N", 2: to_parts(51.5), 3: "W", 4: to_parts(0.1)} | ({17: 90.0} if where == "gps" else {})
    xmp = b'<x GPano:ProjectionType="equirectangular" GPano:PoseHeadingDegrees="90.0"/>' if where == "xmp" else b""
    (folder / "a.jpg").write_bytes(encode(render_panorama(512, 90), exif=exif, xmp=xmp))
    for images in (
        open_folder(folder, image_size_px=64),
        open_folder(folder, write_manifest(folder, ("a.jpg", -0.1, 51.5, None, None)), image_size_px=64),
    ):
        (panorama,) = rows_of(images)
        assert (panorama["status"], panorama["camera_heading_deg"]) == ("ok", 90)
        assert looks_towards(fetch_all(images, panorama)[180]) == pytest.approx(180, abs=3)


def test_a_panorama_made_smaller_with_the_xmp_of_the_large_one_still_looks_all_round(folder):
    whole = render_panorama(512, 90)
    (folder / "a.jpg").write_bytes(encode(whole, xmp=gpano_cropped(5760)))
    (folder / "b.jpg").write_bytes(encode(whole.crop((0, 0, 200, 160)), xmp=gpano_cropped(5760)))
    rows = [(f"{name}.jpg", -0.1, 51.5, 90, None) for name in "ab"]
    images = open_folder(folder, write_manifest(folder, *rows), image_size_px=64)
    a, b = rows_of(images)
    assert (a["is_360"], b["is_360"]) == (True, False)
    assert looks_towards(fetch_all(images, a)[180]) == pytest.approx(180, abs=3)


def test_a_panorama_that_is_not_known_to_look_which_way_is_a_failed_row_that_says_so(folder):
    save_photograph(folder / "a.jpg", position=(-0.1, 51.5))
    (folder / "b.jpg").write_bytes(encode(render_panorama(256, 0)))
    answers = answers_of(folder)
    assert dict(answers["status"]) == {"a": "ok", "b": "failed"}
    assert answers.loc["b", "status_detail"].startswith("looks all round, but nothing says which way")


def test_views_of_one_place_may_be_twice_as_wide_as_high_but_not_panoramas(folder):
    columns = ("image_path", "longitude", "latitude", "heading", "point_id")
    rows = [(f"{heading}.jpg", -0.1, 51.5, heading, "p1") for heading in (0, 90)]
    for heading in (0, 90):
        (folder / f"{heading}.jpg").write_bytes(encode(render_panorama(256, 0)))
    manifest = write_manifest(folder, *rows, columns=columns)
    assert list(answers_of(folder, manifest)["is_360"]) == [False]
    xmp = b'<x GPano:ProjectionType="equirectangular"/>'
    (folder / "90.jpg").write_bytes(encode(render_panorama(256, 0), xmp=xmp))
    with pytest.raises(ImageryError, match=r"'90\.jpg' looks all round; give it a point_id of its own"):
        answers_of(folder, manifest)


def test_photographs_outside_the_studys_dates_say_so(folder):
    rows = [("a.jpg", 0, 51, 0, "2019-05-01"), ("b.jpg", 0, 51, 0, "2024-05-01"), ("c.jpg", 0, 51, 0, None)]
    answers = answers_of(folder, write_manifest(folder, *rows), captured_from=date(2020, 1, 1))
    assert dict(answers["status"]) == {"a": "outside_dates", "b": "ok", "c": "outside_dates"}


def test_a_run_that_fetches_does_not_read_all_headers_again(folder):
    for name in ("a", "b"):
        save_photograph(folder / f"{name}.jpg", position=(-0.1, 51.5), heading=45)
    a, _ = rows_of(open_folder(folder))
    (folder / "b.jpg").unlink()
    (folder / "b.jpg").symlink_to(folder / "nowhere")
    assert set(fetch_all(open_folder(folder), a)) == {45.0}


def test_progress_is_told_at_the_end(folder):
    told = []
    save_photograph(folder / "a.jpg", position=(-0.1, 51.5))
    rows_of(open_folder(folder), lambda *numbers: told.append(numbers))
    assert told == [(1, 1)]


@pytest.mark.real_data
def test_fifty_real_photographs_stand_where_their_manifest_says_and_panoramas_are_cut(real_folder, tmp_path):
    photographs = real_folder / "images" / "london_mapillary"
    metadata = pd.read_csv(photographs / "metadata.csv")
    names = {"file": "image_path", "lon": "longitude", "lat": "latitude"}
    names |= {"compass_angle": "heading", "captured_date": "captured_at"}
    manifest = tmp_path / "manifest.csv"
    licence = {"licence": "CC BY-SA 4.0", "credit": "Mapillary contributors"}
    metadata.rename(columns=names)[list(names.values())].assign(**licence).to_csv(manifest, index=False)
    images = open_folder(photographs, manifest, image_size_px=128)
    answers = find(images, make_points())
    expected = metadata.set_index(metadata["file"].str.removesuffix(".jpg")).loc[answers["point_id"]]
    assert len(answers) == 50
    assert answers["longitude_deg"].isna().any()
    np.testing.assert_array_equal(answers["longitude_deg"], expected["lon"])
    np.testing.assert_array_equal(answers["camera_heading_deg"], expected["compass_angle"])
    assert set(answers["licence"]) == {"CC BY-SA 4.0"}
    assert answers["is_360"].sum() == 14
    # one panorama has no heading
    assert list(answers["status"].value_counts()) == [49, 1]
    for panorama in answers[answers["status"] == "ok"].to_dict("records"):
        views = fetch_all(images, panorama)
        if panorama["is_360"]:
            assert {check_image(data).status for data in views.values()} == {"ok"}
            assert list(views) == [0, 90, 180, 270]
        else:
            (data,) = views.values()
            assert data == (photographs / f"{panorama['point_id']}.jpg").read_bytes()


@pytest.mark.real_data
def test_real_exif_positions_are_read(real_folder):
    answers = answers_of(real_folder / "images" / "exif_geotagged")
    assert len(answers) == 8
    # the file names say Lund in Sweden and Berlin
    lund = answers[answers["point_id"].str.startswith("lund")]
    assert len(lund) == 5
    assert lund["longitude_deg"].between(13.1, 13.3).all()
    assert lund["latitude_deg"].between(55.6, 55.8).all()
    berlin = answers.loc["berlin_01"]
    assert (berlin["longitude_deg"], berlin["latitude_deg"]) == pytest.approx((13.4, 52.5), abs=0.2)
