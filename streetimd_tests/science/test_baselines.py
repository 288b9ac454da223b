"""Baselines know what they are given and nothing more."""

import numpy as np

from streetimd_assets.science.baselines import BASELINES
from streetimd_assets.science.estimators import N_INNER_FOLDS
from streetimd_assets.science.folds import random_folds
from streetimd_assets.science.matrices import FeatureMatrix


def places(n=80, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.array([f"Z01{row:06d}" for row in range(n)], dtype=object)
    values = rng.uniform(0, 20_000, (n, 2)).astype(np.float32)
    return FeatureMatrix(values, ("easting_m", "northing_m"), codes), np.sin(values[:, 0] / 4000) + rng.normal(
        size=n
    )


def test_neighbours_choose_their_number_as_fitting_each_would():
    for seed in range(5):
        matrix, target = places(seed=seed)
        learner = BASELINES["coordinates"]
        errors = []
        for count in (3, 5, 10, 20):
            error = 0.0
            for fold in random_folds(len(target), n_folds=N_INNER_FOLDS, seed=1):
                model = learner.fit(matrix.take(fold.train), target[fold.train], {"n_neighbors": count}, seed=1)
                error += np.sum((target[fold.test] - model.predict(matrix.values[fold.test])) ** 2)
            errors.append(error)
        assert learner.tune(matrix, target, seed=1) == {"n_neighbors": (3, 5, 10, 20)[int(np.argmin(errors))]}


def test_more_neighbours_than_there_are_is_all_of_them():
    matrix, target = places(n=24)
    learner = BASELINES["n_images"]
    model = learner.fit(matrix, target, {"n_neighbors": 100}, seed=1)
    np.testing.assert_allclose(model.predict(matrix.values), target.mean())
    assert learner.tune(matrix, target, seed=1)["n_neighbors"] in (10, 30, 100)


def test_the_training_mean_is_the_same_for_everyone():
    matrix, target = places()
    model = BASELINES["mean"].fit(matrix, target, {}, seed=1)
    np.testing.assert_allclose(model.predict(matrix.values), target.mean())
