"""Ask an ArcGIS feature service, page by page, as the Office for National Statistics runs them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from streetimd_assets.errors import BoundaryError
from streetimd_assets.sources.asking import ask
from streetimd_assets.sources.web import BUSY_STATUSES, json_object, without_secrets


def layer_address(service: str) -> str:
    """Return the address of a service's first layer, however much of it is named."""
    return re.sub(r"(/FeatureServer(/0)?)?(/query)?/*$", "", service) + "/FeatureServer/0"


def list_fields(service: str, *, remedy: str) -> list[str]:
    """Return the names of a service's fields, in its order.

    Raises
    ------
    BoundaryError
        If the service does not answer, or refuses.
    """
    answer = _ask_json(layer_address(service), {"f": "json"}, remedy)
    return [str(field["name"]) for field in answer.get("fields") or ()]


def ask_pages(service: str, query: dict[str, str], *, remedy: str) -> Iterator[dict[str, Any]]:
    """Yield the features of every page of a query.

    Parameters
    ----------
    service
        Address of the feature service.
    query
        The query's parameters, ``f`` among them: ``json`` or ``geojson``.
    remedy
        What the user can do if it fails, in words that follow "; ".

    Raises
    ------
    BoundaryError
        If the service does not answer, refuses, or says there is more and sends nothing.
    """
    n_seen = 0
    while True:
        answer = _ask_json(f"{layer_address(service)}/query", {**query, "resultOffset": str(n_seen)}, remedy)
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


def _ask_json(url: str, params: dict[str, str], remedy: str) -> dict[str, Any]:
    """Ask an ArcGIS service, which reports its errors with status 200."""
    answer = json_object(ask(url, params, error=BoundaryError, remedy=remedy, is_busy=_says_busy))
    if answer is None:
        raise BoundaryError(f"{without_secrets(url)} answered with something that is not JSON; {remedy}")
    if "error" in answer:
        said = " ".join(_of_error(answer, part) for part in ("code", "message")).strip()
        raise BoundaryError(f"{without_secrets(url)} refused the query ({said}); {remedy}")
    return answer


def _says_busy(body: bytes) -> bool:
    answer = json_object(body) if body[:200].lstrip().startswith(b'{"error"') else None
    return answer is not None and _of_error(answer, "code") in map(str, BUSY_STATUSES)


def _of_error(answer: Mapping[str, Any], part: str) -> str:
    error = answer.get("error")
    return str(error.get(part, "")) if isinstance(error, dict) else ""
