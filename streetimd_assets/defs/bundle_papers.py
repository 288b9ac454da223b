"""The papers of an exported bundle: what is in it, whose it is, how it is cited."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from streetimd_assets.sources.imagery.base import Terms
from streetimd_assets.store.exporting import CHECKSUMS, DICTIONARY, GEOPACKAGE, LEFT_OUT, POINT_LAYERS
from streetimd_assets.study import Study

_PAINTED = (
    "**SYNTHETIC IMAGES.** The pictures were painted by a program: no figure in this bundle says anything about a "
    "real street, and none may stand beside a published one."
)
_MADE_UP = "The places and their deprivation were made up."


def readme(study: Study, local_authorities: Sequence[str], written: pd.DataFrame, made_on: date) -> str:
    """Return what a person reads first.

    Parameters
    ----------
    study
        The study.
    local_authorities
        Names of those exported.
    written
        Columns ``file`` (without its ending), ``one_row_is`` and ``n_rows``.
    made_on
        Day of the export.
    """
    read = "embeddings" if study.has_images else "area features"
    rows = [f"| `{row.file}` | {row.one_row_is} | {row.n_rows:,} |" for row in written.itertuples()]
    left_out = [f"- `{column}`: {why}." for column, why in LEFT_OUT.items()]
    layers = ["lsoas", *(name for name in POINT_LAYERS if f"tables/{name}" in set(written["file"]))]
    return "\n".join(
        [
            f"# {_plain(study.heading)}: tables and maps",
            "",
            *([_PAINTED, ""] if study.has_painted_images else []),
            *([_MADE_UP, ""] if study.geography.source == "synthetic" else []),
            f"Exported by StreetIMD on {made_on:%d %B %Y}. {len(local_authorities)} local authorities: "
            f"{_plain(', '.join(local_authorities))}. There is no picture in this bundle.",
            "",
            "## Open it",
            "",
            f"- **QGIS**: drag `{GEOPACKAGE}` into the map. In it, in EPSG:27700 (metres): "
            f"{', '.join(f'`{name}`' for name in layers)}.",
            "- **Python**: `geopandas.read_parquet('lsoas.parquet')`, `pandas.read_parquet('tables/….parquet')`.",
            "- **SQL**: `duckdb`, then `SELECT * FROM 'tables/lsoa_features.parquet'`.",
            "- **Spreadsheet**: `lsoas.csv`, or any table's CSV. A text that a spreadsheet would run (it begins "
            "with `=`, `+`, `-` or `@`) has an apostrophe before it there; Parquet has it as it is.",
            "",
            f"`{DICTIONARY}` says of every column its type, unit and meaning. `sha256sum --check {CHECKSUMS}` "
            "tells whether the files are whole.",
            "",
            "## What is in it",
            "",
            f"Each is a Parquet file and a CSV file; one with embeddings (lists of {study.n_dimensions} numbers) "
            "is Parquet alone.",
            "",
            "| file | one row is | rows |",
            "| --- | --- | ---: |",
            *rows,
            "",
            "`lsoas` joins boundaries, deprivation, counts, shares and one model's predictions: ridge regression "
            f"on {read}, as it predicts an LSOA it never saw. It was named beforehand, not for its score.",
            *(
                ["People who labelled images are numbered in `image_labels`; their names are left out."]
                if "tables/image_labels" in set(written["file"])
                else []
            ),
            "",
            "## What is left out",
            "",
            *left_out,
            "",
            "## What the numbers do and do not say",
            "",
            *(_SAID_OF_IMAGES if study.has_images else ()),
            "- A correlation with deprivation is about areas, never about a household, and is no cause.",
            "- Rank 1 is the most deprived. What could not be known is empty, never zero.",
            "",
            "Before you pass anything on, read `LICENCES.md`. To cite this, see `CITATION.cff`.",
            "",
        ]
    )


_SAID_OF_IMAGES = (
    "- Shares and probabilities of categories are what one model (CLIP) says among the categories offered: "
    "relative, not calibrated.",
    "- An LSOA's images are a sample of its streets, seen from the road on the days they were taken.",
)


def licences(study: Study, terms: Mapping[str, Terms], credits: pd.DataFrame) -> str:
    """Return whose data and pictures the bundle was made from, and what may be done with it.

    Parameters
    ----------
    study
        The study.
    terms
        Terms of the image source, by its name; none where images are painted.
    credits
        Columns ``source``, ``licence``, ``credit`` and ``n_images``.
    """
    lines = [
        f"# Licences and credits: {_plain(study.heading)}",
        "",
        "A summary for people, not legal advice.",
        "",
        "## Places and deprivation",
        "",
        *(_PLANTED if study.geography.source == "synthetic" else _OFFICIAL),
        "",
        *(_of_images(terms, credits) if study.has_images else _of_area_features(study)),
        "",
        "## StreetIMD",
        "",
        "The program is free software under the MIT licence.",
        "",
    ]
    return "\n".join(lines)


def _of_images(terms: Mapping[str, Terms], credits: pd.DataFrame) -> list[str]:
    """Return whose pictures the numbers were computed from."""
    counted = [
        f"| {_cell(row.source)} | {_cell(row.licence)} | {_cell(row.credit)} | {row.n_images:,} |"
        for row in credits.itertuples()
    ]
    return [
        "## Street images",
        "",
        "No picture is in this bundle: only names of images, places, days and numbers computed from them.",
        "",
        *(line for name, its in terms.items() for line in _provider(name, its)),
        "| source | licence | credit | images |",
        "| --- | --- | --- | ---: |",
        *(counted or ["| none yet | | | 0 |"]),
    ]


def _of_area_features(study: Study) -> list[str]:
    """Return what is known of whose the area features are: nothing but the name of their table."""
    return [
        "## Area features",
        "",
        f"No image was looked at. `lsoa_features` holds the numbers of {_plain(study.area_table.path.name)}: whose "
        "they are, and what may be done with them, whoever gave that table must say.",
    ]


_PLANTED = ("Boundaries, roads and deprivation were made up by StreetIMD and are free to use (CC0-1.0).",)
_OFFICIAL = (
    "- Boundaries of LSOAs: Office for National Statistics, licensed under the Open Government Licence v3.0. "
    "Contains OS data © Crown copyright and database right. "
    "<https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/>",
    "- Index of Multiple Deprivation: Ministry of Housing, Communities and Local Government, licensed under the "
    "Open Government Licence v3.0.",
    "- Roads: © OpenStreetMap contributors, Open Database Licence 1.0 (ODbL). `road_segments`, `sample_points` and "
    "what is drawn from them are a derived database: who passes them on keeps this licence and this credit. "
    "<https://www.openstreetmap.org/copyright>",
)


def _provider(name: str, terms: Terms) -> list[str]:
    """Return what a provider asks of who uses what came of its pictures."""
    where = f" <{terms.url}>" if terms.url else ""
    lines = [
        f"**{_plain(name)}**: {_plain(terms.title)} (as of {terms.as_of:%B %Y}).{where}",
        "",
        f"- {_plain(terms.summary)}",
        f"- Pictures: {_plain(terms.retention)}",
        f"- Licence: {_plain(terms.licence)}. Credit: {_plain(terms.credit)}.",
    ]
    if not terms.may_store_pixels:
        lines.append(
            "- May be shared: ids of panoramas, by which anyone who accepts the terms finds the pictures. May not "
            "be shared: the pictures. Positions and days of panoramas, and numbers computed from pictures, came "
            "under these terms too: read them before you publish those."
        )
    return [*lines, ""]


def citation(study: Study, version: str, made_on: date) -> str:
    """Return the bundle's own entry in the Citation File Format 1.2.0."""
    # JSON's strings are YAML's too, whatever signs a title has
    about = "street images" if study.has_images else "area features"
    title = json.dumps(f"{study.heading}: {about} and deprivation, tables and maps", ensure_ascii=False)
    return "\n".join(
        [
            "cff-version: 1.2.0",
            "message: If you use these data, please cite them and the sources named in LICENCES.md.",
            f"title: {title}",
            "type: dataset",
            "authors:",
            '  - name: "The StreetIMD authors, and who ran the study"',
            f'version: "{version}"',
            f'date-released: "{made_on:%Y-%m-%d}"',
            "references:",
            "  - type: software",
            '    title: "StreetIMD: how much of deprivation can be seen from the street"',
            "    authors:",
            '      - name: "The StreetIMD authors"',
            f'    version: "{version}"',
            "    license: MIT",
            "",
        ]
    )


def _plain(text: object) -> str:
    """Return text from outside as Markdown that shows it letter by letter."""
    one_line = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in one_line)


def _cell(text: Any) -> str:
    return "not known" if pd.isna(text) else _plain(text)
