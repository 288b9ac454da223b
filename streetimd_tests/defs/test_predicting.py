"""A fitted study predicts a local authority it has never seen, from the real graph's own tables."""

import shutil
import sys

import dagster as dg
import pandas as pd
import pytest

from streetimd_assets import cli
from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.defs.predicting import predict_local_authority
from streetimd_assets.errors import ScienceError, TableMissingError, UnknownLocalAuthorityError
from streetimd_assets.science.fitted import load_model
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

FITTED, UNSEEN = "farrowby", "elmsthorpe"
OTHER_STUDY = """
name = "elsewhere"
title = "Elsewhere"
local_authorities = ["Elmsthorpe", "Dunmere"]
category_set = "demo"
[geography]
source = "synthetic"
[deprivation]
index = "synthetic"
[imagery]
source = "painted"
[encoder]
model = "streetimd-demo"
weights = "bundled"
"""
NEEDED = (
    *("lsoa_boundaries", "road_segments", "deprivation_indices", "sample_points", "panoramas", "imagery_plan"),
    *("street_images", "image_embeddings", "category_probabilities", "lsoa_features"),
)


@pytest.fixture(scope="module")
def settings(tiny, tmp_path_factory):
    """The small study, fitted on one local authority; another has been collected since, and elsewhere too."""
    folder = tmp_path_factory.mktemp("predicting")
    shutil.copytree(tiny.folder / "demo" / "tables", folder / "demo" / "tables")
    collect = build_defs(tiny.study, Settings("demo", folder)).resolve_job_def("collect")
    with dg.DagsterInstance.ephemeral() as instance:
        made = collect.execute_in_process(
            instance=instance, partition_key=UNSEEN, asset_selection=[dg.AssetKey(name) for name in NEEDED]
        )
    assert made.success
    (folder / "elsewhere.toml").write_text(OTHER_STUDY)
    place = f"lsoa_features/local_authority={UNSEEN}"
    shutil.copytree(folder / "demo" / "tables" / place, folder / "elsewhere" / "tables" / place)
    return Settings("demo", folder)


def store(settings, study="demo"):
    chosen = load_study(study)
    return House(chosen, settings).store


def test_every_lsoa_with_images_is_predicted_by_the_headline_model(settings):
    rows = predict_local_authority(settings, "Elmsthorpe").rows
    features = store(settings).read("lsoa_features", UNSEEN)
    assert list(rows["lsoa_code"]) == sorted(features["lsoa_code"])
    has_images = features.set_index("lsoa_code").loc[rows["lsoa_code"], "n_images_kept"].to_numpy() > 0
    assert (rows["predicted"].notna() == has_images).all()
    assert set(rows["model_id"]) == {"imd_rank/embeddings-mean/ridge"}
    # what the model in the table says of the same embeddings
    models = store(settings).read("fitted_models").set_index("model_id", drop=False)
    model = load_model(models.loc["imd_rank/embeddings-mean/ridge"].to_dict())
    first = features[features["n_images_kept"] > 0].sort_values("lsoa_code").iloc[0]
    given = pd.DataFrame([first["mean_embedding"]], columns=list(model.feature_names))
    said = rows.set_index("lsoa_code").loc[first["lsoa_code"]]
    assert said["predicted"] == pytest.approx(model.predict(given)[0])
    assert said["predicted_low"] < said["predicted"] < said["predicted_high"]


def test_features_of_another_study_give_the_same_predictions(settings):
    here = predict_local_authority(settings, UNSEEN).rows
    there = predict_local_authority(settings, UNSEEN, features_of=str(settings.data_root / "elsewhere.toml")).rows
    pd.testing.assert_frame_equal(here, there)


def test_the_command_writes_a_csv_and_says_how_far_to_trust_it(settings, tmp_path, monkeypatch, capsys):
    target = tmp_path / "unseen.csv"
    arguments = ["predict", "demo", "--local-authority", "Elmsthorpe", "--to", str(target)]
    monkeypatch.setattr(sys, "argv", ["streetimd", *arguments, "--data", str(settings.data_root)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    out = capsys.readouterr().out
    assert not left.value.code
    rows = pd.read_csv(target)
    same = predict_local_authority(settings, UNSEEN).rows
    assert list(rows.columns) == list(same.columns)
    pd.testing.assert_series_equal(rows["predicted"], same["predicted"])
    assert "Demo (SYNTHETIC IMAGES)" in out
    assert f"of {len(rows)} LSOAs of Elmsthorpe predicted, IMD rank (1 = most deprived)" in out
    assert "fitted on 37 LSOAs of 1 local authority." in out
    assert "hold for places like those fitted on, not one unlike all" in out
    # of one local authority, none can be held out
    assert "with spatial blocks held out" in out
    assert "errors in one never seen may well be larger" in out
    known = rows[rows["predicted"].notna()]
    assert f"{(known['n_images_kept'] < 12).sum()} of {len(known)} are thin (fewer than 12 images kept)" in out
    assert f"wrote {target}: {len(rows)} rows" in out


@pytest.mark.parametrize(
    ("place", "given", "error", "says"),
    [
        ("Farrowby", {}, ScienceError, "was fitted on Farrowby too.*read lsoa_predictions instead"),
        ("Dunmere", {}, TableMissingError, "dunmere has no lsoa_features in demo yet; run `streetimd run demo"),
        ("Camden", {}, UnknownLocalAuthorityError, "'Camden' is not one of the study's local authorities"),
        (
            "Elmsthorpe",
            {"model_id": "imd_rank/best"},
            ScienceError,
            "'imd_rank/best' is not a fitted model",
        ),
    ],
    ids=["fitted on", "not collected", "another's", "no such model"],
)
def test_what_cannot_be_predicted_is_refused_with_what_to_do(settings, place, given, error, says):
    with pytest.raises(error, match=says):
        predict_local_authority(settings, place, **given)


def test_a_study_without_models_says_what_to_run(tmp_path):
    with pytest.raises(TableMissingError, match="fitted_models of demo has not been materialised yet; run"):
        predict_local_authority(Settings("demo", tmp_path), "Elmsthorpe")


@pytest.mark.parametrize("model_id", ["imd_rank/percentages/ridge", "imd_rank/embeddings-mean/lightgbm"])
def test_another_model_may_be_named(settings, model_id):
    rows = predict_local_authority(settings, UNSEEN, model_id=model_id).rows
    assert set(rows["model_id"]) == {model_id}
    assert rows["predicted"].notna().any()
