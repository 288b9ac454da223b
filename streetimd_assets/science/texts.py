"""Texts as directions among embeddings.

A model of images and texts puts both into one space, so a text is a direction there. Any word at all
points somewhere, so each text is held beside random words that have nothing to do with streets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.classification import average_prompts
from streetimd_assets.study.concepts import ConceptSet

Array = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]

PAIR, PROMPT, RANDOM = "pair", "prompt", "random"
# the ends of a pair must differ by more than what is left by rounding
_LEAST_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class Concept:
    """A text, or one set against another.

    Parameters
    ----------
    name
        What people call it; for a single phrase the phrase itself.
    kind
        ``pair``, ``prompt`` or ``random``.
    toward, away
        Phrases at the high end, and of a pair those at the low end.
    """

    name: str
    kind: str
    toward: tuple[str, ...]
    away: tuple[str, ...] = ()


def concepts_of(words: ConceptSet) -> list[Concept]:
    """List the concepts of a set: its pairs, its phrases, its random words, and those two by two.

    Each random word is set against the one a third of the list further on, so that there are as many
    random pairs as random words, none of them twice in either direction.
    """
    pairs = [Concept(pair.name, PAIR, pair.toward, pair.away) for pair in words.pair]
    prompts = [Concept(phrase, PROMPT, (phrase,)) for phrase in words.prompts]
    singles = [Concept(f"random: {word}", RANDOM, (word,)) for word in words.random_words]
    others = np.roll(np.array(words.random_words, dtype=object), -(len(words.random_words) // 3 + 1))
    doubles = [
        Concept(f"random: {word} − {other}", RANDOM, (word,), (str(other),))
        for word, other in zip(words.random_words, others, strict=True)
    ]
    return [*pairs, *prompts, *singles, *doubles]


def sentences(concepts: Iterable[Concept], templates: Sequence[str]) -> list[str]:
    """List every phrase of the concepts in every template, each sentence once."""
    phrases = (phrase for concept in concepts for phrase in (*concept.toward, *concept.away))
    return list(dict.fromkeys(text for phrase in phrases for text in _put_into(templates, [phrase])))


def concept_directions(
    concepts: Iterable[Concept], vectors: Mapping[str, Vectors], *, templates: Sequence[str], encoder: str
) -> pd.DataFrame:
    """Turn concepts into directions of unit length.

    Whatever they say, texts have much in common in such a space, and images lie far from all of them; what
    any text at all would show must not pass for what this one says. So a direction is always a
    difference: that of a pair between its two ends, that of a phrase from the mean of all phrases, and
    that of a random word from the mean of all random words. A text's own embedding is the mean of its
    embeddings in all templates, brought to unit length.

    Parameters
    ----------
    concepts
        From :func:`concepts_of`.
    vectors
        Embedding of each of :func:`sentences`, shape (n_dimensions,).
    templates
        Neutral sentences that hold ``{}`` once, the same as for the categories.
    encoder
        What embedded them.

    Returns
    -------
    concept_directions
        One row per concept.

    Raises
    ------
    ScienceError
        If the two ends of a pair are the same to the model.

    References
    ----------
    Liang, W. et al. (2022), Mind the gap: understanding the modality gap in multi-modal contrastive
    representation learning. https://arxiv.org/abs/2203.02053
    """
    told = list(concepts)
    high = [_embedding(concept.toward, vectors, templates) for concept in told]
    means = {
        kind: np.mean(
            [text for text, one in zip(high, told, strict=True) if (one.kind, one.away) == (kind, ())], axis=0
        )
        for kind in {concept.kind for concept in told if not concept.away}
    }
    rows = [
        {
            "concept": concept.name,
            "kind": concept.kind,
            "toward": "\n".join(concept.toward),
            "away": "\n".join(concept.away) or None,
            "embedding": _difference(
                concept,
                text,
                _embedding(concept.away, vectors, templates) if concept.away else means[concept.kind],
            ),
            "encoder": encoder,
        }
        for concept, text in zip(told, high, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(TABLES["concept_directions"].column_names))


def _embedding(phrases: Sequence[str], vectors: Mapping[str, Vectors], templates: Sequence[str]) -> Vectors:
    return average_prompts(np.stack([vectors[text] for text in _put_into(templates, phrases)]))


def _difference(concept: Concept, high: Vectors, low: Vectors) -> Vectors:
    length = np.linalg.norm(high - low)
    if length < _LEAST_DIFFERENCE:
        raise ScienceError(
            f"to the model '{concept.name}' is the same as what it is set against, so it has no direction; choose "
            "phrases that differ more"
        )
    return np.asarray((high - low) / length, dtype=np.float32)


def _put_into(templates: Sequence[str], phrases: Sequence[str]) -> list[str]:
    return [template.replace("{}", phrase) for phrase in phrases for template in templates]


def require_one_encoder(directions: pd.DataFrame, embedded: pd.DataFrame, what: str) -> None:
    """Raise ScienceError if texts and what they are held beside, in a column ``encoder``, differ in encoder."""
    of_texts, others = set(directions["encoder"]), set(embedded["encoder"])
    if others and of_texts != others:
        raise ScienceError(
            f"the texts were embedded by {' and '.join(sorted(of_texts))} and {what} by "
            f"{' and '.join(sorted(others))}; materialise concept_directions with the encoder of {what}"
        )


def largest_likeness(directions: pd.DataFrame) -> float:
    """Largest cosine of two phrases of ``concept_directions``; 1 if two are the same to the model."""
    told = np.stack(directions.loc[directions["kind"] == PROMPT, "embedding"].tolist())
    cosines = told @ told.T
    np.fill_diagonal(cosines, -1)
    return float(cosines.max())


def places_along(embeddings: npt.NDArray[np.floating], directions: pd.DataFrame) -> Array:
    """Place of each embedding along each direction: their inner product.

    A mean embedding is shorter than 1 by as much as its images differ, and is not brought to unit length
    again: the place is then the mean over images of their cosine with the direction.

    Parameters
    ----------
    embeddings
        Shape (n, n_dimensions).
    directions
        Rows of ``concept_directions``.

    Returns
    -------
    places
        Shape (n, n_directions).
    """
    towards = np.stack([np.asarray(vector, dtype=np.float64) for vector in directions["embedding"]])
    return np.asarray(np.asarray(embeddings, dtype=np.float64) @ towards.T)
