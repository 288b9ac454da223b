import gzip

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import DeprivationError
from streetimd_assets.schemas import DOMAINS
from streetimd_assets.sources.deprivation import load_deprivation
from streetimd_assets.sources.national import N_LSOAS, require_national

MEASURES = ("imd", *DOMAINS)
REMEDY = "; download File 7 again, or set deprivation.covers = 'part' if the file is a cut of it"


def whole_index(index="iod2025"):
    """A national index in which the nth LSOA has rank n, scores of one decimal, and so many ties."""
    n = N_LSOAS[index]
    rank = np.arange(1, n + 1)
    table = pd.DataFrame({"lsoa_code": [f"E01{number:06d}" for number in rank]})
    for measure in MEASURES:
        table[f"{measure}_score"] = np.round((n - rank) / 100, 1)
        table[f"{measure}_rank"] = rank
        table[f"{measure}_decile"] = np.repeat(range(1, 11), np.diff([i * n // 10 for i in range(11)]))
    return table


@pytest.fixture(scope="module")
def proved():
    table = whole_index()
    require_national(table, index="iod2025", origin="file7.csv")
    return table


@pytest.fixture
def refusal(proved):
    """What is said of a table with a fault, which without it was proved."""

    def say(plant):
        with pytest.raises(DeprivationError) as caught:
            require_national(plant(proved.copy()), index="iod2025", origin="file7.csv")
        return str(caught.value)

    return say


def put(row, column, value):
    def plant(table):
        table.loc[row, column] = value
        return table

    return plant


@pytest.mark.parametrize("index", ["iod2025", "iod2019"])
def test_a_whole_file_is_proved_in_any_order_of_its_rows_and_a_row_less_is_refused(index):
    table = whole_index(index).sample(frac=1, random_state=1).reset_index(drop=True)
    require_national(table, index=index, origin="file7.csv")
    with pytest.raises(DeprivationError, match=rf"has {len(table) - 1:,} LSOAs, and England has {len(table):,} in"):
        require_national(table[1:], index=index, origin="file7.csv")


@pytest.mark.parametrize("measure", MEASURES)
def test_a_score_that_breaks_the_order_of_ranks_is_named_with_both_rows(refusal, measure):
    said = refusal(put(20_000, f"{measure}_score", 400.0))
    assert said == (
        f"file7.csv gives E01020000 (line 20,001) {measure}_rank 20,000 with {measure}_score 137.6, and E01020001 "
        f"(line 20,002) {measure}_rank 20,001 with {measure}_score 400, so ranks do not follow scores" + REMEDY
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_a_rank_that_stands_elsewhere_is_found(refusal, measure):
    assert f"{measure}_rank 9 with {measure}_score" in refusal(put(20_000, f"{measure}_rank", 9))


@pytest.mark.parametrize("rank", [0, 33_756])
def test_a_rank_that_cannot_be_is_named(refusal, rank):
    said = refusal(put(4, "crime_rank", rank))
    assert said == f"file7.csv gives E01000005 (line 6) crime_rank {rank:,} of 33,755" + REMEDY


def test_ranks_turned_round_are_found(refusal):
    def turn(table):
        return table.assign(imd_rank=len(table) + 1 - table["imd_rank"])

    assert "so ranks do not follow scores" in refusal(turn)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_decile_that_does_not_follow_its_rank_is_named(refusal, measure):
    said = refusal(put(10_000, f"{measure}_decile", 4))
    assert said == (
        f"file7.csv gives E01010001 (line 10,002) {measure}_decile 4, where {measure}_rank 10,001 means 3" + REMEDY
    )


def test_deciles_turned_round_are_found(refusal):
    assert "imd_decile 10, where imd_rank 1 means 1" in refusal(
        lambda table: table.assign(imd_decile=11 - table["imd_decile"])
    )


def test_equal_scores_may_stand_in_any_order_and_on_either_side_of_a_tenth():
    table = whole_index()
    # the first tenth ends with rank 3,375, in the middle of ten LSOAs of the same score
    tied = table.index[table["imd_score"] == table["imd_score"][3374]]
    assert tied[0] < 3374 < tied[-1]
    table.loc[tied, "imd_rank"] = table.loc[tied[::-1], "imd_rank"].to_numpy()
    require_national(table, index="iod2025", origin="file7.csv")
    table.loc[tied, "imd_decile"] = 1
    require_national(table, index="iod2025", origin="file7.csv")
    table.loc[tied, "imd_rank"] = tied[0] + 1
    require_national(table, index="iod2025", origin="file7.csv")


@pytest.fixture(scope="module")
def real_lines(real_folder):
    return (
        gzip.decompress((real_folder / "imd" / "iod2025_file7.csv.gz").read_bytes())
        .decode("utf-8-sig")
        .splitlines()
    )


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("line", "column", "value", "said"),
    [
        (300, 5, "1", r"imd_rank 1 with imd_score .* and E01\d{6} \(line 300\) imd_rank 1 with imd_score"),
        (4_000, 6, "11", r"\(line 4,000\) imd_decile 11, where imd_rank [\d,]+ means \d"),
        (33_756, 25, "99.5", r"\(line 33,756\) living_environment_rank [\d,]+ with living_environment_score 99\.5"),
        (17, 0, "E01000001", r"has E01000001 twice \(lines 2 and 17\)"),
    ],
)
def test_a_fault_planted_in_the_real_file_is_found_with_its_line(real_lines, tmp_path, line, column, value, said):
    lines = list(real_lines)
    fields = lines[line - 1].split(",")
    fields[column] = value
    lines[line - 1] = ",".join(fields)
    path = tmp_path / "file7.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DeprivationError, match=said):
        load_deprivation(path, index="iod2025", cache_folder=tmp_path, is_national=True)
