"""The demo, whole: what was planted is recovered, and where nothing was planted nothing is found."""

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.searching import search_images
from streetimd_assets.schemas import HARDEST_FIRST, PREDICTED, TABLES
from streetimd_assets.settings import Settings
from streetimd_tests.conftest import streetimd
from streetimd_tests.graph import hashes, new_instance
from streetimd_tests.planted_markup import MARKUP, SLUG, WORDS, plant_markup
from streetimd_tests.ui.dagster_page import browser_page, chromium

# each of these has words from outside: names, credits, labels or the study's title
PAGES_WITH_WORDS = {
    *("study_report", "local_authority_report", "classification_report", "imagery_map", "attribution_sheet"),
    *("example_sheet", "labelling_page"),
}
# pages to label on are made for who asks for them
MADE_BY_THE_DEMO = TABLES.keys() - {"label_candidates"}
TRUTH = {"planted_lsoas", "planted_scenes"}


def everywhere(ran, table, columns=None):
    """Read a table of all local authorities."""
    return ran.house.store.read_study_wide(table, ran.house.study.slugs, columns)


@pytest.fixture
def instance(tmp_path):
    with new_instance(tmp_path / "dagster") as temporary:
        yield temporary


def test_every_table_is_there_for_every_local_authority(demo):
    store = demo.house.store
    for name in MADE_BY_THE_DEMO:
        if TABLES[name].is_partitioned:
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
    assert (joined["lsoa_code"] == joined["lsoa_code_planted"]).all()


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
    floors = store.read("noise_correlations").groupby("kind")["max_absolute_r"].quantile(0.95)
    assert strongest > 2 * floors["independent"]
    assert strongest > floors["spatial"]
    whole = store.read("model_scores").query("fold == 'all' and experiment == 'tuned' and target == 'imd_rank'")
    for split in HARDEST_FIRST:
        here = whole[whole["split"] == split].set_index(["feature_set", "estimator"])
        ridge = here.loc[("embeddings", "ridge")]
        assert ridge["r2_low"] > 0.4
        assert ridge["r2_low"] > here.loc[("baseline", "coordinates"), "r2"]
        # the difference is surer than either score
        gain = store.read("model_differences").set_index(["model_id", "reference_id"])
        gain = gain.loc[(ridge["model_id"], here.loc[("baseline", "coordinates"), "model_id"])]
        assert 0 < gain["r2_difference_low"] < gain["r2_difference"] < gain["r2_difference_high"]


def test_every_measure_of_deprivation_is_predicted_and_the_domains_streets_show_least_come_last(demo):
    scores = demo.house.store.read("model_scores").query("fold == 'all' and experiment == 'tuned'")
    ridge = scores[(scores["estimator"] == "ridge") & (scores["feature_set"] == "embeddings")]
    by_target = ridge[ridge["split"] == "leave_one_la_out"].set_index("target")["r2"]
    assert set(by_target.index) == set(PREDICTED)
    # the world ties these two domains least to what is painted
    domains = by_target.filter(like="_score").drop("imd_score").sort_values()
    assert set(domains.index[:2]) == {"barriers_score", "living_environment_score"}


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
    before = hashes(demo.data_root / "demo")
    again = streetimd("demo", "--no-ui", "--data", str(demo.data_root))
    assert again.stdout.count("is there already and is used again") == 2 * len(demo.house.study.slugs) + 1
    assert hashes(demo.data_root / "demo") == before


def test_the_views_show_one_database(demo):
    with duckdb.connect(str(demo.house.folder / "demo.duckdb"), read_only=True) as database:
        counted = database.execute(
            "SELECT local_authority, count(*) FROM lsoa_features GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        views = database.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    assert [slug for slug, _ in counted] == sorted(demo.house.study.slugs)
    assert sum(n for _, n in counted) == 300
    assert {name for (name,) in views} == MADE_BY_THE_DEMO


def test_null_world_gives_nothing(run_variant):
    """Where scenes do not follow deprivation, no model finds any.

    An interval may lie just below zero: pooled over folds, even a constant scores a little under it.
    """
    null = run_variant(
        ('world = "signal"', 'world = "null_iid"'),
        ("min_points_per_lsoa = 3", "min_points_per_lsoa = 1"),
        ("max_points_per_lsoa = 5", "max_points_per_lsoa = 1"),
        ("image_size_px = 192", "image_size_px = 96"),
        ('["all"]', '["Alderwick", "Brackenholt", "Corvendale", "Dunmere"]'),
        ("n_trees = 100", "n_trees = 50\nn_folds = 4\nn_permutations = 2"),
    )
    whole = null.house.store.read("model_scores").query("fold == 'all' and experiment == 'tuned'")
    imagery = whole[whole["feature_set"].isin(["embeddings", "percentages", "both"])]
    assert set(imagery["split"]) == set(HARDEST_FIRST)
    assert len(imagery) >= 40
    assert (imagery["r2_low"] <= 0).all()
    assert (imagery["r2"] <= 0.03).all(), imagery[["model_id", "r2"]]
    forests = null.house.store.read("model_scores").query("fold == 'all' and experiment == 'forest_80_20'")
    forests = forests[forests["category"].isna()]
    assert len(forests) == 7
    assert (forests["r2"] <= 0.03).all()
    # a forest fitted on noise scores below a constant, by about the variance of what it predicts
    assert (forests["r2_low"] <= 0).all()
    assert (forests["r2"] > -0.25).all(), forests[["model_id", "r2"]]
    # what matters beside zero: no interval lies above that of the mean, which has seen no image
    for split, here in imagery.groupby("split"):
        constant = whole[(whole["estimator"] == "mean") & (whole["split"] == split)].set_index("target")["r2_high"]
        assert (here["r2_low"].to_numpy() <= constant.loc[here["target"]].to_numpy()).all()


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
    first_of_march = pd.Timestamp("2026-03-01 03:00", tz="Europe/London").to_pydatetime()

    def tick(settings):
        definitions = build_defs(demo.house.study, settings)
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=first_of_march,
            repository_def=definitions.get_repository_def(),
        )
        chosen = definitions.resolve_schedule_def(schedule)
        assert chosen.default_status == dg.DefaultScheduleStatus.STOPPED
        return chosen.evaluate_tick(context)

    nothing_yet = tick(Settings("demo", tmp_path))
    assert nothing_yet.run_requests == []
    assert "first" in nothing_yet.skip_message
    requests = tick(demo.house.settings).run_requests
    if schedule == "analyse_study":
        assert len(requests) == 1
    else:
        assert [request.partition_key for request in requests] == list(demo.house.study.slugs)


@pytest.mark.ui
def test_markup_from_outside_is_shown_as_text_and_never_acted_on(demo, tmp_path, instance):
    planted = plant_markup(demo, tmp_path, instance)
    found = search_images(planted.house.settings, f"shops {MARKUP}", [SLUG], 12)
    assert found.page in planted.pages
    shown = set()
    with browser_page(chromium()) as page:
        page.on("dialog", lambda dialog: pytest.fail("a page opened a dialog"))
        for path in planted.pages:
            name = path.parent.name if path.stem == SLUG else path.stem
            page.goto(path.as_uri())
            # figures are drawn, and hovered texts made, as they come near the window
            for _ in range(12):
                page.mouse.wheel(0, 1500)
                page.wait_for_timeout(50)
            assert page.locator("[data-planted]").count() == 0, name
            assert not page.evaluate("document.documentElement.dataset.acted"), name
            if WORDS in page.evaluate("document.body.textContent + document.title"):
                shown.add(name)
    assert shown >= PAGES_WITH_WORDS
