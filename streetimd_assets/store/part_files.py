"""One table in a DuckDB file of its own: opened for reading, or written with what it says about itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from streetimd_assets.errors import StoreError, TableUnreadableError
from streetimd_assets.schemas import SCHEMA_VERSION, Table
from streetimd_assets.store.embeddings import IMAGE_EMBEDDINGS, use_little_memory

# small blocks keep small tables small: a file is at least a few blocks
_SMALL_BLOCK = 16_384
_LARGE_BLOCK = 262_144
# a group of rows is written once it is full, and in memory until then: of 2 kB each, 120 MB
_ROWS_PER_GROUP = 61_440


@contextmanager
def open_table(path: Path, what: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a table file for reading.

    Raises
    ------
    StoreError
        If another program has the file open for writing.
    TableUnreadableError
        If the file is not one of DuckDB's.
    """
    connection = duckdb.connect(":memory:")
    try:
        try:
            # attached, not opened: while this process still has the file open that stood here before,
            # opening would give that one again
            connection.execute(f"ATTACH '{quoted(path)}' AS part (READ_ONLY)")
            connection.execute("USE part")
        except duckdb.Error as error:
            raise not_opened(path, what, error) from error
        yield connection
    finally:
        connection.close()


def not_opened(path: Path, what: str, error: duckdb.Error) -> StoreError:
    """Return the sentence for a file that DuckDB does not open."""
    if "Could not set lock" in str(error):
        return StoreError(
            f"{path} is open for writing in another program; close it there, or open it read-only, and try again"
        )
    return TableUnreadableError(
        f"{path} is not a DuckDB table file ({first_line(error)}); delete it and materialise {what} again"
    )


def write_file(path: Path, table: Table, rows: pa.Table) -> None:
    """Write rows to a new file."""
    with new_file(path, table) as connection:
        connection.register("rows", rows)
        connection.execute(f"INSERT INTO {table.name} SELECT * FROM rows")
        connection.unregister("rows")


@contextmanager
def new_file(path: Path, table: Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """Create a file with the empty table in it; checkpoint and close it at the end."""
    connection = duckdb.connect(":memory:")
    try:
        large = f"BLOCK_SIZE {_LARGE_BLOCK}, ROW_GROUP_SIZE {_ROWS_PER_GROUP}"
        how = large if table.holds_embeddings else f"BLOCK_SIZE {_SMALL_BLOCK}"
        # a file that is not finished is thrown away, so nothing needs to be recovered
        connection.execute(f"ATTACH '{quoted(path)}' AS part ({how}, RECOVERY_MODE no_wal_writes)")
        connection.execute("USE part")
        if table.holds_embeddings:
            # embeddings do not compress: trying costs time and can grow the file
            connection.execute("SET force_compression='uncompressed'")
        if table.name == IMAGE_EMBEDDINGS:
            use_little_memory(connection)
        # at once: each alone would wait for the disk, and a table has a sentence for each column
        connection.execute("BEGIN")
        for statement in _declarations(table):
            connection.execute(statement)
        connection.execute("COMMIT")
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
    yield f"COMMENT ON TABLE {table.name} IS '{quoted(f'one row is {table.grain}')}'"
    for column in table.columns:
        meaning = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
        yield f"COMMENT ON COLUMN {table.name}.\"{column.name}\" IS '{quoted(meaning)}'"
    written_at = datetime.now(UTC).isoformat(timespec="seconds")
    yield (
        f"CREATE TABLE table_provenance AS SELECT '{table.name}' AS table_name, {SCHEMA_VERSION} AS "
        f"schema_version, '{duckdb.__version__}' AS duckdb_version, TIMESTAMP '{written_at[:19]}' AS written_at"
    )


def version_of(connection: duckdb.DuckDBPyConnection, path: Path, what: str) -> int:
    """Return the schema version that a file was written by."""
    try:
        return int(connection.execute("SELECT schema_version FROM table_provenance").fetchall()[0][0])
    except (duckdb.Error, IndexError) as error:
        raise TableUnreadableError(
            f"{path} is a DuckDB file but not a table of StreetIMD; delete it and materialise {what} again"
        ) from error


def refused(path: Path | str, what: str, version: int) -> str:
    """Return why a file of another schema version is not read, and what to do."""
    if version > SCHEMA_VERSION:
        return (
            f"{path} was written by a later StreetIMD (schema version {version}, and this one reads up to "
            f"{SCHEMA_VERSION}); install that one, or materialise {what} again"
        )
    return f"{path} has schema version {version}, in which {what} meant something else; materialise {what} again"


def quoted(text: object) -> str:
    """Return text as it stands between a query's quotes."""
    return str(text).replace("'", "''")


def first_line(error: Exception) -> str:
    """Return what an error says, without the lines of a query below it."""
    return str(error).splitlines()[0]
