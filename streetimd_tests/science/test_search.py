"""The nearest images are those of the largest cosine, however many there are."""

import numpy as np
import pytest

from streetimd_assets.science import search


def unit_rows(n_rows, seed=1):
    vectors = np.random.default_rng(seed).standard_normal((n_rows, 512)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_an_image_is_nearest_to_its_own_direction():
    images = unit_rows(20_000)
    similarity = search.similarities_to(images, images[12_345])
    assert search.nearest(similarity, 3)[0] == 12_345
    assert similarity[12_345] == pytest.approx(1.0)
    np.testing.assert_allclose(similarity, images @ images[12_345], atol=1e-6)


@pytest.mark.parametrize("n_images", [1, 7, 499, 500, 501])
def test_the_nearest_are_those_of_a_full_sort(n_images):
    similarity = np.random.default_rng(2).random(500).astype(np.float32)
    np.testing.assert_array_equal(search.nearest(similarity, n_images), np.argsort(-similarity)[:n_images])


def test_of_equal_similarities_the_earlier_come_first():
    similarity = np.array([0.2, 0.5, 0.5, 0.1, 0.5], dtype=np.float32)
    np.testing.assert_array_equal(search.nearest(similarity, 2), [1, 2])


def test_no_image_is_near_where_there_is_none():
    none = search.similarities_to(np.empty((0, 512), np.float32), unit_rows(1)[0])
    assert len(search.nearest(none, 5)) == 0


def test_the_nearest_stands_beside_the_middle_and_the_top_hundredth_of_all():
    figures = search.standing(np.linspace(0, 1, 1001).astype(np.float32))
    assert figures == pytest.approx({"nearest": 1.0, "median": 0.5, "top_percent": 0.99}, abs=1e-6)
