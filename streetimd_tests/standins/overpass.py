"""An Overpass server: its status with a slot free, and an interpreter for way queries in a polygon."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from streetimd_tests.standins.server import Asked, Reply

STATUS = b"""Connected as: 2130706433
Current time: 2025-08-10T23:25:26Z
Announced endpoint: none
Rate limit: 2
2 slots available now.
Currently running queries (pid, space limit, time limit, start time):
"""


@dataclass(frozen=True)
class Area:
    """A place, its outline in longitude and latitude, and the reply with its roads, as bytes."""

    outline: BaseGeometry
    reply: bytes


class Overpass:
    """Answers each query with the roads of the areas that the query's polygon meets."""

    def __init__(self, areas: Sequence[Area]):
        self.areas = areas

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/api/status":
            return Reply(STATUS)
        found = re.search(r"way\[.highway.\].*\(poly:'([-0-9. ]+)'\)", asked.query.get("data", ""))
        if asked.path != "/api/interpreter" or not found:
            return Reply(b"<html>parse error</html>", 400, "text/html")
        met = [area.reply for area in self.areas if area.outline.intersects(_read_polygon(found[1]))]
        body = met[0] if len(met) == 1 else _merge(met)
        return Reply(body, content_type="application/json")


def _read_polygon(text: str) -> Polygon:
    """Overpass writes latitude before longitude."""
    numbers = [float(number) for number in text.split()]
    return shapely.make_valid(Polygon(list(zip(numbers[1::2], numbers[0::2], strict=True))))


def _merge(replies: Sequence[bytes]) -> bytes:
    elements: dict[tuple[str, int], Any] = {}
    for reply in replies:
        elements |= {(element["type"], element["id"]): element for element in json.loads(reply)["elements"]}
    # nodes come before the ways that use them
    in_order = sorted(elements.values(), key=lambda element: element["type"] != "node")
    return json.dumps({"version": 0.6, "generator": "stand-in", "elements": in_order}).encode()
