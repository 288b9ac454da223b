"""What was painted, for studies with painted images: read by tests and the demo's findings only."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.imagery import imagery_stamp
from streetimd_assets.defs.painted import painted_streets
from streetimd_assets.defs.table_asset import Check, Made, table_asset

PLANTED_SHARES_SUM_TO_ONE = Check(
    "planted_shares_sum_to_one", "the painter's recipe is wrong; materialise this again, and tell us."
)
EVERY_PICTURE_WAS_PLANTED = Check(
    "every_picture_was_planted", "a panorama has no scene, or two; materialise panoramas and this again."
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The planted truth; none where photographs are real."""
    if not house.study.has_painted_images:
        return []
    stamp = imagery_stamp(house.study.imagery)

    told = ["lsoa_boundaries", "deprivation_indices"]

    @table_asset(house, code_version=stamp, deps=told, checks=[PLANTED_SHARES_SUM_TO_ONE])
    def planted_lsoas(context: dg.AssetExecutionContext) -> Made:
        """How deprived the painter was told each LSOA is, and the scenes that makes likely.

        Only in studies with painted images: the answer that the other tables should find again. No
        estimate reads it.
        """
        painter = painted_streets(house, context.partition_key)
        table = painter.planted_lsoas(house.authority(context).lad_code)
        sums = table.filter(like="_planted_share").sum(axis=1)
        deviation = float((sums - 1).abs().max())
        return Made(
            table,
            {
                "mean_deprivation": float(table["deprivation"].mean()),
                "largest_deprivation": float(table["deprivation"].max()),
            },
            [PLANTED_SHARES_SUM_TO_ONE.result(deviation < 1e-6, largest_deviation=deviation)],
        )

    @table_asset(house, code_version=stamp, deps=told, checks=[EVERY_PICTURE_WAS_PLANTED])
    def planted_scenes(context: dg.AssetExecutionContext, panoramas: pd.DataFrame) -> Made:
        """The scene and disrepair painted in each image, and the faults planted among them.

        Only in studies with painted images. Nothing that estimates anything reads it: tests and the
        demo's findings compare with it.
        """
        usable = panoramas[panoramas["status"] == "ok"]
        table = painted_streets(house, context.partition_key).planted_scenes(usable)
        n_each = table.groupby("panorama_id").size().reindex(usable["panorama_id"]).fillna(0)
        return Made(
            table,
            {"n_faults": int(table["fault"].notna().sum()), "mean_disrepair": float(table["disrepair"].mean())},
            [EVERY_PICTURE_WAS_PLANTED.result(n_each.nunique() <= 1, scenes_of_a_panorama=sorted(set(n_each)))],
        )

    return [planted_lsoas, planted_scenes]
