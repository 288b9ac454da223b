"""Pages on street images themselves: what a local authority's would take, and who is to be credited.

Neither page shows a picture: maps are drawings of the LSOAs alone.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from streetimd_assets.plots import coverage, linked_maps, links, maps, pages, style
from streetimd_assets.schemas import PANORAMA_STATUSES

if TYPE_CHECKING:
    import geopandas as gpd

_COUNTS = ("n_points", "n_panoramas", "n_images_planned", "n_images_held", "n_images_to_fetch")


class ProviderTerms(Protocol):
    """What the attribution page says of a provider; the sources' own declarations fit."""

    @property
    def title(self) -> str:
        """What the terms are called."""
        ...

    @property
    def url(self) -> str:
        """Where they are read in full."""
        ...

    @property
    def as_of(self) -> date:
        """Day on which they were read."""
        ...

    @property
    def retention(self) -> str:
        """How long pictures may be kept, a sentence."""
        ...

    @property
    def licence(self) -> str:
        """Licence of the pictures."""
        ...

    @property
    def licence_url(self) -> str | None:
        """Where the licence is read in full."""
        ...

    @property
    def credit(self) -> str:
        """What is to be written beside a picture."""
        ...

    @property
    def summary(self) -> str:
        """The terms in a sentence or two."""
        ...


def imagery_map_page(
    plan: pd.DataFrame,
    lsoas: "gpd.GeoDataFrame",
    points: pd.DataFrame | None,
    panoramas: pd.DataFrame,
    *,
    heading: str,
    prices_note: str,
    notes: Sequence[str] = (),
) -> str:
    """Return a self-contained page of the images planned: how many, how old, where none, at what cost.

    Parameters
    ----------
    plan
        The table `imagery_plan`.
    lsoas
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry`` in EPSG:27700.
    points
        The table `sample_points`; None where panoramas were not looked for near points, as with
        photographs of one's own, and then there is no map of coverage.
    panoramas
        The table `panoramas`.
    heading
        Title of the study and local authority, which says SYNTHETIC IMAGES where images are painted.
    prices_note
        What images cost in words, with the day of the price table.
    notes
        Sentences for the top of the page.

    Returns
    -------
    html
        The page: maps, tables and one line of cost.
    """
    linked = linked_maps.LinkedMaps(lsoas, heading=heading)
    page = pages.Page(heading, "Street images: the plan", css=linked.css, scripts=[linked.script])
    page.introduction += [
        f'<p class="headline">{_cost_line(plan)}</p>',
        pages.paragraph(style.escape(prices_note), quiet=True),
        *(pages.paragraph(style.escape(note)) for note in notes),
    ]
    by_lsoa = plan.set_index("lsoa_code")
    page.add_section("maps", "Maps", *_maps(linked, by_lsoa, points, panoramas))
    page.add_section("lsoas", "Each LSOA", _plan_table(by_lsoa, lsoas))
    page.add_section(
        "panoramas",
        "The panoramas found",
        pages.paragraph(coverage.capture_sentence(panoramas)),
        f'<div class="pair"><div>{_status_table(panoramas)}</div><div>{_year_table(panoramas)}</div></div>',
    )
    return page.render()


def answered_share(points: pd.DataFrame, panoramas: pd.DataFrame) -> pd.Series:
    """Return the share of each LSOA's points that have a panorama, by ``lsoa_code``.

    A panorama that serves several points is counted once among images, and counts here for each.
    """
    has_one = panoramas["status"].isin(["ok", "duplicate_panorama"])
    is_answered = points["point_id"].isin(panoramas.loc[has_one, "point_id"])
    return is_answered.groupby(points["lsoa_code"]).mean()


def _cost_line(plan: pd.DataFrame) -> str:
    counts = plan[list(_COUNTS)].sum()
    cost = float(plan["cost_usd"].sum())
    planned = (
        f"{style.plural(counts['n_images_planned'], 'image')} of {style.plural(counts['n_panoramas'], 'panorama')} "
        f"in {style.plural(len(plan), 'LSOA')}: {style.count(counts['n_images_held'])} held already, "
        f"{style.count(counts['n_images_to_fetch'])} to fetch"
    )
    return f"When this plan was made: {planned}, which costs {f'${style.number(cost)}' if cost > 0 else 'nothing'}."


def _maps(
    linked: linked_maps.LinkedMaps, plan: pd.DataFrame, points: pd.DataFrame | None, panoramas: pd.DataFrame
) -> list[str]:
    """Return the maps, two beside each other where the window is wide enough."""
    n_images, age = plan["n_images_planned"], plan["median_age_years"]
    shown = [
        linked.map(
            n_images,
            label="Images planned",
            caption="Of the usable panoramas standing in the LSOA; dark is many.",
            shading=maps.amount_shading(n_images),
        ),
        linked.map(
            age,
            label="Median age of the panoramas, years",
            caption="From the day of capture to the day of the plan; dark is older.",
            shading=maps.amount_shading(age, digits=1),
        ),
    ]
    if points is not None:
        answered = linked.map(
            100 * answered_share(points, panoramas),
            label="Sample points with a usable panorama",
            caption="Where few points have one, images are of the streets that cameras went along; dark is many.",
            shading=maps.Shading(0, 100, style.SEQUENTIAL[::-1], suffix="%"),
        )
        shown.insert(1, answered)
    return ['<div class="pair">', *shown, "</div>"]


def _plan_table(plan: pd.DataFrame, lsoas: "gpd.GeoDataFrame") -> str:
    """Return the plan as an HTML table, its sum in the first row, where a long table shows it."""
    names = lsoas.set_index("lsoa_code")["lsoa_name"]
    sums = plan[["road_length_m", *_COUNTS, "cost_usd"]].sum()
    rows, ids = [["All", *_plan_cells(sums)]], ["lsoas-all"]
    for code, row in plan.sort_index().iterrows():
        rows.append([f"{style.escape(names.get(code))} {style.escape(code)}", *_plan_cells(row)])
        ids.append(f"lsoa-{style.escape(code)}")
    heads = ["LSOA", "Road km", "Points", "Panoramas", "Images", "held", "to fetch", "Median metres away"]
    return pages.table("The plan by LSOA", [*heads, "Oldest", "Median age, years", "Cost, US$"], rows, ids=ids)


def _plan_cells(row: pd.Series) -> list[str]:
    return [
        style.number(row["road_length_m"] / 1000, 1),
        *(style.count(row[name]) for name in _COUNTS),
        style.number(row.get("median_distance_m"), 0),
        style.day(row.get("oldest_captured_on")) or style.NOT_KNOWN,
        style.number(row.get("median_age_years"), 1),
        style.number(row["cost_usd"]),
    ]


def _status_table(panoramas: pd.DataFrame) -> str:
    counts = coverage.status_counts(panoramas, PANORAMA_STATUSES)
    rows = [
        [f"<code>{style.escape(status)}</code>", coverage.STATUS_WORDS.get(str(status), ""), style.count(n)]
        for status, n in counts.items()
    ]
    return pages.table("Panoramas by status", ["Status", "Meaning", "Panoramas"], rows, words=(0, 1))


def _year_table(panoramas: pd.DataFrame) -> str:
    """Return the panoramas used by year of capture, which is what a choice of dates would keep."""
    used = panoramas[panoramas["status"] == "ok"]
    years = pd.to_datetime(used["captured_on"]).dt.year
    counts = years.value_counts().sort_index(ascending=False)
    rows = [[f"{year:.0f}", style.count(n), style.percent(n / len(used))] for year, n in counts.items()]
    if years.isna().any():
        rows.append(["not known", style.count(years.isna().sum()), style.percent(years.isna().mean())])
    return pages.table("Panoramas used, by year of capture", ["Year", "Panoramas", "Share"], rows)


def attribution_page(
    street_images: pd.DataFrame, *, heading: str, terms: Mapping[str, ProviderTerms], notes: Sequence[str] = ()
) -> str:
    """Return a self-contained page that credits every picture counted: whose, under which licence, from when.

    Parameters
    ----------
    street_images
        The table `street_images`; only pictures with status ok are counted.
    heading
        Title of the study and local authority.
    terms
        The terms of each provider, by what ``source`` calls it; one without terms has no section.
    notes
        Sentences for the top of the page.

    Returns
    -------
    html
        The page; the first and the last day link to pictures taken then, at the provider.
    """
    page = pages.Page(heading, "Credits and licences of the street images")
    page.introduction += [pages.paragraph(style.escape(note)) for note in notes]
    used = street_images[street_images["status"] == "ok"]
    has_own_pages = used["viewer_url"].notna().any()
    page.add_section("credits", "Credits", _credit_table(used, terms), pages.paragraph(
        "A picture's own page at its provider stands in the table <code>street_images</code>, column "
        "<code>viewer_url</code>.", quiet=True,
    ) if has_own_pages else "")  # fmt: skip
    for source in sorted(set(used["source"]) & set(terms)):
        page.add_section(f"terms-{len(page.anchors)}", style.escape(terms[source].title), _statement(terms[source]))
    return page.render()


def _credit_table(used: pd.DataFrame, terms: Mapping[str, ProviderTerms]) -> str:
    """Return one row per source, licence and credit, the one with most pictures first."""
    by_credit = used.groupby(["source", "licence", "credit"], dropna=False)
    groups = sorted(by_credit, key=lambda group: -len(group[1]))
    rows = [
        [style.escape(source), _licence(licence, terms.get(str(source))), style.escape(credit), *_taken(pictures),
         style.count(pictures["panorama_id"].nunique()), style.count(len(pictures))]
        for (source, licence, credit), pictures in groups
    ]  # fmt: skip
    heads = ["Source", "Licence", "Credit", "First taken", "Last taken", "Panoramas", "Pictures"]
    return pages.table("Pictures by source, licence and credit", heads, rows, words=(0, 1, 2, 3, 4))


def _licence(licence: Any, terms: ProviderTerms | None) -> str:
    """Return a licence, as a link where the provider's terms say where that very licence is read."""
    is_theirs = terms is not None and licence == terms.licence
    return links.outside_link(terms.licence_url if terms and is_theirs else None, style.escape(licence))


def _taken(pictures: pd.DataFrame) -> list[str]:
    """Return the first and the last day of capture, each a link to a picture taken on it."""
    ordered = pictures.assign(day=pd.to_datetime(pictures["captured_on"])).dropna(subset=["day"])
    ordered = ordered.sort_values(["day", "image_id"])
    if ordered.empty:
        unknown = links.outside_link(pictures["viewer_url"].iloc[0], "not known")
        return [unknown, unknown]
    ends = (ordered.iloc[0], ordered.iloc[-1])
    return [links.outside_link(row["viewer_url"], style.day(row["day"])) for row in ends]


def _statement(terms: ProviderTerms) -> str:
    lines = [
        f"In short: {style.escape(terms.summary)}",
        f"Credit: {style.escape(terms.credit)}",
        f"Licence: {links.outside_link(terms.licence_url, style.escape(terms.licence))}",
        f"Keeping pictures: {style.escape(terms.retention)}",
    ]
    read = f"{links.outside_link(terms.url, 'The terms in full')}, as read on {style.day(terms.as_of)}."
    return pages.bullets(lines) + pages.paragraph(read, "This is a summary, and no legal advice.", quiet=True)
