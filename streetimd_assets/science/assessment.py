"""Choose the images that people look at to judge a classification."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.science.prompts import CONTROL

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


def choose_images(
    probabilities: pd.DataFrame,
    street_images: pd.DataFrame,
    *,
    categories: Sequence[str],
    n_per_category: int,
    n_least_decisive: int,
    seed: int,
    control: pd.Series | None = None,
) -> pd.DataFrame:
    """Choose images that show a classification at its best, at its most doubtful and as it is.

    ``highest_scoring``: the images with the highest probability of each category, whether or not it won.
    ``least_decisive``: the smallest margins, under the category that won. The margin is of cosines: by
    entropy at the wrong sharpness, far fewer of the images so found are truly doubtful.
    ``category_grid``: a random choice of the images each category won, which alone shows how often it errs.
    ``control``: the images nearest to what no street shows, which every category fits badly.

    Parameters
    ----------
    probabilities, street_images
        Rows of ``category_probabilities`` and ``street_images``.
    categories
        Names of the categories, in the study's order.
    n_per_category
        Images per category, of the highest scoring and of the random grid; also of the control.
    n_least_decisive
        Least decisive images, over all categories.
    seed
        Of the random grid.
    control
        The control's probability by image_id, if it were offered; None if there is no control.

    Returns
    -------
    chosen
        Rows of ``assessment_images``.
    """
    # only places in the table are sorted and drawn: of a large city the table itself is never copied
    ids = probabilities["image_id"].to_numpy(dtype=object)
    order = np.argsort(ids, kind="stable")
    chosen = [
        *_highest_scoring(probabilities, order, categories, n_per_category),
        *_least_decisive(probabilities, order, n_least_decisive),
        *_random_grid(probabilities, order, n_per_category, seed),
    ]
    if control is not None:
        offered = control.reindex(ids).to_numpy(dtype=np.float64)
        best = order[_largest(offered[order], n_per_category)]
        chosen.append(_because("control", CONTROL, best, offered[best]))
    return _with_files(pd.concat(chosen, ignore_index=True), probabilities, street_images, categories)


def _highest_scoring(
    probabilities: pd.DataFrame, order: Rows, categories: Sequence[str], n_images: int
) -> Iterator[pd.DataFrame]:
    for category in categories:
        shares = probabilities[f"{category}_probability"].to_numpy(dtype=np.float64)
        best = order[_largest(shares[order], n_images)]
        yield _because("highest_scoring", category, best, shares[best])


def _least_decisive(probabilities: pd.DataFrame, order: Rows, n_images: int) -> Iterator[pd.DataFrame]:
    margins = probabilities["margin"].to_numpy(dtype=np.float64)
    least = order[_largest(-margins[order], n_images)]
    won = probabilities[["category", "probability"]].iloc[least]
    yield _because("least_decisive", won["category"].to_numpy(dtype=object), least, won["probability"].to_numpy())


def _random_grid(probabilities: pd.DataFrame, order: Rows, n_images: int, seed: int) -> Iterator[pd.DataFrame]:
    drawn = order[np.random.default_rng(seed).permutation(len(order))]
    codes, names = pd.factorize(probabilities["category"], sort=True)
    shares = probabilities["probability"].to_numpy(dtype=np.float64)
    for code, name in enumerate(names):
        rows = drawn[codes[drawn] == code][:n_images]
        yield _because("category_grid", name, rows, shares[rows])


def _largest(values: Array, n_values: int) -> Rows:
    """Places of the largest values, the largest first; of equal ones, the earlier."""
    return np.argsort(-values, kind="stable")[:n_values]


def _because(reason: str, category: Any, rows: Rows, probability: Array) -> pd.DataFrame:
    return pd.DataFrame({"row": rows, "reason": reason, "category": category, "probability": probability})


def _with_files(
    chosen: pd.DataFrame, probabilities: pd.DataFrame, street_images: pd.DataFrame, categories: Sequence[str]
) -> pd.DataFrame:
    """Join each chosen image to its place, scores, file, date and credit."""
    scores = ["image_id", "lsoa_code", "heading_deg", "margin", *(f"{name}_probability" for name in categories)]
    images = probabilities.iloc[chosen["row"]][scores].reset_index(drop=True)
    files = street_images.loc[
        street_images["image_id"].isin(images["image_id"]),
        ["image_id", "image_path", "captured_on", "licence", "credit", "viewer_url"],
    ]
    joined = pd.concat([chosen, images], axis=1).merge(files, on="image_id", how="left", validate="many_to_one")
    joined["position"] = joined.groupby(["reason", "category"]).cumcount() + 1
    columns = list(schemas.get_table("assessment_images", categories).column_names)
    return joined[columns].sort_values(["reason", "category", "position"], ignore_index=True)
