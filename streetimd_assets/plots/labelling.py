"""The labelling page: one HTML file on which a person labels images, with nothing but a browser.

The pictures are inside, so the file works offline and can be sent to a rater. What the model predicted
is not in it. Labels are kept in the browser's own store as they are given, where it has one, and leave
the page as a CSV file.
"""

import base64
import io
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from streetimd_assets.plots import links, pages, style
from streetimd_assets.plots.labelling_script import SCRIPT
from streetimd_assets.plots.picture_sheets import ReadImage, read_thumbnail
from streetimd_assets.schemas import UNSURE

# a picture takes a third more inside the page: 1,200 of them stay below 20 MB
PICTURES_BYTES = 13_500_000
# side in pixels and quality as WebP, which keeps more of a street than JPEG in as many bytes; the first that fits
SETTINGS = ((400, 85), (400, 70), (400, 55), (400, 40), (360, 35), (320, 30), (320, 20))
_N_TRIED = 40
_MOST_IN_A_COLUMN = 12
# o opens the provider's viewer, and 0 stands for unsure
_KEYS = string.digits[1:] + string.ascii_lowercase.replace("o", "")

_CSS = """
body { max-width: 84rem; padding-bottom: 1rem; }
header nav, #label-title { display: none; }
header h1 { font-size: 1.05rem; margin: .5rem 0 .4rem; }
header, #label { --side: min(100vh - 11.5rem, 46rem);
  max-width: max(calc(var(--side) + 24.5rem), 46rem); margin: 0 auto; }
[hidden] { display: none !important; }
#start input { font: inherit; margin: .2rem .5rem 0 0; padding: .5rem .7rem; border: 1px solid #52606d;
  border-radius: 4px; width: 18rem; }
#label button, #label .button { font: inherit; padding: .45rem .9rem; border: 1px solid #52606d; border-radius: 4px;
  background: #fff; color: var(--ink); cursor: pointer; }
#label button:disabled { color: #9aa5b1; border-color: #cbd2d9; cursor: default; }
#label button.primary, #label button.due { background: #0b5394; border-color: #0b5394; color: #fff; }
#kept { display: flex; flex-wrap: wrap; gap: .5rem; }
.top { display: flex; flex-wrap: wrap; align-items: center; gap: .3rem 1rem; margin-bottom: .5rem;
  font-size: .92rem; }
.top progress { flex: 1 1 10rem; height: .8rem; accent-color: #0b5394; }
.top button { padding: .25rem .7rem !important; }
#work { display: grid; grid-template-columns: minmax(0, 1fr) minmax(16rem, 23rem);
  gap: 0 1.5rem; align-items: start; }
#frame { position: relative; display: grid; place-items: center; background: #eceff2; height: var(--side); }
#picture { width: 100%; height: 100%; object-fit: contain; position: absolute; inset: 0; }
#gap { text-align: center; padding: 2rem; border: 2px dashed #9aa5b1; max-width: 24rem; }
.below { display: flex; gap: .5rem 1rem; align-items: center; margin: .5rem 0 0; }
.below #about { flex: 1; min-width: 0; overflow-wrap: anywhere; }
#choices { display: grid; gap: .3rem; }
#choices button { display: flex; align-items: center; gap: .75rem; text-align: left; padding: .38rem .6rem;
  min-height: 2.4rem; line-height: 1.2; }
#choices button:hover { background: #f0f4f8; }
#choices button[aria-pressed="true"] { background: #0b5394; border-color: #0b5394; color: #fff; }
#choices .unsure { margin-top: .45rem; border-style: dashed; }
#choices.many { grid-template-columns: 1fr 1fr; }
#choices.many button { font-size: .88rem; gap: .5rem; padding: .2rem .45rem; }
#choices.many .unsure { margin-top: 0; }
kbd { font: 600 .9rem ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; border: 1px solid #9aa5b1;
  border-bottom-width: 2px; border-radius: 4px; padding: .08rem .45rem; background: #f5f7fa; color: #1f2933; }
#said { margin: .5rem 0 .25rem; font-size: .92rem; color: var(--quiet); }
#saying { min-height: 1.5em; margin: .35rem 0 0; font-weight: 600; }
#unkept { color: #8a3b00; margin: 0 0 .4rem; }
#help, #finished { border: 1px solid var(--line); padding: .5rem 1.1rem; margin-bottom: .75rem;
  background: #fbfcfd; }
#help h3:first-child { margin-top: .4rem; }
#help dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: .5rem 0; }
#help dt, #help dd { margin: 0; }
#finished { padding: 2rem; } #finished button { margin-right: .6rem; }
.file { position: relative; }
.file input { position: absolute; inset: 0; opacity: 0; cursor: pointer; width: 100%; }
.file:focus-within { outline: 3px solid #0b5394; outline-offset: 2px; }
@media (max-width: 52rem) {
  #work { grid-template-columns: 1fr; gap: .75rem; } #frame { height: 46vh; }
  #choices { grid-template-columns: 1fr 1fr; } #choices .unsure { margin-top: 0; }
}
@media (max-height: 50rem) { #choices button { min-height: 2.1rem; padding: .2rem .6rem; } }
"""


@dataclass(frozen=True)
class LabellingPage:
    """The page, and how many of its images have a picture in it."""

    html: str
    n_images: int
    n_pictures: int


def labelling_page(
    candidates: pd.DataFrame,
    read_image: ReadImage,
    *,
    heading: str,
    study: str,
    local_authority: str,
    titles: Mapping[str, str],
    meanings: Mapping[str, str],
) -> LabellingPage:
    """Return the page on which people label the images drawn.

    Parameters
    ----------
    candidates
        The table `label_candidates`; images are shown in the order of position.
    read_image
        Gives the bytes of a picture by its `image_path`, or None if there is no such file: then the
        page shows a gap with a link to the provider's viewer.
    heading
        Title of the study and place, which says SYNTHETIC IMAGES where images are painted.
    study, local_authority
        Name of the study and key of the local authority, written into the CSV.
    titles
        Category names and what people read for them, in the study's order.
    meanings
        Category names and what belongs to them, such as the phrases they are described by.
    """
    rows = candidates.sort_values("position").to_dict("records")
    pictures = _pictures(rows, read_image)
    data = {
        "study": study,
        "local_authority": local_authority,
        "category_set_hash": str(rows[0]["category_set_hash"]) if rows else "",
        "choices": [{"name": name, "title": title, "key": key} for name, title, key in _choices(titles)],
        "images": [_image(row, picture) for row, picture in zip(rows, pictures, strict=True)],
    }
    page = pages.Page(heading, "Label images", css=_CSS, scripts=[SCRIPT])
    page.add_section("label", "Label", *_blocks(len(rows), data, titles, meanings))
    return LabellingPage(page.render(), len(rows), sum(picture is not None for picture in pictures))


def _choices(titles: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name, title and key of each label; there are no keys left for more than 34 categories."""
    keys = [*_KEYS, *("" for _ in titles)]
    return [
        *((name, title, key) for (name, title), key in zip(titles.items(), keys, strict=False)),
        (UNSURE, "Unsure, or none of these", "0"),
    ]


def _image(row: Mapping[Any, Any], picture: str | None) -> dict[str, str | None]:
    """Return what the page knows of an image: nothing that tells what the model made of it."""
    taken = style.day(row["captured_on"])
    told = [f"taken {taken}" if taken else "", *(row[name] for name in ("credit", "licence"))]
    words = " · ".join(str(part) for part in told if part and not style.is_missing(part))
    # escaped for an attribute there; as JSON the address stands as it is
    href = str(row["viewer_url"]).strip() if links.web_address(row["viewer_url"]) else None
    return {"id": str(row["image_id"]), "picture": picture, "href": href, "about": words}


def _pictures(rows: Sequence[Mapping[Any, Any]], read_image: ReadImage) -> list[str | None]:
    """Return each picture as WebP in base64, all of one setting; None if it is gone."""
    paths = [row["image_path"] for row in rows]
    side_px, quality = choose_setting(paths, read_image)
    drawn = (_webp(path, read_image, side_px, quality) for path in paths)
    return [None if picture is None else base64.b64encode(picture).decode() for picture in drawn]


def choose_setting(paths: Sequence[str | None], read_image: ReadImage) -> tuple[int, int]:
    """Return the best side in pixels and quality at which all pictures fit into the page, tried on some.

    The last setting is the smallest a street can be told in: where it does not fit the page gets larger.
    """
    tried = paths[:: -(-len(paths) // _N_TRIED)] if paths else []
    for setting in SETTINGS[:-1]:
        sizes = [len(picture) for path in tried if (picture := _webp(path, read_image, *setting))]
        if sum(sizes) * len(paths) <= PICTURES_BYTES * len(tried):
            return setting
    return SETTINGS[-1]


def _webp(path: str | None, read_image: ReadImage, side_px: int, quality: int) -> bytes | None:
    picture = read_thumbnail(path, read_image, side_px=side_px)
    if picture is None:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def _blocks(
    n_images: int, data: Mapping[str, Any], titles: Mapping[str, str], meanings: Mapping[str, str]
) -> list[str]:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    for sign in ("<", "\u2028", "\u2029"):
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return [
        '<p id="noscript">This page needs scripts: allow them for it, or open it in another browser.</p>',
        "" if n_images else pages.paragraph("There is no image to label here."),
        _start(n_images),
        _stage(n_images, titles, meanings),
        f'<script type="application/json" id="labelling-data">{text}</script>',
    ]


def _start(n_images: int) -> str:
    return (
        '<div id="start" hidden>'
        + pages.paragraph(
            f"You will see {style.plural(n_images, 'image')}, one at a time, and say which category each shows: "
            "one key, and the next appears. Say what you see, not what you think a computer would say; choose "
            "<em>unsure</em> where you cannot tell. The order is random, so you may stop whenever you like: "
            "every label counts."
        )
        + '<form id="named"><p><label for="rater">Your name, as it should stand beside your labels</label><br>'
        '<input id="rater" name="rater" maxlength="80" autocomplete="name" required> '
        '<button class="primary">Begin</button></p></form><div id="kept"></div>'
        + pages.paragraph(
            "Labels stay in this browser while you work and go nowhere by themselves. Save them as a CSV file "
            "when you stop, and send that file back.",
            quiet=True,
        )
        + "</div>"
    )


def _stage(n_images: int, titles: Mapping[str, str], meanings: Mapping[str, str]) -> str:
    buttons = "".join(
        f'<button type="button" data-name="{style.escape(name)}" aria-pressed="false" '
        f'title="{style.escape(meanings.get(name, ""))}"{" class=unsure" if name == UNSURE else ""}>'
        f"{f'<kbd>{key.upper()}</kbd>' if key else ''}<span>{style.escape(title)}</span></button>"
        for name, title, key in _choices(titles)
    )
    many = ' class="many"' if len(titles) > _MOST_IN_A_COLUMN else ""
    return f"""
<div id="stage" hidden>
<div class="top"><strong id="place"></strong><progress id="bar" max="{n_images}" value="0"
 aria-label="Images labelled"></progress><span id="count"></span>
<span>Rater: <b id="who"></b></span>
<button type="button" id="save">Save CSV</button>
<button type="button" id="show-help" aria-expanded="false" aria-controls="help"><kbd>?</kbd> Help</button></div>
<p id="unkept" hidden>This browser does not keep your work: save the CSV before you close the page.</p>
{_help(titles, meanings)}
<div id="work"><div><div id="frame"><img id="picture" alt="">
<div id="gap" hidden><span id="gap-words"></span></div></div>
<div class="below"><span id="about" class="quiet"></span>
<a id="viewer" target="_blank" rel="noopener noreferrer"><kbd>O</kbd> Open at the provider</a></div></div>
<div><div id="choices"{many} role="group" aria-label="Labels">{buttons}</div>
<p id="said" aria-live="polite"></p>
<button type="button" id="back"><kbd>←</kbd> Back</button>
<button type="button" id="forward"><kbd>→</kbd> Forward</button></div></div>
<div id="finished" hidden><p id="finished-words"></p>
<button type="button" id="finished-save" class="primary">Save CSV</button>
<button type="button" id="review">Look at the labels again</button></div>
<p id="saying" role="status"></p>
</div>"""


def _help(titles: Mapping[str, str], meanings: Mapping[str, str]) -> str:
    keys = (
        ("1 2 3 …", "label the image and go on to the next one without a label"),
        ("0", "unsure"),
        ("← Backspace", "one image back, to change its label"),
        ("→", "one image forward without labelling"),
        ("Home End", "the first image; the next one without a label"),
        ("O", "open the image at its provider, where it has a page there"),
        ("Ctrl S", "save the CSV"),
        ("? Esc", "show or hide this"),
    )
    listed = "".join(
        f"<dt>{' '.join(f'<kbd>{part}</kbd>' for part in signs.split())}</dt><dd>{does}</dd>"
        for signs, does in keys
    )
    means = "".join(
        f"<dt><b>{style.title_of(name, titles)}</b></dt><dd>{style.escape(meanings[name])}</dd>"
        for name in titles
        if meanings.get(name)
    )
    load = (
        '<p><span class="file button">Take labels from a CSV saved before'
        '<input type="file" id="load" accept=".csv,text/csv" aria-label="Take labels from a CSV"></span></p>'
    )
    return f'<div id="help" hidden><h3>Keys</h3><dl>{listed}</dl><h3>Categories</h3><dl>{means}</dl>{load}</div>'
