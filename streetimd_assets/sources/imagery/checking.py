"""Whether the bytes a source sent are a picture at all.

A status of 200 and a plausible size prove nothing: a server may send a page of text, a grey card
that says there is no imagery, or half a file.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SHORTEST_SIDE_PX = 32
# a picture is of one colour if this share of it lies within so many levels, of 255, of its median
UNIFORM_SHARE = 0.96
UNIFORM_LEVELS = 8
FORMATS = ("JPEG", "PNG", "WEBP")


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
        ``invalid_image`` if the file is not a JPEG, PNG or WebP picture, breaks off, has a side
        shorter than 32 pixels, or is of one colour but for a twenty-fifth of it, which is what a
        card with a line of text looks like.
    """
    width_px: int | None = None
    height_px: int | None = None
    try:
        picture = _decode(data)
    except Exception as error:  # decoders meet broken files with errors of every kind
        problem: str | None = _not_decoded(data, error)
    else:
        width_px, height_px = picture.size
        problem = _problem(picture)
    return ImageCheck(
        status="invalid_image" if problem else "ok",
        status_detail=problem,
        width_px=width_px,
        height_px=height_px,
        n_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _decode(data: bytes) -> "Image":
    """Decode to the last row, as RGB: a file that breaks off opens well."""
    from PIL import Image

    with warnings.catch_warnings():
        # 360 degree panoramas are larger than Pillow expects; far larger ones are still refused
        warnings.simplefilter("ignore")
        # Pillow knows WebP only once all its formats are loaded
        Image.init()
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        return picture.convert("RGB")


def _problem(picture: "Image") -> str | None:
    width, height = picture.size
    if min(width, height) < SHORTEST_SIDE_PX:
        return f"{width}x{height} pixels; at least {SHORTEST_SIDE_PX} on each side are needed"
    if _is_uniform(picture):
        return "almost all of one colour"
    return None


def _is_uniform(picture: "Image") -> bool:
    import numpy as np

    # every so many pixels are enough, and a large panorama is soon done
    step = max(1, min(picture.size) // 200)
    levels = np.asarray(picture)[::step, ::step].reshape(-1, 3).astype(np.int16)
    distance = np.abs(levels - np.median(levels, axis=0)).max(axis=1)
    return bool((distance <= UNIFORM_LEVELS).mean() >= UNIFORM_SHARE)


def _not_decoded(data: bytes, error: Exception) -> str:
    if not data:
        return "empty"
    if data.lstrip()[:1] in (b"<", b"{"):
        return "a page of text, not a picture"
    return f"does not decode ({type(error).__name__})"
