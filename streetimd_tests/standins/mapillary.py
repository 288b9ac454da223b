"""A Mapillary API: searches in a box, single pictures with links that expire, and an image server.

It knows pictures as dictionaries in the API's own fields, and the files of each. Like the real one it
thins out a long answer without a word, leaves out fields that are not known, and refuses what has no token.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from streetimd_tests.standins.server import Asked, Reply, StandIn

TOKEN = "MLY|1234567890|0123456789abcdef"
LOGIN = Reply(b"", 302, "text/html", {"Location": "https://www.mapillary.com/login?next=%2Fimages"})


class Mapillary:
    """Pictures with ``id``, ``geometry`` and what else is known of them; files by id.

    ``most`` is how many pictures an answer holds; the first ``n_expired`` links are dead when they are followed.
    """

    def __init__(
        self,
        images: Sequence[Mapping[str, Any]],
        files: Mapping[str, bytes] | None = None,
        *,
        most: int = 2000,
        n_expired: int = 0,
        widths: Sequence[str] = ("1024", "2048", "original"),
    ):
        self.images = list(images)
        self.files = dict(files or {})
        self.most = most
        self.n_expired = n_expired
        self.widths = widths
        self.address = ""

    def answer(self, asked: Asked) -> Reply:
        if asked.path.startswith("/files/"):
            return self._file(asked)
        if asked.headers.get("Authorization") != f"OAuth {TOKEN}":
            return _error(401, "Invalid OAuth access token - Cannot parse access token", 190)
        if asked.path == "/images":
            return self._search(asked.query)
        return self._entity(asked.path.removeprefix("/"), asked.query)

    def _search(self, query: dict[str, str]) -> Reply:
        west, south, east, north = map(float, query["bbox"].split(","))
        if (east - west) * (north - south) > 0.01**2:
            return _error(400, "bbox is too large", 100)
        inside = [image for image in self.images if _is_inside(image, west, south, east, north)]
        most = min(self.most, int(query["limit"]))
        # of too many, some from everywhere
        thinned = inside if len(inside) <= most else [inside[i * len(inside) // most] for i in range(most)]
        fields = {"id", *query["fields"].split(",")}
        return _json({"data": [{name: image[name] for name in image if name in fields} for image in thinned]})

    def _entity(self, image_id: str, query: dict[str, str]) -> Reply:
        if image_id not in self.files:
            return _error(400, f"Unsupported get request. Object with ID '{image_id}' does not exist", 100)
        signature = "expired" if self.n_expired > 0 else "good"
        self.n_expired -= 1
        file = f"{self.address}/files/{image_id}"
        links = {f"thumb_{width}_url": f"{file}/{width}?sig={signature}" for width in self.widths}
        asked = query["fields"].split(",")
        return _json({"id": image_id, **{name: link for name, link in links.items() if name in asked}})

    def _file(self, asked: Asked) -> Reply:
        if "Authorization" in asked.headers:
            return Reply(b"<html>who are you</html>", 400, "text/html")
        if asked.query.get("sig") != "good":
            return Reply(b"URL signature expired", 403)
        return Reply(self.files[asked.path.split("/")[2]], content_type="image/jpeg")


def serve_mapillary(service: Mapillary, *, faults: Sequence[Reply] = ()) -> StandIn:
    """Return a server of this service, which knows its address."""
    server = StandIn(service.answer, faults=faults)
    service.address = server.address
    return server


def _is_inside(image: Mapping[str, Any], west: float, south: float, east: float, north: float) -> bool:
    longitude, latitude = image["geometry"]["coordinates"]
    return west <= longitude <= east and south <= latitude <= north


def _json(content: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(content).encode(), status, "application/json; charset=UTF-8")


def _error(status: int, message: str, code: int) -> Reply:
    return _json({"error": {"message": message, "type": "OAuthException", "code": code}}, status)
