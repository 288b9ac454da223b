"""A page of the images nearest to a phrase."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from streetimd_assets.plots import pages, picture_sheets, style
from streetimd_assets.plots.picture_sheets import Pictures, ReadImage


def search_page(
    found: pd.DataFrame,
    read_image: ReadImage,
    *,
    heading: str,
    text: str,
    names: Mapping[str, str],
    titles: Mapping[str, str],
    notes: Sequence[str] = (),
) -> str:
    """Return a self-contained page of the images nearest to a phrase, the nearest first.

    Parameters
    ----------
    found
        Columns image_id, lsoa_code, local_authority, similarity, category, heading_deg, captured_on,
        image_path, viewer_url, credit and licence.
    read_image
        As for :func:`streetimd_assets.plots.contact_sheets.contact_sheet_page`.
    heading
        Title of the study, which says SYNTHETIC IMAGES where images are painted.
    text
        What was searched for.
    names
        Keys of local authorities and what people read for them.
    titles
        Category names and what people read for them.
    notes
        Sentences for the top of the page.

    Returns
    -------
    html
        The page, of at most 12 MB.
    """
    page = pages.Page(
        heading, f"Images nearest to “{text}”", css=picture_sheets.CSS, scripts=[picture_sheets.SCRIPT]
    )
    pictures = Pictures(read_image, len(found))
    shown = found.head(pictures.size.n_pictures)
    fewer = f"Only the first {style.count(len(shown))} are shown, so that the page stays below 12 MB."
    page.introduction += [
        *(pages.paragraph(style.escape(note)) for note in notes),
        pages.paragraph(fewer) if len(shown) < len(found) else "",
        picture_sheets.KEYS,
    ]
    figures = (
        _figure(place, row, pictures, names, titles) for place, row in enumerate(shown.to_dict("records"), 1)
    )
    title = f"The nearest {style.plural(len(shown), 'image')}"
    page.add_section("nearest", title, pictures.sheet(figures))
    return page.render()


def _figure(
    place: int, row: Mapping[Any, Any], pictures: Pictures, names: Mapping[str, str], titles: Mapping[str, str]
) -> str:
    similarity = f"similarity {style.number(row['similarity'], 3)}"
    category = row["category"]
    kept = "not classified" if style.is_missing(category) else style.title_of(str(category), titles)
    where = style.escape(names.get(str(row["local_authority"]), row["local_authority"]))
    return pictures.figure(
        row,
        description=f"Street image {place}, {similarity}, classified as {kept}, {where}",
        caption=f"<strong>{place}. {similarity}</strong><br>{kept}<br>{where}<br>{picture_sheets.origin(row)}",
    )
