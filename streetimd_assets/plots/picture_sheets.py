"""Sheets of small pictures: thumbnails that keep a page small, captions, and a keyboard to move among them.

A sheet can be read without any script: each picture is a JPEG data URI that can be reached with the
keyboard and leads to its provider's own viewer, which is where it can be seen when it has not been
kept. :mod:`streetimd_assets.plots.picture_script` adds arrow keys and a larger view.
"""

import base64
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from streetimd_assets.plots import links, style
from streetimd_assets.plots.picture_script import KEYS as KEYS
from streetimd_assets.plots.picture_script import SCRIPT as SCRIPT

ReadImage = Callable[[str], bytes | None]

PAGE_BYTES = 12_000_000
THUMBNAIL_PX = 160
# a page of 240 pictures stays below 3 MB
THUMBNAIL_BYTES = 7_500
# below this a street is not recognised any more: rather fewer pictures than smaller ones
_LEAST_BYTES = 2_200
_CAPTION_BYTES = 1_500
_REST_BYTES = 200_000
_LONGEST_CREDIT = 120

CSS = """
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); gap: 1.1rem .9rem; }
.sheet figure { margin: 0; padding: 3px; font-size: .78rem; line-height: 1.35; min-width: 0; scroll-margin: 3rem; }
.sheet img, .sheet .gap { width: 100%; height: auto; aspect-ratio: 1; object-fit: contain;
  background: #eceff2; display: block; }
.sheet .gap { display: grid; place-items: center; text-align: center; padding: .5rem; border: 1px dashed #9aa5b1; }
.sheet figcaption { font-size: inherit; margin-top: .3rem; overflow-wrap: anywhere; }
.sheet a { display: block; }
.bars { list-style: none; margin: 0 0 .25rem; padding: 0; color: var(--ink); }
.bars li { display: flex; justify-content: space-between; gap: .4rem; padding-bottom: 5px; margin-bottom: 1px;
  background: linear-gradient(#5b7c99, #5b7c99) 0 100% / var(--share) 4px no-repeat,
    linear-gradient(#e4e7eb, #e4e7eb) 0 100% / 100% 4px no-repeat;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bars span { min-width: 0; overflow-wrap: break-word; }
.bars .for { font-weight: 700; }
.bars b { flex: none; font-weight: inherit; font-variant-numeric: tabular-nums; }
.keys kbd, .larger kbd { font: .85em ui-monospace, monospace; border: 1px solid #9aa5b1; border-radius: 3px;
  padding: 0 .3em; background: #f5f7fa; white-space: nowrap; }
dialog.larger { border: 1px solid #52606d; padding: 1rem 1.25rem; width: min(36rem, 94vw); max-height: 94vh;
  font: inherit; color: var(--ink); }
dialog.larger:focus-visible { outline: none; } dialog.larger h2 { margin: 0 0 .5rem; padding: 0; border: 0; }
dialog.larger::backdrop { background: rgba(20, 28, 36, .72); }
dialog.larger figure { margin: 0; font-size: .95rem; line-height: 1.45; }
dialog.larger img, dialog.larger .gap { width: auto; height: min(27rem, 52vh); max-width: 100%; aspect-ratio: 1;
  object-fit: contain; display: block; margin: 0 auto; background: #eceff2; }
dialog.larger .gap { display: grid; place-items: center; text-align: center; padding: 1rem; }
dialog.larger figcaption { font-size: inherit; margin-top: .6rem; overflow-wrap: anywhere; }
@media print { .sheet { grid-template-columns: repeat(5, 1fr); }
  .sheet figure { break-inside: avoid; font-size: 7pt; } .keys, dialog.larger { display: none; } }
"""


@dataclass(frozen=True)
class Size:
    """How large a thumbnail may be, and how many there may be of them.

    Parameters
    ----------
    side_px
        Longer side, in pixels.
    n_bytes
        Upper limit of the JPEG file.
    n_pictures
        Pictures that fit on the page.
    """

    side_px: int
    n_bytes: int
    n_pictures: int


def size_for(n_pictures: int) -> Size:
    """Return thumbnails so small that a page of this many stays below 12 MB, or fewer of them.

    Examples
    --------
    >>> size_for(240)
    Size(side_px=160, n_bytes=7500, n_pictures=240)
    >>> size_for(2_000).side_px
    112
    """
    room = PAGE_BYTES - _REST_BYTES
    most = room // (_CAPTION_BYTES + _LEAST_BYTES * 4 // 3)
    shown = min(n_pictures, most)
    n_bytes = min(THUMBNAIL_BYTES, (room // max(shown, 1) - _CAPTION_BYTES) * 3 // 4)
    side_px = next((side for side, least in ((160, 5_000), (112, 3_000)) if n_bytes >= least), 96)
    return Size(side_px, n_bytes, shown)


class Pictures:
    """Draws the pictures of one page; one that stands in it twice is read once.

    Parameters
    ----------
    read_image
        Gives the bytes of a picture by its `image_path`, or None if there is no such file.
    n_pictures
        How many the page is to hold.
    """

    def __init__(self, read_image: ReadImage, n_pictures: int) -> None:
        self.size = size_for(n_pictures)
        self._read_image = read_image
        self._drawn: dict[str, str | None] = {}

    def sheet(self, figures: Iterator[str] | Sequence[str]) -> str:
        """Return figures as a grid."""
        return '<div class="sheet">\n' + "\n".join(figures) + "\n</div>"

    def figure(self, row: Mapping[Any, Any], *, description: str, caption: str) -> str:
        """Return one picture, or a labelled gap, with its caption.

        Parameters
        ----------
        row
            image_id, image_path and viewer_url.
        description
            What a screen reader says of the picture, escaped.
        caption
            What stands below it, escaped; place, date and credit follow from :func:`origin`.
        """
        picture = self._picture(row["image_path"])
        if picture is None:
            shown = _gap(row)
        else:
            image = f'<img {picture} loading="lazy" decoding="async" alt="{description}">'
            shown = links.outside_link(row["viewer_url"], image)
        name = style.escape(_shortened(row["image_id"]))
        return f'<figure tabindex="0" title="{name}">{shown}<figcaption>{caption}</figcaption></figure>'

    def _picture(self, image_path: Any) -> str | None:
        """Return source and size of a thumbnail as attributes; None if there is no picture to show."""
        if style.is_missing(image_path):
            return None
        if image_path not in self._drawn:
            thumbnail = read_thumbnail(image_path, self._read_image, side_px=self.size.side_px)
            self._drawn[image_path] = _as_attributes(thumbnail, self.size.n_bytes) if thumbnail else None
        return self._drawn[image_path]


def origin(row: Mapping[Any, Any]) -> str:
    """Return where and when a picture was taken and whose it is, escaped: LSOA, heading, date, credit, licence."""
    heading_deg, when = row["heading_deg"], style.day(row["captured_on"]) or "date not known"
    heading = "heading not known" if style.is_missing(heading_deg) else f"heading {style.number(heading_deg, 0)}°"
    kept = [row[name] for name in ("credit", "licence") if not style.is_missing(row[name])]
    rights = " · ".join(style.escape(_shortened(words)) for words in kept) or "credit and licence not known"
    return f"LSOA {style.escape(row['lsoa_code'])}<br>{heading}, {when}<br><span>{rights}</span>"


def bars(shares: Sequence[tuple[str, float, bool]]) -> str:
    """Return shares as small bars with their numbers.

    Parameters
    ----------
    shares
        Words, already escaped; share from 0 to 1; True for the one the picture was chosen for.
    """
    lines = []
    for words, share, is_chosen in shares:
        kind = ' class="for"' if is_chosen else ""
        width = f"--share:{100 * min(max(share, 0), 1):.0f}%"
        lines.append(f'<li{kind} style="{width}"><span>{words}</span><b>{style.number(share)}</b></li>')
    return f'<ol class="bars">{"".join(lines)}</ol>'


def read_thumbnail(
    image_path: str | None, read_image: ReadImage, *, side_px: int = THUMBNAIL_PX
) -> Image.Image | None:
    """Return a small copy of a picture, or None where the file is missing or cannot be decoded."""
    data = None if style.is_missing(image_path) else read_image(str(image_path))
    if not data:
        return None
    try:
        with warnings.catch_warnings():
            # a picture of absurd size is refused rather than decoded
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                picture.draft("RGB", (2 * side_px, 2 * side_px))
                upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    upright.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return upright


def as_jpeg(picture: Image.Image, max_bytes: int) -> bytes:
    """Return the picture as a JPEG of the best quality that fits."""
    for data in _jpegs(picture):
        if len(data) <= max_bytes:
            return data
    return as_jpeg(picture.resize((max(picture.width // 2, 1), max(picture.height // 2, 1))), max_bytes)


def _jpegs(picture: Image.Image) -> Iterator[bytes]:
    for quality in (80, 70, 60, 50, 40, 30, 20):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        yield buffer.getvalue()


def _as_attributes(thumbnail: Image.Image, max_bytes: int) -> str:
    data = base64.b64encode(as_jpeg(thumbnail, max_bytes)).decode()
    return f'src="data:image/jpeg;base64,{data}" width="{thumbnail.width}" height="{thumbnail.height}"'


def _gap(row: Mapping[Any, Any]) -> str:
    """Return what stands where there is no picture: where it can be seen, or that its file is gone."""
    name = style.escape(_shortened(row["image_id"]))
    if links.web_address(row["viewer_url"]) is None:
        return f'<div class="gap">No picture: the file of {name} is missing or unreadable</div>'
    link = links.outside_link(row["viewer_url"], "open at the provider")
    return f'<div class="gap"><span>Picture not kept: {link}</span></div>'


def _shortened(words: object) -> str:
    """Return words from outside, cut where they would not fit below a small picture."""
    text = str(words)
    return text if len(text) <= _LONGEST_CREDIT else f"{text[: _LONGEST_CREDIT - 1]}…"
