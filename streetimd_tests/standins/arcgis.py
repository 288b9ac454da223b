"""An ArcGIS REST server with feature services, as the Office for National Statistics runs one.

It answers a layer's description and its queries: ``where`` with ``=`` and ``IN``, ``outFields``,
``orderByFields``, ``resultOffset``, a page limit with ``exceededTransferLimit``, and errors with
status 200.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from streetimd_tests.standins.server import Asked, Reply

ROOT = "/arcgis/rest/services"


class ArcGIS:
    """Services by name; each a list of GeoJSON features (``geometry`` None in a table)."""

    def __init__(self, services: Mapping[str, Sequence[dict[str, Any]]], *, page_size: int = 2000):
        self.services = services
        self.page_size = page_size

    def answer(self, asked: Asked) -> Reply:
        found = re.fullmatch(rf"{ROOT}/([^/]+)/FeatureServer/0(/query)?", asked.path)
        if not found or found[1] not in self.services:
            return _error(400, "Invalid URL")
        features = self.services[found[1]]
        if not found[2]:
            return _json(self._describe(found[1], features))
        try:
            return _json(self._query(features, asked.query))
        except ValueError as problem:
            return _error(400, str(problem))

    def _describe(self, name: str, features: Sequence[dict[str, Any]]) -> dict[str, Any]:
        fields = [{"name": field, "type": "esriFieldTypeString"} for field in features[0]["properties"]]
        return {"id": 0, "name": name, "fields": fields, "maxRecordCount": self.page_size}

    def _query(self, features: Sequence[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
        field, values = _read_where(query.get("where", ""))
        known = features[0]["properties"]
        fields = query.get("outFields", "*").split(",")
        order = query.get("orderByFields")
        if not {field, *fields, order or field} <= set(known):
            raise ValueError("'Invalid field' parameter is invalid")
        chosen = [feature for feature in features if feature["properties"][field] in values]
        if order:
            chosen.sort(key=lambda feature: feature["properties"][order])
        start = int(query.get("resultOffset", 0))
        page = chosen[start : start + min(self.page_size, int(query.get("resultRecordCount", self.page_size)))]
        exceeded = {"exceededTransferLimit": True} if start + len(page) < len(chosen) else {}
        rows = [{name: feature["properties"][name] for name in fields} for feature in page]
        if query.get("f") != "geojson":
            return {"features": [{"attributes": row} for row in rows], **exceeded}
        if query.get("outSR", "4326") != "4326":
            raise ValueError("'outSR' parameter is invalid")
        return {
            "type": "FeatureCollection",
            "properties": exceeded,
            "features": [
                {"type": "Feature", "properties": row, "geometry": feature["geometry"]}
                for row, feature in zip(rows, page, strict=True)
            ],
        }


def _read_where(where: str) -> tuple[str, set[str]]:
    found = re.fullmatch(r"(\w+)\s*(?:=\s*('[^']*')|IN\s*\(((?:'[^']*',?)+)\))", where)
    if not found:
        raise ValueError("'where' parameter is invalid")
    return found[1], set(re.findall(r"'([^']*)'", found[2] or found[3]))


def _json(content: dict[str, Any]) -> Reply:
    return Reply(json.dumps(content).encode(), content_type="application/json; charset=utf-8")


def _error(code: int, message: str) -> Reply:
    return _json({"error": {"code": code, "message": message, "details": []}})
