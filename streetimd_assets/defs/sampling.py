"""Points along the roads."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import geography, sampling

POINTS_LIE_ON_ROADS = Check("points_lie_on_roads", "materialise road_segments and sample_points again together.")
POINTS_KEEP_THEIR_DISTANCE = Check(
    "points_keep_their_distance", "two points share a place: materialise road_segments again."
)
POINTS_LIE_IN_THEIR_LSOA = Check(
    "points_lie_in_their_lsoa",
    "positions and LSOAs disagree: materialise lsoa_boundaries, road_segments and sample_points again together.",
)
MOST_LSOAS_ARE_SAMPLED = Check(
    "most_lsoas_are_sampled",
    "LSOAs without points get no images: make sampling.spacing_m smaller or raise sampling.min_points_per_lsoa.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The sample points of the study."""
    how = house.study.sampling

    @table_asset(
        house,
        code_version=stamped(2, how),
        checks=[
            POINTS_LIE_ON_ROADS,
            POINTS_KEEP_THEIR_DISTANCE,
            POINTS_LIE_IN_THEIR_LSOA,
            MOST_LSOAS_ARE_SAMPLED,
        ],
    )
    def sample_points(
        context: dg.AssetExecutionContext, road_segments: pd.DataFrame, lsoa_boundaries: pd.DataFrame
    ) -> Made:
        """Places along the roads, a fixed distance apart, each in the LSOA that contains it.

        At each the image source is asked for a panorama. Halving the spacing keeps every earlier point,
        so nothing is bought twice. An LSOA without roads has no point, and no features later.
        """
        before = house.store.read_before("sample_points", context.partition_key)
        segments = geography.as_geodataframe(road_segments)
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        points = sampling.sample_points(
            segments,
            lsoas,
            spacing_m=how.spacing_m,
            mode=how.mode,
            min_points_per_lsoa=how.min_points_per_lsoa,
            max_points_per_lsoa=how.max_points_per_lsoa,
            seed=how.seed,
        )
        off_road = sampling.largest_distance_to_road(points, segments)
        nearest = sampling.smallest_spacing(points)
        astray = geography.wrong_lsoa_share(points, lsoas)
        apart_m = geography.largest_position_disagreement(points)
        unsampled = sampling.unsampled_lsoas(points, lsoas)
        return Made(
            points,
            {
                "n_points": len(points),
                "n_points_kept": sampling.points_kept(before, points),
                "median_points_per_lsoa": float(points["lsoa_code"].value_counts().median()),
                "n_lsoas_without_points": len(unsampled),
                "lsoas_without_points": unsampled,
            },
            [
                POINTS_LIE_ON_ROADS.result(off_road < 0.1, largest_distance_m=off_road),
                POINTS_KEEP_THEIR_DISTANCE.result(nearest >= 1, smallest_spacing_m=nearest),
                POINTS_LIE_IN_THEIR_LSOA.result(
                    astray == 0 and apart_m < 1, wrong_lsoa_share=astray, grid_and_degrees_apart_m=apart_m
                ),
                MOST_LSOAS_ARE_SAMPLED.result(
                    len(unsampled) <= 0.05 * len(lsoas), n_lsoas=len(lsoas), n_without_points=len(unsampled)
                ),
            ],
        )

    return [sample_points]
