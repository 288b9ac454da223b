"""Texts as directions among embeddings, and how the places of LSOAs along them go with deprivation.

A model of images and texts puts both into one space. The place of an LSOA along a text's direction is
its mean embedding times the direction: the higher, the more the model finds in its images of what the
text says. That is what the model associates with the words; it says nothing of the people who live there.
Any word at all points somewhere, so each text is held beside random words that have nothing to do with
streets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.classification import average_prompts
from streetimd_assets.science.correlation import correlate
from streetimd_assets.science.folds import block_labels
from streetimd_assets.science.matrices import require_enough
from streetimd_assets.science.scoring import Resamples, interval_of
from streetimd_assets.science.surrogates import surrogate_p_values, surrogate_surfaces
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


def concept_correlations(
    embeddings: npt.NDArray[np.floating],
    measures: pd.DataFrame,
    places: pd.DataFrame,
    directions: pd.DataFrame,
    *,
    n_surrogates: int,
    n_bootstrap: int,
    n_blocks: int = 30,
    block_side_m: float | None = None,
    seed: int,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Correlate the place of LSOAs along each text's direction with each measure of deprivation.

    Rank 1 is the most deprived: a text that goes with deprivation has a negative r with a rank and a
    positive r with a score.

    Parameters
    ----------
    embeddings
        Mean embeddings, shape (n_lsoas, n_dimensions); a row of NaN is an LSOA without images.
    measures
        Shape (n_lsoas, n_measures), rows in the order of `embeddings`, indexed by ``lsoa_code``; an
        LSOA is left out of the measures it lacks.
    places
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700) of all these LSOAs.
    directions
        Rows of ``concept_directions``.
    n_surrogates
        Random surfaces, as smooth as the measure, behind each spatial p-value.
    n_bootstrap
        Resamples of blocks behind each interval.
    n_blocks, block_side_m
        About how many square blocks of neighbours are resampled, or the side of one, metres.
    seed
        Seed of the random numbers.
    progress
        Called with a line of text before each measure.

    Returns
    -------
    concept_correlations
        One row per measure and direction. ``spatial_q_value`` is over the texts, without the random
        words. ``random_word_p_value`` is (1 + k) / (1 + n), k of the n random words having at least this
        \\|r\\|; a pair is held beside random pairs. The percentile intervals of about 30 blocks cover
        somewhat less than 95%.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have both, a measure does not vary, or an LSOA has no place.

    References
    ----------
    Phipson, B. & Smyth, G. (2010), Permutation p-values should never be zero.
    https://doi.org/10.2202/1544-6115.1585
    """
    # sums of floating-point numbers depend on their order: always the order of the LSOAs
    order = np.argsort(measures.index, kind="stable")
    told = directions.sort_values("concept", ignore_index=True)
    along, where = places_along(np.asarray(embeddings)[order], told), _where(places, measures.index[order])
    labels, _ = block_labels(*where.T, n_blocks=n_blocks, side_m=block_side_m)
    resamples = Resamples.draw(labels, n_draws=n_bootstrap, seed=seed)
    tables = []
    for number, name in enumerate(measures.columns, start=1):
        if progress:
            progress(f"texts beside {name}, {number} of {len(measures.columns)} measures")
        values = measures[name].to_numpy(float, na_value=np.nan)[order]
        rows = np.flatnonzero(np.isfinite(values) & np.isfinite(along).all(axis=1))
        known = _varying(values[rows], str(name))
        surfaces = surrogate_surfaces(known, *where[rows].T, n_draws=n_surrogates, seed=seed)
        p_values = surrogate_p_values(along[rows], known, surfaces)
        draws = resamples.correlation(along[rows], known, rows)
        tables.append(_one_measure(told, str(name), along[rows], known, draws, p_values))
    return pd.concat(tables, ignore_index=True)


def _one_measure(
    directions: pd.DataFrame, measure: str, along: Array, values: Array, draws: Array, p_values: Array
) -> pd.DataFrame:
    """Rows of one measure; the directions are the columns of `along` and of the bootstrap's draws of r."""
    r = correlate(along, values)
    is_random = (directions["kind"] == RANDOM).to_numpy()
    ends = np.array([interval_of(column) for column in draws.T], dtype=float)
    return pd.DataFrame(
        {
            **{name: directions[name] for name in ("concept", "kind", "toward", "away")},
            "measure": measure,
            "pearson_r": r,
            "pearson_r_low": ends[:, 0],
            "pearson_r_high": ends[:, 1],
            "spearman_r": correlate(_ranks(along), _ranks(values)),
            "spatial_p_value": p_values,
            "spatial_q_value": _q_values(np.where(is_random, np.nan, p_values)),
            "random_word_p_value": _beside_random(r, is_random, directions["away"].notna().to_numpy()),
            "n_lsoas": len(values),
        }
    )


def beyond_random_words(correlations: pd.DataFrame, measure: str) -> float:
    """Share of texts and pairs that go more with a measure than 95% of random words; 0.05 by chance alone."""
    told = correlations[(correlations["measure"] == measure) & (correlations["kind"] != RANDOM)]
    return float((told["random_word_p_value"] <= 0.05).mean())


def _beside_random(r: Array, is_random: npt.NDArray[np.bool_], is_pair: npt.NDArray[np.bool_]) -> Array:
    """Share of random directions of the same make with at least this |r|; NaN for the random ones."""
    shares = np.full(len(r), np.nan)
    for alike in (is_pair, ~is_pair):
        null = np.sort(np.abs(r[alike & is_random & np.isfinite(r)]))
        told = alike & ~is_random & np.isfinite(r)
        n_above = len(null) - np.searchsorted(null, np.abs(r[told]))
        shares[told] = (1 + n_above) / (1 + len(null))
    return shares


def _where(places: pd.DataFrame, codes: pd.Index) -> Array:
    found = places.set_index("lsoa_code")[["easting_m", "northing_m"]].reindex(codes)
    missing = found.index[found.isna().any(axis=1)]
    if len(missing):
        raise ScienceError(
            f"LSOA {missing[0]} and {len(missing) - 1} more have no place; materialise lsoa_boundaries"
        )
    return found.to_numpy(dtype=np.float64)


def _varying(values: Array, name: str) -> Array:
    require_enough(len(values), "have embeddings and a measure of deprivation")
    if np.ptp(values) == 0:
        raise ScienceError(f"{name} is {values[0]:g} in all {len(values)} LSOAs; a correlation needs it to vary")
    return values


def _ranks(values: Array) -> Array:
    from scipy import stats

    return np.asarray(stats.rankdata(values, axis=0), dtype=np.float64)


def _q_values(p_values: Array) -> Array:
    """Benjamini and Hochberg's q over the p-values that are known."""
    from scipy import stats

    q_values = np.full(len(p_values), np.nan)
    known = np.isfinite(p_values)
    q_values[known] = stats.false_discovery_control(p_values[known], method="bh")
    return q_values
