"""LSOAs of a local authority: which they are, and their boundaries, from ArcGIS services or files.

Source of the default: Office for National Statistics licensed under the Open Government Licence
v3.0; contains OS data © Crown copyright and database right.
"""

import csv
import gzip
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import BoundaryError
from streetimd_assets.sources import arcgis
from streetimd_assets.sources.downloads import Download, Fetched, keep, local_file
from streetimd_assets.sources.outlines import OUTLINE_FIELDS, REMEDY, choose_fields, quoted, read_outlines
from streetimd_assets.sources.web import without_secrets
from streetimd_assets.study.local_authorities import (
    LocalAuthority,
    all_local_authorities,
    codes_since_2019,
    lad_changes,
    name_codes,
)

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

_ONS = "https://services1.arcgis.com/ESMARspQHYMw9BZ9/arcgis/rest/services"
# generalised to 20 m and clipped to the coast: fit to join points with, unlike the super-generalised ones
DEFAULT_BOUNDARIES: dict[int, str] = {
    2021: f"{_ONS}/Lower_layer_Super_Output_Areas_December_2021_Boundaries_EW_BGC_V5/FeatureServer/0",
    2011: f"{_ONS}/LSOA_Dec_2011_Boundaries_Generalised_Clipped_BGC_EW_V3/FeatureServer/0",
}
# codes per request, so that an address stays below the 2,000 characters every server takes
CODES_PER_REQUEST = 75
# the first two digits of a name's year are those of the census; a local authority's may be any
_LOOKUP_FIELDS = ("LSOA{census}CD", r"LAD\d\dCD")


@dataclass(frozen=True)
class LsoaCodes:
    """Codes of a local authority's LSOAs, sorted, and the look-up they come from; None for the index itself."""

    codes: list[str]
    provenance: Download | None


@dataclass(frozen=True)
class Boundaries:
    """LSOAs and the file they come from.

    ``lsoas`` has one row per LSOA in the order of their codes: ``lsoa_code``, ``lsoa_name``,
    ``lad_code`` and ``geometry`` in EPSG:27700.
    """

    lsoas: "gpd.GeoDataFrame"
    provenance: Download


def find_lsoa_codes(
    authority: LocalAuthority,
    *,
    lookup: str | None,
    census: int,
    index_lookup: "pd.DataFrame",
    cache_folder: Path,
) -> LsoaCodes:
    """Find which LSOAs lie in a local authority of 2024.

    A look-up may use local authorities of any year from 2019 to 2024: districts that have merged
    since are taken together.

    Parameters
    ----------
    authority
        The local authority.
    lookup
        Address of an ArcGIS table, or path of a CSV file, plain or gzip-compressed, with fields
        ``LSOA??CD`` of the census and ``LAD??CD``. None: ``index_lookup`` says it.
    census
        Whose LSOAs they are, 2011 or 2021.
    index_lookup
        The deprivation index: ``lsoa_code`` and ``lad_code``, one row per LSOA.
    cache_folder
        Where the table's answer is kept; it is checked at most once a day.

    Raises
    ------
    BoundaryError
        If the look-up cannot be had, lacks a field, or has no LSOA in the local authority.
    """
    if lookup is None:
        rows, origin, provenance = index_lookup, "the deprivation index", None
    else:
        provenance = _have_lookup(authority, lookup, census, cache_folder)
        rows, origin = _read_lookup(provenance, census), provenance.address
    codes = rows.loc[rows["lad_code"].isin(codes_since_2019(authority.lad_code)), "lsoa_code"]
    if codes.empty:
        raise BoundaryError(_nothing_found(authority, rows["lad_code"].unique(), origin))
    # a look-up through wards names an LSOA more than once if it lies in several
    return LsoaCodes(sorted(set(codes)), provenance)


def fetch_lsoa_boundaries(
    authority: LocalAuthority, codes: Sequence[str], *, boundaries: str, census: int, cache_folder: Path
) -> Boundaries:
    """Fetch the boundaries of LSOAs by their codes, never by name.

    Parameters
    ----------
    authority
        The local authority they lie in; its code is written into ``lad_code``.
    codes
        Codes of its LSOAs.
    boundaries
        Address of an ArcGIS feature service, or path of a GeoPackage, a GeoJSON file (also ``.gz``) or
        a shapefile (also zipped), in any coordinate system that it names; fields ``LSOA??CD`` and
        ``LSOA??NM`` of the census.
    census
        Whose LSOAs they are, 2011 or 2021: many codes are the same in both, so only the fields' names
        tell them apart.
    cache_folder
        Where a service's answer is kept; it is checked at most once a day.

    Raises
    ------
    BoundaryError
        If the boundaries cannot be had, are of the other census, have no coordinate system, or lack
        one of the LSOAs.
    """
    if _is_address(boundaries):
        provenance = _have_features(authority, codes, boundaries, census, cache_folder)
    else:
        provenance = local_file(Path(boundaries), error=BoundaryError, remedy=REMEDY)
    outlines = read_outlines(provenance.path, codes, census, provenance.address)
    _require_all(authority, codes, set(outlines["lsoa_code"]), provenance.address)
    return Boundaries(_as_lsoas(outlines, authority), provenance)


def _have_lookup(authority: LocalAuthority, lookup: str, census: int, cache_folder: Path) -> Download:
    """Have the look-up as a CSV file: the user's own, or a table's answer for one local authority."""
    if not _is_address(lookup):
        return local_file(Path(lookup), error=BoundaryError, remedy=REMEDY)

    def fetch(_: Mapping[str, str]) -> Fetched:
        fields = arcgis.list_fields(lookup, remedy=REMEDY)
        lsoa, lad = choose_fields(fields, _LOOKUP_FIELDS, census, without_secrets(lookup))
        query = {
            "where": f"{lad} IN ({quoted(codes_since_2019(authority.lad_code))})",
            "outFields": f"{lsoa},{lad}",
            "orderByFields": lsoa,
            "returnGeometry": "false",
            "f": "json",
        }
        found = {
            (row["attributes"][lsoa], row["attributes"][lad])
            for row in arcgis.ask_pages(lookup, query, remedy=REMEDY)
        }
        if not found:
            raise BoundaryError(_nothing_found(authority, (), without_secrets(lookup)))
        text = io.StringIO()
        csv.writer(text).writerows([(lsoa, lad), *sorted(found)])
        return Fetched(text.getvalue().encode())

    which = f" {census} {authority.lad_code}"
    address = arcgis.layer_address(lookup) + "/query"
    return keep(
        address, cache_folder, fetch, name=f"lsoas-of-{authority.slug}.csv", error=BoundaryError, which=which
    )


def _read_lookup(file: Download, census: int) -> "pd.DataFrame":
    """Columns ``lsoa_code`` and ``lad_code`` of a look-up."""
    import pandas as pd

    try:
        content = file.path.read_bytes()
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        raw = pd.read_csv(io.BytesIO(plain), dtype=str, encoding="utf-8-sig")
    except (OSError, EOFError, ValueError) as problem:
        raise BoundaryError(f"'{file.path}' is not a CSV file ({type(problem).__name__}); {REMEDY}") from None
    lsoa, lad = choose_fields([str(name) for name in raw.columns], _LOOKUP_FIELDS, census, file.address)
    return pd.DataFrame({"lsoa_code": raw[lsoa].str.strip(), "lad_code": raw[lad].str.strip()}).dropna()


def _have_features(
    authority: LocalAuthority, codes: Sequence[str], service: str, census: int, cache_folder: Path
) -> Download:
    """Have a service's boundaries of these LSOAs as a GeoJSON file."""

    def fetch(_: Mapping[str, str]) -> Fetched:
        fields = arcgis.list_fields(service, remedy=REMEDY)
        code, name = choose_fields(fields, OUTLINE_FIELDS, census, without_secrets(service))
        features: dict[str, dict[str, Any]] = {}
        for start in range(0, len(codes), CODES_PER_REQUEST):
            query = {
                "where": f"{code} IN ({quoted(codes[start : start + CODES_PER_REQUEST])})",
                "outFields": f"{code},{name}",
                "orderByFields": code,
                "outSR": "4326",
                "f": "geojson",
            }
            for feature in arcgis.ask_pages(service, query, remedy=REMEDY):
                chosen = {field: feature["properties"][field] for field in (code, name)}
                features[chosen[code]] = {"type": "Feature", "properties": chosen, "geometry": feature["geometry"]}
        _require_all(authority, codes, features, without_secrets(service))
        collection = {"type": "FeatureCollection", "features": [features[code] for code in sorted(features)]}
        return Fetched(json.dumps(collection, separators=(",", ":")).encode())

    which = f" {census} {','.join(sorted(codes))}"
    address = arcgis.layer_address(service) + "/query"
    return keep(address, cache_folder, fetch, name=f"{authority.slug}.geojson", error=BoundaryError, which=which)


def _require_all(authority: LocalAuthority, codes: Sequence[str], there: Collection[str], origin: str) -> None:
    missing = set(codes) - set(there)
    if missing:
        raise BoundaryError(
            f"{len(missing)} of the {len(set(codes))} LSOAs of {authority.name} ({name_codes(missing)}) have no "
            f"boundary in {origin}; name boundaries and a look-up of the same census in the study"
        )


def _nothing_found(authority: LocalAuthority, lad_codes: Collection[str], origin: str) -> str:
    known = {each.lad_code for each in all_local_authorities().values()} | set(lad_changes())
    unknown = {code for code in lad_codes if code.startswith("E") and code not in known}
    also = f", but {len(unknown)} local authorities that are not of 2019 to 2024 ({name_codes(unknown)})"
    return (
        f"{origin} has no LSOA in {authority.name} ({' or '.join(codes_since_2019(authority.lad_code))})"
        f"{also if unknown else ''}; name in geography.lookup a look-up of local authorities of 2019 to 2024"
    )


def _is_address(place: str) -> bool:
    return "://" in place


def _as_lsoas(outlines: "gpd.GeoDataFrame", authority: LocalAuthority) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    projected = outlines.to_crs("EPSG:27700").sort_values("lsoa_code", ignore_index=True)
    # generalising can fold an outline over itself, and no point is inside of that
    valid = shapely.make_valid(projected.geometry.to_numpy(), method="structure")
    named = {"lsoa_code": projected["lsoa_code"], "lsoa_name": projected["lsoa_name"]}
    return gpd.GeoDataFrame({**named, "lad_code": authority.lad_code}, geometry=valid, crs="EPSG:27700")
