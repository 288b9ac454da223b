"""The synthetic world's LSOAs and local authorities: irregular, adjoining, in British National Grid."""

import math
from collections.abc import Sequence
from functools import cache

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely

from streetimd_assets.errors import BoundaryError
from streetimd_assets.study.local_authorities import SYNTHETIC_LOCAL_AUTHORITIES, LocalAuthority
from streetimd_assets.synthetic.chance import uniform
from streetimd_assets.synthetic.fields import smooth_field

# somewhere in the Midlands, far from the edge of the grid
_CENTRE_M = (441_000.0, 318_000.0)
_SPACING_M = 300.0
_JITTER_M = 95.0
_WIGGLE_M, _WIGGLE_LENGTH_M = 9.0, 70.0
_VERTEX_SPACING_M = 30.0
_LSOAS_PER_MSOA = 5

Places = npt.NDArray[np.float64]


def build_lsoas(
    authorities: Sequence[LocalAuthority] = SYNTHETIC_LOCAL_AUTHORITIES, *, seed: int = 1
) -> gpd.GeoDataFrame:
    """Build the LSOAs of the synthetic world, or of some of its local authorities.

    The world is always laid out whole: an authority asked alone has the outlines it has among the
    others.

    Parameters
    ----------
    authorities
        Local authorities of the synthetic world.
    seed
        Fixes every outline.

    Returns
    -------
    lsoas
        ``lsoa_code``, ``lsoa_name``, ``lad_code`` and ``geometry`` (polygons that tile each local
        authority, EPSG:27700), by code.

    Raises
    ------
    BoundaryError
        If an authority is not one of the synthetic world.
    """
    world = _world(seed)
    for authority in authorities:
        if authority.lad_code not in set(world["lad_code"]):
            known = ", ".join(known.name for known in SYNTHETIC_LOCAL_AUTHORITIES)
            raise BoundaryError(f"'{authority.name}' is not in the synthetic world; choose among {known}")
    asked = world["lad_code"].isin([authority.lad_code for authority in authorities])
    return world[asked].reset_index(drop=True)


def places_in_world(lsoas: gpd.GeoDataFrame, *, seed: int) -> npt.NDArray[np.intp]:
    """Find LSOAs in the synthetic world by code.

    Parameters
    ----------
    lsoas
        With ``lsoa_code`` and ``geometry``, n rows.
    seed
        The world's seed.

    Returns
    -------
    rows
        Rows of ``build_lsoas(seed=seed)``, shape (n,).

    Raises
    ------
    BoundaryError
        If a code is not in the world, or its outline is that of another seed.
    """
    world = _world(seed)
    rows = world.set_index("lsoa_code").index.get_indexer(lsoas["lsoa_code"])
    if (rows < 0).any():
        unknown = lsoas["lsoa_code"].iloc[int(np.argmin(rows))]
        raise BoundaryError(
            f"LSOA {unknown} is not in the synthetic world; "
            "give LSOAs of build_lsoas, or a study with official geography"
        )
    given, built = shapely.centroid(lsoas.geometry.values), shapely.centroid(world.geometry.values[rows])
    if (shapely.distance(given, built) > 1.0).any():
        raise BoundaryError(
            f"the LSOAs given have not the outlines of the synthetic world of seed {seed}; "
            "build them with the same seed"
        )
    return np.asarray(rows)


@cache
def _world(seed: int) -> gpd.GeoDataFrame:
    authorities = SYNTHETIC_LOCAL_AUTHORITIES
    n_lsoas = sum(authority.n_lsoas for authority in authorities)
    centres = _scatter_centres(n_lsoas, seed)
    cells = shapely.voronoi_polygons(shapely.multipoints(centres), ordered=True)
    outlines = _wiggle(np.asarray(cells.geoms)[:n_lsoas], seed)
    owner = np.empty(n_lsoas, dtype=int)
    _share_out(centres[:n_lsoas], np.arange(n_lsoas), list(range(len(authorities))), owner)
    # north to south within an authority, so that codes near one another are places near one another
    order = np.lexsort((centres[:n_lsoas, 0], -np.round(centres[:n_lsoas, 1] / _SPACING_M), owner))
    owner = owner[order]
    numbers = np.concatenate([np.arange(authority.n_lsoas) for authority in authorities])
    return gpd.GeoDataFrame(
        {
            "lsoa_code": [f"Z01{number:06d}" for number in range(1, n_lsoas + 1)],
            "lsoa_name": [_name(authorities[who], i) for who, i in zip(owner, numbers, strict=True)],
            "lad_code": [authorities[who].lad_code for who in owner],
        },
        geometry=outlines[order],
        crs="EPSG:27700",
    )


def _name(authority: LocalAuthority, number: int) -> str:
    """Name an LSOA as the ONS does: authority, middle layer, letter."""
    return f"{authority.name} {number // _LSOAS_PER_MSOA + 1:03d}{'ABCDE'[number % _LSOAS_PER_MSOA]}"


def _scatter_centres(n_lsoas: int, seed: int) -> Places:
    """Scatter centres on a shaken hexagonal grid, those of the world first.

    The others stand around it: they close its outermost cells and are then left out.
    """
    n_rings = math.ceil(math.sqrt(n_lsoas))
    centres = []
    for row in range(-n_rings, n_rings + 1):
        for column in range(-n_rings, n_rings + 1):
            east = (column + row % 2 / 2) * _SPACING_M + _JITTER_M * uniform(-1, 1, "east", seed, row, column)
            north = row * math.sqrt(0.75) * _SPACING_M + _JITTER_M * uniform(-1, 1, "north", seed, row, column)
            centres.append((east, north))
    offsets = np.array(centres)
    # a town is longer than broad, and no circle
    angle = np.arctan2(offsets[:, 1], offsets[:, 0])
    bulge = 1 + 0.12 * np.cos(3 * angle + uniform(0, 6.28, "bulge", seed)) + 0.15 * np.cos(2 * angle)
    nearest = np.argsort(np.hypot(*offsets.T) / bulge)
    return offsets[nearest] + np.array(_CENTRE_M)


def _share_out(centres: Places, rows: npt.NDArray[np.intp], authorities: list[int], owner: Places) -> None:
    """Divide rows among authorities by straight cuts, the longer way first, until each has its number."""
    if len(authorities) == 1:
        owner[rows] = authorities[0]
        return
    half = len(authorities) // 2
    n_first = sum(SYNTHETIC_LOCAL_AUTHORITIES[i].n_lsoas for i in authorities[:half])
    axis = int(np.argmax(np.ptp(centres[rows], axis=0)))
    along = rows[np.argsort(centres[rows, axis])]
    _share_out(centres, along[:n_first], authorities[:half], owner)
    _share_out(centres, along[n_first:], authorities[half:], owner)


def _wiggle(cells: npt.NDArray[np.object_], seed: int) -> npt.NDArray[np.object_]:
    """Bend straight borders by a smooth displacement of the plane, which keeps a tiling a tiling."""
    dense = shapely.segmentize(cells, _VERTEX_SPACING_M)
    vertices = shapely.get_coordinates(dense)
    for axis, name in enumerate(("wiggle east", "wiggle north")):
        shift = smooth_field(*shapely.get_coordinates(dense).T, length_m=_WIGGLE_LENGTH_M, key=(name, seed))
        vertices[:, axis] += _WIGGLE_M * shift
    # whole centimetres, so that neighbours share their vertices exactly
    return np.asarray(shapely.set_coordinates(dense, np.round(vertices, 2)))
