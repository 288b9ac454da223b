"""An Overpass server: its status with a slot free, and an interpreter for way queries by tag in a polygon."""

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

DATA_OF = "2025-08-10T23:25:26Z"


@dataclass(frozen=True)
class Area:
    """A place, its outline in longitude and latitude, and the reply with its roads, as bytes."""

    outline: BaseGeometry
    reply: bytes


class Overpass:
    """Answers each query with those roads of the areas that the query's polygon meets whose tags it asks for."""

    def __init__(self, areas: Sequence[Area]):
        self.areas = areas

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/api/status":
            return Reply(STATUS)
        found = re.search(r"way(\[.highway.*\])\(poly:'([-0-9. ]+)'\)", asked.query.get("data", ""))
        if asked.path != "/api/interpreter" or not found:
            return Reply(b"<html>parse error</html>", 400, "text/html")
        outline = _read_polygon(found[2])
        met = [json.loads(area.reply) for area in self.areas if area.outline.intersects(outline)]
        return Reply(json.dumps(_merge(met, found[1])).encode(), content_type="application/json")


def _read_polygon(text: str) -> Polygon:
    """Overpass writes latitude before longitude."""
    numbers = [float(number) for number in text.split()]
    return shapely.make_valid(Polygon(list(zip(numbers[1::2], numbers[0::2], strict=True))))


def _merge(replies: Sequence[Any], filters: str) -> Any:
    elements: dict[tuple[str, int], Any] = {}
    for reply in replies:
        elements |= {(element["type"], element["id"]): element for element in reply["elements"]}
    tests = re.findall(r'\["(\w+)"(?:(!?)~"([^"]*)")?\]', filters)
    ways = [
        element
        for (kind, _), element in elements.items()
        if kind == "way" and all(_passes(element.get("tags", {}), *test) for test in tests)
    ]
    nodes = {node: elements["node", node] for way in ways for node in way["nodes"]}
    # nodes come before the ways that use them
    head = {"version": 0.6, "generator": "stand-in", "osm3s": {"timestamp_osm_base": DATA_OF}}
    return {**head, "elements": [*nodes.values(), *ways]}


def _passes(tags: dict[str, str], key: str, negation: str, pattern: str) -> bool:
    """A key without a pattern must be there; a negated pattern also passes where the key is not."""
    if not pattern:
        return key in tags
    return bool(key in tags and re.search(pattern, tags[key])) != bool(negation)
