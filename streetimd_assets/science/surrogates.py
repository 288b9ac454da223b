"""Random surfaces as smooth as a measure: what chance alone would show among neighbours who resemble each other.

LSOAs are not independent, so a test that takes them for independent finds too much. The measure is set
beside many surfaces that have nothing to do with the images and are as smooth as it is: drawn from a
Gaussian process fitted to it, or made from it by Moran spectral randomisation.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.matrices import require_enough

if TYPE_CHECKING:
    from scipy import sparse

Array = npt.NDArray[np.floating]
Surfaces = npt.NDArray[np.float32]

# a dense eigendecomposition takes minutes beyond, and grows with the third power
MOST_LSOAS_FOR_SPECTRUM = 4_000

_N_NEIGHBOURS = 20
# each layer draws on those before it, and is this share of them
_GROWTH = 0.2
# some nugget is always left: LSOAs at one place are alike, not the same
_MOST_SHARE = 0.995
_DRAWS_AT_ONCE = 500


@dataclass(frozen=True)
class SpatialField:
    """An exponential Gaussian process with a nugget: how alike LSOAs are by the distance between them.

    The correlation of two LSOAs `d` metres apart is ``smooth_share * exp(-d / range_m)``.

    Parameters
    ----------
    range_m
        Distance over which likeness falls to 1/e, in metres.
    smooth_share
        Share of the variance that neighbours have in common, at least 0 and less than 1; the rest is
        each LSOA's own.
    """

    range_m: float
    smooth_share: float

    def __post_init__(self) -> None:
        """Refuse what is not a field."""
        if not (np.isfinite(self.range_m) and self.range_m > 0 and 0 <= self.smooth_share < 1):
            raise ScienceError(
                f"a field of range {self.range_m:g} m and smooth share {self.smooth_share:g} does not exist; the "
                "range must be above 0, and the share at least 0 and below 1"
            )


class _Layer(NamedTuple):
    """Places start to stop, which are drawn given the nearest of those before start."""

    start: int
    stop: int
    neighbours: npt.NDArray[np.intp]
    to_neighbours: Array
    among_neighbours: Array


def fit_field(
    values: npt.ArrayLike, easting_m: npt.ArrayLike, northing_m: npt.ArrayLike, *, seed: int
) -> SpatialField:
    """Fit an exponential field with a nugget to the normal scores of a measure.

    By restricted maximum likelihood, so that the mean, which is estimated too, does not make the range
    too short. The likelihood is Vecchia's: each LSOA given the nearest of those before it in a random
    order, so time grows with the number of LSOAs and not with its third power.

    Parameters
    ----------
    values
        The measure, shape (n_lsoas,), without missing values.
    easting_m, northing_m
        Where LSOAs are, shape (n_lsoas,), in metres (EPSG:27700).
    seed
        Of the order in which LSOAs are taken.

    Returns
    -------
    field
        The same whatever the order of the rows given.

    Raises
    ------
    ScienceError
        If there are fewer than 20 LSOAs, the measure does not vary, or a place is missing.

    References
    ----------
    Vecchia, A. V. (1988), Estimation and model identification for continuous spatial processes.
    https://doi.org/10.1111/j.2517-6161.1988.tb01729.x

    Guinness, J. (2018), Permutation and grouping methods for sharpening Gaussian process approximations.
    https://doi.org/10.1080/00401706.2018.1437476
    """
    from scipy import optimize

    known, places, rows = _in_order(values, easting_m, northing_m)
    order = np.random.default_rng(seed).permutation(len(rows))
    scores = _normal_scores(known[rows])[order]
    layers = _layers(places[rows][order])
    widest = float(np.hypot(*np.ptp(places, axis=0)))
    shortest = widest / np.sqrt(len(rows)) / 4

    def unlikely(parameters: Array) -> float:
        return -_restricted_likelihood(scores, layers, SpatialField(float(np.exp(parameters[0])), parameters[1]))

    limits = [(np.log(shortest), np.log(widest)), (0.0, _MOST_SHARE)]
    starts = [(log_range, 0.7) for log_range in np.linspace(*limits[0], 6)]
    first = min(starts, key=lambda start: unlikely(np.asarray(start)))
    found = optimize.minimize(
        unlikely, first, method="Nelder-Mead", bounds=limits, options={"xatol": 0.005, "fatol": 0.01}
    )
    return SpatialField(float(np.exp(found.x[0])), float(found.x[1]))


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
    field = field or fit_field(values, easting_m, northing_m, seed=seed)
    known, places, rows = _in_order(values, easting_m, northing_m)
    rng = np.random.default_rng(seed)
    order = rows[rng.permutation(len(rows))]
    factors = _factors(_layers(places[order]), field)
    standardised = np.sort(_standardised(known)).astype(np.float32)
    surfaces = np.empty((len(known), n_draws), dtype=np.float32)
    for start in range(0, n_draws, _DRAWS_AT_ONCE):
        drawn = _draw(factors, (len(known), min(_DRAWS_AT_ONCE, n_draws - start)), rng)
        for column in range(drawn.shape[1]):
            # ranks of the draw, values of the measure
            surfaces[order[np.argsort(drawn[:, column])], start + column] = standardised
    return surfaces


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
    from scipy import linalg

    known, places, rows = _in_order(values, easting_m, northing_m)
    if len(rows) > MOST_LSOAS_FOR_SPECTRUM:
        return None
    patterns = linalg.eigh(_centred_weights(places[rows], n_neighbours), overwrite_a=True)[1]
    shares = patterns.T @ _standardised(known)[rows]
    rng = np.random.default_rng(seed)
    surfaces = np.empty((len(rows), n_draws), dtype=np.float32)
    for start in range(0, n_draws, _DRAWS_AT_ONCE):
        signs = rng.choice([-1.0, 1.0], size=(len(rows), min(_DRAWS_AT_ONCE, n_draws - start)))
        surfaces[rows, start : start + signs.shape[1]] = patterns @ (signs * shares[:, None])
    return surfaces


def surrogate_p_values(
    vectors: npt.ArrayLike, values: npt.ArrayLike, surfaces: Surfaces
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
        Of :func:`surrogate_surfaces` or :func:`spectral_surfaces`, shape (n_lsoas, n_draws).

    Returns
    -------
    p_values
        Shape (n_columns,); NaN for a column that never varies.
    """
    columns = np.asarray(vectors)
    still = np.ptp(columns, axis=0) == 0
    unit = _unit_columns(columns, still)
    measure = _standardised(np.asarray(values, dtype=np.float64)).astype(np.float32)
    # single precision must not part a surface that equals the measure from it
    reached = np.abs(unit.T @ measure) * (1 - 1e-5)
    n_as_large = np.zeros(columns.shape[1])
    for start in range(0, surfaces.shape[1], _DRAWS_AT_ONCE):
        drawn = np.abs(unit.T @ surfaces[:, start : start + _DRAWS_AT_ONCE])
        n_as_large += (drawn >= reached[:, None]).sum(axis=1)
    return np.where(still, np.nan, (1 + n_as_large) / (surfaces.shape[1] + 1))


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

    known, places, rows = _in_order(values, easting_m, northing_m)
    near = _nearest(places[rows], n_neighbours)
    focal = np.repeat(np.arange(len(rows)), near.shape[1])
    weights = np.full(len(focal), 1 / near.shape[1])
    graph = Graph.from_arrays(focal, near.ravel(), weights)
    return float(Moran(known[rows], graph, transformation="O", permutations=0).I)


def _in_order(
    values: npt.ArrayLike, easting_m: npt.ArrayLike, northing_m: npt.ArrayLike
) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """Return values, places (n_lsoas, 2), and the rows from west to east, whatever order they came in."""
    known = np.asarray(values, dtype=np.float64)
    places = np.column_stack([np.asarray(easting_m, float), np.asarray(northing_m, float)])
    require_enough(len(known), "have a measure and a place")
    if not (np.isfinite(known).all() and np.isfinite(places).all()):
        n_missing = int((~np.isfinite(known) | ~np.isfinite(places).all(axis=1)).sum())
        raise ScienceError(f"{n_missing} LSOAs lack a value or a place; leave them out before drawing surfaces")
    if np.ptp(known) == 0:
        raise ScienceError(f"the measure is {known[0]:g} in all {len(known)} LSOAs; a surface needs it to vary")
    # of LSOAs at one place the order is that of their values
    return known, places, np.lexsort((known, places[:, 1], places[:, 0]))


def _standardised(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std())


def _normal_scores(values: Array) -> Array:
    """Replace values by the normal quantiles of their ranks."""
    from scipy import stats

    return np.asarray(stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values)))


def _unit_columns(columns: npt.NDArray[np.generic], still: npt.NDArray[np.bool_]) -> Surfaces:
    """Centre columns and divide them by their length, in single precision."""
    centred = (columns - columns.mean(axis=0, dtype=np.float64)).astype(np.float32)
    return np.asarray(centred / np.where(still, 1, np.linalg.norm(centred, axis=0)), dtype=np.float32)


def _nearest(places: Array, n_neighbours: int) -> npt.NDArray[np.intp]:
    """Rows of the nearest other places, shape (n_lsoas, n_neighbours)."""
    from scipy.spatial import KDTree

    wanted = min(n_neighbours, len(places) - 1)
    near = KDTree(places).query(places, k=wanted + 1)[1]
    own = near == np.arange(len(places))[:, None]
    # where many share one place, a place need not be among its own nearest
    own[:, -1] |= ~own.any(axis=1)
    return np.asarray(near[~own].reshape(len(places), wanted))


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


def _layers(places: Array) -> list[_Layer]:
    """Part places, in the order they are drawn, into layers that depend only on layers before them."""
    from scipy.spatial import KDTree

    layers = []
    start = 0
    while start < len(places):
        stop = min(len(places), start + max(1, int(_GROWTH * start)))
        n_near = min(start, _N_NEIGHBOURS)
        near = np.empty((stop - start, 0), dtype=np.intp)
        if n_near:
            near = KDTree(places[:start]).query(places[start:stop], k=[*range(1, n_near + 1)])[1]
        around = places[near]
        to_neighbours = np.linalg.norm(around - places[start:stop, None], axis=2)
        among = np.linalg.norm(around[:, :, None] - around[:, None], axis=3)
        layers.append(_Layer(start, stop, near, to_neighbours, among))
        start = stop
    return layers


def _conditional(layer: _Layer, field: SpatialField) -> tuple[Array, Array]:
    """Weights of the neighbours (n, n_near) and the standard deviation that is left (n,)."""
    among = field.smooth_share * np.exp(-layer.among_neighbours / field.range_m)
    number = np.arange(among.shape[1])
    among[:, number, number] = 1.0
    towards = field.smooth_share * np.exp(-layer.to_neighbours / field.range_m)
    weights = np.linalg.solve(among, towards[:, :, None])[:, :, 0]
    return weights, np.sqrt(1 - (weights * towards).sum(axis=1))


def _restricted_likelihood(scores: Array, layers: list[_Layer], field: SpatialField) -> float:
    """Logarithm of Vecchia's restricted likelihood, mean and variance profiled out, up to a constant."""
    innovations, ones, spread = (np.empty(len(scores)) for _ in range(3))
    for layer in layers:
        weights, left = _conditional(layer, field)
        here = slice(layer.start, layer.stop)
        innovations[here] = (scores[here] - (weights * scores[layer.neighbours]).sum(axis=1)) / left
        ones[here], spread[here] = (1 - weights.sum(axis=1)) / left, left
    mean = ones @ innovations / (ones @ ones)
    variance = np.sum((innovations - mean * ones) ** 2) / (len(scores) - 1)
    return float(-np.log(spread).sum() - (len(scores) - 1) / 2 * np.log(variance) - np.log(ones @ ones) / 2)


def _factors(layers: list[_Layer], field: SpatialField) -> list[tuple[slice, "sparse.csr_array", Surfaces]]:
    """Weights of each layer as a sparse matrix on the places before it, and what is left."""
    from scipy import sparse

    factors = []
    for layer in layers:
        weights, left = _conditional(layer, field)
        ends = np.arange(len(weights) + 1) * weights.shape[1]
        matrix = sparse.csr_array(
            (weights.astype(np.float32).ravel(), layer.neighbours.ravel(), ends), shape=(len(weights), layer.start)
        )
        factors.append((slice(layer.start, layer.stop), matrix, left.astype(np.float32)[:, None]))
    return factors


def _draw(
    factors: list[tuple[slice, "sparse.csr_array", Surfaces]], shape: tuple[int, int], rng: np.random.Generator
) -> Surfaces:
    """Draw fields layer by layer, each given those before it."""
    drawn = rng.standard_normal(shape, dtype=np.float32)
    for here, weights, left in factors:
        drawn[here] *= left
        drawn[here] += weights @ drawn[: here.start]
    return drawn
