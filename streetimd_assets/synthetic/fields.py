"""Random surfaces that are functions of place and seed, so that neighbouring partitions agree."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streetimd_assets.synthetic.chance import fraction, normal

Values = npt.NDArray[np.float64]

_N_WAVES = 160
SURFACE_LENGTH_M = 450.0
# share of a surface's variance that neighbours have in common; the rest is each LSOA's own.
# with LSOAs some 300 m apart it gives a Moran's I of about .5
SMOOTH_SHARE = 0.72


def smooth_field(
    easting_m: npt.ArrayLike, northing_m: npt.ArrayLike, *, length_m: float, key: Sequence[object]
) -> Values:
    """Evaluate a smooth Gaussian surface of mean 0 and variance 1.

    The surface is a sum of plane waves whose wave numbers are drawn from the spectrum of a
    squared-exponential covariance [1]_: it needs no grid and no list of places, only the place asked.

    Parameters
    ----------
    easting_m, northing_m
        Places, EPSG:27700, shape (n,).
    length_m
        Distance over which the surface stays alike: covariance exp(-d² / 2 length²), metres.
    key
        Names the surface, seed included.

    Returns
    -------
    values
        Shape (n,).

    References
    ----------
    .. [1] Rahimi and Recht (2007), Random features for large-scale kernel machines, equation 1.
    """
    places = np.column_stack([np.atleast_1d(easting_m), np.atleast_1d(northing_m)]).astype(float)
    waves = [
        (normal(*key, "east", i), normal(*key, "north", i), fraction(*key, "phase", i)) for i in range(_N_WAVES)
    ]
    east, north, phase = np.array(waves).T
    angles = places @ np.stack([east, north]) / length_m + 2 * math.pi * phase
    return np.asarray(np.cos(angles).sum(axis=1) * math.sqrt(2 / _N_WAVES))


def neighbourhood_surface(
    easting_m: npt.ArrayLike, northing_m: npt.ArrayLike, lsoa_codes: Sequence[str], *, key: Sequence[object]
) -> Values:
    """Evaluate a surface that is partly smooth and partly each LSOA's own.

    Parameters
    ----------
    easting_m, northing_m
        A place within each LSOA, EPSG:27700, shape (n,).
    lsoa_codes
        Codes of the LSOAs, n of them.
    key
        Names the surface, seed included.

    Returns
    -------
    values
        Mean 0 and variance 1 over all surfaces so made, shape (n,); among urban LSOAs Moran's I is
        about .5.
    """
    smooth = smooth_field(easting_m, northing_m, length_m=SURFACE_LENGTH_M, key=(*key, "smooth"))
    own = np.array([normal(*key, "own", code) for code in lsoa_codes])
    return np.asarray(math.sqrt(SMOOTH_SHARE) * smooth + math.sqrt(1 - SMOOTH_SHARE) * own)
