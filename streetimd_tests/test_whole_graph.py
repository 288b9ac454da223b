"""The demo, whole: what was planted is recovered, and where nothing was planted nothing is found."""

import hashlib
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.io_managers import TableIOManager
from streetimd_assets.defs.running import out_of_date
from streetimd_assets.schemas import TABLES
from streetimd_assets.settings import Settings
from streetimd_assets.study import Study, load_study
from streetimd_assets.study.model import Faults

TRUTH = {"planted_lsoas", "planted_scenes"}


def everywhere(ran, table, columns=None):
    """Read a table of all local authorities."""
    return ran.house.store.read_study_wide(table, ran.house.study.slugs, columns)


def tiny_study(**changes) -> Study:
    """The demo with few points, for questions that one local authority answers."""
    demo = load_study("demo")
    sampling = demo.sampling.model_copy(update={"min_points_per_lsoa": 0, "max_points_per_lsoa": 1})
    return demo.model_copy(update={"sampling": sampling, **changes})


def collect(study, folder, slug, instance, *, assets=None, **overrides):
    """Run job collect for one local authority in this process."""
    definitions = build_defs(study, Settings("demo", folder), **overrides)
    return definitions.resolve_job_def("collect").execute_in_process(
        instance=instance,
        partition_key=slug,
        asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
        raise_on_error=False,
    )


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as temporary:
        yield temporary


def hashes(folder: Path) -> dict[str, str]:
    """Hash every table file and image below a folder."""
    kept = [*folder.rglob("part.duckdb"), *folder.rglob("*.jpg")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def test_every_table_is_there_for_every_local_authority(demo):
    store = demo.house.store
    for name, table in TABLES.items():
        if table.is_partitioned:
            assert store.local_authorities(name) == sorted(demo.house.study.slugs), name
        else:
            assert store.holds(name), name
    pages = demo.house.folder / "pages"
    assert (pages / "study_report.html").stat().st_size > 10_000
    for asset in ("classification_report", "local_authority_report"):
        assert {path.stem for path in (pages / asset).iterdir()} == set(demo.house.study.slugs)


def test_progress_names_assets_and_local_authorities(demo):
    for slug in demo.house.study.slugs:
        assert any(slug in line and "street_images" in line and "rows" in line for line in demo.output.splitlines())
    assert "recovered beside planted" in demo.output
    assert "study_report.html" in demo.output


def test_every_lsoa_has_one_row_of_features(demo):
    features = everywhere(demo, "lsoa_features", ["lsoa_code", "n_images"])
    boundaries = everywhere(demo, "lsoa_boundaries", ["lsoa_code"])
    assert len(features) == 300
    assert set(features["lsoa_code"]) == set(boundaries["lsoa_code"])
    assert features["lsoa_code"].is_unique


def test_the_lsoa_of_every_image_is_the_planted_one(demo):
    images = everywhere(demo, "street_images", ["image_id", "lsoa_code"])
    planted = everywhere(demo, "planted_scenes", ["image_id", "lsoa_code"])
    joined = images.merge(planted, on="image_id", suffixes=("", "_planted"), validate="one_to_one")
    assert len(joined) == len(images) > 4000
    assert (joined["lsoa_code"] == joined["lsoa_code_planted"]).mean() > 0.999


def test_faults_become_rows_with_a_status(demo):
    statuses = everywhere(demo, "panoramas", ["status"])["status"].value_counts()
    assert {"ok", "no_imagery", "outside_local_authority", "duplicate_panorama"} <= set(statuses.index)
    images = everywhere(demo, "street_images", ["image_id", "status"])
    planted = everywhere(demo, "planted_scenes", ["image_id", "fault"])
    broken = planted[planted["fault"].isin(["blank", "truncated"])]["image_id"]
    assert set(images[images["status"] == "invalid_image"]["image_id"]) == set(broken)
    assert len(broken) > 10


def test_four_distinct_headings_per_panorama(demo):
    images = everywhere(demo, "street_images", ["panorama_id", "heading_deg", "sha256", "status"])
    assert (images.groupby("panorama_id")["heading_deg"].nunique() == 4).all()
    good = images[images["status"] == "ok"]
    assert good["sha256"].is_unique


def test_embeddings_have_unit_length_and_one_model(demo):
    for slug in demo.house.study.slugs:
        rows, matrix = demo.house.store.read_embeddings(slug)
        assert np.abs(np.linalg.norm(matrix, axis=1) - 1).max() < 1e-3
        assert rows["encoder"].nunique() == 1


def test_categories_are_recovered(demo):
    found = everywhere(demo, "category_probabilities", ["image_id", "category"])
    planted = everywhere(demo, "planted_scenes", ["image_id", "category"])
    joined = found.merge(planted, on="image_id", suffixes=("", "_planted"), validate="one_to_one")
    assert (joined["category"] == joined["category_planted"]).mean() >= 0.9
    shares = joined["category"].value_counts(normalize=True)
    planted_shares = joined["category_planted"].value_counts(normalize=True)
    worst = (shares.subtract(planted_shares, fill_value=0)).abs().max()
    assert worst <= 0.015


def test_confidence_is_at_the_models_own_scale(demo):
    """A softmax without the logit scale is nearly uniform: about 1/9 here."""
    found = everywhere(demo, "category_probabilities", ["probability", "entropy_share"])
    assert found["probability"].mean() > 0.6
    assert found["entropy_share"].mean() < 0.5


def test_signs_say_that_rank_1_is_the_most_deprived(demo):
    features = everywhere(demo, "lsoa_features", ["lsoa_code", "derelict_land_share", "detached_houses_share"])
    ranks = everywhere(demo, "deprivation_indices", ["lsoa_code", "imd_rank", "imd_score"])
    joined = features.merge(ranks, on="lsoa_code").dropna()
    assert joined["derelict_land_share"].corr(joined["imd_rank"], method="spearman") < -0.2
    assert joined["detached_houses_share"].corr(joined["imd_rank"], method="spearman") > 0.2
    table = demo.house.store.read("imd_correlations").pivot(
        index="dimension", columns="measure", values="spearman_r"
    )
    assert np.allclose(table["imd_rank"], -table["imd_score"], atol=0.02)


def test_signal_is_found_above_the_noise_and_the_coordinates(demo):
    store = demo.house.store
    correlations = store.read("imd_correlations")
    strongest = correlations[correlations["measure"] == "imd_rank"]["pearson_r"].abs().max()
    assert strongest > 2 * store.read("noise_correlations")["max_absolute_r"].quantile(0.95)
    whole = store.read("model_scores").query("fold == 'all' and experiment == 'tuned'")
    for split in ("random_folds", "leave_one_la_out"):
        here = whole[whole["split"] == split].set_index(["feature_set", "estimator"])
        ridge = here.loc[("embeddings", "ridge")]
        assert ridge["r2_low"] > 0.2
        assert ridge["r2"] > here[here.index.get_level_values("feature_set") == "coordinates"]["r2"].max()


def test_the_mean_of_images_says_more_than_their_maximum(demo):
    forests = demo.house.store.read("model_scores").query("experiment == 'forest_80_20' and fold == 'all'")
    plain = forests[forests["category"].isna() & (forests["feature_set"] == "embeddings")].set_index("statistic")
    assert set(plain.index) == {"mean", "median", "max"}
    assert plain.loc["mean", "r2"] > plain.loc["max", "r2"]
    assert forests["category"].dropna().nunique() == 8


def test_local_authority_scores_are_of_its_own_lsoas(demo):
    scores = demo.house.store.read("local_authority_scores", "farrowby")
    predictions = demo.house.store.read("lsoa_predictions")
    lad_code = demo.house.study.authority("farrowby").lad_code
    here = predictions[predictions["lad_code"] == lad_code]
    error = (here["predicted"] - here["observed"]).groupby(here["model_id"]).mean()
    assert np.allclose(scores.set_index("model_id")["mean_error"], error.sort_index())


def test_nothing_but_findings_depends_on_the_truth(demo):
    graph = build_defs(demo.house.study, demo.house.settings).resolve_asset_graph()
    for name in TRUTH:
        assert not graph.get(dg.AssetKey(name)).child_keys


def test_a_second_call_uses_what_is_there(demo):
    from streetimd_tests.conftest import streetimd

    before = hashes(demo.data_root / "demo")
    again = streetimd("demo", "--no-ui", "--data", str(demo.data_root))
    assert again.stdout.count("is there already and is used again") == 2 * len(demo.house.study.slugs) + 1
    assert hashes(demo.data_root / "demo") == before


def test_the_views_show_one_database(demo):
    import duckdb

    with duckdb.connect(str(demo.house.folder / "demo.duckdb"), read_only=True) as database:
        counted = database.execute(
            "SELECT local_authority, count(*) FROM lsoa_features GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        names = {name for (name,) in database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
    assert [slug for slug, _ in counted] == sorted(demo.house.study.slugs)
    assert sum(n for _, n in counted) == 300
    assert names == set(TABLES)


def test_null_world_gives_nothing(run_variant):
    """Where scenes do not follow deprivation, no model finds any."""
    null = run_variant(
        ('world = "signal"', 'world = "null_iid"'),
        ("min_points_per_lsoa = 3", "min_points_per_lsoa = 2"),
        ("max_points_per_lsoa = 5", "max_points_per_lsoa = 2"),
        ('["all"]', '["Alderwick", "Brackenholt", "Corvendale", "Dunmere"]'),
    )
    whole = null.house.store.read("model_scores").query("fold == 'all' and experiment == 'tuned'")
    imagery = whole[whole["feature_set"].isin(["embeddings", "percentages", "both"])]
    assert len(imagery) >= 8
    assert (imagery["r2_low"] <= 0).all()
    assert (imagery["r2"] <= 0.03).all(), imagery[["model_id", "r2"]]


class ShufflingIOManager(TableIOManager):
    """Hands every table over with its rows in another order."""

    def load_input(self, context):
        return super().load_input(context).sample(frac=1, random_state=7)


def test_same_seed_gives_the_same_tables_also_from_shuffled_rows(tmp_path):
    study, made = tiny_study(), {}
    for name in ("plain", "shuffled"):
        folder = tmp_path / name
        with dg.DagsterInstance.local_temp(str(tmp_path / f"{name}-dagster")) as instance:
            from streetimd_assets.defs.house import House

            store = House(study, Settings("demo", folder)).store
            manager = ShufflingIOManager(store) if name == "shuffled" else TableIOManager(store)
            assert collect(study, folder, "farrowby", instance, io_manager=manager).success
        made[name] = {table: store.content_hash(table, "farrowby") for table in _partitioned(store)}
    assert made["plain"] == made["shuffled"]
    assert len(made["plain"]) >= 12


def _partitioned(store):
    return [name for name, table in TABLES.items() if table.is_partitioned and store.holds(name, "farrowby")]


def test_one_local_authority_needs_and_touches_no_other(tmp_path, instance):
    study = tiny_study()
    assert collect(study, tmp_path, "farrowby", instance).success
    first = hashes(tmp_path / "demo")
    assert collect(study, tmp_path, "elmsthorpe", instance).success
    second = hashes(tmp_path / "demo")
    study_wide = {path for path in first if "local_authority=" not in path and "images/" not in path}
    assert study_wide == {"tables/category_embeddings/part.duckdb"}
    for path in first.keys() - study_wide:
        assert second[path] == first[path], path
    assert {path.parent.name for path in (tmp_path / "demo").rglob("part.duckdb")} >= {
        "local_authority=farrowby",
        "local_authority=elmsthorpe",
    }


def test_a_new_category_re_runs_classification_and_what_follows_only(tmp_path, instance):
    study = tiny_study()
    assert collect(study, tmp_path, "farrowby", instance).success
    before = hashes(tmp_path / "demo")
    categories = study.categories
    bench = categories.category[0].model_copy(update={"name": "bus_stop", "prompts": ("a bus stop",), "label": ""})
    wider = study.model_copy(
        update={"category_set": None, "templates": categories.templates, "category": (*categories.category, bench)}
    )
    wider.__dict__.pop("categories", None)
    definitions = build_defs(wider, Settings("demo", tmp_path))
    stale = out_of_date(definitions, instance, "collect", "farrowby")
    expected = {
        "category_embeddings",
        "category_probabilities",
        "assessment_images",
        "classification_report",
        "lsoa_features",
    }
    assert set(stale) == expected
    assert collect(wider, tmp_path, "farrowby", instance, assets=stale).success
    after = hashes(tmp_path / "demo")
    changed = {Path(path).parts[1] for path in after if after[path] != before.get(path)}
    assert changed == expected - {"classification_report"}


def test_study_wide_assets_run_over_the_local_authorities_listed(demo, instance):
    definitions = build_defs(demo.house.study, demo.house.settings)
    chosen = {"local_authorities": ["Farrowby", "elmsthorpe"]}
    result = definitions.resolve_job_def("analyse").execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey("noise_correlations")],
        run_config={"ops": {"noise_correlations": {"config": chosen}}},
    )
    metadata = result.asset_materializations_for_node("noise_correlations")[0].metadata
    assert metadata["local_authorities"].value == ["elmsthorpe", "farrowby"]
    assert metadata["n_local_authorities_in_study"].value == 6


@pytest.mark.parametrize("schedule", ["refresh_local_authorities", "analyse_study"])
def test_schedules_are_off_and_ask_for_what_is_there(demo, tmp_path, instance, schedule):
    empty = build_defs(demo.house.study, Settings("demo", tmp_path)).get_schedule_def(schedule)
    assert empty.default_status == dg.DefaultScheduleStatus.STOPPED
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=pd.Timestamp("2026-03-01 03:00", tz="Europe/London").to_pydatetime()
    )
    assert empty.evaluate_tick(context).run_requests == []
    full = build_defs(demo.house.study, demo.house.settings).get_schedule_def(schedule)
    requests = full.evaluate_tick(context).run_requests
    if schedule == "analyse_study":
        assert len(requests) == 1
    else:
        assert [request.partition_key for request in requests] == list(demo.house.study.slugs)


def test_a_stopped_run_asks_for_no_image_twice(tmp_path, instance):
    """The journal and the files are kept when the table is not: everything counts as held."""
    study = tiny_study()
    assert collect(study, tmp_path, "farrowby", instance).success
    before = hashes(tmp_path / "demo" / "images")
    (tmp_path / "demo/tables/street_images/local_authority=farrowby/part.duckdb").unlink()
    result = collect(study, tmp_path, "farrowby", instance, assets=["street_images"])
    metadata = result.asset_materializations_for_node("street_images")[0].metadata
    assert metadata["n_held_before"].value == metadata["dagster/row_count"].value > 0
    assert hashes(tmp_path / "demo" / "images") == before


def test_a_broken_table_is_one_sentence_in_the_run(tmp_path, instance):
    study = tiny_study()
    assert collect(study, tmp_path, "farrowby", instance, assets=["lsoa_boundaries"]).success
    (tmp_path / "demo/tables/lsoa_boundaries/local_authority=farrowby/part.duckdb").write_text("not a table")
    result = collect(study, tmp_path, "farrowby", instance, assets=["road_segments"])
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    said = failure.user_failure_data.description if failure.user_failure_data else failure.error.cause.message
    assert "is not a DuckDB table file" in said
    assert "materialise lsoa_boundaries for farrowby again" in said


def test_faults_are_off_when_asked_for_none(tmp_path, instance):
    none = Faults(
        displaced_share=0, shared_share=0, missing_share=0, blank_share=0, truncated_share=0, indoor_share=0
    )
    study = tiny_study()
    study = study.model_copy(update={"imagery": study.imagery.model_copy(update={"faults": none})})
    assets = ["lsoa_boundaries", "road_segments", "deprivation_indices", "sample_points", "panoramas", "street_images"]
    assert collect(study, tmp_path, "farrowby", instance, assets=assets).success
    from streetimd_assets.defs.house import House

    store = House(study, Settings("demo", tmp_path)).store
    assert set(store.read("panoramas", "farrowby")["status"]) == {"ok"}
    assert set(store.read("street_images", "farrowby")["status"]) == {"ok"}
