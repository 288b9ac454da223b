import hashlib
import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from streetimd_assets.sources.imagery import checking
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


def png_of_nothing(width, height):
    """Header of a large picture, and a file that unfolds to it at a thousandth of its size."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


def test_too_many_pixels_are_refused_from_the_header_alone():
    # its pixels break off, so to decode them would have been another reason
    check = check_image(png_of_nothing(20_000, 20_000))
    assert check.status == "invalid_image"
    assert check.status_detail == "20000x20000 pixels; at most 178,000,000 are decoded"
    assert (check.width_px, check.height_px) == (20_000, 20_000)


def test_a_file_of_too_many_bytes_is_refused_unopened(monkeypatch):
    monkeypatch.setattr(checking, "MOST_BYTES", 1_000)
    check = check_image(encode(street()))
    assert check.status == "invalid_image"
    assert check.status_detail.endswith(" bytes; at most 1,000 are decoded")
    assert check.width_px is None


def test_a_card_known_by_its_hash_is_invalid_though_it_is_full_of_colour(monkeypatch):
    card = encode(street())
    assert check_image(card).status == "ok"
    monkeypatch.setitem(checking.PLACEHOLDERS, hashlib.sha256(card).hexdigest(), "the card of a provider")
    assert check_image(card).status_detail == "the card of a provider"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("n_missing", [3, 200, 20_000])
def test_a_large_photograph_that_lacks_its_end_is_invalid(progressive, n_missing):
    data = encode(street(1600, 1200), quality=80, progressive=progressive)
    assert check_image(data).status == "ok"
    assert check_image(data[:-n_missing]).status == "invalid_image"


def test_a_large_panorama_is_ok_without_a_warning():
    picture = street(512, 256).resize((14_000, 7_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_image(encode(picture, quality=40)).status == "ok"


def test_many_threads_find_the_same_and_leave_the_warnings_as_they_were():
    pictures = [encode(street(60 + number, 60)) for number in range(8)]
    pictures[3] = pictures[3][:-300]
    alone = [check_image(data) for data in pictures]
    before, found = list(warnings.filters), []
    threads = [
        threading.Thread(
            target=lambda: found.extend(check_image(data) == alone[k] for k, data in enumerate(pictures))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 64
    assert warnings.filters == before


@pytest.mark.real_data
def test_every_real_photograph_is_ok_but_the_one_of_28_pixels(real_folder):
    found = (real_folder / "images").rglob("*")
    pictures = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg")]
    checks = {path.name: check_image(path.read_bytes()) for path in pictures}
    assert len(checks) > 100
    wrong = {name: check.status_detail for name, check in checks.items() if check.status != "ok"}
    assert wrong == {"mapillary_tools_adobe_coords_xmp.jpg": "32x28 pixels; at least 32 on each side are needed"}
