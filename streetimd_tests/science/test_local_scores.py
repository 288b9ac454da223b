"""Scores within one local authority, against figures worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.local_scores import score_local_authority

CODES = [f"Z01{number:06d}" for number in range(600)]
SCORES = pd.DataFrame(
    {
        "model_id": ["m/ridge", "m/ridge", "m/mean"],
        "feature_set": ["embeddings", "embeddings", "baseline"],
        "estimator": ["ridge", "ridge", "mean"],
        "split": "random_folds",
        "fold": ["0", "all", "all"],
    }
)


# a line of LSOAs 100 m apart
PLACES = pd.DataFrame(
    {"lsoa_code": CODES, "lad_code": "Z06000001", "easting_m": 100.0 * np.arange(600), "northing_m": 0.0}
)


def score(rows):
    return score_local_authority(rows, SCORES, PLACES, n_draws=400, seed=1)


def predictions(observed, predicted, model_id="m/ridge"):
    codes = CODES[: len(observed)]
    table = pd.DataFrame({"model_id": model_id, "lsoa_code": codes, "lad_code": "Z06000001"})
    return table.assign(observed=observed, predicted=predicted, residual=np.subtract(observed, predicted))


def test_scores_are_against_the_local_authoritys_own_mean():
    observed = np.arange(10.0)
    table = score(predictions(observed, observed + 2))
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
    (row,) = score(predictions(observed, observed - 1)).to_dict("records")
    assert np.isnan(row["r2"])
    assert np.isnan(row["spearman_r"])
    assert row["mean_error"] == pytest.approx(-1)


def test_each_model_has_one_row_and_shuffled_rows_give_the_same_table():
    rng = np.random.default_rng(0)
    rows = pd.concat(
        [predictions(rng.normal(size=30), rng.normal(size=30), model) for model in ("m/ridge", "m/mean")]
    )
    table = score(rows)
    assert table["model_id"].tolist() == ["m/mean", "m/ridge"]
    pd.testing.assert_frame_equal(score(rows.sample(frac=1, random_state=1)), table)


def test_a_local_authority_without_predictions_has_no_rows_and_all_columns():
    table = score(predictions([], []))
    assert len(table) == 0
    assert set(table.columns) == set(TABLES["local_authority_scores"].column_names)


def test_the_interval_of_an_error_holds_the_true_one_as_often_as_it_says():
    held = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        observed = rng.normal(size=120)
        (row,) = score(predictions(observed, observed + 0.3 + rng.normal(size=120))).to_dict("records")
        held.append(row["mean_error_low"] <= 0.3 <= row["mean_error_high"])
    # 95% of 80 is 76, with a standard deviation of 2
    assert 68 <= np.sum(held) < 80


def test_neighbours_that_err_alike_are_resampled_together():
    rng = np.random.default_rng(3)
    observed = rng.normal(size=120)
    shared, single = np.repeat(rng.normal(size=24), 5), rng.normal(size=120)
    apart, alike = (
        score(predictions(observed, observed + errors)).iloc[0] for errors in (single, rng.permutation(shared))
    )
    (together,) = score(predictions(observed, observed + shared)).to_dict("records")
    widths = [row["mean_error_high"] - row["mean_error_low"] for row in (apart, alike, together)]
    assert widths[2] > 1.5 * max(widths[:2])


@pytest.mark.parametrize(("n", "is_given"), [(20, False), (30, True)])
def test_intervals_need_eight_squares_of_neighbours(n, is_given):
    rng = np.random.default_rng(n)
    (row,) = score(predictions(rng.normal(size=n), rng.normal(size=n))).to_dict("records")
    assert np.isfinite(row["r2"])
    for name in ("r2", "mean_absolute_error", "mean_error", "spearman_r"):
        assert np.isfinite(row[f"{name}_low"]) == is_given
        assert not is_given or row[f"{name}_low"] < row[name] < row[f"{name}_high"]
