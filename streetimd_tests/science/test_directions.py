"""Directions shown by example: a model's own, those of texts, and the words that lie at their ends."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import RIDGE_DIRECTION, TABLES
from streetimd_assets.science.directions import (
    example_words,
    ridge_direction,
    shown_directions,
    strongest_concepts,
    with_directions,
)
from streetimd_assets.science.estimators import RandomForest, Ridge
from streetimd_assets.science.fitted import FittedModel, load_model
from streetimd_assets.science.matrices import feature_matrix
from streetimd_assets.science.model_tables import Model
from streetimd_tests.planted_features import SHARES, planted_world

N_DIMENSIONS = 16
LEADING = pd.DataFrame(
    {"feature": ["mean_embedding_001", "park_share"], "feature_position": [1, 2], "model_id": "forest"}
)


def fitted(estimator, feature_set="embeddings"):
    """A model of a world in which dimension 0 alone goes with the target, read back as it is kept."""
    features, target, _ = planted_world(r2=0.8)
    matrix = feature_matrix(features, feature_set, shares=SHARES)
    values = target.to_numpy()
    parameters = estimator.tune(matrix, values, seed=1)
    model = FittedModel(
        Model("imd_score", feature_set, estimator.name, "mean"),
        estimator.fit(matrix, values, parameters, seed=1),
        parameters, matrix.names, ("Z06",), len(values), 1, "hash", "clip",
    )  # fmt: skip
    return load_model(model.to_row())


@pytest.fixture(scope="module")
def ridge():
    return fitted(Ridge())


@pytest.fixture
def texts():
    """Four phrases and a random word; the first dimension of the phrases rises, and all lie far from zero."""
    vectors = np.zeros((5, N_DIMENSIONS), np.float32)
    vectors[:, 0] = 100 + np.arange(5)
    vectors[:, 1] = [3, 1, 2, 0, 9]
    return pd.DataFrame(
        {
            "concept": ["a", "b", "c", "d", "random: e"],
            "kind": ["prompt"] * 4 + ["random"],
            "embedding": list(vectors),
        }
    )


def correlations(**r):
    rows = [("imd_rank", name, "random" if "random" in name else "prompt", value) for name, value in r.items()]
    rows.append(("imd_score", "other", "prompt", 1.0))
    return pd.DataFrame(rows, columns=["measure", "concept", "kind", "pearson_r"])


def test_the_direction_of_ridge_is_the_planted_one(ridge):
    direction = ridge_direction(ridge)
    assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-6)
    assert direction[0] > 0.9


def test_along_its_direction_ridge_predicts_more_and_across_it_the_same(ridge):
    direction = ridge_direction(ridge).astype(float)
    rng = np.random.default_rng(2)
    across = rng.normal(size=N_DIMENSIONS)
    across -= direction * (across @ direction)
    start = rng.normal(size=N_DIMENSIONS)
    rows = np.stack([start, start + direction, start + 2 * direction, start + across]).astype(np.float32)
    predicted = ridge.predict(pd.DataFrame(rows, columns=list(ridge.feature_names)))
    first, second = np.diff(predicted[:3])
    assert first == pytest.approx(second, rel=1e-3)
    assert first > 0
    assert predicted[3] == pytest.approx(predicted[0], abs=1e-3 * first)


@pytest.mark.parametrize(
    ("estimator", "feature_set"), [(RandomForest(5), "embeddings"), (Ridge(), "both"), (Ridge(), "percentages")]
)
def test_a_model_of_something_else_has_no_direction(estimator, feature_set):
    with pytest.raises(ScienceError, match=f"model imd_score/{feature_set}.* has no direction among embeddings"):
        ridge_direction(fitted(estimator, feature_set))


def test_the_strongest_texts_are_those_of_the_measure_and_no_random_words():
    table = correlations(**{"a": 0.2, "b": -0.6, "random: e": 0.9, "c": 0.3, "d": None})
    assert strongest_concepts(table, measure="imd_rank", n_concepts=2) == ["b", "c"]
    assert strongest_concepts(table.sample(frac=1, random_state=1), measure="imd_rank") == ["b", "c", "a"]


def test_directions_follow_the_leading_features(ridge, texts):
    found = shown_directions(ridge, ["b", "a"], texts)
    assert list(found) == [RIDGE_DIRECTION, "concept: b", "concept: a"]
    shown = with_directions(LEADING, found, ridge_id="ridge")
    assert shown["feature"].tolist() == [*LEADING["feature"], *found]
    assert shown["feature_position"].tolist() == [1, 2, 3, 4, 5]
    assert shown["model_id"].tolist()[:3] == ["forest", "forest", "ridge"]
    assert shown["model_id"].isna().tolist() == [False, False, False, True, True]
    alone = with_directions(LEADING.iloc[:0], shown_directions(None, ["b"], texts), ridge_id="ridge")
    assert alone["feature_position"].tolist() == [1]
    assert with_directions(LEADING, {}, ridge_id="ridge").equals(LEADING)


def test_words_lie_at_the_ends_by_their_distance_from_the_mean_of_the_bank(texts):
    found = example_words(LEADING, {}, texts, n_words=3)
    assert list(found.columns) == list(TABLES["example_words"].column_names)
    # a share has no texts, a random word is none of the bank, and no text stands at both ends
    assert set(found["feature"]) == {"mean_embedding_001"}
    high, low = (found[found["end"] == end] for end in ("high", "low"))
    assert high["text"].tolist() == ["a", "c"]
    assert low["text"].tolist() == ["d", "b"]
    spread = np.std([3, 1, 2, 0])
    assert np.allclose(high["value"], [1.5 / spread, 0.5 / spread])
    assert np.allclose(low["value"], [-1.5 / spread, -0.5 / spread])


def test_how_far_texts_lie_from_images_changes_no_word(texts):
    near = texts.assign(embedding=[vector - [100] + [0] * N_DIMENSIONS for vector in texts["embedding"]])
    leading = pd.DataFrame({"feature": ["way"], "feature_position": [1], "model_id": None})
    way = {"way": np.ones(N_DIMENSIONS, np.float32)}
    far_words, near_words = (example_words(leading, way, bank, n_words=2) for bank in (texts, near))
    assert far_words["text"].tolist() == near_words["text"].tolist()
    assert np.allclose(far_words["value"], near_words["value"], atol=1e-4)


def test_a_text_is_not_shown_at_its_own_end_and_the_order_of_texts_does_not_matter(texts):
    found = shown_directions(None, ["d"], texts)
    shown = with_directions(LEADING, found, ridge_id=None)
    words = example_words(shown, found, texts, n_words=1)
    own = words[words["feature"] == "concept: d"]
    assert own.set_index("end")["text"].to_dict() == {"high": "c", "low": "a"}
    pd.testing.assert_frame_equal(
        example_words(shown, found, texts.sample(frac=1, random_state=3), n_words=1), words
    )


def test_a_dimension_in_which_all_texts_are_the_same_has_no_words(texts):
    leading = pd.DataFrame({"feature": ["max_embedding_009"], "feature_position": [1], "model_id": "forest"})
    assert example_words(leading, {}, texts, n_words=2).empty
