"""The pages of a study tell what was found, how sure that is, and what is not there."""

import pandas as pd
import pytest

from streetimd_assets.plots.report import local_authority_page, study_report_page
from streetimd_tests.plots.made_up_tables import HEADING, SCRIPT, TITLES, made_up_lsoas, made_up_tables
from streetimd_tests.plots.reading_pages import ReadPage

PROVENANCE = {"encoder": "streetimd-demo", "seeds": "1"}


def study_page(tables, **changes):
    given = {"heading": HEADING, "provenance": PROVENANCE, "titles": TITLES} | changes
    return study_report_page(tables, **given)


def local_page(tables, lsoas, **changes):
    given = {"heading": HEADING, "name": "Alderwick", "provenance": PROVENANCE, "titles": TITLES} | changes
    return local_authority_page(tables, lsoas, **given)


def of_authority(tables, lsoas):
    """Rows of the first local authority, and its LSOAs."""
    own = lsoas[lsoas["lad_code"] == lsoas["lad_code"].iloc[0]]
    rows = {
        name: table[table["lsoa_code"].isin(own["lsoa_code"])] if "lsoa_code" in table else table
        for name, table in tables.items()
    }
    return rows, own


@pytest.fixture(scope="module")
def tables():
    return made_up_tables()


@pytest.fixture(scope="module")
def study(tables):
    return ReadPage(study_page(tables))


@pytest.fixture(scope="module")
def local(tables):
    return ReadPage(
        local_page(*of_authority(tables, made_up_lsoas()), classification_page="../look/alderwick.html")
    )


def test_the_headline_is_the_gain_over_coordinates_with_whole_local_authorities_held_out(study):
    assert (
        "With whole local authorities held out, ridge on embeddings explains R² = 0.50 (0.40 to 0.55)"
        in study.words
    )
    assert "coordinates alone 0.05 (−0.05 to 0.10): images gain 0.45 over location (100 LSOAs)" in study.words


def test_without_whole_local_authorities_the_headline_says_random_folds(tables):
    scores = tables["model_scores"]
    page = study_page(tables | {"model_scores": scores[scores["split"] != "leave_one_la_out"]})
    assert "With random folds held out, ridge on embeddings explains R² = 0.60" in ReadPage(page).words


def test_coverage_is_counted_by_local_authority_and_status(study, tables):
    features = tables["lsoa_features"]
    n_with = (features["n_images_kept"] > 0).sum()
    assert f"{n_with} of 100 LSOAs in 4 local authorities have images" in study.words
    first = features[features["lad_code"] == features["lad_code"].iloc[0]]
    assert f"Alderwick 25 {(first['n_images_kept'] > 0).sum()} 125 100 {first['n_images'].sum()}" in study.words
    assert "no_imagery no imagery near the point 1 10.0%" in study.words
    assert "from January 2020 to August 2020" in study.words


def test_noise_and_p_values_are_put_in_their_place(study):
    assert "sampling-noise floor" in study.words
    assert "p-values and q-values take LSOAs as independent, which they are not" in study.words


@pytest.mark.parametrize(
    "limit",
    [
        "never about the people or households",
        "Correlation is not causation",
        "Max pooling grows with sample size",
        "rank 1 is the most deprived",
        "not a calibrated probability",
    ],
)
def test_both_pages_say_what_the_numbers_do_not_say(study, local, limit):
    assert limit in study.words
    assert limit in local.words


def test_provenance_and_credits_are_told(study):
    assert "encoder streetimd-demo" in study.words
    assert "painted CC0 A. Painter 20" in study.words
    assert "Boundaries, roads and the deprivation index are invented" in study.words


def test_official_data_are_credited(tables):
    official = tables["deprivation_indices"].assign(deprivation_index="iod2025")
    words = ReadPage(study_page(tables | {"deprivation_indices": official})).words
    assert "Open Government Licence v3.0" in words
    assert "OpenStreetMap contributors" in words


def test_every_figure_says_that_images_are_synthetic(study, local):
    for page in (study, local):
        assert len(page.figures) >= 6
        assert all("SYNTHETIC IMAGES" in figure["layout"]["title"]["text"] for figure in page.figures)


def test_every_axis_has_a_title(study, local):
    for figure in study.figures + local.figures:
        layout = figure["layout"]
        lowest = [axis for name, axis in layout.items() if name.startswith("xaxis")]
        titled = any("text" in axis.get("title", {}) for axis in lowest)
        # small panels share one title, written below them
        assert titled or "IMD decile" in layout["annotations"][-1]["text"]


def test_figures_are_named_for_those_who_do_not_see_them(study):
    names = [attributes["aria-label"] for attributes in study.attributes("div") if attributes.get("role") == "img"]
    assert len(names) == len(study.figures)
    assert all(len(name) > 20 for name in names)


@pytest.mark.parametrize("empty", [False, True], ids=["missing", "empty"])
def test_tables_that_are_not_there_leave_a_sentence(tables, empty):
    nothing = {name: table.iloc[:0] for name, table in tables.items()} if empty else {}
    study = ReadPage(study_page(nothing))
    for name in ("lsoa_features", "panoramas", "street_images", "imd_correlations", "embedding_components",
                 "model_scores", "feature_importances"):  # fmt: skip
        assert f"{name} has no rows yet" in study.words
    assert not study.figures
    local = ReadPage(local_page(nothing, made_up_lsoas(1)))
    for name in ("lsoa_features", "deprivation_indices", "lsoa_predictions", "local_authority_scores"):
        assert f"{name} has no rows yet" in local.words
    assert "Place 0 003A" in local.words


@pytest.mark.parametrize("lost", list(made_up_tables()))
def test_any_one_table_may_be_missing(tables, lost):
    some = {name: table for name, table in tables.items() if name != lost}
    ReadPage(study_page(some))
    ReadPage(local_page(*of_authority(some, made_up_lsoas())))


def test_painted_studies_show_planted_beside_recovered(tables):
    found = pd.DataFrame({"finding": ["Category"], "planted": [1.0], "recovered": [0.912], "unit": ["share"]})
    words = ReadPage(study_page(tables | {"recovered_beside_planted": found})).words
    assert "Category 1.000 0.912 share" in words


def test_the_local_page_links_to_its_contact_sheets_and_maps_five_things(local):
    assert {"href": "../look/alderwick.html"} in local.attributes("a")
    n_maps = sum(
        "Easting" in figure["layout"]["xaxis"].get("title", {}).get("text", "") for figure in local.figures
    )
    assert n_maps == 5


def test_the_local_page_says_which_way_residuals_lean(tables):
    rows, own = of_authority(tables, made_up_lsoas())
    words = ReadPage(local_page(rows, own)).words
    assert "orange LSOAs are less deprived than their streets suggest" in words
    scores = rows["model_scores"].assign(target="imd_score")
    words = ReadPage(local_page(rows | {"model_scores": scores}, own)).words
    assert "orange LSOAs are more deprived than their streets suggest" in words


def test_lsoas_without_images_are_named(local):
    assert "Without images: Place 0 001A." in local.words


def test_script_planted_anywhere_comes_out_as_text(tables):
    lsoas = made_up_lsoas().assign(lsoa_name=SCRIPT)
    planted = made_up_tables(lsoas)
    images, status = planted["street_images"], planted["panoramas"]
    planted["street_images"] = images.assign(credit=SCRIPT, licence=SCRIPT, source=SCRIPT)
    planted["panoramas"] = status.assign(status=[SCRIPT, *status["status"].iloc[1:]])
    planted["feature_importances"] = planted["feature_importances"].assign(model_id=SCRIPT, feature=SCRIPT)
    planted["model_scores"] = planted["model_scores"].assign(split=SCRIPT, target=SCRIPT)
    words = {"heading": SCRIPT, "provenance": {SCRIPT: SCRIPT}, "titles": dict.fromkeys(TITLES, SCRIPT)}
    rows, own = of_authority(planted, lsoas)
    for page in (
        study_page(planted, **words),
        local_page(rows, own, name=SCRIPT, classification_page=SCRIPT, **words),
    ):
        read = ReadPage(page)
        assert len(read.code) == 2
        assert page.count("<script>alert") == 0
        assert page.count("script>alert(1)\\u003c") == 0
        assert read.words.count(SCRIPT) > 5
        assert any("&lt;script&gt;" in str(figure["data"]) for figure in read.figures)
        assert not any("<script" in str(figure) for figure in read.figures)


def test_shuffled_tables_make_the_same_page(tables):
    shuffled = {name: table.sample(frac=1, random_state=2) for name, table in tables.items()}
    assert study_page(shuffled) == study_page(tables)


def test_a_page_stays_small_enough_to_send(tables):
    assert len(study_page(tables).encode()) < 8_000_000
