"""Cut pictures as a camera would take them out of a 360 degree panorama.

A panorama is equirectangular: its columns are bearings, the middle one that of the camera's heading, and its
rows elevations from straight up to straight down. A picture is rectilinear, so straight lines stay straight.
For the geometry see Snyder, Map Projections: A Working Manual (USGS Professional Paper 1395, 1987), p. 90
(equirectangular) and p. 164 (gnomonic, which is what a lens without distortion does).
"""

import asyncio
import io
import math
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from streetimd_assets.sources.imagery.base import FetchFailed, Shot, Views

if TYPE_CHECKING:
    from PIL.Image import Image

    from streetimd_assets.study.imagery import Imagery

JPEG_QUALITY = 90
FORMATS = ("JPEG", "PNG", "WEBP")
# sizes of pictures are rounded to whole pixels
ROUNDING_PX = 2

_Whole = tuple[int, int, int, int]


def whole_width_px(size_px: int, field_of_view_deg: float) -> int:
    """Width of a panorama as sharp, in the middle of a picture, as the picture itself.

    Examples
    --------
    >>> whole_width_px(640, 90), whole_width_px(320, 90), whole_width_px(640, 60)
    (2011, 1006, 3483)
    """
    return math.ceil(2 * math.pi * _focal_length_px(size_px, field_of_view_deg))


async def pictures_of(data: bytes, shot: Shot, choice: "Imagery") -> Views:
    """Return the pictures of a shot: views cut out of a panorama, or a flat photograph as it is.

    Raises
    ------
    FetchFailed
        If views cannot be cut out of the file.
    """
    if not shot.panorama["is_360"]:
        return dict.fromkeys(shot.headings_deg, data)
    return await asyncio.to_thread(
        views_of,
        data,
        shot.headings_deg,
        camera_heading_deg=float(shot.panorama["camera_heading_deg"]),
        field_of_view_deg=choice.field_of_view_deg,
        pitch_deg=choice.pitch_deg,
        size_px=choice.image_size_px,
    )


def views_of(
    data: bytes,
    headings_deg: Sequence[float | None],
    *,
    camera_heading_deg: float,
    field_of_view_deg: float,
    pitch_deg: float,
    size_px: int,
) -> Views:
    """Cut a view in each heading out of the file of a panorama.

    Parameters
    ----------
    data
        The file. What its XMP says of a panorama that was cropped at top and bottom is heeded.
    headings_deg
        Clockwise from north.
    camera_heading_deg
        Heading of the middle of the panorama, clockwise from north.
    field_of_view_deg, pitch_deg, size_px
        As :func:`cut_view` takes them.

    Returns
    -------
    views
        JPEG files by heading.

    Raises
    ------
    FetchFailed
        If the file does not open, or does not look all round.
    """
    panorama = _open_panorama(data, whole_width_px(size_px, field_of_view_deg))
    views: dict[float | None, bytes] = {}
    for heading_deg in headings_deg:
        if heading_deg is None:
            raise FetchFailed("a view of a panorama needs a heading")
        view = cut_view(
            panorama,
            heading_deg=heading_deg,
            camera_heading_deg=camera_heading_deg,
            field_of_view_deg=field_of_view_deg,
            pitch_deg=pitch_deg,
            size_px=size_px,
        )
        views[heading_deg] = _encode(view)
    return views


def cut_view(
    panorama: "Image",
    *,
    heading_deg: float,
    camera_heading_deg: float,
    field_of_view_deg: float,
    pitch_deg: float,
    size_px: int,
) -> "Image":
    """Take a square picture inside an equirectangular panorama.

    Parameters
    ----------
    panorama
        RGB, 360 degrees wide and 180 high.
    heading_deg, pitch_deg
        Where the camera looks: clockwise from north, and up.
    camera_heading_deg
        Heading of the panorama's middle column, clockwise from north.
    field_of_view_deg
        Angle from edge to edge, below 180.
    size_px
        Side of the picture.

    Returns
    -------
    view
        RGB, each pixel interpolated between the four nearest of the panorama.
    """
    from PIL import Image

    pixels = np.asarray(panorama)
    height, width = pixels.shape[:2]
    bearings_deg, elevations_deg = _directions(size_px, field_of_view_deg, pitch_deg)
    # pixels are where their centres are
    columns = ((bearings_deg + (heading_deg - camera_heading_deg)) / 360 + 0.5) * width - 0.5
    rows = (0.5 - elevations_deg / 180) * height - 0.5
    return Image.fromarray(_interpolate(pixels, columns, rows))


def xmp_text(picture: "Image") -> str:
    """Return the XMP packet of a picture that is open, "" if it has none."""
    packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or b""
    return packet if isinstance(packet, str) else packet.decode("utf-8", "replace")


def read_gpano(xmp: str, name: str) -> str | None:
    """Return one field of Google's photo sphere metadata, which is an attribute or an element of XMP.

    Examples
    --------
    >>> read_gpano('<rdf:Description GPano:PoseHeadingDegrees="90.5">', "PoseHeadingDegrees")
    '90.5'
    >>> read_gpano("<GPano:ProjectionType> equirectangular </GPano:ProjectionType>", "ProjectionType")
    'equirectangular'
    """
    found = re.search(rf"GPano:{name}\s*(?:=\s*[\"']|>)\s*([^\"'<]*?)\s*[\"'<]", xmp)
    return found[1] if found else None


def looks_all_round(width_px: int, height_px: int, xmp: str = "") -> bool:
    """Say whether a picture is a 360 degree panorama: its XMP says so, or it is twice as wide as high.

    One whose XMP names another projection, or a part of the full width, is not.

    Examples
    --------
    >>> looks_all_round(4000, 2000), looks_all_round(4000, 3000)
    (True, False)
    """
    projection = read_gpano(xmp, "ProjectionType")
    if projection is None:
        return abs(width_px - 2 * height_px) <= ROUNDING_PX
    whole = _read_whole(xmp, (width_px, height_px))
    return projection.lower() == "equirectangular" and (whole is None or whole[0] == width_px)


def _focal_length_px(size_px: int, field_of_view_deg: float) -> float:
    return size_px / 2 / math.tan(math.radians(field_of_view_deg) / 2)


@lru_cache(maxsize=4)
def _directions(size_px: int, field_of_view_deg: float, pitch_deg: float) -> "tuple[np.ndarray, np.ndarray]":
    """Bearing from the view's heading, and elevation, of each pixel; each ``(size, size)`` in degrees."""
    across = (np.arange(size_px) + 0.5 - size_px / 2) / _focal_length_px(size_px, field_of_view_deg)
    right, up = across[np.newaxis, :], -across[:, np.newaxis]
    pitch = math.radians(pitch_deg)
    forward = math.cos(pitch) - math.sin(pitch) * up
    upward = math.sin(pitch) + math.cos(pitch) * up
    bearings = np.degrees(np.arctan2(right, forward))
    elevations = np.degrees(np.arctan2(upward, np.hypot(right, forward)))
    return bearings, elevations


def _interpolate(pixels: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Interpolate between pixels; columns go round, rows end at the poles."""
    height, width = pixels.shape[:2]
    flat = pixels.reshape(-1, 3)
    rows = np.clip(rows, 0, height - 1)
    left, top = np.floor(columns).astype(np.intp), np.floor(rows).astype(np.intp)
    to_right = (columns - left).astype(np.float32)[..., np.newaxis]
    down = (rows - top).astype(np.float32)[..., np.newaxis]
    left, right = left % width, (left + 1) % width
    above, below = top * width, np.minimum(top + 1, height - 1) * width

    def mix(row_starts: np.ndarray) -> np.ndarray:
        first, second = (flat[row_starts + column].astype(np.float32) for column in (left, right))
        return first + (second - first) * to_right

    upper = mix(above)
    return np.rint(upper + (mix(below) - upper) * down).astype(np.uint8)


def _open_panorama(data: bytes, wanted_px: int) -> "Image":
    """Open a panorama as RGB and whole, no larger than the views have use for."""
    from PIL import Image

    # large panoramas exceed what Pillow expects of a picture; what it refuses is still refused
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    Image.init()
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            size, xmp = opened.size, xmp_text(opened)
            whole = _read_whole(xmp, size)
            scale = min(1.0, wanted_px / (whole[0] if whole else size[0]))
            fewer = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
            # a JPEG is decoded at half its size or less where that is enough
            opened.draft("RGB", fewer)
            picture = opened.convert("RGB")
    except Exception as error:  # decoders meet broken files with errors of every kind
        raise FetchFailed(f"the panorama does not decode ({type(error).__name__})") from None
    if not looks_all_round(*size, xmp):
        raise FetchFailed(f"{size[0]}x{size[1]} pixels: not the whole of a panorama, as it is said to be")
    if picture.width > fewer[0]:
        picture = picture.resize(fewer, Image.Resampling.LANCZOS)
    return _uncrop(picture, size, whole) if whole else picture


def _read_whole(xmp: str, size: tuple[int, int]) -> _Whole | None:
    """Width and height of the panorama that the picture was cropped from, and its place there.

    In pixels of the picture, which may be smaller than the file that its XMP was written for. None where XMP
    does not say, or not in numbers that agree with the picture's shape.
    """
    names = ("FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaLeftPixels", "CroppedAreaTopPixels")
    numbers = [_read_pixels(xmp, name) for name in names]
    width, height, left, top = (-1 if number is None else number for number in numbers)
    cropped = _read_cropped(xmp, size)
    fits = 0 <= left <= width - cropped[0] and 0 <= top <= height - cropped[1]
    if not fits or width != 2 * height:
        return None
    across, down = size[0] / cropped[0], size[1] / cropped[1]
    return round(width * across), round(height * down), round(left * across), round(top * down)


def _read_cropped(xmp: str, size: tuple[int, int]) -> tuple[int, int]:
    """Size of the file that XMP was written for: the picture's own unless XMP names another of that shape."""
    width, height = (_read_pixels(xmp, f"CroppedAreaImage{side}Pixels") for side in ("Width", "Height"))
    if not width or width < 0:
        return size
    if height is None:
        return width, max(1, round(size[1] * width / size[0]))
    # what was cut again, and not only made smaller, is not where its XMP says
    is_same_shape = height > 0 and abs(height * size[0] / width - size[1]) <= ROUNDING_PX
    return (width, height) if is_same_shape else size


def _read_pixels(xmp: str, name: str) -> int | None:
    try:
        return int(float(read_gpano(xmp, name) or ""))
    except (ValueError, OverflowError):
        return None


def _uncrop(picture: "Image", size: tuple[int, int], whole: _Whole) -> "Image":
    """Put a panorama that lacks a strip at top or bottom on one of full height, black where nothing is seen."""
    from PIL import Image

    scale = picture.width / size[0]
    width, height, left, top = (round(length * scale) for length in whole)
    canvas = Image.new("RGB", (max(width, picture.width), max(height, picture.height)))
    canvas.paste(picture, (left, top))
    return canvas


def _encode(view: "Image") -> bytes:
    buffer = io.BytesIO()
    view.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
