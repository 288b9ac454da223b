"""Scores within one local authority, against figures worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.local_scores import score_local_authority

SCORES = pd.DataFrame(
    {
        "model_id": ["m/ridge", "m/ridge", "m/mean"],
        "feature_set": ["embeddings", "embeddings", "baseline"],
        "estimator": ["ridge", "ridge", "mean"],
        "split": "random_folds",
        "fold": ["0", "all", "all"],
    }
)


def predictions(observed, predicted, model_id="m/ridge"):
    codes = [f"Z01{number:06d}" for number in range(len(observed))]
    table = pd.DataFrame({"model_id": model_id, "lsoa_code": codes, "lad_code": "Z06000001"})
    return table.assign(observed=observed, predicted=predicted, residual=np.subtract(observed, predicted))


def test_scores_are_against_the_local_authoritys_own_mean():
    observed = np.arange(10.0)
    table = score_local_authority(predictions(observed, observed + 2), SCORES)
    assert set(table.columns) == set(TABLES["local_authority_scores"].column_names)
    (row,) = table.to_dict("records")
    # squared errors 10 x 4 over squared deviations 82.5
    assert row["r2"] == pytest.approx(1 - 40 / 82.5)
    assert row["mean_absolute_error"] == pytest.approx(2)
    assert row["mean_error"] == pytest.approx(2)
    assert row["spearman_r"] == pytest.approx(1)
    assert (row["n_lsoas"], row["lad_code"], row["estimator"]) == (10, "Z06000001", "ridge")


def test_r2_and_rank_correlation_are_null_under_ten_lsoas_and_errors_are_not():
    observed = np.arange(9.0)
    (row,) = score_local_authority(predictions(observed, observed - 1), SCORES).to_dict("records")
    assert np.isnan(row["r2"])
    assert np.isnan(row["spearman_r"])
    assert row["mean_error"] == pytest.approx(-1)


def test_each_model_has_one_row_and_shuffled_rows_give_the_same_table():
    rng = np.random.default_rng(0)
    rows = pd.concat(
        [predictions(rng.normal(size=30), rng.normal(size=30), model) for model in ("m/ridge", "m/mean")]
    )
    table = score_local_authority(rows, SCORES)
    assert table["model_id"].tolist() == ["m/mean", "m/ridge"]
    pd.testing.assert_frame_equal(score_local_authority(rows.sample(frac=1, random_state=1), SCORES), table)


def test_a_local_authority_without_predictions_has_no_rows_and_all_columns():
    table = score_local_authority(predictions([], []), SCORES)
    assert len(table) == 0
    assert set(table.columns) == set(TABLES["local_authority_scores"].column_names)
