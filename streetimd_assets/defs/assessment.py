"""Pictures for people to judge the classification by."""

import base64
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import page_result
from streetimd_assets.defs.table_asset import OWNER, refusals_in_one_sentence, stamped, table_asset
from streetimd_assets.plots import contact_sheets
from streetimd_assets.science import assessment
from streetimd_assets.store.images import read_image_file


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The choice of images, and the contact sheets drawn from it."""
    how = house.study.assessment

    @table_asset(house, code_version=stamped(1, how))
    def assessment_images(category_probabilities: pd.DataFrame, street_images: pd.DataFrame) -> pd.DataFrame:
        """Images chosen to be looked at: highest scoring, least decisive, and a random grid per category."""
        return assessment.choose_images(
            category_probabilities,
            street_images,
            categories=house.study.categories.names,
            n_per_category=how.n_per_category,
            n_least_decisive=how.n_least_decisive,
            seed=how.seed,
        )

    @dg.asset(
        group_name="assessment",
        owners=[OWNER],
        kinds={"html"},
        partitions_def=house.partitions,
        code_version="1",
    )
    def classification_report(
        context: dg.AssetExecutionContext, assessment_images: pd.DataFrame
    ) -> dg.MaterializeResult:
        """Contact sheets of the local authority: one HTML page that opens anywhere, offline."""
        authority = house.authority(context)

        def read_image(path: str) -> bytes | None:
            return read_image_file(house.folder, path)

        with refusals_in_one_sentence():
            page = contact_sheets.contact_sheet_page(
                assessment_images,
                read_image,
                heading=f"{house.study.heading}: {authority.name}",
                titles=house.study.categories.titles,
            )
            figures: dict[str, Any] = {"n_images": assessment_images["image_id"].nunique()}
            # what stands in Dagster's records stays there, so pictures that must go never get there
            if Acquisition(house).retains_images:
                strip = base64.b64encode(contact_sheets.preview_strip(assessment_images, read_image)).decode()
                figures["preview"] = dg.MetadataValue.md(f"![a few of the images](data:image/jpeg;base64,{strip})")
            return page_result(house, "classification_report", page, authority.slug, **figures)

    return [assessment_images, classification_report]
