"""One small database that shows all of a study's tables under their names."""

from pathlib import Path

import duckdb

from streetimd_assets.schemas import TABLES
from streetimd_assets.store.files import written_whole
from streetimd_assets.store.tables import TableStore


def rebuild_views(store: TableStore, name: str) -> Path:
    """Write ``<name>.duckdb`` in the study's folder: only views, bound to where the data are.

    Tables that have not been materialised have no view.
    """
    target = store.folder / f"{name}.duckdb"
    with written_whole(target) as temporary:
        connection = duckdb.connect(str(temporary))
        try:
            for table in TABLES.values():
                if statement := _view(store, table.name):
                    connection.execute(statement)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
    return target


def _view(store: TableStore, name: str) -> str | None:
    folder = (store.folder / "tables" / name).resolve()
    if TABLES[name].is_partitioned:
        found = bool(store.local_authorities(name))
        pattern, options = folder / "*" / "part.duckdb", ", hive_partitioning=true, union_by_name=true"
    else:
        found = store.holds(name)
        pattern, options = folder / "part.duckdb", ""
    if not found:
        return None
    path = str(pattern).replace("'", "''")
    return f"CREATE VIEW {name} AS SELECT * FROM read_duckdb('{path}', table_name='{name}'{options})"
