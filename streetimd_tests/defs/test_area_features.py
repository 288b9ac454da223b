"""A table of area features through the whole graph: what is planted is found by its name, and noise is not."""

from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.doctor import examine_local_files, examine_provider
from streetimd_assets.defs.exporting import export_study
from streetimd_assets.defs.house import House
from streetimd_assets.defs.labelling import take_labels
from streetimd_assets.defs.predicting import predict_local_authority
from streetimd_assets.defs.purging import find_pictures
from streetimd_assets.defs.running import label_study, plan_study, run_study
from streetimd_assets.defs.searching import search_images
from streetimd_assets.defs.study_wide import read_waist
from streetimd_assets.errors import ScienceError, StudyError
from streetimd_assets.schemas import TABLES
from streetimd_assets.settings import Settings
from streetimd_assets.study import Study, load_study
from streetimd_tests.area_study import NAMES, PLANTED, made_up_table, synthetic_scores, write_study
from streetimd_tests.graph import failure_sentence
from streetimd_tests.plots.reading_pages import ReadPage

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Areas:
    """A study of area features below a folder."""

    study: Study
    folder: Path
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @property
    def settings(self) -> Settings:
        return Settings(str(self.folder / "study.toml"), self.folder / "data")

    @property
    def house(self) -> House:
        return House(self.study, self.settings)

    @property
    def definitions(self) -> dg.Definitions:
        return build_defs(self.study, self.settings)

    def run(self, job, slug=None, assets=()):
        """Run a job, or some of its assets, whether it succeeds or not."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=slug,
            asset_selection=[dg.AssetKey(name) for name in assets] or None,
            raise_on_error=False,
            run_config=QUIET,
        )

    def collect(self):
        for slug in self.study.slugs:
            result = self.run("collect", slug)
            assert result.success, failure_sentence(result)
        return self


def areas(folder, table, **how) -> Areas:
    return Areas(write_study(folder, table, **how), folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The study whose table has one column that explains half of deprivation, run whole."""
    made = areas(tmp_path_factory.mktemp("planted"), made_up_table(r2=0.5)).collect()
    for job, slug in (("analyse", None), ("report_local_authority", made.study.slugs[0])):
        result = made.run(job, slug)
        assert result.success, failure_sentence(result)
    return made


def pooled(store) -> pd.DataFrame:
    scores = store.read("model_scores")
    return scores[(scores["fold"] == "all") & (scores["target"] == "imd_score")]


def test_the_graph_has_no_image_in_it_and_nothing_it_lacks(planted):
    dg.Definitions.validate_loadable(planted.definitions)
    graph = planted.definitions.resolve_asset_graph()
    assert graph.get_all_asset_keys() == graph.materializable_asset_keys
    made = {key.to_user_string() for key in graph.materializable_asset_keys}
    assert not [name for name in made if name in TABLES and TABLES[name].is_of_images]
    assert {"lsoa_features", "imd_correlations", "fitted_models", "study_report", "local_authority_report"} <= made
    assert {"spatial_fields", "residual_autocorrelation", "residual_clusters", "feature_importances"} <= made
    jobs = {job.name for job in planted.definitions.resolve_all_job_defs() if not job.name.startswith("__")}
    assert jobs == {"collect", "analyse", "report_local_authority"}
    assert [schedule.name for schedule in planted.definitions.schedules] == ["analyse_study"]


def test_features_are_columns_under_their_own_names_and_a_vector(planted):
    rows = planted.house.store.read_study_wide("lsoa_features", planted.study.slugs)
    given = pd.read_csv(planted.folder / "areas.csv").set_index("lsoa_code").loc[rows["lsoa_code"]]
    np.testing.assert_allclose(rows[list(NAMES)], given[list(NAMES)])
    np.testing.assert_allclose(np.stack(rows["mean_embedding"]), given[list(NAMES)], rtol=1e-6)
    assert rows["median_embedding"].isna().all()
    assert set(rows["n_images_kept"]) == {1}


def test_the_planted_feature_is_found_by_its_name(planted):
    store = planted.house.store
    correlations = store.read("imd_correlations")
    of_score = correlations[correlations["measure"] == "imd_score"].set_index("feature")["pearson_r"]
    assert list(of_score.index) == list(NAMES)
    assert of_score.abs().idxmax() == PLANTED
    # exactly half of the world's variance; of these LSOAs, about
    assert of_score[PLANTED] ** 2 == pytest.approx(0.5, abs=0.1)
    importances = store.read("feature_importances")
    first = importances[(importances["position"] == 1) & importances["feature"].isin(NAMES)]
    assert set(first["method"]) >= {"permutation", "gini", "shap"}
    assert set(first["feature"]) == {PLANTED}
    ridge = store.read("fitted_models").query("estimator == 'ridge' and target == 'imd_score'").iloc[0]
    assert ridge["feature_names"].split("\n") == list(NAMES)
    assert ridge["encoder"] == planted.study.area_table.identity


def test_what_is_planted_stands_out_from_surfaces_as_smooth_as_deprivation(planted):
    store = planted.house.store
    of_score = store.read("imd_correlations").query("measure == 'imd_score'").set_index("feature")
    assert of_score.loc[PLANTED, ["spatial_q_value", "spectral_q_value"]].max() < 0.05
    assert of_score.drop(PLANTED)["spatial_p_value"].min() > 0.005
    noise = store.read("noise_correlations")
    assert set(noise["kind"]) == {"independent", "spatial"}
    assert set(noise["n_dimensions"]) == {len(NAMES)}
    reached = noise.groupby("kind")["max_absolute_r"].median()
    # five columns that are no surfaces reach no more beside smooth surfaces than beside noise
    assert reached["spatial"] == pytest.approx(reached["independent"], abs=0.05)


def test_importance_is_of_the_table_and_groups_need_more_features_than_there_are(planted):
    importances = planted.house.store.read("feature_importances")
    assert set(importances["method"]) == {"permutation", "gini", "shap"}
    assert set(importances["feature"]) == set(NAMES)
    assert importances["model_id"].str.contains("/table/").all()
    assert importances["members"].isna().all()
    first = importances[importances["position"] == 1]
    assert (first["importance"] > first["band_top"]).all()


def test_a_place_of_another_study_is_predicted_from_its_row_of_the_same_table(planted):
    text = (planted.folder / "study.toml").read_text(encoding="utf-8")
    others = text.replace('"Corvendale", "Dunmere", "Elmsthorpe", "Farrowby"', '"Brackenholt"')
    path = planted.folder / "others.toml"
    path.write_text(others.replace('name = "areas"', 'name = "others"'), encoding="utf-8")
    collect = build_defs(load_study(path), planted.settings).resolve_job_def("collect")
    assert collect.execute_in_process(partition_key="brackenholt", run_config=QUIET).success
    predicted = predict_local_authority(planted.settings, "Brackenholt", features_of=str(path))
    truth = synthetic_scores().reindex(predicted.rows["lsoa_code"])
    assert np.corrcoef(predicted.rows["predicted"], truth)[0, 1] > 0.5
    assert not predicted.rows["is_thin"].any()
    assert "image" not in " ".join(predicted.notes)


def test_models_of_the_table_read_what_is_planted_and_baselines_need_no_image(planted):
    scores = pooled(planted.house.store)
    assert set(scores["feature_set"]) == {"table", "baseline"}
    assert set(scores[scores["feature_set"] == "baseline"]["estimator"]) == {"mean", "coordinates"}
    assert scores[scores["feature_set"] == "table"]["statistic"].isna().all()
    ridge = scores[(scores["estimator"] == "ridge")].set_index("split")["r2"]
    assert ridge["random_folds"] == pytest.approx(0.48, abs=0.1)
    assert (ridge > 0.25).all()
    assert not planted.house.store.read("lsoa_predictions")["is_thin"].any()


def test_noise_is_not_found(tmp_path):
    made = areas(tmp_path, made_up_table(r2=0)).collect()
    models = ["model_scores", "model_differences", "lsoa_predictions", "fitted_models"]
    result = made.run("analyse", assets=models)
    assert result.success, failure_sentence(result)
    scores = pooled(made.house.store)
    assert scores[scores["feature_set"] == "table"]["r2"].max() <= 0.05


_OF_IMAGES = ("SYNTHETIC IMAGES", "panorama", "Panorama", "Scene categories", "street image", "classified")


def test_reports_speak_of_the_table_and_not_of_images(planted):
    for page in (
        planted.house.page("study_report"),
        planted.house.page("local_authority_report", planted.study.slugs[0]),
    ):
        text = page.read_text(encoding="utf-8")
        shown = " ".join(ReadPage(text).text)
        assert "areas.csv" in shown
        assert "SYNTHETIC PLACES" in shown
        for word in (
            "SYNTHETIC IMAGES",
            "panorama",
            "Panorama",
            "Scene categories",
            "street image",
            "classified",
            "mean embedding",
        ):
            assert word not in shown, word
        assert "has no rows yet" not in shown
        assert PLANTED in shown or page.name != "study_report.html"
        assert str(planted.folder) not in text


@pytest.mark.parametrize(
    "ask",
    [
        lambda settings: plan_study(settings, say=print),
        lambda settings: label_study(settings, say=print),
        lambda settings: take_labels(settings, [Path("labels.csv")]),
        lambda settings: search_images(settings, "a cucumber"),
        lambda settings: find_pictures(settings, None),
        lambda settings: run_study(settings, is_refresh=True, say=print),
        lambda settings: run_study(settings, fetch_again=True, say=print),
    ],
    ids=["plan", "label", "read labels", "search", "purge", "refresh", "fetch again"],
)
def test_what_needs_images_is_refused_in_one_sentence(planted, ask):
    with pytest.raises(
        StudyError, match=r"study 'areas' has no images to .*'areas\.csv'.*name a study with imagery"
    ):
        ask(planted.settings)


def test_the_doctor_looks_for_the_table_and_asks_for_no_key(planted):
    assert [finding.state for finding in examine_provider(None, planted.study, {})] == ["ok"]
    assert [finding.said for finding in examine_local_files(planted.study)] == [
        f"features.features_from: {planted.folder / 'areas.csv'}"
    ]


def test_the_export_has_the_features_on_the_map_and_says_whose_they_are(planted, tmp_path):
    folder = export_study(planted.settings, tmp_path / "bundle", None, lambda line: None)
    lsoas = pd.read_csv(folder / "lsoas.csv")
    assert set(NAMES) <= set(lsoas.columns)
    assert lsoas["predicted"].notna().all()
    licences = (folder / "LICENCES.md").read_text(encoding="utf-8")
    assert "areas.csv" in licences
    assert "Street images" not in licences


def evaluations(result):
    return {
        event.event_specific_data.check_name: event.event_specific_data
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    }


SPOILT = {
    "every_feature_varies": lambda table: table.assign(pubs=4.0),
    "most_lsoas_have_features": lambda table: table.assign(
        pubs=table["pubs"].where(np.arange(len(table)) % 2 == 0)
    ),
}


@pytest.mark.parametrize("check", SPOILT)
def test_a_check_of_the_table_warns_of_the_mistake_it_is_for(tmp_path, check):
    made = areas(tmp_path, SPOILT[check](made_up_table(r2=0)))
    slug = made.study.slugs[0]
    result = made.run("collect", slug)
    assert result.success
    found = evaluations(result)
    assert {name for name, evaluation in found.items() if not evaluation.passed} == {check}
    assert "pubs" in str({key: value.value for key, value in found[check].metadata.items()})
    rows = made.house.store.read("lsoa_features", slug)
    figures = result.asset_materializations_for_node("lsoa_features")[0].metadata
    assert figures["n_lsoas_left_out"].value == (rows["n_images_kept"] == 0).sum()
    # of the synthetic world, the LSOAs of all other local authorities
    assert figures["n_rows_of_other_places"].value == 300 - len(rows)


def test_a_doubled_row_is_caught(tmp_path, monkeypatch):
    from streetimd_assets.science import area_features

    true = area_features.describe_lsoas
    monkeypatch.setattr(area_features, "describe_lsoas", lambda *args, **how: true(*args, **how).iloc[1:])
    made = areas(tmp_path, made_up_table(r2=0))
    result = made.run("collect", made.study.slugs[0])
    assert "one row per lsoa" in failure_sentence(result)


def test_a_table_that_does_not_fit_stops_the_run_in_one_sentence(tmp_path):
    table = made_up_table(r2=0)
    made = areas(tmp_path, table[table["lsoa_code"] > "Z01000200"])
    result = made.run("collect", "corvendale")
    assert "none of the 50 LSOAs of Corvendale" in failure_sentence(result)


def test_a_changed_table_makes_features_stale_and_old_ones_are_not_read_under_new_names(planted):
    changed = made_up_table(r2=0.5).rename(columns={PLANTED: "renamed"})
    (folder := planted.folder / "changed").mkdir()
    text = (planted.folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    changed.to_csv(folder / "areas.csv", index=False)
    other = Areas(load_study(folder / "study.toml"), folder)

    def versions(of):
        graph = of.definitions.resolve_asset_graph()
        return {key.to_user_string(): graph.get(key).code_version for key in graph.materializable_asset_keys}

    before, after = versions(planted), versions(other)
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {"lsoa_features"}
    reordered = made_up_table(r2=0.5)[[*reversed(NAMES), "lsoa_code"]]
    reordered.to_csv(folder / "areas.csv", index=False)
    house = House(load_study(folder / "study.toml"), planted.settings)
    with pytest.raises(
        ScienceError, match=r"were made from areas\.csv@\w+, and the study's table is now areas\.csv@"
    ):
        read_waist(house, [])
