"""Outlines of LSOAs from files: GeoPackage, GeoJSON or shapefile, of the census that is asked for."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streetimd_assets.errors import BoundaryError

if TYPE_CHECKING:
    import geopandas as gpd

OUTLINE_FIELDS = ("LSOA{census}CD", "LSOA{census}NM")
REMEDY = (
    "check geography.boundaries and geography.lookup in the study: iod2025 is on LSOAs of 2021, iod2019 on those "
    "of 2011"
)


def read_outlines(path: Path, codes: Sequence[str], census: int, origin: str) -> "gpd.GeoDataFrame":
    """Read the outlines of some LSOAs.

    Parameters
    ----------
    path
        A GeoPackage, a GeoJSON file (also ``.gz``) or a shapefile (also zipped).
    codes
        Codes of the LSOAs; those that the file lacks are left out.
    census
        Whose LSOAs they are, 2011 or 2021.
    origin
        What errors call the file.

    Returns
    -------
    outlines
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry``, in the file's own coordinate system.

    Raises
    ------
    BoundaryError
        If it is no such file, lacks the census's fields, names no coordinate system or has an LSOA twice.
    """
    import geopandas as gpd

    place = _as_gdal_path(path)
    layer, fields = _choose_layer(place, census, origin)
    code, name = choose_fields(fields, OUTLINE_FIELDS, census, origin)
    read = gpd.read_file(place, layer=layer, columns=[code, name], where=f'"{code}" IN ({quoted(codes)})')
    if read.crs is None:
        raise BoundaryError(
            f"{origin} does not say its coordinate system; save it with one (keep a shapefile's .prj beside it)"
        )
    outlines = read.rename(columns={code: "lsoa_code", name: "lsoa_name"})
    outlines = outlines[outlines.geometry.notna() & ~outlines.geometry.is_empty]
    twice = outlines["lsoa_code"][outlines["lsoa_code"].duplicated()]
    if len(twice):
        raise BoundaryError(f"{origin} has {twice.iloc[0]} twice; keep one row for each LSOA, of all its parts")
    return outlines


def _as_gdal_path(path: Path) -> str:
    whole = str(path.resolve())
    prefix = {".gz": "/vsigzip/", ".zip": "/vsizip/"}.get(path.suffix.lower(), "")
    return prefix + whole


def _choose_layer(place: str, census: int, origin: str) -> tuple[str, list[str]]:
    """Name and fields of the first layer that has the census's codes, or of the first there is."""
    import pyogrio

    try:
        layers = [str(name) for name, kind in pyogrio.list_layers(place) if kind is not None]
        fields = {
            layer: [str(name) for name in pyogrio.read_info(place, layer=layer)["fields"]] for layer in layers
        }
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        fields = {}
    if not fields:
        raise BoundaryError(f"{origin} is not a GeoPackage, GeoJSON file or shapefile with outlines; {REMEDY}")
    fitting = (layer for layer in fields if _find_field(fields[layer], OUTLINE_FIELDS[0], census))
    layer = next(fitting, next(iter(fields)))
    return layer, fields[layer]


def choose_fields(names: Sequence[str], patterns: Sequence[str], census: int, origin: str) -> list[str]:
    """Choose the fields of a file or service that match patterns, in which ``{census}`` is the census's year.

    Raises
    ------
    BoundaryError
        If there is none for one of the patterns.
    """
    found = [_find_field(names, pattern, census) for pattern in patterns]
    if None in found:
        wanted = patterns[found.index(None)].replace("{census}", f"{census % 100:02d}").replace(r"\d", "?")
        raise BoundaryError(f"{origin} has no field {wanted}, only {', '.join(names) or 'none'}; {REMEDY}")
    return [name for name in found if name is not None]


def _find_field(names: Sequence[str], pattern: str, census: int) -> str | None:
    """The field that matches, of the latest year if there are several."""
    pattern = pattern.replace("{census}", f"{census % 100:02d}")
    return max((name for name in names if re.fullmatch(pattern, name, re.IGNORECASE)), default=None)


def quoted(codes: Sequence[str]) -> str:
    """Return codes as they stand in a query's brackets."""
    return ",".join("'" + code.replace("'", "''") + "'" for code in codes)
