"""One database shows all of a study's tables under their names, while they are being rewritten too."""

import subprocess
import sys

import duckdb
import pytest

from streetimd_assets.errors import TableUnreadableError
from streetimd_assets.schemas import TABLES
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import rebuild_views, show_table, views_path
from streetimd_tests.store.rows import rows_of

# rewrites one local authority's part again and again; all rows of one writing carry its number
REWRITE = """
import sys
from pathlib import Path
import pandas as pd
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import show_table

store, slug = TableStore(Path(sys.argv[1]), ("a", "b")), sys.argv[2]
for number in range(1, 10):
    codes = [f"{slug}-{place}" for place in range(40)]
    rows = pd.DataFrame({"lsoa_code": codes, "lad_code": "Z", "deprivation": number})
    store.write("planted_lsoas", rows.assign(a_planted_share=0.5, b_planted_share=0.5), slug)
    show_table(store, "planted_lsoas")
"""


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path / "o'dd [study] *", ("a", "b"))


def write(store, name, n_rows=3, slug="camden"):
    rows = rows_of(store.table(name), n_rows)
    store.write(name, rows, slug if TABLES[name].is_partitioned else None)


def ask(store, query):
    with duckdb.connect(str(views_path(store)), read_only=True) as connection:
        return connection.execute(query).fetchall()


def names_shown(store):
    return {name for (name,) in ask(store, "SELECT view_name FROM duckdb_views() WHERE NOT internal")}


def test_all_tables_are_shown_under_their_names(store):
    for name in TABLES:
        write(store, name)
    path = rebuild_views(store)
    assert path == store.folder / f"{store.folder.name}.duckdb"
    listed = "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() WHERE NOT internal"
    columns = dict(ask(store, f"{listed} GROUP BY ALL"))
    assert set(columns) == set(TABLES)
    for name, shown in columns.items():
        partition = ["local_authority"] if TABLES[name].is_partitioned else []
        assert shown == [*store.table(name).column_names, *partition]
    counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)
    assert dict(ask(store, counts)) == dict.fromkeys(TABLES, 3)


def test_the_database_holds_no_rows_of_its_own(store):
    write(store, "sample_points")
    rebuild_views(store)
    assert ask(store, "SELECT count(*) FROM duckdb_tables()") == [(0,)]
    store.path("sample_points", "camden").unlink()
    assert ask(store, "SELECT view_name FROM duckdb_views() WHERE NOT internal") == [("sample_points",)]


def test_a_part_that_is_written_later_is_shown_without_a_new_database(store):
    write(store, "sample_points")
    show_table(store, "sample_points")
    written = views_path(store).stat().st_ino
    write(store, "sample_points", 4, "sutton")
    show_table(store, "sample_points")
    assert views_path(store).stat().st_ino == written
    shown = ask(store, "SELECT local_authority, count(*) FROM sample_points GROUP BY ALL ORDER BY ALL")
    assert shown == [("camden", 3), ("sutton", 4)]


def test_parts_with_other_categories_are_shown_side_by_side(store):
    write(store, "planted_lsoas")
    show_table(store, "planted_lsoas")
    write(TableStore(store.folder, ("a", "c")), "planted_lsoas", 2, "sutton")
    query = "SELECT count(a_planted_share), count(b_planted_share), count(c_planted_share) FROM planted_lsoas"
    assert ask(store, query) == [(5, 3, 2)]


def test_a_data_folder_that_was_moved_is_shown_from_where_it_is_now(store):
    write(store, "sample_points")
    show_table(store, "sample_points")
    moved = TableStore(store.folder.with_name("moved"), store.categories)
    store.folder.rename(moved.folder)
    views_path(moved).with_name(f"{store.folder.name}.duckdb").rename(views_path(moved))
    write(moved, "sample_points", 6, "sutton")
    show_table(moved, "sample_points")
    assert ask(moved, "SELECT count(*) FROM sample_points") == [(9,)]


def test_a_table_that_was_missed_by_a_run_beside_is_shown_in_the_end(store):
    # another run looked round before the points were written, and renamed its database after
    write(store, "noise_correlations")
    rebuild_views(store)
    write(store, "sample_points")
    write(store, "panoramas")
    show_table(store, "panoramas")
    assert names_shown(store) == {"noise_correlations", "sample_points", "panoramas"}


def test_someone_who_has_the_database_open_for_writing_does_not_stop_a_run(store):
    write(store, "sample_points")
    path = rebuild_views(store)
    code = f"import duckdb; kept = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        write(store, "panoramas")
        show_table(store, "panoramas")
        assert names_shown(store) == {"sample_points", "panoramas"}
        other.communicate(b"\n")


def test_a_file_that_is_not_a_table_is_named(store):
    write(store, "sample_points")
    path = store.path("sample_points", "camden")
    path.write_text("spoiled " * 500)
    with pytest.raises(TableUnreadableError, match="table sample_points cannot be shown") as told:
        rebuild_views(store)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_readers_of_the_whole_and_writers_of_its_parts_see_no_error_and_no_torn_part(store):
    command = [sys.executable, "-c", REWRITE, str(store.folder)]
    writers = [subprocess.Popen([*command, slug], stderr=subprocess.PIPE) for slug in ("camden", "sutton")]
    n_looks, seen = 0, set()
    while any(writer.poll() is None for writer in writers):
        for slug in store.local_authorities("planted_lsoas"):
            part = store.read("planted_lsoas", slug)
            assert len(part) == 40
            assert part["deprivation"].nunique() == 1
        if views_path(store).exists():
            numbers = "min(deprivation), max(deprivation)"
            query = f"SELECT local_authority, count(*), {numbers} FROM planted_lsoas GROUP BY ALL"
            for slug, n_rows, low, high in ask(store, query):
                assert (n_rows, low) == (40, high), slug
                seen.add((slug, low))
            n_looks += 1
    for writer in writers:
        _, complaint = writer.communicate()
        assert writer.returncode == 0, complaint.decode()
    assert n_looks > 3
    assert len(seen) > 3
    assert not list(store.folder.rglob(".tmp-*"))
    assert ask(store, "SELECT count(*), sum(deprivation) FROM planted_lsoas") == [(80, 80 * 9)]
