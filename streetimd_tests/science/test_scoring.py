"""Scores and their intervals: known values, and intervals that hold what they promise."""

import numpy as np
import pytest
from scipy import stats

from streetimd_assets.science.folds import block_labels
from streetimd_assets.science.scoring import (
    Resamples,
    decile_edges,
    interval_of,
    intervals_of,
    r_squared,
    score_predictions,
    weighted_kappa,
)


def test_perfect_predictions_have_perfect_scores():
    observed = np.arange(100.0)
    score = score_predictions(observed, observed)
    assert score["r2"] == score["weighted_kappa"] == score["within_one_decile_share"] == 1
    assert score["mean_absolute_error"] == score["decile_absolute_error"] == 0


def test_deciles_are_counted_in_tenths_of_the_lsoas_of_the_study():
    observed = np.arange(100.0)
    # two tenths too high, but for the last tenths, from which there is nowhere to go
    score = score_predictions(observed, observed + 20)
    assert score["decile_absolute_error"] == pytest.approx((8 * 2 + 1 + 0) / 10)
    assert score["within_one_decile_share"] == pytest.approx(0.2)


def test_a_fold_is_scored_by_the_tenths_of_the_whole_study():
    whole = np.arange(100.0)
    lowest = whole[:10]
    score = score_predictions(lowest, lowest + 10, edges=decile_edges(whole))
    assert score["decile_absolute_error"] == 1


def test_weighted_kappa_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        seen, guessed = rng.integers(0, 10, (2, 60))
        expected = cohen_kappa_score(seen, guessed, weights="quadratic")
        assert weighted_kappa(seen, guessed) == pytest.approx(expected)
    assert weighted_kappa(np.zeros(5, int), np.zeros(5, int)) is None


def test_r2_of_68_hundredths_is_within_a_decile_two_times_in_three():
    """Known values of the bivariate normal: R² .68 goes with 64% within one decile, 1.3 deciles of error."""
    rng = np.random.default_rng(1)
    predicted = np.sqrt(0.68) * rng.normal(size=20_000)
    score = score_predictions(predicted + np.sqrt(0.32) * rng.normal(size=20_000), predicted)
    assert score["r2"] == pytest.approx(0.68, abs=0.02)
    assert score["within_one_decile_share"] == pytest.approx(0.64, abs=0.04)
    assert score["decile_absolute_error"] == pytest.approx(1.3, abs=0.15)
    assert score["weighted_kappa"] == pytest.approx(0.80, abs=0.03)


def drawn(labels, n_draws=300, seed=1):
    return Resamples.draw(np.asarray(labels, dtype=object), n_draws=n_draws, seed=seed)


def test_a_resample_of_blocks_has_the_r2_of_its_rows_written_out():
    rng = np.random.default_rng(2)
    labels = np.repeat(["a", "b", "c", "d"], [5, 9, 7, 4])
    observed = rng.normal(size=25) + 1000
    predicted = observed + rng.normal(size=25)
    resamples = drawn(labels, n_draws=20)
    found = resamples.r_squared(observed, predicted)
    for counts, value in zip(resamples.counts.astype(int), found, strict=True):
        rows = np.concatenate(
            [np.repeat(np.flatnonzero(labels == name), n) for name, n in zip("abcd", counts, strict=True)]
        )
        assert value == pytest.approx(r_squared(observed[rows], predicted[rows]))
    some = np.arange(0, 25, 2)
    part = resamples.r_squared(observed[some], predicted[some], some)
    whole = drawn(labels[some], n_draws=20)
    assert set(np.round(whole.r_squared(observed[some], predicted[some]), 9)) == set(np.round(part, 9))


def test_every_score_of_a_resample_is_that_of_its_rows_written_out():
    rng = np.random.default_rng(4)
    labels = np.repeat(["a", "b", "c", "d"], [5, 9, 7, 4])
    observed = rng.normal(size=25) + 1000
    predicted = observed + rng.normal(size=25)
    edges, resamples = decile_edges(observed), drawn(labels, n_draws=20)
    found = resamples.scores(observed, predicted, edges=edges)
    for number, counts in enumerate(resamples.counts.astype(int)):
        rows = np.repeat(np.arange(25), counts[resamples.blocks])
        written_out = score_predictions(observed[rows], predicted[rows], edges=edges)
        # ranks are those among all rows
        ranks = (stats.rankdata(values)[rows] for values in (observed, predicted))
        written_out["spearman_r"] = stats.pearsonr(*ranks).statistic
        assert {name: draws[number] for name, draws in found.items()} == pytest.approx(written_out)
    some = np.arange(0, 25, 2)
    part = resamples.scores(observed[some], predicted[some], some, edges=edges)
    whole = Resamples(resamples.blocks[some], resamples.counts).scores(observed[some], predicted[some], edges=edges)
    for name, draws in part.items():
        np.testing.assert_array_equal(draws, whole[name])


def test_ends_of_intervals_are_named_for_their_score_and_unknown_where_it_is():
    ends = intervals_of({"r2": np.linspace(0, 1, 101), "weighted_kappa": np.full(101, np.nan)})
    assert ends == {
        "r2_low": pytest.approx(0.025),
        "r2_high": pytest.approx(0.975),
        "weighted_kappa_low": None,
        "weighted_kappa_high": None,
    }


def test_the_interval_covers_the_true_r2_about_as_often_as_it_says():
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        predicted = rng.normal(size=200)
        observed = predicted + rng.normal(size=200)  # true R² is .5
        low, high = interval_of(drawn(np.arange(200), n_draws=200, seed=seed).r_squared(observed, predicted))
        hits += low <= 0.5 <= high
    assert 88 <= hits <= 100


def test_blocks_of_neighbours_make_the_interval_as_wide_as_it_is():
    """Where neighbours err alike, resampling single LSOAs covers the truth far too seldom."""
    hits = {"blocks": 0, "single": 0}
    labels = np.repeat(np.arange(40), 10)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        predicted = np.repeat(rng.normal(size=40), 10)
        observed = predicted + np.repeat(rng.normal(size=40), 10)  # true R² is .5
        for name, chosen in (("blocks", labels), ("single", np.arange(400))):
            low, high = interval_of(drawn(chosen, n_draws=200, seed=seed).r_squared(observed, predicted))
            hits[name] += low <= 0.5 <= high
    assert hits["blocks"] >= stats.binom.ppf(0.001, 150, 0.9)
    assert hits["single"] < 0.6 * 150


def test_an_interval_of_what_is_mostly_unknown_is_unknown():
    assert interval_of(np.array([np.nan, np.nan, np.nan, 0.5])) == (None, None)
    one_value = drawn(["a", "a", "b"]).r_squared(np.ones(3), np.zeros(3))
    assert np.isnan(one_value).all()


def test_squares_of_the_map_hold_neighbours_together():
    east, north = (values.ravel() for values in np.meshgrid(np.arange(20) * 500.0, np.arange(20) * 500.0))
    labels, side = block_labels(east, north, side_m=2500)
    assert side == 2500
    assert len(set(labels)) == 16
    assert all((labels == name).sum() == 25 for name in set(labels))
    chosen, _ = block_labels(east, north, n_blocks=30)
    assert 12 <= len(set(chosen)) <= 30
