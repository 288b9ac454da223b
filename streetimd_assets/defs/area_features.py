"""One row per LSOA from a table of area features: what takes the place of images in studies without them."""

from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.features import ONE_ROW_PER_LSOA
from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import area_features
from streetimd_assets.sources import area_features as source
from streetimd_assets.study.area_table import AreaTable

MOST_LSOAS_HAVE_FEATURES = Check(
    "most_lsoas_have_features",
    "many LSOAs lack a feature and are left out of every statistic: fill the feature named, or remove its column.",
    is_blocking=False,
)
EVERY_FEATURE_VARIES = Check(
    "every_feature_varies",
    "a feature that is the same everywhere tells nothing: remove its column, or give its true values.",
    is_blocking=False,
)
_MOST_NAMED = 20


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The features of the study's LSOAs, as the study's table has them."""
    table, census = house.study.area_table, house.study.census

    @table_asset(
        house,
        code_version=stamped(1, table.identity, census),
        checks=[ONE_ROW_PER_LSOA, MOST_LSOAS_HAVE_FEATURES, EVERY_FEATURE_VARIES],
    )
    def lsoa_features(context: dg.AssetExecutionContext, lsoa_boundaries: pd.DataFrame) -> Made:
        """Features of each LSOA from the study's own table, each under its name; NULL where it has none.

        All later statistics start from here and from deprivation_indices. No image was looked at, and
        n_images_kept is what the table says its rows rest on, or 1. An LSOA that lacks a feature is left
        out of every statistic.
        """
        authority, codes = house.authority(context), list(lsoa_boundaries["lsoa_code"])
        found = source.read_area_features(table)
        rows = source.select_area_features(found, codes, authority, census)
        described = area_features.describe_lsoas(
            codes, authority.lad_code, rows, names=table.features, source=table.identity
        )
        n_complete, missing = int((described["n_images_kept"] > 0).sum()), _missing(rows, table)
        still = [name for name in table.features if found.table[name].nunique() == 1]
        is_whole = sorted(described["lsoa_code"]) == sorted(codes)
        return Made(
            described,
            {
                "n_features": len(table.features),
                "n_lsoas_with_features": n_complete,
                "n_lsoas_left_out": len(codes) - n_complete,
                "n_rows_of_other_places": len(found.table) - len(rows),
                "features": list(table.features[:_MOST_NAMED]),
                **({"columns_passed_over": list(table.passed_over)} if table.passed_over else {}),
                # the page that prints it is sent to others, to whom a folder of this machine says nothing
                "features_source": found.provenance.path.name,
                "features_sha256": found.provenance.sha256,
                "features_fetched_at": f"{found.provenance.fetched_at:%Y-%m-%d %H:%M} UTC",
            },
            [
                ONE_ROW_PER_LSOA.result(is_whole, n_lsoas=len(described)),
                MOST_LSOAS_HAVE_FEATURES.result(
                    n_complete >= 0.8 * len(codes), n_lsoas=len(codes), n_with_features=n_complete, **missing
                ),
                EVERY_FEATURE_VARIES.result(not still, features_that_do_not=still),
            ],
        )

    return [lsoa_features]


def _missing(rows: pd.DataFrame, table: AreaTable) -> dict[str, Any]:
    """Name the feature that the most LSOAs lack, if any does."""
    lacking = rows[list(table.features)].isna().sum()
    if not lacking.any():
        return {}
    return {"feature_most_lack": str(lacking.idxmax()), "n_lsoas_lacking_it": int(lacking.max())}
