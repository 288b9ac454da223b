"""A labelled sample and what it says of all images: weights, and shares with their intervals.

The sample is stratified by local authority, predicted category and half of its confidence. Within a
stratum the labelled images are a simple random sample, so each stands for as many images as its
stratum holds over the number labelled there (Cochran 1977, Sampling techniques, chapter 5).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import UNSURE

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# of a normal distribution, for intervals of 95%
Z = 1.959963984540054


@dataclass(frozen=True)
class Share:
    """A share from 0 to 1 with its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LabelledSample:
    """Labelled images with their weights, and what they stand for.

    Parameters
    ----------
    images
        Columns image_id, local_authority, category (predicted), probability, label, stratum (where
        variances are taken), n_in_stratum and weight: how many images it stands for.
    n_images
        Images of the local authorities that have labels.
    predicted
        Number of those images by predicted category.
    n_strata_without_label
        Strata of which no image is labelled; their images are stood for by those of the same category,
        in the same local authority if there are any.
    n_not_covered
        Images of predicted categories of which no image is labelled anywhere: nothing is said of them.
    n_unsure, n_tied
        Images set aside: most raters were unsure; no label had most votes.
    n_raters
        Raters of the images used.
    """

    images: pd.DataFrame
    n_images: int
    predicted: pd.Series
    n_strata_without_label: int
    n_not_covered: int
    n_unsure: int
    n_tied: int
    n_raters: int

    def share(self, is_hit: Flags, of: Flags | None = None) -> Share:
        """Estimate which share of all images, or `of` those of a kind, have a property.

        The variance is linearised for the ratio, within strata and with the finite population
        correction; a stratum with one labelled image deviates from the whole instead of from itself
        [1]_. The interval is Wilson's at the effective sample size [2]_, which is never taken to be
        larger than the weights alone would make it: where no error was found, there may still be some.

        Parameters
        ----------
        is_hit, of
            Shape (n_labelled,), in the order of ``images``; `of` all if None.

        References
        ----------
        .. [1] Lumley (2010), Complex surveys, chapter 2 and "lonely PSUs".
        .. [2] Franco et al. (2019), Comparative study of confidence intervals for proportions in complex
           sample surveys. https://doi.org/10.1093/jssam/smy019
        """
        domain = np.ones(len(self.images), dtype=bool) if of is None else np.asarray(of, dtype=bool)
        weight = self.images["weight"].to_numpy(float) * domain
        total = weight.sum()
        if total == 0:
            return Share(None)
        value = float(weight[np.asarray(is_hit, dtype=bool)].sum() / total)
        variance = self.variance_of_total(weight * (np.asarray(is_hit, float) - value) / total)
        of_weights_alone = float((self._not_sampled * (weight / total) ** 2).sum())
        return Share(value, *_wilson(value, variance, of_weights_alone))

    def variance_of_total(self, values: Array) -> float:
        """Variance of the sum of weighted values over repeated draws of the sample; shape (n_labelled,)."""
        place, n = self._strata
        centre = np.where(n > 1, np.bincount(place, values)[place] / n, 0.0)
        correction = np.where(n > 1, n / np.maximum(n - 1, 1), 1.0)
        return float((self._not_sampled * correction * (values - centre) ** 2).sum())

    @cached_property
    def _strata(self) -> tuple[npt.NDArray[np.int64], Array]:
        """Number of each image's stratum, and how many images are labelled there."""
        place = pd.factorize(self.images["stratum"])[0]
        return place, np.bincount(place)[place].astype(float)

    @cached_property
    def _not_sampled(self) -> Array:
        """Share of each image's stratum that is not labelled: the finite population correction."""
        return np.clip(1 - self._strata[1] / self.images["n_in_stratum"].to_numpy(float), 0.0, 1.0)


def _wilson(value: float, variance: float, of_weights_alone: float) -> tuple[float, float]:
    """Wilson's 95% interval of a share whose estimate has this variance."""
    spread = value * (1 - value)
    per_image = max(variance / spread, of_weights_alone) if spread > 1e-12 else of_weights_alone
    # z²/n, where n is the effective number of images
    z2 = Z**2 * per_image
    centre = (value + z2 / 2) / (1 + z2)
    half = math.sqrt(z2 * spread + z2**2 / 4) / (1 + z2)
    return max(0.0, min(centre - half, value)), min(1.0, max(centre + half, value))


def majority_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Settle each image's label by most votes.

    Parameters
    ----------
    labels
        Rows of ``image_labels``: one vote per image and rater, ``unsure`` among them.

    Returns
    -------
    settled
        Columns image_id, label (``unsure`` where most are; None where two labels have most votes) and
        n_raters, in the order of image_id.
    """
    votes = labels.groupby(["image_id", "label"], as_index=False).size()
    most = votes.groupby("image_id")["size"].transform("max")
    first = votes[votes["size"] == most]
    settled = first.groupby("image_id").agg(label=("label", "first"), n_first=("label", "size"))
    settled["label"] = settled["label"].astype(object).where(settled["n_first"] == 1, None)
    settled["n_raters"] = labels.groupby("image_id").size()
    return settled.reset_index()[["image_id", "label", "n_raters"]]


def weigh_labels(candidates: pd.DataFrame, labels: pd.DataFrame) -> LabelledSample:
    """Join labels to the images drawn, and weigh each for the images it stands for.

    Parameters
    ----------
    candidates
        Rows of ``label_candidates`` of the local authorities that have labels, with a column
        local_authority.
    labels
        Rows of ``image_labels``; those of images that are not among the candidates are left out, for only
        a draw by chance can stand for all images.
    """
    settled = majority_labels(labels[labels["image_id"].isin(candidates["image_id"])])
    used = settled[settled["label"].notna() & (settled["label"] != UNSURE)]
    is_labelled_there = candidates["image_id"].isin(used["image_id"]).groupby(candidates["local_authority"])
    candidates = candidates[is_labelled_there.transform("any")]
    strata = _strata(candidates, used)
    images, n_not_covered = _weighted(candidates.merge(used, on="image_id", validate="one_to_one"), strata)
    return LabelledSample(
        images=images,
        n_images=int(strata["n_in_stratum"].sum()),
        predicted=strata.groupby("category")["n_in_stratum"].sum(),
        n_strata_without_label=int((strata["n_labelled"] == 0).sum()),
        n_not_covered=n_not_covered,
        n_unsure=int((settled["label"] == UNSURE).sum()),
        n_tied=int(settled["label"].isna().sum()),
        n_raters=labels.loc[labels["image_id"].isin(images["image_id"]), "rater"].nunique(),
    )


def _strata(candidates: pd.DataFrame, used: pd.DataFrame) -> pd.DataFrame:
    """One row per local authority and stratum, with its size and how many of its images have a label."""
    is_used = candidates["image_id"].isin(used["image_id"])
    return (
        candidates.assign(n_labelled=is_used.astype(int))
        .groupby(["local_authority", "stratum"], as_index=False)
        .agg(
            category=("category", "first"), n_in_stratum=("n_in_stratum", "first"), n_labelled=("n_labelled", "sum")
        )
    )


def _weighted(images: pd.DataFrame, strata: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Give each labelled image its stratum and weight; count the images nobody stands for.

    A half without label is joined to the other half of its category; the images of a category that has
    no label in one local authority are stood for by those of the same category in the others.
    """
    strata = strata.copy()
    is_bare = strata["n_labelled"] == 0
    joined = is_bare.groupby([strata["local_authority"], strata["category"]]).transform("any")
    strata["pooled"] = strata["local_authority"] + "/" + np.where(joined, strata["category"], strata["stratum"])
    pooled = strata.groupby("pooled").agg(
        category=("category", "first"), n_images=("n_in_stratum", "sum"), n_labelled=("n_labelled", "sum")
    )
    covered = pooled[pooled["n_labelled"] > 0]
    of_category = pooled.groupby("category")["n_images"].sum()
    factor = of_category / covered.groupby("category")["n_images"].sum()
    n_not_covered = int(of_category[factor.reindex(of_category.index).isna()].sum())
    size = covered["n_images"] * covered["category"].map(factor)
    images = images.drop(columns="n_in_stratum").merge(
        strata[["local_authority", "stratum", "pooled"]], on=["local_authority", "stratum"]
    )
    images["n_in_stratum"] = images["pooled"].map(size)
    images["weight"] = images["n_in_stratum"] / images["pooled"].map(covered["n_labelled"])
    columns = ["image_id", "local_authority", "category", "probability", "label", "n_raters"]
    images = images[[*columns, "pooled", "n_in_stratum", "weight"]].rename(columns={"pooled": "stratum"})
    return images.sort_values("image_id", ignore_index=True), n_not_covered
