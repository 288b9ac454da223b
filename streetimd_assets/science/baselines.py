"""Baselines: what can be told of an LSOA without looking at a single image.

What these reach is not owed to the streets. Coordinates know the map; the density of roads and the
number of images know how urban a place is, and what the collection of images left behind.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.estimators import N_INNER_FOLDS, Estimator, Parameters, Regressor
from streetimd_assets.science.folds import Labels, inner_folds
from streetimd_assets.science.matrices import FeatureMatrix

Array = npt.NDArray[np.float64]


class TrainingMean:
    """Baseline: the mean of the LSOAs fitted on, for everyone."""

    name = "mean"
    usual = None

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Nothing to choose."""
        return {}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Remember the mean."""
        from sklearn.dummy import DummyRegressor

        return DummyRegressor().fit(features.values, target)


class Neighbours:
    """Baseline: the mean of the LSOAs nearest in what is known of them; how many, by inner cross-validation.

    Parameters
    ----------
    name
        As in the tables.
    counts
        Numbers of neighbours tried.
    """

    usual = None

    def __init__(self, name: str, counts: tuple[int, ...]) -> None:
        self.name = name
        self.counts = counts

    def tune(
        self, features: FeatureMatrix, target: Array, *, groups: Labels | None = None, seed: int
    ) -> Parameters:
        """Choose the number of neighbours, finding the most that are tried once for each inner fold."""
        from scipy.spatial import KDTree

        errors = np.zeros(len(self.counts))
        for fold in inner_folds(len(target), groups, n_folds=N_INNER_FOLDS, seed=seed):
            counts = np.minimum(self.counts, len(fold.train))
            tree = KDTree(features.values[fold.train])
            nearest = tree.query(features.values[fold.test], k=np.arange(1, counts.max() + 1))[1]
            means = np.cumsum(target[fold.train][nearest], axis=1)[:, counts - 1] / counts
            errors += np.sum((target[fold.test][:, None] - means) ** 2, axis=0)
        return {"n_neighbors": self.counts[int(np.argmin(errors))]}

    def fit(self, features: FeatureMatrix, target: Array, parameters: Mapping[str, Any], *, seed: int) -> Regressor:
        """Remember the positions."""
        from sklearn.neighbors import KNeighborsRegressor

        count = min(parameters["n_neighbors"], len(target))
        return KNeighborsRegressor(n_neighbors=count).fit(features.values, target)


BASELINES: dict[str, Estimator] = {
    baseline.name: baseline
    for baseline in (
        TrainingMean(),
        Neighbours("coordinates", (3, 5, 10, 20)),
        Neighbours("road_density", (10, 30, 100)),
        Neighbours("n_images", (10, 30, 100)),
    )
}
# what each knows of an LSOA
COLUMNS: dict[str, tuple[str, ...]] = {
    "mean": ("easting_m", "northing_m"),
    "coordinates": ("easting_m", "northing_m"),
    "road_density": ("road_density",),
    "n_images": ("n_images",),
}
# those that make sense of any target, and where nothing is known of roads and images
OF_PLACE = ("mean", "coordinates")
