import gzip

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import DeprivationError
from streetimd_assets.schemas import get_table
from streetimd_assets.sources.deprivation import DEFAULT_FILES, load_deprivation, select_deprivation
from streetimd_assets.study.local_authorities import find_local_authority
from streetimd_tests.standins import small_world


def load(place, cache_folder, *, index="iod2025", is_national=False):
    more = {"index": index, "cache_folder": cache_folder, "is_national": is_national}
    return load_deprivation(place, **more).table


@pytest.fixture
def file_7(tmp_path):
    """Write a File 7 with some of its text replaced, and load it."""

    def load_with(*replacements, index="iod2025", **years):
        text = small_world.deprivation_csv(**years).decode()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "file7.csv"
        path.write_text(text, encoding="utf-8")
        return load(path, tmp_path / "cache", index=index)

    return load_with


def test_the_index_arrives_in_the_columns_of_its_table_by_code(small, tmp_path):
    table = load(small.deprivation_url, tmp_path)
    assert tuple(table.columns) == get_table("deprivation_indices").column_names
    assert len(table) == 24
    assert table["lsoa_code"].is_monotonic_increasing
    assert set(table["deprivation_index"]) == {"iod2025"}


def test_every_measure_is_read_from_its_own_column(tmp_path):
    lines = small_world.deprivation_csv().decode().splitlines()
    first = lines[1].split(",")
    # the 24 values of the first LSOA: score, rank and decile of the whole and of seven domains
    lines[1] = ",".join(first[:4] + [str(number) for number in range(101, 125)])
    path = tmp_path / "file7.csv"
    path.write_text("\n".join(lines))
    row = load(path, tmp_path).iloc[0]
    names = ["imd", "income", "employment", "education", "health", "crime", "barriers", "living_environment"]
    values = [row[f"{name}_{measure}"] for name in names for measure in ("score", "rank", "decile")]
    assert values == list(range(101, 125))


def test_the_first_error_was_asked_again_and_the_file_is_kept(small, tmp_path):
    for _ in range(2):
        load(small.deprivation_url, tmp_path)
    assert [asked.status for asked in small.files.log] == [503, 200]


def test_plain_and_compressed_files_give_the_same_from_disk_and_from_an_address(small, tmp_path):
    plain, compressed = tmp_path / "file7.csv", tmp_path / "file7.csv.gz"
    plain.write_bytes(small_world.deprivation_csv())
    compressed.write_bytes(gzip.compress(small_world.deprivation_csv()))
    places = [plain, str(compressed), small.deprivation_url, f"{small.deprivation_url}.gz"]
    tables = [load(place, tmp_path / "cache") for place in places]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_the_2019_edition_has_headings_of_its_own(small, tmp_path):
    table = load(small.deprivation_2019_url, tmp_path, index="iod2019")
    assert len(table) == 24
    assert set(table["deprivation_index"]) == {"iod2019"}


def test_a_byte_order_mark_and_thousands_separators_are_no_hindrance(file_7):
    table = file_7(("LSOA code (2021)", "\ufeffLSOA code (2021)"), (",23,1,1", ',23,"1,001",1'))
    assert table["imd_rank"].iloc[0] == 1001


@pytest.mark.parametrize(
    "heading", ["LSOA code (2021)", "Income Score (rate)", "Living Environment Rank (where 1 is most deprived)"]
)
def test_a_missing_column_is_named(file_7, heading):
    with pytest.raises(DeprivationError) as caught:
        file_7((heading, "something else"))
    assert f"has no column '{heading}'; set deprivation.url" in str(caught.value)


def test_the_other_edition_is_recognised(file_7):
    with pytest.raises(DeprivationError, match=r"is the iod2019 edition, not iod2025; set deprivation\.index = "):
        file_7(lsoa_year=2011, lad_year=2019)


@pytest.mark.parametrize("values", [",unknown,1,1", ",23,,1", ",23,1.5,1"])
def test_a_value_that_is_no_number_is_named_with_its_lsoa(file_7, values):
    with pytest.raises(DeprivationError, match=r"Index of Multiple Deprivation .* of E01801001, which should be a"):
        file_7((",23,1,1", values))


def test_an_lsoa_that_stands_twice_is_named(file_7):
    with pytest.raises(DeprivationError, match=r"has E01801001 twice \(lines 2 and 3\)"):
        file_7(("E01801002,E01801002", "E01801001,E01801001"))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"\xff\xfe\x00", b'a,b\n"1'])
def test_a_file_that_is_not_a_table_is_one_sentence(tmp_path, content):
    path = tmp_path / "file7.csv"
    path.write_bytes(content)
    with pytest.raises(DeprivationError, match=r"file7\.csv.*; set deprivation\.url"):
        load(path, tmp_path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DeprivationError, match=r"nowhere\.csv' cannot be read \(FileNotFoundError\); set"):
        load(tmp_path / "nowhere.csv", tmp_path)


def test_selected_rows_are_those_of_the_lsoas_under_the_authoritys_code(file_7, west):
    codes = small_world.lsoa_codes(west.lad_code)
    moved = file_7((f",{west.lad_code},", ",E07000001,"))
    rows = select_deprivation(moved, reversed(codes), west, "iod2025")
    assert list(rows["lsoa_code"]) == codes
    assert list(rows["imd_rank"]) == list(range(1, 13))
    assert set(rows["lad_code"]) == {west.lad_code}


def test_codes_of_another_census_are_counted_named_and_remedied(file_7, west):
    codes = [*small_world.lsoa_codes(west.lad_code), "E01000907", "E01000915"]
    with pytest.raises(DeprivationError) as caught:
        select_deprivation(file_7(), codes, west, "iod2025")
    assert str(caught.value) == (
        "2 of the 14 LSOA codes of West (E01000907, E01000915) are not in iod2025, which is on LSOAs of 2021: "
        "name boundaries and a look-up of 2021 under geography, or set deprivation.index to the edition of your "
        "boundaries ('iod2019')"
    )


def test_more_than_twenty_codes_of_another_census_are_named_up_to_twenty(file_7, west):
    codes = [f"E0100{number:04d}" for number in range(25)]
    with pytest.raises(DeprivationError, match=rf"\(E01000000, .*{codes[19]} and 5 more\) are not in iod2025"):
        select_deprivation(file_7(), codes, west, "iod2025")


def test_where_the_index_comes_from_is_told(small, tmp_path):
    more = {"index": "iod2025", "is_national": False}
    of_address = load_deprivation(small.deprivation_url, cache_folder=tmp_path / "cache", **more).provenance
    assert of_address.address == small.deprivation_url
    path = tmp_path / "file7.csv"
    path.write_bytes(small_world.deprivation_csv())
    of_file = load_deprivation(path, cache_folder=tmp_path / "cache", **more).provenance
    assert (of_file.address, of_file.sha256) == (str(path), of_address.sha256)


def test_a_file_that_has_to_be_whole_and_is_not_is_refused(small, tmp_path):
    with pytest.raises(DeprivationError) as caught:
        load(small.deprivation_url, tmp_path, is_national=True)
    assert str(caught.value) == (
        f"{small.deprivation_url} has 24 LSOAs, and England has 33,755 in iod2025; download File 7 again, or set "
        "deprivation.covers = 'part' if the file is a cut of it"
    )


def test_the_governments_own_files_are_of_the_two_editions():
    assert "IoD2025" in DEFAULT_FILES["iod2025"]
    assert "IoD2019" in DEFAULT_FILES["iod2019"]


@pytest.fixture(scope="module")
def england(real, tmp_path_factory):
    return load(real.deprivation_url, tmp_path_factory.mktemp("iod"), is_national=True)


def lsoa_codes_of(real_folder, slug):
    lookup = pd.read_csv(real_folder / "imd" / "lsoa21_lad24_lookup.csv.gz", encoding="utf-8-sig")
    return lookup.loc[lookup["LAD24CD"] == find_local_authority(slug).lad_code, "LSOA21CD"].tolist()


@pytest.mark.real_data
def test_england_has_33755_lsoas_and_rank_1_is_the_most_deprived(england):
    assert len(england) == 33_755
    assert sorted(england["imd_rank"]) == list(range(1, 33_756))
    assert england["imd_score"].idxmax() == england["imd_rank"].idxmin()
    assert set(england.loc[england["imd_decile"] == 1, "imd_rank"]) == set(range(1, 3_376))


@pytest.mark.real_data
def test_the_seven_domains_have_their_published_weights(england):
    weights = {
        "income": 0.225, "employment": 0.225, "education": 0.135, "health": 0.135,
        "crime": 0.093, "barriers": 0.093, "living_environment": 0.093,
    }  # fmt: skip
    # the index adds the domains' ranks after an exponential transformation of each
    ranks = {name: 1 - (england[f"{name}_rank"] - 0.5) / len(england) for name in weights}
    scores = {name: -23 * np.log(1 - rank * (1 - np.exp(-100 / 23))) for name, rank in ranks.items()}
    combined = sum(weight * scores[name] for name, weight in weights.items())
    assert np.corrcoef(combined, england["imd_score"])[0, 1] > 0.9999


@pytest.mark.real_data
@pytest.mark.parametrize(("slug", "n_lsoas"), [("camden", 130), ("tower-hamlets", 169)])
def test_every_real_lsoa_joins_the_index_of_2025(england, real_folder, slug, n_lsoas):
    authority = find_local_authority(slug)
    rows = select_deprivation(england, lsoa_codes_of(real_folder, slug), authority, "iod2025")
    assert len(rows) == n_lsoas
    assert set(rows["lad_code"]) == {authority.lad_code}


@pytest.mark.real_data
def test_lsoas_of_2021_do_not_join_the_index_of_2019(real, real_folder, tmp_path):
    london = load(real.deprivation_2019_url, tmp_path, index="iod2019")
    assert len(london) == 4_835
    with pytest.raises(DeprivationError, match="has 4,835 LSOAs, and England has 32,844 in iod2019; download"):
        load(real.deprivation_2019_url, tmp_path, index="iod2019", is_national=True)
    codes = lsoa_codes_of(real_folder, "tower-hamlets")
    with pytest.raises(DeprivationError, match=r"of the 169 LSOA codes of Tower Hamlets .* LSOAs of 2011"):
        select_deprivation(london, codes, find_local_authority("tower-hamlets"), "iod2019")
