"""A place never seen is predicted as far off as the intervals say, and only where a model may."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.estimators import ESTIMATORS
from streetimd_assets.science.fitted import FittedModel
from streetimd_assets.science.folds import leave_one_out_by_group
from streetimd_assets.science.matrices import FeatureMatrix, feature_matrix
from streetimd_assets.science.model_tables import Model
from streetimd_assets.science.prediction import COLUMNS, HeldOutErrors, predict_unseen
from streetimd_tests.planted_features import embedding_cells, shuffled

MODEL = Model("imd_score", "embeddings", "ridge", "mean")
RIDGE = ESTIMATORS["ridge"]


def world(seed, n_authorities=10, n_each=40, n_dimensions=6):
    """LSOAs whose look is read with an error that falls with their images; local authorities are alike."""
    rng = np.random.default_rng(seed)
    n = n_authorities * n_each
    look, images = rng.normal(size=n), rng.integers(1, 40, n)
    vectors = rng.normal(0, 0.3, (n, n_dimensions))
    vectors[:, 0] = look + rng.normal(0, 1 / np.sqrt(images))
    codes = np.array([f"Z01{number:05d}" for number in range(n)], dtype=object)
    features = pd.DataFrame(
        {
            "lsoa_code": codes,
            "lad_code": [f"Z06{number // n_each:06d}" for number in range(n)],
            "n_images_kept": images,
            "category_set_hash": "hash",
            "encoder": "clip",
            "mean_embedding": embedding_cells(vectors),
        }
    )
    return features, pd.Series(look + rng.normal(0, 0.5, n), index=codes)


def fitted_on(features, target):
    """A model, and its errors where local authorities were held out."""
    matrix = feature_matrix(features, "embeddings", shares=[])
    known = target.loc[list(matrix.lsoa_codes)].to_numpy()
    predicted = np.empty(len(known))
    folds = leave_one_out_by_group(features.sort_values("lsoa_code")["lad_code"].to_numpy(object))
    for fold in folds:
        predicted[fold.test] = fit(matrix.take(fold.train), known[fold.train]).predict(matrix.values[fold.test])
    predictions = pd.DataFrame(
        {
            "model_id": MODEL.under("leave_one_la_out"),
            "lsoa_code": matrix.lsoa_codes,
            "observed": known,
            "predicted": predicted,
        }
    )
    model = FittedModel(
        MODEL, fit(matrix, known), {}, matrix.names, tuple(sorted(set(features["lad_code"]))), len(known), 1,
        "hash", "clip",
    )  # fmt: skip
    n_images = features.set_index("lsoa_code")["n_images_kept"]
    return model, HeldOutErrors.of(predictions, n_images, MODEL.under("leave_one_la_out"))


def fit(matrix: FeatureMatrix, known):
    return RIDGE.fit(matrix, known, RIDGE.tune(matrix, known, seed=1), seed=1)


def split(features, n_seen=8):
    """Local authorities fitted on, and those never seen."""
    seen = features["lad_code"].isin(sorted(set(features["lad_code"]))[:n_seen])
    return features[seen], features[~seen]


def predict(model, held_out, features, **changes):
    given = {"place": "Elmsthorpe", "shares": [], "enough_images": 12} | changes
    return predict_unseen(model, features, held_out, **given)


@pytest.fixture(scope="module")
def fitted():
    features, target = world(0)
    seen, unseen = split(features)
    return *fitted_on(seen, target), unseen, target


def test_intervals_of_exchangeable_places_hold_nine_lsoas_in_ten():
    held, thin = [], []
    for seed in range(30):
        features, target = world(seed)
        seen, unseen = split(features)
        rows = predict(*fitted_on(seen, target), unseen)
        truth = target.loc[rows["lsoa_code"]].to_numpy()
        within = (rows["predicted_low"] <= truth) & (truth <= rows["predicted_high"])
        held.append(within.mean())
        thin.append(within[rows["is_thin"].astype(bool)].mean())
    # 2,400 LSOAs: the standard error is .006, and that of the errors' quantile over 30 worlds .003
    assert abs(np.mean(held) - 0.9) < 0.02
    # of thin ones, 700 LSOAs: .011
    assert abs(np.mean(thin) - 0.9) < 0.04


def test_predictions_are_the_models_and_wider_where_images_are_few(fitted):
    model, held_out, unseen, target = fitted
    rows = predict(model, held_out, unseen)
    assert list(rows.columns) == list(COLUMNS)
    assert list(rows["lsoa_code"]) == sorted(unseen["lsoa_code"])
    assert np.corrcoef(rows["predicted"], target.loc[rows["lsoa_code"]])[0, 1] > 0.6
    width = rows["predicted_high"] - rows["predicted_low"]
    assert width[rows["n_images_kept"] == 1].min() > 1.3 * width[rows["n_images_kept"] > 30].max()
    assert (rows["is_thin"] == (rows["n_images_kept"] < 12)).all()
    middle = (rows["predicted_high"] + rows["predicted_low"]) / 2
    np.testing.assert_allclose(rows["predicted"], middle, atol=1e-9)


def test_lsoas_without_images_are_rows_without_a_prediction(fitted):
    model, held_out, unseen, _ = fitted
    blank = unseen.copy()
    blank.loc[blank.index[:3], "n_images_kept"] = 0
    blank["mean_embedding"] = [None] * 3 + list(blank["mean_embedding"].iloc[3:])
    rows = predict(model, held_out, blank).set_index("lsoa_code")
    without = rows.loc[blank["lsoa_code"].iloc[:3]]
    assert without[["predicted", "predicted_low", "predicted_high", "is_thin"]].isna().all().all()
    assert (without["n_images_kept"] == 0).all()
    assert rows["predicted"].notna().sum() == len(blank) - 3


def test_the_order_of_rows_plays_no_part(fitted):
    model, held_out, unseen, _ = fitted
    pd.testing.assert_frame_equal(predict(model, held_out, unseen), predict(model, held_out, shuffled(unseen)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoder": "another"}, "come of encoder another and model .* was fitted on encoder clip"),
        ({"category_set_hash": "other"}, "come of category_set_hash other and model .* on category_set_hash hash"),
        ({"lad_code": "Z06000003"}, "was fitted on Elmsthorpe too.*read lsoa_predictions instead"),
        ({"mean_embedding": None}, "none of the 80 LSOAs of Elmsthorpe has what model"),
    ],
    ids=["another encoder", "other categories", "a place it knows", "no images"],
)
def test_what_a_model_may_not_predict_is_refused_in_one_sentence(fitted, change, says):
    model, held_out, unseen, _ = fitted
    with pytest.raises(ScienceError, match=says):
        predict(model, held_out, unseen.assign(**change))


def test_errors_are_those_of_the_model_and_split_named():
    predictions = pd.DataFrame(
        {
            "model_id": ["a", "a", "b"],
            "lsoa_code": ["Z2", "Z1", "Z1"],
            "observed": 3.0,
            "predicted": [1.0, 5.0, 9.0],
        }
    )
    n_images = pd.Series({"Z1": 4, "Z2": 6, "Z3": 8})
    found = HeldOutErrors.of(predictions, n_images, "a")
    assert found.errors.to_dict() == {"Z1": 2.0, "Z2": 2.0}
    assert found.n_images.to_dict() == {"Z1": 4.0, "Z2": 6.0}
    with pytest.raises(ScienceError, match="model c has no held-out predictions"):
        HeldOutErrors.of(predictions, n_images, "c")
    with pytest.raises(ScienceError, match="LSOA Z2 was predicted and has no features any more"):
        HeldOutErrors.of(predictions, n_images.drop("Z2"), "a")
