"""What labels say of a classification, where the truth is known: raters are simulated from it throughout."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets import schemas
from streetimd_assets.science import label_agreement
from streetimd_assets.science.label_sample import majority_labels, weigh_labels
from streetimd_assets.science.labelling import choose_candidates, with_strata
from streetimd_tests.simulated_raters import NAMES, files_of, labels_by, made_up_images


@pytest.fixture(scope="module")
def world():
    return made_up_images(3000)


@pytest.fixture(scope="module")
def small_world():
    """Images few enough to be drawn and labelled many times over."""
    return made_up_images(900, seed=4)


def draw(probabilities, *, n_per_group=30, n_at_random=150, seed=1, slug="camden"):
    drawn = choose_candidates(
        probabilities, files_of(probabilities), n_per_group=n_per_group, n_at_random=n_at_random, seed=seed
    )
    return drawn.assign(local_authority=slug)


def assess(probabilities, candidates, labels):
    return label_agreement.assess_labels(candidates, labels, probabilities, categories=NAMES, seed=1)


def true_figures(probabilities, truth):
    predicted, truth = probabilities["category"].to_numpy(), truth.to_numpy()
    rows = {}
    for name in NAMES:
        both = ((predicted == name) & (truth == name)).sum()
        rows[name] = (both / (predicted == name).sum(), both / (truth == name).sum(), (truth == name).mean())
    return pd.DataFrame(rows, index=["precision", "recall", "corrected_share"]).T


def test_labels_of_every_image_give_the_true_figures_and_no_doubt(world):
    probabilities, truth = world
    candidates = draw(probabilities, n_at_random=len(probabilities))
    tables = assess(probabilities, candidates, labels_by("Anna", truth)).tables
    for name in label_agreement.TABLES_MADE:
        assert list(tables[name].columns) == list(schemas.TABLES[name].column_names)
    accuracy = tables["label_figures"].set_index("figure").loc["accuracy"]
    assert accuracy["low"] == accuracy["value"] == accuracy["high"]
    assert accuracy["value"] == pytest.approx((probabilities["category"].to_numpy() == truth.to_numpy()).mean())
    agreement = tables["label_agreement"].set_index("category")
    expected = true_figures(probabilities, truth)
    assert np.allclose(agreement[expected.columns].astype(float), expected)


def test_reweighting_takes_the_bias_of_the_stratified_draw_away_and_raw_agreement_keeps_it(small_world):
    probabilities, _ = small_world
    # the model errs in one way: what it calls derelict, which it seldom does, is park
    truth = probabilities.set_index("image_id")["category"].replace("derelict", "park")
    true = (probabilities["category"] != "derelict").mean()
    weighted, raw = [], []
    for seed in range(25):
        drawn = draw(probabilities, n_per_group=10, n_at_random=20, seed=seed)
        labels = labels_by("Anna", truth[drawn["image_id"]], errors=0.1, seed=seed)
        sample = weigh_labels(drawn, labels)
        is_right = (sample.images["category"] == sample.images["label"]).to_numpy()
        weighted.append(sample.share(is_right).value)
        raw.append(is_right.mean())
    # one wrong label in ten, and some of these right by chance where the model errs
    expected = 0.9 * true + 0.1 / 3 * (1 - true)
    assert np.mean(weighted) == pytest.approx(expected, abs=0.02)
    assert np.mean(raw) < expected - 0.1


def test_intervals_hold_the_truth_in_about_95_of_100_draws(small_world):
    probabilities, truth = small_world
    expected = true_figures(probabilities, truth)
    accuracy = (probabilities["category"].to_numpy() == truth.to_numpy()).mean()
    held = {name: [] for name in ("accuracy", *expected.columns)}
    for seed in range(60):
        drawn = draw(probabilities, n_per_group=20, n_at_random=80, seed=seed)
        sample = weigh_labels(drawn, labels_by("Anna", truth[drawn["image_id"]]))
        found = sample.share((sample.images["category"] == sample.images["label"]).to_numpy())
        held["accuracy"].append(found.low <= accuracy <= found.high)
        table = label_agreement.category_table(sample, NAMES).set_index("category")
        for name in expected.columns:
            is_held = (table[f"{name}_low"] <= expected[name]) & (expected[name] <= table[f"{name}_high"])
            held[name] += list(is_held)
    assert 0.88 <= np.mean(held["accuracy"]) <= 1
    for name in expected.columns:
        assert 0.92 <= np.mean(held[name]) < 1, name


def test_a_planted_misclassification_is_taken_out_of_the_shares(world):
    probabilities, _ = world
    # people call a third of what the model calls park derelict land
    rng = np.random.default_rng(3)
    truth = probabilities.set_index("image_id")["category"].copy()
    truth[(truth == "park") & (rng.random(len(truth)) < 1 / 3)] = "derelict"
    drawn = draw(probabilities, n_per_group=60)
    table = assess(probabilities, drawn, labels_by("Anna", truth[drawn["image_id"]])).tables["label_agreement"]
    table = table.set_index("category")
    for name in NAMES:
        true = (truth == name).mean()
        assert table.loc[name, "corrected_share_low"] <= true <= table.loc[name, "corrected_share_high"], name
    assert table.loc["park", "corrected_share_high"] < table.loc["park", "predicted_share"]
    assert table.loc["park", "precision"] == pytest.approx(2 / 3, abs=0.1)
    assert table.loc["derelict", "recall"] < 0.5
    assert table["corrected_share"].sum() == pytest.approx(1)


def test_a_category_order_rotated_by_one_has_no_accuracy(world):
    probabilities, _ = world
    rotated = dict(zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True))
    drawn = draw(probabilities)
    clear = probabilities.set_index("image_id")["category"]
    labels = labels_by("Anna", clear[drawn["image_id"]].map(rotated))
    accuracy = assess(probabilities, drawn, labels).tables["label_figures"].set_index("figure").loc["accuracy"]
    assert accuracy["value"] == 0
    assert accuracy["high"] < 0.03


def test_finding_no_error_is_not_taken_for_there_being_none(world):
    probabilities, _ = world
    drawn = draw(probabilities, n_per_group=20, n_at_random=0)
    clear = probabilities.set_index("image_id")["category"]
    tables = assess(probabilities, drawn, labels_by("Anna", clear[drawn["image_id"]])).tables
    accuracy = tables["label_figures"].set_index("figure").loc["accuracy"]
    assert accuracy["value"] == 1
    assert 0.9 < accuracy["low"] < 0.99
    derelict = tables["label_agreement"].set_index("category").loc["derelict"]
    # a rare category can hide among the many images of others
    assert derelict["recall"] == 1
    assert derelict["recall_low"] < 0.85
    assert derelict["corrected_share_high"] > 1.1 * derelict["predicted_share"]


def test_confusions_sum_to_all_images_and_have_a_cell_for_every_pair(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    assessed = assess(probabilities, drawn, labels_by("Anna", truth[drawn["image_id"]]))
    table = assessed.tables["label_confusions"]
    assert len(table) == len(NAMES) ** 2
    assert table["share"].sum() == pytest.approx(1)
    assert table["n_images"].sum() == len(drawn)
    shares = table.groupby("category")["share"].sum()
    predicted = probabilities["category"].value_counts(normalize=True)
    assert np.allclose(shares, predicted.reindex(shares.index))


def test_the_kappa_planted_between_two_raters_is_found_and_most_in_common_is_named(world):
    probabilities, truth = world
    drawn = draw(probabilities, n_per_group=200, n_at_random=600)
    seen = truth[drawn["image_id"]]
    labels = pd.concat(
        [labels_by("Anna", seen, errors=0.1, seed=1), labels_by("Ben", seen, errors=0.1, seed=2),
         labels_by("Cy", seen[:40], seed=3)]
    )  # fmt: skip
    kappa = assess(probabilities, drawn, labels).tables["label_figures"].set_index("figure").loc["cohens_kappa"]
    first, second = (labels.query("rater == @rater")["label"].to_numpy() for rater in ("Anna", "Ben"))
    # both right, or both wrong in the same of three ways; chance from how often each label is truly due
    due = seen.value_counts(normalize=True) * 0.9 + (1 - seen.value_counts(normalize=True)) * 0.1 / 3
    chance = (due**2).sum()
    planted = (0.9**2 + 0.1**2 / 3 - chance) / (1 - chance)
    assert kappa["low"] < planted < kappa["high"]
    assert kappa["n_images"] == len(first) == len(second)
    assert kappa["detail"].startswith("Anna and Ben")
    assert "Anna and Cy" in kappa["detail"]


def votes(*given):
    return pd.DataFrame(given, columns=["image_id", "rater", "label"])


def test_most_votes_settle_a_label_a_tie_counts_in_parts_and_unsure_gives_way_to_a_name():
    settled = majority_labels(
        votes(
            ("most", "a", "park"), ("most", "b", "park"), ("most", "c", "shops"),
            ("tied", "a", "park"), ("tied", "b", "shops"),
            ("unsure", "a", "unsure"),
            ("half", "a", "unsure"), ("half", "b", "park"),
            ("mostly", "a", "unsure"), ("mostly", "b", "unsure"), ("mostly", "c", "park"),
        )
    ).set_index(["image_id", "label"])  # fmt: skip
    assert settled["portion"].to_dict() == {
        ("most", "park"): 1, ("tied", "park"): 0.5, ("tied", "shops"): 0.5, ("unsure", "unsure"): 1,
        ("half", "park"): 1, ("mostly", "unsure"): 1,
    }  # fmt: skip


def test_two_raters_who_differ_where_the_model_errs_do_not_flatter_it(world):
    probabilities, truth = world
    drawn = draw(probabilities, n_per_group=200, n_at_random=600)
    seen = truth[drawn["image_id"]]
    one, two = (labels_by(name, seen, errors=0.2, seed=seed) for seed, name in enumerate(("Anna", "Ben")))
    alone = [assess(probabilities, drawn, labels).figure("accuracy") for labels in (one, two)]
    together = assess(probabilities, drawn, pd.concat([one, two]))
    # a tie is half of either, so two are on average what each is alone
    assert together.figure("accuracy") == pytest.approx(np.mean(alone), abs=1e-9)
    assert together.sample.n_tied == (one["label"].to_numpy() != two["label"].to_numpy()).sum() > 100
    assert together.sample.n_labelled == len(drawn)
    table = together.tables["label_agreement"]
    assert table["n_predicted"].sum() == len(drawn)
    assert table["corrected_share"].sum() == pytest.approx(1)
    cells = together.tables["label_confusions"]
    assert cells.query("label == category")["share"].sum() == pytest.approx(together.figure("accuracy"))


def test_an_interval_counts_a_tied_image_as_one(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    seen = truth[drawn["image_id"]]
    other = seen.map(dict(zip(NAMES, (*NAMES[1:], NAMES[0]), strict=True)))
    # every image is tied, and half right wherever the model is
    sample = weigh_labels(drawn, pd.concat([labels_by("Anna", seen), labels_by("Ben", other)]))
    alone = weigh_labels(drawn, labels_by("Anna", seen))
    rows = sample.images["label"].to_numpy() == sample.images["image_id"].map(seen).to_numpy()
    values, single = sample.images["weight"].to_numpy() * rows, alone.images["weight"].to_numpy() / 2
    assert sample.variance_of_total(values) == pytest.approx(alone.variance_of_total(single))
    assert sample.share(rows).value == pytest.approx(0.5)


def test_accuracy_is_told_with_the_unsure_counted_wrong_and_right(world):
    probabilities, _ = world
    drawn = draw(probabilities, n_at_random=len(probabilities))
    clear = probabilities.set_index("image_id")["category"]
    labels = labels_by("Anna", clear[drawn["image_id"]], unsure=0.2)
    assessed = assess(probabilities, drawn, labels)
    is_right = (assessed.sample.images["category"] == assessed.sample.images["label"]).to_numpy()
    # everything is labelled, and whatever is named is right
    share_unsure = (labels["label"] == "unsure").mean()
    assert assessed.sample.ends_with_unsure(is_right) == pytest.approx((1 - share_unsure, 1))
    detail = assessed.tables["label_figures"].set_index("figure").loc["accuracy", "detail"]
    assert f"{1 - share_unsure:.1%} if the model were wrong on all of them and 100.0% if right" in detail


def test_what_is_set_aside_is_counted_and_its_stratum_stood_for_by_the_rest(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    labels = labels_by("Anna", truth[drawn["image_id"]], unsure=0.2)
    sample = weigh_labels(drawn, labels)
    assert sample.n_unsure == (labels["label"] == "unsure").sum() > 0
    assert len(sample.images) == len(drawn) - sample.n_unsure
    assert sample.images["weight"].sum() == pytest.approx(len(probabilities))


def test_weights_bring_each_stratum_back_to_its_size_in_each_local_authority():
    parts = {slug: made_up_images(800, seed=seed) for seed, slug in enumerate(("camden", "barnet"))}
    tables = {slug: table.assign(image_id=slug + table["image_id"]) for slug, (table, _) in parts.items()}
    drawn = pd.concat([draw(table, slug=slug) for slug, table in tables.items()])
    truth = pd.concat([truth.rename(lambda name, s=slug: s + name) for slug, (_, truth) in parts.items()])
    sample = weigh_labels(drawn, labels_by("Anna", truth[drawn["image_id"]]))
    sizes = pd.concat(
        [with_strata(table).groupby("stratum").size().rename(lambda name, s=slug: f"{s}/{name}")
         for slug, table in tables.items()]
    )  # fmt: skip
    found = sample.images.groupby("stratum")["weight"].sum()
    assert np.allclose(found, sizes.reindex(found.index))
    assert len(found) == len(sizes)


def test_a_local_authority_without_labels_is_no_part_of_the_population():
    here, truth = made_up_images(500, seed=1)
    there = made_up_images(900, seed=2)[0].assign(image_id=lambda t: "other" + t["image_id"])
    drawn = pd.concat([draw(here), draw(there, slug="barnet")])
    only_here = truth[truth.index.intersection(drawn["image_id"])]
    assessed = assess(pd.concat([here, there]), drawn, labels_by("Anna", only_here))
    assert assessed.sample.n_images == 500
    detail = assessed.tables["label_figures"].set_index("figure").loc["accuracy", "detail"]
    assert "all 500 images of camden" in detail


def test_images_of_a_stratum_without_label_are_stood_for_by_their_category(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    seen = drawn[(drawn["stratum"] != "park: upper half") & (drawn["category"] != "derelict")]
    sample = weigh_labels(drawn, labels_by("Anna", truth[seen["image_id"]]))
    assert sample.n_strata_without_label == 3
    n_derelict = (probabilities["category"] == "derelict").sum()
    assert sample.n_not_covered == n_derelict
    assert sample.images["weight"].sum() == pytest.approx(len(probabilities) - n_derelict)
    of_park = sample.images.query("category == 'park'")["weight"].sum()
    assert of_park == pytest.approx((probabilities["category"] == "park").sum())


def test_a_category_without_label_in_one_local_authority_is_stood_for_by_the_other():
    tables, truths = {}, []
    for seed, slug in enumerate(("camden", "barnet")):
        table, truth = made_up_images(800, seed=seed)
        tables[slug] = table.assign(image_id=slug + table["image_id"])
        truths.append(truth.rename(lambda name, s=slug: s + name))
    drawn = pd.concat([draw(table, slug=slug) for slug, table in tables.items()])
    seen = drawn[~((drawn["local_authority"] == "barnet") & (drawn["category"] == "shops"))]
    sample = weigh_labels(drawn, labels_by("Anna", pd.concat(truths)[seen["image_id"]]))
    assert sample.n_not_covered == 0
    n_shops = sum((table["category"] == "shops").sum() for table in tables.values())
    assert sample.images.query("category == 'shops'")["weight"].sum() == pytest.approx(n_shops)


def test_labels_of_images_nobody_drew_do_not_count(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    chosen = [name for name in truth.index if name not in set(drawn["image_id"])]
    labels = labels_by("Anna", truth[drawn["image_id"]])
    with_more = pd.concat([labels, labels_by("Anna", truth[chosen[:300]])])
    one, other = (assess(probabilities, drawn, given).tables["label_figures"] for given in (labels, with_more))
    pd.testing.assert_frame_equal(one, other)


def test_a_local_authority_classified_anew_since_the_draw_is_left_out_and_named(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    anew = probabilities.assign(probability=probabilities["probability"] * 0.9)
    assessed = assess(anew, drawn, labels_by("Anna", truth[drawn["image_id"]]))
    assert assessed.outdated == ("camden",)
    assert all(table.empty for table in assessed.tables.values())


def test_without_labels_every_table_is_there_and_empty(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    none = labels_by("Anna", truth[:0])
    unsure = labels_by("Anna", truth[drawn["image_id"]], unsure=1.1)
    for labels in (none, unsure):
        assessed = assess(probabilities, drawn, labels)
        assert assessed.sample is None
        for name, table in assessed.tables.items():
            assert table.empty
            assert list(table.columns) == list(schemas.TABLES[name].column_names)


def test_a_handful_of_labels_gives_accuracy_and_no_temperature(world):
    probabilities, truth = world
    drawn = draw(probabilities)
    assessed = assess(probabilities, drawn, labels_by("Anna", truth[drawn["image_id"].iloc[:8]]))
    figures = assessed.tables["label_figures"].set_index("figure")
    assert figures.loc["accuracy", "n_images"] == 8
    assert pd.isna(figures.loc["temperature", "value"])
    assert "fewer than 20" in figures.loc["temperature", "detail"]
    assert set(assessed.tables["reliability_bins"]["stage"]) == {"before"}


def test_a_planted_temperature_comes_out_with_the_bins_before_and_after():
    probabilities, truth = made_up_images(3000, temperature=2.2)
    drawn = draw(probabilities, n_per_group=60)
    assessed = assess(probabilities, drawn, labels_by("Anna", truth[drawn["image_id"]]))
    row = assessed.tables["label_figures"].set_index("figure").loc["temperature"]
    assert row["low"] < 2.2 < row["high"]
    assert "surer than people" in row["detail"]
    assert assessed.figure("calibration_error_after") < assessed.figure("calibration_error_before")
    assert set(assessed.tables["reliability_bins"]["stage"]) == {"before", "after"}
