"""How the places of LSOAs along texts go with deprivation: what it looks like in words.

The place of an LSOA along a text's direction is its mean embedding times the direction: the higher, the
more the model finds in its images of what the text says. That is what the model associates with the
words; it says nothing of the people who live there.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.science.correlation import (
    benjamini_hochberg,
    correlate,
    eastings_and_northings,
    field_of,
    ranks,
    varying,
)
from streetimd_assets.science.folds import block_labels
from streetimd_assets.science.scoring import Resamples, interval_of
from streetimd_assets.science.surrogates import surrogate_p_values, surrogate_parts
from streetimd_assets.science.texts import RANDOM, places_along

Array = npt.NDArray[np.float64]


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
    fields: pd.DataFrame | None = None,
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
        ``easting_m`` and ``northing_m`` (EPSG:27700), indexed by ``lsoa_code``.
    directions
        Rows of ``concept_directions``.
    n_surrogates
        Random surfaces, as smooth as the measure, behind each spatial p-value.
    n_bootstrap
        Resamples of blocks behind each interval.
    n_blocks, block_side_m
        About how many square blocks of neighbours are resampled, or the side of one, metres.
    fields
        Rows of ``spatial_fields``; a measure that is not among them has a field fitted.
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
    along = places_along(np.asarray(embeddings)[order], told)
    where = np.stack(eastings_and_northings(places, measures.index[order]))
    labels, _ = block_labels(*where, n_blocks=n_blocks, side_m=block_side_m)
    resamples = Resamples.draw(labels, n_draws=n_bootstrap, seed=seed)
    tables = []
    for number, name in enumerate(map(str, measures.columns), start=1):
        if progress:
            progress(f"texts beside {name}, {number} of {len(measures.columns)} measures")
        values = measures[name].to_numpy(float, na_value=np.nan)[order]
        rows = np.flatnonzero(np.isfinite(values) & np.isfinite(along).all(axis=1))
        known, field = np.asarray(varying(values[rows], name), dtype=np.float64), field_of(fields, name)
        surfaces = surrogate_parts(known, *where[:, rows], n_draws=n_surrogates, seed=seed, field=field)
        p_values = surrogate_p_values(along[rows], known, surfaces)
        draws = resamples.correlation(along[rows], known, rows)
        tables.append(_one_measure(told, name, along[rows], known, draws, p_values))
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
            "spearman_r": correlate(ranks(along), ranks(values)),
            "spatial_p_value": p_values,
            "spatial_q_value": benjamini_hochberg(np.where(is_random, np.nan, p_values)),
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
