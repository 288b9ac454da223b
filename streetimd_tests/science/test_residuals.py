"""What models leave over: likeness among neighbours is measured as by hand, and clumps are found where they are."""

import esda
import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science import soundness
from streetimd_assets.science.residuals import (
    N_NEIGHBOURS,
    Neighbourhood,
    residual_autocorrelation,
    residual_clusters,
)
from streetimd_tests.planted_features import shuffled

MODEL = "imd_rank/embeddings-mean/ridge/spatial_blocks"
SCORES = pd.DataFrame({"model_id": [MODEL, "other/random_folds"], "split": ["spatial_blocks", "random_folds"]})


def grid(side=12):
    """LSOAs a kilometre apart in rows and columns, a little astray so that no two are equally far."""
    row, column = np.divmod(np.arange(side * side), side)
    aside = np.random.default_rng(0).uniform(-1, 1, (2, side * side))
    return pd.DataFrame(
        {
            "lsoa_code": [f"Z01{number:05d}" for number in range(side * side)],
            "lad_code": "Z06000001",
            "easting_m": 400_000 + 1000.0 * column + aside[0],
            "northing_m": 300_000 + 1000.0 * row + aside[1],
        }
    )


def leftovers(places, residual, model_id=MODEL, observed=None):
    """Rows of lsoa_predictions with these residuals."""
    observed = np.arange(len(places), dtype=float) if observed is None else observed
    rows = places[["lsoa_code", "lad_code"]].assign(model_id=model_id, fold="0", observed=observed)
    return rows.assign(residual=residual, predicted=observed - residual)


def by_hand(places, values):
    """Moran's I as the textbooks write it, over the eight nearest with equal weights."""
    position = places[["easting_m", "northing_m"]].to_numpy()
    centred = values - values.mean()
    total = 0.0
    for here in range(len(values)):
        away = np.hypot(*(position - position[here]).T)
        nearest = np.argsort(away)[1 : N_NEIGHBOURS + 1]
        total += centred[here] * centred[nearest].mean()
    return total / (centred @ centred)


def chequerboard(side=12):
    row, column = np.divmod(np.arange(side * side), side)
    return np.where((row + column) % 2, 1.0, -1.0)


@pytest.mark.parametrize(
    "residual",
    [np.arange(144.0), chequerboard(), np.random.default_rng(3).normal(size=144) ** 3],
    ids=["a slope", "a chequerboard", "noise"],
)
def test_morans_i_is_what_one_works_out_by_hand(residual):
    places = grid()
    (row,) = residual_autocorrelation(leftovers(places, residual), SCORES, places, seed=1).to_dict("records")
    assert row["morans_i"] == pytest.approx(by_hand(places, residual), abs=1e-12)
    assert row["observed_morans_i"] == pytest.approx(by_hand(places, np.arange(144.0)), abs=1e-12)
    assert row["expected_i"] == pytest.approx(-1 / 143)
    assert (row["split"], row["n_neighbours"], row["n_lsoas"]) == ("spatial_blocks", 8, 144)


def test_a_slope_is_alike_and_alternating_rows_are_unlike_both_surely():
    places = grid()
    # of the eight around, six lie in the rows above and below, with the other sign
    rows = np.where(np.arange(144) // 12 % 2, 1.0, -1.0)
    for residual, sign in ((np.arange(144.0), 1), (rows, -1)):
        (row,) = residual_autocorrelation(leftovers(places, residual), SCORES, places, seed=1).to_dict("records")
        assert sign * row["morans_i"] > 0.3
        # either side counts: esda's own p would be as small for the first alone if asked so
        assert row["p_value"] == pytest.approx(1 / 1000)


def test_of_residuals_without_a_place_p_is_as_often_small_as_it_says():
    places = grid(10)
    rng = np.random.default_rng(5)
    tables = [leftovers(places, rng.standard_t(4, 100), f"model {number:03d}") for number in range(300)]
    scores = pd.DataFrame({"model_id": [table["model_id"].iloc[0] for table in tables], "split": "random_folds"})
    found = residual_autocorrelation(pd.concat(tables), scores, places, n_arrangements=199, seed=1)
    # each count is within three and a half standard deviations of the binomial
    for level in (0.05, 0.2, 0.5, 0.8):
        n = (found["p_value"] <= level).sum()
        assert abs(n - 300 * level) < 3.5 * np.sqrt(300 * level * (1 - level))
    assert abs((found["morans_i"] - found["expected_i"]).mean()) < 3.5 * found["morans_i"].std() / np.sqrt(300)


def test_the_same_seed_gives_the_same_tables_whatever_the_process_has_drawn_before():
    places, rng = grid(), np.random.default_rng(7)
    rows = leftovers(places, rng.normal(size=144))
    made = []
    for seed in (1, 1, 2):
        np.random.seed(len(made))
        before = np.random.get_state()[1].copy()
        both = (
            residual_autocorrelation(rows, SCORES, places, seed=seed),
            residual_clusters(rows, places, model_id=MODEL, n_arrangements=99, seed=seed),
        )
        assert np.array_equal(before, np.random.get_state()[1])
        made.append(both)
    for first, second, third in zip(*made, strict=True):
        pd.testing.assert_frame_equal(first, second)
        assert not first["p_value"].equals(third["p_value"])


def test_the_order_of_rows_plays_no_part():
    places, rng = grid(), np.random.default_rng(8)
    rows = pd.concat([leftovers(places, rng.normal(size=144), name) for name in SCORES["model_id"]])
    others = (shuffled(rows, 1), shuffled(SCORES, 2), shuffled(places, 3))
    pd.testing.assert_frame_equal(
        residual_autocorrelation(rows, SCORES, places, seed=1), residual_autocorrelation(*others, seed=1)
    )
    pd.testing.assert_frame_equal(
        residual_clusters(rows, places, model_id=MODEL, n_arrangements=99, seed=1),
        residual_clusters(others[0], others[2], model_id=MODEL, n_arrangements=99, seed=1),
    )


def clumped(places, n_around=2):
    """Noise, with a clump of high residuals in one corner, of low in the opposite, and one low among high."""
    row, column = np.divmod(np.arange(len(places)), 12)
    residual = np.random.default_rng(9).normal(0, 1, len(places))
    high, low = (row < 4) & (column < 4), (row >= 8) & (column >= 8)
    residual[high] += 4
    residual[low] -= 4
    astray = 12 + 1
    residual[astray] = -4
    return residual, high, low, astray


def test_planted_clumps_are_found_where_they_are_and_called_by_their_side():
    places = grid()
    residual, high, low, astray = clumped(places)
    found = residual_clusters(leftovers(places, residual), places, model_id=MODEL, seed=1)
    clusters = found["cluster"].to_numpy()
    assert clusters[astray] == "low_high"
    assert (clusters[high] == "high_high").sum() >= 10
    assert (clusters[low] == "low_low").sum() >= 10
    # at the clumps' edges a neighbour may be taken in; away from them hardly any is
    row, column = np.divmod(np.arange(144), 12)
    is_far = ((row > 5) | (column > 5)) & ((row < 6) | (column < 6))
    assert (clusters[is_far] != "none").mean() <= 0.05
    assert soundness.clusters_astray(found) == 0
    assert np.all((found["q_value"] < 0.05) == (found["cluster"] != "none"))


@pytest.mark.filterwarnings("ignore:The alternative hypothesis for conditional randomization")
def test_local_statistics_are_esdas_and_the_two_sided_p_agrees_with_twice_its_one_sided():
    places = grid()
    residual, *_ = clumped(places)
    found = residual_clusters(leftovers(places, residual), places, model_id=MODEL, n_arrangements=4999, seed=1)
    theirs = esda.Moran_Local(residual, Neighbourhood.of(places).graph, permutations=4999, seed=3)
    np.testing.assert_allclose(found["local_i"], theirs.Is)
    # two draws of 4,999 differ by a few hundredths at most; one side alone would be off by up to a half
    assert np.abs(found["p_value"] - np.minimum(1, 2 * theirs.p_sim)).max() < 0.08


def test_where_nothing_is_clumped_hardly_anything_is_called_so():
    places, rng = grid(), np.random.default_rng(11)
    n_called = [
        (
            residual_clusters(
                leftovers(places, rng.normal(size=144)), places, model_id=MODEL, n_arrangements=999, seed=1
            )["cluster"]
            != "none"
        ).any()
        for _ in range(40)
    ]
    # false discoveries anywhere in 5% of such maps; above 7 of 40 would be four standard deviations
    assert sum(n_called) <= 7


def test_residuals_that_are_all_equal_have_no_likeness_and_no_clusters():
    places = grid(5)
    rows = leftovers(places, np.zeros(25))
    (row,) = residual_autocorrelation(rows, SCORES, places, seed=1).to_dict("records")
    assert np.isnan(row["morans_i"])
    assert np.isnan(row["p_value"])
    assert set(residual_clusters(rows, places, model_id=MODEL, seed=1)["cluster"]) == {"none"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows, scores, places: (rows.iloc[:19], scores, places), "19 LSOAs have residuals"),
        (
            lambda rows, scores, places: (rows, scores, places.iloc[1:]),
            "LSOA Z0100000 has features and no coordinates",
        ),
        (
            lambda rows, scores, places: (rows, scores.iloc[1:], places),
            f"model {MODEL} has predictions and no score",
        ),
    ],
)
def test_what_cannot_be_worked_out_is_refused(change, says):
    places = grid(5)
    given = change(leftovers(places, np.arange(25.0)), SCORES, places)
    with pytest.raises(ScienceError, match=says):
        residual_autocorrelation(*given, seed=1)


def test_a_model_without_predictions_has_no_clusters():
    places = grid(5)
    with pytest.raises(ScienceError, match="model another has no predictions"):
        residual_clusters(leftovers(places, np.arange(25.0)), places, model_id="another", seed=1)
