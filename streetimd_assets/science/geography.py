"""Where things are: geometry to and from tables, positions to and from the grid, LSOA by containment."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from pyproj import Geod, Transformer

BRITISH_NATIONAL_GRID = "EPSG:27700"
WGS_84 = "EPSG:4326"

Metres = npt.NDArray[np.float64]
Degrees = npt.NDArray[np.float64]
LsoaCodes = npt.NDArray[np.object_]

# a border belongs to the LSOA south-west of it: everything is asked a micrometre that way, so that a point
# on a border has one LSOA, and the same one from whichever local authority it is looked at; the slope is
# irrational lest the shift run along a border
_SHIFT_EAST_M, _SHIFT_NORTH_M = -1e-6, -1e-6 / np.pi


def as_geodataframe(table: pd.DataFrame) -> "GeoDataFrame":
    """Read the WKB column ``geometry`` of a table as geometry in EPSG:27700."""
    import geopandas as gpd

    geometry = gpd.GeoSeries.from_wkb(table["geometry"].map(bytes), index=table.index, crs=BRITISH_NATIONAL_GRID)
    return gpd.GeoDataFrame(table.drop(columns="geometry"), geometry=geometry)


def as_table(geodataframe: "GeoDataFrame") -> pd.DataFrame:
    """Write geometry in EPSG:27700 as a WKB column ``geometry`` of a plain table."""
    require_british_grid(geodataframe)
    table = pd.DataFrame(geodataframe.drop(columns="geometry"))
    return table.assign(geometry=geodataframe.geometry.to_wkb().to_numpy(dtype=object))


def require_british_grid(geodataframe: "GeoDataFrame") -> None:
    """Raise unless lengths of these geometries are metres on the British National Grid.

    Raises
    ------
    ScienceError
        If the coordinate reference system is another, or is not said.
    """
    if geodataframe.crs != BRITISH_NATIONAL_GRID:
        raise ScienceError(
            f"coordinates are in {geodataframe.crs or 'no stated reference system'}, where lengths are not "
            f"metres on the ground; convert them with to_crs('{BRITISH_NATIONAL_GRID}')"
        )


def find_lsoas(easting_m: npt.ArrayLike, northing_m: npt.ArrayLike, lsoas: "GeoDataFrame") -> LsoaCodes:
    """Find the LSOA in which each position lies.

    A position on a border belongs to the LSOA south-west of it, so to one LSOA only, and to the same
    one whichever other LSOAs are given beside it.

    Parameters
    ----------
    easting_m, northing_m
        Positions in EPSG:27700, shape (n_positions,); NaN for an unknown position.
    lsoas
        Columns lsoa_code and geometry, EPSG:27700.

    Returns
    -------
    lsoa_codes
        Shape (n_positions,); None where a position lies in none of the LSOAs. Should LSOAs overlap,
        the smaller code.
    """
    require_british_grid(lsoas)
    easting, northing = np.asarray(easting_m, dtype=np.float64), np.asarray(northing_m, dtype=np.float64)
    found = np.full(len(easting), None, dtype=object)
    known = np.flatnonzero(np.isfinite(easting) & np.isfinite(northing))
    from_west = known[np.argsort(easting[known], kind="stable")]
    # the smallest code last, where it stays
    last_first = lsoas.sort_values("lsoa_code", ascending=False)
    inside = _inside(
        easting[from_west] + _SHIFT_EAST_M, northing[from_west] + _SHIFT_NORTH_M, last_first.geometry.to_numpy()
    )
    for code, rows in zip(last_first["lsoa_code"], inside, strict=True):
        found[from_west[rows]] = code
    return found


def _inside(x: Metres, y: Metres, outlines: npt.NDArray[np.object_]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the places within each outline, of places that are given from west to east.

    No geometry is made of a place: that costs as much as all the rest.
    """
    import shapely

    shapely.prepare(outlines)
    bounds = shapely.bounds(outlines)
    starts, stops = np.searchsorted(x, bounds[:, 0]), np.searchsorted(x, bounds[:, 2], side="right")
    for outline, (_, south, _, north), start, stop in zip(outlines, bounds, starts, stops, strict=True):
        near = start + np.flatnonzero((y[start:stop] >= south) & (y[start:stop] <= north))
        yield near[shapely.contains_xy(outline, x[near], y[near])]


def lsoa_positions(outlines: "GeoDataFrame") -> pd.DataFrame:
    """Return one point inside each LSOA, where a centroid could fall outside a bent one.

    Parameters
    ----------
    outlines
        Columns lsoa_code, lad_code and geometry, EPSG:27700.

    Returns
    -------
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700), ``lad_code``.
    """
    require_british_grid(outlines)
    inside = outlines.geometry.representative_point()
    return pd.DataFrame(
        {
            "lsoa_code": outlines["lsoa_code"],
            "easting_m": inside.x,
            "northing_m": inside.y,
            "lad_code": outlines["lad_code"],
        }
    )


def to_longitude_latitude(easting_m: npt.ArrayLike, northing_m: npt.ArrayLike) -> tuple[Degrees, Degrees]:
    """Convert British National Grid positions (EPSG:27700, metres) to WGS 84 (EPSG:4326, degrees).

    Returns
    -------
    longitude_deg, latitude_deg
        By the best datum shift PROJ has: the OSTN15 grid where installed, otherwise a Helmert
        transformation good to 2 m. Never without a datum shift, which would be 100 m out.
    """
    return _transform(BRITISH_NATIONAL_GRID, WGS_84, easting_m, northing_m)


def to_easting_northing(longitude_deg: npt.ArrayLike, latitude_deg: npt.ArrayLike) -> tuple[Metres, Metres]:
    """Convert WGS 84 positions (EPSG:4326, degrees) to the British National Grid (EPSG:27700, metres).

    The inverse of :func:`to_longitude_latitude`. Positions that are unknown or not on the Earth become NaN.
    """
    return _transform(WGS_84, BRITISH_NATIONAL_GRID, longitude_deg, latitude_deg)


def bearings(
    from_easting_m: npt.ArrayLike,
    from_northing_m: npt.ArrayLike,
    to_easting_m: npt.ArrayLike,
    to_northing_m: npt.ArrayLike,
) -> Degrees:
    """Compute compass bearings from place to place, on the ellipsoid.

    Grid north is not true north: in England they are up to 3 degrees apart.

    Parameters
    ----------
    from_easting_m, from_northing_m, to_easting_m, to_northing_m
        Positions in EPSG:27700, shape (n,) each.

    Returns
    -------
    bearing_deg
        Clockwise from true north, 0 up to but not including 360, shape (n,); NaN where both are one place.
    """
    begins = to_longitude_latitude(from_easting_m, from_northing_m)
    ends = to_longitude_latitude(to_easting_m, to_northing_m)
    bearing_deg, _, distance_m = _ellipsoid().inv(*begins, *ends)
    return np.where(np.asarray(distance_m) > 1e-6, _within(np.asarray(bearing_deg), 360.0), np.nan)


def folded(bearing_deg: npt.ArrayLike) -> Degrees:
    """Fold bearings to 0 up to but not including 180: a road has no front. NaN stays."""
    return _within(np.asarray(bearing_deg, dtype=np.float64), 180.0)


def largest_position_disagreement(table: pd.DataFrame) -> float:
    """Largest distance, metres, between the grid position and the longitude and latitude of a row.

    Anything beyond millimetres means that one of the two was written without the datum shift.
    """
    easting_m, northing_m = to_easting_northing(table["longitude_deg"], table["latitude_deg"])
    apart = np.hypot(easting_m - table["easting_m"].to_numpy(), northing_m - table["northing_m"].to_numpy())
    return float(np.nanmax(apart, initial=0.0))


def wrong_lsoa_share(table: pd.DataFrame, lsoas: "GeoDataFrame") -> float:
    """Share of rows (of those with an LSOA) whose position does not lie in the LSOA they name."""
    placed = table[table["lsoa_code"].notna()]
    found = find_lsoas(placed["easting_m"], placed["northing_m"], lsoas)
    return float(np.mean(found != placed["lsoa_code"].to_numpy(dtype=object))) if len(placed) else 0.0


def _transform(source: str, target: str, first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Any, Any]:
    converted = _transformer(source, target).transform(
        np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    )
    unknown = ~(np.isfinite(converted[0]) & np.isfinite(converted[1]))
    return tuple(np.where(unknown, np.nan, part) for part in converted)  # type: ignore[return-value]


def _within(bearing_deg: Degrees, turn_deg: float) -> Degrees:
    # the remainder of a tiny negative number is a whole turn, once rounded
    remainder = np.mod(bearing_deg, turn_deg)
    return np.where(remainder == turn_deg, 0.0, remainder)


@cache
def _ellipsoid() -> "Geod":
    from pyproj import Geod

    return Geod(ellps="WGS84")


@cache
def _transformer(source: str, target: str) -> "Transformer":
    from pyproj import Transformer

    return Transformer.from_crs(source, target, always_xy=True, allow_ballpark=False)
