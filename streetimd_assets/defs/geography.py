"""Where things are: LSOAs, roads and the deprivation index, per local authority."""

from pathlib import Path
from typing import Any

import dagster as dg
import geopandas as gpd
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, patience, stamped, table_asset
from streetimd_assets.science import geography, sampling, soundness
from streetimd_assets.sources import boundaries, deprivation, roads
from streetimd_assets.sources.downloads import Download
from streetimd_assets.study import LocalAuthority
from streetimd_assets.synthetic import deprivation as synthetic_deprivation
from streetimd_assets.synthetic import geography as synthetic_geography
from streetimd_assets.synthetic import roads as synthetic_roads

NO_LSOA_IS_MISSING = Check(
    "no_lsoa_is_missing",
    "the boundaries or the look-up are a part of the local authority; name the whole if that is not meant.",
    is_blocking=False,
)
OUTLINES_DO_NOT_OVERLAP = Check(
    "outlines_do_not_overlap",
    "a picture would stand in two LSOAs: name boundaries (geography.boundaries) of one census, one outline "
    "per LSOA.",
)
EVERY_LSOA_IS_RANKED = Check(
    "every_lsoa_is_ranked", "choose the deprivation index that belongs to the boundaries' year."
)
RANK_1_IS_THE_MOST_DEPRIVED = Check(
    "rank_1_is_the_most_deprived",
    "ranks run the other way than scores, and every sign after them would too: give the index's own file as it is "
    "published (deprivation.url).",
)
MOST_LSOAS_HAVE_ROADS = Check(
    "most_lsoas_have_roads",
    "look at the LSOAs listed: without roads they get no sample points and no features.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Boundaries, roads and the index of the study's local authorities."""
    place, chosen = house.study.geography, house.study.deprivation
    is_synthetic = place.source == "synthetic"
    # what is predicted decides nothing here
    which = (chosen.index, chosen.url, chosen.covers)

    @table_asset(
        house,
        code_version=stamped(2, place.source, place.boundaries, place.lookup, *which),
        retry_policy=patience(),
        checks=[NO_LSOA_IS_MISSING, OUTLINES_DO_NOT_OVERLAP],
    )
    def lsoa_boundaries(context: dg.AssetExecutionContext) -> Made:
        """Outlines of the neighbourhoods (LSOAs) of the local authority, in British National Grid.

        LSOAs hold about 1,700 people each, and are what every later table describes. They are those of
        the census that the deprivation index is on: codes of 2011 and 2021 are never mixed.
        """
        authority = house.authority(context)
        if is_synthetic:
            lsoas = synthetic_geography.build_lsoas()
            lsoas, origin = lsoas[lsoas["lad_code"] == authority.lad_code], dict[str, str]()
        else:
            lsoas, origin = _official_lsoas(house, authority)
        lsoas = lsoas.assign(area_m2=lsoas.area)
        # how many there were in 2011 is not known here
        n_expected = authority.n_lsoas if is_synthetic or house.study.census == 2021 else len(lsoas)
        overlap = soundness.overlap_share(lsoas)
        return Made(
            geography.as_table(lsoas),
            {
                "area_km2": float(lsoas["area_m2"].sum() / 1e6),
                "median_area_km2": float(lsoas["area_m2"].median() / 1e6),
                **origin,
            },
            [
                NO_LSOA_IS_MISSING.result(len(lsoas) == n_expected, n_lsoas=len(lsoas), n_expected=n_expected),
                OUTLINES_DO_NOT_OVERLAP.result(overlap < 0.01, overlap_share=overlap),
            ],
        )

    @table_asset(
        house,
        code_version=stamped(2, place),
        pool="overpass",
        retry_policy=patience(),
        kinds=frozenset({"osm"}),
        checks=[MOST_LSOAS_HAVE_ROADS],
    )
    def road_segments(lsoa_boundaries: pd.DataFrame) -> Made:
        """Streets from OpenStreetMap that touch the local authority, two-way streets once.

        Sample points are laid along them. Motorways and, unless the study says otherwise, tunnels and
        private roads are left out; a street that nobody has drawn in OpenStreetMap is not here.
        """
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        if is_synthetic:
            edges, origin = synthetic_roads.build_road_edges(synthetic_geography.build_lsoas()), dict[str, str]()
        else:
            edges, origin = _official_roads(house, lsoas)
        segments = sampling.undirected_segments(edges, lsoas)
        lengths = sampling.road_lengths(segments, lsoas)
        without = sorted(lengths.index[lengths == 0])
        return Made(
            geography.as_table(segments),
            {"road_km_inside": float(lengths.sum() / 1000), "n_lsoas_without_roads": len(without), **origin},
            [MOST_LSOAS_HAVE_ROADS.result(len(without) <= 0.05 * len(lsoas), lsoas_without_roads=without)],
        )

    @table_asset(
        house,
        code_version=stamped(2, *which),
        retry_policy=patience(),
        checks=[EVERY_LSOA_IS_RANKED, RANK_1_IS_THE_MOST_DEPRIVED],
    )
    def deprivation_indices(context: dg.AssetExecutionContext, lsoa_boundaries: pd.DataFrame) -> Made:
        """The Index of Multiple Deprivation and its seven domains, for each LSOA.

        What the images are compared with. Rank 1 is the most deprived of the country, so whatever grows
        with deprivation goes down with rank. It describes places, not the people in them.
        """
        authority, codes = house.authority(context), list(lsoa_boundaries["lsoa_code"])
        if chosen.index == "synthetic":
            national = synthetic_deprivation.build_deprivation(synthetic_geography.build_lsoas())
            ranked, origin = national[national["lsoa_code"].isin(codes)], dict[str, str]()
        else:
            index = _index(house)
            ranked = deprivation.select_deprivation(index.table, codes, authority, chosen.index)
            origin = _origin("index", index.provenance)
        agreement = soundness.rank_against_score(ranked)
        return Made(
            ranked,
            {
                "median_imd_rank": float(ranked["imd_rank"].median()),
                "share_in_most_deprived_tenth": float((ranked["imd_decile"] == 1).mean()),
                **origin,
            },
            [
                EVERY_LSOA_IS_RANKED.result(set(ranked["lsoa_code"]) == set(codes), n_lsoas=len(codes)),
                # under three LSOAs nothing can be said
                RANK_1_IS_THE_MOST_DEPRIVED.result(not agreement > -0.9, correlation_of_score_and_rank=agreement),
            ],
        )

    roads_too = [road_segments] if house.has_table("road_segments") else []
    return [lsoa_boundaries, *roads_too, deprivation_indices]


def _index(house: House) -> deprivation.Deprivation:
    """The whole of the study's index."""
    chosen = house.study.deprivation
    edition: deprivation.Index = "iod2019" if chosen.index == "iod2019" else "iod2025"
    return deprivation.load_deprivation(
        chosen.url or deprivation.DEFAULT_FILES[edition],
        index=edition,
        cache_folder=house.cache / "index",
        is_national=chosen.covers == "england",
    )


def _official_lsoas(house: House, authority: LocalAuthority) -> tuple[gpd.GeoDataFrame, dict[str, str]]:
    """Boundaries of the census that the index is on, and where they and the look-up come from."""
    place, census, cache = house.study.geography, house.study.census, house.cache / "boundaries"
    found = boundaries.find_lsoa_codes(
        authority,
        lookup=place.lookup,
        census=census,
        index_lookup=_index(house).table if place.lookup is None else pd.DataFrame(),
        cache_folder=cache,
    )
    outlines = boundaries.fetch_lsoa_boundaries(
        authority,
        found.codes,
        boundaries=place.boundaries or boundaries.DEFAULT_BOUNDARIES[census],
        census=census,
        cache_folder=cache,
    )
    return outlines.lsoas, {
        **_origin("boundaries", outlines.provenance),
        **(_origin("lookup", found.provenance) if found.provenance else {}),
    }


def _official_roads(house: House, lsoas: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, dict[str, str]]:
    """Directed edges from an extract on disk if the study names one, else from Overpass; and their origin."""
    place = house.study.geography
    which: dict[str, Any] = {
        "highway_classes": place.highway_classes,
        "include_tunnels": place.include_tunnels,
        "include_private": place.include_private,
    }
    extract, cache = Path(place.roads_file) if place.roads_file else None, house.cache / "roads"
    if extract is not None:
        edges = roads.read_road_edges(lsoas, roads_file=extract, cache_folder=cache, **which)
    else:
        edges = roads.fetch_road_edges(lsoas, overpass_url=place.overpass_url, cache_folder=cache, **which)
    files = roads.road_provenance(
        lsoas,
        overpass_url=place.overpass_url,
        roads_file=extract,
        highway_classes=place.highway_classes,
        cache_folder=cache,
    )
    return edges, _origin("roads", files[0]) if files else {}


def _origin(what: str, file: Download) -> dict[str, str]:
    """Say where something came from, when, and whether it has changed there since."""
    said = {
        f"{what}_source": file.address,
        f"{what}_sha256": file.sha256,
        f"{what}_fetched_at": f"{file.fetched_at:%Y-%m-%d %H:%M} UTC",
    }
    if file.changed_from:
        said[f"{what}_has_changed"] = f"the file at this address is another than before ({file.changed_from[:12]}…)"
    if file.note:
        said[f"{what}_note"] = file.note
    return said
