"""Worlds of numbers only, whose answers are known: features of LSOAs without a picture painted.

A world gives an estimator what a study would give it, and beside that the truth. Hundreds of them are
drawn to see how often a method finds what is not there, and how much it finds of what is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import DOMAINS, STATISTICS
from streetimd_assets.synthetic.chance import whole_number
from streetimd_assets.synthetic.covariances import Covariance, Shape, Values
from streetimd_assets.synthetic.deprivation import combine_domains, domain_surfaces

Vectors = npt.NDArray[np.float32]
Kind = Literal["signal", "null_iid", "null_spatial", "two_cities"]
Field = Literal["exponential", "other"]
ImageCounts = Literal["even", "uneven"]

CATEGORIES = ("terraced", "shops", "park")
# LSOAs of a large town are some 850 m apart
SPACING_M, JITTER_M = 850.0, 260.0
CENTRE_M = (400_000.0, 400_000.0)
CITIES_APART_M = 100_000.0
# of deprivation, the share of variance that streets show
VISIBLE_SHARE = 0.77
# in units of an embedding of length 1: spread of LSOA means, of what grows with deprivation, of images
PLACE_SD, SIGNAL_SD, IMAGE_SD = 0.20, 0.06, 0.02
MEAN_LENGTH, CITY_SHIFT = 0.8, 0.3
CITY_GAP = 1.0
# the lengths at which they give the Moran's I of an exponential field of 3 km
OTHER_LENGTHS_M: dict[Shape, float] = {"matern": 2500, "squared_exponential": 1900, "rational_quadratic": 1900}
OTHER_SHAPES = tuple(OTHER_LENGTHS_M)
N_IMAGES, FEWEST_IMAGES, MOST_IMAGES = 20, 1, 60


@dataclass(frozen=True, eq=False)
class Truth:
    """What no estimator may see.

    Parameters
    ----------
    embeddings
        Mean embedding of each LSOA if it had endless images, shape (n_lsoas, n_dimensions).
    direction
        Direction of unit length in which embeddings grow with deprivation, shape (n_dimensions,); None
        where they do not.
    visible
        How deprived the streets look, mean 0 and variance 1 over worlds, shape (n_lsoas,).
    image_sd
        Standard deviation of one image around its LSOA, in each dimension.
    city
        0, or 1 in the second of two cities, shape (n_lsoas,).
    deprivation_covariance, embedding_covariance
        Of the surfaces drawn; None where the LSOAs' embeddings are independent.
    """

    embeddings: Vectors
    direction: Values | None
    visible: Values
    image_sd: float
    city: npt.NDArray[np.intp]
    deprivation_covariance: Covariance
    embedding_covariance: Covariance | None


@dataclass(frozen=True, eq=False)
class NumberWorld:
    """A world of numbers: what estimators see, and the truth.

    Parameters
    ----------
    kind
        What is true in it.
    features
        Rows of ``lsoa_features``, without embeddings per category.
    deprivation
        Rows of ``deprivation_indices``; ranks are within the world.
    coordinates
        ``lsoa_code``, ``lad_code``, ``easting_m`` and ``northing_m`` (EPSG:27700).
    truth
        For the one who judges.
    """

    kind: Kind
    features: pd.DataFrame
    deprivation: pd.DataFrame
    coordinates: pd.DataFrame
    truth: Truth

    @property
    def shares(self) -> tuple[str, ...]:
        """Columns of category shares."""
        return tuple(f"{name}_share" for name in CATEGORIES)


def number_world(
    kind: Kind,
    *,
    n_lsoas: int = 1700,
    n_dimensions: int = 512,
    n_local_authorities: int = 10,
    field: Field = "exponential",
    image_counts: ImageCounts = "even",
    statistics: Sequence[str] = STATISTICS,
    seed: int,
) -> NumberWorld:
    """Draw a world of numbers.

    Deprivation is a surface with a Moran's I of about .5. Embeddings vary in a few directions much and in
    most a little, each a surface of its own. Category shares know nothing of deprivation in any world.

    Parameters
    ----------
    kind
        ``signal``: embeddings also grow with what streets show of deprivation, in one direction.
        ``null_spatial``: smooth embeddings that have nothing to do with deprivation. ``null_iid``: those of
        LSOAs are independent too. ``two_cities``: ``signal`` in two distant cities, the second more deprived
        and all of it of another look, for a naive model to learn instead.
    n_lsoas, n_dimensions
        Size of the world.
    n_local_authorities
        Each holds about as many LSOAs, which adjoin.
    field
        Surfaces of exponential covariance, or ``other``, which no surrogate assumes: Matérn, squared
        exponential or rational quadratic, three times as long one way as the other, and longer at the edge
        of the town than in its middle.
    image_counts
        ``even``: 20 images of each LSOA; ``uneven``: from 1 to 60, many LSOAs with few.
    statistics
        How images are pooled into columns: mean, median and max.
    seed
        Of everything drawn.

    Raises
    ------
    ScienceError
        If the kind, the field or the image counts are not among those above.
    """
    for value, known in ((kind, Kind), (field, Field), (image_counts, ImageCounts)):
        if value not in get_args(known):
            raise ScienceError(f"'{value}' is not known of a number world; use {', '.join(get_args(known))}")
    coordinates, city = _town(n_lsoas, n_local_authorities, 2 if kind == "two_cities" else 1, seed)
    of_deprivation = _covariance(field, "deprivation", seed)
    of_embeddings = None if kind == "null_iid" else _covariance(field, "embeddings", seed)
    deprivation, visible = _deprivation(coordinates, city, of_deprivation, seed)
    embeddings = _background(coordinates, of_embeddings, n_dimensions, seed)
    direction = None
    if kind in ("signal", "two_cities"):
        direction = _unit(_random("direction", seed).standard_normal(n_dimensions))
        embeddings += (SIGNAL_SD * np.outer(visible, direction)).astype(np.float32)
    look = CITY_SHIFT * _unit(_random("look", seed).standard_normal(n_dimensions))
    embeddings += np.outer(city, look).astype(np.float32)
    truth = Truth(embeddings, direction, visible, IMAGE_SD, city, of_deprivation, of_embeddings)
    features = _features(coordinates, embeddings, image_counts, statistics, seed)
    return NumberWorld(kind, features, deprivation, coordinates, truth)


def _town(n_lsoas: int, n_groups: int, n_cities: int, seed: int) -> tuple[pd.DataFrame, npt.NDArray[np.intp]]:
    """Lay out LSOAs in local authorities, by code; a city has its own local authorities."""
    rows, groups = (np.array_split(np.arange(n), n_cities) for n in (n_lsoas, n_groups))
    town = np.concatenate([_city(number, len(rows[number]), groups[number], seed) for number in range(n_cities)])
    # within a local authority from north to south, as real codes more or less go
    town = town[np.lexsort((-town[:, 1], town[:, 2]))]
    coordinates = pd.DataFrame(
        {
            "lsoa_code": [f"Z01{number:06d}" for number in range(1, n_lsoas + 1)],
            "lad_code": [f"Z06{int(group) + 1:06d}" for group in town[:, 2]],
            "easting_m": town[:, 0],
            "northing_m": town[:, 1],
        }
    )
    return coordinates, town[:, 3].astype(np.intp)


def _city(number: int, n: int, groups: npt.NDArray[np.intp], seed: int) -> Values:
    """Easting, northing, local authority and city of each of n LSOAs."""
    places = _scatter(n, seed, number)
    owner = np.empty(n, dtype=int)
    _share_out(places, np.arange(n), list(groups), owner)
    return np.column_stack([places + np.array([number * CITIES_APART_M, 0]), owner, np.full(n, number)])


def _scatter(n: int, seed: int, city: int) -> Values:
    """Scatter places on a shaken hexagonal grid, in the outline of a town that is longer than broad."""
    rng = _random("places", seed, city)
    steps = np.arange(-math.ceil(math.sqrt(n)), math.ceil(math.sqrt(n)) + 1)
    column, row = (part.ravel() for part in np.meshgrid(steps, steps))
    grid = SPACING_M * np.column_stack([column + row % 2 / 2, row * math.sqrt(0.75)])
    grid += rng.uniform(-JITTER_M, JITTER_M, grid.shape)
    angle = np.arctan2(grid[:, 1], grid[:, 0])
    bulge = 1 + 0.15 * np.cos(2 * angle) + 0.1 * np.cos(3 * angle + rng.uniform(0, 2 * math.pi))
    return grid[np.argsort(np.hypot(*grid.T) / bulge)[:n]] + np.array(CENTRE_M)


def _share_out(places: Values, rows: npt.NDArray[np.intp], groups: list[int], owner: npt.NDArray[np.int_]) -> None:
    """Divide rows among groups by straight cuts, the longer way first."""
    if len(groups) == 1:
        owner[rows] = groups[0]
        return
    half = len(groups) // 2
    along = rows[np.argsort(places[rows, int(np.argmax(np.ptp(places[rows], axis=0)))])]
    n_first = round(len(rows) * half / len(groups))
    _share_out(places, along[:n_first], groups[:half], owner)
    _share_out(places, along[n_first:], groups[half:], owner)


def _covariance(field: Field, what: str, seed: int) -> Covariance:
    """Draw a covariance for which Moran's I is about .5, whatever its shape."""
    rng = _random("covariance", what, seed)
    nugget = float(rng.uniform(0.2, 0.3))
    if field == "exponential":
        return Covariance("exponential", float(rng.uniform(2500, 3500)), nugget)
    shape = OTHER_SHAPES[int(rng.integers(len(OTHER_SHAPES)))]
    length_m = OTHER_LENGTHS_M[shape] * float(rng.uniform(0.85, 1.15))
    return Covariance(shape, length_m, nugget, stretch=3.0, bearing_deg=float(rng.uniform(0, 180)), bend=0.65)


def _deprivation(
    coordinates: pd.DataFrame, city: npt.NDArray[np.intp], covariance: Covariance, seed: int
) -> tuple[pd.DataFrame, Values]:
    """Draw deprivation, and the part of it that streets show, shape (n_lsoas,)."""
    shape = (len(coordinates), 2 + len(DOMAINS))
    drawn = _random("deprivation", seed).standard_normal(shape, dtype=np.float32)
    # two surfaces drawn over a city have a mean by chance: the gap between cities is to be what it says
    surfaces = _centred_in_cities(covariance.factor(_places(coordinates)) @ drawn, city)
    visible, hidden, *own = surfaces.T.astype(float)
    latent = math.sqrt(VISIBLE_SHARE) * visible + math.sqrt(1 - VISIBLE_SHARE) * hidden + CITY_GAP * city
    return combine_domains(coordinates, domain_surfaces(latent, dict(zip(DOMAINS, own, strict=True)))), visible


def _centred_in_cities(surfaces: Vectors, city: npt.NDArray[np.intp]) -> Vectors:
    """Take the mean of each of two cities from surfaces; one city stays as it was drawn."""
    if not city.any():
        return surfaces
    means = np.stack([surfaces[city == number].mean(axis=0) for number in (0, 1)])
    return np.asarray(surfaces - means[city])


def _background(coordinates: pd.DataFrame, covariance: Covariance | None, n_dimensions: int, seed: int) -> Vectors:
    """Embeddings that know nothing of deprivation: few directions vary much, most a little."""
    rng = _random("embeddings", seed)
    drawn = rng.standard_normal((len(coordinates), n_dimensions), dtype=np.float32)
    surfaces = drawn if covariance is None else covariance.factor(_places(coordinates)) @ drawn
    variances = (np.arange(n_dimensions) + 5.0) ** -1.5
    spread = PLACE_SD * np.sqrt(variances / variances.sum())
    directions = np.linalg.qr(rng.standard_normal((n_dimensions, n_dimensions)))[0]
    middle = MEAN_LENGTH * _unit(rng.standard_normal(n_dimensions))
    return np.asarray(middle + surfaces @ (spread[:, None] * directions).astype(np.float32), dtype=np.float32)


def _places(coordinates: pd.DataFrame) -> Values:
    return coordinates[["easting_m", "northing_m"]].to_numpy(float)


def _features(
    coordinates: pd.DataFrame, embeddings: Vectors, image_counts: ImageCounts, statistics: Sequence[str], seed: int
) -> pd.DataFrame:
    """Look at each LSOA through its images."""
    n_lsoas = len(coordinates)
    n_images = _image_counts(n_lsoas, image_counts, seed)
    features = coordinates[["lsoa_code", "lad_code"]].assign(
        n_points=-(-n_images // 4), n_panoramas=-(-n_images // 4), n_images=n_images, n_images_kept=n_images
    )
    rng = _random("shares", seed)
    chances = rng.dirichlet(np.full(len(CATEGORIES), 2.0), n_lsoas)
    counted = rng.multinomial(n_images, chances)
    features["rejected_share"] = 0.0
    for place, name in enumerate(CATEGORIES):
        features[f"{name}_share"] = counted[:, place] / n_images
    features["category_set_hash"], features["encoder"] = "numbers", "numbers"
    for name, vectors in _pooled(embeddings, n_images, statistics, seed).items():
        features[f"{name}_embedding"] = pd.Series(list(vectors), dtype=object)
    return features


def _image_counts(n_lsoas: int, image_counts: ImageCounts, seed: int) -> npt.NDArray[np.int_]:
    if image_counts == "even":
        return np.full(n_lsoas, N_IMAGES)
    drawn = np.exp(_random("counts", seed).normal(math.log(9), 0.9, n_lsoas))
    return np.clip(np.round(drawn), FEWEST_IMAGES, MOST_IMAGES).astype(int)


def _pooled(
    embeddings: Vectors, n_images: npt.NDArray[np.int_], statistics: Sequence[str], seed: int
) -> dict[str, Vectors]:
    """Draw the images of each LSOA and pool them, dimension by dimension."""
    rng = _random("images", seed)
    pooling: dict[str, Callable[..., Vectors]] = {"mean": np.mean, "median": np.median, "max": np.max}
    pooled: dict[str, Vectors] = {name: np.empty_like(embeddings) for name in statistics}
    for row, n in enumerate(n_images):
        images = embeddings[row] + IMAGE_SD * rng.standard_normal((n, embeddings.shape[1]), dtype=np.float32)
        for name in statistics:
            pooled[name][row] = pooling[name](images, axis=0)
    return pooled


def _random(*key: object) -> np.random.Generator:
    """Numbers of one part of the world: what one part draws disturbs no other."""
    return np.random.default_rng(whole_number("number world", *key, below=2**53))


def _unit(vector: Values) -> Values:
    return np.asarray(vector / np.linalg.norm(vector))
