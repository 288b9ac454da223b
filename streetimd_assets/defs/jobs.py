"""Jobs named for what they do, and the schedules that can run them; all schedules are off at first."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.schemas import TABLES

STUDY_WIDE = (
    "imd_correlations",
    "noise_correlations",
    "embedding_components",
    "model_scores",
    "lsoa_predictions",
    "fitted_models",
    "feature_importances",
    "study_report",
)
BEFORE_BUYING = (
    "lsoa_boundaries",
    "road_segments",
    "deprivation_indices",
    "sample_points",
    "panoramas",
    "imagery_plan",
    "imagery_map",
)
AFTER_MODELS = ("local_authority_scores", "local_authority_report")


def collected(house: House) -> list[str]:
    """Assets of job ``collect``: all that is made per local authority before the models."""
    tables = [name for name, table in TABLES.items() if table.is_partitioned and name not in AFTER_MODELS]
    if not house.study.has_painted_images:
        tables = [name for name in tables if TABLES[name].group != "truth"]
    return [*tables, "imagery_map", "attribution_sheet", "category_embeddings", "classification_report"]


def jobs(house: House) -> list[Any]:
    """Plan and collect per local authority, analyse the whole study, report per local authority."""
    return [
        dg.define_asset_job(
            "plan_imagery",
            selection=list(BEFORE_BUYING),
            description="One local authority's coverage and cost, before an image is fetched: costs nothing.",
        ),
        dg.define_asset_job(
            "collect",
            selection=collected(house),
            description="One local authority from roads to features: choose it as the partition.",
        ),
        dg.define_asset_job(
            "analyse",
            selection=list(STUDY_WIDE),
            description="Correlation, models, importance and report over every local authority that has features.",
        ),
        dg.define_asset_job(
            "report_local_authority",
            selection=list(AFTER_MODELS),
            description="One local authority's scores and report, after analyse.",
        ),
    ]


def schedules(house: House) -> list[dg.ScheduleDefinition]:
    """A monthly refresh of what has been collected and a weekly analysis; both are off until switched on."""

    @dg.schedule(
        job_name="collect",
        cron_schedule="0 3 1 * *",
        execution_timezone="Europe/London",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            "On the 1st of the month, collect again each local authority that has features already: panoramas "
            "are asked for anew, images only where they are missing; downloads in data/cache are kept."
        ),
    )
    def refresh_local_authorities(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        month = context.scheduled_execution_time.strftime("%Y-%m")
        present = [slug for slug in house.study.slugs if house.store.holds("lsoa_features", slug)]
        for slug in present:
            yield dg.RunRequest(run_key=f"{slug}@{month}", partition_key=slug)
        if not present:
            yield dg.SkipReason("no local authority has been collected yet; materialise one first")

    @dg.schedule(
        job_name="analyse",
        cron_schedule="0 5 * * 0",
        execution_timezone="Europe/London",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="On Sundays, analyse every local authority that has features.",
    )
    def analyse_study(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not house.covered():
            return dg.SkipReason("no local authority has features yet; collect one first")
        return dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())

    return [refresh_local_authorities, analyse_study]
