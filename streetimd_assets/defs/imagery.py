"""Street images: what there is, what it would take, and the pictures themselves."""

from datetime import date
from pathlib import Path

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.schemas import PANORAMA_STATUSES
from streetimd_assets.science import geography, sampling
from streetimd_assets.science import panoramas as panorama_science
from streetimd_assets.sources.imagery.base import ImagerySource
from streetimd_assets.sources.imagery.collecting import collect_images
from streetimd_assets.sources.imagery.folder import FolderImages
from streetimd_assets.store.images import ImageStore
from streetimd_assets.study.model import Imagery
from streetimd_assets.synthetic.painting import PaintedStreets

HALF_THE_POINTS_HAVE_IMAGERY = Check(
    "half_the_points_have_imagery",
    "Fewer than half the points have a usable panorama: look at the statuses before trusting features.",
    is_blocking=False,
)
PANORAMAS_STAND_IN_THEIR_LSOA = Check(
    "panoramas_stand_in_their_lsoa",
    "Positions and LSOAs disagree: materialise lsoa_boundaries and panoramas again.",
)
ALL_HEADINGS_PER_PANORAMA = Check(
    "all_headings_per_panorama",
    "Some panoramas miss a heading: materialise street_images again, which asks only for what is missing.",
    is_blocking=False,
)
IMAGE_FILES_DIFFER = Check(
    "image_files_differ",
    "One file came back for different headings: the provider ignores the heading; delete the images, tell us.",
)
# national numbers of LSOAs: a rank over them is a share of the country
_N_RANKED = {"iod2025": 33_755, "iod2019": 32_844, "synthetic": 300}


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Panoramas, the plan for them, and the images."""
    choice = house.study.imagery
    stamp = imagery_stamp(choice)
    told = ["lsoa_boundaries", "deprivation_indices"] if house.study.has_painted_images else []

    @table_asset(
        house,
        code_version=stamp,
        pool="imagery",
        deps=told[1:],
        checks=[HALF_THE_POINTS_HAVE_IMAGERY, PANORAMAS_STAND_IN_THEIR_LSOA],
    )
    def panoramas(
        context: dg.AssetExecutionContext, sample_points: pd.DataFrame, lsoa_boundaries: pd.DataFrame
    ) -> Made:
        """What the image source has near each point: free to ask, before any image is fetched.

        A panorama belongs to the LSOA it stands in itself. One that is missing, too far, already
        used or outside the local authority is a row with that status.
        """
        source = imagery_source(house, context.partition_key)
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        found = panorama_science.locate_panoramas(
            source.find_panoramas(sample_points), sample_points, lsoas, max_distance_m=choice.max_distance_m
        )
        apart_m = geography.largest_position_disagreement(found)
        astray = geography.wrong_lsoa_share(found, lsoas)
        counts = found["status"].value_counts()
        share = float((found["status"] == "ok").mean()) if len(found) else 0.0
        return Made(
            found,
            {f"n_{status}": int(counts.get(status, 0)) for status in PANORAMA_STATUSES},
            [
                HALF_THE_POINTS_HAVE_IMAGERY.result(share >= 0.5, usable_share=share),
                PANORAMAS_STAND_IN_THEIR_LSOA.result(
                    astray == 0 and apart_m < 1, wrong_lsoa_share=astray, grid_and_degrees_apart_m=apart_m
                ),
            ],
        )

    @table_asset(house, code_version="1")
    def imagery_plan(
        sample_points: pd.DataFrame,
        panoramas: pd.DataFrame,
        road_segments: pd.DataFrame,
        lsoa_boundaries: pd.DataFrame,
    ) -> Made:
        """Coverage per LSOA before an image is fetched: roads, points, panoramas and their dates."""
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        plan = panorama_science.plan_imagery(
            sample_points,
            panoramas,
            sampling.road_lengths(geography.as_geodataframe(road_segments), lsoas),
            list(lsoa_boundaries["lsoa_code"]),
            # a photograph of one's own looks one way
            n_headings=1 if choice.source == "folder" else len(choice.headings_deg),
        )
        return Made(
            plan,
            {
                "n_images_planned": int(plan["n_images_planned"].sum()),
                "n_lsoas_without_panoramas": int((plan["n_panoramas"] == 0).sum()),
            },
        )

    @table_asset(
        house,
        code_version=stamp,
        pool="imagery",
        deps=told,
        checks=[ALL_HEADINGS_PER_PANORAMA, IMAGE_FILES_DIFFER],
    )
    def street_images(context: dg.AssetExecutionContext, panoramas: pd.DataFrame) -> Made:
        """Four images per panorama, facing north, east, south and west, each checked before it counts.

        An image recorded as held is not asked for again, also after a run was stopped.
        """
        slug = context.partition_key
        kept = ImageStore(house.folder, slug)
        # reading a file of one's own again costs nothing, and it may have been replaced
        recorded = {} if choice.source == "folder" else kept.recorded()
        usable = panoramas[panoramas["status"] == "ok"]
        images = collect_images(
            usable,
            imagery_source(house, slug),
            recorded=recorded,
            save=kept.save,
            record=kept.record,
            progress=lambda done, total: context.log.info(f"{slug}: {done:,} of {total:,} images"),
        )
        good = images[images["status"] == "ok"]
        complete = panorama_science.complete_share(images)
        repeated = panorama_science.repeated_files(images)
        return Made(
            images,
            {
                "n_images": len(good),
                "n_held_before": int(images["image_id"].isin(list(recorded)).sum()),
                "n_invalid": int((images["status"] == "invalid_image").sum()),
                "n_failed": int((images["status"] == "failed").sum()),
                "median_captured_on": _median_date(good["captured_on"]),
            },
            [
                ALL_HEADINGS_PER_PANORAMA.result(complete >= 0.95, complete_share=complete),
                IMAGE_FILES_DIFFER.result(repeated == 0, n_repeated_files=repeated),
            ],
        )

    return [panoramas, imagery_plan, street_images]


def imagery_stamp(choice: Imagery) -> str:
    """Name all that decides the images; for a folder also the files in it, so that new ones are noticed."""
    files = []
    if choice.source == "folder" and choice.folder:
        named = [Path(choice.manifest)] if choice.manifest else []
        found = [path for path in [*Path(choice.folder).rglob("*"), *named] if path.is_file()]
        files = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)
    return stamped(1, choice, files)


def imagery_source(house: House, local_authority: str) -> ImagerySource:
    """Return the study's image source; a new provider is one more case here and one file in sources."""
    choice = house.study.imagery
    if choice.source == "folder":
        return FolderImages(str(choice.folder), choice.manifest)
    return painted_streets(house, local_authority)


def painted_streets(house: House, local_authority: str) -> PaintedStreets:
    """Return the painter, told how deprived each LSOA of the local authority is."""
    choice = house.study.imagery
    ranks = house.store.read("deprivation_indices", local_authority, ["lsoa_code", "imd_rank"])
    share = 1 - (ranks["imd_rank"] - 0.5) / _N_RANKED[house.study.deprivation.index]
    return PaintedStreets(
        geography.as_geodataframe(house.store.read("lsoa_boundaries", local_authority)),
        pd.Series(share.to_numpy(), index=ranks["lsoa_code"]),
        world=choice.world,
        faults=choice.faults,
        headings_deg=choice.headings_deg,
        image_size_px=choice.image_size_px,
        seed=choice.seed,
    )


def _median_date(dates: pd.Series) -> str:
    known = pd.to_datetime(dates.dropna())
    middle: date | None = known.median().date() if len(known) else None
    return middle.isoformat() if middle else "not known"
