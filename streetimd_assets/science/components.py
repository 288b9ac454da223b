"""The directions in which LSOAs look most different, and how each goes with deprivation."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.correlation import correlate, ranks, varying

Array = npt.NDArray[np.floating]


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
    observed = varying(values[rows], "the target")
    variances, loadings = _directions(vectors[rows], n_components)
    scores = np.full((len(vectors), len(loadings)), np.nan)
    scores[rows] = (vectors[rows] - vectors[rows].mean(axis=0)) @ loadings.T
    table = pd.DataFrame(
        {
            "component": np.arange(1, len(loadings) + 1),
            "explained_variance_share": variances,
            "pearson_r": correlate(scores[rows], observed),
            "spearman_r": correlate(ranks(scores[rows]), ranks(observed)),
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
