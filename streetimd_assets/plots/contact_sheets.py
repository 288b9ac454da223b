"""Contact sheets: small pictures beside the categories and shares a model gave them.

Sections have anchors, and one page holds a local authority of any size: with many pictures the
thumbnails get smaller, then fewer, and the page says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from streetimd_assets.plots import pages, picture_sheets, style
from streetimd_assets.plots.picture_sheets import Pictures, ReadImage
from streetimd_assets.plots.picture_sheets import read_thumbnail as read_thumbnail

_STRIP_PX = 96
_STRIP_PICTURES = 8
_N_BARS = 3

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
        "Drawn at random among the images predicted as the category: what a typical one looks like, and how "
        "often it is wrong.",
    ),
    "set_aside": (
        "Set aside: reject categories",
        "Images of these categories count towards no share and no embedding of an LSOA. Look for streets that "
        "should not have been set aside.",
    ),
    "control": (
        "Control",
        "The images most like something that no street shows. Where it would win, no category fits: look for "
        "what these have in common, and name it.",
    ),
}
_KINDS = {
    "reworded": "reworded",
    "without_prompt": "prompt left out",
    "without_template": "template left out",
    "control": "control",
}
_CSS = ".jump { columns: 13rem; column-gap: 2rem; padding-left: 1.1rem; }"


def contact_sheet_page(
    assessment: pd.DataFrame,
    read_image: ReadImage,
    *,
    heading: str,
    titles: Mapping[str, str],
    rejects: Sequence[str] = (),
    sensitivities: pd.DataFrame | None = None,
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
    rejects
        Names of the reject categories, which stand in a section of their own.
    sensitivities
        The table `prompt_sensitivities`, if there is one.
    notes
        Sentences for the top of the page.

    Returns
    -------
    html
        The page, of at most 12 MB; thumbnails are at most 160 pixels wide and high.
    """
    page = pages.Page(
        heading,
        "How images were classified",
        css=picture_sheets.CSS + _CSS,
        scripts=[picture_sheets.SCRIPT] if len(assessment) else [],
    )
    shelved = _shelved(assessment, rejects)
    pictures = Pictures(read_image, len(shelved))
    shown = _first_of_each(shelved, pictures.size.n_pictures)
    page.introduction += [
        pages.paragraph(
            "Each picture shows its three most likely categories; the one it was chosen for is in bold.",
            f"The number is {style.SHARE_NOTE}.",
            "Margin is the cosine similarity of the first category minus that of the second.",
        ),
        *(pages.paragraph(style.escape(note)) for note in [*_size_notes(shelved, shown, pictures), *notes]),
        picture_sheets.KEYS if len(shown) else "",
    ]
    if assessment.empty:
        page.add_section("images", "Images", pages.paragraph("No image has been chosen yet."))
    for section in [*_SECTIONS, *sorted(set(shown["section"]) - set(_SECTIONS))]:
        rows = shown[shown["section"] == section].sort_values(["category", "reason", "position"])
        if len(rows):
            _add_section(page, section, rows, pictures, titles, sensitivities)
    if sensitivities is not None:
        _add_sensitivities(page, sensitivities, titles)
    return page.render()


def _shelved(assessment: pd.DataFrame, rejects: Sequence[str]) -> pd.DataFrame:
    """Say which section each row stands in: its reason's, or the one of what is set aside."""
    is_aside = assessment["category"].isin(list(rejects))
    is_aside &= assessment["reason"].isin(["highest_scoring", "category_grid"])
    return assessment.assign(section=assessment["reason"].mask(is_aside, "set_aside"))


def _first_of_each(rows: pd.DataFrame, n_pictures: int) -> pd.DataFrame:
    """Return the first few of each reason and category, as many as fit on the page."""
    if len(rows) <= n_pictures:
        return rows
    # least decisive images are one group, in the order of their margins
    is_doubtful = rows["reason"] == "least_decisive"
    group = rows["category"].mask(is_doubtful, "")
    order = rows["position"].astype(float).mask(is_doubtful, rows["margin"])
    place = order.groupby([rows["reason"], group]).rank(method="first")
    n_each = int(np.sort(place.to_numpy())[n_pictures])
    return rows[place < n_each]


def _size_notes(chosen: pd.DataFrame, shown: pd.DataFrame, pictures: Pictures) -> Iterator[str]:
    if len(shown) < len(chosen):
        yield (
            f"Of {style.count(len(chosen))} chosen images, {style.count(len(shown))} are shown, the first of each "
            "group, so that the page stays below 12 MB; the table assessment_images has all of them."
        )
    if pictures.size.side_px < picture_sheets.THUMBNAIL_PX:
        yield f"Pictures are at most {pictures.size.side_px} pixels wide, because there are so many of them."


def _add_section(
    page: pages.Page,
    section: str,
    rows: pd.DataFrame,
    pictures: Pictures,
    titles: Mapping[str, str],
    sensitivities: pd.DataFrame | None,
) -> None:
    title, why = _SECTIONS.get(section, (style.escape(section), ""))
    anchor = section.replace("_", "-") if section in _SECTIONS else f"reason-{len(page.anchors)}"
    said = [why, _control_share(sensitivities)] if section == "control" else [why]
    if section in ("least_decisive", "control"):
        ordered = rows.sort_values("margin" if section == "least_decisive" else "position", kind="stable")
        page.add_section(anchor, title, pages.paragraph(*said), _sheet(ordered, pictures, titles))
        return
    jumps, sheets = [], []
    for place, (label, part) in enumerate(_parts(section, rows, titles)):
        here = f"{anchor}-{place + 1}"
        jumps.append(f'<a href="#{here}">{label}</a> ({len(part)})')
        sheets.append(f'<h3 id="{here}">{label}</h3>\n{_sheet(part, pictures, titles)}')
    jump = pages.bullets(jumps).replace("<ul>", '<ul class="jump">')
    page.add_section(anchor, title, pages.paragraph(*said), jump, *sheets)


def _parts(section: str, rows: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the sheets of a section under their titles, in the order of the categories."""
    order = [name for name in titles if name in set(rows["category"])]
    order += sorted(set(rows["category"]) - set(order))
    for name in order:
        of_category = rows[rows["category"] == name]
        label = style.title_of(name, titles)
        if section != "set_aside":
            yield label, of_category
            continue
        for reason, words in (("highest_scoring", "highest-scoring"), ("category_grid", "drawn at random")):
            if len(part := of_category[of_category["reason"] == reason]):
                yield f"{label}: {words}", part


def _sheet(rows: pd.DataFrame, pictures: Pictures, titles: Mapping[str, str]) -> str:
    return pictures.sheet(_figure(row, pictures, titles) for row in rows.to_dict("records"))


def _figure(row: Mapping[Any, Any], pictures: Pictures, titles: Mapping[str, str]) -> str:
    """Return one picture with its likeliest categories, margin and origin."""
    shares = _likeliest(row, titles)
    margin = f"margin {style.number(row['margin'], 3)}"
    told = ", ".join(f"{words} {style.number(share)}" for words, share, _ in shares)
    return pictures.figure(
        row,
        description=f"Street image classified as {told}; {margin}, LSOA {style.escape(row['lsoa_code'])}",
        caption=f"{picture_sheets.bars(shares)}{margin}<br>{picture_sheets.origin(row)}",
    )


def _likeliest(row: Mapping[Any, Any], titles: Mapping[str, str]) -> list[tuple[str, float, bool]]:
    """Return the first three categories, and the one the picture was chosen for if it is another."""
    share_of = {name: float(row[f"{name}_probability"]) for name in titles if f"{name}_probability" in row}
    best = sorted(share_of, key=lambda name: -share_of[name])[:_N_BARS]
    chosen_for, is_control = str(row["category"]), row["reason"] == "control"
    shares = [
        (style.title_of(name, titles), share_of[name], name == chosen_for and not is_control) for name in best
    ]
    if is_control:
        shares.append(("control, if it were offered", float(row["probability"]), True))
    elif chosen_for not in best:
        shares.append((style.title_of(chosen_for, titles), float(row["probability"]), True))
    return shares


def _control_share(sensitivities: pd.DataFrame | None) -> str:
    """Say how many images each control would take."""
    if sensitivities is None:
        return ""
    controls = sensitivities[sensitivities["kind"] == "control"]
    return " ".join(
        f"<strong>{style.escape(row['variant'].removeprefix('control: '))}</strong> would take "
        f"{style.count(row['n_changed'])} of {style.plural(row['n_images'], 'image')} "
        f"({style.percent(row['changed_share'], 2)}); 0.5% or more would mean that a category is missing."
        for row in controls.to_dict("records")
    )


def _add_sensitivities(page: pages.Page, sensitivities: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """Add what the words of the prompts decide: each change, and the images that change category with it."""
    why = (
        "Each category is its prompts. The same images were classified again with the prompts put into another "
        "sentence, and with one prompt or template left out. Where many change category, the shares are about "
        "the words: look at which two categories swap, and give those more, and more distinct, prompts."
    )
    tried = sensitivities[sensitivities["kind"] != "control"]
    if tried.empty:
        return
    ordered = tried.sort_values(["changed_share", "variant"], ascending=[False, True], kind="stable")
    told = ordered[(ordered["n_changed"] > 0) | (ordered["kind"] == "reworded")]
    rows = [
        (
            style.escape(row["variant"]), _KINDS.get(row["kind"], style.escape(row["kind"])),
            style.count(row["n_changed"]), style.percent(row["changed_share"]), _commonest(row, titles),
        )
        for row in told.to_dict("records")
    ]  # fmt: skip
    n_images, n_quiet = int(tried["n_images"].iloc[0]), len(tried) - len(told)
    quiet = f"{style.plural(n_quiet, 'other change')} of the prompts moved no image." if n_quiet else ""
    listed = pages.table(
        f"Images that change category, of {style.plural(n_images, 'image')}; most first",
        ("What was changed", "How", "Images", "Share", "Commonest change"),
        rows,
        words=(0, 1, 4),
    )
    blocks = [pages.paragraph(why), listed if rows else "", pages.paragraph(quiet, quiet=True)]
    page.add_section("prompt-sensitivity", "How much the words decide", *blocks)


def _commonest(row: Mapping[Any, Any], titles: Mapping[str, str]) -> str:
    if not row["n_changed"]:
        return "none"
    before, after = (style.title_of(str(row[name]), titles) for name in ("changed_from", "changed_to"))
    return f"{before} → {after} ({style.count(row['n_changed_from_to'])})"


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
    return picture_sheets.as_jpeg(strip, max_bytes)
