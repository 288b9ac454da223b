"""Pictures for people to judge the classification by."""

import base64

import dagster as dg
import pandas as pd

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
            strip = contact_sheets.preview_strip(assessment_images, read_image)
            picture = base64.b64encode(strip).decode()
            return page_result(
                house,
                "classification_report",
                page,
                authority.slug,
                n_images=assessment_images["image_id"].nunique(),
                preview=dg.MetadataValue.md(f"![a few of the images](data:image/jpeg;base64,{picture})"),
            )

    return [assessment_images, classification_report]
