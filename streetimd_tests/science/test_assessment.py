"""Images are chosen for people to look at, for a stated reason."""

import tracemalloc
from datetime import date

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from streetimd_assets import schemas
from streetimd_assets.science import assessment

NAMES = ["terrace", "park", "shops"]


@pytest.fixture
def tables():
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([0.5, 0.5, 0.5], size=120)
    # nothing is ever shops: its grid is empty, its highest scoring images are not
    shares[:, 2] *= 0.2
    shares /= shares.sum(axis=1, keepdims=True)
    best = shares[:, :2].argmax(axis=1)
    image_ids = [f"p{number:03d}@090" for number in range(120)]
    probabilities = pd.DataFrame(
        {
            "image_id": image_ids,
            "lsoa_code": "E01000001",
            "heading_deg": 90.0,
            "category": np.array(NAMES, dtype=object)[best],
            "probability": shares[np.arange(120), best],
            "margin": rng.random(120),
        }
        | {f"{name}_probability": shares[:, place] for place, name in enumerate(NAMES)}
    )
    images = pd.DataFrame(
        {
            "image_id": [*image_ids, "unread@090"],
            "image_path": [f"images/{image_id}.jpg" for image_id in image_ids] + [None],
            "viewer_url": [f"https://example.org/{image_id}" for image_id in image_ids] + [None],
            "captured_on": date(2024, 5, 1),
            "licence": "CC BY-SA 4.0",
            "credit": "a contributor",
        }
    )
    return probabilities, images


def choose(probabilities, images, seed=1, **more):
    return assessment.choose_images(
        probabilities, images, categories=NAMES, n_per_category=6, n_least_decisive=10, seed=seed, **more
    )


def test_the_highest_scoring_are_those_with_the_highest_probability_of_each_category(tables):
    chosen = choose(*tables)
    assert list(chosen.columns) == list(schemas.get_table("assessment_images", NAMES).column_names)
    for name in NAMES:
        best = chosen[(chosen["reason"] == "highest_scoring") & (chosen["category"] == name)]
        expected = tables[0].nlargest(6, f"{name}_probability")
        assert best["image_id"].tolist() == expected["image_id"].tolist()
        assert best["probability"].tolist() == expected[f"{name}_probability"].tolist()
        assert best["position"].tolist() == [1, 2, 3, 4, 5, 6]


def test_the_least_decisive_have_the_smallest_margins_under_the_category_that_won(tables):
    probabilities, _ = tables
    least = choose(*tables).query("reason == 'least_decisive'")
    assert set(least["image_id"]) == set(probabilities.nsmallest(10, "margin")["image_id"])
    won = probabilities.set_index("image_id")["category"]
    assert (least["category"] == won[least["image_id"]].to_numpy()).all()
    assert least.groupby("category")["margin"].is_monotonic_increasing.all()


def test_the_grid_is_a_random_choice_of_what_each_category_won(tables):
    grid = choose(*tables).query("reason == 'category_grid'")
    assert grid["category"].value_counts().to_dict() == {"terrace": 6, "park": 6}
    won = tables[0].set_index("image_id")["category"]
    assert (grid["category"] == won[grid["image_id"]].to_numpy()).all()
    other = choose(*tables, seed=2).query("reason == 'category_grid'")
    assert set(other["image_id"]) != set(grid["image_id"])


def test_the_choice_does_not_depend_on_the_order_of_rows_and_has_one_row_per_key(tables):
    chosen = choose(*tables)
    shuffled = [table.sample(frac=1, random_state=3) for table in tables]
    assert_frame_equal(chosen, choose(*shuffled))
    assert not chosen.duplicated(["reason", "category", "position"]).any()


def test_each_image_brings_its_own_file_and_credit(tables):
    chosen = choose(*tables)
    assert (chosen["image_path"] == "images/" + chosen["image_id"] + ".jpg").all()
    assert set(chosen["credit"]) == {"a contributor"}


def test_few_images_are_all_shown(tables):
    probabilities, images = tables
    chosen = choose(probabilities.iloc[:2], images)
    assert set(chosen["image_id"]) == set(probabilities["image_id"].iloc[:2])
    assert choose(probabilities.iloc[:0], images).empty


def test_those_like_the_control_come_nearest_first_with_the_share_it_would_have(tables):
    probabilities, images = tables
    shares = pd.Series(np.random.default_rng(5).random(120), index=probabilities["image_id"]).sample(frac=1)
    nearest = choose(probabilities, images, control=shares).query("reason == 'control'")
    expected = shares.nlargest(6)
    assert nearest["image_id"].tolist() == expected.index.tolist()
    assert nearest["probability"].tolist() == expected.tolist()
    assert set(nearest["category"]) == {"control"}
    assert choose(probabilities, images).query("reason == 'control'").empty


def test_each_image_brings_the_probabilities_of_all_categories(tables):
    columns = [f"{name}_probability" for name in NAMES]
    chosen = choose(*tables).set_index("image_id")[columns]
    assert_frame_equal(chosen, tables[0].set_index("image_id").loc[chosen.index, columns])


def test_choosing_among_many_images_copies_no_wide_table(tables):
    many = pd.concat([tables[0]] * 500, ignore_index=True)
    many["image_id"] = [f"p{number:06d}@090" for number in range(len(many))]
    images = pd.concat([tables[1].iloc[:-1]] * 500, ignore_index=True).assign(image_id=many["image_id"])
    more = {f"{name}_{number}": many[f"{name}_probability"] for name in NAMES for number in range(10)}
    wide = pd.concat([many, pd.DataFrame(more)], axis=1)
    n_bytes = int(wide.memory_usage(deep=False).sum())
    tracemalloc.start()
    try:
        chosen = choose(wide, images)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(chosen) == 3 * 6 + 10 + 2 * 6
    assert peak < n_bytes
