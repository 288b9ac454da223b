"""How a page was made: sources, model, settings, versions, and when.

Moments stand in ``time`` elements, so that whoever compares two pages can leave them out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from streetimd_assets.plots import coverage, links, pages, style
from streetimd_assets.plots.coverage import Tables, rows_of


@dataclass(frozen=True)
class Source:
    """One source of data: what it gave, its address and hash, and when it was fetched, as recorded.

    Parameters
    ----------
    what
        What it gave, such as ``"boundaries"``.
    address
        Where it was fetched, without secrets; or what it is, in words.
    content
        SHA-256 of the file, or how many files there are.
    fetched
        When, in words.
    note
        Anything else that was recorded.
    """

    what: str
    address: str
    content: str = ""
    fetched: str = ""
    note: str = ""


@dataclass(frozen=True)
class MadeTable:
    """A table or page the report was made from: its code versions, and when its newest part was made."""

    name: str
    code_versions: tuple[str, ...]
    n_parts: int
    made_at: datetime | None


@dataclass(frozen=True)
class Provenance:
    """What made a page.

    Parameters
    ----------
    facts
        What and value, in words: study, model, hashes, seeds, packages.
    sources, tables
        Where the data come from, and what was made of them.
    settings
        Every setting of the study that decides a result, by its name in the study file.
    made_at
        When the page was made, UTC.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[Source] = ()
    tables: Sequence[MadeTable] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    made_at: datetime | None = None


def add_provenance(page: pages.Page, tables: Tables, made: Provenance) -> None:
    """Add how the page was made, and whom to credit."""
    blocks = []
    if made.made_at:
        blocks.append(pages.paragraph(f"This page was made on {_moment(made.made_at)}."))
    if made.facts:
        rows = [[style.escape(name), style.escape(value)] for name, value in made.facts.items()]
        blocks.append(pages.table("How these tables were made", ["What", "Value"], rows, words=(0, 1)))
    else:
        blocks.append(pages.paragraph("Nothing was recorded of how these tables were made.", quiet=True))
    blocks += [*_sources(made.sources), *_prompts(rows_of(tables, "category_embeddings"))]
    blocks += [*_settings(made.settings), *_made_tables(made.tables)]
    page.add_section("provenance", "How this was made", *blocks)
    page.add_section("credits", "Credits and licences", coverage.credits_block(tables))


def _moment(moment: datetime) -> str:
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M} UTC</time>'


def _sources(sources: Sequence[Source]) -> list[str]:
    if not sources:
        return []
    rows = [
        [
            style.escape(source.what),
            links.outside_link(source.address, style.escape(source.address)),
            f"<code>{style.escape(source.content)}</code>" if source.content else "",
            f"<time>{style.escape(source.fetched)}</time>" if source.fetched else "",
            style.escape(source.note),
        ]
        for source in sources
    ]
    heads = ["What", "Source", "SHA-256", "Fetched", "Note"]
    return [pages.table("Where the data come from", heads, rows, words=(0, 1, 2, 3, 4))]


def _prompts(words: pd.DataFrame | None) -> list[str]:
    if words is None or not {"position", "category", "is_reject", "prompts"} <= set(words):
        return []
    rows = [
        [style.escape(row["category"]), "set aside" if row["is_reject"] else "kept",
         style.escape("; ".join(str(row["prompts"]).split("\n")))]
        for row in words.sort_values("position").to_dict("records")
    ]  # fmt: skip
    heads = ["Category", "Its images are", "Prompts, averaged"]
    return [pages.folded("Categories and their prompts", pages.table("Categories", heads, rows, words=(0, 1, 2)))]


def _settings(settings: Mapping[str, str]) -> list[str]:
    if not settings:
        return []
    rows = [[f"<code>{style.escape(name)}</code>", style.escape(value)] for name, value in settings.items()]
    listed = pages.table("By their names in the study file", ["Setting", "Value"], rows, words=(0, 1))
    return [pages.folded("Settings of the study that decide a result", listed)]


def _made_tables(tables: Sequence[MadeTable]) -> list[str]:
    if not tables:
        return []
    rows = [
        [f"<code>{style.escape(table.name)}</code>",
         ", ".join(f"<code>{style.escape(version)}</code>" for version in table.code_versions),
         style.count(table.n_parts), _moment(table.made_at) if table.made_at else style.NOT_KNOWN]
        for table in tables
    ]  # fmt: skip
    heads = ["Table", "Code version", "Parts", "Newest part made"]
    return [pages.folded("Tables this page was made from", pages.table("Tables", heads, rows, words=(0, 1, 3)))]


CSS = """
#provenance tbody th { white-space: nowrap; }
details.folded { margin: .6rem 0; }
details.folded summary { cursor: pointer; font-weight: 500; }
@media print { details.folded::details-content { content-visibility: visible; display: block; height: auto; } }
"""
