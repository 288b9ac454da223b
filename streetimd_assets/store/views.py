"""One small database that shows all of a study's tables under their names."""

import re
from pathlib import Path

import duckdb

from streetimd_assets.errors import StoreError, TableUnreadableError
from streetimd_assets.schemas import TABLES
from streetimd_assets.store.files import written_whole
from streetimd_assets.store.tables import TableStore, open_table


def show_table(store: TableStore, name: str) -> None:
    """Make sure that a table that has just been written has its view.

    A view reads whatever parts there are, so only a table's first part calls for a new database.

    Raises
    ------
    TableUnreadableError
        If a file among the study's tables is not one.
    """
    if name in _shown(store):
        return
    rebuild_views(store)
    # another run may have looked round before this table was there, and renamed its database last
    while not _written(store) <= _shown(store):
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
            for name in sorted(_written(store)):
                _add_view(connection, store, name)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
    return target


def _written(store: TableStore) -> set[str]:
    return {
        name
        for name, table in TABLES.items()
        if (store.local_authorities(name) if table.is_partitioned else store.holds(name))
    }


def _shown(store: TableStore) -> set[str]:
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


def _add_view(connection: duckdb.DuckDBPyConnection, store: TableStore, name: str) -> None:
    options = ", hive_partitioning=true, union_by_name=true" if TABLES[name].is_partitioned else ""
    source = f"read_duckdb({_pattern(store, name)}, table_name='{name}'{options})"
    try:
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {source}")
    except duckdb.Error as error:
        raise TableUnreadableError(
            f"table {name} cannot be shown in the study's database ({str(error).splitlines()[0]}); "
            "delete that file and materialise it again"
        ) from error


def _pattern(store: TableStore, name: str) -> str:
    """Return the files of a table as a pattern within quotes; signs that are patterns stand for themselves."""
    folder = re.sub(r"([\[*?])", r"[\1]", str((store.folder / "tables" / name).resolve())).replace("'", "''")
    return f"'{folder}/*/part.duckdb'" if TABLES[name].is_partitioned else f"'{folder}/part.duckdb'"
