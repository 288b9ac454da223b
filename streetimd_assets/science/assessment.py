"""Choose the images that people look at to judge a classification."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from streetimd_assets import schemas


def choose_images(
    probabilities: pd.DataFrame,
    street_images: pd.DataFrame,
    *,
    categories: Sequence[str],
    n_per_category: int,
    n_least_decisive: int,
    seed: int,
) -> pd.DataFrame:
    """Choose images that show a classification at its best, at its most doubtful and as it is.

    ``highest_scoring``: the images with the highest probability of each category, whether or not it won.
    ``least_decisive``: the smallest margins, under the category that won. The margin is of cosines: by
    entropy at the wrong sharpness, far fewer of the images so found are truly doubtful.
    ``category_grid``: a random choice of the images each category won, which alone shows how often it errs.

    Parameters
    ----------
    probabilities, street_images
        Rows of ``category_probabilities`` and ``street_images``.
    categories
        Names of the categories, in the study's order.
    n_per_category
        Images per category, of the highest scoring and of the random grid.
    n_least_decisive
        Least decisive images, over all categories.
    seed
        Of the random grid.

    Returns
    -------
    chosen
        Rows of ``assessment_images``.
    """
    images = _with_files(probabilities, street_images)
    drawn = images.iloc[np.random.default_rng(seed).permutation(len(images))]
    chosen = pd.concat(
        [
            *(_highest_scoring(images, category, n_per_category) for category in categories),
            images.nsmallest(n_least_decisive, "margin").assign(reason="least_decisive"),
            drawn.groupby("category").head(n_per_category).assign(reason="category_grid"),
        ],
        ignore_index=True,
    )
    chosen["position"] = chosen.groupby(["reason", "category"]).cumcount() + 1
    columns = list(schemas.TABLES["assessment_images"].column_names)
    return chosen[columns].sort_values(["reason", "category", "position"], ignore_index=True)


def _with_files(probabilities: pd.DataFrame, street_images: pd.DataFrame) -> pd.DataFrame:
    """Join each classified image, in the order of image_id, to its file, date and credit."""
    files = street_images[["image_id", "image_path", "captured_on", "licence", "credit", "viewer_url"]]
    ordered = probabilities.sort_values("image_id", ignore_index=True)
    return ordered.merge(files, on="image_id", how="left", validate="one_to_one")


def _highest_scoring(images: pd.DataFrame, category: str, n_images: int) -> pd.DataFrame:
    best = images.nlargest(n_images, f"{category}_probability")
    return best.assign(reason="highest_scoring", category=category, probability=best[f"{category}_probability"])
