"""Read what study-wide assets run over, and say which local authorities that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from streetimd_assets.defs.house import House
from streetimd_assets.errors import ScienceError, TableMissingError
from streetimd_assets.science import area_features, geography
from streetimd_assets.science import features as feature_science

ALL_LOCAL_AUTHORITIES = dg.AllPartitionMapping()


class Coverage(dg.Config):
    """Which local authorities a study-wide asset runs over."""

    local_authorities: list[str] = Field(
        default_factory=list,
        description="Names or keys of local authorities; leave empty for all that have features.",
    )


@dataclass(frozen=True)
class Waist:
    """The features of LSOAs that have images, beside their deprivation, row by row.

    Parameters
    ----------
    features, deprivation
        Rows of ``lsoa_features`` and ``deprivation_indices`` for the same LSOAs in the same order.
    local_authorities
        Keys of the local authorities covered.
    n_in_study
        Local authorities the study names.
    shares
        Columns of `features` that models read beside or instead of embeddings: category shares, or the
        area features of a study without images.
    is_of_images
        False if the features come from a table.
    """

    features: pd.DataFrame
    deprivation: pd.DataFrame
    local_authorities: list[str]
    n_in_study: int
    shares: tuple[str, ...]
    is_of_images: bool

    @property
    def embeddings(self) -> npt.NDArray[np.float32]:
        """Mean embeddings, shape (n_lsoas, n_dimensions); area features in standard deviations."""
        stacked = feature_science.stack_embeddings(self.features["mean_embedding"])
        return stacked if self.is_of_images else area_features.standardised(stacked)

    def target(self, name: str) -> pd.Series:
        """One column of the index by LSOA code."""
        return self.deprivation.set_index("lsoa_code")[name].astype(float)

    def measures(self, names: Sequence[str]) -> pd.DataFrame:
        """Columns of the index by LSOA code."""
        return self.deprivation.set_index("lsoa_code")[list(names)]

    @property
    def figures(self) -> dict[str, Any]:
        """What every study-wide asset says of its coverage."""
        return {
            "n_lsoas": len(self.features),
            "n_local_authorities": len(self.local_authorities),
            "n_local_authorities_in_study": self.n_in_study,
            "local_authorities": self.local_authorities,
        }


def read_waist(house: House, chosen: list[str], columns: Sequence[str] | None = None) -> Waist:
    """Join features, or some of their columns, and deprivation on the LSOA's code.

    Raises
    ------
    TableMissingError
        If no local authority has features.
    ScienceError
        If rows of different encoders or category sets, or of another table of area features than the
        study's, would be pooled.
    """
    slugs = house.covered(chosen)
    if not slugs:
        raise TableMissingError(
            "no local authority has lsoa_features yet; materialise it for one or more of them first"
        )
    features = house.store.read_study_wide("lsoa_features", slugs, columns)
    feature_science.require_one_vintage(features)
    _require_the_studys_own_table(house, features)
    deprivation = house.store.read_study_wide("deprivation_indices", slugs)
    enough = features["n_images_kept"] >= house.study.modelling.min_images_per_lsoa
    features = features[enough].sort_values("lsoa_code", ignore_index=True)
    joined = features[["lsoa_code"]].merge(deprivation, on="lsoa_code", how="inner", validate="one_to_one")
    features = features[features["lsoa_code"].isin(joined["lsoa_code"])].reset_index(drop=True)
    study = house.study
    return Waist(features, joined, slugs, len(study.slugs), study.share_columns, study.has_images)


def _require_the_studys_own_table(house: House, features: pd.DataFrame) -> None:
    """Refuse area features of an earlier content of the table: their names may be others."""
    if house.study.has_images:
        return
    now = house.study.area_table.identity
    others = sorted(set(features["encoder"]) - {now})
    if others:
        raise ScienceError(
            f"lsoa_features were made from {others[0]}, and the study's table is now {now}; materialise "
            "lsoa_features again"
        )


def coordinates(house: House, waist: Waist) -> pd.DataFrame:
    """Return where each LSOA covered is: columns lsoa_code, easting_m, northing_m, lad_code (EPSG:27700)."""
    outlines = house.store.read_study_wide("lsoa_boundaries", waist.local_authorities)
    return geography.lsoa_positions(geography.as_geodataframe(outlines))


def everywhere(*names: str) -> list[dg.AssetDep]:
    """Depend on tables kept per local authority, whichever of them there are."""
    return [dg.AssetDep(name, partition_mapping=ALL_LOCAL_AUTHORITIES) for name in names]
