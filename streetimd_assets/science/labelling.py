"""Choose the images that people label to judge a classification."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas

HALVES = ("lower half", "upper half")


def choose_candidates(
    probabilities: pd.DataFrame,
    street_images: pd.DataFrame,
    *,
    n_per_group: int,
    n_at_random: int,
    seed: int,
) -> pd.DataFrame:
    """Draw images to label: so many of each predicted category and half of its confidence, and some of all.

    A stratum is the images predicted as one category, in the lower or the upper half of them by
    probability. Within a stratum every image is as likely to be drawn as any other, by either design, so
    a labelled image stands for ``n_in_stratum`` over the labelled of its stratum.

    Each image has a random number of its own, made from the seed and its name, and the smallest are
    drawn [1]_: raising a number adds images and keeps every earlier one, and so does collecting more.
    The order in which raters see them is random in the same manner: whoever stops early leaves a
    random part of the sample.

    Parameters
    ----------
    probabilities, street_images
        Rows of ``category_probabilities`` and ``street_images`` of one local authority. An image whose
        picture is gone is drawn like any other: leaving it out would bias what is measured.
    n_per_group
        Images per stratum; all of them where there are fewer.
    n_at_random
        Images drawn besides from all, whatever their category; some of them may be drawn already.
    seed
        Of the draw and of the order.

    Returns
    -------
    candidates
        Rows of ``label_candidates``, in the order of position.

    References
    ----------
    .. [1] Ohlsson (1995), Coordination of samples using permanent random numbers, in Business Survey
       Methods, chapter 9.
    """
    images = with_strata(probabilities)
    stratified = _ranks(images, "stratified", seed, by=images["stratum"]) < n_per_group
    at_random = _ranks(images, "random", seed) < n_at_random
    drawn = images[stratified | at_random].copy()
    drawn["design"] = np.where(stratified[stratified | at_random], "stratified", "random")
    drawn["position"] = _ranks(drawn, "order", seed) + 1
    files = street_images[["image_id", "image_path", "captured_on", "licence", "credit", "viewer_url"]]
    drawn = drawn.merge(files, on="image_id", how="left", validate="one_to_one")
    columns = list(schemas.TABLES["label_candidates"].column_names)
    return drawn[columns].sort_values("position", ignore_index=True)


def with_strata(probabilities: pd.DataFrame) -> pd.DataFrame:
    """Return classified images in the order of image_id, with columns stratum and n_in_stratum.

    Where probabilities are equal the order of image_id decides the half; an odd one stands in the lower.
    """
    columns = [*("image_id", "lsoa_code", "heading_deg", "category", "probability", "category_set_hash", "encoder")]
    images = probabilities[columns].sort_values("image_id", ignore_index=True)
    of_category = images.groupby("category")
    place = of_category["probability"].rank(method="first")
    is_upper = place > np.ceil(of_category["image_id"].transform("size") / 2)
    half = np.where(is_upper, HALVES[1], HALVES[0])
    images["stratum"] = images["category"].astype(object) + ": " + pd.Series(half, dtype=object)
    images["n_in_stratum"] = images.groupby("stratum")["image_id"].transform("size")
    return images


def _ranks(images: pd.DataFrame, purpose: str, seed: int, *, by: pd.Series | None = None) -> npt.NDArray[np.int64]:
    """Place of each image by its random number, from 0, among all or within groups."""
    keys = pd.Series(random_keys(images["image_id"], purpose, seed), index=images.index)
    ranks = keys.rank(method="first") if by is None else keys.groupby(by).rank(method="first")
    return np.asarray(ranks, dtype=np.int64) - 1


def random_keys(image_ids: Iterable[str], purpose: str, seed: int) -> npt.NDArray[np.uint64]:
    """Return a random number for each image that depends on the seed, the purpose and its name alone."""
    start = hashlib.blake2b(f"{seed}/{purpose}/".encode(), digest_size=8)

    def digest(image_id: str) -> int:
        hashed = start.copy()
        hashed.update(image_id.encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashed.digest(), "big")

    return np.array([digest(image_id) for image_id in image_ids], dtype=np.uint64)
