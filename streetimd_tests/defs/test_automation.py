"""The analysis is made again by itself with whatever there is, and nothing that spends is ever asked for."""

from pathlib import Path

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.jobs import WORDS
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_assets.study.refresh import Refresh

WAIST = ("lsoa_features", "deprivation_indices", "category_probabilities")


class Watched:
    """The real graph of England beside an instance that is told what was made, and asked tick by tick."""

    def __init__(self, study="england", **refresh):
        chosen = load_study(study).model_copy(update={"refresh": Refresh(**refresh)})
        self.definitions = build_defs(chosen, Settings(study, Path("data")))
        self.graph = self.definitions.resolve_asset_graph()
        self.instance = dg.DagsterInstance.ephemeral()
        self._cursor = None

    @property
    def of_the_study(self):
        keys = self.graph.materializable_asset_keys
        return {key.to_user_string() for key in keys if not self.graph.get(key).is_partitioned}

    def made(self, *names, place=None):
        for name in names:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=place))

    def tick(self):
        """Return the assets that Dagster would launch now."""
        found = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self._cursor)
        self._cursor = found.cursor
        return {result.key.to_user_string() for result in found.results if not result.true_subset.is_empty}

    def settle(self):
        """Let everything study-wide be made, as the run that was asked for would."""
        self.made(*self.of_the_study)
        return self.tick()


@pytest.fixture
def watched():
    return Watched()


def test_one_local_authority_of_296_with_features_is_enough_for_the_whole_analysis(watched):
    assert watched.tick() == set()
    watched.made("lsoa_boundaries", "panoramas", place="camden")
    assert watched.tick() == set(), "without features there is nothing to analyse"
    watched.made(*WAIST, place="camden")
    assert watched.tick() == watched.of_the_study - set(WORDS)


def test_it_is_asked_for_once_for_each_change(watched):
    watched.made(*WAIST, place="camden")
    assert watched.tick()
    # whatever has become of the run: one that fails is not asked for at every tick
    assert watched.tick() == set()
    assert watched.tick() == set()
    assert watched.settle() == set()
    watched.made("lsoa_features", place="leeds")
    assert "imd_correlations" in watched.tick()
    assert watched.settle() == set()


def test_features_collected_before_it_was_switched_on_are_analysed(watched):
    watched.made(*WAIST, place="camden")
    watched.made("imd_correlations")
    assert "model_scores" in watched.tick()


def test_a_monthly_look_at_panoramas_analyses_nothing(watched):
    watched.made(*WAIST, place="camden")
    watched.tick()
    watched.settle()
    watched.made("panoramas", "imagery_plan", "imagery_map", place="camden")
    assert watched.tick() == set()


def test_it_waits_until_nothing_is_being_collected(watched):
    watched.made(*WAIST, place="camden")
    watched.tick()
    watched.settle()
    running = watched.instance.create_run_for_job(
        watched.definitions.resolve_job_def("collect"),
        tags={"dagster/partition": "york"},
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset([dg.AssetKey("lsoa_features")]),
    )
    watched.made("lsoa_features", place="leeds")
    assert watched.tick() == set()
    watched.instance.report_run_failed(running)
    assert "imd_correlations" in watched.tick()


@pytest.mark.parametrize("study", ["england", "demo", "greater-manchester"])
def test_nothing_that_is_made_per_local_authority_is_automated(study):
    graph = Watched(study).graph
    told = {key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).automation_condition}
    assert "model_scores" in told
    assert [name for name in told if graph.get(dg.AssetKey(name)).is_partitioned] == []
    assert "street_images" not in told


@pytest.mark.parametrize("fetches", [False, True])
def test_every_schedule_and_sensor_is_off_until_somebody_switches_it_on(fetches):
    repository = Watched(fetch_images=fetches).definitions.get_repository_def()
    schedules = {each.name: each.default_status.value for each in repository.schedule_defs}
    sensors = {each.name: each.default_status.value for each in repository.sensor_defs}
    assert schedules == dict.fromkeys(["refresh_local_authorities", "analyse_study"], "STOPPED")
    names = ["analyse_what_has_changed", "tell_of_failures", *(["fetch_refreshed_images"] if fetches else [])]
    assert sensors == dict.fromkeys(names, "STOPPED"), "Dagster adds one of its own where an asset has no sensor"


def test_the_one_sensor_that_may_spend_is_not_there_unless_the_study_says_so():
    names = {each.name for each in Watched().definitions.get_repository_def().sensor_defs}
    assert "fetch_refreshed_images" not in names


def test_the_analysis_and_panoramas_grow_old_after_the_days_the_study_says():
    watched = Watched(panoramas_fresh_days=40, analysis_fresh_days=10)
    days = {}
    for key in watched.graph.materializable_asset_keys:
        policy = watched.graph.get(key).freshness_policy_or_from_metadata
        if policy:
            days[key.to_user_string()] = (
                policy.warn_window.to_timedelta().days,
                policy.fail_window.to_timedelta().days,
            )
    assert days.pop("panoramas") == (40, 80)
    assert set(days) == watched.of_the_study - set(WORDS)
    assert set(days.values()) == {(10, 20)}


def test_painted_streets_do_not_grow_old():
    graph = Watched("demo").graph
    assert graph.get(dg.AssetKey("panoramas")).freshness_policy_or_from_metadata is None
