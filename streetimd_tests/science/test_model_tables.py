"""The model that is looked at more closely is named beforehand, everywhere by the same rule."""

import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.plots.model_sections import chosen_model
from streetimd_assets.schemas import HARDEST_FIRST
from streetimd_assets.science.model_tables import headline_model_id

TARGETS = ("imd_rank", "crime_score")


def tables(splits=HARDEST_FIRST, targets=TARGETS, estimators=("lightgbm", "ridge"), sets=("both", "embeddings")):
    """Scores and predictions of models on two sets of features."""
    rows = [
        {
            "model_id": f"{target}/{features}-mean/{estimator}/{split}",
            "target": target,
            "feature_set": features,
            "estimator": estimator,
            "split": split,
            "r2": 0.5,
        }
        for target in targets
        for features in sets
        for estimator in estimators
        for split in splits
    ]
    scores = pd.DataFrame(rows)
    return scores, scores[["model_id"]].assign(lsoa_code="Z1")


@pytest.mark.parametrize(
    ("splits", "named"),
    [
        (("random_folds", "spatial_blocks", "leave_one_la_out"), "leave_one_la_out"),
        (("random_folds", "spatial_blocks"), "spatial_blocks"),
        (("random_folds",), "random_folds"),
    ],
)
def test_the_headline_is_ridge_on_embeddings_under_the_hardest_split_there_is(splits, named):
    scores, predictions = tables(splits, targets=["imd_rank"])
    expected = f"imd_rank/embeddings-mean/ridge/{named}"
    assert headline_model_id(scores, predictions) == expected
    # the report, which may not ask science, names the same
    assert chosen_model(scores, predictions) == expected


@pytest.mark.parametrize(
    ("sets", "named"),
    [
        (("both", "percentages", "baseline"), "both"),
        (("percentages", "baseline"), "percentages"),
        (("baseline", "table", "both"), "table"),
    ],
)
def test_without_embeddings_ridge_on_what_stands_in_their_place_is_named(sets, named):
    scores, predictions = tables(["spatial_blocks"], ["imd_rank"], sets=sets)
    expected = f"imd_rank/{named}-mean/ridge/spatial_blocks"
    assert headline_model_id(scores, predictions) == expected
    assert chosen_model(scores, predictions) == expected


def test_only_models_of_the_target_that_have_predictions_are_named():
    scores, predictions = tables()
    assert headline_model_id(scores, predictions, "imd_rank").startswith("imd_rank/embeddings-mean/ridge/leave")
    kept = predictions[~predictions["model_id"].str.endswith("leave_one_la_out")]
    assert headline_model_id(scores, kept, "imd_rank") == "imd_rank/embeddings-mean/ridge/spatial_blocks"


def test_without_ridge_the_first_by_name_is_taken():
    scores, predictions = tables(estimators=["svr", "lightgbm"], targets=["imd_rank"])
    assert headline_model_id(scores, predictions) == "imd_rank/both-mean/lightgbm/leave_one_la_out"


def test_without_a_model_of_the_target_there_is_none_to_name():
    scores, predictions = tables()
    with pytest.raises(ScienceError, match="no model of health_score; materialise"):
        headline_model_id(scores, predictions, "health_score")
