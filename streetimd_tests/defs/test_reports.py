"""The reports of a small study: what they were made from, where they lead, and when they are the same page."""

import re
import shutil
from dataclasses import replace

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from streetimd_assets.defs import provenance
from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import page_result
from streetimd_assets.science.fitted import load_model
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_tests.defs.conftest import PLACE
from streetimd_tests.graph import new_instance
from streetimd_tests.plots.reading_pages import ReadPage


@pytest.fixture(scope="module")
def house(tiny):
    return House(tiny.study, Settings("demo", tiny.folder))


def read(path):
    return ReadPage(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def study_report(house):
    return read(house.page("study_report"))


@pytest.fixture(scope="module")
def local_report(house):
    return read(house.page("local_authority_report", PLACE))


def made_again(tiny, folder, asset, change=lambda house: None):
    """Materialise one asset again in a copy of the study's data; return what Dagster recorded of it."""
    shutil.copytree(tiny.folder, folder, dirs_exist_ok=True)
    copy = replace(tiny, folder=folder)
    change(House(copy.study, Settings("demo", folder)))
    with new_instance(folder / "dagster") as instance:
        result = copy.run("analyse", instance, [asset])
        assert result.success
        return result.asset_materializations_for_node(asset)[0]


def test_example_images_are_the_extremes_of_the_leading_features(house):
    examples = house.store.read("example_images")
    importances = house.store.read("feature_importances")
    first = examples[examples["feature_position"] == 1]
    row = importances[(importances["feature"] == first["feature"].iloc[0]) & (importances["position"] == 1)]
    assert "permutation" in set(row["method"])
    rows, embeddings = house.store.read_embeddings(PLACE)
    for feature, some in examples[examples["feature"].str.contains("_embedding_")].groupby("feature"):
        values = dict(zip(rows["image_id"], embeddings[:, int(feature[-3:])], strict=True))
        assert np.allclose(some["value"], [values[name] for name in some["image_id"]], atol=1e-6)
        high, low = (some.loc[some["end"] == end, "value"] for end in ("high", "low"))
        assert high.min() > low.max()
    assert examples.groupby(["feature", "end", "lsoa_code"]).size().max() <= 2
    assert len(examples) > 20


def test_directions_of_the_model_and_of_the_strongest_texts_are_among_the_examples(house):
    examples, words = house.store.read("example_images"), house.store.read("example_words")
    texts = house.store.read("concept_directions").set_index("concept")["embedding"]
    found = house.store.read("concept_correlations").query("measure == 'imd_rank' and kind != 'random'")
    strongest = found.loc[found["pearson_r"].abs().nlargest(3).index, "concept"]
    shown = {f"concept: {name}" for name in strongest}
    assert {"ridge_direction", *shown} <= set(examples["feature"])
    # after the features, however many of those there are
    last = examples.loc[~examples["feature"].isin({"ridge_direction", *shown}), "feature_position"].max()
    assert examples.loc[examples["feature"] == "ridge_direction", "feature_position"].unique() == [last + 1]
    rows, embeddings = house.store.read_embeddings(PLACE)
    vectors = dict(zip(rows["image_id"], embeddings, strict=True))
    for name in strongest:
        some = examples[examples["feature"] == f"concept: {name}"]
        assert np.allclose(some["value"], [vectors[image] @ texts[name] for image in some["image_id"]], atol=1e-5)
        assert some["model_id"].isna().all()
    assert {"ridge_direction", *shown} <= set(words["feature"])
    assert set(words["text"]) <= set(house.study.concepts.prompts)
    assert not words["feature"].str.contains("share").any()


def test_the_ridge_direction_is_of_the_model_that_was_kept(house):
    """Images at its high end are those whose LSOAs the model would give a higher rank."""
    models = house.store.read("fitted_models").to_dict("records")
    model = load_model(next(row for row in models if row["model_id"] == "imd_rank/embeddings-mean/ridge"))
    some = house.store.read("example_images").query("feature == 'ridge_direction'")
    rows, embeddings = house.store.read_embeddings(PLACE)
    vectors = dict(zip(rows["image_id"], embeddings, strict=True))
    seen = pd.DataFrame([vectors[image] for image in some["image_id"]], columns=list(model.feature_names))
    assert np.corrcoef(model.predict(seen), some["value"])[0, 1] > 0.999


def test_the_sheet_of_examples_shows_each_picture_and_no_map(house):
    sheet = read(house.page("example_sheet"))
    assert len(sheet.attributes("img")) == len(house.store.read("example_images"))
    words = house.store.read("example_words")
    assert sheet.words.count("In words:") == 2 * words["feature"].nunique()
    assert not sheet.attributes("svg")
    assert "SYNTHETIC IMAGES" in sheet.words


def test_every_section_of_the_study_report_is_filled_but_that_of_labels(study_report):
    assert "has no rows yet" not in study_report.words
    assert "have no rows yet" not in study_report.words
    assert "Nobody has labelled images yet" in study_report.words
    assert len([drawn for drawn in study_report.attributes("svg") if drawn.get("class") == "map"]) == 9


def test_the_reports_say_what_they_were_made_from(house, study_report, local_report):
    words = house.store.read("category_embeddings")
    for page in (study_report, local_report):
        assert words["category_set_hash"].iloc[0] in page.words
        assert re.search(r"Weights, SHA-256 [0-9a-f]{64} ", page.words)
        assert "sampling.max_points_per_lsoa 1" in page.words
        assert re.search(r"lsoa_features \S+ 1 20\d\d-", page.words)
        assert "boundaries, roads, index the synthetic world: invented, no place is meant" in page.words


def test_the_report_of_a_local_authority_leads_to_pages_that_are_there(house, local_report):
    here = house.page("local_authority_report", PLACE).parent
    inside = [a["href"] for a in local_report.attributes("a") if not a["href"].startswith(("#", "http"))]
    assert "../study_report.html" in inside
    assert f"../classification_report/{PLACE}.html" in inside
    assert all((here / address.partition("#")[0]).exists() for address in inside)


def test_the_study_report_made_after_that_of_a_local_authority_leads_to_it(tiny, tmp_path):
    made_again(tiny, tmp_path, "study_report")
    page = read(tmp_path / "demo" / "pages" / "study_report.html")
    assert {"href": f"local_authority_report/{PLACE}.html"} in page.attributes("a")


def test_a_page_made_again_from_the_same_tables_is_the_same_version(house, tmp_path):
    moved = House(house.study, Settings("demo", tmp_path))
    versions = [
        page_result(moved, "study_report", f"<p>made <time>{moment}</time> from {rows}</p>").data_version
        for moment, rows in (("10:00", 3), ("11:00", 3), ("11:00", 4))
    ]
    assert versions[0] == versions[1] != versions[2]


def test_the_study_report_says_when_it_was_made_and_stays_the_same_version(tiny, tmp_path):
    first = made_again(tiny, tmp_path, "study_report")
    again = made_again(tiny, tmp_path, "study_report")
    assert first.tags["dagster/data_version"] == again.tags["dagster/data_version"]
    assert re.search(
        r"This page was made on 20\d\d-\d\d-\d\d", read(tmp_path / "demo/pages/study_report.html").words
    )


def test_without_tables_that_may_be_missing_the_study_report_still_has_its_sections(tiny, tmp_path):
    def lose(house):
        for name in ("example_images", "label_agreement", "noise_correlations", "lsoa_predictions",
                     "concept_correlations", "example_words"):  # fmt: skip
            house.store.path(name).unlink()
        house.store.path("prompt_sensitivities", PLACE).unlink()

    made_again(tiny, tmp_path, "study_report", lose)
    words = read(tmp_path / "demo" / "pages" / "study_report.html").words
    for name in ("example_images", "noise_correlations", "lsoa_predictions", "prompt_sensitivities",
                 "concept_correlations"):  # fmt: skip
        assert f"{name} has no rows yet" in words


def with_imagery(**changes):
    study = load_study("greater-manchester")
    return study.model_copy(update={"imagery": study.imagery.model_copy(update=changes)})


def test_googles_pictures_may_not_stand_beside_maps_and_others_may(tmp_path):
    for source, may in (("google", False), ("mapillary", True), ("panoramax", True), ("painted", True)):
        house = House(with_imagery(source=source), Settings("greater-manchester", tmp_path))
        assert Acquisition(house).may_stand_beside_maps is may


def test_settings_tell_no_place_of_this_machine_and_no_secret():
    study = with_imagery(
        source="panoramax",
        folder="/srv/photographs",
        address="https://me:secret@pictures.example/api?key=1",
    )
    listed = provenance.settings(study)
    assert listed["imagery.folder"] == "photographs"
    assert listed["imagery.address"] == "https://pictures.example/api"
    assert not any(
        "budget" in name or "accept_terms" in name or name.startswith("imagery.faults") for name in listed
    )
    assert listed["sampling.spacing_m"] == f"{study.sampling.spacing_m:g}"


def test_what_was_fetched_from_one_address_is_one_line_with_its_hash():
    said = {
        "index_source": "https://user:secret@example.org/file.csv?token=1",
        "index_sha256": "ab12",
        "index_fetched_at": "2026-01-02 10:00 UTC",
    }
    with dg.DagsterInstance.ephemeral() as instance:
        for slug in ("camden", "barnet"):
            made = dg.AssetMaterialization("deprivation_indices", metadata=said, partition=slug)
            instance.report_runless_asset_event(made)
        (source,) = provenance.sources(provenance.Records(instance, ["camden", "barnet"]))
    assert (source.what, source.address, source.content) == ("index", "https://example.org/file.csv", "ab12")
    assert source.fetched == "2026-01-02 10:00 UTC"


def test_files_of_one_address_that_differ_are_counted_with_the_days_they_were_fetched():
    with dg.DagsterInstance.ephemeral() as instance:
        for day, slug in ((3, "camden"), (2, "barnet")):
            said = {
                "roads_source": "https://example.org/api",
                "roads_sha256": slug,
                "roads_fetched_at": f"2026-01-0{day} 10:00 UTC",
            }
            made = dg.AssetMaterialization("road_segments", metadata=said, partition=slug)
            instance.report_runless_asset_event(made)
        (source,) = provenance.sources(provenance.Records(instance, ["camden", "barnet"]))
    assert source.content == "2 files, one for each local authority"
    assert source.fetched == "2026-01-02 10:00 UTC to 2026-01-03 10:00 UTC"


def test_a_part_made_long_before_many_others_is_still_told():
    with dg.DagsterInstance.ephemeral() as instance:
        for slug in ("camden", *["barnet"] * 40):
            instance.report_runless_asset_event(dg.AssetMaterialization("road_segments", partition=slug))
        latest = provenance.Records(instance, ["camden", "barnet", "brent"]).latest("road_segments")
        assert provenance.Records(instance, ["brent"]).latest("road_segments") == {}
    assert set(latest) == {"camden", "barnet"}


@pytest.mark.parametrize(("target", "said"), [("imd_rank", "1 = most"), ("imd_score", "higher = more")])
def test_the_target_is_told_with_its_own_direction(tmp_path, target, said):
    demo = load_study("demo")
    study = demo.model_copy(update={"deprivation": demo.deprivation.model_copy(update={"target": target})})
    with dg.DagsterInstance.ephemeral() as instance:
        made = provenance.gather(House(study, Settings("demo", tmp_path)), instance, [], {})
    assert made.facts["Target"] == f"{target} ({said} deprived)"
