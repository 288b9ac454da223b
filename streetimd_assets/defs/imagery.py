"""Street images: what there is, what it would take, and the pictures themselves."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import declared_page, page_result
from streetimd_assets.defs.progress import Progress
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.defs.table_asset import Check, Made, patience, refusals_in_one_sentence, stamped, table_asset
from streetimd_assets.plots.imagery import attribution_page, imagery_map_page
from streetimd_assets.schemas import PANORAMA_STATUSES
from streetimd_assets.science import geography, sampling, soundness
from streetimd_assets.science import panoramas as panorama_science
from streetimd_assets.sources.imagery.collecting import ask_panoramas, collect_images, images_of
from streetimd_assets.store.images import ImageStore
from streetimd_assets.study.imagery import Imagery

HALF_THE_POINTS_HAVE_IMAGERY = Check(
    "half_the_points_have_imagery",
    "fewer than half the points have a usable panorama; look at the statuses, then widen imagery.max_distance_m "
    "or the dates, or choose another source, before trusting features.",
    is_blocking=False,
)
FEW_POINTS_WENT_UNANSWERED = Check(
    "few_points_went_unanswered",
    "of some points it is not known whether there is a panorama, because the provider did not answer; materialise "
    "panoramas again, which is free, and what is made of them.",
    is_blocking=False,
)
PANORAMAS_STAND_IN_THEIR_LSOA = Check(
    "panoramas_stand_in_their_lsoa",
    "positions and LSOAs disagree; materialise lsoa_boundaries, sample_points and panoramas again.",
)
ALL_HEADINGS_PER_PANORAMA = Check(
    "all_headings_per_panorama",
    "some panoramas miss a heading; materialise street_images again, which asks only for what is missing.",
    is_blocking=False,
)
IMAGE_FILES_DIFFER = Check(
    "image_files_differ",
    "one file came back for different headings of a panorama, so the provider ignores the heading; delete the "
    "pictures with `streetimd purge` and tell us.",
)
FEW_REQUESTS_FAILED = Check(
    "few_requests_failed",
    "some pictures could not be had; materialise street_images again, which asks only for those.",
    is_blocking=False,
)
IMAGES_STAND_WHERE_THEIR_PANORAMA_DOES = Check(
    "images_stand_where_their_panorama_does",
    "rows of images and panoramas were mixed up; materialise panoramas and street_images again, and tell us.",
)
PLANNED_IMAGES_ADD_UP = Check(
    "planned_images_add_up",
    "images held and to be fetched are not those planned; materialise panoramas and imagery_plan again.",
)
MOST_LSOAS_HAVE_IMAGERY = Check(
    "most_lsoas_have_imagery",
    "LSOAs without a panorama stay without features; sample more densely, allow older pictures or choose another "
    "source before buying.",
    is_blocking=False,
)


class FetchAgain(dg.Config):
    """Whether pictures that were deleted after embedding are fetched, and paid for, once more."""

    fetch_again: bool = False


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Panoramas, the plan for them, the images, and two pages about them."""
    choice = house.study.imagery
    acquisition = Acquisition(house)
    stamp = imagery_stamp(choice)
    told = ["lsoa_boundaries", "deprivation_indices"] if house.study.has_painted_images else []

    @table_asset(
        house,
        code_version=stamp,
        pool=choice.source,
        retry_policy=patience(),
        deps=told[1:],
        checks=[HALF_THE_POINTS_HAVE_IMAGERY, FEW_POINTS_WENT_UNANSWERED, PANORAMAS_STAND_IN_THEIR_LSOA],
    )
    def panoramas(
        context: dg.AssetExecutionContext, sample_points: pd.DataFrame, lsoa_boundaries: pd.DataFrame
    ) -> Made:
        """What the image source has near each point: free to ask, before any image is fetched.

        It decides which places are seen, and when. A panorama belongs to the LSOA it stands in itself. One
        that is missing, too far, already used or outside the local authority is a row with that status.
        """
        slug = context.partition_key
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        answers = ask_panoramas(
            acquisition.source(slug),
            sample_points,
            web=acquisition.web,
            progress=Progress(context.log.info, "requests for panoramas answered", slug),
        )
        before = house.store.read_before("panoramas", slug)
        found = panorama_science.locate_panoramas(
            answers, sample_points, lsoas, max_distance_m=choice.max_distance_m
        )
        changes = panorama_science.compare_panoramas(before, found)
        if _was_made_by(context, stamp):
            same_place = before[before["lsoa_code"].isin(lsoas["lsoa_code"])]
            found = panorama_science.keep_unanswered(found, same_place)
        found = panorama_science.keep_bearings(found, before)
        apart_m = geography.largest_position_disagreement(found)
        astray = geography.wrong_lsoa_share(found, lsoas)
        counts = found["status"].value_counts()
        share, n_failed = panorama_science.answered_share(found), int(counts.get("failed", 0))
        return Made(
            found,
            {
                **{f"n_{status}": int(counts.get(status, 0)) for status in PANORAMA_STATUSES},
                "usable_share": share,
                **changes,
            },
            [
                HALF_THE_POINTS_HAVE_IMAGERY.result(share >= 0.5, usable_share=share),
                FEW_POINTS_WENT_UNANSWERED.result(n_failed <= 0.01 * len(found), n_failed=n_failed),
                PANORAMAS_STAND_IN_THEIR_LSOA.result(
                    astray == 0 and apart_m < 1, wrong_lsoa_share=astray, grid_and_degrees_apart_m=apart_m
                ),
            ],
        )

    @table_asset(house, code_version=stamped(3, stamp), checks=[PLANNED_IMAGES_ADD_UP, MOST_LSOAS_HAVE_IMAGERY])
    def imagery_plan(
        context: dg.AssetExecutionContext,
        sample_points: pd.DataFrame,
        panoramas: pd.DataFrame,
        road_segments: pd.DataFrame,
        lsoa_boundaries: pd.DataFrame,
    ) -> Made:
        """Coverage and cost per LSOA before an image is fetched: panoramas, their age, what they would cost.

        Look here, or at imagery_map, before materialising street_images. The cost is by the provider's
        list prices and what this month has had of them; the provider's own bill decides.
        """
        slug = context.partition_key
        lsoas = geography.as_geodataframe(lsoa_boundaries)
        planned = images_of(panoramas, acquisition.source(slug), acquisition.held_and_read(slug), acquisition.view)
        plan = panorama_science.plan_imagery(
            sample_points,
            panoramas,
            sampling.road_lengths(geography.as_geodataframe(road_segments), lsoas),
            list(lsoa_boundaries["lsoa_code"]),
            images_per_panorama=planned.n_planned,
            held=planned.n_held,
            cost_usd=acquisition.cost_usd(planned.n_to_buy),
            today=datetime.now(UTC).date(),
        )
        n_planned = plan["n_images_held"] + plan["n_images_to_fetch"]
        n_bare = int((plan["n_panoramas"] == 0).sum())
        return Made(
            plan,
            {
                "n_panoramas": int(plan["n_panoramas"].sum()),
                "n_images_to_fetch": int(plan["n_images_to_fetch"].sum()),
                "cost_usd": float(plan["cost_usd"].sum()),
                "median_age_years": float(plan["median_age_years"].median()),
                "plan": plan_line(plan, acquisition),
                "prices": acquisition.price_line,
            },
            [
                PLANNED_IMAGES_ADD_UP.result(
                    bool((n_planned == plan["n_images_planned"]).all()), n_planned=int(n_planned.sum())
                ),
                MOST_LSOAS_HAVE_IMAGERY.result(
                    n_bare <= 0.1 * len(plan), n_lsoas=len(plan), n_without_panoramas=n_bare
                ),
            ],
        )

    @table_asset(
        house,
        code_version=stamp,
        pool=choice.source,
        retry_policy=patience(),
        deps=told,
        checks=[
            ALL_HEADINGS_PER_PANORAMA,
            IMAGE_FILES_DIFFER,
            FEW_REQUESTS_FAILED,
            IMAGES_STAND_WHERE_THEIR_PANORAMA_DOES,
        ],
    )
    def street_images(
        context: dg.AssetExecutionContext,
        config: FetchAgain,
        panoramas: pd.DataFrame,
        encoder: dg.ResourceParam[LazyEncoder],
    ) -> Made:
        """Images of each panorama in the study's headings, each checked before it counts.

        The only asset that may cost money. A flat photograph gives the one it is. An image recorded as
        held is not asked for, or paid for, again, also after a run was stopped.
        """
        slug = context.partition_key
        kept, source = ImageStore(house.folder, slug), acquisition.source(slug)
        with kept.alone():
            held = (
                acquisition.held_and_read(slug, encoder.loaded.identity)
                if config.fetch_again
                else acquisition.held(slug)
            )
            n_held_before = sum(images_of(panoramas, source, held, acquisition.view).n_held.values())
            images = collect_images(
                panoramas,
                source,
                web=acquisition.web,
                recorded=held,
                view=acquisition.view,
                save=kept.save,
                record=kept.record,
                purse=acquisition.purse(context.run.run_id),
                n_at_once=choice.max_connections,
                progress=Progress(context.log.info, "images held", slug),
            )
        images["viewer_url"] = acquisition.viewers(images)
        good = images[images["status"] == "ok"]
        complete = panorama_science.complete_share(images)
        repeated = panorama_science.repeated_files(images)
        n_failed = int((images["status"] == "failed").sum())
        astray = _astray_share(images, panoramas)
        return Made(
            images,
            {
                "n_images": len(good),
                "n_held_before": n_held_before,
                "n_invalid": int((images["status"] == "invalid_image").sum()),
                "n_failed": n_failed,
                "n_files_in_several_panoramas": panorama_science.files_in_several_panoramas(images),
                "median_captured_on": _median_date(good["captured_on"]),
                **spending(acquisition),
            },
            [
                ALL_HEADINGS_PER_PANORAMA.result(complete >= 0.95, complete_share=complete),
                IMAGE_FILES_DIFFER.result(repeated == 0, n_repeated_files=repeated),
                FEW_REQUESTS_FAILED.result(n_failed <= 0.01 * len(images), n_failed=n_failed, n_images=len(images)),
                IMAGES_STAND_WHERE_THEIR_PANORAMA_DOES.result(astray == 0, wrong_lsoa_share=astray),
            ],
        )

    return [panoramas, imagery_plan, street_images, *_pages(house, acquisition)]


def _pages(house: House, acquisition: Acquisition) -> list[dg.AssetsDefinition]:
    declared = declared_page(house, "imagery", is_partitioned=True)

    @dg.asset(**declared, code_version=stamped(2, house.study.heading))
    def imagery_map(
        context: dg.AssetExecutionContext,
        imagery_plan: pd.DataFrame,
        lsoa_boundaries: pd.DataFrame,
        sample_points: pd.DataFrame,
        panoramas: pd.DataFrame,
    ) -> dg.MaterializeResult:
        """The plan as a map: where there is imagery, how old it is and what it would cost.

        A page to look at before buying: open the link "page" of a materialisation. It holds no picture
        of a provider, so it may stand beside a map.
        """
        authority = house.authority(context)
        with refusals_in_one_sentence():
            page = imagery_map_page(
                imagery_plan,
                geography.as_geodataframe(lsoa_boundaries),
                # a photograph of one's own answers for no sample point
                None if acquisition.house.study.imagery.source == "folder" else sample_points,
                panoramas,
                heading=f"{house.study.heading}: {authority.name}",
                prices_note=acquisition.price_line,
            )
            return page_result(
                house,
                "imagery_map",
                page,
                authority.slug,
                plan=plan_line(imagery_plan, acquisition),
                n_panoramas=int(imagery_plan["n_panoramas"].sum()),
                n_lsoas_without_imagery=int((imagery_plan["n_panoramas"] == 0).sum()),
            )

    @dg.asset(**declared, code_version=stamped(2, house.study.heading))
    def attribution_sheet(context: dg.AssetExecutionContext, street_images: pd.DataFrame) -> dg.MaterializeResult:
        """Whose pictures these are, under which licence, and what the provider asks of those who use them.

        A page to keep with whatever is published: open the link "page" of a materialisation. Credits are
        as the provider gave them.
        """
        authority = house.authority(context)
        with refusals_in_one_sentence():
            page = attribution_page(
                street_images,
                heading=f"{house.study.heading}: {authority.name}",
                terms=acquisition.terms,
            )
            return page_result(
                house,
                "attribution_sheet",
                page,
                authority.slug,
                n_credits=int(street_images["credit"].nunique()),
                n_licences=int(street_images["licence"].nunique()),
            )

    return [imagery_map, attribution_sheet]


def _astray_share(images: pd.DataFrame, panoramas: pd.DataFrame) -> float:
    """Share of images in another LSOA than the usable panorama they were taken from."""
    of = panoramas[panoramas["status"] == "ok"].drop_duplicates("panorama_id")
    named = images[["panorama_id", "lsoa_code"]].rename(columns={"panorama_id": "image_id"})
    return soundness.astray_share(named, of.rename(columns={"panorama_id": "image_id"}), ["lsoa_code"])


def _was_made_by(context: dg.AssetExecutionContext, code_version: str) -> bool:
    """Return True if the asset's table as it is was made from the same choices."""
    latest = dg.AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key])
    for record in context.instance.fetch_materializations(latest, limit=1).records:
        made = record.asset_materialization
        # what follows the choices is a hash of the table's columns
        return bool(made and (made.tags or {}).get("dagster/code_version", "").startswith(f"{code_version}."))
    return False


def imagery_stamp(choice: Imagery) -> str:
    """Name all that decides the images; for a folder also the files in it, so that new ones are noticed."""
    files = []
    if choice.source == "folder" and choice.folder:
        named = [Path(choice.manifest)] if choice.manifest else []
        found = [path for path in [*Path(choice.folder).rglob("*"), *named] if path.is_file()]
        files = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found)
    # how fast, and with whose leave, makes no other picture
    manner = {"accept_terms", "retain_images", "requests_per_minute", "max_connections", "address"}
    return stamped(2, choice.model_dump_json(exclude=manner), files)


def plan_line(plan: pd.DataFrame, acquisition: Acquisition) -> str:
    """Say a plan in one line."""
    n_planned, n_held = int(plan["n_images_planned"].sum()), int(plan["n_images_held"].sum())
    n_bare = int((plan["n_panoramas"] == 0).sum())
    cost = f"${plan['cost_usd'].sum():,.2f}" if acquisition.ledger else "nothing to pay"
    age = plan["median_age_years"].median()
    return (
        f"{n_planned:,} images of {int(plan['n_panoramas'].sum()):,} panoramas in {len(plan) - n_bare:,} of "
        f"{len(plan):,} LSOAs; {n_held:,} held, {int(plan['n_images_to_fetch'].sum()):,} to fetch: {cost}; "
        + ("age not known" if pd.isna(age) else f"median age {age:.1f} years")
    )


def spending(acquisition: Acquisition) -> dict[str, Any]:
    """Say what the month has had of a paid provider, all studies of the data root together."""
    ledger = acquisition.ledger
    return {"n_requests_set_aside_this_month": ledger.month_total()} if ledger else {}


def _median_date(dates: pd.Series) -> str:
    known = pd.to_datetime(dates.dropna())
    middle: date | None = known.median().date() if len(known) else None
    return middle.isoformat() if middle else "not known"
