"""When Dagster may make study-wide assets again by itself, and when the UI calls assets old.

Only assets of the whole study have a condition: none of them fetches anything, so automation spends nothing.
"""

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.defs.jobs import WORDS
from streetimd_assets.defs.refreshing import REFRESHED


def automated(house: House, assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Give study-wide assets the condition under which they are made again, and a time after which they are old."""
    condition = when_features_have_changed(house)
    analysis, panoramas = house.study.refresh.analysis_fresh_days, house.study.refresh.panoramas_fresh_days

    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        if _is_of_analysis(spec):
            return spec.replace_attributes(automation_condition=condition, freshness_policy=_fresh_for(analysis))
        # a street that is painted, and one's own photographs, do not age at their source
        if spec.key == dg.AssetKey("panoramas") and house.study.imagery.source not in ("painted", "folder"):
            return spec.replace_attributes(freshness_policy=_fresh_for(panoramas))
        return spec

    return list(dg.map_asset_specs(told, assets))


def _is_of_analysis(spec: dg.AssetSpec) -> bool:
    return spec.partitions_def is None and spec.key.to_user_string() not in WORDS


def _fresh_for(days: int) -> dg.FreshnessPolicy:
    """Old after so many days, and a failure after twice as many."""
    return dg.FreshnessPolicy.time_window(warn_window=timedelta(days=days), fail_window=timedelta(days=2 * days))


def when_features_have_changed(house: House) -> dg.AutomationCondition:
    """Return the condition: what an asset is made from has changed, or it is missing, and nothing is in progress.

    Dagster's own ``eager()`` waits until no local authority is missing, which for three hundred of them may be
    never. Here one that has features is enough. An asset is asked for once for each change: where its run
    fails, it waits for the next.
    """
    when = dg.AutomationCondition
    some_have_features = when.asset_matches("lsoa_features", ~when.missing())
    # a monthly look at what panoramas there are changes no feature
    passed_over = dg.AssetSelection.assets(*(name for name in REFRESHED if house.has_table(name)))
    is_wanted = (when.missing() & some_have_features).newly_true() | when.any_deps_updated().ignore(passed_over)
    return (
        is_wanted.since(when.newly_requested() | when.newly_updated())
        & some_have_features
        & ~when.any_deps_in_progress()
        & ~when.in_progress()
    ).with_label("features have changed, and nothing is being collected")


def sensor(assets: Iterable[dg.AssetsDefinition]) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that looks at the conditions; off until switched on."""
    keys = [spec.key for each in assets for spec in each.specs if _is_of_analysis(spec)]
    return dg.AutomationConditionSensorDefinition(
        "analyse_what_has_changed",
        target=dg.AssetSelection.assets(*keys),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        description=(
            "Make the analysis again once features have changed and nothing is being collected, with whatever "
            "local authorities have features. It fetches no image and spends nothing."
        ),
    )
