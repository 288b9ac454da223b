"""SQL finds what is in a study's tables, and can do nothing else."""

import hashlib
import shutil
import subprocess
import sys

import duckdb
import pandas as pd
import pytest

from streetimd_assets.errors import StoreError, TableMissingError, TableUnreadableError
from streetimd_assets.schemas import SCHEMA_VERSION, TABLES
from streetimd_assets.store.querying import first_rows, query, tables, write_csv
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import rebuild_views, views_path
from streetimd_tests.store.made_up_study import EMPTY, KNOWN, write_study
from streetimd_tests.store.rows import rows_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study's folder, with what lies around it; whoever changes it takes a copy."""
    folder = write_study(tmp_path_factory.mktemp("around") / "o'dd [study] *").folder
    for path in (folder.parent / "outside.csv", folder / "secret.csv"):
        path.write_text("secret\n1\n")
    return folder


def quoted(path):
    return str(path).replace("'", "''")


def files_of(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_a_query_joins_tables_of_all_local_authorities(folder):
    found = query(
        folder,
        "SELECT local_authority, sum(imd_rank)::INT AS ranks, sum(n_images)::INT AS images "
        "FROM deprivation_indices LEFT JOIN lsoa_features USING (lsoa_code, local_authority) "
        "GROUP BY ALL ORDER BY ALL",
    )
    assert found.astype(object).where(found.notna(), None).values.tolist() == [[EMPTY, 36, None], [KNOWN, 6, 24]]


@pytest.mark.parametrize(
    "sql",
    ["FROM lsoa_features", "WITH a AS (FROM lsoa_features) FROM a", "DESCRIBE lsoa_features", "SHOW TABLES; "],
)
def test_every_way_of_asking_is_answered(folder, sql):
    assert len(query(folder, sql)) >= 3


def test_a_study_that_was_moved_or_has_no_views_is_shown_as_it_is_now(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "first")
    here = (tmp_path / "first").rename(tmp_path / folder.name)
    counted = "SELECT count(*) AS n FROM lsoa_boundaries"
    assert query(here, counted)["n"].tolist() == [6]
    for path in here.glob("*.duckdb"):
        path.unlink()
    before = files_of(here)
    assert query(here, counted)["n"].tolist() == [6]
    assert files_of(here) == before


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW lsoa_features",
        "CREATE TABLE mine AS SELECT 1",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "INSERT INTO lsoa_features SELECT * FROM lsoa_features",
        "UPDATE lsoa_features SET n_images = 0",
        "DELETE FROM lsoa_features",
        "COPY (SELECT 1) TO '{folder}/tables/mine.csv'",
        "COPY (SELECT 1) TO '{outside}'",
        "EXPORT DATABASE '{folder}/tables/mine'",
        "ATTACH '{folder}/tables/mine.duckdb'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/tables/mine.csv'",
        "INSTALL httpfs",
        "SET enable_external_access=true",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "SELECT 1; DROP VIEW lsoa_features",
        "SELECT 1; SELECT 2",
        "",
        "-- nothing",
    ],
)
def test_what_is_not_one_reading_query_is_refused_and_changes_nothing(folder, sql):
    before = files_of(folder.parent)
    sql = sql.replace("{folder}", quoted(folder)).replace("{outside}", quoted(folder.parent / "mine.csv"))
    with pytest.raises(StoreError, match="is not one query that only reads; begin with SELECT") as refused:
        query(folder, sql)
    assert "\n" not in str(refused.value)
    assert files_of(folder.parent) == before


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('{outside}')",
        "read_text('{outside}')",
        "'{outside}'",
        "glob('/*')",
        "read_text('{folder}/tables/../secret.csv')",
        "read_duckdb('{folder}/secret.duckdb', table_name='t')",
        "a_frame",
    ],
)
def test_a_query_reads_no_file_and_no_variable_but_the_studys_tables(folder, source):
    a_frame = pd.DataFrame({"secret": [1]})
    source = source.replace("{folder}", quoted(folder)).replace("{outside}", quoted(folder.parent / "outside.csv"))
    with pytest.raises(StoreError, match=r"the query was refused: .*; `streetimd sql` lists the tables$"):
        query(folder, f"SELECT * FROM {source}")
    assert len(a_frame) == 1


def test_of_many_rows_only_the_first_are_read_and_it_is_said_whether_these_are_all(folder):
    found, is_all = first_rows(folder, "FROM range(1_000_000_000_000) AS t(number)", 3)
    assert (found["number"].tolist(), is_all) == ([0, 1, 2], False)
    # as many as DuckDB hands over at a time
    assert first_rows(folder, "FROM range(2048)", 2048)[1]
    assert not first_rows(folder, "FROM range(2049)", 2048)[1]
    found, is_all = first_rows(folder, "SELECT 1 AS one WHERE false", 3)
    assert (list(found.columns), len(found), is_all) == (["one"], 0, True)


def test_a_csv_file_holds_every_row_and_no_text_that_a_spreadsheet_would_run(folder, tmp_path):
    path = tmp_path / "new" / "rows.csv"
    assert write_csv(folder, "SELECT range AS number, 'x' AS text FROM range(120_000)", path) == 120_000
    assert pd.read_csv(path)["number"].tolist() == list(range(120_000))
    write_csv(folder, "SELECT road_name, NULL AS n, [1, 2] AS list FROM road_segments ORDER BY segment_id", path)
    written = pd.read_csv(path)
    assert written["road_name"].tolist() == [
        "'=HYPERLINK(\"http://evil.example\")", "'-2+3", "'@SUM(A1)", "-x_9.Z", "High Street"
    ]  # fmt: skip
    assert written["n"].isna().all()
    assert write_csv(folder, "SELECT 1 AS one WHERE false", path) == 0
    assert path.read_text() == "one\n"


def test_a_csv_file_that_cannot_be_made_leaves_the_one_that_was_there(folder, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("mine")
    with pytest.raises(StoreError, match=r"the query was refused: .*boo"):
        write_csv(folder, "SELECT CASE WHEN range > 90_000 THEN error('boo') ELSE '' END FROM range(99_999)", path)
    assert [(left.name, left.read_text()) for left in tmp_path.iterdir()] == [("rows.csv", "mine")]
    with pytest.raises(StoreError, match=r"cannot be written \(.*\); name another file with --csv$"):
        write_csv(folder, "SELECT 1", path / "rows.csv")


def test_a_mistake_is_told_in_one_line_with_the_name_that_was_meant(folder):
    with pytest.raises(StoreError, match='lsoa_featurs does not exist! Did you mean "lsoa_features"') as refused:
        query(folder, "SELECT *\nFROM lsoa_featurs\nLIMIT 1")
    assert "\n" not in str(refused.value)


def test_the_list_of_tables_says_what_a_row_is_and_how_many_there_are(folder):
    listed = tables(folder).set_index("table")
    assert list(listed.index) == [name for name in TABLES if (folder / "tables" / name).exists()]
    assert listed.loc["lsoa_boundaries"].tolist() == ["an LSOA", 6, 2]
    assert listed.loc["lsoa_predictions", "n_rows"] == 12
    assert pd.isna(listed.loc["lsoa_predictions", "n_local_authorities"])


def test_a_table_written_after_the_views_is_shown_too(folder, tmp_path):
    store = TableStore(tmp_path / folder.name, ())
    shutil.copytree(folder, store.folder)
    written_at = views_path(store).stat().st_mtime_ns
    store.write("noise_correlations", rows_of(store.table("noise_correlations"), 4))
    assert query(store.folder, "SELECT count(*) AS n FROM noise_correlations")["n"].tolist() == [4]
    assert views_path(store).stat().st_mtime_ns == written_at


def test_a_folder_without_tables_is_named(tmp_path):
    for ask in (tables, lambda folder: query(folder, "SELECT 1")):
        with pytest.raises(TableMissingError, match=r"nowhere holds no table yet; materialise the study"):
            ask(tmp_path / "nowhere")


MANY, JOINED = 40, "SELECT count(*) AS n FROM imagery_plan JOIN lsoa_boundaries USING (local_authority, lsoa_code)"
ASK_WITH_FEW_FILES = """
import resource, sys
from pathlib import Path
from streetimd_assets.errors import StoreError
from streetimd_assets.store.querying import query

folder, soft, hard, sql = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NOFILE, (int(soft), int(hard)))
try:
    print(query(Path(folder), sql)["n"][0])
except StoreError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A study of forty local authorities."""
    store = TableStore(tmp_path_factory.mktemp("many") / "study", ())
    for number in range(MANY):
        for name in ("imagery_plan", "lsoa_boundaries"):
            rows = rows_of(store.table(name), 2).assign(lsoa_code=[f"Z{number}a", f"Z{number}b"])
            store.write(name, rows, f"la{number:02d}")
    rebuild_views(store)
    return store.folder


def ask_with_few_files(folder, soft, hard):
    asked = [sys.executable, "-c", ASK_WITH_FEW_FILES, str(folder), str(soft), str(hard), JOINED]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def test_a_query_opens_as_many_files_as_the_system_lets_it(many):
    assert ask_with_few_files(many, soft=60, hard=400) == str(2 * MANY)


def test_a_query_that_opens_more_files_than_may_be_open_says_so_in_one_sentence(many):
    said = ask_with_few_files(many, soft=60, hard=60)
    assert said.startswith("the query opens more files than the 60 that this system allows")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("version", "said"), [(1, "meant something else"), (SCHEMA_VERSION + 1, "written by a later StreetIMD")]
)
def test_a_part_of_another_schema_version_is_refused_and_other_tables_are_not(folder, tmp_path, version, said):
    copied = tmp_path / folder.name
    shutil.copytree(folder, copied)
    part = next((copied / "tables" / "lsoa_features").rglob("part.duckdb"))
    with duckdb.connect(str(part)) as connection:
        connection.execute(f"UPDATE table_provenance SET schema_version = {version}")
    with pytest.raises(TableUnreadableError, match=said):
        query(copied, "SELECT count(*) FROM LSOA_features")
    assert len(query(copied, "SELECT count(*) FROM deprivation_indices")) == 1
