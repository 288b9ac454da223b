"""Gaussian fields: how alike LSOAs are by the distance and direction between them; their likelihood, and draws.

Time and memory grow with the number of LSOAs, not with its square: each LSOA is taken given the nearest
of those before it in a random order (Vecchia's approximation).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.matrices import require_enough

if TYPE_CHECKING:
    from scipy import sparse

Array = npt.NDArray[np.floating]
Surfaces = npt.NDArray[np.float32]
Shape = Literal["exponential", "matern", "gaussian"]

SHAPES: tuple[Shape, ...] = ("exponential", "matern", "gaussian")

# distances are measured so that every shape falls to 1/e at the range
_MATERN_SCALE = 2.1461932206
_N_NEIGHBOURS_TO_DRAW = 30
# each layer is drawn given those before it, and is this share of them
_GROWTH = 0.2
_NEARLY_ALL = 0.9999


@dataclass(frozen=True)
class SpatialField:
    """A Gaussian process with a nugget.

    The correlation of two LSOAs `d` metres apart is ``smooth_share * exp(-d / range_m)`` if the shape is
    exponential. It falls to 1/e of the smooth share at the range in the other shapes too, which are
    smoother close by: a Matérn process of smoothness 3/2, and the Gaussian (squared exponential) one.

    Parameters
    ----------
    range_m
        Distance over which likeness falls to 1/e, in metres; the geometric mean over directions.
    smooth_share
        Share of the variance that neighbours have in common, at least 0 and less than 1; the rest is
        each LSOA's own.
    shape
        ``exponential``, ``matern`` or ``gaussian``.
    stretch
        How many times farther likeness reaches along `bearing_deg` than across it, at least 1.
    bearing_deg
        Direction in which likeness reaches farthest, in degrees clockwise from grid north.
    longest_range_m
        The longest range nearly as likely as `range_m`, with which fields are drawn; None for the range.
    """

    range_m: float
    smooth_share: float
    shape: Shape = "exponential"
    stretch: float = 1.0
    bearing_deg: float = 0.0
    longest_range_m: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a field."""
        if not (np.isfinite(self.range_m) and self.range_m > 0 and 0 <= self.smooth_share < 1 <= self.stretch):
            raise ScienceError(
                f"a field of range {self.range_m:g} m, smooth share {self.smooth_share:g} and stretch "
                f"{self.stretch:g} does not exist; the range must be above 0, the share at least 0 and below 1, "
                "the stretch at least 1"
            )

    def likeness(self, distance_m: Array) -> Array:
        """Correlation of different LSOAs by their distance in metres, measured as :meth:`flattened` does."""
        apart = distance_m / self.range_m
        if self.shape == "gaussian":
            return np.asarray(self.smooth_share * np.exp(-(apart**2)))
        if self.shape == "matern":
            return np.asarray(self.smooth_share * (1 + _MATERN_SCALE * apart) * np.exp(-_MATERN_SCALE * apart))
        return np.asarray(self.smooth_share * np.exp(-apart))

    def flattened(self, places: Array) -> Array:
        """Turn and squeeze places (n_lsoas, 2) so that likeness reaches as far in all directions."""
        bearing = np.deg2rad(self.bearing_deg)
        along = places @ np.array([np.sin(bearing), np.cos(bearing)])
        across = places @ np.array([np.cos(bearing), -np.sin(bearing)])
        return np.column_stack([along / np.sqrt(self.stretch), across * np.sqrt(self.stretch)])


class Layer(NamedTuple):
    """Places start to stop, each beside the nearest of those before start."""

    start: int
    stop: int
    neighbours: npt.NDArray[np.intp]


def draw_fields(
    field: SpatialField, places: Array, *, n_draws: int, rng: np.random.Generator, n_at_once: int
) -> Iterator[Surfaces]:
    """Draw fields of mean 0 and variance 1, some at once.

    Parameters
    ----------
    field
        What is drawn from, with its longest range.
    places
        Eastings and northings of LSOAs in metres, shape (n_lsoas, 2), in a random order.
    n_draws, n_at_once
        Fields in all, and most of them in one array.
    rng
        Source of the random numbers.

    Yields
    ------
    drawn
        Shape (n_lsoas, at most n_at_once).
    """
    field = replace(field, range_m=field.longest_range_m or field.range_m)
    flat = field.flattened(places)
    # the nugget is added at the end: without it, a few neighbours say nearly all that is to be known
    factors = _factors(layers_of(flat, _N_NEIGHBOURS_TO_DRAW), flat, replace(field, smooth_share=_NEARLY_ALL))
    smooth, own = np.sqrt(np.float32(field.smooth_share)), np.sqrt(np.float32(1 - field.smooth_share))
    for start in range(0, n_draws, n_at_once):
        shape = (len(places), min(n_at_once, n_draws - start))
        drawn = smooth * _draw(factors, shape, rng)
        yield drawn + own * rng.standard_normal(shape, dtype=np.float32)


def in_order(
    values: npt.ArrayLike, easting_m: npt.ArrayLike, northing_m: npt.ArrayLike
) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """Check values and places, and say which rows they are from west to east, whatever order they came in.

    Returns
    -------
    values, places
        Shapes (n_lsoas,) and (n_lsoas, 2), rows as given.
    rows
        From west to east; of LSOAs at one place, from the lowest value to the highest.

    Raises
    ------
    ScienceError
        If there are fewer than 20 LSOAs, the measure does not vary, or a value or place is missing.
    """
    known = np.asarray(values, dtype=np.float64)
    places = np.column_stack([np.asarray(easting_m, float), np.asarray(northing_m, float)])
    require_enough(len(known), "have a measure and a place")
    n_missing = int((~np.isfinite(known) | ~np.isfinite(places).all(axis=1)).sum())
    if n_missing:
        raise ScienceError(f"{n_missing} LSOAs lack a value or a place; leave them out before fitting a field")
    if np.ptp(known) == 0:
        raise ScienceError(f"the measure is {known[0]:g} in all {len(known)} LSOAs; a field needs it to vary")
    return known, places, np.lexsort((known, places[:, 1], places[:, 0]))


def layers_of(places: Array, n_neighbours: int) -> list[Layer]:
    """Part places, in the order they are taken, into layers that depend only on layers before them."""
    from scipy.spatial import KDTree

    layers = []
    start = 0
    while start < len(places):
        stop = min(len(places), start + max(1, int(_GROWTH * start)))
        near = np.empty((stop - start, 0), dtype=np.intp)
        if start:
            nearest = [*range(1, min(start, n_neighbours) + 1)]
            near = np.asarray(KDTree(places[:start]).query(places[start:stop], k=nearest)[1])
        layers.append(Layer(start, stop, near))
        start = stop
    return layers


def _conditional(layer: Layer, flat: Array, field: SpatialField) -> tuple[Array, Array]:
    """Weights of the neighbours (n, n_near) and the standard deviation that is left (n,)."""
    here, around = flat[layer.start : layer.stop, None], flat[layer.neighbours]
    among = field.likeness(_distances(around[:, :, None], around[:, None]))
    number = np.arange(among.shape[1])
    among[:, number, number] = 1.0
    towards = field.likeness(_distances(around, here))
    weights = np.linalg.solve(among, towards[:, :, None])[:, :, 0]
    return weights, np.sqrt(np.maximum(1 - (weights * towards).sum(axis=1), 1 - _NEARLY_ALL))


def _distances(here: Array, there: Array) -> Array:
    return np.asarray(np.sqrt((here[..., 0] - there[..., 0]) ** 2 + (here[..., 1] - there[..., 1]) ** 2))


def restricted_likelihood(scores: Array, flat: Array, layers: list[Layer], field: SpatialField) -> float:
    """Logarithm of Vecchia's restricted likelihood, mean and variance profiled out, up to a constant."""
    innovations, ones, spread = (np.empty(len(scores)) for _ in range(3))
    for layer in layers:
        weights, left = _conditional(layer, flat, field)
        here = slice(layer.start, layer.stop)
        innovations[here] = (scores[here] - (weights * scores[layer.neighbours]).sum(axis=1)) / left
        ones[here], spread[here] = (1 - weights.sum(axis=1)) / left, left
    mean = ones @ innovations / (ones @ ones)
    free = len(scores) - 1
    variance = np.sum((innovations - mean * ones) ** 2) / free
    return float(-np.log(spread).sum() - free / 2 * np.log(variance) - np.log(ones @ ones) / 2)


def _factors(
    layers: list[Layer], flat: Array, field: SpatialField
) -> list[tuple[slice, "sparse.csr_array", Surfaces]]:
    """Weights of each layer as a sparse matrix on the places before it, and what is left."""
    from scipy import sparse

    factors = []
    for layer in layers:
        weights, left = _conditional(layer, flat, field)
        ends = np.arange(len(weights) + 1) * weights.shape[1]
        matrix = sparse.csr_array(
            (weights.astype(np.float32).ravel(), layer.neighbours.ravel(), ends), shape=(len(weights), layer.start)
        )
        factors.append((slice(layer.start, layer.stop), matrix, left.astype(np.float32)[:, None]))
    return factors


def _draw(
    factors: list[tuple[slice, "sparse.csr_array", Surfaces]], shape: tuple[int, int], rng: np.random.Generator
) -> Surfaces:
    """Draw smooth fields layer by layer, each given those before it."""
    drawn = rng.standard_normal(shape, dtype=np.float32)
    for here, weights, left in factors:
        drawn[here] *= left
        drawn[here] += weights @ drawn[: here.start]
    return drawn
