"""What the streets of an LSOA show: visible deprivation, scene classes and disrepair."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from streetimd_assets.synthetic.chance import fraction, normal
from streetimd_assets.synthetic.fields import Values, neighbourhood_surface

World = Literal["signal", "null_spatial", "null_iid"]

# scene class: its share where visible deprivation is middling, and how its log odds grow with it
_CLASS_MIX = {
    "terraced_houses": (0.25, 0.4),
    "detached_houses": (0.16, -2.6),
    "tower_flats": (0.10, 1.8),
    "shops": (0.13, 0.2),
    "industrial": (0.07, 1.5),
    "park": (0.12, -1.7),
    "main_road": (0.11, 0.1),
    "derelict_land": (0.06, 2.1),
}
OUTDOOR_CLASSES = tuple(_CLASS_MIX)
INDOOR_CLASS = "interior"

# with these, a reader who makes no mistake explains about .7 of deprivation from 18 images an LSOA
_LSOA_NOISE = 0.15
_PLACE_NOISE = 0.18
_VIEW_NOISE = 0.12


def visible_deprivation(
    world: World,
    deprivation: Values,
    easting_m: Values,
    northing_m: Values,
    lsoa_codes: Sequence[str],
    *,
    seed: int,
) -> Values:
    """Decide how deprived each LSOA looks.

    Parameters
    ----------
    world
        ``signal``: as deprived as it is. ``null_spatial``: as an unrelated surface of the same
        autocorrelation says. ``null_iid``: as chance says, for each LSOA alone.
    deprivation
        0 least to 1 most deprived, shape (n,).
    easting_m, northing_m
        A place within each LSOA, EPSG:27700, shape (n,).
    lsoa_codes
        Codes of the LSOAs, n of them.
    seed
        Fixes surface and noise.

    Returns
    -------
    visible
        Deprivation or its stand-in, uniform on 0 to 1, plus noise of the LSOA's own, which no image
        can see through; so it may lie a little beyond 0 and 1. Shape (n,).
    """
    if world == "signal":
        followed = deprivation
    elif world == "null_spatial":
        surface = neighbourhood_surface(easting_m, northing_m, lsoa_codes, key=("scenes", seed))
        followed = np.array([NormalDist().cdf(value) for value in surface])
    else:
        followed = np.array([fraction("scenes", seed, code) for code in lsoa_codes])
    noise = [normal("visible", world, seed, code) for code in lsoa_codes]
    return np.asarray(followed + _LSOA_NOISE * np.array(noise))


def class_probabilities(visible: npt.ArrayLike) -> Values:
    """Share the outdoor scene classes by softmax of ``a_c + b_c * visible``.

    Parameters
    ----------
    visible
        Visible deprivation, shape (n,).

    Returns
    -------
    probabilities
        In the order of `OUTDOOR_CLASSES`, shape (n, 8); each row sums to one.
    """
    share, slope = np.array(list(_CLASS_MIX.values())).T
    logits = np.log(share) + slope * (np.atleast_1d(visible)[:, None] - 0.5)
    odds = np.exp(logits)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def draw_class(probabilities: Values, *key: object) -> str:
    """Draw the scene class of one view from probabilities in the order of `OUTDOOR_CLASSES`."""
    position = int(np.searchsorted(np.cumsum(probabilities)[:-1], fraction(*key, "class"), side="right"))
    return OUTDOOR_CLASSES[position]


def draw_disrepair(visible: float, place_key: tuple[object, ...], heading: str) -> float:
    """Draw the disrepair of one view, 0 to 1: as visible deprivation, the place and the view have it."""
    of_place = _PLACE_NOISE * normal(*place_key, "disrepair")
    of_view = _VIEW_NOISE * normal(*place_key, heading, "disrepair")
    return min(1.0, max(0.0, 0.14 + 0.72 * float(visible) + of_place + of_view))
