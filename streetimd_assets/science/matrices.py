"""Feature matrices: one row per LSOA, one named column per embedding dimension, category share or area feature."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import STATISTICS
from streetimd_assets.science.features import require_one_vintage, stack_embeddings

# of images
FEATURE_SETS = ("embeddings", "percentages", "both")
# of a study without images: the columns of its table of area features
TABLE = "table"
# sets that do not depend on how images are pooled
UNPOOLED = ("percentages", TABLE)
MIN_LSOAS = 20


@dataclass(frozen=True, eq=False)
class FeatureMatrix:
    """Numbers a model is fitted on, with the names of rows and columns.

    Parameters
    ----------
    values
        Shape (n_lsoas, n_features), without missing values.
    names
        Name of each column, such as ``mean_embedding_007`` or ``shops_share``.
    lsoa_codes
        LSOA of each row, in ascending order.
    has_own_units
        True if each column has a unit of its own, whatever it is called: area features that a user named.
    """

    values: npt.NDArray[np.float32]
    names: tuple[str, ...]
    lsoa_codes: npt.NDArray[np.object_]
    has_own_units: bool = False

    def take(self, rows: npt.NDArray[np.intp]) -> "FeatureMatrix":
        """Return some of the rows, as a matrix of their own."""
        return replace(self, values=self.values[rows], lsoa_codes=self.lsoa_codes[rows])

    @property
    def is_embedding(self) -> npt.NDArray[np.bool_]:
        """True for each column that is an embedding dimension, shape (n_features,)."""
        is_dimension = [re.search(r"_embedding_\d{3}$", name) is not None for name in self.names]
        return np.array(is_dimension) & (not self.has_own_units)


def feature_matrix(
    features: pd.DataFrame,
    feature_set: str,
    *,
    statistic: str = "mean",
    category: str | None = None,
    shares: Sequence[str],
) -> FeatureMatrix:
    """Build the matrix of a feature set, leaving out LSOAs that lack any of it.

    The percentages are the shares of the content categories, all of them: they sum to one over the
    kept images, which neither a penalised model nor a tree minds, and no category has to be the one
    left unsaid. The share of rejected images is not among them: it tells of cameras and traffic.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``.
    feature_set
        ``embeddings``, ``percentages``, ``both``, or ``table``: area features, where there are no images.
    statistic
        How images are pooled: ``mean``, ``median`` or ``max``; percentages and area features have none.
    category
        Use only the images of this category; None for all kept images.
    shares
        Columns of category shares, such as ``shops_share``; of a table, its columns of area features.

    Returns
    -------
    matrix
        Rows in the order of ``lsoa_code``.

    Raises
    ------
    ScienceError
        If the feature set, the statistic or a column does not exist.
    """
    if feature_set not in (*FEATURE_SETS, TABLE):
        raise ScienceError(f"'{feature_set}' is not a feature set; use {', '.join((*FEATURE_SETS, TABLE))}")
    if statistic not in STATISTICS:
        raise ScienceError(f"'{statistic}' is not a statistic; use {', '.join(STATISTICS)}")
    ordered = features.sort_values("lsoa_code", kind="stable")
    blocks: list[npt.NDArray[np.float32]] = []
    names: list[str] = []
    if feature_set in ("embeddings", "both"):
        column = "_".join(filter(None, (category, statistic, "embedding")))
        embeddings = stack_embeddings(_columns(ordered, [column])[column])
        blocks.append(embeddings)
        names += [f"{column}_{dimension:03d}" for dimension in range(embeddings.shape[1])]
    if feature_set != "embeddings":
        blocks.append(_columns(ordered, list(shares)).to_numpy(np.float32, na_value=np.nan))
        names += shares
    values = np.hstack(blocks)
    complete = np.isfinite(values).all(axis=1)
    codes = ordered["lsoa_code"].to_numpy(object)[complete]
    return FeatureMatrix(np.ascontiguousarray(values[complete]), tuple(names), codes, feature_set == TABLE)


def _columns(features: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    missing = [name for name in names if name not in features.columns]
    if missing:
        raise ScienceError(
            f"the features have no column '{missing[0]}'; materialise lsoa_features with the study's categories"
        )
    return features[names]


def with_target(features: pd.DataFrame, target: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Join features and target on the LSOA code, and check that models may be fitted on them.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``: the unit of every split is the LSOA, so one row each.
    target
        What is predicted, indexed by ``lsoa_code``; LSOAs where it is missing are left out.

    Returns
    -------
    features, target
        The LSOAs that have a target and any image kept, in the order of ``lsoa_code``.

    Raises
    ------
    ScienceError
        If an LSOA stands twice, if rows of different encoders or category sets are mixed, if there
        are too few LSOAs, or if the target does not vary.
    """
    for codes, what in ((features["lsoa_code"], "features"), (target.index.to_series(), "the target")):
        twice = codes[codes.duplicated()]
        if len(twice):
            raise ScienceError(f"LSOA {twice.iloc[0]} has several rows of {what}; give one row per LSOA")
    require_one_vintage(features)
    seen = features[_columns(features, ["mean_embedding"])["mean_embedding"].notna()]
    known = target[target.notna() & target.index.isin(seen["lsoa_code"])].astype(float).sort_index()
    ordered = seen[seen["lsoa_code"].isin(known.index)].sort_values("lsoa_code")
    require_enough(len(known), "have features and a target")
    if known.nunique() < 2:
        raise ScienceError(
            f"the target is {known.iloc[0]:g} in all {len(known)} LSOAs; models need one that varies"
        )
    return ordered, known


def require_enough(n_lsoas: int, what: str) -> None:
    """Raise ScienceError if fewer than :data:`MIN_LSOAS` LSOAs are left."""
    if n_lsoas < MIN_LSOAS:
        raise ScienceError(
            f"{n_lsoas} LSOAs {what}; at least {MIN_LSOAS} are needed: materialise more local authorities"
        )
