"""The head of a table of area features says what the study has, and what is wrong with it in one sentence."""

import pandas as pd
import pytest

from streetimd_assets.errors import StudyError
from streetimd_assets.study import load_study
from streetimd_assets.study.area_table import read_head
from streetimd_tests.area_study import NAMES, TEXT, made_up_table, write_study

STUDY = TEXT.format(table="areas.csv", target="imd_score")


def head(tmp_path, *headings, census=2021, file="areas.csv"):
    path = tmp_path / file
    frame = pd.DataFrame([["E01000001"] * len(headings)], columns=list(headings))
    frame.to_csv(path, index=False) if file.endswith(".csv") else frame.to_parquet(path)
    return read_head(path, census)


@pytest.mark.parametrize("file", ["areas.csv", "areas.parquet"])
def test_a_study_has_the_features_its_table_has_in_their_order(tmp_path, file):
    study = write_study(tmp_path, made_up_table(r2=0.5), file=file)
    assert study.area_features == NAMES
    assert study.n_dimensions == len(NAMES)
    assert study.feature_sets == ("table",)
    assert not study.has_images
    assert study.categories.names == ()
    assert study.heading == "areas (SYNTHETIC PLACES)"
    # pandas' own numbering of shuffled rows is no feature
    assert {"lsoa_name"} <= set(study.area_table.passed_over) <= {"lsoa_name", "__index_level_0__"}


def test_the_table_is_found_beside_the_study_file(tmp_path, monkeypatch):
    write_study(tmp_path / "studies", made_up_table(r2=0))
    monkeypatch.chdir(tmp_path)
    study = load_study("studies/study.toml")
    assert study.features.features_from == str(tmp_path / "studies" / "areas.csv")


def test_a_study_with_images_has_512_dimensions_and_no_area_features():
    study = load_study("demo")
    assert (study.n_dimensions, study.area_features) == (512, ())
    assert study.feature_sets == ("embeddings", "percentages", "both")
    study.require_images("plan")


@pytest.mark.parametrize(
    ("census", "headings", "key"),
    [
        (2021, ("LSOA21CD", "LSOA11CD", "a"), "LSOA21CD"),
        (2011, ("LSOA21CD", "LSOA11CD", "a"), "LSOA11CD"),
        (2021, ("lsoa21cd", "a"), "lsoa21cd"),
        (2021, ("LSOA code (2021)", "LSOA name (2021)", "Local Authority District code (2024)", "a"),
         "LSOA code (2021)"),
        (2011, ("LSOA_CODE", "a"), "LSOA_CODE"),
    ],
)  # fmt: skip
def test_the_column_of_codes_is_that_of_the_census_and_other_names_of_places_are_no_features(
    tmp_path, census, headings, key
):
    found = head(tmp_path, *headings, census=census)
    assert found.key == key
    assert found.features == ("a",)
    assert set(found.passed_over) == set(headings) - {key, "a"}


def test_counts_are_no_feature_and_a_numbering_is_passed_over(tmp_path):
    found = head(tmp_path, "", "lsoa_code", "n_images", "a", "Unnamed: 3")
    assert found.features == ("a",)
    assert found.has_counts
    assert len(found.passed_over) == 2


REFUSED = {
    "codes of the other census": (
        ("LSOA11CD", "a"),
        ["LSOA11CD, LSOAs of 2011", "index = 'iod2019'"],
    ),
    "no codes": (("MSOA21CD", "a"), ["no column of LSOA codes", "MSOA21CD", "lsoa_code or LSOA21CD"]),
    "no feature": (("lsoa_code", "lsoa_name"), ["no column of features"]),
    "one name twice": (("lsoa_code", "Pubs", "pubs"), ["two columns 'pubs'", "name of its own"]),
    "a name of ours": (("lsoa_code", "Encoder"), ["'Encoder'", "another name"]),
    "a name with a quote": (("lsoa_code", 'the "best"'), ["without quotes"]),
    "a name that a spreadsheet would run": (("lsoa_code", "=1+1"), ["'=1+1'", "not beginning with ="]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_head_that_will_not_do_is_refused_in_one_sentence(tmp_path, case):
    headings, fragments = REFUSED[case]
    with pytest.raises(StudyError) as told:
        head(tmp_path, *headings)
    said = str(told.value)
    assert said.startswith("'areas.csv' has")
    assert [fragment for fragment in fragments if fragment not in said] == [], said


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("gone.csv", None, "cannot be read .FileNotFoundError.; correct features.features_from"),
        ("areas.xlsx", b"PK", "neither a .csv nor a .parquet file"),
        ("areas.csv", "lsoa_code,Größe".encode("latin-1"), "not text in UTF-8; save it again"),
        ("areas.parquet", b"lsoa_code,a", "not a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_study_that_names_it(tmp_path, file, content, said):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    (tmp_path / "study.toml").write_text(STUDY.replace("areas.csv", file), encoding="utf-8")
    with pytest.raises(StudyError, match=said) as told:
        load_study(tmp_path / "study.toml")
    assert str(told.value).startswith(str(tmp_path / "study.toml"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[imagery]\nfolder = "photographs"', "takes the place of images, so imagery has no use"),
        ("[imagery.faults]\nblank_share = 0", "so imagery has no use"),
        ('[[concept_pair]]\nname = "green"\ntoward = ["trees"]\naway = ["walls"]', "so concept_pair has no use"),
    ],
)
def test_images_beside_a_table_are_refused(tmp_path, more, said):
    made_up_table(r2=0).to_csv(tmp_path / "areas.csv")
    (tmp_path / "study.toml").write_text(f"{STUDY}\n{more}", encoding="utf-8")
    with pytest.raises(StudyError, match=said):
        load_study(tmp_path / "study.toml")


def test_categories_beside_a_table_are_refused_and_no_images_need_a_table(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('category_set = "demo"\n' + STUDY, encoding="utf-8")
    with pytest.raises(StudyError, match="so category_set has no use"):
        load_study(path)
    path.write_text(
        'name = "none"\nlocal_authorities = ["Camden"]\ncategory_set = "demo"\n[imagery]\nsource = "none"\n'
    )
    with pytest.raises(StudyError, match=r"for studies with features\.features_from"):
        load_study(path)


def test_another_content_is_another_identity(tmp_path):
    first = write_study(tmp_path / "a", made_up_table(r2=0.5)).area_table.identity
    again = write_study(tmp_path / "b", made_up_table(r2=0.5)).area_table.identity
    other = write_study(tmp_path / "c", made_up_table(r2=0.4)).area_table.identity
    assert first == again != other
    assert first.startswith("areas.csv@")
