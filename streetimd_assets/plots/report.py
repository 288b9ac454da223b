"""The pages of a study: one for all of it, one for each local authority."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from streetimd_assets.plots import (
    capture_dates,
    categories,
    classification_quality,
    correlation_sections,
    label_quality,
    local_sections,
    lsoa_sections,
    model_sections,
    pages,
    provenance,
    study_sections,
    style,
)
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of
from streetimd_assets.plots.picture_sheets import ReadImage
from streetimd_assets.plots.provenance import Provenance

if TYPE_CHECKING:
    import geopandas as gpd


def study_report_page(
    tables: Tables,
    lsoas: "gpd.GeoDataFrame",
    *,
    heading: str,
    made: Provenance,
    titles: Mapping[str, str],
    other_pages: Mapping[str, str] | None = None,
    authority_pages: Mapping[str, str] | None = None,
    read_image: ReadImage | None = None,
    example_page: str | None = None,
) -> str:
    """Return the page that tells what the whole study found and how far it can be trusted.

    Parameters
    ----------
    tables
        Tables of :mod:`streetimd_assets.schemas` by name; one that is missing or empty leaves a
        sentence in its section. Read are `lsoa_boundaries`, `deprivation_indices`, `panoramas`,
        `street_images`, `category_embeddings`, `category_probabilities`, `prompt_sensitivities`, the
        tables of labels, `lsoa_features`, `imd_correlations`, `noise_correlations`, `spatial_fields`,
        `embedding_components`, `model_scores`, `lsoa_predictions`, `feature_importances`,
        `example_images`; besides, ``component_scores`` (lsoa_code, component_1, component_2) and, of a
        synthetic study, ``recovered_beside_planted`` (finding, planted, recovered, unit).
    lsoas
        Columns ``lsoa_code``, ``lsoa_name``, ``lad_code`` and ``geometry`` in EPSG:27700.
    heading
        Title of the study, which says SYNTHETIC IMAGES where images are painted.
    made
        What made the tables.
    titles
        Category names and what people read for them.
    other_pages
        Relative addresses of other pages by what they show, already escaped.
    authority_pages
        Relative addresses of the local authorities' pages by ``lad_code``.
    read_image
        Gives the bytes of a picture by its `image_path`; None where pictures may not stand beside maps.
    example_page
        Relative address of the page of examples, where pictures may not stand here.

    Returns
    -------
    html
        A self-contained page; everything from outside is escaped.
    """
    page = pages.Page(heading, "Study report", css=provenance.CSS)
    page.introduction.append(study_sections.question(tables, other_pages or {}))
    study_sections.add_coverage(page, tables, authority_pages or {})
    capture_dates.add_capture_dates(page, tables)
    _add_categories(page, tables, titles)
    classification_quality.add_quality(page, tables, titles)
    label_quality.add_label_quality(page, tables, titles)
    lsoa_sections.add_maps(page, tables, lsoas, titles)
    correlation_sections.add_correlation(page, tables)
    correlation_sections.add_components(page, tables)
    model_sections.add_models(page, tables, titles)
    study_sections.add_importance(page, tables, titles, read_image, example_page)
    study_sections.add_recovered(page, tables)
    lsoa_sections.add_lsoas(page, tables, lsoas)
    study_sections.add_meaning(page)
    provenance.add_provenance(page, tables, made)
    return page.render()


def local_authority_page(
    tables: Tables,
    lsoas: "gpd.GeoDataFrame",
    *,
    heading: str,
    name: str,
    made: Provenance,
    titles: Mapping[str, str],
    other_pages: Mapping[str, str] | None = None,
) -> str:
    """Return the page of one local authority: coverage, maps, shares and how well models do here.

    Parameters
    ----------
    tables
        Tables by name, only rows of this local authority: `panoramas`, `street_images`,
        `category_probabilities`, `prompt_sensitivities`, `lsoa_features`, `deprivation_indices`,
        `lsoa_predictions`, `local_authority_scores`. `model_scores` tells what was predicted. Missing
        or empty ones leave a sentence.
    lsoas
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry`` in EPSG:27700.
    heading
        Title of the study, which says SYNTHETIC IMAGES where images are painted.
    name
        Name of the local authority.
    made
        What made the tables.
    titles
        Category names and what people read for them.
    other_pages
        Relative addresses of other pages, such as its contact sheets, by what they show, already escaped.

    Returns
    -------
    html
        A self-contained page; everything from outside is escaped.
    """
    page = pages.Page(heading, "Local authority report" if name in heading else name, css=provenance.CSS)
    page.introduction.append(local_sections.introduction(name, len(lsoas), other_pages or {}))
    local_sections.add_coverage(page, tables, lsoas)
    capture_dates.add_capture_dates(page, tables)
    lsoa_sections.add_maps(page, tables, lsoas, titles)
    _add_categories(page, tables, titles)
    classification_quality.add_quality(page, tables, titles)
    local_sections.add_scores(page, tables)
    lsoa_sections.add_lsoas(page, tables, lsoas)
    study_sections.add_meaning(page)
    provenance.add_provenance(page, tables, made)
    return page.render()


def _add_categories(page: pages.Page, tables: Tables, titles: Mapping[str, str]) -> None:
    features, deprivation = rows_of(tables, "lsoa_features"), rows_of(tables, "deprivation_indices")
    if features is None:
        page.add_section("categories", "Scene categories", missing_note("lsoa_features"))
        return
    blocks = [
        pages.paragraph(
            "Each image goes to the category with the highest probability,", f"which is {style.SHARE_NOTE}."
        ),
        page.figure(
            categories.category_shares(features, titles),
            name="Bars: share of images in each scene category",
            caption="Share of all images classified, those of reject categories included.",
        ),
        _category_table(features, titles),
    ]
    if deprivation is not None and features["lsoa_code"].isin(deprivation["lsoa_code"]).any():
        blocks.append(
            page.figure(
                categories.shares_by_decile(features, deprivation, titles),
                name="Lines: mean share of each scene category by decile of deprivation",
                caption="Mean over LSOAs of their own shares. Scales differ from panel to panel.",
            )
        )
    page.add_section("categories", "Scene categories", *blocks)


def _category_table(features: pd.DataFrame, titles: Mapping[str, str]) -> str:
    totals = categories.category_totals(features)
    rows = [
        [style.title_of(str(name), titles), style.count(row["n_images"]), style.percent(row["share"]),
         *(style.percent(row[part]) for part in ("lower", "median", "upper"))]
        for name, row in totals.iterrows()
    ]  # fmt: skip
    return pages.table(
        "Images by category; quartiles are of the LSOAs’ own shares of images kept, or of all where set aside",
        ["Category", "Images", "Share", "Lower quartile", "Median LSOA", "Upper quartile"],
        rows,
    )
