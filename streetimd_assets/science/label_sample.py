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
        One row per image and label, more than one where raters are tied. Columns image_id,
        local_authority, category (predicted), probability, label, stratum (where variances are taken),
        n_in_stratum, weight (how many images the row stands for) and named_share: of the images settled
        in its stratum, those people are not unsure of.
    n_images
        Images of the local authorities that have labels.
    predicted
        Number of those images by predicted category.
    n_strata_without_label
        Strata of which no image is labelled; their images are stood for by those of the same category,
        in the same local authority if there are any.
    n_not_covered
        Images of predicted categories of which no image is labelled anywhere: nothing is said of them.
    n_unsure
        Images set aside because raters were unsure; they are stood for by the others of their stratum.
    n_tied
        Images of which no label had most votes: each of those that had as many counts in equal part.
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
            Shape (n_rows,), in the order of ``images``; `of` all if None.

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
        of_weights_alone = float((self._not_sampled * np.bincount(self.numbers, weight / total) ** 2).sum())
        return Share(value, *_wilson(value, variance, of_weights_alone))

    def ends_with_unsure(self, is_hit: Flags) -> tuple[float, float]:
        """Share of all images that have a property if none, or each, of those people are unsure of had it.

        Parameters
        ----------
        is_hit
            Shape (n_rows,), in the order of ``images``.
        """
        weight = (self.images["weight"] / self.images["weight"].sum()).to_numpy(float)
        named = weight * self.images["named_share"].to_numpy(float)
        none = float(named[np.asarray(is_hit, dtype=bool)].sum())
        return none, float(none + 1 - named.sum())

    def variance_of_total(self, values: Array) -> float:
        """Variance of the sum of weighted values over repeated draws of the sample; shape (n_rows,)."""
        place, n = self._strata
        of_image = np.bincount(self.numbers, values)
        centre = np.where(n > 1, np.bincount(place, of_image)[place] / n, 0.0)
        correction = np.where(n > 1, n / np.maximum(n - 1, 1), 1.0)
        return float((self._not_sampled * correction * (of_image - centre) ** 2).sum())

    @property
    def n_labelled(self) -> int:
        """How many images have a label."""
        return len(self._first_rows)

    @cached_property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Number of each row's image, from 0; shape (n_rows,)."""
        return pd.factorize(self.images["image_id"])[0]

    @cached_property
    def _first_rows(self) -> pd.DataFrame:
        """One row of each image, in the order of their numbers."""
        return self.images.drop_duplicates("image_id")

    @cached_property
    def _strata(self) -> tuple[npt.NDArray[np.int64], Array]:
        """Number of each image's stratum, and how many images are labelled there."""
        place = pd.factorize(self._first_rows["stratum"])[0]
        return place, np.bincount(place)[place].astype(float)

    @cached_property
    def _not_sampled(self) -> Array:
        """Share of each image's stratum that is not labelled: the finite population correction."""
        return np.clip(1 - self._strata[1] / self._first_rows["n_in_stratum"].to_numpy(float), 0.0, 1.0)


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
    """Settle each image's label by most votes; where labels are tied each counts in equal part.

    To set ties aside would leave the easy images, and flatter the model. One who is unsure does not stand
    against one who is not.

    Parameters
    ----------
    labels
        Rows of ``image_labels``: one vote per image and rater, ``unsure`` among them.

    Returns
    -------
    settled
        Columns image_id, label (``unsure`` where most are) and portion (1 over the number of labels that
        are tied), in the order of image_id and label.
    """
    votes = labels.groupby(["image_id", "label"], as_index=False).size()
    most = votes.groupby("image_id")["size"].transform("max")
    first = votes[votes["size"] == most]
    is_alone = ~first["image_id"].duplicated(keep=False)
    settled = first[is_alone | (first["label"] != UNSURE)].reset_index(drop=True)
    settled["portion"] = 1 / settled.groupby("image_id")["label"].transform("size")
    return settled[["image_id", "label", "portion"]]


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
    is_unsure = settled["label"] == UNSURE
    used = settled[~is_unsure]
    is_labelled_there = candidates["image_id"].isin(used["image_id"]).groupby(candidates["local_authority"])
    candidates = candidates[is_labelled_there.transform("any")]
    strata = _strata(candidates, used, settled[is_unsure])
    images, n_not_covered = _weighted(candidates.merge(used, on="image_id", validate="one_to_many"), strata)
    return LabelledSample(
        images=images,
        n_images=int(strata["n_in_stratum"].sum()),
        predicted=strata.groupby("category")["n_in_stratum"].sum(),
        n_strata_without_label=int((strata["n_labelled"] == 0).sum()),
        n_not_covered=n_not_covered,
        n_unsure=int(is_unsure.sum()),
        n_tied=int(used.loc[used["portion"] < 1, "image_id"].nunique()),
        n_raters=labels.loc[labels["image_id"].isin(images["image_id"]), "rater"].nunique(),
    )


def _strata(candidates: pd.DataFrame, used: pd.DataFrame, unsure: pd.DataFrame) -> pd.DataFrame:
    """One row per local authority and stratum: its size, how many images have a label, and how many unsure."""
    given = {"n_labelled": used, "n_unsure": unsure}
    counted = {name: candidates["image_id"].isin(rows["image_id"]).astype(int) for name, rows in given.items()}
    of_stratum = candidates.assign(**counted).groupby(["local_authority", "stratum"], as_index=False)
    first = {name: (name, "first") for name in ("category", "n_in_stratum")}
    return of_stratum.agg(**first, **{name: (name, "sum") for name in given})


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
        category=("category", "first"), n_images=("n_in_stratum", "sum"), n_labelled=("n_labelled", "sum"),
        n_unsure=("n_unsure", "sum"),
    )  # fmt: skip
    covered = pooled[pooled["n_labelled"] > 0]
    of_category = pooled.groupby("category")["n_images"].sum()
    factor = of_category / covered.groupby("category")["n_images"].sum()
    n_not_covered = int(of_category[factor.reindex(of_category.index).isna()].sum())
    size = covered["n_images"] * covered["category"].map(factor)
    images = images.drop(columns="n_in_stratum").merge(
        strata[["local_authority", "stratum", "pooled"]], on=["local_authority", "stratum"]
    )
    images["n_in_stratum"] = images["pooled"].map(size)
    images["weight"] = images["portion"] * images["n_in_stratum"] / images["pooled"].map(covered["n_labelled"])
    n_settled = covered["n_labelled"] + covered["n_unsure"]
    images["named_share"] = images["pooled"].map(covered["n_labelled"] / n_settled)
    columns = ["image_id", "local_authority", "category", "probability", "label"]
    images = images[[*columns, "pooled", "n_in_stratum", "weight", "named_share"]]
    images = images.rename(columns={"pooled": "stratum"})
    return images.sort_values(["image_id", "label"], ignore_index=True), n_not_covered
