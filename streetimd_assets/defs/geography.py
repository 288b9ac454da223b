"""Where things are: LSOAs, roads and the deprivation index, per local authority."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import geography, sampling
from streetimd_assets.sources import boundaries, deprivation, roads
from streetimd_assets.synthetic import deprivation as synthetic_deprivation
from streetimd_assets.synthetic import geography as synthetic_geography
from streetimd_assets.synthetic import roads as synthetic_roads

EVERY_LSOA_IS_RANKED = Check(
    "every_lsoa_is_ranked", "Choose the deprivation index that belongs to the boundaries' year."
)
MOST_LSOAS_HAVE_ROADS = Check(
    "most_lsoas_have_roads",
    "Look at the LSOAs listed: without roads they get no sample points and no features.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Boundaries, roads and the index of the study's local authorities."""
    place = house.study.geography
    is_synthetic = place.source == "synthetic"

    stamp = stamped(1, place, house.study.deprivation.index)

    @table_asset(house, code_version=stamp)
    def lsoa_boundaries(context: dg.AssetExecutionContext) -> Made:
        """Outlines of the neighbourhoods (LSOAs) of the local authority, in British National Grid.

        LSOAs hold about 1,700 people each; they are what every later table describes.
        """
        authority = house.authority(context)
        if is_synthetic:
            lsoas = synthetic_geography.build_lsoas()
            lsoas = lsoas[lsoas["lad_code"] == authority.lad_code]
        else:
            lsoas = boundaries.fetch_lsoa_boundaries(
                authority,
                lsoa_service=place.lsoa_service,
                lookup_service=place.lookup_service,
                lsoa_year=2011 if house.study.deprivation.index == "iod2019" else 2021,
            )
        lsoas = lsoas.assign(area_m2=lsoas.area)
        return Made(geography.as_table(lsoas), {"area_km2": float(lsoas["area_m2"].sum() / 1e6)})

    @table_asset(
        house, code_version=stamp, pool="overpass", kinds=frozenset({"osm"}), checks=[MOST_LSOAS_HAVE_ROADS]
    )
    def road_segments(lsoa_boundaries: pd.DataFrame) -> Made:
        """Streets from OpenStreetMap that touch the local authority, two-way streets once."""
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        if is_synthetic:
            edges = synthetic_roads.build_road_edges(synthetic_geography.build_lsoas())
        else:
            edges = roads.fetch_road_edges(
                lsoas,
                overpass_url=place.overpass_url,
                network_type=place.network_type,
                cache_folder=house.cache / "overpass",
            )
        segments = sampling.undirected_segments(edges, lsoas)
        lengths = sampling.road_lengths(segments, lsoas)
        without = sorted(lengths.index[lengths == 0])
        return Made(
            geography.as_table(segments),
            {"road_km_inside": float(lengths.sum() / 1000), "n_lsoas_without_roads": len(without)},
            [MOST_LSOAS_HAVE_ROADS.result(len(without) <= 0.05 * len(lsoas), lsoas_without_roads=without)],
        )

    @table_asset(
        house,
        code_version=stamped(1, house.study.deprivation.index, house.study.deprivation.url),
        checks=[EVERY_LSOA_IS_RANKED],
    )
    def deprivation_indices(context: dg.AssetExecutionContext, lsoa_boundaries: pd.DataFrame) -> Made:
        """The Index of Multiple Deprivation and its seven domains; rank 1 is the most deprived."""
        authority, codes = house.authority(context), list(lsoa_boundaries["lsoa_code"])
        chosen = house.study.deprivation
        if chosen.index == "synthetic":
            national = synthetic_deprivation.build_deprivation(synthetic_geography.build_lsoas())
            ranked = national[national["lsoa_code"].isin(codes)]
        else:
            national = deprivation.load_deprivation(chosen.url, index=chosen.index, cache_folder=house.cache)
            ranked = deprivation.select_deprivation(national, codes, authority, chosen.index)
        return Made(
            ranked,
            {
                "median_imd_rank": float(ranked["imd_rank"].median()),
                "share_in_most_deprived_tenth": float((ranked["imd_decile"] == 1).mean()),
            },
            [EVERY_LSOA_IS_RANKED.result(set(ranked["lsoa_code"]) == set(codes), n_lsoas=len(codes))],
        )

    return [lsoa_boundaries, road_segments, deprivation_indices]
