"""Pages to read and to send to a colleague: one for the study, one for each local authority."""

import platform
from importlib.metadata import version

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import page_result
from streetimd_assets.defs.study_wide import Coverage, everywhere
from streetimd_assets.defs.table_asset import OWNER, refusals_in_one_sentence
from streetimd_assets.plots import report
from streetimd_assets.schemas import EMBEDDING
from streetimd_assets.science import geography

STUDY_WIDE = (
    "category_embeddings",
    "imd_correlations",
    "noise_correlations",
    "embedding_components",
    "model_scores",
    "lsoa_predictions",
    "feature_importances",
)
PER_AUTHORITY = (
    "lsoa_boundaries",
    "lsoa_features",
    "deprivation_indices",
    "panoramas",
    "street_images",
    "imagery_plan",
)
_PACKAGES = ("streetimd", "dagster", "duckdb", "open_clip_torch", "torch", "scikit-learn", "lightgbm")


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The study's report and those of its local authorities."""
    titles = house.study.categories.titles

    @dg.asset(
        group_name="importance",
        owners=[OWNER],
        kinds={"html"},
        code_version="1",
        deps=[*STUDY_WIDE, *everywhere(*PER_AUTHORITY)],
    )
    def study_report(config: Coverage) -> dg.MaterializeResult:
        """The study in one HTML page: coverage, categories, correlation, models, importance, limits."""
        with refusals_in_one_sentence():
            slugs = house.covered(config.local_authorities)
            tables = {name: house.store.read(name) for name in STUDY_WIDE if house.store.holds(name)}
            for name in PER_AUTHORITY:
                tables[name] = house.store.read_study_wide(name, slugs, _light_columns(house, name))
            page = report.study_report_page(
                tables, heading=house.study.heading, provenance=provenance(house, slugs), titles=titles
            )
            return page_result(house, "study_report", page, local_authorities=slugs)

    @dg.asset(
        group_name="comparison",
        owners=[OWNER],
        kinds={"html"},
        partitions_def=house.partitions,
        code_version="1",
        deps=["lsoa_predictions", "model_scores", "category_embeddings", "classification_report", *PER_AUTHORITY],
    )
    def local_authority_report(
        context: dg.AssetExecutionContext, local_authority_scores: pd.DataFrame
    ) -> dg.MaterializeResult:
        """The local authority in one HTML page: coverage, maps, category shares, predictions and scores."""
        authority, slug = house.authority(context), context.partition_key
        with refusals_in_one_sentence():
            tables = {name: house.store.read(name, slug, _light_columns(house, name)) for name in PER_AUTHORITY}
            predictions = house.store.read("lsoa_predictions")
            tables["lsoa_predictions"] = predictions[predictions["lad_code"] == authority.lad_code]
            tables["local_authority_scores"] = local_authority_scores
            tables["model_scores"] = house.store.read("model_scores")
            page = report.local_authority_page(
                tables,
                geography.as_geodataframe(house.store.read("lsoa_boundaries", slug)),
                heading=f"{house.study.heading}: {authority.name}",
                name=authority.name,
                provenance=provenance(house, [slug]),
                titles=titles,
                classification_page=f"../classification_report/{slug}.html",
            )
            return page_result(house, "local_authority_report", page, slug)

    return [study_report, local_authority_report]


def _light_columns(house: House, name: str) -> list[str]:
    """Leave embeddings and outlines out."""
    heavy = (EMBEDDING, "BLOB")
    return [column.name for column in house.store.table(name).columns if column.type not in heavy]


def provenance(house: House, slugs: list[str]) -> dict[str, str]:
    """Say where the numbers come from: sources, model, seeds, versions."""
    study = house.study
    words = house.store.read("category_embeddings", columns=["encoder", "category_set_hash"])
    return {
        "Study": study.name,
        "Local authorities": ", ".join(study.authority(slug).name for slug in slugs),
        "Boundaries and roads": (
            "synthetic world"
            if study.geography.source == "synthetic"
            else "ONS (Open Government Licence v3.0, contains OS data), © OpenStreetMap contributors (ODbL)"
        ),
        "Deprivation index": study.deprivation.index,
        "Target": f"{study.deprivation.target} (rank 1 = most deprived)",
        "Images": "painted stand-ins (SYNTHETIC IMAGES)" if study.has_painted_images else study.imagery.source,
        "Encoder": ", ".join(words["encoder"].unique()),
        "Category set": f"{study.categories.name}@{', '.join(words['category_set_hash'].unique())}",
        "Seeds": f"sampling {study.sampling.seed}, models {study.modelling.seed}",
        "Versions": ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        + f", Python {platform.python_version()}",
    }
