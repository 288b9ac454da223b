"""Pages to read and to send to a colleague: one for the study, one for each local authority."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs import provenance
from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import declared_page, page_result
from streetimd_assets.defs.study_wide import Coverage, everywhere
from streetimd_assets.defs.table_asset import refusals_in_one_sentence, stamped
from streetimd_assets.plots import report
from streetimd_assets.schemas import NO_CATEGORY_SET
from streetimd_assets.science import area_features, features, geography
from streetimd_assets.science import components as component_science

STUDY_WIDE = (
    "category_embeddings",
    "imd_correlations",
    "noise_correlations",
    "spatial_fields",
    "embedding_components",
    "concept_correlations",
    "model_scores",
    "model_differences",
    "lsoa_predictions",
    "residual_autocorrelation",
    "residual_clusters",
    "learning_curve",
    "feature_importances",
    "example_images",
    "example_words",
    "label_agreement",
    "label_figures",
    "label_confusions",
    "reliability_bins",
)
PER_AUTHORITY = (
    "lsoa_boundaries",
    "lsoa_features",
    "deprivation_indices",
    "panoramas",
    "street_images",
    "category_probabilities",
    "prompt_sensitivities",
)
# of study-wide tables, what the page of a local authority shows
LOCAL_STUDY_WIDE = ("lsoa_predictions", "residual_clusters", "model_scores", "category_embeddings")
# of the large tables, what is drawn of them
_DRAWN = {
    "category_probabilities": ["category", "probability", "margin"],
    "panoramas": ["lsoa_code", "status", "captured_on"],
    "street_images": ["status", "source", "licence", "credit", "captured_on"],
}
# assets with a page for each local authority, and what its report calls them
_LOCAL_PAGES = {
    "classification_report": "the images, and how they were classified",
    "imagery_map": "where there is imagery",
    "attribution_sheet": "whose pictures these are",
}


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The study's report and those of its local authorities."""
    # both pages list every setting that decides a result
    stamp = stamped(2, house.study.heading, house.study.categories.titles, provenance.settings(house.study))
    acquisition, titles = Acquisition(house), _titles(house)
    study_wide, per_authority = (
        [name for name in names if house.has_table(name)] for names in (STUDY_WIDE, PER_AUTHORITY)
    )
    pages_too = [["example_sheet"], ["classification_report"]] if house.study.has_images else [[], []]

    @dg.asset(
        **declared_page(house, "importance", is_partitioned=False),
        code_version=stamp,
        deps=[*study_wide, *pages_too[0], *everywhere(*per_authority)],
    )
    def study_report(context: dg.AssetExecutionContext, config: Coverage) -> dg.MaterializeResult:
        """The study in one HTML page that opens anywhere, offline: what was found, and how far to trust it.

        Coverage and capture dates, categories, quality of the classification, linked maps, correlation
        beside noise and in words, models with intervals, importance with example images, limits, provenance,
        credits.
        It links to the pages of local authorities that are there when it is made.
        """
        with refusals_in_one_sentence():
            slugs = house.covered(config.local_authorities)
            tables = _study_tables(house, slugs)
            # elsewhere the example sheet shows them, or says where they can be seen
            shows_pictures = acquisition.may_stand_beside_maps and acquisition.retains_images
            page = report.study_report_page(
                tables,
                geography.as_geodataframe(house.store.read_study_wide("lsoa_boundaries", slugs)),
                heading=house.study.heading,
                made=provenance.gather(house, context.instance, slugs, tables),
                titles=titles,
                authority_pages=_authority_pages(house, slugs),
                read_image=acquisition.read_image if shows_pictures else None,
                example_page="example_sheet.html" if house.page("example_sheet").exists() else None,
            )
            return page_result(house, "study_report", page, **_figures(tables), local_authorities=slugs)

    @dg.asset(
        **declared_page(house, "comparison", is_partitioned=True),
        code_version=stamp,
        deps=[name for name in LOCAL_STUDY_WIDE if house.has_table(name)] + pages_too[1] + per_authority,
    )
    def local_authority_report(
        context: dg.AssetExecutionContext, local_authority_scores: pd.DataFrame
    ) -> dg.MaterializeResult:
        """The local authority in one HTML page that opens anywhere, offline.

        Coverage and capture dates, linked maps, category shares, and how well the study's models predict
        here, LSOA by LSOA. One local authority has few LSOAs: its own scores are uncertain.
        """
        authority, slug = house.authority(context), context.partition_key
        with refusals_in_one_sentence():
            tables = _local_tables(house, slug, authority.lad_code)
            tables["local_authority_scores"] = local_authority_scores
            page = report.local_authority_page(
                tables,
                geography.as_geodataframe(house.store.read("lsoa_boundaries", slug)),
                heading=f"{house.study.heading}: {authority.name}",
                name=authority.name,
                made=provenance.gather(house, context.instance, [slug], tables),
                titles=titles,
                other_pages=_other_pages(house, slug),
            )
            return page_result(house, "local_authority_report", page, slug, **_figures(tables))

    return [study_report, local_authority_report]


def _study_tables(house: House, slugs: list[str]) -> dict[str, pd.DataFrame]:
    """Read what the study's report shows, as far as it is there; labels and examples may not be."""
    store = house.store
    tables = {name: store.read(name) for name in STUDY_WIDE if store.holds(name)}
    for name in PER_AUTHORITY:
        there = [slug for slug in slugs if store.holds(name, slug)]
        if there:
            tables[name] = store.read_study_wide(name, there, _light_columns(house, name))
    if "embedding_components" in tables:
        tables["component_scores"] = _component_scores(house, slugs, tables["embedding_components"])
    return tables


def _local_tables(house: House, slug: str, lad_code: str) -> dict[str, pd.DataFrame]:
    store = house.store
    tables = {
        name: store.read(name, slug, _light_columns(house, name))
        for name in PER_AUTHORITY
        if store.holds(name, slug)
    }
    predictions = store.read("lsoa_predictions")
    tables["lsoa_predictions"] = predictions[predictions["lad_code"] == lad_code]
    if store.holds("residual_clusters"):
        clusters = store.read("residual_clusters")
        tables["residual_clusters"] = clusters[clusters["lad_code"] == lad_code]
    for name in (name for name in LOCAL_STUDY_WIDE[2:] if house.has_table(name)):
        tables[name] = store.read(name)
    return tables


def _light_columns(house: House, name: str) -> list[str]:
    """Leave embeddings and outlines out, and of large tables what is not drawn."""
    return _DRAWN.get(name) or [
        column.name
        for column in house.store.table(name).columns
        if not (column.is_embedding or column.has_given_name or column.type == "BLOB")
    ]


def _titles(house: House) -> dict[str, str]:
    """What people read for categories; area features are called what the study's table calls them."""
    return {**house.study.categories.titles, **{name: name for name in house.study.area_features}}


def _component_scores(house: House, slugs: list[str], components: pd.DataFrame) -> pd.DataFrame:
    """Return where each LSOA lies on the first two principal components."""
    rows = house.store.read_study_wide("lsoa_features", slugs, ["lsoa_code", "mean_embedding"])
    rows = rows[rows["mean_embedding"].notna()]
    first = components.sort_values("component").head(2)
    vectors = features.stack_embeddings(rows["mean_embedding"])
    if not house.study.has_images:
        vectors = area_features.standardised(vectors)
    scores = component_science.component_scores(vectors, features.stack_embeddings(first["loadings"]))
    named = {f"component_{place}": scores[:, place - 1] for place in range(1, scores.shape[1] + 1)}
    return pd.DataFrame({"lsoa_code": rows["lsoa_code"].to_numpy(), **named})


def _figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    rows = tables.get("lsoa_features", pd.DataFrame({"n_images": [], "category_set_hash": []}))
    if len(rows) and (rows["category_set_hash"] == NO_CATEGORY_SET).all():
        return {"n_lsoas": len(rows), "n_lsoas_with_features": int((rows["n_images"] > 0).sum())}
    return {
        "n_lsoas": len(rows),
        "n_lsoas_with_images": int((rows["n_images"] > 0).sum()),
        "n_images": int(rows["n_images"].sum()),
    }


def _authority_pages(house: House, slugs: list[str]) -> dict[str, str]:
    """Return the local authorities' pages that are there, relative to the study's, by ``lad_code``."""
    return {
        house.study.authority(slug).lad_code: f"local_authority_report/{slug}.html"
        for slug in slugs
        if house.page("local_authority_report", slug).exists()
    }


def _other_pages(house: House, slug: str) -> dict[str, str]:
    """Return the pages about the local authority that are there, relative to its report, by what they show."""
    found = {
        words: f"../{asset}/{slug}.html"
        for asset, words in _LOCAL_PAGES.items()
        if house.page(asset, slug).exists()
    }
    is_there = house.page("study_report").exists()
    whole = {"the whole study": "../study_report.html"}
    if house.study.has_images:
        whole["what people say of the classification"] = "../study_report.html#labels"
    return {**(whole if is_there else {}), **found}
