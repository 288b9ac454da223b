"""Rows of any table, drawn at random within its declared types; NULLs are among them where they may be."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from streetimd_assets.schemas import Column, Table


def rows_of(table: Table, n_rows: int = 7, *, seed: int = 1) -> pd.DataFrame:
    """Return rows in a random order; each key is different."""
    rng = np.random.default_rng(seed)
    columns = {
        column.name: [_value(column, column.name in table.key, number, rng) for number in range(n_rows)]
        for column in table.columns
    }
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return frame.iloc[rng.permutation(n_rows)].reset_index(drop=True)


def _value(column: Column, is_key: bool, number: int, rng: np.random.Generator) -> object:
    if column.nullable and number % 3 == 2:
        return None
    match column.type:
        case "VARCHAR":
            return f"{column.name} {number:03d} 'ł\"\n{'' if is_key else rng.integers(1000)}"
        case "INTEGER" | "BIGINT":
            return number if is_key else int(rng.integers(-(2**31), 2**31 - 1))
        case "DOUBLE":
            return float(rng.normal()) * 10.0 ** float(rng.integers(-9, 9))
        case "BOOLEAN":
            return bool(rng.integers(2))
        case "DATE":
            return date(2009, 1, 1) + timedelta(days=int(rng.integers(6000)))
        case "TIMESTAMP":
            return datetime(2009, 1, 1) + timedelta(seconds=int(rng.integers(10**8)))
        case "BLOB":
            return rng.bytes(40)
        case _ if column.is_embedding:
            return rng.normal(size=column.n_dimensions).astype(np.float32)
        case other:
            raise AssertionError(f"no rows of type {other}")


def same_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return True if both hold the same values in the same order; NULL is the same as NULL."""
    if list(one.columns) != list(other.columns) or len(one) != len(other):
        return False
    return all(
        _same(a, b) for name in one.columns for a, b in zip(one[name].tolist(), other[name].tolist(), strict=True)
    )


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)  # type: ignore[arg-type]
    return (pd.isna(a) and pd.isna(b)) or a == b
