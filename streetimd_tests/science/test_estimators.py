"""Estimators choose as the libraries they stand for would."""

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from streetimd_assets.science.estimators import PartialLeastSquares, Ridge, fit_scaler, leave_one_out_errors
from streetimd_assets.science.matrices import FeatureMatrix


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
