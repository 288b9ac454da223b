"""Area features become rows of lsoa_features and matrices under their own names, units and gaps kept."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science.area_features import describe_lsoas, standardised
from streetimd_assets.science.estimators import ESTIMATORS, LightGBM, fit_scaler
from streetimd_assets.science.matrices import feature_matrix

# the second is called as a dimension of an embedding is
NAMES = ("Pubs per km², 2020", "mean_embedding_001")
CODES = [f"E0100000{number}" for number in range(4)]


@pytest.fixture
def described():
    rows = pd.DataFrame(
        {"lsoa_code": CODES[:3], "n_images": [5, 1, 0], NAMES[0]: [1.5, np.nan, 3.0], NAMES[1]: 0.0}
    )
    shuffled = [CODES[2], CODES[0], CODES[3], CODES[1]]
    return describe_lsoas(shuffled, "E09000007", rows, names=NAMES, source="areas.csv@abc").set_index("lsoa_code")


def test_every_lsoa_has_a_row_with_the_declared_columns(described):
    declared = schemas.get_table("lsoa_features", features=NAMES)
    assert list(described.reset_index().columns) == list(declared.column_names)
    assert list(described.index) == CODES
    assert set(described["encoder"]) == {"areas.csv@abc"}


def test_an_lsoa_that_lacks_a_feature_or_rests_on_nothing_counts_as_one_without(described):
    assert described["n_images_kept"].tolist() == [5, 0, 0, 0]
    assert described["mean_embedding"].notna().tolist() == [True, False, False, False]
    np.testing.assert_array_equal(described["mean_embedding"].iloc[0], np.float32([1.5, 0]))
    # what is known of it stays; zero is a number
    np.testing.assert_array_equal(described[NAMES[1]], [0, 0, 0, np.nan])
    assert described["median_embedding"].isna().all()


def test_a_matrix_of_a_table_has_its_names_and_each_column_a_scale_of_its_own():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 2)) * [1, 1000]
    rows = pd.DataFrame(values, columns=list(NAMES)).assign(n_images=1)
    rows["lsoa_code"] = [f"E{n:08d}" for n in range(30)]
    features = describe_lsoas(rows["lsoa_code"], "E09000007", rows, names=NAMES, source="x").sample(frac=1)
    matrix = feature_matrix(features, "table", shares=NAMES)
    assert matrix.names == NAMES
    assert not matrix.is_embedding.any()
    assert not matrix.take(np.arange(5)).is_embedding.any()
    np.testing.assert_allclose(matrix.values, values.astype(np.float32))
    np.testing.assert_allclose(fit_scaler(matrix).scale_, values.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_learns_from_one_area_feature_whatever_it_is_called(estimator):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"lsoa_code": [f"E{n:08d}" for n in range(120)], "n_images": 1})
    rows['{"a": [1, 2]}'] = rng.normal(size=120) * 1e5
    name = rows.columns[-1]
    matrix = feature_matrix(
        describe_lsoas(rows["lsoa_code"], "L", rows, names=[name], source="x"), "table", shares=[name]
    )
    target, learner = rows[name].to_numpy() / 1e5, ESTIMATORS[estimator]
    model = learner.fit(matrix, target, learner.tune(matrix, target, seed=1), seed=1)
    assert np.corrcoef(np.asarray(model.predict(matrix.values)).ravel(), target)[0, 1] > 0.9


def test_plain_names_stay_in_lightgbm():
    rows = pd.DataFrame({"lsoa_code": [f"E{n:08d}" for n in range(60)], "n_images": 1, "pubs": np.arange(60.0)})
    matrix = feature_matrix(
        describe_lsoas(rows["lsoa_code"], "L", rows, names=["pubs"], source="x"), "table", shares=["pubs"]
    )
    parameters = {"min_data_in_leaf": 5, "n_estimators": 3}
    assert LightGBM().fit(matrix, np.arange(60.0), parameters, seed=1).feature_name() == ["pubs"]


def test_a_set_of_features_that_does_not_exist_is_refused_with_all_there_are():
    with pytest.raises(ScienceError, match="use embeddings, percentages, both, table"):
        feature_matrix(pd.DataFrame({"lsoa_code": []}), "tables", shares=())


def test_features_are_compared_in_standard_deviations_and_one_that_never_varies_is_nothing():
    values = np.random.default_rng(2).normal(size=(50, 2)) * [1e-6, 1e6] + [7, -3e6]
    made = standardised(np.column_stack([values, np.full(50, 0.1)]))
    np.testing.assert_allclose(made[:, :2].std(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(made[:, :2].mean(axis=0), 0, atol=1e-5)
    assert not made[:, 2].any()
    assert standardised(np.empty((0, 3))).shape == (0, 3)
