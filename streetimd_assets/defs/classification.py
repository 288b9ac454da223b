"""Which scene category each image most resembles."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, table_asset
from streetimd_assets.science import classification, soundness

EVERY_IMAGE_SUMS_TO_ONE = Check(
    "every_image_sums_to_one",
    "probabilities do not share the image completely; materialise category_embeddings and this again, and tell us.",
)
SIMILARITIES_BELONG_TO_THEIR_CATEGORY = Check(
    "similarities_belong_to_their_category",
    "categories or images were mixed up; materialise image_embeddings, category_embeddings and this again.",
)
SOFTMAX_IS_AT_THE_MODELS_SCALE = Check(
    "softmax_is_at_the_models_scale",
    "probabilities would be too even or too sharp; materialise category_embeddings and this again, and tell us.",
)
PREDICTIONS_ARE_DECISIVE = Check(
    "predictions_are_decisive",
    "most images are close to a tie: look at the contact sheets and make the categories' prompts more distinct.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Category probabilities of the study's images."""

    @table_asset(
        house,
        code_version="1",
        deps=["image_embeddings"],
        checks=[
            EVERY_IMAGE_SUMS_TO_ONE,
            SIMILARITIES_BELONG_TO_THEIR_CATEGORY,
            SOFTMAX_IS_AT_THE_MODELS_SCALE,
            PREDICTIONS_ARE_DECISIVE,
        ],
    )
    def category_probabilities(context: dg.AssetExecutionContext, category_embeddings: pd.DataFrame) -> Made:
        """The share of each image given to each category, from stored embeddings.

        Probabilities are softmax shares among the offered categories at the model's own scale. They
        are relative and not calibrated: an image unlike every category still sums to one.
        """
        images, embeddings = house.store.read_embeddings(context.partition_key)
        classified = classification.classify_images(images, embeddings, category_embeddings)
        names = house.study.categories.names
        deviation = classification.largest_sum_deviation(
            classified[[f"{name}_probability" for name in names]].to_numpy()
        )
        entropy = float(classified["entropy_share"].mean()) if len(classified) else 0.0
        shares = classified["category"].value_counts(normalize=True)
        error = soundness.largest_similarity_error(classified, images, embeddings, category_embeddings)
        scale, own = (
            soundness.implied_logit_scale(classified, names),
            float(category_embeddings["logit_scale"].iloc[0]),
        )
        return Made(
            classified,
            {
                "mean_probability": float(classified["probability"].mean()),
                "median_margin": float(classified["margin"].median()),
                "mean_entropy_share": entropy,
                "category_shares": {name: round(float(shares.get(name, 0)), 4) for name in names},
            },
            [
                EVERY_IMAGE_SUMS_TO_ONE.result(deviation < 1e-4, largest_deviation=deviation),
                SIMILARITIES_BELONG_TO_THEIR_CATEGORY.result(error < 1e-3, largest_error=error),
                # without images there is no scale to be seen
                SOFTMAX_IS_AT_THE_MODELS_SCALE.result(
                    not abs(scale - own) > 0.01 * own, scale_found=scale, models_scale=own
                ),
                PREDICTIONS_ARE_DECISIVE.result(entropy < 0.8, mean_entropy_share=entropy),
            ],
        )

    return [category_probabilities]
