"""Cohen's kappa: how far two raters agree beyond chance."""

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import UNSURE
from streetimd_assets.science.label_sample import Share, Z


def cohens_kappa(first: npt.NDArray[np.object_], second: npt.NDArray[np.object_]) -> Share:
    """Agreement of two raters beyond what their own habits would give by chance.

    1 is perfect, 0 is chance. The interval is the large-sample one [1]_.

    Parameters
    ----------
    first, second
        The raters' labels of the same images, shape (n_images,).

    Returns
    -------
    kappa
        Without value where there is no image, or both always say the same one thing; its ends lie
        between -1 and 1.

    References
    ----------
    .. [1] Fleiss, Cohen & Everitt (1969), Large sample standard errors of kappa and weighted kappa.
       https://doi.org/10.1037/h0028106
    """
    names = sorted({*first, *second})
    table = np.zeros((len(names), len(names)))
    place = {name: number for number, name in enumerate(names)}
    np.add.at(table, ([place[name] for name in first], [place[name] for name in second]), 1)
    n = table.sum()
    if n == 0:
        return Share(None)
    table /= n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed, chance = float(np.trace(table)), float(rows @ columns)
    if math.isclose(chance, 1):
        return Share(None)
    kappa = (observed - chance) / (1 - chance)
    # sums of the row and the column that cross in each cell
    crossed = columns[:, None] + rows[None, :]
    on = np.diag(table) * ((1 - chance) - np.diag(crossed) * (1 - observed)) ** 2
    off = (1 - observed) ** 2 * ((table - np.diag(np.diag(table))) * crossed**2).sum()
    spread = on.sum() + off - (observed * chance - 2 * chance + observed) ** 2
    half = Z * math.sqrt(max(spread, 0.0) / n) / (1 - chance) ** 2
    return Share(kappa, max(-1.0, kappa - half), min(1.0, kappa + half))


def pairs_of_raters(labels: pd.DataFrame) -> pd.DataFrame:
    """Kappa of every two raters, over the images both gave a category.

    Parameters
    ----------
    labels
        Rows of ``image_labels``; what a rater is unsure of is left out.

    Returns
    -------
    pairs
        Columns raters (a pair of names), n_images, kappa, low and high; most images first, only pairs
        that have one in common. The images are as drawn, rare categories more often: they are not
        re-weighted.
    """
    sure = labels[labels["label"] != UNSURE]
    wide = sure.pivot(index="image_id", columns="rater", values="label")
    pairs = []
    for pair in combinations(sorted(wide.columns), 2):
        both = wide[list(pair)].dropna()
        if len(both):
            kappa = cohens_kappa(both[pair[0]].to_numpy(object), both[pair[1]].to_numpy(object))
            pairs.append((pair, len(both), kappa.value, kappa.low, kappa.high))
    found = pd.DataFrame(pairs, columns=["raters", "n_images", "kappa", "low", "high"])
    return found.sort_values("n_images", ascending=False, kind="stable", ignore_index=True)
