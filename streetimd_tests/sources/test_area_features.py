"""A table of area features is read as it stands, or refused in one sentence that names the value."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import AreaFeaturesError
from streetimd_assets.sources.area_features import read_area_features, select_area_features
from streetimd_assets.study import find_local_authority
from streetimd_assets.study.area_table import read_head

CAMDEN = find_local_authority("Camden")
CODES = ["E01000842", "E01000843", "E01000844"]
# drawn for the census of 2021
NEW = "E01035700"
GOOD = pd.DataFrame(
    {
        "pubs": [3, None, 1, 8],
        "lsoa_code": ["E01000844", " E01000842", "E01000843", NEW],
        "share of green": [0.25, 1e-9, -4.0, 12345678.9],
        "is_coastal": [True, False, False, True],
    }
)


def read(tmp_path, table, *, file="areas.csv", census=2021):
    path = tmp_path / file
    table.to_csv(path, index=False) if file.endswith(".csv") else table.to_parquet(path)
    return read_area_features(read_head(path, census))


@pytest.mark.parametrize("file", ["areas.csv", "areas.parquet", "AREAS.CSV"])
def test_a_good_table_comes_as_it_is_in_the_order_of_codes(tmp_path, file):
    if file == "AREAS.CSV":
        (tmp_path / file).write_text(GOOD.to_csv(index=False), encoding="utf-8-sig")
        found = read_area_features(read_head(tmp_path / file, 2021))
    else:
        found = read(tmp_path, GOOD, file=file)
    assert list(found.table.columns) == ["lsoa_code", "n_images", "pubs", "share of green", "is_coastal"]
    assert list(found.table["lsoa_code"]) == [*CODES, NEW]
    assert list(found.table["n_images"]) == [1] * 4
    np.testing.assert_array_equal(found.table["pubs"], [np.nan, 1, 3, 8])
    np.testing.assert_array_equal(found.table["share of green"], [1e-9, -4.0, 0.25, 12345678.9])
    np.testing.assert_array_equal(found.table["is_coastal"], [0, 0, 1, 1])
    assert len(found.provenance.sha256) == 64
    assert found.provenance.fetched_at <= datetime.now(UTC)


def test_codes_in_the_index_of_a_parquet_file_are_found(tmp_path):
    GOOD.set_index("lsoa_code").to_parquet(tmp_path / "areas.parquet")
    found = read_area_features(read_head(tmp_path / "areas.parquet", 2021))
    assert list(found.table["lsoa_code"]) == [*CODES, NEW]


def test_counts_say_what_a_row_rests_on_and_none_is_nothing(tmp_path):
    found = read(tmp_path, GOOD.assign(n_images=[7, 0, None, 2]))
    assert dict(zip(found.table["lsoa_code"], found.table["n_images"], strict=True)) == {
        CODES[0]: 0, CODES[1]: 0, CODES[2]: 7, NEW: 2,
    }  # fmt: skip
    assert "n_images" not in read_head(tmp_path / "areas.csv", 2021).features


BAD = {
    "a word": (GOOD.assign(pubs=["3", "many", "1", "2"]), ["'many' as 'pubs' of E01000842", "not a finite number"]),
    "a number with a comma": (GOOD.assign(pubs=["1,200", "1", "2", "3"]), ["'1,200' as 'pubs' of E01000844"]),
    "an infinite number": (GOOD.assign(pubs=[1, 2, np.inf, 3]), ["'inf' as 'pubs' of E01000843"]),
    "an LSOA twice": (
        GOOD.assign(lsoa_code=["E01000842", "E01000842 ", "E01000843", NEW]),
        ["2 rows of E01000842", "one row per LSOA"],
    ),
    "a row without a code": (GOOD.assign(lsoa_code=["E01000842", None, "E01000843", NEW]), ["lsoa_code in row 2"]),
    "half an image": (GOOD.assign(n_images=[1, 2.5, 1, 1]), ["2.5 as n_images of E01000842", "whole number"]),
    "less than no image": (GOOD.assign(n_images=[1, 1, 1, -3]), [f"-3 as n_images of {NEW}"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path, case):
    table, fragments = BAD[case]
    with pytest.raises(AreaFeaturesError) as told:
        read(tmp_path, table)
    said = str(told.value)
    assert said.startswith("'areas.csv' has")
    assert [fragment for fragment in fragments if fragment not in said] == [], said
    assert "\n" not in said


@pytest.mark.parametrize("moments", [pd.to_datetime(["2020-01-01"] * 4), pd.to_timedelta([1] * 4, unit="D")])
def test_moments_are_no_numbers(tmp_path, moments):
    with pytest.raises(AreaFeaturesError, match="as 'pubs' of E01000844, which is not a finite number"):
        read(tmp_path, GOOD.assign(pubs=moments), file="areas.parquet")


def test_a_file_that_has_changed_since_its_head_was_read_is_refused(tmp_path):
    read(tmp_path, GOOD)
    head = read_head(tmp_path / "areas.csv", 2021)
    assert head.identity
    GOOD.assign(pubs=1).to_csv(tmp_path / "areas.csv", index=False)
    with pytest.raises(AreaFeaturesError, match="has changed since the study was loaded; reload the definitions"):
        read_area_features(head)


def test_rows_of_other_places_are_left_aside_and_lsoas_it_lacks_have_no_row(tmp_path):
    rows = select_area_features(read(tmp_path, GOOD), [*CODES[:2], "E01000899"], CAMDEN, 2021)
    assert list(rows["lsoa_code"]) == CODES[:2]


@pytest.mark.parametrize(
    ("codes", "table", "census", "fragments"),
    [
        (["E01000001"], GOOD, 2021, ["none of the 1 LSOAs of Camden (E01000001)", "E01000842", "take Camden"]),
        (["E01000001"], GOOD[:0], 2021, ["none of the 1 LSOAs", "which has no rows"]),
        (CODES, GOOD, 2011, [NEW, "an LSOA of 2021", "deprivation.index = 'iod2025'"]),
        ([*CODES, NEW], GOOD[:3], 2021, ["codes are of 2011", NEW, "deprivation.index = 'iod2019'"]),
    ],
    ids=["none in common", "no rows", "codes of 2021", "codes of 2011"],
)  # fmt: skip
def test_a_table_of_other_places_or_another_census_is_refused(tmp_path, codes, table, census, fragments):
    found = read(tmp_path, table, census=census)
    with pytest.raises(AreaFeaturesError) as told:
        select_area_features(found, codes, CAMDEN, census)
    assert [fragment for fragment in fragments if fragment not in str(told.value)] == [], str(told.value)


def test_places_that_no_census_changed_are_the_same_in_both(tmp_path):
    found = read(tmp_path, GOOD[:3])
    assert len(select_area_features(found, CODES, CAMDEN, 2021)) == 3
    assert len(select_area_features(found, CODES, CAMDEN, 2011)) == 3
