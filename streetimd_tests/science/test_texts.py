"""A direction is a difference between texts, in which what any text at all would show falls out."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.texts import (
    RANDOM,
    concept_directions,
    concepts_of,
    largest_likeness,
    places_along,
    require_one_encoder,
    sentences,
)
from streetimd_tests.made_up_texts import N_DIMENSIONS, TEMPLATES, WORDS, directions, random_vectors, unit


def test_a_pair_is_its_high_end_less_its_low_end_and_a_text_is_less_the_mean_of_all():
    vectors = random_vectors()

    def text(*phrases):
        return unit(
            np.mean(
                [vectors[t.replace("{}", phrase)].astype(float) for phrase in phrases for t in TEMPLATES], axis=0
            )
        )

    told = directions().set_index("concept")
    expected = unit(text("broken", "worn") - text("whole"))
    assert np.allclose(told.loc["run down", "embedding"], expected, atol=1e-6)
    mean = (text("a wall") + text("a tree") + text("a lamp")) / 3
    assert np.allclose(told.loc["a tree", "embedding"], unit(text("a tree") - mean), atol=1e-6)
    assert told.loc["run down", ["toward", "away"]].tolist() == ["broken\nworn", "whole"]
    assert told["away"].isna().sum() == 33
    assert list(directions().columns) == list(TABLES["concept_directions"].column_names)


def test_what_all_texts_have_in_common_is_in_no_direction():
    common = np.abs(np.stack(directions()["embedding"])[:, 0])
    assert np.median(common) < 0.35
    assert np.median([vector[0] for vector in random_vectors().values()]) > 0.8


def test_random_words_are_held_against_each_other_once_and_never_both_ways():
    doubles = [concept for concept in concepts_of(WORDS) if concept.kind == RANDOM and concept.away]
    ends = {(concept.toward[0], concept.away[0]) for concept in doubles}
    assert len(ends) == len(doubles) == len(WORDS.random_words)
    assert not ends & {(away, toward) for toward, away in ends}
    assert len({concept.name for concept in concepts_of(WORDS)}) == len(concepts_of(WORDS))


def test_each_sentence_is_said_once():
    told = sentences(concepts_of(WORDS), TEMPLATES)
    assert len(told) == len(set(told)) == len(TEMPLATES) * (3 + 3 + 30)
    assert "a photo of a thing 7." in told


def test_a_pair_whose_ends_are_the_same_to_the_model_is_refused():
    vectors = random_vectors() | dict.fromkeys(["broken", "worn", "whole"], random_vectors()["a wall"])
    vectors |= {f"a photo of {word}.": vectors["broken"] for word in ("broken", "worn", "whole")}
    with pytest.raises(ScienceError, match="to the model 'run down' is the same as what it is set against"):
        concept_directions(concepts_of(WORDS), vectors, templates=TEMPLATES, encoder="clip")


def test_texts_that_say_the_same_to_the_model_are_alike():
    told = directions()
    wall = told.set_index("concept").loc["a wall", "embedding"]
    renamed = {"a tree": wall}
    vectors = [renamed.get(name, vector) for name, vector in zip(told["concept"], told["embedding"], strict=True)]
    same = told.assign(embedding=vectors)
    assert largest_likeness(told) < 0.9
    assert largest_likeness(same) == pytest.approx(1, abs=1e-6)


def test_texts_and_images_of_two_encoders_are_never_held_side_by_side():
    told = directions()
    with pytest.raises(ScienceError, match="embedded by clip and images by other; materialise concept_directions"):
        require_one_encoder(told, pd.DataFrame({"encoder": ["other"]}), "images")
    require_one_encoder(told, pd.DataFrame({"encoder": ["clip"]}), "images")
    require_one_encoder(told, pd.DataFrame({"encoder": []}), "images")


def test_a_place_is_the_mean_over_images_of_their_likeness():
    rng = np.random.default_rng(2)
    images, told = unit(rng.normal(size=(12, N_DIMENSIONS))), directions()
    of_images = images @ np.stack(told["embedding"]).T
    assert np.allclose(places_along(images.mean(axis=0, keepdims=True), told), of_images.mean(axis=0), atol=1e-6)
