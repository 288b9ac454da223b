"""How each embedding dimension goes with deprivation, beside what noise would show."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.matrices import require_enough

Array = npt.NDArray[np.floating]


def dimension_correlations(embeddings: Array, measures: pd.DataFrame) -> pd.DataFrame:
    """Correlate every embedding dimension with every measure of deprivation.

    Rank 1 is the most deprived LSOA: a dimension that grows with deprivation has a negative r with a
    rank and a positive r with a score. The p-values take LSOAs as independent. They are neighbours,
    so they are not, and p and q are too small; the noise beside them is just as innocent of space.

    Parameters
    ----------
    embeddings
        Shape (n_lsoas, n_dimensions); a row of NaN is an LSOA without images and is left out.
    measures
        Shape (n_lsoas, n_measures), rows in the order of `embeddings`, indexed by ``lsoa_code``; an
        LSOA is left out of the measures it lacks.

    Returns
    -------
    imd_correlations
        One row per measure and dimension. r is NaN for a dimension that never varies.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have both, or a measure does not vary.

    References
    ----------
    Benjamini, Y. & Hochberg, Y. (1995), Controlling the false discovery rate: a practical and powerful
    approach to multiple testing. https://doi.org/10.1111/j.2517-6161.1995.tb02031.x
    """
    # sums of floating-point numbers depend on their order: always the order of the LSOAs
    order = np.argsort(measures.index, kind="stable")
    vectors = np.asarray(embeddings, dtype=np.float64)[order]
    parts = [
        _one_measure(vectors, measures[name].to_numpy(float, na_value=np.nan)[order], str(name))
        for name in measures.columns
    ]
    return pd.concat(parts, ignore_index=True)


def _one_measure(embeddings: Array, measure: Array, name: str) -> pd.DataFrame:
    known = np.isfinite(measure) & np.isfinite(embeddings).all(axis=1)
    vectors, values = embeddings[known], _varying(measure[known], name)
    pearson = correlate(vectors, values)
    p_values = p_value_of_r(pearson, len(values))
    return pd.DataFrame(
        {
            "measure": name,
            "dimension": np.arange(vectors.shape[1]),
            "pearson_r": pearson,
            "spearman_r": correlate(_ranks(vectors), _ranks(values)),
            "p_value": p_values,
            "q_value": _benjamini_hochberg(p_values),
            "n_lsoas": len(values),
        }
    )


def correlate(vectors: Array, values: Array) -> npt.NDArray[np.float64]:
    """Pearson's r of each column with one vector of values.

    Parameters
    ----------
    vectors
        Shape (n, n_columns).
    values
        Shape (n,).

    Returns
    -------
    r
        Shape (n_columns,), NaN for a column that never varies.
    """
    centred = vectors - vectors.mean(axis=0)
    deviation = values - values.mean()
    size = np.linalg.norm(centred, axis=0) * np.linalg.norm(deviation)
    # a constant column is not quite zero after centring
    still = np.ptp(vectors, axis=0) == 0
    return np.where(still, np.nan, np.clip(deviation @ centred / np.where(still, 1, size), -1, 1))


def p_value_of_r(r: Array, n: int) -> npt.NDArray[np.float64]:
    """Two-sided p-value of Pearson's r over n independent pairs, by Student's t with n - 2."""
    from scipy import stats

    with np.errstate(divide="ignore"):
        t = np.abs(r) * np.sqrt((n - 2) / (1 - r**2))
    return 2 * stats.t.sf(t, n - 2)


def noise_correlations(target: npt.ArrayLike, *, n_dimensions: int, n_draws: int, seed: int) -> pd.DataFrame:
    """Correlate the target with embeddings of pure noise, many times.

    The noise is independent from LSOA to LSOA, which embeddings are not: smooth embeddings that have
    nothing to do with deprivation reach larger correlations than these.

    Parameters
    ----------
    target
        Shape (n_lsoas,); a Series indexed by ``lsoa_code`` is taken in the order of the codes.
    n_dimensions
        Dimensions drawn each time, independent standard normal.
    n_draws
        Number of draws; hundreds show the spread of the largest |r|.
    seed
        Seed of the random numbers.

    Returns
    -------
    noise_correlations
        One row per draw.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have a target, or it does not vary.
    """
    series = target if isinstance(target, pd.Series) else pd.Series(target)
    known = np.asarray(series.dropna().sort_index(), dtype=np.float32)
    values = _varying(known, "the target")
    values = (values - values.mean()) / np.std(values)
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n_draws):
        r = np.abs(correlate(rng.standard_normal((len(values), n_dimensions), dtype=np.float32), values))
        rows.append((r.max(), np.median(r)))
    table = pd.DataFrame(rows, columns=["max_absolute_r", "median_absolute_r"]).astype(float)
    return table.assign(draw=np.arange(n_draws), n_dimensions=n_dimensions, n_lsoas=len(values))


def principal_components(
    embeddings: Array, target: npt.ArrayLike, *, n_components: int
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Find the directions in which LSOAs differ most, and how each goes with the target.

    Dimensions are centred and not rescaled, so an orthogonal rotation of the embeddings changes
    neither the variances nor the scores. The sign of a direction is arbitrary: here its largest
    loading is positive.

    Parameters
    ----------
    embeddings
        Shape (n_lsoas, n_dimensions).
    target
        Shape (n_lsoas,), rows in the order of `embeddings`; a Series is indexed by ``lsoa_code``.
    n_components
        The most components found; never more than LSOAs or dimensions allow.

    Returns
    -------
    embedding_components
        One row per component.
    scores
        Shape (n_lsoas, n_components), rows as given; NaN where embedding or target is missing.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have both, or the target or the embeddings do not vary.
    """
    series = target if isinstance(target, pd.Series) else pd.Series(target)
    vectors = np.asarray(embeddings, dtype=np.float64)
    values: Array = np.asarray(series.astype(float), dtype=np.float64)
    order = np.argsort(series.index, kind="stable")
    rows = order[(np.isfinite(values) & np.isfinite(vectors).all(axis=1))[order]]
    observed = _varying(values[rows], "the target")
    variances, loadings = _directions(vectors[rows], n_components)
    scores = np.full((len(vectors), len(loadings)), np.nan)
    scores[rows] = (vectors[rows] - vectors[rows].mean(axis=0)) @ loadings.T
    table = pd.DataFrame(
        {
            "component": np.arange(1, len(loadings) + 1),
            "explained_variance_share": variances,
            "pearson_r": correlate(scores[rows], observed),
            "spearman_r": correlate(_ranks(scores[rows]), _ranks(observed)),
            "n_lsoas": len(rows),
            "loadings": list(loadings.astype(np.float32)),
        }
    )
    return table, scores


def component_scores(embeddings: Array, loadings: Array) -> npt.NDArray[np.float64]:
    """Return where LSOAs lie along principal components, from the middle of these LSOAs.

    Parameters
    ----------
    embeddings
        Shape (n_lsoas, n_dimensions), without missing values.
    loadings
        Directions of unit length, shape (n_components, n_dimensions).

    Returns
    -------
    scores
        Shape (n_lsoas, n_components).
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    return np.asarray((vectors - vectors.mean(axis=0)) @ np.asarray(loadings, dtype=np.float64).T)


def _directions(vectors: Array, n_components: int) -> tuple[Array, Array]:
    """Shares of variance and unit directions (n_components, n_dimensions) of centred rows."""
    _, singular, directions = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    if not singular.any():
        raise ScienceError(
            f"the embeddings of all {len(vectors)} LSOAs are the same, so they have no components; look at the "
            "images: a source that sends one picture for every place does this"
        )
    n_kept = min(n_components, len(vectors) - 1, vectors.shape[1])
    largest = np.argmax(np.abs(directions), axis=1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    return (singular**2 / np.sum(singular**2))[:n_kept], directions[:n_kept]


def _ranks(values: Array) -> npt.NDArray[np.float64]:
    from scipy import stats

    return np.asarray(stats.rankdata(values, axis=0), dtype=np.float64)


def _benjamini_hochberg(p_values: Array) -> Array:
    from scipy import stats

    q_values = np.full(len(p_values), np.nan)
    known = np.isfinite(p_values)
    q_values[known] = stats.false_discovery_control(p_values[known], method="bh")
    return q_values


def _varying(values: Array, name: str) -> Array:
    require_enough(len(values), "have embeddings and a measure of deprivation")
    if np.ptp(values) == 0:
        raise ScienceError(f"{name} is {values[0]:g} in all {len(values)} LSOAs; a correlation needs it to vary")
    return values
