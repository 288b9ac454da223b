"""The images shown for a feature are those at its ends, and not all from one place."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.examples import choose_examples, extreme_images, leading_features

N_IMAGES, N_PER_LSOA = 60, 6
LEADING = pd.DataFrame({"feature": ["mean_embedding_002", "park_share"], "feature_position": [1, 2]})


def importances(**rows):
    return pd.DataFrame(
        {"model_id": "both", "method": "permutation", "importance": 0.1} | rows,
    )


@pytest.fixture
def images():
    """Two headings of each of three panoramas of each of ten LSOAs; the first image is of a reject category."""
    number = np.arange(N_IMAGES)
    probability = np.random.default_rng(1).permutation(N_IMAGES) / N_IMAGES
    return pd.DataFrame(
        {
            "image_id": [f"image{place:02d}" for place in number],
            "panorama_id": number // 2,
            "lsoa_code": [f"Z{place // N_PER_LSOA}" for place in number],
            "category": np.where(number % 3 == 0, "park", "terrace"),
            "is_rejected": number == 0,
            "park_probability": probability,
        }
    )


@pytest.fixture
def embeddings():
    """Dimension 2 falls from image to image."""
    values = np.zeros((N_IMAGES, 4), np.float32)
    values[:, 2] = np.arange(N_IMAGES, 0, -1)
    return values


def at(found, feature, end):
    return found[(found["feature"] == feature) & (found["end"] == end)].sort_values("position")


def test_the_ends_are_the_highest_and_the_lowest_of_one_image_a_panorama_and_two_an_lsoa(images, embeddings):
    found = extreme_images(LEADING, images, embeddings, n_examples=4)
    # image 0 is rejected; 1 stands for its panorama, 3 is in the same panorama as 2, and Z0 is full then
    assert at(found, "mean_embedding_002", "high")["image_id"].tolist() == [
        "image01",
        "image02",
        "image06",
        "image08",
    ]
    assert at(found, "mean_embedding_002", "low")["image_id"].tolist() == [
        "image59",
        "image57",
        "image53",
        "image51",
    ]
    assert at(found, "mean_embedding_002", "high")["value"].tolist() == [59, 58, 54, 52]
    assert (
        found.groupby(["feature", "end"])["position"].apply(list).map(lambda places: places == [1, 2, 3, 4]).all()
    )


def test_of_a_share_the_probability_counts(images, embeddings):
    found = extreme_images(LEADING, images, embeddings, n_examples=3)
    kept = images[~images["is_rejected"]]
    assert at(found, "park_share", "high")["value"].iloc[0] == pytest.approx(kept["park_probability"].max())
    assert at(found, "park_share", "low")["value"].iloc[0] == pytest.approx(kept["park_probability"].min())


def test_of_a_categorys_dimension_only_its_images_count(images, embeddings):
    leading = pd.DataFrame({"feature": ["park_mean_embedding_002"], "feature_position": [1]})
    found = extreme_images(leading, images, embeddings, n_examples=5)
    assert set(found["category"]) == {"park"}


def test_local_authorities_apart_give_what_all_together_give(images, embeddings):
    whole = choose_examples(extreme_images(LEADING, images, embeddings, n_examples=4), n_examples=4)
    middle = 5 * N_PER_LSOA
    parts = [
        extreme_images(LEADING, images[some], embeddings[some], n_examples=4)
        for some in (np.arange(N_IMAGES) < middle, np.arange(N_IMAGES) >= middle)
    ]
    joined = choose_examples(pd.concat(parts), n_examples=4)
    pd.testing.assert_frame_equal(joined[whole.columns], whole)


def test_shuffled_images_give_the_same_examples(images, embeddings):
    order = np.random.default_rng(3).permutation(N_IMAGES)
    shuffled = extreme_images(LEADING, images.iloc[order], embeddings[order], n_examples=4)
    columns = ["feature", "end", "position", "image_id"]
    straight = extreme_images(LEADING, images, embeddings, n_examples=4)
    assert shuffled[columns].to_numpy().tolist() == straight[columns].to_numpy().tolist()


def test_no_leading_feature_leaves_a_table_without_rows(images, embeddings):
    found = extreme_images(LEADING.iloc[:0], images, embeddings, n_examples=4)
    assert choose_examples(found, n_examples=4).empty
    assert {"feature", "end", "position", "value", "image_id"} <= set(found)


@pytest.mark.parametrize("feature", ["mean_embedding_004", "shops_share", "distance_to_town"])
def test_a_feature_these_images_do_not_have_is_refused_in_a_sentence(images, embeddings, feature):
    leading = pd.DataFrame({"feature": [feature], "feature_position": [1]})
    with pytest.raises(ScienceError, match=f"feature {feature} is no dimension"):
        extreme_images(leading, images, embeddings, n_examples=2)


def test_leading_features_are_those_of_the_model_offered_most_by_permutation():
    both = importances(feature=["a", "b", "c"], position=[2, 1, 3])
    fewer = importances(feature=["a", "b"], position=[1, 2], model_id="embeddings")
    gini = importances(feature=["d", "e", "f", "g"], position=[1, 2, 3, 4], method="gini")
    leading = leading_features(pd.concat([fewer, gini, both]), n_features=2)
    assert leading["feature"].tolist() == ["b", "a"]
    assert leading["feature_position"].tolist() == [1, 2]
    assert set(leading["model_id"]) == set(both["model_id"])


def test_gini_leads_only_where_nothing_was_shuffled():
    gini = importances(feature=["d", "e"], position=[1, 2], method="gini")
    assert leading_features(gini, n_features=5)["feature"].tolist() == ["d", "e"]


def test_a_feature_that_costs_nothing_does_not_lead():
    table = importances(feature=["a", "b"], position=[1, 2], importance=[0.2, -0.01])
    assert leading_features(table, n_features=5)["feature"].tolist() == ["a"]
    assert leading_features(table.iloc[:0], n_features=5).empty


def test_of_a_direction_the_place_of_the_image_along_it_counts(images, embeddings):
    direction = np.array([0, 0, -0.6, 0.8], np.float32)
    leading = pd.DataFrame({"feature": ["concept: a park"], "feature_position": [3]})
    found = extreme_images(leading, images, embeddings, n_examples=2, directions={"concept: a park": direction})
    assert np.allclose(at(found, "concept: a park", "low")["value"], [-0.6 * 59, -0.6 * 58])
    assert at(found, "concept: a park", "high")["image_id"].tolist() == ["image59", "image57"]
    with pytest.raises(ScienceError, match="feature concept: a park is no dimension"):
        extreme_images(leading, images, embeddings, n_examples=2)
