"""Intervals hold the share of LSOAs they promise, and are wide where few images say little."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.science.intervals import cross_conformal, with_intervals


def world(seed, n=400, n_folds=5):
    """Errors whose spread is known: 10 for what is missed anywhere, and 60 / sqrt(images)."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 60, n).astype(float)
    truth = rng.normal(0, 100, n)
    predicted = truth + rng.normal(0, np.sqrt(10**2 + 60**2 / images))
    return truth, predicted, rng.integers(n_folds, size=n).astype(str).astype(object), images


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_hold_the_share_they_promise_over_many_worlds(coverage):
    held = []
    for seed in range(60):
        truth, predicted, folds, images = world(seed)
        low, high = cross_conformal(truth, predicted, folds, images, coverage=coverage)
        held.append(((low <= truth) & (truth <= high)).mean())
    assert abs(np.mean(held) - coverage) < 0.01


def test_intervals_of_thin_lsoas_are_as_much_wider_as_their_errors_are():
    truth, predicted, folds, images = world(1, n=6000)
    low, high = cross_conformal(truth, predicted, folds, images)
    thin, thick = (high - low)[images == 1].mean(), (high - low)[images >= 50].mean()
    expected = np.sqrt(10**2 + 60**2) / np.sqrt(10**2 + 60**2 / images[images >= 50].mean())
    assert thin / thick == pytest.approx(expected, rel=0.15)


def test_coverage_holds_for_thin_and_for_thick_lsoas_alike():
    truth, predicted, folds, images = world(2, n=6000)
    low, high = cross_conformal(truth, predicted, folds, images)
    within = (low <= truth) & (truth <= high)
    assert abs(within[images < 5].mean() - 0.9) < 0.04
    assert abs(within[images > 40].mean() - 0.9) < 0.04


def test_a_fold_s_own_errors_do_not_widen_its_own_interval():
    truth, predicted, folds, images = world(3)
    astray = predicted + np.where(folds == "0", 1000.0, 0.0)
    before, _ = cross_conformal(truth, predicted, folds, images)
    after, _ = cross_conformal(truth, astray, folds, images)
    own = folds == "0"
    assert np.allclose(after[own] - astray[own], before[own] - predicted[own])
    assert np.all((after - astray)[~own] < (before - predicted)[~own])


def test_too_few_lsoas_have_no_interval_rather_than_a_wrong_one():
    truth, predicted, folds, images = world(4, n=8, n_folds=2)
    low, high = cross_conformal(truth, predicted, folds, images)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_perfect_predictions_have_intervals_of_no_width():
    truth, _, folds, images = world(5)
    low, high = cross_conformal(truth, truth, folds, images)
    assert np.array_equal(low, truth)
    assert np.array_equal(high, truth)


def test_each_model_and_split_has_intervals_of_its_own():
    tables = []
    for name, spread in (("narrow", 1.0), ("wide", 10.0)):
        truth, predicted, folds, images = world(6)
        tables.append(
            pd.DataFrame(
                {
                    "model_id": name,
                    "lsoa_code": [f"E{number:05d}" for number in range(len(truth))],
                    "fold": folds,
                    "observed": truth,
                    "predicted": truth + spread * (predicted - truth),
                }
            )
        )
    n_images = pd.Series(images, index=tables[0]["lsoa_code"])
    rows = with_intervals(pd.concat(tables).sample(frac=1, random_state=1), n_images)
    width = (rows["predicted_high"] - rows["predicted_low"]).groupby(rows["model_id"]).mean()
    assert width["wide"] / width["narrow"] == pytest.approx(10, rel=1e-6)
    is_within = rows["observed"].between(rows["predicted_low"], rows["predicted_high"])
    assert is_within.groupby(rows["model_id"]).mean().between(0.85, 0.95).all()
