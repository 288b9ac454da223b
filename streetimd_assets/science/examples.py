"""Choose images that show what lies at either end of the features a model leans on."""

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError

Vectors = npt.NDArray[np.float32]

ENDS: tuple[Literal["high"], Literal["low"]] = ("high", "low")
# neighbours look alike: more from one LSOA would show the LSOA, not the feature
MOST_PER_LSOA = 2
_DIMENSION = re.compile(r"(?:(?P<category>.+)_)?(?:mean|median|max)_embedding_(?P<dimension>\d+)")


def leading_features(importances: pd.DataFrame, *, n_features: int) -> pd.DataFrame:
    """Return the features that matter most to the model that was offered most of them.

    By permutation where there is any, since it asks about LSOAs held out, else by Gini. A feature that
    costs the model nothing is not leading, so there may be fewer than asked for.

    Parameters
    ----------
    importances
        Rows of ``feature_importances``.
    n_features
        The most features returned.

    Returns
    -------
    leading
        Columns ``feature``, ``feature_position``, from 1, the most important first, and ``model_id``.
    """
    columns = ["feature", "feature_position", "model_id"]
    is_permuted = importances["method"] == "permutation"
    rows = importances[is_permuted] if is_permuted.any() else importances[importances["method"] == "gini"]
    if rows.empty:
        return pd.DataFrame({name: pd.Series(dtype=int if "position" in name else str) for name in columns})
    sizes = rows.groupby("model_id").size().sort_index()
    of_model = rows[(rows["model_id"] == sizes.idxmax()) & (rows["importance"] > 0)]
    leading = of_model.sort_values("position").head(n_features)
    return leading.rename(columns={"position": "feature_position"})[columns].reset_index(drop=True)


def extreme_images(
    leading: pd.DataFrame,
    images: pd.DataFrame,
    embeddings: Vectors,
    *,
    n_examples: int,
    directions: Mapping[str, Vectors] | None = None,
) -> pd.DataFrame:
    """Find the images with the highest and the lowest value of each feature.

    Of a dimension it is the image's own value, of a share its probability of the category, of a direction
    the inner product. Only images that the feature is made of count: those kept, and of a category's
    dimension those of the category.

    Parameters
    ----------
    leading
        From :func:`leading_features`.
    images
        Images of one or more local authorities: ``image_id``, ``panorama_id``, ``lsoa_code``,
        ``category``, ``is_rejected``, ``<category>_probability``, and any columns to carry along.
    embeddings
        Shape (n_images, n_dimensions), rows in the order of `images`.
    n_examples
        Images at each end.
    directions
        Features that are directions among embeddings, each of shape (n_dimensions,).

    Returns
    -------
    extremes
        ``feature``, ``feature_position``, ``end`` (high or low), ``position`` from that end, ``value``
        and the columns of `images`. One image of a panorama, and two of an LSOA, at the most.

    Raises
    ------
    ScienceError
        If a feature is neither a dimension of the embeddings nor a share of a category of the images.
    """
    found = [
        _ends(images.assign(value=value, feature=feature, feature_position=place)[is_part], n_examples)
        for feature, place in zip(leading["feature"], leading["feature_position"], strict=True)
        for value, is_part in [_values(str(feature), images, embeddings, directions or {})]
    ]
    if found:
        return pd.concat(found, ignore_index=True)
    return images.iloc[:0].assign(feature="", feature_position=0, value=0.0, end="", position=0)


def choose_examples(extremes: pd.DataFrame, *, n_examples: int) -> pd.DataFrame:
    """Choose among the extremes of several local authorities those of all of them together.

    Parameters
    ----------
    extremes
        What :func:`extreme_images` found, one local authority below the other.
    n_examples
        Images at each end; no more than each local authority was asked for.

    Returns
    -------
    examples
        As from :func:`extreme_images`, by feature, end and position.
    """
    if extremes.empty:
        return extremes
    chosen = [
        _from_end(rows, str(end), n_examples)
        for (_, end), rows in extremes.groupby(["feature_position", "end"], sort=True)
    ]
    return pd.concat(chosen, ignore_index=True)


def _values(
    feature: str, images: pd.DataFrame, embeddings: Vectors, directions: Mapping[str, Vectors]
) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Return the feature's value in each image, shape (n_images,), and which images it is made of."""
    is_kept = ~images["is_rejected"].to_numpy(dtype=bool)
    if feature in directions:
        return embeddings @ np.asarray(directions[feature], dtype=np.float32), is_kept
    category = feature.removesuffix("_share")
    if category != feature and f"{category}_probability" in images:
        return images[f"{category}_probability"].to_numpy(np.float32), is_kept
    match = _DIMENSION.fullmatch(feature)
    if match is None or int(match["dimension"]) >= embeddings.shape[1]:
        raise ScienceError(
            f"feature {feature} is no dimension of these embeddings and no share of a category of these images; "
            "materialise model_scores and feature_importances again"
        )
    if match["category"]:
        is_kept = is_kept & (images["category"] == match["category"]).to_numpy()
    return embeddings[:, int(match["dimension"])], is_kept


def _ends(rows: pd.DataFrame, n_examples: int) -> pd.DataFrame:
    return pd.concat([_from_end(rows, end, n_examples) for end in ENDS], ignore_index=True)


def _from_end(rows: pd.DataFrame, end: str, n_examples: int) -> pd.DataFrame:
    """Go from one end of the values inwards, leaving out what has been seen enough of."""
    ordered = rows.sort_values(["value", "image_id"], ascending=[end == "low", True], kind="stable")
    # a panorama stands in one LSOA: which rule is applied first makes no difference
    ordered = ordered.drop_duplicates("panorama_id")
    chosen = ordered.groupby("lsoa_code", sort=False).head(MOST_PER_LSOA).head(n_examples)
    return chosen.assign(end=end, position=np.arange(1, len(chosen) + 1))
