"""One row per LSOA: the narrow waist between images and statistics."""

import functools

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import features, soundness

ONE_ROW_PER_LSOA = Check("one_row_per_lsoa", "materialise lsoa_boundaries and all that follows again.")
MISSING_IS_NULL_NOT_ZERO = Check(
    "missing_is_null_not_zero",
    "an embedding of zeros stands where there is no image; materialise this again, and tell us.",
)
EVERY_IMAGE_IS_COUNTED_ONCE = Check(
    "every_image_is_counted_once",
    "counts differ from the images classified in an LSOA; materialise category_probabilities and this again.",
)
MOST_LSOAS_HAVE_IMAGES = Check(
    "most_lsoas_have_images",
    "many LSOAs have no image and stay NULL: look at imagery_plan, sample more densely or widen the dates.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The features of the study's LSOAs."""
    categories = house.study.categories
    least = house.study.features.min_images_per_category

    @table_asset(
        house,
        code_version=stamped(1, least),
        deps=["image_embeddings"],
        checks=[
            ONE_ROW_PER_LSOA,
            MISSING_IS_NULL_NOT_ZERO,
            EVERY_IMAGE_IS_COUNTED_ONCE,
            MOST_LSOAS_HAVE_IMAGES,
        ],
    )
    def lsoa_features(
        context: dg.AssetExecutionContext,
        lsoa_boundaries: pd.DataFrame,
        sample_points: pd.DataFrame,
        panoramas: pd.DataFrame,
        category_probabilities: pd.DataFrame,
        category_embeddings: pd.DataFrame,
    ) -> Made:
        """Counts, category shares and pooled embeddings of each LSOA; NULL where there is no image.

        All later statistics start from here and from deprivation_indices. A share of few images is
        unsure: see n_images_kept beside it. The maximum over images grows with their number.
        """
        summary = features.summarise_in_ranges(
            list(lsoa_boundaries["lsoa_code"]),
            house.authority(context).lad_code,
            sample_points,
            panoramas,
            category_probabilities,
            # embeddings are matched to images by their id, never by the order of rows
            functools.partial(house.store.read_embeddings_of, context.partition_key),
            categories=categories.names,
            rejects=categories.reject_names,
            min_images_per_category=least,
            category_set_hash=categories.content_hash,
            encoder=str(category_embeddings["encoder"].iloc[0]),
        )
        is_rejected = category_probabilities["is_rejected"]
        with_images = int((summary["n_images_kept"] > 0).sum())
        n_miscounted = soundness.miscounted_lsoas(summary, category_probabilities, categories.names)
        zeros = features.zero_embeddings(summary)
        is_whole = sorted(summary["lsoa_code"]) == sorted(lsoa_boundaries["lsoa_code"])
        return Made(
            summary,
            {
                "n_lsoas_with_images": with_images,
                "median_images_per_lsoa": float(summary["n_images_kept"].median()),
                "rejected_share": float(is_rejected.mean()) if len(is_rejected) else 0.0,
            },
            [
                ONE_ROW_PER_LSOA.result(is_whole, n_lsoas=len(summary)),
                EVERY_IMAGE_IS_COUNTED_ONCE.result(n_miscounted == 0, n_miscounted_lsoas=n_miscounted),
                MISSING_IS_NULL_NOT_ZERO.result(not zeros, columns_with_zeros=zeros),
                MOST_LSOAS_HAVE_IMAGES.result(
                    with_images >= 0.8 * len(summary), n_lsoas=len(summary), n_with_images=with_images
                ),
            ],
        )

    return [lsoa_features]
