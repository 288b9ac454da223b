"""Estimators choose as the libraries they stand for would."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from streetimd_assets.science.baselines import BASELINES
from streetimd_assets.science.estimators import ESTIMATORS, PartialLeastSquares, Ridge, fit_scaler
from streetimd_assets.science.folds import leave_one_out_by_group
from streetimd_assets.science.matrices import FeatureMatrix
from streetimd_assets.science.penalties import held_out_errors, leave_one_out_errors


def matrix_of(values):
    names = tuple(f"mean_embedding_{number:03d}" for number in range(values.shape[1]))
    codes = np.array([f"Z01{row:06d}" for row in range(len(values))], dtype=object)
    return FeatureMatrix(values.astype(np.float32), names, codes)


@pytest.mark.parametrize(("n", "n_columns"), [(60, 8), (40, 40), (30, 70)])
def test_ridge_chooses_the_penalty_that_scikit_learn_chooses(n, n_columns):
    rng = np.random.default_rng(n)
    matrix = matrix_of(rng.normal(size=(n, n_columns)))
    target = matrix.values[:, 0] + rng.normal(size=n)
    scaled = fit_scaler(matrix).transform(matrix.values.astype(np.float64))
    theirs = RidgeCV(alphas=Ridge.penalties, store_cv_results=True).fit(scaled, target)
    ours = leave_one_out_errors(scaled, target, Ridge.penalties)
    np.testing.assert_allclose(ours, theirs.cv_results_.sum(axis=0), rtol=1e-6)
    assert Ridge().tune(matrix, target, seed=1)["alpha"] == theirs.alpha_


def test_the_errors_of_partial_least_squares_are_those_of_fitting_each_number_of_components():
    rng = np.random.default_rng(3)
    values, target = rng.normal(size=(50, 12)), rng.normal(size=50)
    train, test = np.arange(35), np.arange(35, 50)
    model = PLSRegression(6, scale=False).fit(values[train], target[train])
    found = PartialLeastSquares()._errors(model, values[test], target[test])
    for n_components, error in enumerate(found, start=1):
        alone = PLSRegression(n_components, scale=False).fit(values[train], target[train])
        assert error == pytest.approx(np.sum((target[test] - alone.predict(values[test]).ravel()) ** 2))


def test_leaving_one_out_without_fitting_anew_is_leaving_one_out():
    from sklearn.linear_model import Ridge as Penalised

    rng = np.random.default_rng(5)
    values = rng.normal(size=(20, 4))
    centred, target = values - values.mean(axis=0), rng.normal(size=20)
    predicted = cross_val_predict(Penalised(alpha=2.0), centred, target, cv=LeaveOneOut())
    (error,) = leave_one_out_errors(centred, target, np.array([2.0]))
    assert error == pytest.approx(np.sum((target - predicted) ** 2))


def test_errors_of_groups_held_out_are_those_of_fitting_without_them():
    from sklearn.linear_model import Ridge as Penalised

    rng = np.random.default_rng(6)
    values, target = rng.normal(size=(40, 60)) + 3, rng.normal(size=40) + 100
    folds = leave_one_out_by_group([f"la{row % 4}" for row in range(40)])
    for penalty in (0.1, 30.0):
        expected = 0.0
        for fold in folds:
            model = Penalised(alpha=penalty).fit(values[fold.train], target[fold.train])
            expected += np.sum((target[fold.test] - model.predict(values[fold.test])) ** 2)
        (error,) = held_out_errors(values, target, np.array([penalty]), folds)
        assert error == pytest.approx(expected)


def places_that_differ(seed, n_places=8, n_each=40):
    """Features in which every place has a look of its own, which goes with its own level of the target."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"la{place}" for place in range(n_places)], n_each).astype(object)
    looks, levels = rng.normal(size=(n_places, 30)), rng.normal(size=n_places)
    signal = rng.normal(size=len(groups))
    values = 0.3 * rng.normal(size=(len(groups), 30)) + np.repeat(looks, n_each, axis=0)
    values[:, 0] += signal
    return matrix_of(values), signal + 2 * np.repeat(levels, n_each), groups


def test_to_read_unseen_places_ridge_takes_the_penalty_that_reads_groups_left_out_best():
    chosen = []
    for seed in range(6):
        matrix, target, groups = places_that_differ(seed)
        scaled = fit_scaler(matrix).transform(matrix.values.astype(np.float64))
        folds = leave_one_out_by_group(groups, max_folds=Ridge.n_inner_folds)
        best = Ridge.penalties[np.argmin(held_out_errors(scaled, target, Ridge.penalties, folds))]
        alone, grouped = (Ridge().tune(matrix, target, groups=g, seed=1)["alpha"] for g in (None, groups))
        assert grouped == best
        chosen.append((alone, grouped))
    # single rows left out have neighbours from their own place among the rest, which recognise its look
    assert any(alone != grouped for alone, grouped in chosen)


@pytest.mark.parametrize("name", ["pls", "svr", "lightgbm", "coordinates"])
def test_every_estimator_that_cuts_its_rows_cuts_them_by_the_groups_it_is_given(name, monkeypatch):
    from streetimd_assets.science import baselines, estimators, folds

    seen = []

    def cut(n, groups, **how):
        seen.append(groups)
        return folds.inner_folds(n, groups, **how)

    for module in (baselines, estimators):
        monkeypatch.setattr(module, "inner_folds", cut)
    matrix, target, groups = places_that_differ(1)
    {**BASELINES, **ESTIMATORS}[name].tune(matrix, target, groups=groups, seed=1)
    assert seen
    assert all(np.array_equal(given, groups) for given in seen)
