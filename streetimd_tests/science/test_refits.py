"""Refits: nothing is asked about LSOAs it was fitted on, and chance is refitted as the truth was."""

from dataclasses import dataclass

import numpy as np
import pytest

from streetimd_assets.science.estimators import Ridge
from streetimd_assets.science.matrices import feature_matrix
from streetimd_assets.science.refits import Refits
from streetimd_tests.planted_features import SHARES, planted_world


@pytest.fixture(scope="module")
def asked():
    features, target, _ = planted_world(50, 4)
    return feature_matrix(features, "embeddings", shares=SHARES), target.to_numpy()


@dataclass(frozen=True)
class Told:
    """An estimator that remembers what it was given."""

    usual: dict | None = None
    name: str = "told"

    def tune(self, features, target, *, groups=None, seed):
        return {"sum": float(target.sum())}

    def fit(self, features, target, parameters, *, seed):
        return {"codes": set(features.lsoa_codes), "parameters": dict(parameters), "seed": seed}


def whole(model, fit):
    return model, fit


@pytest.mark.parametrize("n_folds", [5, 0])
def test_each_run_holds_each_lsoa_out_once_and_fits_on_the_others(asked, n_folds):
    matrix, target = asked
    answers = Refits(n_folds, 2, 3, seed=7, tunes=True).ask(whole, Told(), matrix, target)
    assert (len(answers.true), len(answers.by_chance)) == (2, 3)
    for run in [*answers.true, *answers.by_chance]:
        assert len(run) == max(n_folds, 1)
        for model, fit in run:
            assert model["codes"] == set(matrix.lsoa_codes) - set(matrix.lsoa_codes[fit.fold.test])
        held_out = np.concatenate([fit.fold.test for _, fit in run])
        assert sorted(held_out) == (list(range(50)) if n_folds else [])


def test_each_seed_cuts_other_folds_and_seeds_other_models(asked):
    first, second = Refits(5, 2, 0, seed=7, tunes=True).ask(whole, Told(), *asked).true
    assert [model["seed"] for model, _ in (first[0], second[0])] == [7, 8]
    assert first[0][1].fold.test.tolist() != second[0][1].fold.test.tolist()


def test_parameters_are_tuned_on_the_rows_fitted_on_alone(asked):
    for model, fit in Refits(5, 1, 0, seed=7, tunes=True).ask(whole, Told(), *asked).true[0]:
        assert model["parameters"] == {"sum": float(asked[1][fit.fold.train].sum())}


@pytest.mark.parametrize("tunes", [False, True])
def test_usual_parameters_are_taken_where_nothing_is_tuned_and_there_are_any(asked, tunes):
    def parameters(usual):
        run = Refits(5, 1, 0, seed=7, tunes=tunes).ask(whole, Told(usual), *asked).true[0]
        return [set(model["parameters"]) for model, _ in run]

    assert parameters({"usual": 1}) == [{"sum"} if tunes else {"usual"}] * 5
    assert parameters(None) == [{"sum"}] * 5


def test_chance_has_the_folds_and_parameters_of_the_first_run_and_a_target_in_another_order(asked):
    answers = Refits(5, 2, 2, seed=7, tunes=True).ask(whole, Told(), *asked)
    for run in answers.by_chance:
        for (model, fit), (first, first_fit) in zip(run, answers.true[0], strict=True):
            assert fit.fold.test.tolist() == first_fit.fold.test.tolist()
            assert model["parameters"] == first["parameters"]
            assert sorted(fit.target) == sorted(asked[1])
            assert np.abs(np.corrcoef(fit.target, asked[1])[0, 1]) < 0.5
    one, two = (run[0][1].target.tolist() for run in answers.by_chance)
    assert one != two


def slopes(model, fit):
    return model[-1].coef_


def test_the_same_seed_gives_the_same_fits(asked):
    def all_slopes():
        answers = Refits(3, 2, 2, seed=1, tunes=True).ask(slopes, Ridge(), *asked)
        return np.array([answers.true, answers.by_chance])

    np.testing.assert_array_equal(all_slopes(), all_slopes())
