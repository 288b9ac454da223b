"""Whether the bytes a source sent are a picture at all.

A status of 200 and a plausible size prove nothing: a server may send a page of text, a grey card
that says there is no imagery, half a file, or a small file that unfolds to fill the memory.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 30_000_000
# the largest 360 degree panoramas have 16384 x 8192 pixels, which is three quarters of this; those that embed
# pictures open them with Pillow, which refuses more than 178,956,970
MOST_PIXELS = 178_000_000
SHORTEST_SIDE_PX = 32
# a picture is of one colour if this share of it lies within so many levels, of 255, of its median
UNIFORM_SHARE = 0.96
UNIFORM_LEVELS = 8
# that much of the shorter side tells a street from a card
_LOOKED_AT_PX = 80
# cards of providers that say there is no imagery, by SHA-256
PLACEHOLDERS = {
    "b6aecf0247d5f2d7a22f7e508bc97b6f8fad72d5c3dfd787588f3f7e65e92db0": "Google's card for a place without imagery",
}


@dataclass(frozen=True)
class ImageCheck:
    """What was found: ``ok`` or ``invalid_image``, and why; size and hash of the file."""

    status: str
    status_detail: str | None
    width_px: int | None
    height_px: int | None
    n_bytes: int
    sha256: str


def check_image(data: bytes) -> ImageCheck:
    """Check that a file is a whole picture with something on it.

    Parameters
    ----------
    data
        Bytes of the file.

    Returns
    -------
    check
        ``invalid_image`` if the file is not a JPEG, PNG or WebP picture, breaks off, has more than
        30 million bytes or 178 million pixels, has a side shorter than 32 pixels, is a provider's card
        for a place without imagery, or is of one colour but for a twenty-fifth of it, which is what
        such a card with a line of text looks like.

    Notes
    -----
    What is too large is refused by the file's size and its header, before a pixel is decoded. A JPEG
    is decoded at a fraction of its size: every byte is read, so a file that breaks off is found, but
    few pixels are computed.
    """
    digest = hashlib.sha256(data).hexdigest()
    size: tuple[int, int] | None = None
    problem = _problem_of_file(data, digest)
    if problem is None:
        try:
            picture = _open(data)
            size = picture.size
            problem = _problem_of_size(size) or _problem_of_pixels(picture)
        except Exception as error:  # decoders meet broken files with errors of every kind
            size, problem = None, f"does not decode ({type(error).__name__})"
    return ImageCheck(
        status="invalid_image" if problem else "ok",
        status_detail=problem,
        width_px=size[0] if size else None,
        height_px=size[1] if size else None,
        n_bytes=len(data),
        sha256=digest,
    )


def _problem_of_file(data: bytes, digest: str) -> str | None:
    """What is wrong with a file without looking into it."""
    if not data:
        return "empty"
    if len(data) > MOST_BYTES:
        return f"{len(data):,} bytes; at most {MOST_BYTES:,} are decoded"
    if digest in PLACEHOLDERS:
        return PLACEHOLDERS[digest]
    if data[:1024].lstrip()[:1] in (b"<", b"{"):
        return "a page of text, not a picture"
    return None


def _open(data: bytes) -> "Image":
    """Read the header of a picture, known by its first bytes, whatever it is called.

    The formats are opened by their own names: ``Image.open`` warns of the large panoramas that are
    wanted here, and its warnings can be held back only for all threads at once.
    """
    from PIL import JpegImagePlugin, PngImagePlugin, UnidentifiedImageError, WebPImagePlugin

    if data.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile(io.BytesIO(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile(io.BytesIO(data))
    raise UnidentifiedImageError


def _problem_of_size(size: tuple[int, int]) -> str | None:
    width, height = size
    if width * height > MOST_PIXELS:
        return f"{width}x{height} pixels; at most {MOST_PIXELS:,} are decoded"
    if min(size) < SHORTEST_SIDE_PX:
        return f"{width}x{height} pixels; at least {SHORTEST_SIDE_PX} on each side are needed"
    return None


def _problem_of_pixels(picture: "Image") -> str | None:
    """Decode to the last row: a file that breaks off opens well."""
    fraction = max(1.0, min(picture.size) / _LOOKED_AT_PX)
    # a JPEG goes to the next half, quarter or eighth at least as large; other formats take no notice
    picture.draft("RGB", (int(picture.width / fraction), int(picture.height / fraction)))
    mode = "RGBA" if "transparency" in picture.info else "RGB"
    return "almost all of one colour" if _is_uniform(picture.convert(mode)) else None


def _is_uniform(picture: "Image") -> bool:
    import numpy as np

    # every so many pixels are enough, and a large panorama is soon done
    picture = picture.reduce(max(1, min(picture.size) // (2 * _LOOKED_AT_PX)))
    n_pixels = picture.width * picture.height
    counts = np.reshape(picture.histogram(), (-1, 256))[:3]
    # counting levels finds their median much sooner than sorting pixels does
    medians = [int(np.searchsorted(of_band.cumsum(), n_pixels / 2)) for of_band in counts]
    nearby = [slice(max(0, median - UNIFORM_LEVELS), median + UNIFORM_LEVELS + 1) for median in medians]
    if any(of_band[near].sum() < UNIFORM_SHARE * n_pixels for of_band, near in zip(counts, nearby, strict=True)):
        return False
    away = np.abs(np.asarray(picture)[..., :3].astype(np.int16) - medians).max(axis=-1)
    return bool((away <= UNIFORM_LEVELS).mean() >= UNIFORM_SHARE)
