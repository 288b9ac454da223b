"""Concepts of a few words, embedded at random: all texts have a large part in common, as they do in CLIP."""

import numpy as np

from streetimd_assets.science.texts import concept_directions, concepts_of, sentences
from streetimd_assets.study.concepts import ConceptSet

N_DIMENSIONS = 24
WORDS = ConceptSet.model_validate(
    {
        "pair": [{"name": "run down", "toward": ["broken", "worn"], "away": ["whole"]}],
        "prompts": ["a wall", "a tree", "a lamp"],
        "random_words": [f"a thing {number}" for number in range(30)],
    }
)
TEMPLATES = ("{}", "a photo of {}.")


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def random_vectors(seed=0):
    """An embedding of each sentence."""
    rng = np.random.default_rng(seed)
    texts = sentences(concepts_of(WORDS), TEMPLATES)
    made = unit(unit(rng.normal(size=(len(texts), N_DIMENSIONS))) + 2 * np.eye(N_DIMENSIONS)[0])
    return dict(zip(texts, made.astype(np.float32), strict=True))


def directions(seed=0):
    return concept_directions(concepts_of(WORDS), random_vectors(seed), templates=TEMPLATES, encoder="clip")
