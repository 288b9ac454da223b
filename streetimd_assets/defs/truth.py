"""What was painted, for studies with painted images: read by tests and the demo's findings only."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.imagery import imagery_stamp
from streetimd_assets.defs.painted import painted_streets
from streetimd_assets.defs.table_asset import table_asset


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The planted truth; none where photographs are real."""
    if not house.study.has_painted_images:
        return []
    stamp = imagery_stamp(house.study.imagery)

    @table_asset(house, code_version=stamp, deps=["lsoa_boundaries", "deprivation_indices"])
    def planted_lsoas(context: dg.AssetExecutionContext) -> pd.DataFrame:
        """How deprived the painter was told each LSOA is, and the scenes that makes likely."""
        painter = painted_streets(house, context.partition_key)
        return painter.planted_lsoas(house.authority(context).lad_code)

    @table_asset(house, code_version=stamp, deps=["lsoa_boundaries", "deprivation_indices"])
    def planted_scenes(context: dg.AssetExecutionContext, panoramas: pd.DataFrame) -> pd.DataFrame:
        """The scene and disrepair painted in each image. Nothing that estimates anything reads it."""
        usable = panoramas[panoramas["status"] == "ok"]
        return painted_streets(house, context.partition_key).planted_scenes(usable)

    return [planted_lsoas, planted_scenes]
