"""What is made anew by the calendar: first what is free, then images within the budget. All is off at first.

A *round* is one tick of the monthly schedule: its runs ask which panoramas there are, and carry its day. Once all
of them have ended, and only if the study says so, a sensor asks for the images that are new.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.jobs import AFTER_MODELS, FOR_RATERS, WORDS
from streetimd_assets.errors import StreetIMDError
from streetimd_assets.sources.imagery.budget import images_allowed
from streetimd_assets.sources.imagery.providers import require_budget

LONDON = "Europe/London"
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# asked of the outside world anew by a refresh; what they change is made again after them
REFRESHED = ("panoramas", "imagery_plan")
FREE = (*REFRESHED, "imagery_map")
ROUND_TAG = "streetimd/refresh"
SIZE_TAG = "streetimd/refresh_size"


def schedules(house: House) -> list[dg.ScheduleDefinition]:
    """A monthly refresh of what is free to ask, and a weekly analysis."""
    chosen = house.study.refresh

    @dg.schedule(
        job_name="plan_imagery",
        cron_schedule=f"0 3 {chosen.day_of_month} * *",
        execution_timezone=LONDON,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            f"On day {chosen.day_of_month} of the month, ask anew which panoramas there are and what their images "
            "would cost: free, no image is fetched. Of the local authorities named under [refresh] in the study "
            "file, or of those collected so far."
        ),
    )
    def refresh_local_authorities(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        day = context.scheduled_execution_time.date().isoformat()
        slugs = house.study.refreshed or [s for s in house.study.slugs if house.store.holds("lsoa_features", s)]
        for slug in slugs:
            yield dg.RunRequest(
                run_key=f"{slug}@{day}",
                partition_key=slug,
                asset_selection=_first_of_all(house, slug),
                tags={ROUND_TAG: day, SIZE_TAG: str(len(slugs))},
            )
        if not slugs:
            yield dg.SkipReason(
                "no local authority has been collected yet; collect one first, or name some as local_authorities "
                "under [refresh] in the study file"
            )

    @dg.schedule(
        job_name="analyse",
        cron_schedule=f"0 5 * * {WEEKDAYS.index(chosen.analysis_day)}",
        execution_timezone=LONDON,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Each {chosen.analysis_day.capitalize()}, analyse every local authority that has features.",
    )
    def analyse_study(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not house.covered():
            return dg.SkipReason("no local authority has features yet; collect one first")
        return dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())

    # boundaries, index and a table of one's own do not change by the month
    return [refresh_local_authorities, analyse_study] if house.study.has_images else [analyse_study]


def _first_of_all(house: House, slug: str) -> list[dg.AssetKey] | None:
    """Return what to ask anew; None for the whole of the job where nothing has been asked yet."""
    return [dg.AssetKey(name) for name in FREE] if house.store.holds("sample_points", slug) else None


def sensors(house: House, assets: Iterable[dg.AssetsDefinition]) -> list[dg.SensorDefinition]:
    """What fetches the images that a refresh has found; none unless the study says that it may."""
    if not (house.study.has_images and house.study.refresh.fetch_images):
        return []
    after_asking = _from_images_on(assets)

    @dg.sensor(
        job_name="collect",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "Fetch the images that the latest refresh has found to be new, and make again what follows from them. "
            "MAY COST MONEY where the image source does. It waits until every local authority of the refresh has "
            "been asked about, and leaves out those whose images the budget does not pay for."
        ),
    )
    def fetch_refreshed_images(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        day = _latest_round(context.instance)
        if day is None:
            return dg.SkipReason("there has been no refresh yet; switch on refresh_local_authorities")
        if context.cursor == day:
            return dg.SkipReason(f"the images of the refresh of {day} have been asked for")
        found = Round(context.instance, day)
        if found.n_unfinished:
            return dg.SkipReason(f"the refresh of {day} still asks about {found.n_unfinished} local authorities")
        slugs = [slug for slug in house.study.slugs if slug in found.succeeded]
        try:
            paid_for = within_budget(house, slugs)
        except StreetIMDError as refusal:
            return dg.SkipReason(str(refusal))
        for slug in slugs:
            if slug not in paid_for:
                context.log.warning(f"{slug} is left out: what the budget leaves does not pay for its images")
        missing = [name for name in WORDS if not house.store.holds(name)]
        requests = [
            dg.RunRequest(
                run_key=f"{slug}@{day}",
                partition_key=slug,
                asset_selection=[*after_asking, *map(dg.AssetKey, missing)],
            )
            for slug in paid_for
        ]
        return dg.SensorResult(requests, cursor=day)

    return [fetch_refreshed_images]


def _from_images_on(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetKey]:
    """Return street_images and what of the same local authority follows from it in job collect."""
    made = list(assets)
    kept = {spec.key for each in made for spec in each.specs if spec.partitions_def is not None}
    follows = dg.AssetSelection.assets("street_images").downstream().resolve(made)
    return sorted(key for key in kept & follows if key.to_user_string() not in {*FOR_RATERS, *AFTER_MODELS})


def _latest_round(instance: dg.DagsterInstance) -> str | None:
    return max((day for _, days in instance.get_run_tags([ROUND_TAG]) for day in days), default=None)


class Round:
    """The runs of one tick of the monthly refresh."""

    def __init__(self, instance: dg.DagsterInstance, day: str) -> None:
        runs = instance.get_runs(dg.RunsFilter(tags={ROUND_TAG: day}))
        by_slug: dict[str, list[dg.DagsterRun]] = {}
        for run in runs:
            by_slug.setdefault(run.tags["dagster/partition"], []).append(run)
        ended = [slug for slug, its in by_slug.items() if all(run.is_finished for run in its)]
        # runs are submitted one after another: those that are not there yet are still to come
        n_in_round = max(int(run.tags[SIZE_TAG]) for run in runs)
        self.n_unfinished = n_in_round - len(ended)
        self.succeeded = {slug for slug in ended if any(run.is_success for run in by_slug[slug])}


def within_budget(house: House, slugs: Sequence[str]) -> list[str]:
    """Return the local authorities whose images the budget pays for, one after another as they are given.

    Raises
    ------
    BudgetError
        If images cost money and the study sets no limit for a month.
    """
    acquisition = Acquisition(house)
    ledger, provider = acquisition.ledger, acquisition.provider
    if ledger is None or provider is None:
        return list(slugs)
    require_budget(provider, house.study.budget)
    chosen, used = [], ledger.month_total()
    for slug in slugs:
        n_images = int(house.store.read("imagery_plan", slug)["n_images_to_fetch"].sum())
        spent: dict[str, Any] = {"run_used": 0, "run_usd": 0, "month_used": used}
        if n_images <= images_allowed(provider.prices, house.study.budget, **spent):
            chosen.append(slug)
            used += n_images
    return chosen
