"""The declared tables keep the rules of their own page: keys, units and names."""

import re

import pytest

from streetimd_assets.schemas import DOMAINS, MEASURES, SCHEMA_VERSION, TABLES, get_table
from streetimd_assets.store.tables import TableStore

CATEGORIES = ("shops", "green_space")
MORE_UNITS = {"_years": "years", "_usd": "USD"}
UNITS = MORE_UNITS | {"_m": "m", "_m2": "m2", "_km": "km", "_deg": "deg", "_px": "px", "_s": "s", "_bytes": "bytes"}
EXPANDED = [get_table(name, CATEGORIES) for name in TABLES]
COLUMNS = [(table, column) for table in EXPANDED for column in table.columns]

of_every_table = pytest.mark.parametrize("table", EXPANDED, ids=list(TABLES))


@of_every_table
def test_key_columns_exist_and_are_never_null(table):
    columns = {column.name: column for column in table.columns}
    assert table.key
    assert set(table.key) <= set(columns)
    assert not [name for name in table.key if columns[name].nullable]


@of_every_table
def test_columns_have_names_of_their_own(table):
    assert len(set(table.column_names)) == len(table.column_names)


@of_every_table
def test_a_table_is_a_plural_noun_and_says_what_a_row_is(table):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", table.name)
    assert table.name.endswith("s") or table.name in (
        "imagery_plan",
        "label_agreement",
        "residual_autocorrelation",
        "learning_curve",
    )
    assert re.match(r"(a|an|the) \w", table.grain)
    assert table.group


@of_every_table
def test_what_an_older_file_lacks_may_be_null(table):
    assert table.since <= SCHEMA_VERSION
    for column in table.columns:
        assert column.since <= SCHEMA_VERSION
        assert column.since <= table.since or column.nullable, f"{column.name} came later and cannot be NULL"


def test_no_column_is_called_by_a_letter_or_an_abbreviation():
    names = {column.name for _, column in COLUMNS}
    parts = {part for name in names for part in name.split("_")}
    assert names.isdisjoint({"x", "y", "lon", "lat", "lng", "long", "id", "code", "geom"})
    assert parts.isdisjoint({"lon", "lat", "lng", "idx", "num", "cnt"})


@of_every_table
def test_columns_have_plain_names_a_meaning_and_the_unit_that_the_name_says(table):
    for column in table.columns:
        unit = next((unit for suffix, unit in UNITS.items() if column.name.endswith(suffix)), "")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert column.meaning, column.name
        assert column.unit == unit, f"{column.name} should have the unit '{unit}'"


@of_every_table
def test_columns_have_the_type_that_the_name_says(table):
    for column in table.columns:
        name = column.name
        if name.endswith(("_id", "_code")) and name != "osm_way_id":
            assert column.type == "VARCHAR", name
        if name.endswith(("_share", "_m", "_m2", "_deg", "_score", "_probability", "_similarity")):
            assert column.type == "DOUBLE", name
        if name.startswith("n_") or name.endswith(("_rank", "_decile", "_px")):
            assert column.type == "INTEGER", name
        assert (column.type == "BOOLEAN") == name.startswith(("is_", "has_")), name
        assert (column.type == "DATE") == name.endswith("_on"), name


@of_every_table
def test_a_rank_says_which_end_is_deprived(table):
    for column in table.columns:
        if column.name.endswith(("_rank", "_decile")):
            assert "1 is the most deprived" in column.meaning, column.name


def test_the_same_quantity_has_the_same_type_and_unit_everywhere():
    kinds: dict[str, set[tuple[str, str]]] = {}
    for _, column in COLUMNS:
        kinds.setdefault(column.name, set()).add((column.type, column.unit))
    assert {name: kind for name, kind in kinds.items() if len(kind) > 1} == {}


def test_a_column_stands_once_for_each_category_in_the_order_of_the_study():
    names = get_table("lsoa_features", CATEGORIES).column_names
    assert [name for name in names if name.endswith("_share")] == [
        "rejected_share",
        "shops_share",
        "green_space_share",
    ]
    assert not [name for name in names if "{" in name]
    assert "mean over the images of green_space" in [
        column.meaning for column in get_table("lsoa_features", CATEGORIES).columns
    ]


def test_every_measure_is_a_column_of_the_deprivation_indices():
    columns = set(get_table("deprivation_indices").column_names)
    assert set(MEASURES) <= columns
    assert {f"{domain}_{kind}" for domain in DOMAINS for kind in ("score", "rank", "decile")} <= columns


@of_every_table
def test_a_table_kept_per_local_authority_can_be_told_from_a_study_wide_one(table, tmp_path):
    store = TableStore(tmp_path, CATEGORIES)
    path = store.path(table.name, "camden")
    assert ("local_authority=camden" in path.parts) == table.is_partitioned


def test_area_features_name_columns_and_give_embeddings_as_many_dimensions():
    names = ("Pubs, 2020", "crime_share")
    table = get_table("lsoa_features", (), names)
    named = [column for column in table.columns if column.has_given_name]
    assert [column.name for column in named] == list(names)
    assert {column.type for column in named} == {"DOUBLE"}
    assert {column.n_dimensions for column in table.columns if column.is_embedding} == {2}
    assert not [name for name in table.column_names if "{" in name]
    assert {column.n_dimensions for column in get_table("embedding_components", (), names).columns[-1:]} == {2}
    assert not [column for column in get_table("lsoa_features", CATEGORIES).columns if column.has_given_name]
