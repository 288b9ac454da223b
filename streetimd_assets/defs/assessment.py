"""Pictures for people to judge the classification by, and how much it hangs on the words of the prompts."""

import base64
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import declared_page, page_result
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    refusals_in_one_sentence,
    stamped,
    table_asset,
)
from streetimd_assets.plots import contact_sheets
from streetimd_assets.science import assessment, prompts

MOST_TO_CONTROL = 0.005
MOST_CHANGED = 0.10

CONTROL_TAKES_FEW_IMAGES = Check(
    "control_takes_few_images",
    "The control would take 0.5% of the images or more, so streets show what no category names: look at the "
    "control's section of classification_report and add a category, or a reject category, for what is there.",
    is_blocking=False,
)
REWORDINGS_KEEP_MOST_CATEGORIES = Check(
    "rewordings_keep_most_categories",
    "Half of the rewordings change the category of 10% of the images or more: see in prompt_sensitivities which "
    "categories swap, and give those more, and more distinct, prompts.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The choice of images, the sensitivity to prompts, and the contact sheets drawn from them."""
    how, categories = house.study.assessment, house.study.categories

    @table_asset(
        house,
        code_version=stamped(2, how.n_per_category, how.n_least_decisive, how.seed),
        deps=["image_embeddings"],
    )
    def assessment_images(
        context: dg.AssetExecutionContext,
        category_probabilities: pd.DataFrame,
        street_images: pd.DataFrame,
        category_embeddings: pd.DataFrame,
        prompt_variants: pd.DataFrame,
    ) -> Made:
        """Images chosen to be looked at: highest scoring, least decisive, random per category, like the control.

        The random ones alone show how often a category errs; the others are its best and its worst.
        """
        images, embeddings = house.store.read_embeddings(context.partition_key)
        shares = prompts.control_probabilities(images, embeddings, category_embeddings, prompt_variants)
        chosen = assessment.choose_images(
            category_probabilities,
            street_images,
            categories=categories.names,
            n_per_category=how.n_per_category,
            n_least_decisive=how.n_least_decisive,
            seed=how.seed,
            control=None if shares is None else pd.Series(shares, index=images["image_id"]),
        )
        doubtful = chosen.loc[chosen["reason"] == "least_decisive", "margin"]
        won = chosen.loc[chosen["reason"] == "category_grid", "category"]
        return Made(
            chosen,
            {
                "n_images": int(chosen["image_id"].nunique()),
                "n_categories_predicted": int(won.nunique()),
                "smallest_margin": float(doubtful.min()),
            },
        )

    @table_asset(
        house,
        code_version="1",
        deps=["image_embeddings"],
        checks=[CONTROL_TAKES_FEW_IMAGES, REWORDINGS_KEEP_MOST_CATEGORIES],
    )
    def prompt_sensitivities(
        context: dg.AssetExecutionContext, category_embeddings: pd.DataFrame, prompt_variants: pd.DataFrame
    ) -> Made:
        """The share of images that change category when prompts are reworded or left out, and what a control takes.

        From stored embeddings, without the encoder. A classification that hangs on one sentence is about
        the sentence; one that does not may still be wrong: people's labels tell.
        """
        images, embeddings = house.store.read_embeddings(context.partition_key)
        table = prompts.prompt_sensitivities(images, embeddings, category_embeddings, prompt_variants)
        control = float(_shares(table, "control").max())
        reworded = float(_shares(table, "reworded").median())
        left_out = float(_shares(table, "without_prompt", "without_template").max())
        return Made(
            table,
            {
                "n_images": len(images),
                "largest_control_share": control,
                "median_reworded_share": reworded,
                "largest_left_out_share": left_out,
            },
            # without a control or a rewording there is no share, and nothing to warn of
            [
                CONTROL_TAKES_FEW_IMAGES.result(not control >= MOST_TO_CONTROL, largest_control_share=control),
                REWORDINGS_KEEP_MOST_CATEGORIES.result(
                    not reworded >= MOST_CHANGED, median_reworded_share=reworded
                ),
            ],
        )

    @dg.asset(
        **declared_page(house, "assessment", is_partitioned=True),
        code_version=stamped(2, house.study.heading, categories.titles, categories.reject_names),
    )
    def classification_report(
        context: dg.AssetExecutionContext, assessment_images: pd.DataFrame, prompt_sensitivities: pd.DataFrame
    ) -> dg.MaterializeResult:
        """Contact sheets of the local authority: one HTML page that opens anywhere, offline.

        Look at it before any number: categories that look wrong here are wrong in every table after it.
        """
        authority, acquisition = house.authority(context), Acquisition(house)
        with refusals_in_one_sentence():
            page = contact_sheets.contact_sheet_page(
                assessment_images,
                acquisition.read_image,
                heading=f"{house.study.heading}: {authority.name}",
                titles=categories.titles,
                rejects=categories.reject_names,
                sensitivities=prompt_sensitivities,
            )
            figures: dict[str, Any] = {"n_images": int(assessment_images["image_id"].nunique())}
            # what stands in Dagster's records stays there, so pictures that must go never get there
            if acquisition.retains_images:
                strip = contact_sheets.preview_strip(assessment_images, acquisition.read_image)
                data = base64.b64encode(strip).decode()
                figures["preview"] = dg.MetadataValue.md(f"![a few of the images](data:image/jpeg;base64,{data})")
            return page_result(house, "classification_report", page, authority.slug, **figures)

    return [assessment_images, prompt_sensitivities, classification_report]


def _shares(sensitivities: pd.DataFrame, *kinds: str) -> pd.Series:
    """Shares of the images that change category with changes of these kinds."""
    return sensitivities.loc[sensitivities["kind"].isin(kinds), "changed_share"].astype(float)
