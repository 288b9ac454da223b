"""A table comes back as it was written, says what it holds, and refuses what does not fit."""

import duckdb
import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import StoreError, TableMissingError, TableUnreadableError
from streetimd_assets.schemas import SCHEMA_VERSION, TABLES
from streetimd_assets.store.tables import TableStore, open_table
from streetimd_tests.store.rows import rows_of, same_rows

CATEGORIES = ("shops", "green_space")


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path / "a study's data", CATEGORIES)


def place(name):
    return "camden" if TABLES[name].is_partitioned else None


def sorted_by_key(table, frame):
    return frame.sort_values(list(table.key), ignore_index=True)[list(table.column_names)]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_comes_back_as_it_was_written_in_the_order_of_its_key(store, name):
    table = store.table(name)
    rows = rows_of(table)
    assert store.write(name, rows, place(name)) == len(rows)
    assert same_rows(store.read(name, place(name)), sorted_by_key(table, rows))
    assert store.holds(name, place(name))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_may_be_empty(store, name):
    table = store.table(name)
    assert store.write(name, rows_of(table, 0), place(name)) == 0
    assert list(store.read(name, place(name)).columns) == list(table.column_names)


@pytest.mark.parametrize("name", ["street_images", "lsoa_features", "deprivation_indices"])
def test_the_database_itself_says_what_columns_mean_and_their_units(store, name):
    table = store.table(name)
    store.write(name, rows_of(table), "camden")
    with duckdb.connect(str(store.path(name, "camden")), read_only=True) as connection:
        said = connection.execute(
            "SELECT column_name, comment, is_nullable, data_type FROM duckdb_columns() WHERE table_name = ?"
            " ORDER BY column_index",
            [name],
        ).fetchall()
        grain = connection.execute("SELECT comment FROM duckdb_tables() WHERE table_name = ?", [name]).fetchall()
    assert [column for column, *_ in said] == list(table.column_names)
    for column, (_, comment, is_nullable, data_type) in zip(table.columns, said, strict=True):
        assert column.meaning in comment
        assert comment.endswith(f"[{column.unit}]") or not column.unit
        assert is_nullable == column.nullable
        assert data_type == column.type
    assert grain == [(f"one row is {table.grain}",)]


def test_a_file_records_the_versions_that_wrote_it(store):
    store.write("imd_correlations", rows_of(store.table("imd_correlations")))
    with open_table(store.path("imd_correlations"), "it") as connection:
        recorded = connection.execute("SELECT * EXCLUDE written_at FROM table_provenance").fetchall()
    assert recorded == [("imd_correlations", SCHEMA_VERSION, duckdb.__version__)]


def test_numbers_may_come_in_any_type_that_holds_them(store):
    rows = rows_of(store.table("noise_correlations"))
    store.write("noise_correlations", rows.assign(n_lsoas=np.float64(12), max_absolute_r=np.float32(0.5)))
    read = store.read("noise_correlations")
    assert set(read["n_lsoas"]) == {12}
    assert set(read["max_absolute_r"]) == {0.5}


def test_only_the_columns_asked_for_are_read(store):
    rows = rows_of(store.table("lsoa_features"))
    store.write("lsoa_features", rows, "camden")
    read = store.read("lsoa_features", "camden", ["max_embedding", "lsoa_code"])
    expected = sorted_by_key(store.table("lsoa_features"), rows)
    assert same_rows(read, expected[["max_embedding", "lsoa_code"]])


def test_several_local_authorities_are_read_as_one_table(store):
    for seed, slug in enumerate(("camden", "sutton")):
        store.write("lsoa_features", rows_of(store.table("lsoa_features"), 4, seed=seed), slug)
    assert store.local_authorities("lsoa_features") == ["camden", "sutton"]
    both = store.read_study_wide("lsoa_features", ["camden", "sutton"], ["lsoa_code", "mean_embedding"])
    assert len(both) == 8
    with pytest.raises(TableMissingError, match="no local authority has lsoa_features yet"):
        store.read_study_wide("lsoa_features", [])


def test_embeddings_are_read_as_a_matrix_beside_their_rows(store):
    rows = rows_of(store.table("image_embeddings"))
    store.write("image_embeddings", rows, "camden")
    frame, matrix = store.read_embeddings("camden")
    expected = sorted_by_key(store.table("image_embeddings"), rows)
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix, np.stack(expected["embedding"].tolist()))
    assert frame["image_id"].tolist() == expected["image_id"].tolist()


def test_embeddings_of_some_images_come_in_the_order_asked(store):
    rows = rows_of(store.table("image_embeddings"), 20)
    store.write("image_embeddings", rows, "camden")
    wanted = rows.sample(9, random_state=4)
    matrix = store.read_embeddings_of("camden", wanted["image_id"].tolist())
    assert np.array_equal(matrix, np.stack(wanted["embedding"].tolist()))
    assert store.read_embeddings_of("camden", []).shape == (0, 512)
    with pytest.raises(StoreError, match=r"1 of 2 images of camden are not in image_embeddings; materialise it"):
        store.read_embeddings_of("camden", [rows["image_id"][0], "another"])
    with pytest.raises(TableMissingError, match="image_embeddings for sutton has not been materialised yet"):
        store.read_embeddings_of("sutton", [])


def test_many_categories_read_without_a_warning(tmp_path):
    store = TableStore(tmp_path, [f"category_{number}" for number in range(40)])
    rows = rows_of(store.table("lsoa_features"), 1)
    store.write("lsoa_features", rows, "camden")
    assert same_rows(store.read("lsoa_features", "camden"), sorted_by_key(store.table("lsoa_features"), rows))


def test_a_missing_column_is_refused(store):
    rows = rows_of(store.table("sample_points")).drop(columns="segment_id")
    with pytest.raises(StoreError, match=r"sample_points lacks \['segment_id'\]"):
        store.write("sample_points", rows, "camden")


def test_an_unknown_column_is_refused(store):
    rows = rows_of(store.table("sample_points")).assign(x=1)
    with pytest.raises(StoreError, match=r"sample_points .*unknown columns \['x'\]"):
        store.write("sample_points", rows, "camden")


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("column", ["category", "is_reject", "logit_scale", "position", "embedding"])
def test_a_null_is_refused_where_there_must_be_a_value(store, column, nothing):
    rows = rows_of(store.table("category_embeddings"))
    rows.at[3, column] = nothing
    with pytest.raises(StoreError, match=rf"category_embeddings\.{column} is NULL in 1 rows"):
        store.write("category_embeddings", rows)
    assert not store.holds("category_embeddings")


def test_a_repeated_key_is_refused(store):
    rows = rows_of(store.table("lsoa_predictions"))
    store.write("lsoa_predictions", rows.assign(model_id="a"))
    with pytest.raises(StoreError, match=r"lsoa_predictions has two rows with .*'lsoa_code': 'E01'"):
        store.write("lsoa_predictions", rows.assign(model_id="a", lsoa_code="E01"))
    assert len(store.read("lsoa_predictions")) == 7


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("n_lsoas", 1.5),
        ("n_lsoas", 2**40),
        ("pearson_r", "high"),
        ("loadings", np.zeros(256, np.float32)),
        ("loadings", np.zeros((2, 256), np.float32)),
    ],
    ids=["half an LSOA", "too many", "a word", "half an embedding", "a matrix"],
)
def test_a_value_of_another_type_is_refused(store, column, value):
    rows = rows_of(store.table("embedding_components"))
    rows.at[2, column] = value
    with pytest.raises(StoreError, match=rf"embedding_components\.{column} "):
        store.write("embedding_components", rows)


def test_an_embedding_given_as_a_list_is_kept(store):
    rows = rows_of(store.table("lsoa_features"))
    rows.at[0, "max_embedding"] = [0.5] * 512
    store.write("lsoa_features", rows, "camden")
    read = store.read("lsoa_features", "camden").set_index("lsoa_code")
    assert np.array_equal(read.loc[rows.at[0, "lsoa_code"], "max_embedding"], np.full(512, 0.5))


def test_a_table_of_local_authorities_is_not_written_without_one(store):
    with pytest.raises(StoreError, match="sample_points is kept per local authority; name one"):
        store.write("sample_points", rows_of(store.table("sample_points")))


@pytest.mark.parametrize(
    "name", ["lsoa_features", "street_images", "fitted_models", "category_probabilities", "image_embeddings"]
)
def test_the_content_hash_depends_neither_on_the_order_of_rows_nor_on_when_they_were_written(store, name):
    rows = rows_of(store.table(name))
    store.write(name, rows, place(name))
    first = store.content_hash(name, place(name))
    store.write(name, rows.sample(frac=1, random_state=3), place(name))
    assert store.content_hash(name, place(name)) == first == store.frame_hash(name, rows)


@pytest.mark.parametrize("name", ["lsoa_features", "street_images", "fitted_models", "category_embeddings"])
def test_the_content_hash_changes_with_any_value(store, name):
    rows, others = rows_of(store.table(name), seed=1), rows_of(store.table(name), seed=2)
    others = others.set_index(list(TABLES[name].key)).reindex(rows.set_index(list(TABLES[name].key)).index)
    original = store.frame_hash(name, rows)
    for column in store.table(name).columns:
        if column.name in TABLES[name].key:
            continue
        changed = rows.assign(**{column.name: others[column.name].to_numpy()})
        assert store.frame_hash(name, changed) != original, column.name


@pytest.mark.parametrize("filling", [0, np.nan])
def test_the_content_hash_tells_a_null_embedding_from_an_empty_one(store, filling):
    rows = rows_of(store.table("lsoa_features"))
    null, filled = rows.copy(), rows.copy()
    null.at[0, "max_embedding"] = None
    filled.at[0, "max_embedding"] = np.full(512, filling, np.float32)
    assert store.frame_hash("lsoa_features", null) != store.frame_hash("lsoa_features", filled)


def test_a_table_that_was_never_made_is_named(store):
    with pytest.raises(TableMissingError, match="panoramas for camden has not been materialised yet; mat"):
        store.read("panoramas", "camden")


def unreadable(store, name="noise_correlations"):
    """The one sentence with which a file is refused."""
    with pytest.raises(TableUnreadableError) as told:
        store.read(name, place(name))
    said = str(told.value)
    assert str(store.path(name, place(name))) in said
    assert f"materialise {name}" in said
    assert "\n" not in said
    return said


def test_a_text_file_is_not_a_table(store):
    store.write("noise_correlations", rows_of(store.table("noise_correlations")))
    store.path("noise_correlations").write_text("draw,max_absolute_r\n" * 1000)
    assert "not a DuckDB table file" in unreadable(store)


def test_an_empty_file_is_not_a_table(store):
    store.write("noise_correlations", rows_of(store.table("noise_correlations")))
    store.path("noise_correlations").write_bytes(b"")
    unreadable(store)


def test_a_file_cut_short_is_not_a_table(store):
    store.write("noise_correlations", rows_of(store.table("noise_correlations")))
    path = store.path("noise_correlations")
    path.write_bytes(path.read_bytes()[:20_000])
    unreadable(store)


def test_a_database_of_another_program_is_not_a_table(store):
    path = store.path("noise_correlations")
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE noise_correlations AS SELECT 1 AS draw")
    assert "not a table of StreetIMD" in unreadable(store)


def set_version(path, version):
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"UPDATE table_provenance SET schema_version = {version}")


def test_a_table_of_a_later_schema_version_is_refused(store):
    store.write("noise_correlations", rows_of(store.table("noise_correlations")))
    set_version(store.path("noise_correlations"), SCHEMA_VERSION + 1)
    said = unreadable(store)
    assert f"written by a later StreetIMD (schema version {SCHEMA_VERSION + 1}" in said


def test_a_table_that_meant_something_else_in_its_schema_version_is_refused(store):
    table = store.table("noise_correlations")
    store.write("noise_correlations", rows_of(table))
    set_version(store.path("noise_correlations"), table.since - 1)
    assert f"has schema version {table.since - 1}, in which noise_correlations meant something else" in unreadable(
        store
    )


@pytest.mark.parametrize("name", ["model_scores", "local_authority_scores"])
def test_columns_that_came_later_are_null_in_a_table_of_an_earlier_schema_version(store, name):
    table = store.table(name)
    rows = rows_of(table)
    store.write(name, rows, place(name))
    path, later = store.path(name, place(name)), [column for column in table.columns if column.since == 3]
    assert "mean_absolute_error_low" in {column.name for column in later}
    with duckdb.connect(str(path)) as connection:
        for column in later:
            connection.execute(f'ALTER TABLE {name} DROP COLUMN "{column.name}"')
    set_version(path, 2)
    found = store.read(name, place(name))
    expected = sorted_by_key(table, rows)
    expected[[column.name for column in later]] = None
    assert same_rows(found, expected)
    some = ["mean_absolute_error_low", "mean_absolute_error"]
    assert list(store.read(name, place(name), some).columns) == some


def test_a_table_with_other_categories_is_refused(store):
    other = TableStore(store.folder, ("shops", "wasteland"))
    other.write("planted_lsoas", rows_of(other.table("planted_lsoas")), "camden")
    assert "green_space_planted_share" in unreadable(store, "planted_lsoas")


def test_small_tables_take_little_room(store):
    store.write("imagery_plan", rows_of(store.table("imagery_plan"), 120), "camden")
    assert store.path("imagery_plan", "camden").stat().st_size < 200_000


@pytest.mark.parametrize("names", [("pubs",), ("Green, %", "o'dd \\ name", "crime_share")])
def test_tables_of_a_study_of_area_features_have_its_dimensions_and_names(tmp_path, names):
    store = TableStore(tmp_path, (), names)
    for name in ("lsoa_features", "embedding_components"):
        table = store.table(name)
        rows = rows_of(table)
        store.write(name, rows, place(name))
        assert same_rows(store.read(name, place(name)), sorted_by_key(table, rows))
    assert set(names) <= set(store.read("lsoa_features", "camden").columns)
    loadings = store.read("embedding_components")["loadings"]
    assert {len(vector) for vector in loadings} == {len(names)}
    with pytest.raises(StoreError, match=r"loadings cannot be kept as FLOAT"):
        store.write("embedding_components", rows_of(TABLES["embedding_components"]))
