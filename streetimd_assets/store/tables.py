"""One DuckDB file per table and local authority, each written whole by one writer.

``<study folder>/tables/<table>/local_authority=<slug>/part.duckdb``, study-wide tables the same
without the partition folder. Nobody waits for a lock: a file is written under a temporary name and
renamed into place.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from streetimd_assets.errors import StoreError, TableMissingError, TableUnreadableError
from streetimd_assets.schemas import EMBEDDING, EMBEDDING_DIMENSIONS, SCHEMA_VERSION, TABLES, Table, get_table
from streetimd_assets.store.files import sweep, written_whole

_ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "BLOB": pa.binary(),
    EMBEDDING: pa.list_(pa.float32(), EMBEDDING_DIMENSIONS),
}
# small blocks keep small tables small: a file is at least a few blocks
_SMALL_BLOCK = 16_384
_LARGE_BLOCK = 262_144


class TableStore:
    """The tables of one study.

    Parameters
    ----------
    folder
        The study's folder; tables stand below ``tables/``.
    categories
        The study's category names, which some columns are named for.
    """

    def __init__(self, folder: Path, categories: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.categories = tuple(categories)

    def table(self, name: str) -> Table:
        """Return a table's declaration, its columns written out for this study."""
        return get_table(name, self.categories)

    def path(self, name: str, local_authority: str | None = None) -> Path:
        """Return the file of a table, or of one local authority's part of it."""
        folder = self.folder / "tables" / name
        if TABLES[name].is_partitioned:
            if local_authority is None:
                raise StoreError(f"table {name} is kept per local authority; name one")
            folder = folder / f"local_authority={local_authority}"
        return folder / "part.duckdb"

    def holds(self, name: str, local_authority: str | None = None) -> bool:
        """Return True if the table, or that part of it, has been written."""
        return self.path(name, local_authority).exists()

    def local_authorities(self, name: str) -> list[str]:
        """Return the local authorities that have a part of this table, in alphabetical order."""
        parts = (self.folder / "tables" / name).glob("local_authority=*/part.duckdb")
        return sorted(path.parent.name.removeprefix("local_authority=") for path in parts)

    def write(self, name: str, frame: pd.DataFrame, local_authority: str | None = None) -> int:
        """Replace a table, or one local authority's part of it; return its number of rows.

        Raises
        ------
        StoreError
            If columns are missing or unknown, a key is repeated or a value is NULL that must not be.
        DiskFullError
            If there is no room left; what was there stays.
        """
        table = self.table(name)
        rows = as_arrow(table, frame)
        with written_whole(self.path(name, local_authority)) as temporary:
            _write_file(temporary, table, rows)
        return rows.num_rows

    def read(
        self, name: str, local_authority: str | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read a table in the order of its key; embeddings come as arrays or None.

        Raises
        ------
        TableMissingError
            If it has not been materialised.
        TableUnreadableError
            If the file is not a table of this package.
        """
        rows = self._read_arrow(name, local_authority, columns)
        frame = rows.drop_columns(
            [field.name for field in rows.schema if pa.types.is_fixed_size_list(field.type)]
        ).to_pandas()
        for field in rows.schema:
            if pa.types.is_fixed_size_list(field.type):
                frame[field.name] = _as_cells(rows.column(field.name))
        return frame[rows.column_names]

    def read_study_wide(
        self, name: str, local_authorities: Iterable[str], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read the parts of several local authorities as one table."""
        parts = [self.read(name, slug, columns) for slug in local_authorities]
        if not parts:
            raise TableMissingError(
                f"no local authority has {name} yet; materialise it for one or more of them first"
            )
        return pd.concat(parts, ignore_index=True)

    def read_embeddings(self, local_authority: str) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
        """Read image embeddings as their rows and a matrix of shape (n_images, 512)."""
        rows = self._read_arrow("image_embeddings", local_authority, None)
        frame = rows.drop_columns(["embedding"]).to_pandas()
        return frame, _as_matrix(rows.column("embedding"))

    def content_hash(self, name: str, local_authority: str | None = None) -> str:
        """Return a SHA-256 of the rows in their order; when they were written plays no part."""
        return _hash_rows(self._read_arrow(name, local_authority, None))

    def frame_hash(self, name: str, frame: pd.DataFrame) -> str:
        """Return what :meth:`content_hash` will be once this frame has been written."""
        return _hash_rows(as_arrow(self.table(name), frame))

    def chunks(self, name: str, local_authority: str) -> "Chunks":
        """Return the resumable chunk files of a large table's part."""
        return Chunks(self, name, local_authority)

    def sweep(self) -> int:
        """Remove what a killed run left half written; return how many files."""
        return sweep(self.folder / "tables")

    def _read_arrow(
        self, name: str, local_authority: str | None, columns: Sequence[str] | None
    ) -> pa.Table:
        table = self.table(name)
        path = self.path(name, local_authority)
        what = name if local_authority is None else f"{name} for {local_authority}"
        if not path.exists():
            raise TableMissingError(f"{what} has not been materialised yet; materialise it first")
        listed = ", ".join(f'"{column}"' for column in columns or table.column_names)
        order = ", ".join(f'"{column}"' for column in table.key)
        with open_table(path, what) as connection:
            _require_version(connection, path, what)
            try:
                return connection.sql(f"SELECT {listed} FROM {name} ORDER BY {order}").to_arrow_table()
            except duckdb.Error as error:
                raise TableUnreadableError(
                    f"{path} does not hold {what} as this study declares it ({_first_line(error)}); "
                    f"materialise {what} again"
                ) from error


class Chunks:
    """Parts of a large table, kept until the whole is put in place; a killed run resumes from them."""

    def __init__(self, store: TableStore, name: str, local_authority: str) -> None:
        self._store = store
        self._table = store.table(name)
        self._local_authority = local_authority
        self._target = store.path(name, local_authority)
        self._used: list[Path] = []

    def holds(self, fingerprint: str) -> bool:
        """Return True, and keep the chunk, if one with this fingerprint is already there."""
        path = self._path(fingerprint)
        if path.exists():
            self._used.append(path)
            return True
        return False

    def write(self, fingerprint: str, frame: pd.DataFrame, embeddings: npt.NDArray[np.float32]) -> None:
        """Write one chunk; `fingerprint` names what it was made from."""
        path = self._path(fingerprint)
        rows = as_arrow(self._table, frame, matrices={"embedding": embeddings})
        with written_whole(path) as temporary:
            _write_file(temporary, self._table, rows)
        self._used.append(path)

    def publish(self) -> int:
        """Join the chunks in the order of the key, put the table in place, remove the chunks."""
        if not self._used:
            return self._store.write(self._table.name, empty_frame(self._table), self._local_authority)
        with written_whole(self._target) as temporary, _new_file(temporary, self._table) as connection:
            for path in self._used:
                connection.execute(f"ATTACH '{_quoted(path)}' AS chunk (READ_ONLY)")
                connection.execute(f"INSERT INTO {self._table.name} SELECT * FROM chunk.{self._table.name}")
                connection.execute("DETACH chunk")
            n_rows = connection.execute(f"SELECT count(*) FROM {self._table.name}").fetchall()[0][0]
        for path in self._target.parent.glob("chunk-*.duckdb"):
            path.unlink()
        return int(n_rows)

    def _path(self, fingerprint: str) -> Path:
        return self._target.parent / f"chunk-{fingerprint}.duckdb"


def empty_frame(table: Table) -> pd.DataFrame:
    """Return a frame with the table's columns and no row."""
    return pd.DataFrame({column: pd.Series(dtype="object") for column in table.column_names})


def as_arrow(
    table: Table, frame: pd.DataFrame, matrices: dict[str, npt.NDArray[np.float32]] | None = None
) -> pa.Table:
    """Turn a frame into the declared columns and types, sorted by key, and check it."""
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
            array = _fixed_size(matrices[column.name])
        elif column.type == EMBEDDING:
            array = _fixed_size_from_cells(frame[column.name])
        else:
            array = pa.Array.from_pandas(frame[column.name], type=_ARROW_TYPES[column.type])
        if array.null_count and not column.nullable:
            raise StoreError(f"{table.name}.{column.name} is NULL in {array.null_count} rows; it must not be")
        arrays.append(array)
    rows = pa.table(arrays, names=list(table.column_names))
    keys = frame[list(table.key)]
    if keys.duplicated().any():
        twice = keys[keys.duplicated()].iloc[0].to_dict()
        raise StoreError(f"{table.name} has two rows with {twice}; a key names one row")
    return rows.sort_by([(key, "ascending") for key in table.key])


@contextmanager
def open_table(path: Path, what: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a table file for reading.

    Raises
    ------
    TableUnreadableError
        If the file is not one of DuckDB's.
    """
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise TableUnreadableError(
            f"{path} is not a DuckDB table file ({_first_line(error)}); delete it and materialise {what} again"
        ) from error
    try:
        yield connection
    finally:
        connection.close()


def _write_file(path: Path, table: Table, rows: pa.Table) -> None:
    with _new_file(path, table) as connection:
        connection.register("rows", rows)
        connection.execute(f"INSERT INTO {table.name} SELECT * FROM rows")
        connection.unregister("rows")


@contextmanager
def _new_file(path: Path, table: Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """Create a file with the empty table in it; checkpoint and close it at the end."""
    connection = duckdb.connect(":memory:")
    try:
        block = _LARGE_BLOCK if table.holds_embeddings else _SMALL_BLOCK
        connection.execute(f"ATTACH '{_quoted(path)}' AS part (BLOCK_SIZE {block})")
        connection.execute("USE part")
        if table.holds_embeddings:
            # embeddings do not compress: trying costs time and can grow the file
            connection.execute("SET force_compression='uncompressed'")
        for statement in _declarations(table):
            connection.execute(statement)
        yield connection
        connection.execute("CHECKPOINT part")
        connection.execute("USE memory")
        connection.execute("DETACH part")
    finally:
        connection.close()


def _declarations(table: Table) -> Iterator[str]:
    columns = ", ".join(
        f'"{column.name}" {column.type}{"" if column.nullable else " NOT NULL"}' for column in table.columns
    )
    yield f"CREATE TABLE {table.name} ({columns})"
    yield f"COMMENT ON TABLE {table.name} IS '{_quoted(f'one row is {table.grain}')}'"
    for column in table.columns:
        meaning = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
        yield f"COMMENT ON COLUMN {table.name}.\"{column.name}\" IS '{_quoted(meaning)}'"
    written_at = datetime.now(UTC).isoformat(timespec="seconds")
    yield (
        f"CREATE TABLE table_provenance AS SELECT '{table.name}' AS table_name, {SCHEMA_VERSION} AS "
        f"schema_version, '{duckdb.__version__}' AS duckdb_version, TIMESTAMP '{written_at[:19]}' AS written_at"
    )


def _require_version(connection: duckdb.DuckDBPyConnection, path: Path, what: str) -> None:
    try:
        version = connection.execute("SELECT schema_version FROM table_provenance").fetchall()[0][0]
    except (duckdb.Error, IndexError) as error:
        raise TableUnreadableError(
            f"{path} is a DuckDB file but not a table of StreetIMD; delete it and materialise {what} again"
        ) from error
    if version != SCHEMA_VERSION:
        raise TableUnreadableError(
            f"{path} has schema version {version} and this version of StreetIMD reads {SCHEMA_VERSION}; "
            f"materialise {what} again"
        )


def _hash_rows(rows: pa.Table) -> str:
    digest = hashlib.sha256()
    for column, values in zip(rows.column_names, rows.columns, strict=True):
        digest.update(column.encode())
        digest.update(np.asarray(values.is_valid()).tobytes())
        if pa.types.is_fixed_size_list(values.type):
            digest.update(np.nan_to_num(_as_matrix(values)).tobytes())
        else:
            digest.update(json.dumps(values.to_pylist(), default=repr).encode())
    return digest.hexdigest()


def _fixed_size(matrix: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    values = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).ravel())
    mask = None if valid is None else pa.array(~valid)
    return pa.FixedSizeListArray.from_arrays(values, EMBEDDING_DIMENSIONS, mask=mask)


def _fixed_size_from_cells(cells: pd.Series) -> pa.Array:
    valid = np.array([isinstance(cell, np.ndarray) for cell in cells], dtype=bool)
    matrix = np.zeros((len(cells), EMBEDDING_DIMENSIONS), dtype=np.float32)
    if valid.any():
        matrix[valid] = np.stack([cell for cell in cells if isinstance(cell, np.ndarray)])
    return _fixed_size(matrix, valid)


def _as_matrix(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """Return shape (n_rows, 512); a NULL row is NaN."""
    matrix = np.full((len(column), EMBEDDING_DIMENSIONS), np.nan, dtype=np.float32)
    valid = np.asarray(column.is_valid())
    values = column.drop_null().combine_chunks()
    matrix[valid] = values.flatten().to_numpy(zero_copy_only=False).reshape(-1, EMBEDDING_DIMENSIONS)
    return matrix


def _as_cells(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    cells = np.empty(len(column), dtype=object)
    valid = np.asarray(column.is_valid())
    for number, row in enumerate(_as_matrix(column)):
        cells[number] = row if valid[number] else None
    return cells


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
