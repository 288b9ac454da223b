"""Fitted models as rows: the same predictions after a round trip, and nothing hostile is loaded."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.comparison import tuned_models
from streetimd_assets.science.estimators import ESTIMATORS, RandomForest
from streetimd_assets.science.fitted import load_model
from streetimd_assets.science.matrices import feature_matrix
from streetimd_tests.planted_features import SHARES, planted_world


@pytest.fixture(scope="module")
def world():
    return planted_world(60, 8, n_local_authorities=3)


@pytest.fixture(scope="module")
def fitted(world):
    features, target, coordinates = world
    tuned = tuned_models(
        features, target, coordinates, target_name="imd_score", shares=SHARES, n_folds=2, n_trees=20, seed=7
    )
    return {model.model.model_id: model for model in tuned.fitted}


@pytest.fixture(scope="module")
def table(world):
    matrix = feature_matrix(world[0], "both", shares=SHARES)
    return pd.DataFrame(matrix.values, columns=list(matrix.names))


@pytest.fixture
def row(fitted):
    return fitted["imd_score/both-mean/ridge"].to_row()


def test_there_is_a_model_of_every_estimator_with_the_declared_columns(fitted):
    rows = pd.DataFrame([model.to_row() for model in fitted.values()])
    assert set(rows.columns) == set(TABLES["fitted_models"].column_names)
    assert set(rows["estimator"]) == set(ESTIMATORS)
    assert set(rows["format"]) == {"skops", "lightgbm"}
    assert not rows["model_id"].duplicated().any()
    assert set(rows["n_lsoas"]) == {60}
    assert set(rows["seed"]) == {7}


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_a_loaded_model_predicts_what_the_fitted_one_did(fitted, table, estimator):
    model = fitted[f"imd_score/both-mean/{estimator}"]
    again = load_model(pd.Series(model.to_row()))
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    assert again.to_row()["parameters"] == model.to_row()["parameters"]
    assert (again.model, again.local_authorities) == (model.model, model.local_authorities)
    assert np.corrcoef(again.predict(table), table["mean_embedding_000"])[0, 1] > 0.5


def test_columns_are_taken_by_name_and_a_missing_one_is_named(row, table):
    model = load_model(row)
    np.testing.assert_array_equal(model.predict(table[table.columns[::-1]].assign(other=1)), model.predict(table))
    with pytest.raises(ScienceError, match="needs the feature 'shops_share'"):
        model.predict(table.drop(columns="shops_share"))


def test_library_versions_are_recorded_and_another_major_version_is_refused(row):
    versions = json.loads(row["library_versions"])
    assert {"python", "scikit-learn", "skops", "numpy"} == set(versions)
    old = {**row, "library_versions": json.dumps({**versions, "scikit-learn": "0.24.2"})}
    with pytest.raises(ScienceError, match=r"fitted with scikit-learn 0.24.2 and this is \d"):
        load_model(old)
    assert load_model({**row, "library_versions": json.dumps({**versions, "numpy": "2.0.0"})})


def test_a_pickle_is_never_loaded(row, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    payload = pickle.dumps(Hostile())
    with pytest.raises(ScienceError, match="in format 'pickle', which is never loaded"):
        load_model({**row, "format": "pickle", "payload": payload})
    for form in ("skops", "lightgbm"):
        versions = json.dumps({**json.loads(row["library_versions"]), "lightgbm": "4.6.0"})
        with pytest.raises(ScienceError, match=f"not a whole {form} model"):
            load_model({**row, "format": form, "payload": payload, "library_versions": versions})
    assert not (tmp_path / "ran").exists()


def test_types_that_could_run_code_are_refused_by_name(row):
    payload = skops.io.dumps(FunctionTransformer(func=pickle.loads))
    with pytest.raises(ScienceError, match="loads, which could run code of its own"):
        load_model({**row, "payload": payload})


@pytest.mark.parametrize("estimator", ["ridge", "lightgbm"])
def test_a_damaged_payload_is_one_sentence(fitted, estimator):
    row = fitted[f"imd_score/both-mean/{estimator}"].to_row()
    for payload in (b"", row["payload"][: len(row["payload"]) // 2], b"nonsense"):
        with pytest.raises(ScienceError, match="materialise fitted_models again"):
            load_model({**row, "payload": payload})


def test_a_model_of_other_features_than_its_row_says_is_refused(fitted):
    for name in ("ridge", "lightgbm", "random_forest"):
        both, fewer = (fitted[f"imd_score/{kind}-mean/{name}"].to_row() for kind in ("both", "embeddings"))
        with pytest.raises(ScienceError, match="not a whole"):
            load_model({**both, "payload": fewer["payload"]})


def test_a_tree_that_points_outside_itself_is_refused_before_it_is_asked(world, fitted):
    matrix = feature_matrix(world[0], "both", shares=SHARES)
    learner = RandomForest(5)
    forest = learner.fit(matrix, world[1].to_numpy(), {"n_estimators": 5}, seed=1)
    tree = forest.estimators_[2].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = 10_000_000
    tree.__setstate__(state)
    row = fitted["imd_score/both-mean/random_forest"].to_row()
    with pytest.raises(ScienceError, match="not a whole skops model"):
        load_model({**row, "payload": skops.io.dumps(forest)})
