"""The pages of a study tell what was found, how sure that is, and what is not there."""

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from streetimd_assets.plots import style
from streetimd_assets.plots.capture_dates import taken_over_time
from streetimd_assets.plots.classification_quality import changed_by_variant, pooled_sensitivities
from streetimd_assets.plots.provenance import MadeTable, Provenance, Source
from streetimd_assets.plots.report import local_authority_page, study_report_page
from streetimd_tests.plots.made_up_tables import HEADING, SCRIPT, TITLES, made_up_lsoas, made_up_tables
from streetimd_tests.plots.reading_pages import ReadPage

MADE = Provenance(
    facts={"encoder": "streetimd-demo", "seeds": "1"},
    sources=[Source("boundaries", "https://example.org/lsoas", "0f3a", "2026-01-02 10:00 UTC")],
    tables=[MadeTable("lsoa_features", ("1+ab",), 4, datetime(2026, 1, 3, 12, tzinfo=UTC))],
    settings={"sampling.spacing_m": "50"},
    made_at=datetime(2026, 1, 4, 12, tzinfo=UTC),
)


def study_page(tables, lsoas=None, **changes):
    given = {"heading": HEADING, "made": MADE, "titles": TITLES} | changes
    return study_report_page(tables, made_up_lsoas() if lsoas is None else lsoas, **given)


def local_page(tables, lsoas, **changes):
    given = {"heading": HEADING, "name": "Alderwick", "made": MADE, "titles": TITLES} | changes
    return local_authority_page(tables, lsoas, **given)


def of_authority(tables, lsoas):
    """What the first local authority's report is given: its rows, without the study's components, and its LSOAs."""
    own = lsoas[lsoas["lad_code"] == lsoas["lad_code"].iloc[0]]
    rows = {
        name: table[table["lsoa_code"].isin(own["lsoa_code"])] if "lsoa_code" in table else table
        for name, table in tables.items()
        if not name.startswith(("component", "embedding_component"))
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
        local_page(*of_authority(tables, made_up_lsoas()), other_pages={"the images": "../look/alderwick.html"})
    )


def test_the_headline_is_the_gain_over_coordinates_with_whole_local_authorities_held_out(study):
    assert (
        "With whole local authorities held out, ridge on embeddings explains R² = 0.50 (0.40 to 0.55)"
        in study.words
    )
    assert (
        "coordinates alone 0.05 (−0.05 to 0.10): images gain 0.45 (0.43 to 0.48) over location (100 LSOAs)"
        in study.words
    )


def test_coordinates_worse_than_the_mean_do_not_make_images_look_better(tables):
    scores = tables["model_scores"]
    is_place = scores["estimator"] == "coordinates"
    poor = scores.assign(r2=scores["r2"].mask(is_place & (scores["fold"] == "all"), -0.30))
    words = ReadPage(study_page(tables | {"model_scores": poor})).words
    assert (
        "less than the training mean’s −0.01 (−0.11 to 0.04): images gain 0.51 (0.48 to 0.53) over that mean"
        in words
    )
    strong = scores.assign(r2=scores["r2"].mask(is_place & (scores["fold"] == "all"), 0.70))
    words = ReadPage(study_page(tables | {"model_scores": strong})).words
    assert "images gain nothing over location" in words


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


def test_noise_and_p_values_are_put_in_their_place(study, tables):
    rows = tables["imd_correlations"].query("measure == 'imd_rank'")
    found = [(rows[f"{kind}q_value"] < 0.05).sum() for kind in ("spatial_", "spectral_", "")]
    assert len(set(found)) == 3
    assert f"{found[0]} of 16 dimensions go with IMD rank (1 = most deprived) more than random" in study.words
    assert f"({found[1]} by spectral randomisation)" in study.words
    assert f"takes LSOAs as independent, would say {found[2]}." in study.words
    assert "the sampling-noise floor" in study.words
    assert "reach a largest |r| of 0.350 (0.260 to 0.440 in 90% of draws): the spatial-noise floor" in study.words
    assert "Naive p- and q-values take LSOAs as independent, which they are not" in study.words
    assert "Moran’s I is 0.52, 70% of its variance is common to neighbours" in study.words
    assert "falls to 1/e over 2.3 km. Up to 3.5 km is nearly as likely" in study.words


def test_a_field_that_reaches_farther_in_one_direction_says_which(tables):
    fields = tables["spatial_fields"].assign(stretch=2.5, bearing_deg=30.0)
    words = ReadPage(study_page(tables | {"spatial_fields": fields})).words
    assert "over 2.3 km (2.5 times farther along a bearing of 30° than across it)." in words


def test_without_spectral_p_values_their_count_is_not_known(tables):
    rows = tables["imd_correlations"].assign(spectral_p_value=None, spectral_q_value=None)
    assert "(– by spectral randomisation)" in ReadPage(study_page(tables | {"imd_correlations": rows})).words


def test_the_first_two_components_are_mapped_in_the_study_alone(study, local):
    for place in (1, 2):
        assert f"Score on principal component {place}" in study.words
    assert "(20.0% of their variance; r with IMD rank (1 = most deprived) −0.60)" in study.words
    assert "principal component" not in local.words


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
    assert "boundaries https://example.org/lsoas 0f3a 2026-01-02 10:00 UTC" in study.words
    assert "sampling.spacing_m 50" in study.words
    assert "lsoa_features 1+ab 4 2026-01-03 12:00 UTC" in study.words
    assert "This page was made on 2026-01-04 12:00 UTC" in study.words
    assert "interior set aside a interior; the interior" in study.words
    assert "painted CC0 A. Painter 20" in study.words
    assert "painted CC0 – 10" in study.words
    assert "Boundaries, roads and the deprivation index are invented" in study.words


@pytest.mark.parametrize("target", ["imd_rank", "imd_decile", "imd_score", "income_rank"])
def test_the_official_index_is_mapped_beside_what_is_predicted(tables, target):
    measure = target if target in tables["deprivation_indices"] else "imd_decile"
    page = study_page(tables | {"model_scores": tables["model_scores"].assign(target=target)})
    labels = [svg["aria-label"] for svg in ReadPage(page).attributes("svg") if "aria-label" in svg]
    assert style.measure_label(measure) in labels
    assert f"Predicted {style.measure_label(target)}" in labels


def test_the_map_of_uncertainty_says_how_many_of_its_intervals_held(tables):
    predictions = tables["lsoa_predictions"]
    narrow = predictions.assign(predicted_low=predictions["predicted"], predicted_high=predictions["predicted"])
    narrow.loc[narrow["lsoa_code"].isin(narrow["lsoa_code"].head(30)), "predicted_high"] = 1e6
    narrow.loc[narrow["lsoa_code"].isin(narrow["lsoa_code"].head(30)), "predicted_low"] = -1e6
    words = ReadPage(study_page(tables | {"lsoa_predictions": narrow})).words
    assert "of these LSOAs it holds for 30.0% of 100" in words


def test_dates_of_one_month_are_said_and_drawn_as_one_month(tables):
    in_may = tables["panoramas"].assign(captured_on=date(2021, 5, 4))
    page = ReadPage(study_page(tables | {"panoramas": in_may}))
    assert "the day of capture is known of 8: all in May 2021." in page.words
    drawn = taken_over_time(pd.to_datetime(in_may["captured_on"]))
    assert [end[:10] for end in drawn.layout.xaxis.range] == ["2021-05-01", "2021-05-31"]


def test_where_no_prompt_left_out_moves_an_image_none_is_blamed(tables):
    still = tables["prompt_sensitivities"].assign(n_changed=0, changed_share=0.0)
    words = ReadPage(study_page(tables | {"prompt_sensitivities": still})).words
    assert "one prompt left out 1 0.0% 0.0% none" in words


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
                 "category_probabilities", "prompt_sensitivities", "model_scores",
                 "feature_importances", "concept_correlations"):  # fmt: skip
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


def test_the_local_page_links_to_other_pages_about_it(local):
    assert {"href": "../look/alderwick.html"} in local.attributes("a")


def test_the_study_page_leads_to_the_page_of_each_local_authority_that_has_one(tables):
    code = tables["lsoa_features"]["lad_code"].iloc[0]
    page = ReadPage(study_page(tables, authority_pages={code: "local_authority_report/alderwick.html"}))
    to_pages = [link for link in page.attributes("a") if link["href"].startswith("local_authority_report/")]
    assert to_pages == [{"href": "local_authority_report/alderwick.html"}]


COMPONENTS_MAPPED = [f"Score on principal component {place}" for place in (1, 2)]
MAPPED = ["Images kept", "Park: share of images", "IMD rank (1 = most deprived)",
          "Predicted IMD rank (1 = most deprived)", "Residual: observed minus predicted, ranks",
          "Uncertainty: width of the 90% interval, ranks",
          "Where errors clump: better or worse off than it looks"]  # fmt: skip


def test_both_pages_map_images_shares_deprivation_prediction_residual_and_uncertainty(study, local):
    for page in (study, local):
        labels = [drawn["aria-label"] for drawn in page.attributes("svg") if drawn.get("class") == "map"]
        assert labels == MAPPED + (COMPONENTS_MAPPED if page is study else [])
        assert len(page.attributes("option")) == len(TITLES)


def test_observed_and_predicted_are_shaded_alike(tables):
    rows = tables["lsoa_predictions"]
    exact = rows.assign(predicted=rows["observed"])
    page = ReadPage(study_page(tables | {"lsoa_predictions": exact}))
    fills = [look["fill"] for tag, look in page.elements if tag in ("g", "use") and "fill" in look]
    shown = {label: fills[100 * place : 100 * place + 100] for place, label in enumerate(MAPPED)}
    assert shown[MAPPED[2]] == shown[MAPPED[3]]
    assert shown[MAPPED[2]] != shown[MAPPED[0]]


def test_every_lsoa_has_a_row_that_maps_can_lead_to(study, local):
    for page, n_lsoas in ((study, 100), (local, 25)):
        rows = {row["id"] for row in page.attributes("tr") if row.get("id", "").startswith("lsoa-")}
        assert len(rows) == n_lsoas
        assert "lsoa-Z00000003" in rows


def test_the_interval_of_a_prediction_stands_beside_it(tables):
    rows = tables["lsoa_predictions"].assign(predicted=40.0, predicted_low=20.0, predicted_high=61.0)
    assert "40 (20 to 61)" in ReadPage(study_page(tables | {"lsoa_predictions": rows})).words


def test_capture_dates_are_counted_and_told_by_local_authority(study):
    assert "Of 8 panoramas used, the day of capture is known of 8: from January 2020 to August 2020" in study.words
    assert "Alderwick 2020-01-15" in study.words


def test_bars_of_capture_dates_count_every_panorama_of_the_period():
    days = pd.to_datetime(pd.Series(["2020-01-15", "2020-01-31", "2020-03-01", None]))
    (bars,) = taken_over_time(days).data
    assert list(bars.y) == [2, 0, 1]
    assert [str(middle)[:7] for middle in bars.x] == ["2020-01", "2020-02", "2020-03"]
    assert "1 more of unknown date" in taken_over_time(days).layout.xaxis.title.text


@pytest.mark.parametrize(
    ("last", "period"), [("2022-01-01", "month"), ("2027-01-01", "quarter"), ("2040-01-01", "year")]
)
def test_bars_of_capture_dates_grow_with_the_years_covered(last, period):
    figure = taken_over_time(pd.to_datetime(pd.Series(["2019-06-01", last])))
    assert f"Panoramas in a {period}" == figure.layout.yaxis.title.text
    assert sum(figure.data[0].y) == 2


def test_a_control_that_takes_no_image_and_the_largest_change_are_told(study):
    assert "a cucumber , which no street shows, would take 0 of 200 images (0.00%)" in study.words
    assert "moves 6.0% of the images to another category, the largest 10.0%" in study.words


def test_no_bar_of_a_change_reaches_over_its_neighbours(tables):
    """Of bars that stand far apart, plotly would draw each as wide as their distance."""
    figure = changed_by_variant(pooled_sensitivities(tables["prompt_sensitivities"]), TITLES)
    assert figure.data
    assert all(bars.width is not None and bars.width < 1 for bars in figure.data)


def test_a_control_that_takes_images_is_called_too_much(tables):
    rows = tables["prompt_sensitivities"]
    taken = rows.assign(n_changed=rows["n_changed"].where(rows["kind"] != "control", 1))
    words = ReadPage(study_page(tables | {"prompt_sensitivities": taken})).words
    assert "would take 2 of 200 images (1.00%); under 0.5% was to be expected" in words


def test_pictures_stand_in_the_report_only_where_they_may_stand_beside_maps(tables):
    asked = []
    page = ReadPage(study_page(tables, read_image=asked.append))
    assert set(asked) == set(tables["example_images"]["image_path"])
    assert page.words.count("Picture not kept: open at the provider") == len(tables["example_images"])
    without = ReadPage(study_page(tables, example_page="example_sheet.html"))
    assert not without.attributes("img")
    assert "Picture not kept" not in without.words
    assert {"href": "example_sheet.html"} in without.attributes("a")


def test_the_local_page_says_which_way_residuals_lean(tables):
    rows, own = of_authority(tables, made_up_lsoas())
    words = ReadPage(local_page(rows, own)).words
    assert "orange LSOAs are less deprived than their streets suggest" in words
    scores = rows["model_scores"].assign(target="imd_score")
    words = ReadPage(local_page(rows | {"model_scores": scores}, own)).words
    assert "orange LSOAs are more deprived than their streets suggest" in words


def test_the_local_page_opens_with_the_hardest_split_and_shows_how_sure_its_scores_are(local):
    assert "12 (10 to 14)" in local.words
    assert "−3 (−5 to −1)" in local.words
    easier = local.words.index("The same models, held out more easily")
    assert "whole local authorities" in local.words[:easier]
    assert "random folds" in local.words[easier:]
    assert {"class": "folded"} in local.attributes("details")


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
    planted["prompt_sensitivities"] = planted["prompt_sensitivities"].assign(variant=SCRIPT)
    planted["category_embeddings"] = planted["category_embeddings"].assign(category=SCRIPT, prompts=SCRIPT)
    words_of = ["feature", "image_id", "credit", "licence", "category", "viewer_url"]
    planted["example_images"] = planted["example_images"].assign(**dict.fromkeys(words_of, SCRIPT))
    planted["example_words"] = planted["example_words"].assign(feature=SCRIPT, text=SCRIPT)
    words_of = ["concept", "toward", "away", "measure"]
    planted["concept_correlations"] = planted["concept_correlations"].assign(**dict.fromkeys(words_of, SCRIPT))
    made = Provenance(
        {SCRIPT: SCRIPT}, [Source(*[SCRIPT] * 5)], [MadeTable(SCRIPT, (SCRIPT,), 1, None)], {SCRIPT: SCRIPT}
    )
    words = {"heading": SCRIPT, "made": made, "titles": dict.fromkeys(TITLES, SCRIPT)}
    rows, own = of_authority(planted, lsoas)
    for page in (
        study_page(planted, lsoas, read_image=lambda _: None, authority_pages={SCRIPT: SCRIPT}, **words),
        local_page(rows, own, name=SCRIPT, other_pages={"elsewhere": SCRIPT}, **words),
    ):
        read = ReadPage(page)
        assert all("alert" not in script for script in read.code)
        assert page.count("<script>alert") == 0
        assert page.count("script>alert(1)\\u003c") == 0
        assert read.words.count(SCRIPT) > 5
        assert any("&lt;script&gt;" in str(figure["data"]) for figure in read.figures)
        assert not any("<script" in str(figure) for figure in read.figures)


def test_shuffled_tables_make_the_same_page(tables):
    shuffled = {name: table.sample(frac=1, random_state=2) for name, table in tables.items()}
    assert study_page(shuffled) == study_page(tables)
