"""Random surfaces as smooth as a measure: what chance alone would show among neighbours who resemble each other.

LSOAs are not independent, so a test that takes them for independent finds too much. The measure is set
beside many surfaces that have nothing to do with the images and are as smooth as it is: drawn from a
Gaussian process fitted to it, or made from it by Moran spectral randomisation.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.field_fits import fit_field as fit_field
from streetimd_assets.science.fields import SpatialField as SpatialField
from streetimd_assets.science.fields import draw_fields, in_order

Array = npt.NDArray[np.floating]
Surfaces = npt.NDArray[np.float32]

# a dense eigendecomposition takes minutes beyond, and grows with the third power
MOST_LSOAS_FOR_SPECTRUM = 4_000

_DRAWS_AT_ONCE = 500
_SIGNS = np.array([-1, 1], dtype=np.float32)


def surrogate_surfaces(
    values: npt.ArrayLike,
    easting_m: npt.ArrayLike,
    northing_m: npt.ArrayLike,
    *,
    n_draws: int,
    seed: int,
    field: SpatialField | None = None,
) -> Surfaces:
    """Draw random surfaces as smooth as a measure, each with the very values of the measure.

    Parameters
    ----------
    values
        The measure, shape (n_lsoas,), without missing values.
    easting_m, northing_m
        Where LSOAs are, shape (n_lsoas,), in metres (EPSG:27700).
    n_draws
        Number of surfaces.
    seed
        Seed of the random numbers.
    field
        The field drawn from; fitted to the measure if left out.

    Returns
    -------
    surfaces
        Shape (n_lsoas, n_draws), rows as given. Each column holds the values of the measure in another
        order, less their mean and over their standard deviation, so a correlation is a mean of products.

    Raises
    ------
    ScienceError
        If there are fewer than 20 LSOAs, the measure does not vary, or a place is missing.
    """
    parts = surrogate_parts(values, easting_m, northing_m, n_draws=n_draws, seed=seed, field=field)
    return np.hstack(list(parts))


def surrogate_parts(
    values: npt.ArrayLike,
    easting_m: npt.ArrayLike,
    northing_m: npt.ArrayLike,
    *,
    n_draws: int,
    seed: int,
    field: SpatialField | None = None,
) -> Iterator[Surfaces]:
    """Yield the columns of :func:`surrogate_surfaces` 500 at a time: all of a country's would not fit in memory."""
    field = field or fit_field(values, easting_m, northing_m, seed=seed)
    known, places, rows = in_order(values, easting_m, northing_m)
    rng = np.random.default_rng(seed)
    order = rows[rng.permutation(len(rows))]
    standardised = np.sort(_standardised(known)).astype(np.float32)
    for drawn in draw_fields(field, places[order], n_draws=n_draws, rng=rng, n_at_once=_DRAWS_AT_ONCE):
        surfaces = np.empty_like(drawn)
        for column in range(drawn.shape[1]):
            # ranks of the draw, values of the measure
            surfaces[order[np.argsort(drawn[:, column])], column] = standardised
        yield surfaces


def spectral_surfaces(
    values: npt.ArrayLike,
    easting_m: npt.ArrayLike,
    northing_m: npt.ArrayLike,
    *,
    n_draws: int,
    seed: int,
    n_neighbours: int = 8,
) -> Surfaces | None:
    """Make random surfaces of the same Moran's I as a measure, by Moran spectral randomisation.

    The measure is a sum of Moran eigenvectors, patterns from the smoothest to the roughest; each
    surface is the same sum with signs drawn at random (the singleton procedure of [1]_).

    Parameters
    ----------
    values
        The measure, shape (n_lsoas,), without missing values.
    easting_m, northing_m
        Where LSOAs are, shape (n_lsoas,), in metres (EPSG:27700).
    n_draws
        Number of surfaces.
    seed
        Seed of the random signs.
    n_neighbours
        Nearest LSOAs that count as neighbours; of two, each is half a neighbour if only one is near.

    Returns
    -------
    surfaces
        Shape (n_lsoas, n_draws), rows as given, each column of mean 0 and variance 1; None for more than
        4,000 LSOAs, whose eigenvectors would take too long.

    Raises
    ------
    ScienceError
        If there are fewer than 20 LSOAs, the measure does not vary, or a place is missing.

    References
    ----------
    .. [1] Wagner, H. H. & Dray, S. (2015), Generating spatially constrained null models for irregularly
       spaced data using Moran spectral randomization methods. https://doi.org/10.1111/2041-210X.12407
    """
    known, places, rows = in_order(values, easting_m, northing_m)
    if len(rows) > MOST_LSOAS_FOR_SPECTRUM:
        return None
    patterns = _patterns(places[rows].tobytes(), n_neighbours)
    shares = patterns.T @ _standardised(known)[rows].astype(np.float32)
    rng = np.random.default_rng(seed)
    surfaces = np.empty((len(rows), n_draws), dtype=np.float32)
    for start in range(0, n_draws, _DRAWS_AT_ONCE):
        signs = rng.choice(_SIGNS, size=(len(rows), min(_DRAWS_AT_ONCE, n_draws - start)))
        surfaces[rows, start : start + signs.shape[1]] = patterns @ (signs * shares[:, None])
    return surfaces


def surrogate_p_values(
    vectors: npt.ArrayLike, values: npt.ArrayLike, surfaces: Surfaces | Iterable[Surfaces]
) -> npt.NDArray[np.float64]:
    """Return the share of surfaces that go with each column at least as much as the measure does.

    Two-sided, the measure itself counted among the surfaces, so that no p-value is 0: (1 + number of
    surfaces with at least that \\|r\\|) / (number of surfaces + 1).

    Parameters
    ----------
    vectors
        Shape (n_lsoas, n_columns), without missing values.
    values
        The measure, shape (n_lsoas,).
    surfaces
        Of :func:`surrogate_surfaces` or :func:`spectral_surfaces`, shape (n_lsoas, n_draws); or parts of
        them, one after another.

    Returns
    -------
    p_values
        Shape (n_columns,); NaN for a column that never varies.
    """
    parts = _parts(surfaces) if isinstance(surfaces, np.ndarray) else surfaces
    columns = _unit_columns(np.asarray(vectors))
    measure = _standardised(np.asarray(values, dtype=np.float64)).astype(np.float32)
    # single precision must not part a surface that equals the measure from it
    reached = np.abs(columns.T @ measure) * (1 - 1e-5)
    n_as_large, n_draws = np.zeros(len(reached)), 0
    for part in parts:
        n_as_large += (np.abs(columns.T @ part) >= reached[:, None]).sum(axis=1)
        n_draws += part.shape[1]
    return np.where(np.isnan(reached), np.nan, (1 + n_as_large) / (n_draws + 1))


def correlate_surfaces(vectors: npt.ArrayLike, surfaces: Surfaces) -> Surfaces:
    """Pearson's r of each column of `vectors` with each standardised surface, (n_columns, n_draws)."""
    return np.asarray(_unit_columns(np.asarray(vectors)).T @ surfaces / np.sqrt(np.float32(len(surfaces))))


def morans_i(
    values: npt.ArrayLike, easting_m: npt.ArrayLike, northing_m: npt.ArrayLike, *, n_neighbours: int = 8
) -> float:
    """Moran's I of a measure among nearest LSOAs: near 0 without likeness, near 1 on a smooth surface.

    Parameters
    ----------
    values
        The measure, shape (n_lsoas,), without missing values.
    easting_m, northing_m
        Where LSOAs are, shape (n_lsoas,), in metres (EPSG:27700).
    n_neighbours
        Nearest LSOAs that count as neighbours, with the same weight.

    Raises
    ------
    ScienceError
        If there are fewer than 20 LSOAs, the measure does not vary, or a place is missing.
    """
    from esda import Moran
    from libpysal.graph import Graph

    known, places, rows = in_order(values, easting_m, northing_m)
    near = _nearest(places[rows], n_neighbours)
    focal = np.repeat(np.arange(len(rows)), near.shape[1])
    weights = np.full(len(focal), 1 / near.shape[1])
    graph = Graph.from_arrays(focal, near.ravel(), weights)
    return float(Moran(known[rows], graph, transformation="O", permutations=0).I)


def _standardised(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std())


def _parts(surfaces: Surfaces) -> Iterator[Surfaces]:
    for start in range(0, surfaces.shape[1], _DRAWS_AT_ONCE):
        yield surfaces[:, start : start + _DRAWS_AT_ONCE]


def _unit_columns(columns: npt.NDArray[np.floating]) -> Surfaces:
    """Centre columns and divide them by their length, in single precision; NaN where one never varies."""
    centred = (columns - columns.mean(axis=0, dtype=np.float64)).astype(np.float32)
    lengths = np.linalg.norm(centred, axis=0)
    # a constant column is not quite zero after centring
    lengths[np.ptp(columns, axis=0) == 0] = np.nan
    return np.asarray(centred / lengths, dtype=np.float32)


def _nearest(places: Array, n_neighbours: int) -> npt.NDArray[np.intp]:
    """Rows of the nearest other places, shape (n_lsoas, n_neighbours)."""
    from scipy.spatial import KDTree

    wanted = min(n_neighbours, len(places) - 1)
    near = KDTree(places).query(places, k=wanted + 1)[1]
    own = near == np.arange(len(places))[:, None]
    # where many share one place, a place need not be among its own nearest
    own[:, -1] |= ~own.any(axis=1)
    return np.asarray(near[~own].reshape(len(places), wanted))


@lru_cache(maxsize=1)
def _patterns(places: bytes, n_neighbours: int) -> Surfaces:
    """Moran eigenvectors of places from west to east: the same for every measure of the same LSOAs."""
    from scipy import linalg

    weights = _centred_weights(np.frombuffer(places).reshape(-1, 2), n_neighbours)
    return np.asarray(linalg.eigh(weights, overwrite_a=True)[1], dtype=np.float32)


def _centred_weights(places: Array, n_neighbours: int) -> Array:
    """Symmetrised weights of neighbours, doubly centred, with the constant pattern apart from all others."""
    near = _nearest(places, n_neighbours)
    weights = np.zeros((len(places), len(places)))
    weights[np.arange(len(places))[:, None], near] = 0.5
    weights += weights.T
    weights -= weights.mean(axis=0)
    weights -= weights.mean(axis=1)[:, None]
    # eigenvectors of eigenvalue 0 would mix with the constant: give that one an eigenvalue of its own
    return weights + 4.0 * near.shape[1] / len(places)
