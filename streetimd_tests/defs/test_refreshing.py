"""By the calendar: what is free first, of all; then images, only if the study says so and the budget pays."""

from datetime import UTC, datetime

import dagster as dg
import pandas as pd
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.defs.refreshing import ROUND_TAG, SIZE_TAG
from streetimd_assets.errors import StudyError
from streetimd_assets.settings import Settings
from streetimd_assets.sources.imagery.budget import this_month
from streetimd_assets.store.ledger import Ledger
from streetimd_assets.study import load_study
from streetimd_tests.graph import new_instance
from streetimd_tests.standins.google import serve_google
from streetimd_tests.standins.local_files import write_district

FREE = {"panoramas", "imagery_plan", "imagery_map"}
FIRST_OF_MARCH = datetime(2027, 3, 1, 3, tzinfo=UTC)
PLACES = ("Leeds", "Camden", "York")


class Kept:
    """A study of three places, where it is kept, and what Dagster was told of it."""

    def __init__(
        self, folder, *, source="google", budget="max_images_per_month = 1000", refresh="", imagery="", more=""
    ):
        path = folder / "study.toml"
        path.write_text(
            f'name = "kept"\nlocal_authorities = {list(PLACES)}\ncategory_set = "demo"\n{more}\n'
            f'[imagery]\nsource = "{source}"\naccept_terms = true\n{imagery}\n[budget]\n{budget}\n'
            f"[refresh]\n{refresh}\n",
            encoding="utf-8",
        )
        self.study = load_study(path)
        self.settings = Settings(str(path), folder / "data")
        self.house = House(self.study, self.settings)
        self.repository = build_defs(self.study, self.settings).get_repository_def()
        self.instance = dg.DagsterInstance.ephemeral()

    def is_collected(self, *slugs):
        for slug in slugs:
            for table in ("sample_points", "lsoa_features"):
                path = self.house.store.path(table, slug)
                path.parent.mkdir(parents=True)
                path.touch()

    def is_planned(self, **n_images):
        """Write the plan of each place: so many images to fetch in one LSOA."""
        for slug, n in n_images.items():
            row = {
                each.name: None if each.nullable else 0 for each in self.house.store.table("imagery_plan").columns
            }
            row |= {"lsoa_code": f"E0100000{len(slug)}", "n_images_planned": n, "n_images_to_fetch": n}
            self.house.store.write("imagery_plan", pd.DataFrame([row]), slug)

    def tick(self, schedule="refresh_local_authorities", at=FIRST_OF_MARCH):
        context = dg.build_schedule_context(
            instance=self.instance, scheduled_execution_time=at, repository_def=self.repository
        )
        return self.repository.get_schedule_def(schedule).evaluate_tick(context)

    def ran(self, day, n_in_round, **ended):
        """Tell Dagster of the runs of a round, by local authority; None for one that goes on."""
        job = self.repository.get_job("plan_imagery")
        for slug, status in ended.items():
            self.instance.create_run_for_job(
                job,
                status=status or dg.DagsterRunStatus.STARTED,
                tags={"dagster/partition": slug, ROUND_TAG: day, SIZE_TAG: str(n_in_round)},
            )

    def look(self, cursor=None):
        sensor = self.repository.get_sensor_def("fetch_refreshed_images")
        context = dg.build_sensor_context(
            instance=self.instance, cursor=cursor, repository_def=self.repository, sensor_name=sensor.name
        )
        with context:
            return sensor.evaluate_tick(context)


OK, FAILED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def test_the_monthly_refresh_asks_only_what_is_free(tmp_path):
    kept = Kept(tmp_path, refresh="fetch_images = true")
    kept.is_collected("camden", "leeds")
    asked = kept.tick().run_requests
    assert [request.partition_key for request in asked] == ["leeds", "camden"], "heaviest first"
    for request in asked:
        assert {key.to_user_string() for key in request.asset_selection} == FREE
        assert request.tags[ROUND_TAG] == "2027-03-01"
        assert request.tags[SIZE_TAG] == "2"
    assert kept.repository.get_schedule_def("refresh_local_authorities").job_name == "plan_imagery"
    april = kept.tick(at=datetime(2027, 4, 1, 3, tzinfo=UTC)).run_requests
    assert not {request.run_key for request in asked} & {request.run_key for request in april}


def test_the_local_authorities_chosen_are_refreshed_whether_or_not_they_have_been_collected(tmp_path):
    kept = Kept(tmp_path, refresh='local_authorities = ["York", "Leeds"]')
    kept.is_collected("camden", "leeds")
    leeds, york = kept.tick().run_requests
    assert (leeds.partition_key, york.partition_key) == ("leeds", "york")
    assert leeds.asset_selection
    assert york.asset_selection is None, "all that is before images, for nothing is there yet"


def test_a_refresh_of_nothing_says_what_to_do(tmp_path):
    said = Kept(tmp_path).tick().skip_message
    assert "collect one first" in said
    assert "[refresh]" in said
    assert "collect one first" in Kept(tmp_path).tick("analyse_study").skip_message


def test_schedules_keep_to_the_days_of_the_study(tmp_path):
    kept = Kept(tmp_path, refresh='day_of_month = 12\nanalysis_day = "wednesday"')
    crons = {each.name: each.cron_schedule for each in kept.repository.schedule_defs}
    assert crons == {"refresh_local_authorities": "0 3 12 * *", "analyse_study": "0 5 * * 3"}


def test_images_wait_until_every_local_authority_has_been_asked_about(tmp_path):
    kept = Kept(tmp_path, refresh="fetch_images = true")
    kept.is_planned(leeds=10, camden=10)
    assert "no refresh yet" in kept.look().skip_message
    # one has ended, one goes on, and the schedule has still to submit the third
    kept.ran("2027-03-01", 3, camden=OK, leeds=None)
    assert "still asks about 2" in kept.look().skip_message


def test_images_are_asked_for_once_and_only_where_the_asking_succeeded(tmp_path):
    kept = Kept(tmp_path, refresh="fetch_images = true")
    kept.is_planned(leeds=10, camden=10)
    kept.ran("2027-02-01", 1, york=OK)
    kept.ran("2027-03-01", 3, camden=OK, leeds=OK, york=FAILED)
    tick = kept.look()
    assert [request.partition_key for request in tick.run_requests] == ["leeds", "camden"]
    selected = {key.to_user_string() for key in tick.run_requests[0].asset_selection}
    assert {"street_images", "image_embeddings", "lsoa_features"} <= selected
    assert not selected & {*FREE, "road_segments", "labelling_page", "local_authority_report", "model_scores"}
    assert "category_embeddings" in selected, "what images are classified by has not been made yet"
    again = kept.look(cursor=tick.cursor)
    assert not again.run_requests
    assert "2027-03-01" in again.skip_message


@pytest.mark.parametrize(
    ("budget", "spent", "expected"),
    [
        ("max_images_per_month = 1000", 0, ["leeds", "camden"]),
        ("max_images_per_month = 1000", 800, ["camden"]),
        ("max_images_per_month = 250", 0, ["camden"]),
        ("max_images_per_month = 1000", 1000, []),
        ("max_images_per_month = 1000\nmax_images_per_run = 200", 0, ["camden"]),
        # the first 10,000 of a month are free, and the month has had them: 300 would cost $2.10
        ("max_usd_per_month = 2", 10_000, ["camden"]),
    ],
)
def test_images_are_fetched_only_where_the_budget_pays_for_all_of_them(tmp_path, budget, spent, expected):
    kept = Kept(tmp_path, budget=budget, refresh="fetch_images = true")
    if spent:
        book = Ledger(kept.settings.data_root, "google", this_month()).open_run("earlier")
        book.take_share(lambda *_: spent)
        book.reserve(spent)
        book.close()
    kept.is_planned(leeds=300, camden=150)
    kept.ran("2027-03-01", 2, camden=OK, leeds=OK)
    assert [request.partition_key for request in kept.look().run_requests] == expected


def test_without_a_budget_nothing_is_asked_for_and_it_is_said_why(tmp_path):
    kept = Kept(tmp_path, budget="", refresh="fetch_images = true")
    kept.is_planned(camden=1)
    kept.ran("2027-03-01", 1, camden=OK)
    said = kept.look().skip_message
    assert "max_images_per_month" in said
    assert "costs money" in said


def test_images_that_cost_nothing_need_no_budget(tmp_path):
    kept = Kept(tmp_path, source="mapillary", budget="", refresh="fetch_images = true")
    kept.ran("2027-03-01", 1, camden=OK)
    assert [request.partition_key for request in kept.look().run_requests] == ["camden"]


def test_what_a_schedule_asks_for_is_what_the_job_can_run(tmp_path):
    kept = Kept(tmp_path, refresh="fetch_images = true")
    kept.is_collected("camden")
    kept.is_planned(camden=1)
    kept.ran("2027-03-01", 1, camden=OK)
    for job, request in (("plan_imagery", *kept.tick().run_requests), ("collect", *kept.look().run_requests)):
        wanted = {key.to_user_string() for key in request.asset_selection}
        subset = kept.repository.get_job(job).get_subset(asset_selection=set(request.asset_selection))
        assert {key.to_user_string() for key in subset.asset_layer.selected_asset_keys} == wanted


def test_a_place_that_is_not_the_studys_is_refused_by_name(tmp_path):
    with pytest.raises(StudyError, match=r"refresh\.local_authorities: 'Hull' is not one of the study's"):
        Kept(tmp_path, refresh='local_authorities = ["Hull"]')


def test_a_whole_round_asks_first_then_buys_what_was_planned_and_makes_features_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_MAPS_API_KEY", "AIzaKeyOfThisTest")
    more = f"{write_district(tmp_path / 'files')}[sampling]\nspacing_m = 200\n"
    more += '[encoder]\nmodel = "streetimd-demo"\nweights = "bundled"\n'
    chosen = 'local_authorities = ["Camden"]\nfetch_images = true'
    with serve_google(key="AIzaKeyOfThisTest") as google, new_instance(tmp_path / "dagster") as instance:
        address = f'address = "{google.address}"\nimage_size_px = 96'
        kept = Kept(tmp_path, refresh=chosen, imagery=address, more=more)
        kept.instance = instance

        def run(job, request):
            job = kept.repository.get_job(job)
            result = job.execute_in_process(
                instance=instance,
                partition_key=request.partition_key,
                asset_selection=request.asset_selection,
                tags=request.tags,
            )
            assert result.success

        run("plan_imagery", *kept.tick().run_requests)
        asked = google.counts()
        assert asked["n_metadata"] > 0
        assert asked["n_billed"] == 0
        run("collect", *kept.look().run_requests)
        bought = google.counts()
        n_planned = int(kept.house.store.read("imagery_plan", "camden")["n_images_planned"].sum())
        assert bought["n_billed"] == n_planned > 10
        assert bought["n_metadata"] == asked["n_metadata"], "what is free is not asked for twice"
        assert int(kept.house.store.read("lsoa_features", "camden")["n_images"].sum()) == n_planned
