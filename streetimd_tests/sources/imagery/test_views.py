import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from streetimd_assets.sources.imagery.base import FetchFailed
from streetimd_assets.sources.imagery.checking import check_image
from streetimd_assets.sources.imagery.views import cut_view, looks_all_round, views_of, whole_width_px
from streetimd_tests.sources.imagery.rendered import encode, gpano, gpano_cropped, render_panorama

LEVELS = 1.5


def decode_directions(picture):
    """Bearing and elevation that the colours of a rendered panorama say."""
    east, north, up = np.moveaxis(np.asarray(picture, float), -1, 0)
    return np.degrees(np.arctan2(east - 127.5, north - 127.5)) % 360, up / 255 * 180 - 90


def rays(size_px, heading_deg, pitch_deg, field_of_view_deg):
    """Unit vectors east, north and up through each pixel of a pinhole camera, turned by matrices."""
    half = np.tan(np.radians(field_of_view_deg / 2))
    across = (np.arange(size_px) + 0.5) / size_px * 2 * half - half
    x, z = np.meshgrid(across, -across)
    looking_north = np.stack([x, np.ones_like(x), z], axis=-1)
    pitch, heading = np.radians([pitch_deg, heading_deg])
    tilt = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    turn = np.array([[np.cos(heading), np.sin(heading), 0], [-np.sin(heading), np.cos(heading), 0], [0, 0, 1]])
    directions = looking_north @ tilt.T @ turn.T
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def apart(first, second):
    return np.abs((first - second + 180) % 360 - 180)


@pytest.mark.parametrize("heading", [0, 90, 180, 270, 37.5, 359])
@pytest.mark.parametrize("camera", [0, 123, 300.25])
@pytest.mark.parametrize(("pitch", "field_of_view"), [(0, 90), (20, 60), (-35, 120)])
def test_every_pixel_of_a_view_has_the_bearing_and_elevation_that_geometry_predicts(
    heading, camera, pitch, field_of_view
):
    panorama = render_panorama(1024, camera)
    view = cut_view(
        panorama,
        heading_deg=heading,
        camera_heading_deg=camera,
        field_of_view_deg=field_of_view,
        pitch_deg=pitch,
        size_px=96,
    )
    east, north, up = np.moveaxis(rays(96, heading, pitch, field_of_view), -1, 0)
    bearing, elevation = decode_directions(view)
    assert view.size == (96, 96)
    assert apart(bearing, np.degrees(np.arctan2(east, north))).max() < LEVELS
    assert np.abs(elevation - np.degrees(np.arcsin(up))).max() < LEVELS


def test_views_straight_up_and_down_see_the_poles():
    panorama = render_panorama(1024, 0)
    for pitch in (90, -90):
        view = cut_view(
            panorama, heading_deg=0, camera_heading_deg=0, field_of_view_deg=60, pitch_deg=pitch, size_px=32
        )
        elevation = decode_directions(view)[1]
        assert elevation[15:17, 15:17] == pytest.approx(pitch, abs=3)


def test_right_of_a_view_is_clockwise_and_up_is_up():
    view = cut_view(
        render_panorama(1024, 200),
        heading_deg=90,
        camera_heading_deg=200,
        field_of_view_deg=90,
        pitch_deg=0,
        size_px=64,
    )
    bearing, elevation = decode_directions(view)
    assert bearing[32, 0] == pytest.approx(45, abs=2)
    assert bearing[32, -1] == pytest.approx(135, abs=2)
    assert elevation[0, 32] == pytest.approx(45, abs=2)
    assert elevation[-1, 32] == pytest.approx(-45, abs=2)


def cut(data, *headings, camera=0.0, size=64, field_of_view=90, pitch=0.0):
    return views_of(
        data,
        headings,
        camera_heading_deg=camera,
        field_of_view_deg=field_of_view,
        pitch_deg=pitch,
        size_px=size,
    )


def open_view(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize("width", [300, 1024, 3000])
def test_files_of_any_width_give_views_of_the_size_asked_for_in_the_directions_asked_for(width):
    views = cut(encode(render_panorama(width, 30)), 0, 90, 180, 270, camera=30)
    assert set(views) == {0, 90, 180, 270}
    for heading, data in views.items():
        bearing, elevation = decode_directions(open_view(data))
        assert bearing.shape == (64, 64)
        # the file is a JPEG, and so is the view
        assert apart(bearing[31:33, 31:33], heading).max() < 4
        assert np.abs(elevation[31:33, 31:33]).max() < 4


def test_a_panorama_is_as_sharp_as_its_views_if_a_degree_takes_up_as_many_pixels():
    # in the middle of a view, a pixel is an angle of (2 / 640) radians
    assert whole_width_px(640, 90) == int(np.ceil(2 * np.pi / (2 / 640)))


def test_a_panorama_cropped_at_top_and_bottom_shows_what_it_has_where_it_was_and_black_elsewhere():
    whole = render_panorama(1024, 0)
    kept = whole.crop((0, 128, 1024, 428))
    xmp = gpano_cropped(1024, top_px=128, height_px=300)
    for cropped in (encode(kept, xmp=xmp), encode(kept.resize((512, 150)), xmp=xmp)):
        expected, seen = (open_view(cut(data, 90)[90]) for data in (encode(whole), cropped))
        assert np.abs(np.asarray(seen, float)[:60] - np.asarray(expected, float)[:60]).mean() < 3
        down = open_view(cut(cropped, 0, pitch=-90, field_of_view=40)[0])
        assert np.asarray(down).max() < 8


def test_a_panorama_made_smaller_is_whole_though_its_xmp_names_the_width_it_had():
    thumb = encode(render_panorama(2048, 30), xmp=gpano_cropped(5760))
    for heading, data in cut(thumb, 0, 90, 180, 270, camera=30).items():
        bearing, elevation = decode_directions(open_view(data))
        assert apart(bearing[31:33, 31:33], heading).max() < 4
        assert np.abs(elevation[31:33, 31:33]).max() < 4


@pytest.mark.parametrize(
    ("size", "xmp", "is_360"),
    [
        ((4000, 2000), "", True),
        ((2048, 1023), "", True),
        ((4000, 3000), "", False),
        ((4000, 2000), '<x GPano:ProjectionType="cylindrical"/>', False),
        ((4000, 1500), "<GPano:ProjectionType>equirectangular</GPano:ProjectionType>", True),
        (
            (1000, 500),
            gpano(
                FullPanoWidthPixels=4000,
                FullPanoHeightPixels=2000,
                CroppedAreaLeftPixels=0,
                CroppedAreaTopPixels=700,
            ).decode(),
            False,
        ),
        ((2048, 1024), gpano_cropped(5760).decode(), True),
        # smaller, and cropped at top and bottom; heights are rounded to whole pixels
        ((2048, 711), gpano_cropped(5760, top_px=400, height_px=2000).decode(), True),
        # cut out of a panorama that keeps its XMP
        ((1000, 800), gpano_cropped(5760).decode(), False),
        (
            (1000, 500),
            gpano(
                FullPanoWidthPixels=8000,
                FullPanoHeightPixels=4000,
                CroppedAreaLeftPixels=2000,
                CroppedAreaTopPixels=1000,
                CroppedAreaImageWidthPixels=4000,
                CroppedAreaImageHeightPixels=2000,
            ).decode(),
            False,
        ),
    ],
)
def test_a_picture_looks_all_round_if_its_xmp_says_so_or_its_shape(size, xmp, is_360):
    assert looks_all_round(*size, xmp) is is_360


def test_a_picture_that_is_no_panorama_or_no_picture_is_a_failure_with_a_sentence():
    with pytest.raises(FetchFailed, match="400x300 pixels: not the whole of a panorama"):
        cut(encode(Image.new("RGB", (400, 300))), 0)
    with pytest.raises(FetchFailed, match="the panorama does not decode"):
        cut(encode(render_panorama(512, 0))[:3000], 0)
    with pytest.raises(FetchFailed, match=r"does not decode \(UnidentifiedImageError\)"):
        cut(b"<html>", 0)


@pytest.mark.real_data
def test_neighbouring_views_of_real_panoramas_meet_where_both_look(real_folder):
    files = sorted((real_folder / "images" / "london_mapillary").glob("*.jpg"))
    panoramas = [data for data in (path.read_bytes() for path in files) if looks_all_round(*open_view(data).size)]
    assert len(panoramas) == 14
    for panorama in panoramas:
        views = cut(panorama, 0, 90, 180, 270, 360, camera=77, size=256)
        assert {check_image(data).status for data in views.values()} == {"ok"}
        pictures = [np.asarray(open_view(data), float) for data in views.values()]
        for left, right in pairwise(pictures):
            seam = np.abs(left[:, -1] - right[:, 0]).mean()
            # half a pixel to either side of the edge, and two JPEGs: far below what other columns differ by
            assert seam < 0.35 * np.abs(left[:, -1] - right[:, 128]).mean()
