"""Between pandas frames and Arrow tables that have a table's declared columns, types and order."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from streetimd_assets.errors import StoreError
from streetimd_assets.schemas import Column, Table

ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "BLOB": pa.binary(),
}
_HASHED_AT_ONCE = 4096


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column."""
    return pa.list_(pa.float32(), column.n_dimensions) if column.is_embedding else ARROW_TYPES[column.type]


def empty_frame(table: Table) -> pd.DataFrame:
    """Return a frame with the table's columns and no row."""
    return pd.DataFrame({column: pd.Series(dtype="object") for column in table.column_names})


def as_arrow(
    table: Table, frame: pd.DataFrame, matrices: Mapping[str, npt.NDArray[np.float32]] | None = None
) -> pa.Table:
    """Turn a frame into the declared columns and types, sorted by key, and check it.

    Parameters
    ----------
    table
        The declaration, its templates written out.
    frame
        The rows, in any order.
    matrices
        Embedding columns that `frame` lacks, as matrices of shape (n_rows, n_dimensions).

    Raises
    ------
    StoreError
        If columns are missing or unknown, a value does not have its column's type or is NULL where
        it must not be, or a key is repeated.
    """
    matrices = matrices or {}
    given = [*frame.columns, *matrices]
    missing = [column for column in table.column_names if column not in given]
    unknown = [column for column in given if column not in table.column_names]
    if missing or unknown:
        raise StoreError(
            f"table {table.name} lacks {missing or 'nothing'} and has unknown columns {unknown or 'none'}; "
            "its columns are declared in schemas.py"
        )
    arrays = []
    for column in table.columns:
        if column.name in matrices:
            array = as_fixed_size(matrices[column.name], column.n_dimensions)
        else:
            array = _as_array(table, column, frame[column.name])
        if array.null_count and not column.nullable:
            raise StoreError(f"{table.name}.{column.name} is NULL in {array.null_count} rows; it must not be")
        arrays.append(array)
    rows = pa.table(arrays, names=list(table.column_names))
    keys = frame[list(table.key)]
    if keys.duplicated().any():
        twice = keys[keys.duplicated()].iloc[0].to_dict()
        raise StoreError(f"{table.name} has two rows with {twice}; a key names one row")
    # to look is cheap, and to move embeddings is not
    order = pc.sort_indices(rows.select(list(table.key)), [(key, "ascending") for key in table.key])
    return rows if _is_counting(order) else rows.take(order)


def _is_counting(order: pa.Array) -> bool:
    return bool(np.array_equal(order.to_numpy(), np.arange(len(order))))


def _as_array(table: Table, column: Column, cells: pd.Series) -> pa.Array:
    """Return a column's values in its declared type."""
    try:
        if column.is_embedding:
            return _fixed_size_from_cells(cells, column.n_dimensions)
        if column.type in ("INTEGER", "BIGINT"):
            # of Python objects, arrow would drop a fraction without a word
            cells = cells.convert_dtypes()
        return pa.Array.from_pandas(cells, type=arrow_type(column))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise StoreError(
            f"{table.name}.{column.name} cannot be kept as {column.type} ({str(error).splitlines()[0]}); "
            "its values must have the type declared in schemas.py"
        ) from error


def hash_rows(rows: pa.Table) -> str:
    """Return a SHA-256 of the columns' names and values, in the order of the rows."""
    digest = hashlib.sha256()
    for column, values in zip(rows.column_names, rows.columns, strict=True):
        digest.update(column.encode())
        digest.update(np.asarray(values.is_valid()).tobytes())
        if pa.types.is_fixed_size_list(values.type):
            # in parts, because as a whole it would be in memory three times
            for start in range(0, len(values), _HASHED_AT_ONCE):
                digest.update(as_matrix(values.slice(start, _HASHED_AT_ONCE)).tobytes())
        else:
            digest.update(json.dumps(values.to_pylist(), default=repr).encode())
    return digest.hexdigest()


def as_fixed_size(
    matrix: npt.NDArray[np.float32], n_dimensions: int, valid: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return a matrix of shape (n_rows, n_dimensions) as an embedding column, without a copy if it can be."""
    values = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).ravel())
    mask = None if valid is None else pa.array(~valid)
    return pa.FixedSizeListArray.from_arrays(values, n_dimensions, mask=mask)


def _fixed_size_from_cells(cells: pd.Series, n_dimensions: int) -> pa.Array:
    # None and NaN are numbers of no dimension, an embedding has one
    valid = np.array([np.ndim(cell) == 1 for cell in cells], dtype=bool)
    matrix = np.zeros((len(cells), n_dimensions), dtype=np.float32)
    if valid.any():
        matrix[valid] = np.stack(list(cells[valid]))
    return as_fixed_size(matrix, n_dimensions, valid)


def as_matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """Return shape (n_rows, n_dimensions); a NULL row is NaN."""
    n_dimensions = column.type.list_size
    matrix = np.full((len(column), n_dimensions), np.nan, dtype=np.float32)
    valid = np.asarray(column.is_valid())
    values = column.drop_null().combine_chunks()
    matrix[valid] = values.flatten().to_numpy(zero_copy_only=False).reshape(-1, n_dimensions)
    return matrix


def as_cells(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return one array of shape (n_dimensions,) per row, or None."""
    cells = np.empty(len(column), dtype=object)
    valid = np.asarray(column.is_valid())
    for number, row in enumerate(as_matrix(column)):
        cells[number] = row if valid[number] else None
    return cells
