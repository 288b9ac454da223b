"""What was covered: local authorities, LSOAs, points, panoramas and images, counted from tables."""

from collections.abc import Mapping

import pandas as pd

from streetimd_assets.plots import links, pages, style
from streetimd_assets.schemas import IMAGE_STATUSES, NO_CATEGORY_SET, PANORAMA_STATUSES
from streetimd_assets.study.local_authorities import SYNTHETIC_LOCAL_AUTHORITIES, all_local_authorities

Tables = Mapping[str, pd.DataFrame]

STATUS_WORDS = {
    "ok": "used",
    "no_imagery": "no imagery near the point",
    "too_far": "further from the point than allowed",
    "not_official": "not the provider's own",
    "outside_dates": "taken outside the dates asked for",
    "outside_local_authority": "stands in another local authority",
    "duplicate_panorama": "reached from another point too, counted there",
    "invalid_image": "not a usable picture",
    "failed": "could not be had",
}


def rows_of(tables: Tables, name: str) -> pd.DataFrame | None:
    """Return a table with rows, or None if it is missing or empty."""
    table = tables.get(name)
    return None if table is None or table.empty else table


def area_table_of(tables: Tables) -> str | None:
    """Return the name of the table that features come from instead of images, escaped; None if it is images."""
    features = rows_of(tables, "lsoa_features")
    if features is None or not {"category_set_hash", "encoder"} <= set(features):
        return None
    if not (features["category_set_hash"] == NO_CATEGORY_SET).all():
        return None
    return style.escape(str(features["encoder"].iloc[0]).rpartition("@")[0])


def missing_note(*names: str) -> str:
    """Return the sentence that stands where tables are missing or empty."""
    are = "has no rows yet: materialise it" if len(names) == 1 else "have no rows yet: materialise them"
    return pages.paragraph(
        f"{' and '.join(f'<code>{name}</code>' for name in names)} {are}, and this section fills itself.",
        quiet=True,
    )


def authority_names() -> dict[str, str]:
    """Return names of local authorities, official and invented, by code."""
    known = (*all_local_authorities().values(), *SYNTHETIC_LOCAL_AUTHORITIES)
    return {authority.lad_code: authority.name for authority in known}


def status_counts(table: pd.DataFrame, statuses: tuple[str, ...]) -> pd.Series:
    """Count rows by status, in the order of `statuses`, those without rows left out."""
    counts = table["status"].value_counts()
    order = [*statuses, *sorted(set(counts.index) - set(statuses))]
    return counts.reindex([status for status in order if counts.get(status, 0)])


def status_table(tables: Tables) -> str:
    """Return panoramas and images by status as HTML tables, or a note for each that is missing."""
    blocks = []
    for name, noun, statuses in (
        ("panoramas", "Panoramas", PANORAMA_STATUSES),
        ("street_images", "Images", IMAGE_STATUSES),
    ):
        table = rows_of(tables, name)
        if table is None:
            blocks.append(missing_note(name))
            continue
        counts = status_counts(table, statuses)
        rows = [
            [f"<code>{style.escape(status)}</code>", STATUS_WORDS.get(str(status), ""), style.count(n),
             style.percent(n / counts.sum())]
            for status, n in counts.items()
        ]  # fmt: skip
        blocks.append(pages.table(f"{noun} by status", ["Status", "Meaning", noun, "Share"], rows, words=(0, 1)))
    return '<div class="pair">' + "".join(f"<div>{block}</div>" for block in blocks) + "</div>"


def authority_counts(features: pd.DataFrame, boundaries: pd.DataFrame | None = None) -> pd.DataFrame:
    """Sum `lsoa_features` by local authority.

    Parameters
    ----------
    features
        The table `lsoa_features`.
    boundaries
        The table `lsoa_boundaries`, to count the LSOAs that have no features too.

    Returns
    -------
    counts
        Indexed by ``lad_code``; columns ``n_lsoas``, ``n_lsoas_with_images``, ``n_points``,
        ``n_panoramas``, ``n_images``, ``n_images_kept``.
    """
    columns = ["n_points", "n_panoramas", "n_images", "n_images_kept"]
    groups = features.assign(n_lsoas=1, n_lsoas_with_images=(features["n_images_kept"] > 0).astype(int))
    counts = groups.groupby("lad_code")[["n_lsoas", "n_lsoas_with_images", *columns]].sum()
    if boundaries is not None:
        counts["n_lsoas"] = boundaries.groupby("lad_code").size().reindex(counts.index).fillna(counts["n_lsoas"])
    return counts.astype(int)


def authority_table(counts: pd.DataFrame, authority_pages: Mapping[str, str], *, is_of_images: bool = True) -> str:
    """Return the counts by local authority as an HTML table with their sum.

    The name of one that has a page leads to it: relative addresses by ``lad_code``. Without images there
    are LSOAs alone to count.
    """
    columns = _COUNTED if is_of_images else _COUNTED_WITHOUT_IMAGES
    names = authority_names()
    rows = []
    for code, row in counts.iterrows():
        name = style.escape(names.get(str(code), code))
        if str(code) in authority_pages:
            name = links.page_link(authority_pages[str(code)], name)
        rows.append([name, *_authority_cells(row, columns, is_of_images)])
    rows.append([f"All {style.count(len(counts))}", *_authority_cells(counts.sum(), columns, is_of_images)])
    heads = ["Local authority", *columns.values(), *(["set aside"] if is_of_images else [])]
    return pages.table("Coverage by local authority", heads, rows)


_COUNTED = {
    "n_lsoas": "LSOAs",
    "n_lsoas_with_images": "with images",
    "n_points": "Points",
    "n_panoramas": "Panoramas used",
    "n_images": "Images",
    "n_images_kept": "kept",
}
_COUNTED_WITHOUT_IMAGES = {"n_lsoas": "LSOAs", "n_lsoas_with_images": "with every feature"}


def _authority_cells(row: pd.Series, columns: Mapping[str, str], is_of_images: bool) -> list[str]:
    cells = [style.count(row[name]) for name in columns]
    if not is_of_images:
        return cells
    return [*cells, style.percent(1 - row["n_images_kept"] / row["n_images"] if row["n_images"] else None)]


def capture_sentence(panoramas: pd.DataFrame | None) -> str:
    """Return a sentence on when the panoramas used were taken; empty if no day is known."""
    if panoramas is None or "captured_on" not in panoramas:
        return ""
    days = pd.to_datetime(panoramas.loc[panoramas["status"] == "ok", "captured_on"]).dropna()
    if days.empty:
        return "The days on which the panoramas were taken are not known."
    return (
        f"The panoramas used were taken from {days.min():%B %Y} to {days.max():%B %Y}, "
        f"half of them before {days.median():%B %Y}."
    )


def credits_block(tables: Tables) -> str:
    """Return every credit and licence of the images shown or counted, and of official data used."""
    images, area_table = rows_of(tables, "street_images"), area_table_of(tables)
    blocks = []
    if area_table is not None:
        blocks.append(
            pages.paragraph(
                f"Area features: <code>{area_table}</code>, which was given; whose they are, whoever gave it knows."
            )
        )
    elif images is None:
        blocks.append(missing_note("street_images"))
    else:
        used = images[images["status"] == "ok"]
        groups = used.fillna({"licence": style.NOT_KNOWN, "credit": style.NOT_KNOWN}).groupby(
            ["source", "licence", "credit"]
        )
        sizes = groups.size().sort_values(ascending=False, kind="stable")
        rows = [
            [*(style.escape(part) for part in key), style.count(n)]
            for key, n in zip(list(sizes.index), sizes, strict=True)
        ]
        blocks.append(pages.table("Images used", ["Source", "Licence", "Credit", "Images"], rows, words=(0, 1, 2)))
    return "\n".join([*blocks, _data_credit(rows_of(tables, "deprivation_indices"), area_table is None)])


def _data_credit(deprivation: pd.DataFrame | None, has_roads: bool) -> str:
    if deprivation is None:
        return ""
    if set(deprivation["deprivation_index"]) == {"synthetic"}:
        return pages.paragraph("Boundaries, roads and the deprivation index are invented; no place is meant.")
    return pages.paragraph(
        "Deprivation index: Ministry of Housing, Communities and Local Government; LSOA boundaries: Office for "
        "National Statistics, licensed under the Open Government Licence v3.0. Contains OS data © Crown "
        "copyright and database right.",
        "Roads: © OpenStreetMap contributors, Open Database Licence." if has_roads else "",
    )
