"""Gaussian surfaces drawn exactly from a covariance, over a list of places.

`fields.py` evaluates a surface anywhere without a list; here the list is known, so the covariance may be
of any shape: rough or smooth, longer one way than the other.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Shape = Literal["exponential", "matern", "squared_exponential", "rational_quadratic"]


@dataclass(frozen=True)
class Covariance:
    """How alike two LSOAs are, by what lies between them; the variance is 1.

    Parameters
    ----------
    shape
        ``exponential``, ``matern`` (smoothness 3/2), ``squared_exponential`` or ``rational_quadratic`` (a
        mixture of lengths, with alpha 1) [1]_.
    length_m
        Distance over which a surface stays alike, metres: the geometric mean of that along and across.
    nugget_share
        Share of the variance that is each LSOA's own, 0 to 1.
    stretch
        How many times longer a surface stays alike along than across.
    bearing_deg
        Direction along, clockwise from north.
    bend
        1 for a surface alike equally far everywhere; below 1, less far in the middle of the places than at
        their edge: distances from the middle are raised to this power.

    References
    ----------
    .. [1] Rasmussen and Williams (2006), Gaussian processes for machine learning, equations 4.9, 4.17, 4.18
       and 4.19.
    """

    shape: Shape
    length_m: float
    nugget_share: float
    stretch: float = 1.0
    bearing_deg: float = 0.0
    bend: float = 1.0

    def between(self, places_m: Values) -> Values:
        """Covariance of every two places.

        Parameters
        ----------
        places_m
            Easting and northing, EPSG:27700, shape (n, 2).

        Returns
        -------
        covariance
            Shape (n, n).
        """
        from scipy.spatial.distance import cdist

        turned = self._turned(_bent(places_m, self.bend))
        smooth = _correlation(self.shape, cdist(turned, turned) / self.length_m)
        return (1 - self.nugget_share) * smooth + self.nugget_share * np.eye(len(places_m))

    def factor(self, places_m: Values) -> npt.NDArray[np.float32]:
        """Lower Cholesky factor, shape (n, n): times standard normal columns it gives surfaces.

        One factor serves for any number of surfaces. It takes time as the cube of the places.
        """
        # a squared exponential without a nugget is singular in floating point
        jitter = 1e-8 * np.eye(len(places_m))
        return np.linalg.cholesky(self.between(places_m) + jitter).astype(np.float32)

    def _turned(self, places_m: Values) -> Values:
        """Turn and stretch the plane so that the surface is alike equally far in every direction."""
        bearing = math.radians(self.bearing_deg)
        along = places_m @ np.array([math.sin(bearing), math.cos(bearing)])
        across = places_m @ np.array([math.cos(bearing), -math.sin(bearing)])
        return np.column_stack([along / math.sqrt(self.stretch), across * math.sqrt(self.stretch)])


def _bent(places_m: Values, power: float) -> Values:
    """Draw places apart from the middle of their extent, most near it; the farthest stays where it is."""
    offsets = places_m - (places_m.min(axis=0) + places_m.max(axis=0)) / 2
    share = np.hypot(*offsets.T) / np.hypot(*offsets.T).max()
    # the middle itself stays, whatever the power
    return offsets * np.power(share, power - 1, where=share > 0, out=np.ones_like(share))[:, None]


def _correlation(shape: Shape, lengths: Values) -> Values:
    if shape == "exponential":
        return np.asarray(np.exp(-lengths))
    if shape == "matern":
        scaled = math.sqrt(3) * lengths
        return np.asarray((1 + scaled) * np.exp(-scaled))
    if shape == "rational_quadratic":
        return np.asarray(1 / (1 + lengths**2 / 2))
    return np.asarray(np.exp(-(lengths**2) / 2))
