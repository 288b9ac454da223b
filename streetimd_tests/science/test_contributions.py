"""SHAP: contributions add up to the prediction, on LSOAs held out, and tell the direction planted."""

import numpy as np
import pytest

from streetimd_assets.science.contributions import contributions, tree_shap
from streetimd_assets.science.estimators import ESTIMATORS
from streetimd_assets.science.matrices import feature_matrix
from streetimd_assets.science.refits import Refits
from streetimd_tests.planted_features import SHARES, planted_world

BOOSTED = ESTIMATORS["lightgbm"]
REFITS = Refits(4, 3, 2, seed=1, tunes=True)


def asked(r2, sign=1):
    features, target, _ = planted_world(200, 4, r2=r2, planted_in="shares")
    return feature_matrix(features, "percentages", shares=SHARES), sign * target.to_numpy()


def beside_prediction(model, fit):
    return (
        tree_shap(model, fit),
        model.predict(fit.matrix.values[fit.fold.test]),
        model.predict(fit.matrix.values[fit.fold.train]),
    )


def test_contributions_are_the_prediction_less_its_mean_on_lsoas_held_out():
    matrix, target = asked(0.8)
    for told, predicted, fitted in (
        Refits(4, 1, 0, seed=1, tunes=True).ask(beside_prediction, BOOSTED, matrix, target).true[0]
    ):
        mean = predicted - told.added.sum(axis=1)
        np.testing.assert_allclose(mean, mean[0], atol=1e-9)
        # the mean of the trees over the rows they were grown on
        assert mean[0] == pytest.approx(fitted.mean(), abs=1e-6)


def test_the_planted_share_comes_first_and_its_direction_is_told():
    for sign in (1, -1):
        draws, directions = contributions(BOOSTED, *asked(0.8, sign), refits=REFITS)
        sizes, _ = draws.importance()
        assert sizes.argmax() == 0
        assert sizes[0] > draws.by_chance.max()
        assert sign * directions[0] > 0.9


def test_sizes_are_of_the_first_seed_fold_by_fold_in_units_of_the_target():
    matrix, target = asked(0.8)
    draws, _ = contributions(BOOSTED, matrix, target, refits=REFITS)
    assert draws.true.shape == (1, 4, 3)
    assert draws.by_chance.shape == (2, 3)
    tenfold, _ = contributions(BOOSTED, matrix, 10 * target, refits=REFITS)
    np.testing.assert_allclose(tenfold.true[..., 0], 10 * draws.true[..., 0], rtol=0.2)


def test_what_says_nothing_gets_as_much_as_by_chance_and_no_more():
    # of size, not zero: without the band it would look like importance
    draws, _ = contributions(BOOSTED, *asked(0.0), refits=Refits(4, 1, 19, seed=1, tunes=True))
    sizes, _ = draws.importance()
    assert sizes.min() > 0
    # the truth is one of twenty alike, and the highest of them one time in twenty
    assert sizes.max() < draws.by_chance.max(axis=1).max()


def test_a_share_that_is_the_same_everywhere_has_no_direction():
    matrix, target = asked(0.8)
    matrix.values[:, 2] = 0.5
    draws, directions = contributions(BOOSTED, matrix, target, refits=REFITS)
    assert np.isnan(directions[2])
    assert draws.importance()[0][2] == 0
