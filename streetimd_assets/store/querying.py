"""Ask a study's tables in SQL: reading only, and nothing but the study's own tables."""

import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd

from streetimd_assets.errors import StoreError, TableMissingError
from streetimd_assets.schemas import TABLES
from streetimd_assets.store.files import allow_open_files, written_whole
from streetimd_assets.store.part_files import open_table
from streetimd_assets.store.spreadsheets import harmless
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import (
    add_view,
    as_pattern,
    require_known_versions,
    shown_tables,
    views_path,
    written_tables,
)

# rows are written to a file by so many times 2,048
_VECTORS = 25


def query(folder: Path, sql: str) -> pd.DataFrame:
    """Return what a query finds in a study's tables, each of which stands under its name.

    Tables kept per local authority have a column ``local_authority`` more than the ones declared.

    Parameters
    ----------
    folder
        The study's folder.
    sql
        One query in DuckDB's SQL, such as ``SELECT * FROM lsoa_features``; ``DESCRIBE`` and ``SHOW TABLES``
        are queries too. Nothing can be changed by it, and no other file read.

    Raises
    ------
    TableMissingError
        If the study has no table yet.
    StoreError
        If it is not one query, or DuckDB refuses it.
    """
    with _asked(Path(folder), sql) as connection:
        return connection.df()


def first_rows(folder: Path, sql: str, n_rows: int) -> tuple[pd.DataFrame, bool]:
    """Return the first rows that a query finds, and True if these are all; no more than needed is read.

    Raises
    ------
    TableMissingError, StoreError
        As of :func:`query`.
    """
    with _asked(Path(folder), sql) as connection:
        found = connection.fetch_df_chunk()
        # a part is as long as DuckDB likes it
        is_all = len(found) <= n_rows and connection.fetchone() is None
    return found.head(n_rows), is_all


def write_csv(folder: Path, sql: str, path: Path) -> int:
    """Write what a query finds as a CSV file whose texts no spreadsheet runs; return the number of rows.

    Raises
    ------
    TableMissingError, StoreError
        As of :func:`query`, and if the file may not be written.
    """
    n_rows = 0
    with (
        _asked(Path(folder), sql) as connection,
        written_whole(path, elsewhere="name another file with --csv") as temporary,
    ):
        while len(found := connection.fetch_df_chunk(_VECTORS)) or not n_rows:
            for column in found.select_dtypes(["object", "string"]):
                found[column] = harmless(found[column])
            found.to_csv(temporary, mode="a", header=not n_rows, index=False, encoding="utf-8")
            n_rows += len(found)
            if found.empty:
                break
    return n_rows


def tables(folder: Path) -> pd.DataFrame:
    """Return the tables a study has, in the order of its work.

    Returns
    -------
    tables
        Columns ``table``, ``one_row_is``, ``n_rows`` and, of tables kept per local authority,
        ``n_local_authorities``.

    Raises
    ------
    TableMissingError
        If the study has no table yet.
    """
    store = TableStore(Path(folder), ())
    rows = []
    with _opened(store.folder) as connection:
        for name in (name for name in TABLES if name in written_tables(store)):
            ((n_rows,),) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
            parts = len(store.local_authorities(name)) if TABLES[name].is_partitioned else None
            rows.append((name, TABLES[name].grain, n_rows, parts))
    listed = pd.DataFrame(rows, columns=["table", "one_row_is", "n_rows", "n_local_authorities"])
    return listed.astype({"n_local_authorities": "Int64"})


@contextmanager
def _asked(folder: Path, sql: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Ask a study's tables; what is found is read from the connection meanwhile."""
    with _opened(folder, sql) as connection:
        try:
            _require_one_query(connection, sql)
            with warnings.catch_warnings():
                # of pandas, about how DuckDB uses it
                warnings.simplefilter("ignore", DeprecationWarning)
                yield connection.execute(sql)
        except duckdb.Error as error:
            if "Too many open files" in str(error):
                raise StoreError(
                    f"the query opens more files than the {allow_open_files()} that this system allows: one for "
                    "each local authority and table; join fewer tables, choose local authorities, or raise the "
                    "limit (`ulimit -n`)"
                ) from error
            raise StoreError(
                f"the query was refused: {_in_one_line(error)}; `streetimd sql` lists the tables"
            ) from error


@contextmanager
def _opened(folder: Path, sql: str = "") -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the study's views for reading a query's tables, and shut the door on all other files."""
    store = TableStore(folder, ())
    written = written_tables(store)
    if not written:
        raise TableMissingError(f"{folder} holds no table yet; materialise the study, or name another with --data")
    # a study whose folder was moved, or that another run is adding to, is shown as it is now
    shown = shown_tables(store)
    allow_open_files()
    with (
        # a query may read what lies in the folder it spills into
        tempfile.TemporaryDirectory(prefix="streetimd-sql-") as spilled,
        open_table(views_path(store), "the views") if shown else _empty_database() as connection,
    ):
        for name in sorted(written - shown):
            add_view(connection, store, name, is_temporary=True)
        named = set(re.findall(r"\w+", sql.lower()))
        require_known_versions(connection, store, sorted(written & named))
        kept = (folder / "tables").resolve()
        # the views name their files by patterns, which are looked up before the files they stand for
        allowed = ", ".join(f"'{_quoted(place)}/'" for place in (kept, as_pattern(kept)))
        for setting in (
            f"temp_directory='{_quoted(spilled)}'",
            f"allowed_directories=[{allowed}]",
            "python_enable_replacements=false",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            connection.execute(f"SET {setting}")
        yield connection


@contextmanager
def _empty_database() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:")
    try:
        yield connection
    finally:
        connection.close()


def _require_one_query(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise StoreError unless this is one statement that only reads."""
    statements = connection.extract_statements(sql)
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise StoreError(
            f"{sql.strip()[:80]!r} is not one query that only reads; begin with SELECT, FROM, WITH, DESCRIBE or "
            "SHOW TABLES, and ask one thing at a time"
        )


def _quoted(place: object) -> str:
    return str(place).replace("'", "''")


def _in_one_line(error: duckdb.Error) -> str:
    """Return DuckDB's words without the drawing of where in the query it stumbled."""
    return " ".join(line for line in str(error).partition("\n\nLINE ")[0].splitlines() if line).strip()
