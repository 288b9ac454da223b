"""LSOAs described by a table of area features that has nothing to do with images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas


def describe_lsoas(
    lsoa_codes: Sequence[str], lad_code: str, rows: pd.DataFrame, *, names: Sequence[str], source: str
) -> pd.DataFrame:
    """Lay the features of one local authority's LSOAs out as ``lsoa_features``.

    Each feature is a column under its own name, and a dimension of ``mean_embedding``, which all that
    reads embeddings reads. An LSOA that lacks one of them, or that rests on nothing, has no
    ``mean_embedding`` and counts as one without images: it is left out of every statistic.

    Parameters
    ----------
    lsoa_codes
        One row is returned for each.
    lad_code
        Code of their local authority.
    rows
        Columns ``lsoa_code``, ``n_images`` (what the features rest on) and `names`; one row per LSOA.
    names
        Names of the features.
    source
        Names the table and its content: rows of different ones are never pooled.

    Returns
    -------
    features
        Rows of ``lsoa_features``, in the order of ``lsoa_code``.
    """
    codes = pd.Index(sorted(lsoa_codes), name="lsoa_code")
    known = rows.set_index("lsoa_code").reindex(codes)
    values = known[list(names)].to_numpy(np.float64)
    counts = known["n_images"].fillna(0).astype(int)
    is_complete = np.isfinite(values).all(axis=1) & (counts > 0).to_numpy()
    declared = schemas.get_table("lsoa_features", features=names).columns
    columns: dict[str, Any] = {column.name: pd.Series(None, codes, dtype=object) for column in declared}
    columns |= {name: known[name] for name in names}
    columns |= {
        "lad_code": lad_code,
        "n_points": 0,
        "n_panoramas": 0,
        "n_images": counts.where(is_complete, 0),
        "n_images_kept": counts.where(is_complete, 0),
        "mean_embedding": _cells(values, is_complete, codes),
        # no category and no encoder had a part in it
        "category_set_hash": schemas.NO_CATEGORY_SET,
        "encoder": source,
    }
    del columns["lsoa_code"]
    return pd.DataFrame(columns, index=codes).reset_index()[[column.name for column in declared]]


def _cells(
    values: npt.NDArray[np.float64], is_complete: npt.NDArray[np.bool_], codes: "pd.Index[str]"
) -> pd.Series:
    """Return each complete row as a vector of shape (n_features,), None for the others."""
    cells = np.empty(len(values), dtype=object)
    for place in np.flatnonzero(is_complete):
        cells[place] = values[place].astype(np.float32)
    return pd.Series(cells, codes)


def standardised(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Give each column mean 0 and standard deviation 1 over the rows; one that never varies is 0.

    Area features have units of their own: without this, principal components would be those of the
    column with the largest numbers.

    Parameters
    ----------
    values
        Shape (n_lsoas, n_features), without missing values.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers):
        return numbers.astype(np.float32)
    spread = numbers.std(axis=0)
    # a constant column is not quite zero after centring
    spread[np.ptp(numbers, axis=0) == 0] = np.inf
    return ((numbers - numbers.mean(axis=0)) / spread).astype(np.float32)
