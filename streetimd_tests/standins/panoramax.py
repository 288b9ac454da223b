"""A Panoramax catalogue: searches in a box, and pictures that another server has.

It ignores a ``datetime`` in a search, as the federated catalogue does, and sends whoever wants a picture
on to ``/elsewhere``, as that does to the server that holds it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from streetimd_tests.standins.server import Asked, Reply, StandIn


class Panoramax:
    """STAC items, and the file of each by id; ``most`` is how many items an answer holds."""

    def __init__(
        self,
        items: Sequence[Mapping[str, Any]],
        files: Mapping[str, bytes] | None = None,
        *,
        most: int = 32_767,
        says_next: bool = False,
    ):
        self.items = list(items)
        self.files = dict(files or {})
        self.most = most
        self.says_next = says_next

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/api/search":
            return self._search(asked.query)
        if asked.path.startswith("/api/pictures/"):
            rest = asked.path.removeprefix("/api/pictures/")
            if rest.split("/")[0] not in self.files:
                return Reply(b'{"message":"Picture not found"}', 404, "application/json")
            return Reply(b"", 302, headers={"Location": f"/elsewhere/{rest}"})
        if asked.path.startswith("/elsewhere/"):
            return Reply(self.files[asked.path.split("/")[2]], content_type="image/jpeg")
        return Reply(b"<html>not found</html>", 404, "text/html")

    def _search(self, query: dict[str, str]) -> Reply:
        west, south, east, north = map(float, query["bbox"].split(","))
        inside = [item for item in self.items if _is_inside(item, west, south, east, north)]
        most = min(self.most, int(query.get("limit", 10)))
        is_more = len(inside) > most
        links = [{"rel": "next", "href": "…"}] if is_more and self.says_next else []
        collection = {"type": "FeatureCollection", "features": inside[:most], "links": links}
        return Reply(json.dumps(collection).encode(), content_type="application/geo+json")


def serve_panoramax(service: Panoramax, *, faults: Sequence[Reply] = ()) -> StandIn:
    """Return a server of this service."""
    return StandIn(service.answer, faults=faults)


def _is_inside(item: Mapping[str, Any], west: float, south: float, east: float, north: float) -> bool:
    longitude, latitude = item["geometry"]["coordinates"]
    return west <= longitude <= east and south <= latitude <= north
