"""The ground on which models are compared: the same LSOAs, splits and resamples for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.baselines import COLUMNS
from streetimd_assets.science.folds import Splits, make_splits
from streetimd_assets.science.matrices import FeatureMatrix, feature_matrix, require_enough
from streetimd_assets.science.model_tables import Model
from streetimd_assets.science.scoring import Resamples

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ground:
    """The LSOAs compared on, and how they are split and resampled.

    Parameters
    ----------
    features
        Rows of ``lsoa_features`` of the LSOAs that have every set of features, by ``lsoa_code``.
    places
        Where they are and what else is known of them without images: indexed by ``lsoa_code``, with
        ``easting_m``, ``northing_m``, ``lad_code``, ``n_images`` and, if known, ``road_density``.
    shares
        Columns of category shares.
    splits
        The ways of holding them out.
    resamples
        Blocks of neighbours drawn, the same for every model.
    n_with_images
        LSOAs with any image kept.
    """

    features: pd.DataFrame
    places: pd.DataFrame
    shares: Sequence[str]
    splits: Splits
    resamples: Resamples
    n_with_images: int

    def matrix(self, model: Model) -> FeatureMatrix | None:
        """Return the features of a model; None where a baseline has nothing to go by."""
        if model.feature_set != "baseline":
            return feature_matrix(self.features, shares=self.shares, **model.matrix_arguments())
        columns = list(COLUMNS[model.estimator])
        if not set(columns) <= set(self.places.columns) or self.places[columns].isna().any(axis=None):
            return None
        values = self.places[columns].to_numpy(np.float32)
        return FeatureMatrix(values, tuple(columns), self.places.index.to_numpy(object))


def stake_out(
    known: pd.DataFrame,
    coordinates: pd.DataFrame,
    *,
    shares: Sequence[str],
    feature_sets: Sequence[str],
    statistic: str,
    n_folds: int,
    block_side_m: float | None,
    n_draws: int,
    seed: int,
) -> Ground:
    """Find the LSOAs that have every set of features, and split them; see ``tuned_models``.

    Raises
    ------
    ScienceError
        If there are fewer than 20, or one has no coordinates.
    """
    complete = [
        set(feature_matrix(known, name, statistic=statistic, shares=shares).lsoa_codes) for name in feature_sets
    ]
    here = known[known["lsoa_code"].isin(set.intersection(*complete))].sort_values("lsoa_code")
    require_enough(len(here), "have embeddings, shares and a target")
    places = places_of(here["lsoa_code"].to_numpy(object), coordinates)
    places["n_images"] = here["n_images_kept"].to_numpy(float)
    splits = make_splits(places, n_folds=n_folds, block_side_m=block_side_m, seed=seed)
    return Ground(
        features=here,
        places=places,
        shares=shares,
        splits=splits,
        resamples=Resamples.draw(splits.blocks, n_draws=n_draws, seed=seed),
        n_with_images=len(known),
    )


def places_of(codes: npt.NDArray[np.object_], coordinates: pd.DataFrame) -> pd.DataFrame:
    """Return where LSOAs are, indexed by their codes, in their order.

    Raises
    ------
    ScienceError
        If one has no coordinates.
    """
    places = coordinates.drop_duplicates("lsoa_code").set_index("lsoa_code").reindex(codes)
    unplaced = places.index[places["easting_m"].isna() | places["northing_m"].isna()]
    if len(unplaced):
        raise ScienceError(f"LSOA {unplaced[0]} has features and no coordinates; materialise lsoa_boundaries again")
    return places
