import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from streetimd_assets.sources.imagery.checking import check_image


def encode(picture, file_format="JPEG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def street(width=192, height=192):
    """Sky above and a textured ground below."""
    levels = np.random.default_rng(1).integers(60, 180, (height, width, 3))
    levels[: height // 3] = (150, 180, 220)
    return Image.fromarray(levels.astype(np.uint8))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_ok_and_has_its_size_and_hash(file_format):
    data = encode(street(120, 90), file_format)
    check = check_image(data)
    assert (check.status, check.status_detail) == ("ok", None)
    assert (check.width_px, check.height_px, check.n_bytes) == (120, 90, len(data))
    assert check.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_pictures_in_grey_with_a_palette_or_with_transparency_are_ok(mode):
    assert check_image(encode(street().convert(mode), "PNG")).status == "ok"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_that_breaks_off_is_invalid(share):
    data = encode(street())
    check = check_image(data[: int(len(data) * share)])
    assert check.status == "invalid_image"
    assert check.status_detail.startswith("does not decode")


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "empty"),
        (b"<!doctype html><title>Log in</title>", "a page of text, not a picture"),
        (b'\n{"status": "ZERO_RESULTS"}', "a page of text, not a picture"),
        (b"nothing at all", "does not decode (UnidentifiedImageError)"),
    ],
)
def test_what_is_not_a_picture_is_invalid_and_said_why(data, detail):
    check = check_image(data)
    assert (check.status, check.status_detail) == ("invalid_image", detail)
    assert check.width_px is None


@pytest.mark.parametrize("colour", ["black", "white", (222, 225, 228)])
def test_a_picture_of_one_colour_is_invalid(colour):
    check = check_image(encode(Image.new("RGB", (192, 192), colour)))
    assert (check.status, check.status_detail) == ("invalid_image", "almost all of one colour")


def test_a_grey_card_that_says_there_is_no_imagery_is_invalid():
    card = Image.new("RGB", (600, 300), (228, 227, 223))
    ImageDraw.Draw(card).text((120, 135), "Sorry, we have no imagery here.", (90, 90, 90), font_size=24)
    check = check_image(encode(card))
    assert check.status == "invalid_image"
    # a rule by size alone would have let it pass
    assert check.n_bytes > 3000


def test_a_street_under_a_plain_sky_is_ok():
    picture = Image.new("RGB", (192, 192), (150, 180, 220))
    picture.paste(street().crop((0, 100, 192, 140)), (0, 152))
    assert check_image(encode(picture)).status == "ok"


@pytest.mark.parametrize(("size", "status"), [((31, 200), "invalid_image"), ((32, 32), "ok")])
def test_sides_of_less_than_32_pixels_are_invalid(size, status):
    assert check_image(encode(street(*size))).status == status


@pytest.mark.real_data
def test_every_real_photograph_is_ok_but_the_one_of_28_pixels(real_folder):
    found = (real_folder / "images").rglob("*")
    pictures = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg")]
    checks = {path.name: check_image(path.read_bytes()) for path in pictures}
    assert len(checks) > 100
    wrong = {name: check.status_detail for name, check in checks.items() if check.status != "ok"}
    assert wrong == {"mapillary_tools_adobe_coords_xmp.jpg": "32x28 pixels; at least 32 on each side are needed"}
