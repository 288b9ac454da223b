"""Prove that a File 7 is whole: every LSOA of England once, and ranks and deciles in their order."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streetimd_assets.errors import DeprivationError
from streetimd_assets.schemas import DOMAINS

if TYPE_CHECKING:
    import pandas as pd

N_LSOAS: dict[str, int] = {"iod2025": 33_755, "iod2019": 32_844}
_REMEDY = "download File 7 again, or set deprivation.covers = 'part' if the file is a cut of it"


def require_national(table: "pd.DataFrame", *, index: str, origin: str) -> None:
    """See that an index covers England, and that ranks follow scores and deciles follow ranks.

    LSOAs whose published scores are equal may stand in any order.

    Parameters
    ----------
    table
        Columns of ``deprivation_indices``, in the order of the file's rows and numbered from 0.
    index
        The edition: ``iod2025`` or ``iod2019``.
    origin
        What errors call the file.

    Raises
    ------
    DeprivationError
        At the first thing that is not so; names the file, the row and both values.
    """
    if len(table) != N_LSOAS[index]:
        raise DeprivationError(
            f"{origin} has {len(table):,} LSOAs, and England has {N_LSOAS[index]:,} in {index}; {_REMEDY}"
        )
    for measure in ("imd", *DOMAINS):
        _require_ranks(table, measure, origin)
        _require_deciles(table, measure, origin)


def _require_ranks(table: "pd.DataFrame", measure: str, origin: str) -> None:
    """Rank 1 has the highest score, and so on down to the last."""
    rank, score = f"{measure}_rank", f"{measure}_score"
    outside = table[(table[rank] < 1) | (table[rank] > len(table))]
    if len(outside):
        row = outside.iloc[0]
        raise DeprivationError(f"{origin} gives {_name(row)} {rank} {row[rank]:,} of {len(table):,}; {_REMEDY}")
    order = np.lexsort((-table[score].to_numpy(), table[rank].to_numpy()))
    ranks, scores = table[rank].to_numpy()[order], table[score].to_numpy()[order]
    is_wrong = (np.diff(scores) > 0) | ((np.diff(ranks) == 0) & (np.diff(scores) != 0))
    if is_wrong.any():
        place = int(np.argmax(is_wrong))
        first, second = table.iloc[order[place]], table.iloc[order[place + 1]]
        raise DeprivationError(
            f"{origin} gives {_name(first)} {rank} {first[rank]:,} with {score} {first[score]:g}, and "
            f"{_name(second)} {rank} {second[rank]:,} with {score} {second[score]:g}, so ranks do not follow "
            f"scores; {_REMEDY}"
        )


def _require_deciles(table: "pd.DataFrame", measure: str, origin: str) -> None:
    """Decile 1 has the first tenth of the ranks, and so on; equal scores may lie on either side."""
    rank, score, decile = (f"{measure}_{kind}" for kind in ("rank", "score", "decile"))
    tied = table.groupby(score)[rank]
    # a tenth need not be a whole number, so a rank beside the border may count on either side
    lowest = _decile_of(tied.transform("min").to_numpy() - 1, len(table))
    highest = _decile_of(tied.transform("max").to_numpy() + 1, len(table))
    wrong = table[(table[decile] < lowest) | (table[decile] > highest)]
    if len(wrong):
        row = wrong.iloc[0]
        expected = _decile_of(np.asarray([row[rank]]), len(table))[0]
        raise DeprivationError(
            f"{origin} gives {_name(row)} {decile} {row[decile]}, where {rank} {row[rank]:,} means {expected}; "
            f"{_REMEDY}"
        )


def _decile_of(ranks: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int64]:
    return np.ceil(np.clip(ranks, 1, n) * 10 / n).astype(np.int64)


def _name(row: "pd.Series") -> str:
    # the file's first line holds the headings
    return f"{row['lsoa_code']} (line {int(str(row.name)) + 2:,})"
