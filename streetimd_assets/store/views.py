"""One small database that shows all of a study's tables under their names."""

import re
from collections.abc import Iterable
from pathlib import Path

import duckdb

from streetimd_assets.errors import StoreError, TableUnreadableError
from streetimd_assets.schemas import SCHEMA_VERSION, TABLES
from streetimd_assets.store.files import written_whole
from streetimd_assets.store.part_files import open_table, refused
from streetimd_assets.store.tables import TableStore


def show_table(store: TableStore, name: str) -> None:
    """Make sure that a table that has just been written has its view.

    A view reads whatever parts there are, so only a table's first part calls for a new database.

    Raises
    ------
    TableUnreadableError
        If a file among the study's tables is not one.
    """
    if name in shown_tables(store):
        return
    rebuild_views(store)
    # another run may have looked round before this table was there, and renamed its database last
    while not written_tables(store) <= shown_tables(store):
        rebuild_views(store)


def views_path(store: TableStore) -> Path:
    """Return the study's database of views: ``<study>.duckdb`` in the study's folder."""
    return store.folder / f"{store.folder.name}.duckdb"


def rebuild_views(store: TableStore) -> Path:
    """Write the study's database: only views, bound to where the data are.

    Tables that have not been materialised have no view.
    """
    target = views_path(store)
    with written_whole(target) as temporary:
        connection = duckdb.connect(str(temporary))
        try:
            for name in sorted(written_tables(store)):
                add_view(connection, store, name)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
    return target


def written_tables(store: TableStore) -> set[str]:
    """Return the names of the tables that have been materialised, for one local authority at least."""
    return {
        name
        for name, table in TABLES.items()
        if (store.local_authorities(name) if table.is_partitioned else store.holds(name))
    }


def shown_tables(store: TableStore) -> set[str]:
    """Return the names of the tables that the study's database shows, from where the data are now."""
    target = views_path(store)
    if not target.exists():
        return set()
    try:
        with open_table(target, "the views") as connection:
            views = connection.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal").fetchall()
    except StoreError:
        # whoever has it open for writing keeps what they see; a new one takes its place
        return set()
    return {name for name, sql in views if _pattern(store, name) in sql}


def add_view(
    connection: duckdb.DuckDBPyConnection, store: TableStore, name: str, *, is_temporary: bool = False
) -> None:
    """Show a table under its name in an open database; a temporary view ends with the connection.

    Raises
    ------
    TableUnreadableError
        If a file of the table is not one.
    """
    options = ", hive_partitioning=true, union_by_name=true" if TABLES[name].is_partitioned else ""
    source = f"read_duckdb({_pattern(store, name)}, table_name='{name}'{options})"
    try:
        kind = "TEMP VIEW" if is_temporary else "VIEW"
        connection.execute(f"CREATE {kind} {name} AS SELECT * FROM {source}")
    except duckdb.Error as error:
        raise TableUnreadableError(_not_shown(name, error)) from error


def require_known_versions(connection: duckdb.DuckDBPyConnection, store: TableStore, names: Iterable[str]) -> None:
    """Refuse tables of which a part was written by a schema version that this program would misread.

    Raises
    ------
    TableUnreadableError
        If there is one, or a file of them is not a table of StreetIMD.
    """
    for name in names:
        parts = f"read_duckdb({_pattern(store, name)}, table_name='table_provenance')"
        try:
            found = connection.execute(f"SELECT min(schema_version), max(schema_version) FROM {parts}").fetchall()
        except duckdb.Error as error:
            raise TableUnreadableError(_not_shown(name, error)) from error
        for version in found[0]:
            if not TABLES[name].since <= version <= SCHEMA_VERSION:
                raise TableUnreadableError(refused(f"a part of {name}", name, version))


def _not_shown(name: str, error: duckdb.Error) -> str:
    return (
        f"table {name} cannot be shown in the study's database ({str(error).splitlines()[0]}); "
        "delete that file and materialise it again"
    )


def _pattern(store: TableStore, name: str) -> str:
    """Return the files of a table as a pattern within quotes."""
    folder = as_pattern(store.folder / "tables" / name).replace("'", "''")
    return f"'{folder}/*/part.duckdb'" if TABLES[name].is_partitioned else f"'{folder}/part.duckdb'"


def as_pattern(folder: Path) -> str:
    """Return a folder's path as a pattern in which every sign stands for itself."""
    return re.sub(r"([\[*?])", r"[\1]", str(folder.resolve()))
