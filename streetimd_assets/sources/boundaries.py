"""Boundaries of LSOAs from the Office for National Statistics' ArcGIS services.

Source: Office for National Statistics licensed under the Open Government Licence v3.0;
contains OS data © Crown copyright and database right.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import BoundaryError
from streetimd_assets.sources.asking import BUSY_STATUSES, ask, without_secrets
from streetimd_assets.study.local_authorities import LocalAuthority

if TYPE_CHECKING:
    import geopandas as gpd

# codes per request, so that an address stays below the 2,000 characters every server takes
CODES_PER_REQUEST = 75
_REMEDY = (
    "check geography.lsoa_service and geography.lookup_service in the study: iod2025 is on LSOAs of 2021, "
    "iod2019 on those of 2011"
)


def fetch_lsoa_boundaries(
    authority: LocalAuthority, *, lsoa_service: str, lookup_service: str, lsoa_year: int | None = None
) -> "gpd.GeoDataFrame":
    """Fetch the boundaries of one local authority's LSOAs.

    The look-up says which LSOAs lie in the local authority; their boundaries are asked for by
    code, never by name. Both services are asked page by page until they say that there is no more.

    Parameters
    ----------
    authority
        The local authority, by the code that the look-up uses.
    lsoa_service
        Address of the ArcGIS feature service with the boundaries; fields ``LSOA??CD``, ``LSOA??NM``.
    lookup_service
        Address of the ArcGIS table with fields ``LSOA??CD`` and ``LAD??CD``.
    lsoa_year
        Census whose LSOAs both must have, 2011 or 2021: many codes are the same in both, so only the
        fields' names tell them apart. None takes either.

    Returns
    -------
    lsoas
        One row per LSOA in the order of their codes: ``lsoa_code``, ``lsoa_name``, ``lad_code`` and
        ``geometry`` in EPSG:27700.

    Raises
    ------
    BoundaryError
        If a service does not answer, refuses, or lacks the local authority or one of its LSOAs.
    """
    census = r"\d\d" if lsoa_year is None else f"{lsoa_year % 100}"
    codes = _lsoa_codes(authority, lookup_service, census)
    features = _lsoa_features(codes, lsoa_service, census)
    missing = [code for code in codes if code not in features]
    if missing:
        raise BoundaryError(
            f"{len(missing)} of the {len(codes)} LSOAs of {authority.name} ({_some(missing)}) have no boundary "
            f"in {without_secrets(lsoa_service)}; name boundaries and a look-up of the same census in the study"
        )
    return _as_lsoas(features, authority)


def _lsoa_codes(authority: LocalAuthority, service: str, census: str) -> list[str]:
    """Codes of the LSOAs that the look-up places in the local authority, sorted."""
    lsoa, lad = _find_fields(service, (rf"LSOA{census}CD", r"LAD\d\dCD"))
    query = {
        "where": f"{lad}='{authority.lad_code}'",
        "outFields": lsoa,
        "orderByFields": lsoa,
        "returnGeometry": "false",
        "f": "json",
    }
    # a look-up through wards names an LSOA more than once if it lies in several
    codes = {row["attributes"][lsoa] for row in _ask_pages(service, query)}
    if not codes:
        raise BoundaryError(
            f"{without_secrets(service)} has no LSOA in {authority.name} ({lad} = {authority.lad_code}); "
            "name in geography.lookup_service a look-up of the year of these local authorities"
        )
    return sorted(codes)


def _lsoa_features(codes: Sequence[str], service: str, census: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name and GeoJSON outline of each LSOA by its code, longitude and latitude."""
    code, name = _find_fields(service, (rf"LSOA{census}CD", rf"LSOA{census}NM"))
    features = {}
    for start in range(0, len(codes), CODES_PER_REQUEST):
        among = ",".join(f"'{each}'" for each in codes[start : start + CODES_PER_REQUEST])
        query = {
            "where": f"{code} IN ({among})",
            "outFields": f"{code},{name}",
            "orderByFields": code,
            "outSR": "4326",
            "f": "geojson",
        }
        for feature in _ask_pages(service, query):
            properties = feature["properties"]
            features[properties[code]] = (properties[name], feature["geometry"])
    return features


def _find_fields(service: str, patterns: Sequence[str]) -> list[str]:
    """Names of the service's fields that match: their year differs from service to service."""
    answer = _ask_json(_layer(service), {"f": "json"})
    names = [str(field["name"]) for field in answer.get("fields") or ()]
    found = [next((name for name in names if re.fullmatch(pattern, name)), None) for pattern in patterns]
    if None in found:
        wanted = patterns[found.index(None)].replace(r"\d", "?")
        raise BoundaryError(
            f"{without_secrets(service)} has no field {wanted}, only {', '.join(names) or 'none'}; {_REMEDY}"
        )
    return [name for name in found if name is not None]


def _ask_pages(service: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the features of every page of a query."""
    n_seen = 0
    while True:
        answer = _ask_json(f"{_layer(service)}/query", {**query, "resultOffset": str(n_seen)})
        features = answer.get("features", [])
        yield from features
        n_seen += len(features)
        # as GeoJSON the mark stands among the collection's properties
        more = answer.get("exceededTransferLimit") or (answer.get("properties") or {}).get("exceededTransferLimit")
        if not more:
            return
        if not features:
            raise BoundaryError(
                f"{without_secrets(service)} says there is more and sends an empty page; try again later"
            )


def _ask_json(url: str, params: dict[str, str]) -> dict[str, Any]:
    """Ask an ArcGIS service, which reports its errors with status 200."""
    body = ask(url, params, error=BoundaryError, remedy=_REMEDY, is_busy=_says_busy)
    answer = _parse(body)
    if answer is None:
        raise BoundaryError(f"{without_secrets(url)} answered with something that is not JSON; {_REMEDY}")
    if "error" in answer:
        refusal = answer["error"]
        said = " ".join(str(refusal.get(part, "")) for part in ("code", "message")).strip()
        raise BoundaryError(f"{without_secrets(url)} refused the query ({said}); {_REMEDY}")
    return answer


def _says_busy(body: bytes) -> bool:
    answer = _parse(body) if body[:200].lstrip().startswith(b'{"error"') else None
    return answer is not None and answer["error"].get("code") in BUSY_STATUSES


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _layer(service: str) -> str:
    """Address of the service's first layer, however much of it the study names."""
    return re.sub(r"(/FeatureServer(/0)?)?(/query)?/*$", "", service) + "/FeatureServer/0"


def _as_lsoas(features: dict[str, tuple[str, dict[str, Any]]], authority: LocalAuthority) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely
    from shapely.geometry import shape

    codes = sorted(features)
    lsoas = gpd.GeoDataFrame(
        {
            "lsoa_code": codes,
            "lsoa_name": [features[code][0] for code in codes],
            "lad_code": authority.lad_code,
        },
        geometry=[shape(features[code][1]) for code in codes],
        crs="EPSG:4326",
    ).to_crs("EPSG:27700")
    # generalising can fold an outline over itself, and no point is inside of that
    return lsoas.set_geometry(shapely.make_valid(lsoas.geometry.to_numpy(), method="structure"), crs="EPSG:27700")


def _some(codes: Sequence[str]) -> str:
    return ", ".join(codes[:3]) + (", …" if len(codes) > 3 else "")
