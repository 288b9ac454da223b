"""A notebook's first lines find a study's tables and maps."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import StoreError, StudyError, TableMissingError, UnknownLocalAuthorityError
from streetimd_assets.store import open_study
from streetimd_tests.store.made_up_study import BETTER, EMPTY, HEADLINE, KNOWN, LSOAS, write_study


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opened") / "data"
    write_study(folder / "demo")
    return folder


@pytest.fixture
def study(data_root):
    return open_study("demo", data=data_root)


def test_three_lines_read_a_table_from_the_data_beside_the_notebook(data_root):
    lines = (
        "from streetimd_assets.store import open_study\n"
        'study = open_study("demo")\n'
        'features = study.read("lsoa_features")\n'
    )
    # these are loaded by nobody who only reads tables
    asked = "import sys\nprint(len(features), sorted({'torch', 'dagster', 'plotly', 'sklearn'} & set(sys.modules)))"
    run = [sys.executable, "-c", lines + asked]
    done = subprocess.run(run, cwd=data_root.parent, env={"PATH": ""}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("3 []\n", "")


def test_a_table_kept_per_local_authority_is_read_for_all_or_for_those_named(study):
    every = study.read("lsoa_boundaries")
    assert dict(every.groupby("local_authority")["lsoa_code"].apply(list)) == LSOAS
    for named in (EMPTY, [EMPTY], EMPTY.capitalize()):
        assert study.read("lsoa_boundaries", named)["lsoa_code"].tolist() == LSOAS[EMPTY]
    columns = ["local_authority", "lsoa_code"]
    assert sorted(study.read("lsoa_boundaries", columns=columns).columns) == sorted(columns)
    assert list(study.read("lsoa_boundaries", columns=["lsoa_code"]).columns) == ["lsoa_code"]


def test_a_study_wide_table_is_read_as_it_is(study):
    assert set(study.read("lsoa_predictions")["model_id"]) == {HEADLINE, BETTER}


def test_embeddings_are_read_as_a_matrix_of_the_rows_beside_it(study):
    rows, matrix = study.read_embeddings(KNOWN)
    read = study.read("image_embeddings")
    assert matrix.shape == (3, 512)
    assert rows["image_id"].tolist() == read["image_id"].tolist()
    np.testing.assert_array_equal(matrix, np.stack(read["embedding"]))


def test_lsoas_stand_on_the_map_with_what_the_other_tables_say_of_them(study):
    lsoas = study.lsoas().set_index("lsoa_code")
    assert lsoas.crs.to_epsg() == 27700
    assert lsoas.loc[["Z1", "Z2", "Z3"], "shops_share"].tolist() == [0.25, 0.5, 0.75]
    assert lsoas.loc[["Z1", "Z7"], "imd_rank"].tolist() == [1, 11]
    assert lsoas.geometry.area.round().tolist() == [10_000, 10_000, 10_001] * 2
    assert lsoas.loc["Z7", "n_images":"shops_share"].isna().all()
    assert lsoas["n_images"].dtype == float


def test_predictions_on_the_map_are_of_the_model_named_beforehand_not_of_the_best(study):
    lsoas = study.lsoas(KNOWN)
    assert set(lsoas["model_id"]) == {HEADLINE}
    assert set(lsoas["predicted"]) == {1.5}


def test_lines_and_points_become_shapes_in_metres(study):
    assert study.geo("road_segments").geometry.length.tolist() == [5.0] * 5
    points = study.geo("panoramas")
    assert [(point.x, point.y) for point in points.geometry[:2]] == [(50.0, 51.0), (150.0, 51.0)]
    assert points.geometry.isna().tolist() == [False, False, True]
    with pytest.raises(StoreError, match="lsoa_features has neither geometry nor position; join it to lsoas"):
        study.geo("lsoa_features")


def test_columns_are_explained_with_units(study):
    explained = study.columns("panoramas").set_index("column")
    assert explained.loc["distance_m", ["unit", "meaning"]].tolist() == ["m", "from the point to the panorama"]


def test_the_study_says_what_it_is(study):
    assert repr(study).startswith("<Demo (SYNTHETIC IMAGES): 11 tables in ")
    assert study.sql("SELECT count(*) AS n FROM lsoa_boundaries")["n"].tolist() == [6]


def test_what_is_not_there_is_said_in_one_sentence(study, tmp_path):
    with pytest.raises(StoreError, match="there is no table 'features'; the tables are lsoa_boundaries, "):
        study.read("features")
    with pytest.raises(TableMissingError, match="noise_correlations has not been materialised yet"):
        study.read("noise_correlations")
    with pytest.raises(TableMissingError, match="no local authority has assessment_images yet"):
        study.read("assessment_images")
    with pytest.raises(UnknownLocalAuthorityError):
        study.read("lsoa_boundaries", "atlantis")
    with pytest.raises(TableMissingError, match="holds no table yet"):
        open_study("demo", data=tmp_path / "elsewhere")
    with pytest.raises(StudyError, match="nowhere"):
        open_study("nowhere", data=tmp_path)


def test_a_column_of_numbers_that_nobody_knows_yet_is_still_numbers(study):
    lsoas = study.lsoas(EMPTY)
    assert pd.api.types.is_numeric_dtype(lsoas["shops_share"])
    assert lsoas["shops_share"].isna().all()
