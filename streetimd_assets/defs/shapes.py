"""What a table's declaration says of its values: bounds that follow from the names of columns.

``schemas.py`` names columns for what they hold: ``_share`` is 0 to 1, ``n_`` counts, ``_rank`` begins at 1. The
same bounds are checked before a table is kept and shown in the column schema of the Dagster UI.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from streetimd_assets.errors import StoreError
from streetimd_assets.schemas import IMAGE_STATUSES, PANORAMA_STATUSES, UNSURE, Column, Table
from streetimd_assets.store.tables import TableStore

STATUSES = {"panoramas": PANORAMA_STATUSES, "street_images": IMAGE_STATUSES}
# words that stand in a column of categories beside the study's own
BESIDE_CATEGORIES = {"prompt_variants": ("control",), "assessment_images": ("control",)}
# the painter has scene classes of its own
WITHOUT_CATEGORIES = ("planted_scenes",)
# a sum of shares, or a cosine, may miss its bound by what floating-point numbers cannot hold
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Bounds:
    """The smallest and largest value of a column; infinite where there is none."""

    low: float = -math.inf
    high: float = math.inf
    is_open: bool = False

    @property
    def is_limited(self) -> bool:
        """False if any finite number will do."""
        return not (math.isinf(self.low) and math.isinf(self.high))

    def holds(self, values: pd.Series) -> "pd.Series[bool]":
        """Return True for each value within the bounds; unknown values are."""
        numbers = pd.to_numeric(values, errors="coerce").astype(float)
        below = numbers < self.low - TOLERANCE
        above = numbers >= self.high if self.is_open else numbers > self.high + TOLERANCE
        return ~(below | above | np.isinf(numbers))

    def __str__(self) -> str:
        if math.isinf(self.high):
            return "any finite number" if math.isinf(self.low) else f"at least {self.low:g}"
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"from {self.low:g} up to{' but not' if self.is_open else ''} {self.high:g}"


SHARE, SIGNED_SHARE = Bounds(0, 1), Bounds(-1, 1)
_WHOLE_NAMES = {
    "probability": SHARE,
    "precision": SHARE,
    "recall": SHARE,
    "margin": Bounds(0, 2),
    "r2": Bounds(high=1),
    "longitude_deg": Bounds(-180, 180),
    "latitude_deg": Bounds(-90, 90),
    "road_bearing_deg": Bounds(0, 180, is_open=True),
    "heading_deg": Bounds(0, 360, is_open=True),
    "camera_heading_deg": Bounds(0, 360, is_open=True),
    "bearing_deg": Bounds(0, 360, is_open=True),
    "logit_scale": Bounds(low=0),
}
_ENDS = {
    "_share": SHARE,
    "_probability": SHARE,
    "p_value": SHARE,
    "q_value": SHARE,
    "_absolute_r": SHARE,
    "_similarity": SIGNED_SHARE,
    "pearson_r": SIGNED_SHARE,
    "spearman_r": SIGNED_SHARE,
    "_rank": Bounds(low=1),
    "_decile": Bounds(1, 10),
    "_px": Bounds(low=1),
    "_bytes": Bounds(low=0),
    "_m2": Bounds(low=0),
    "_usd": Bounds(low=0),
    "length_m": Bounds(low=0),
    "distance_m": Bounds(low=0),
    "_absolute_error": Bounds(low=0),
    "importance_sd": Bounds(low=0),
    "position": Bounds(low=0),
}


def bounds_of(column: Column) -> Bounds | None:
    """Return what the name of a column says its values lie between; None if it holds no numbers."""
    if column.type not in ("DOUBLE", "INTEGER", "BIGINT"):
        return None
    if column.has_given_name:
        return Bounds()
    if column.name in _WHOLE_NAMES:
        return _WHOLE_NAMES[column.name]
    if column.name.startswith("n_"):
        return Bounds(low=0)
    return next((bounds for end, bounds in _ENDS.items() if column.name.endswith(end)), Bounds())


def find_faults(store: TableStore, name: str, frame: pd.DataFrame) -> tuple[list[str], str]:
    """Compare a table that is about to be kept with its declaration.

    Parameters
    ----------
    store
        Knows the declaration, its templates written out for the study.
    name, frame
        The table and its rows.

    Returns
    -------
    faults
        One sentence for each thing that is not as declared; none if all is.
    version
        Hash of the rows, which is the table's data version; empty if they do not fit their columns.
    """
    try:
        # names and types of columns, NULLs and keys are the store's own law
        version = store.frame_hash(name, frame)
    except StoreError as problem:
        return [str(problem)], ""
    return list(_faults_of_values(store.table(name), frame, store.categories)), version


def _faults_of_values(table: Table, frame: pd.DataFrame, categories: Sequence[str]) -> Iterator[str]:
    for column in table.columns:
        values, said = frame[column.name], f"{table.name}.{column.name}"
        bounds = bounds_of(column)
        if bounds is not None:
            yield from _faults(said, values, bounds.holds(values), str(bounds))
        if column.is_embedding:
            numbers = f"{column.n_dimensions} finite numbers"
            yield from _faults(said, values, values.map(_is_finite).astype(bool), numbers, shows=False)
        allowed = None if column.has_given_name else _allowed(table.name, column.name, categories)
        if allowed is not None:
            yield from _faults(said, values, values.isna() | values.isin(allowed), "one of " + ", ".join(allowed))
    yield from _faults_of_intervals(table, frame)


def _faults_of_intervals(table: Table, frame: pd.DataFrame) -> Iterator[str]:
    """Say where the lower end of an interval lies above the upper."""
    declared = [column.name for column in table.columns if not column.has_given_name]
    for low in (name for name in declared if name.endswith("low")):
        high = low.removesuffix("low") + "high"
        if high in declared:
            ends = frame[[low, high]].apply(pd.to_numeric, errors="coerce").astype(float)
            in_order = ~(ends[low] > ends[high])
            yield from _faults(f"{table.name}.{low}", frame[low], in_order, f"at most {high}")


def _faults(
    column: str, values: pd.Series, is_good: pd.Series, must_be: str, *, shows: bool = True
) -> Iterator[str]:
    if not is_good.all():
        wrong = values[~is_good]
        such_as = f", such as {wrong.iloc[0]!r}" if shows else ""
        yield f"{column} must be {must_be} and is not in {len(wrong):,} of {len(values):,} rows{such_as}"


def _allowed(table: str, column: str, categories: Sequence[str]) -> tuple[str, ...] | None:
    if column == "status":
        return STATUSES.get(table)
    if column == "category" and table not in WITHOUT_CATEGORIES:
        return (*categories, *BESIDE_CATEGORIES.get(table, ()))
    if column == "label":
        return (*categories, UNSURE)
    return None


def _is_finite(cell: object) -> bool:
    # an embedding that is not there is NULL
    return np.ndim(cell) != 1 or bool(np.isfinite(np.asarray(cell, dtype=float)).all())  # type: ignore[arg-type]
