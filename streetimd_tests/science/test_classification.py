"""Probabilities are those of the model, and the likeliest mistakes with them show."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science import classification
from streetimd_assets.science.recovery import category_accuracy

NAMES = ["terrace", "flats", "shops", "park", "works", "road", "interior", "car"]
SCALE = 100.0


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def categories_table(seed=1):
    """Categories about as near to each other as CLIP's texts are: a shared direction and a little of their own."""
    rng = np.random.default_rng(seed)
    words = unit(
        2 * rng.standard_normal(512) / np.sqrt(512) + rng.standard_normal((len(NAMES), 512)) / np.sqrt(512)
    )
    return pd.DataFrame(
        {
            "position": range(len(NAMES)),
            "category": NAMES,
            "is_reject": [name in ("interior", "car") for name in NAMES],
            "prompts": NAMES,
            "embedding": list(words),
            "logit_scale": SCALE,
            "category_set_hash": "abc",
            "encoder": "clip",
        }
    )


def painted(categories, n_images=600, seed=2):
    """Images of known category: cosines of about .2, a few hundredths higher with their own words, as in CLIP."""
    rng = np.random.default_rng(seed)
    words = np.stack(categories["embedding"].to_list())
    truth = rng.integers(len(words), size=n_images)
    own = words[truth] - words.mean(axis=0)
    noise = rng.standard_normal((n_images, 512)) / np.sqrt(512)
    embeddings = unit(0.2 * words.mean(axis=0) + 0.4 * own + noise)
    images = pd.DataFrame(
        {
            "image_id": [f"p{number:04d}@090" for number in range(n_images)],
            "lsoa_code": "E01000001",
            "heading_deg": 90.0,
            "encoder": "clip",
        }
    )
    return images, embeddings, np.array(NAMES, dtype=object)[truth]


@pytest.fixture(scope="module")
def world():
    categories = categories_table()
    return categories, *painted(categories)


def test_probabilities_are_the_softmax_of_scaled_cosines():
    images, words = np.eye(3, dtype=np.float32)[:1], np.eye(3, dtype=np.float32)
    probabilities = classification.category_probabilities(images, words, logit_scale=2.0)
    expected = np.exp([2, 0, 0]) / np.exp([2, 0, 0]).sum()
    assert probabilities[0] == pytest.approx(expected, rel=1e-6)


def test_a_very_sharp_scale_does_not_overflow():
    axes = np.eye(3, dtype=np.float32)
    assert classification.category_probabilities(axes, axes, logit_scale=1e4).tolist() == axes.tolist()


def test_each_prompt_counts_the_same_in_the_average():
    prompts = np.array([[10, 0, 0], [0, 1, 0]], dtype=np.float32)
    assert classification.average_prompts(prompts) == pytest.approx([0.5**0.5, 0.5**0.5, 0])


def test_margin_is_the_lead_of_the_first_over_the_second():
    similarity = np.array([[0.1, 0.5, 0.3], [0.2, 0.2, 0.0]], dtype=np.float32)
    assert classification.margins(similarity) == pytest.approx([0.2, 0.0])


def test_entropy_is_none_for_a_certainty_and_whole_for_a_tie():
    shares = np.array([[1, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    assert classification.entropy_shares(shares) == pytest.approx([0, 1, 0.5])


def test_painted_categories_are_recognised(world):
    categories, images, embeddings, truth = world
    classified = classification.classify_images(images, embeddings, categories)
    assert list(classified.columns) == list(schemas.get_table("category_probabilities", NAMES).column_names)
    assert category_accuracy(truth, classified["category"]) > 0.9
    probabilities = classified[[f"{name}_probability" for name in NAMES]].to_numpy()
    assert classification.largest_sum_deviation(probabilities) < 1e-9
    assert (classified["probability"] == probabilities.max(axis=1)).all()
    assert (classified["is_rejected"] == classified["category"].isin(["interior", "car"])).all()
    assert classified["margin"].min() >= 0


def test_shuffled_images_and_categories_give_the_same_table(world):
    categories, images, embeddings, _ = world
    order = np.random.default_rng(0).permutation(len(images))
    shuffled = classification.classify_images(
        images.iloc[order], embeddings[order], categories.sample(frac=1, random_state=1)
    )
    assert_frame_equal(shuffled, classification.classify_images(images, embeddings, categories))


def test_many_blocks_of_images_are_classified_as_one(world, monkeypatch):
    categories, images, embeddings, _ = world
    whole = classification.classify_images(images, embeddings, categories)
    monkeypatch.setattr(classification, "_BLOCK", 100)
    in_blocks = classification.classify_images(images, embeddings, categories)
    assert_frame_equal(whole, in_blocks, check_exact=False, rtol=1e-4, atol=1e-6)


def test_no_images_give_an_empty_table(world):
    categories, images, embeddings, _ = world
    classified = classification.classify_images(images.iloc[:0], embeddings[:0], categories)
    assert classified.empty
    assert list(classified.columns) == list(schemas.get_table("category_probabilities", NAMES).column_names)


def test_a_softmax_without_the_models_scale_shows_in_confidence_and_entropy(world):
    categories, images, embeddings, truth = world
    good = classification.classify_images(images, embeddings, categories)
    bad = classification.classify_images(images, embeddings, categories.assign(logit_scale=1.0))
    assert category_accuracy(truth, bad["category"]) == category_accuracy(truth, good["category"])
    assert (bad["probability"].mean(), bad["entropy_share"].mean()) == pytest.approx((1 / 8, 1), abs=0.03)
    assert good["probability"].mean() > 0.85
    assert good["entropy_share"].mean() < 0.25


def test_doubtful_images_are_found_by_margin_at_any_scale(world):
    categories, images, embeddings, _ = world
    good = classification.classify_images(images, embeddings, categories)
    bad = classification.classify_images(images, embeddings, categories.assign(logit_scale=1.0))
    least = [set(table.nsmallest(50, "margin")["image_id"]) for table in (good, bad)]
    assert least[0] == least[1]


def test_embeddings_that_were_not_normalised_show_in_their_length(world):
    _, _, embeddings, _ = world
    assert classification.largest_norm_deviation(embeddings) < 1e-6
    assert classification.largest_norm_deviation(embeddings * 9.5) > 8
    assert classification.largest_norm_deviation(embeddings[:0]) == 0


def test_probabilities_that_leave_a_category_out_show_in_their_sum(world):
    categories, images, embeddings, _ = world
    classified = classification.classify_images(images, embeddings, categories)
    without = classified[[f"{name}_probability" for name in NAMES[1:]]].to_numpy()
    assert classification.largest_sum_deviation(without) > 0.5


def test_categories_matched_by_place_instead_of_name_show_in_accuracy(world):
    categories, images, embeddings, truth = world
    rotated = categories.assign(category=np.roll(NAMES, 1))
    classified = classification.classify_images(images, embeddings, rotated)
    assert category_accuracy(truth, classified["category"]) < 0.05


def test_embeddings_joined_one_row_off_show_in_accuracy(world):
    categories, images, embeddings, truth = world
    classified = classification.classify_images(images, np.roll(embeddings, 1, axis=0), categories)
    assert category_accuracy(truth, classified["category"]) < 0.25


def test_a_row_too_few_is_refused(world):
    categories, images, embeddings, _ = world
    with pytest.raises(ScienceError, match="600 images do not pair with 599 embeddings"):
        classification.classify_images(images, embeddings[1:], categories)


def test_images_and_words_of_different_models_are_never_compared(world):
    categories, images, embeddings, _ = world
    with pytest.raises(ScienceError, match="clip and other clip"):
        classification.classify_images(images, embeddings, categories.assign(encoder="other clip"))
