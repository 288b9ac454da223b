"""Contact sheets: small pictures beside the category and scores a model gave them.

The pages need no script at all: thumbnails are JPEG data URIs, sections have anchors, and every
picture can be reached with the keyboard. A picture leads to its provider's own viewer, which is
where it can be seen when it has not been kept.
"""

import base64
import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from PIL import Image, ImageOps

from streetimd_assets.plots import links, pages, style

ReadImage = Callable[[str], bytes | None]

THUMBNAIL_PX = 160
# a page of 240 pictures stays below 3 MB
THUMBNAIL_BYTES = 7_500
_STRIP_PX = 96
_STRIP_PICTURES = 8

_SECTIONS = {
    "highest_scoring": (
        "Highest-scoring images",
        "Per category, the images with the highest probability of it: what the model takes for a clear case.",
    ),
    "least_decisive": (
        "Least decisive images",
        "The smallest margins between the first and the second category: where the model hesitates.",
    ),
    "category_grid": (
        "A random grid of each category",
        "Drawn at random among the images predicted as the category: what a typical one looks like.",
    ),
}

_CSS = """
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(164px, 1fr)); gap: .9rem .8rem; }
.sheet figure { margin: 0; padding: 2px; font-size: .78rem; line-height: 1.35; min-width: 0; }
.sheet img, .sheet .gap { width: 100%; height: auto; aspect-ratio: 1; object-fit: contain;
  background: #eceff2; display: block; }
.sheet .gap { display: grid; place-items: center; text-align: center; padding: .5rem; border: 1px dashed #9aa5b1; }
.sheet figcaption { font-size: inherit; margin-top: .3rem; overflow-wrap: anywhere; }
.sheet strong { color: #1f2933; } .sheet a { display: block; }
.jump { columns: 12rem; padding-left: 1.1rem; }
@media print { .sheet { grid-template-columns: repeat(6, 1fr); } .sheet figure { break-inside: avoid; } }
"""


def contact_sheet_page(
    assessment: pd.DataFrame,
    read_image: ReadImage,
    *,
    heading: str,
    titles: Mapping[str, str],
    notes: Sequence[str] = (),
) -> str:
    """Return a self-contained page of the images chosen for people to look at.

    Parameters
    ----------
    assessment
        The table `assessment_images`.
    read_image
        Gives the bytes of a picture by its `image_path`, or None if there is no such file. A
        picture that was not kept leaves a gap with a link to the provider's viewer; one that is
        missing or cannot be decoded leaves a gap that says so.
    heading
        Title of the study, which says SYNTHETIC IMAGES where images are painted.
    titles
        Category names and what people read for them.
    notes
        Sentences for the top of the page.

    Returns
    -------
    html
        The page; thumbnails are at most 160 pixels wide and high.
    """
    page = pages.Page(heading, "How images were classified", css=_CSS)
    page.introduction += [
        pages.paragraph(
            f"Probability is {style.SHARE_NOTE}.",
            "Margin is the cosine similarity of the first category minus that of the second.",
        ),
        *(pages.paragraph(style.escape(note)) for note in notes),
    ]
    if assessment.empty:
        page.add_section("images", "Images", pages.paragraph("No image has been chosen yet."))
    reasons = [*_SECTIONS, *sorted(set(assessment["reason"]) - set(_SECTIONS))]
    for reason in reasons:
        rows = assessment[assessment["reason"] == reason].sort_values(["category", "position"])
        if len(rows):
            _add_reason(page, reason, rows, read_image, titles)
    return page.render()


def _add_reason(
    page: pages.Page, reason: str, rows: pd.DataFrame, read_image: ReadImage, titles: Mapping[str, str]
) -> None:
    title, why = _SECTIONS.get(reason, (style.escape(reason), ""))
    anchor = reason.replace("_", "-") if reason in _SECTIONS else f"reason-{len(page.anchors)}"
    if reason == "least_decisive":
        page.add_section(anchor, title, pages.paragraph(why), _sheet(rows, read_image, titles))
        return
    order = [*(name for name in titles if name in set(rows["category"]))]
    order += sorted(set(rows["category"]) - set(order))
    jumps, sheets = [], []
    for place, name in enumerate(order):
        of_category = rows[rows["category"] == name]
        here, label = f"{anchor}-{place + 1}", style.title_of(name, titles)
        jumps.append(f'<a href="#{here}">{label}</a> ({len(of_category)})')
        sheets.append(f'<h3 id="{here}">{label}</h3>\n{_sheet(of_category, read_image, titles)}')
    jump = pages.bullets(jumps).replace("<ul>", '<ul class="jump">')
    page.add_section(anchor, title, pages.paragraph(why), jump, *sheets)


def _sheet(rows: pd.DataFrame, read_image: ReadImage, titles: Mapping[str, str]) -> str:
    ordered = rows.sort_values("position", kind="stable")
    figures = "\n".join(_picture(row, read_image, titles) for row in ordered.to_dict("records"))
    return f'<div class="sheet">\n{figures}\n</div>'


def _picture(row: Mapping[Any, Any], read_image: ReadImage, titles: Mapping[str, str]) -> str:
    """Return one picture with its caption, or a labelled gap."""
    label = style.title_of(str(row["category"]), titles) if row["category"] else "no category"
    probability = f"probability {style.number(row['probability'])}"
    margin = f"margin {style.number(row['margin'], 3)}"
    lsoa, heading = f"LSOA {style.escape(row['lsoa_code'])}", _heading(row["heading_deg"])
    when = style.day(row["captured_on"]) or "date not known"
    rights = [style.escape(row[name]) for name in ("credit", "licence") if not style.is_missing(row[name])]
    caption = (
        f"<strong>{label}</strong><br>{probability}<br>{margin}<br>{lsoa}<br>{heading}, {when}<br>"
        f"<span>{' · '.join(rights) or 'credit and licence not known'}</span>"
    )
    name = style.escape(row["image_id"])
    description = f"{label}, {probability}, {margin}, {lsoa}, {heading}"
    shown = _thumbnail(row, read_image, description) or _gap(row)
    return f'<figure tabindex="0" title="{name}">{shown}<figcaption>{caption}</figcaption></figure>'


def _thumbnail(row: Mapping[Any, Any], read_image: ReadImage, description: str) -> str:
    """Return the small picture as a link to the provider's viewer; empty if there is none to show."""
    thumbnail = read_thumbnail(row["image_path"], read_image)
    if thumbnail is None:
        return ""
    data = base64.b64encode(_jpeg(thumbnail, THUMBNAIL_BYTES)).decode()
    picture = (
        f'<img src="data:image/jpeg;base64,{data}" width="{thumbnail.width}" height="{thumbnail.height}" '
        f'loading="lazy" decoding="async" alt="Street image classified as {description}">'
    )
    return links.outside_link(row["viewer_url"], picture)


def _gap(row: Mapping[Any, Any]) -> str:
    """Return what stands where there is no picture: where it can be seen, or that its file is gone."""
    name = style.escape(row["image_id"])
    if links.web_address(row["viewer_url"]) is None:
        return f'<div class="gap">No picture: the file of {name} is missing or unreadable</div>'
    link = links.outside_link(row["viewer_url"], "open at the provider")
    return f'<div class="gap"><span>Picture not kept: {link}</span></div>'


def _heading(heading_deg: Any) -> str:
    return "heading not known" if style.is_missing(heading_deg) else f"heading {style.number(heading_deg, 0)}°"


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


def _jpeg(picture: Image.Image, max_bytes: int) -> bytes:
    """Return the picture as a JPEG of the best quality that fits."""
    for data in _jpegs(picture):
        if len(data) <= max_bytes:
            return data
    return _jpeg(picture.resize((max(picture.width // 2, 1), max(picture.height // 2, 1))), max_bytes)


def _jpegs(picture: Image.Image) -> Iterator[bytes]:
    for quality in (80, 70, 60, 50, 40, 30, 20):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        yield buffer.getvalue()


def preview_strip(assessment: pd.DataFrame, read_image: ReadImage, *, max_bytes: int = 30_000) -> bytes:
    """Return the first few pictures side by side as one JPEG.

    Parameters
    ----------
    assessment
        The table `assessment_images`; the best of each category come first.
    read_image
        As for :func:`contact_sheet_page`; a missing picture is a grey square.
    max_bytes
        Upper limit of the file; at least 1,000.

    Returns
    -------
    jpeg
        Eight squares of 96 pixels at the most, one grey square if there is no row.
    """
    first = assessment.assign(is_clear=assessment["reason"].eq("highest_scoring")).sort_values(
        ["is_clear", "position", "reason", "category"], ascending=[False, True, True, True], kind="stable"
    )
    paths = first["image_path"].head(_STRIP_PICTURES).tolist() or [None]
    side = _STRIP_PX
    strip = Image.new("RGB", (len(paths) * (side + 4) - 4, side), "white")
    for place, path in enumerate(paths):
        thumbnail = read_thumbnail(path, read_image, side_px=2 * side)
        square = ImageOps.fit(thumbnail, (side, side)) if thumbnail else Image.new("RGB", (side, side), "#d0d5da")
        strip.paste(square, (place * (side + 4), 0))
    return _jpeg(strip, max_bytes)
