"""Labels come into the study as files and come out as tables; raters here are simulated from planted truth."""

import csv

import pandas as pd
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs import labelling
from streetimd_assets.errors import LabelError
from streetimd_assets.science.label_agreement import TABLES_MADE
from streetimd_assets.sources.label_files import COLUMNS
from streetimd_tests.graph import failure_sentence
from streetimd_tests.labelled_study import DEMO_NAMES, check_results, classify, demo_house, materialise
from streetimd_tests.simulated_raters import labels_by

STUDY_WIDE = ("image_labels", *TABLES_MADE)


def write_labels(path, house, slug, labels, **changes):
    """Write labels as the page saves them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for row in labels.to_dict("records"):
            writer.writerow(
                {
                    "image_id": row["image_id"], "rater": row["rater"], "label": row["label"],
                    "labelled_at": "2026-05-04T13:30:00Z", "study": "demo", "local_authority": slug,
                    "category_set_hash": house.study.categories.content_hash,
                }
                | changes
            )  # fmt: skip
    return path


def simulated(rater, truth, **errors):
    return labels_by(rater, truth, names=tuple(DEMO_NAMES.values()), **errors)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Farrowby classified, drawn, put on a page, labelled by two simulated raters, and assessed."""
    folder = tmp_path_factory.mktemp("labelled")
    house = demo_house(folder)
    truth = classify(house, "farrowby", n_images=600)
    drawn = materialise(house, "label_candidates", "labelling_page", slug="farrowby")
    assert drawn.success
    candidates = house.store.read("label_candidates", "farrowby")
    seen = truth[candidates["image_id"]]
    files = [
        write_labels(folder / "labels_anna.csv", house, "farrowby", simulated("Anna", seen)),
        write_labels(folder / "labels_ben.csv", house, "farrowby", simulated("Ben", seen, errors=0.05)),
    ]
    said = labelling.take_labels(house.settings, files)
    return house, truth, said, drawn, materialise(house, *STUDY_WIDE)


def test_taken_files_stand_in_the_studys_folder_and_are_told(labelled):
    house, _, said, _, _ = labelled
    candidates = house.store.read("label_candidates", "farrowby")
    assert f"{2 * len(candidates):,} labels by 2 raters from 2 files" in said
    assert sorted(path.name for path in (house.folder / "labels").iterdir()) == [
        "labels_anna.csv",
        "labels_ben.csv",
    ]


def test_the_tables_hold_what_the_raters_said_and_how_often_they_agree_lies_in_the_interval(labelled):
    house, truth, _, _, result = labelled
    assert result.success
    labels = house.store.read("image_labels")
    assert set(labels["rater"]) == {"Anna", "Ben"}
    assert set(labels["lad_code"]) == {house.study.authority("farrowby").lad_code}
    figures = house.store.read("label_figures").set_index("figure")
    probabilities = house.store.read("category_probabilities", "farrowby").set_index("image_id")
    accuracy = (probabilities["category"] == truth[probabilities.index]).mean()
    # Ben says something else on one image in twenty, one of three others, and counts for half there
    expected = accuracy * (1 - 0.05 / 2) + (1 - accuracy) * 0.05 / 2 / 3
    assert figures.loc["accuracy", "low"] <= expected <= figures.loc["accuracy", "high"]
    assert figures.loc["cohens_kappa", "value"] == pytest.approx(0.92, abs=0.04)
    assert len(house.store.read("label_confusions")) == len(house.study.categories.names) ** 2
    assert set(house.store.read("label_agreement")["category"]) == set(house.study.categories.names)


def test_the_ui_shows_accuracy_kappa_and_counts_as_numbers(labelled):
    *_, result = labelled
    shown = {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
    }
    assert shown["image_labels"]["n_raters"] == 2
    assert isinstance(shown["label_figures"]["accuracy"], float)
    assert isinstance(shown["label_figures"]["cohens_kappa"], float)
    assert shown["label_agreement"]["n_labelled"] > 100
    assert isinstance(shown["reliability_bins"]["calibration_error_after"], float)


def test_the_checks_are_met_by_two_raters_who_agree_on_enough_images(labelled):
    *_, drawn, result = labelled
    checks = check_results(result)
    assert all(checks.values())
    assert {"raters_agree", "labels_suffice_for_temperature", "every_stratum_has_a_label"} <= set(checks)
    assert all(check_results(drawn).values())


def test_the_page_has_every_picture_and_the_link_to_it_is_shown(labelled):
    house, *_, drawn, _ = labelled
    (event,) = (e for e in drawn.get_asset_materialization_events() if e.asset_key.path[-1] == "labelling_page")
    shown = {name: value.value for name, value in event.materialization.metadata.items()}
    page = house.page("labelling_page", "farrowby")
    assert shown["n_pictures"] == shown["n_images"] == len(house.store.read("label_candidates", "farrowby"))
    assert shown["page"] == house.page_url(page)
    assert shown["n_bytes"] == page.stat().st_size


def test_until_people_label_the_tables_are_empty_and_nothing_is_warned_of(tmp_path):
    house = demo_house(tmp_path)
    classify(house, "farrowby", n_images=50)
    result = materialise(house, *STUDY_WIDE)
    assert result.success
    assert all(check_results(result).values())
    for name in STUDY_WIDE:
        assert house.store.read(name).empty


def test_one_rater_with_few_labels_is_warned_of_and_not_stopped(tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=200)
    materialise(house, "label_candidates", slug="farrowby")
    path = write_labels(tmp_path / "a.csv", house, "farrowby", simulated("Anna", truth[:5]))
    labelling.take_labels(house.settings, [path])
    result = materialise(house, *STUDY_WIDE)
    assert result.success
    checks = check_results(result)
    not_met = {name for name, passed in checks.items() if not passed}
    assert not_met == {"raters_agree", "labels_suffice_for_temperature", "every_stratum_has_a_label"}


def test_a_file_of_the_same_name_is_kept_beside_the_other_and_the_same_file_is_taken_once(tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=20)
    (tmp_path / "other").mkdir()
    one = write_labels(tmp_path / "labels.csv", house, "farrowby", simulated("Anna", truth[:3]))
    two = write_labels(tmp_path / "other" / "labels.csv", house, "farrowby", simulated("Ben", truth[:4]))
    labelling.take_labels(house.settings, [one])
    before = (house.folder / "labels" / "labels.csv").read_bytes()
    labelling.take_labels(house.settings, [two])
    said = labelling.take_labels(house.settings, [one, two])
    assert "2 of them there already" in said
    kept = sorted(path.name for path in (house.folder / "labels").iterdir())
    assert kept == ["labels-2.csv", "labels.csv"]
    assert (house.folder / "labels" / "labels.csv").read_bytes() == before


def test_a_file_whose_name_hides_it_is_taken_under_one_that_is_read(tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=20)
    path = write_labels(tmp_path / ".labels.csv", house, "farrowby", simulated("Anna", truth[:3]))
    labelling.take_labels(house.settings, [path])
    assert materialise(house, "image_labels").success
    assert set(house.store.read("image_labels")["file"]) == {"labels.csv"}


def test_one_wrong_row_and_no_file_is_taken(tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=20)
    good = write_labels(tmp_path / "good.csv", house, "farrowby", simulated("Anna", truth[:3]))
    bad = write_labels(tmp_path / "bad.csv", house, "farrowby", simulated("Ben", truth[:3]), label="parc")
    with pytest.raises(LabelError, match=r"bad\.csv, line 2 has label 'parc'"):
        labelling.take_labels(house.settings, [good, bad])
    assert not (house.folder / "labels").exists()


def test_a_broken_file_in_the_folder_stops_with_its_name_and_what_was_there_stays(labelled, tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=20)
    folder = house.folder / "labels"
    folder.mkdir(parents=True)
    write_labels(folder / "anna.csv", house, "farrowby", simulated("Anna", truth[:3]))
    assert materialise(house, "image_labels").success
    write_labels(folder / "ben.csv", house, "farrowby", simulated("Ben", truth[:3]), label="parc")
    said = failure_sentence(materialise(house, "image_labels"))
    assert said.startswith("ben.csv, line 2 has label 'parc'")
    assert set(house.store.read("image_labels")["rater"]) == {"Anna"}


def test_labels_of_other_prompts_are_set_aside_and_warned_of_without_stopping_the_study(tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=20)
    folder = house.folder / "labels"
    folder.mkdir(parents=True)
    write_labels(folder / "old.csv", house, "farrowby", simulated("Anna", truth[:3]), category_set_hash="0123")
    result = materialise(house, *STUDY_WIDE)
    assert result.success
    checks = result.get_asset_check_evaluations()
    (check,) = (check for check in checks if check.check_name == "labels_are_of_the_study_as_it_is")
    assert not check.passed
    assert check.metadata["n_set_aside"].value == 3
    assert check.metadata["first"].value.startswith("old.csv, line 2 was labelled with the category set 0123")


def test_images_classified_anew_since_the_draw_are_left_out_and_warned_of(tmp_path):
    house = demo_house(tmp_path)
    for slug in ("farrowby", "dunmere"):
        truth = classify(house, slug, n_images=60)
        materialise(house, "label_candidates", slug=slug)
        path = write_labels(tmp_path / f"{slug}.csv", house, slug, simulated("Anna", truth))
        labelling.take_labels(house.settings, [path])
    classify(house, "dunmere", n_images=60, temperature=3.0)
    result = materialise(house, *STUDY_WIDE)
    assert result.success
    assert not check_results(result)["images_are_classified_as_when_drawn"]
    figures = house.store.read("label_figures").set_index("figure")
    assert "all 60 images of farrowby" in figures.loc["accuracy", "detail"]


def code_version(house, name):
    definitions = build_defs(house.study, house.settings)
    return definitions.resolve_asset_graph().get(name_of(name)).code_version


def name_of(name):
    import dagster as dg

    return dg.AssetKey(name)


def test_a_new_file_of_labels_makes_them_stale_and_a_copy_of_it_does_too(tmp_path):
    house = demo_house(tmp_path)
    truth = classify(house, "farrowby", n_images=20)
    versions = [code_version(house, "image_labels")]
    path = write_labels(tmp_path / "a.csv", house, "farrowby", simulated("Anna", truth[:3]))
    labelling.take_labels(house.settings, [path])
    versions.append(code_version(house, "image_labels"))
    write_labels(house.folder / "labels" / "a.csv", house, "farrowby", simulated("Anna", truth[:4]))
    versions.append(code_version(house, "image_labels"))
    assert len(set(versions)) == 3
    assert code_version(house, "image_labels") == versions[-1]


def test_more_labels_asked_for_make_the_draw_stale_and_nothing_that_people_gave(tmp_path):
    before, after = demo_house(tmp_path), demo_house(tmp_path, n_labels_per_group=60)
    assert code_version(before, "label_candidates") != code_version(after, "label_candidates")
    assert code_version(before, "image_labels") == code_version(after, "image_labels")


def test_a_larger_draw_keeps_what_was_labelled(tmp_path):
    house = demo_house(tmp_path, n_labels_per_group=5, n_labels_at_random=10)
    truth = classify(house, "farrowby", n_images=200)
    materialise(house, "label_candidates", slug="farrowby")
    first = house.store.read("label_candidates", "farrowby")
    path = write_labels(tmp_path / "a.csv", house, "farrowby", simulated("Anna", truth[first["image_id"]]))
    labelling.take_labels(house.settings, [path])
    larger = demo_house(tmp_path, n_labels_per_group=10, n_labels_at_random=30)
    materialise(larger, "label_candidates", slug="farrowby")
    materialise(larger, *STUDY_WIDE)
    figures = larger.store.read("label_figures").set_index("figure")
    assert figures.loc["accuracy", "n_images"] == len(first)
    assert isinstance(pd.to_numeric(figures.loc["accuracy", "value"]), float)
