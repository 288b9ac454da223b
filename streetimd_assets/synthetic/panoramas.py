"""Where painted panoramas stand, when they were taken, and what is wrong with some of them."""

import math
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from streetimd_assets.study.imagery import Faults
from streetimd_assets.synthetic.chance import fraction, uniform, whole_number

Decimetres = npt.NDArray[np.int64]
Key = tuple[object, ...]

_FIRST_DAY, _LAST_DAY = date(2015, 1, 1), date(2025, 6, 30)
_DISPLACED_M = (20.0, 47.0)
# a shared panorama stands nearer to the one point than to the other, yet within 50 m of both
_FURTHEST_NEIGHBOUR_M, _SHARED_AT = 85.0, 0.45
_BORDER_CLEARANCE_M, _STEP_ASIDE_M = 0.5, 2.0


def stand_panoramas(
    points_dm: Decimetres, faults: Faults, borders: shapely.STRtree, *, key: Key
) -> tuple[Decimetres, npt.NDArray[np.bool_]]:
    """Decide where the panorama of each point stands, and which points have none.

    Missing, shared and displaced panoramas are drawn by place, in this order: a point has at most
    one of these faults. The neighbour of a shared panorama is sought among the points given.

    Parameters
    ----------
    points_dm
        Easting and northing of the points, EPSG:27700, decimetres, shape (n, 2).
    faults
        Shares of points at fault.
    borders
        Outlines of the LSOAs. No panorama stands within half a metre of one: it would be for
        rounding to say whose it is.
    key
        World and seed.

    Returns
    -------
    places_dm
        Easting and northing of the panoramas, decimetres, shape (n, 2).
    has_imagery
        False where there is none, shape (n,).
    """
    missing = _befalls("missing", faults.missing_share, points_dm, key)
    shared = _befalls("shared", faults.shared_share, points_dm, key) & ~missing
    displaced = _befalls("displaced", faults.displaced_share, points_dm, key) & ~missing & ~shared
    places = points_dm.astype(float)
    for i in np.flatnonzero(displaced).tolist():
        places[i] += _step(10 * uniform(*_DISPLACED_M, *key, "distance", *points_dm[i]), key, points_dm[i])
    for i, j in _neighbours(points_dm, shared, ~(missing | shared | displaced)):
        places[i] = places[j] = points_dm[j] + _SHARED_AT * (points_dm[i] - points_dm[j])
    return _clear_of_borders(np.round(places).astype(np.int64), borders, key), ~missing


def captured_on(place_dm: tuple[int, int], *, key: Key) -> date:
    """Draw the day a panorama was taken, from 2015 to 2025."""
    n_days = (_LAST_DAY - _FIRST_DAY).days + 1
    return _FIRST_DAY + timedelta(days=whole_number(*key, "captured", *place_dm, below=n_days))


def is_indoor(place_dm: tuple[int, int], faults: Faults, *, key: Key) -> bool:
    """Say whether a panorama was taken indoors."""
    return fraction(*key, "indoor", *place_dm) < faults.indoor_share


def image_fault(place_dm: tuple[int, int], heading: str, faults: Faults, *, key: Key) -> str | None:
    """Say what is wrong with one image: ``blank``, ``truncated`` or nothing."""
    chance = fraction(*key, "image", *place_dm, heading)
    if chance < faults.blank_share:
        return "blank"
    return "truncated" if chance < faults.blank_share + faults.truncated_share else None


def _befalls(fault: str, share: float, points_dm: Decimetres, key: Key) -> npt.NDArray[np.bool_]:
    return np.array([fraction(*key, fault, *point) < share for point in points_dm], dtype=bool)


def _step(length: float, key: Key, place: Decimetres, *more: object) -> npt.NDArray[np.float64]:
    """A step of that length in a direction drawn for the place."""
    angle = 2 * math.pi * fraction(*key, "direction", *place, *more)
    return np.array([length * math.sin(angle), length * math.cos(angle)])


def _neighbours(
    points_dm: Decimetres, shared: npt.NDArray[np.bool_], sound: npt.NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Pair each point that shares with the nearest sound point nobody shares with yet."""
    candidates = np.flatnonzero(sound)
    if not len(candidates):
        return []
    tree = cKDTree(points_dm[candidates])
    taken: set[int] = set()
    pairs = []
    # in the order of place, so that the order of rows decides nothing
    for i in sorted(np.flatnonzero(shared), key=lambda i: tuple(points_dm[i])):
        near = tree.query_ball_point(points_dm[i], 10 * _FURTHEST_NEIGHBOUR_M)
        free = [int(candidates[n]) for n in near if int(candidates[n]) not in taken]
        if free:
            j = min(free, key=lambda j: (math.dist(points_dm[i], points_dm[j]), *points_dm[j]))
            taken.add(j)
            pairs.append((int(i), j))
    return pairs


def _clear_of_borders(places_dm: Decimetres, borders: shapely.STRtree, key: Key) -> Decimetres:
    """Move panoramas that stand on a border to one side, trying direction after direction."""
    cleared = places_dm.copy()
    for attempt in range(12):
        shapes = shapely.points(cleared / 10)
        near = np.unique(borders.query(shapes, predicate="dwithin", distance=_BORDER_CLEARANCE_M)[0])
        for i in near:
            aside = _step(10 * _STEP_ASIDE_M, key, places_dm[i], attempt)
            cleared[i] = np.round(places_dm[i] + aside).astype(np.int64)
        if not len(near):
            break
    return cleared
