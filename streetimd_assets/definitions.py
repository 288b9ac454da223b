"""Front door: the Dagster definitions of the study named in the environment."""

from typing import Any

import dagster as dg

from streetimd_assets.defs import (
    area_features,
    assessment,
    automation,
    classification,
    comparison,
    concepts,
    correlation,
    embedding,
    examples,
    failures,
    features,
    geography,
    imagery,
    importance,
    jobs,
    label_assessment,
    labelling,
    learning_curve,
    noticing,
    refreshing,
    reports,
    residuals,
    sampling,
    truth,
    wording,
)
from streetimd_assets.defs.house import House
from streetimd_assets.defs.io_managers import TableIOManager
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.defs.table_asset import versioned_by_columns
from streetimd_assets.settings import Settings
from streetimd_assets.study import Study, load_study

STAGES = (
    geography,
    sampling,
    imagery,
    truth,
    embedding,
    wording,
    classification,
    assessment,
    labelling,
    label_assessment,
    features,
    correlation,
    concepts,
    comparison,
    residuals,
    learning_curve,
    importance,
    examples,
    reports,
)
# of a study whose features come from a table
WITHOUT_IMAGES = (geography, area_features, correlation, comparison, residuals, importance, reports)


def build_defs(study: Study, settings: Settings, **resource_overrides: Any) -> dg.Definitions:
    """Build the whole asset graph of a study.

    Parameters
    ----------
    study
        What to measure, where and how.
    settings
        Where to keep it.
    **resource_overrides
        Replacements for ``encoder`` or ``io_manager``.
    """
    house, stages = House(study, settings), STAGES if study.has_images else WITHOUT_IMAGES
    made = versioned_by_columns(asset for stage in stages for asset in stage.assets(house))
    assets = automation.automated(house, made)
    return dg.Definitions(
        assets=assets,
        jobs=jobs.jobs(assets),
        # every one is off until somebody switches it on in the UI
        schedules=refreshing.schedules(house),
        sensors=[*refreshing.sensors(house, assets), automation.sensor(assets), failures.sensor(house)],
        resources={
            "io_manager": TableIOManager(house.store),
            "encoder": LazyEncoder(study.encoder, house.store),
            **resource_overrides,
        },
        # parallel work is parallel runs, one local authority each: a process per step costs more than it gives
        executor=noticing.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Load what ``STREETIMD_STUDY`` names, keeping its data below ``STREETIMD_DATA``."""
    settings = Settings.from_environment()
    return build_defs(load_study(settings.study), settings)
