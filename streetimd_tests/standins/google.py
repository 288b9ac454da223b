"""A Google Street View Static service: metadata, images, and what may go wrong with either.

It runs as a process of its own, ``python google.py --latency_s 0.05 --fault_share 0.03``, says its address
on its first line, and answers at ``/_counts`` what it was asked for and what it would bill, for another
process to read. Panoramas lie on a grid of 12 m over the whole world, each named after its cell, so
a server that is started again knows those of the one before. What is odd about a place, and which request
fails, is drawn from the seed, the place and how often it was asked.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import io
import json
import math
import os
import random
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.request import Request, urlopen

from aiohttp import web
from PIL import Image

METADATA, IMAGE = "/maps/api/streetview/metadata", "/maps/api/streetview"
STATUSES = ("OVER_QUERY_LIMIT", "REQUEST_DENIED", "INVALID_REQUEST", "UNKNOWN_ERROR", "ZERO_RESULTS", "NOT_FOUND")
# these pass: asked again, the same question is answered
PASSING = ("429", "500", "503", "cut_off", "drop", "html", "json")
METRES_PER_DEGREE = 111_320.0


@dataclass
class Options:
    """Shares are of places, but for ``fault_share``, which is of requests.

    ``kinds`` are any of :data:`PASSING`, ``hang``, ``blank``, ``login``, ``403``, ``404`` and, for metadata,
    of :data:`STATUSES`, with commas between them. ``always`` is a kind that every request meets.
    """

    port: int = 0
    seed: int = 1
    key: str = "test-key"
    secret: str = ""
    latency_s: float = 0.0
    fault_share: float = 0.0
    kinds: str = ",".join(PASSING)
    always: str = ""
    always_after: int = 0
    hang_s: float = 30.0
    zero_results_share: float = 0.0
    not_found_share: float = 0.0
    displaced_share: float = 0.0
    far_share: float = 0.0
    shared_share: float = 0.0
    unofficial_share: float = 0.0
    year_only_share: float = 0.0
    undated_share: float = 0.0
    cell_m: float = 12.0
    quality: int = 65


class Google:
    """The service: what it is asked for is counted before it is answered."""

    def __init__(self, options: Options):
        self.options = options
        self.asked: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.n_metadata = self.n_images = self.n_in_flight = self.max_in_flight = 0
        self._pictures: dict[tuple[str, int], bytes] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(METADATA, self.metadata)
        app.router.add_get(IMAGE, self.image)
        app.router.add_get("/login", self.login)
        app.router.add_get("/_counts", self.counts)
        app.router.add_post("/_options", self.change)
        return app

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        self.n_metadata += 1
        query = request.query
        about = f"metadata {query.get('location') or query.get('pano')}"
        self.asked[about] += 1
        await asyncio.sleep(self.options.latency_s)
        refused = self._refusal(request)
        kind = "" if refused else self._fault(about)
        if kind in STATUSES:
            return web.json_response({"status": kind})
        if kind:
            return await self._fail(kind, request, json.dumps({"status": "OK", "pano_id": "cut"}).encode())
        if refused:
            return web.json_response({"error_message": refused, "status": "REQUEST_DENIED"})
        try:
            latitude, longitude = map(float, query["location"].split(","))
        except (KeyError, ValueError):
            return web.json_response({"status": "INVALID_REQUEST"})
        return web.json_response(self.describe(latitude, longitude))

    async def image(self, request: web.Request) -> web.StreamResponse:
        self.n_images += 1
        self.n_in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.n_in_flight)
        try:
            return await self._image(request)
        finally:
            self.n_in_flight -= 1

    async def _image(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        name = f"{query.get('pano')}@{round(float(query.get('heading', 0))) % 360:03d}"
        self.asked[name] += 1
        refused = self._refusal(request)
        if refused:
            return web.Response(status=403, text=f"{refused} {request.query_string}")
        try:
            width, height = map(int, query["size"].split("x"))
        except (KeyError, ValueError):
            return web.Response(status=400, text="Error: invalid size")
        cell = self._cell_of(query.get("pano", ""))
        body = self.picture(name, min(width, height, 640))
        kind = self._fault(name)
        if kind in ("", "cut_off", "drop", "hang"):
            # who breaks off has had the picture made, and pays
            self.billed[name] += cell is not None
        await asyncio.sleep(self.options.latency_s)
        if kind:
            return await self._fail(kind, request, body)
        if cell is None:
            wants_code = query.get("return_error_code") == "true"
            return web.Response(status=404) if wants_code else self._placeholder()
        return web.Response(body=body, content_type="image/jpeg")

    def describe(self, latitude: float, longitude: float) -> dict[str, Any]:
        """What metadata say of a place."""
        options = self.options
        row, column = self._cell_at(latitude, longitude)
        if self._chance("none", row, column) < options.zero_results_share:
            return {"status": "ZERO_RESULTS"}
        if self._chance("not found", row, column) < options.not_found_share:
            return {"status": "NOT_FOUND"}
        if self._chance("shared", row, column) < options.shared_share:
            row, column = row - row % 3, column - column % 3
        at = self._position(row, column)
        user = self._chance("unofficial", row, column) < options.unofficial_share
        said = {
            "copyright": "© A. Visitor" if user else "© Google",
            "date": self._date(row, column),
            "location": {"lat": at[0], "lng": at[1]},
            "pano_id": self._name(row, column),
            "status": "OK",
        }
        return {name: value for name, value in said.items() if value}

    async def login(self, request: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    async def counts(self, request: web.Request) -> web.Response:
        images = {name: n for name, n in self.asked.items() if not name.startswith("metadata ")}
        return web.json_response(
            {
                "n_metadata": self.n_metadata,
                "n_images": self.n_images,
                "n_billed": sum(self.billed.values()),
                "n_in_flight": self.n_in_flight,
                "max_in_flight": self.max_in_flight,
                "asked": images,
                "billed": self.billed,
                "kinds": self.kinds,
            }
        )

    async def change(self, request: web.Request) -> web.Response:
        for name, value in (await request.json()).items():
            setattr(self.options, name, value)
        return web.json_response(asdict(self.options))

    def picture(self, name: str, side: int) -> bytes:
        """A picture of its own for each name: one of each heading is drawn, and the name stands within."""
        heading = name.rpartition("@")[2]
        if (heading, side) not in self._pictures:
            self._pictures[heading, side] = _draw(heading, side, self.options.quality)
        drawn = self._pictures[heading, side]
        comment = name.encode()
        return drawn[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + drawn[2:]

    def _placeholder(self) -> web.Response:
        buffer = io.BytesIO()
        Image.new("RGB", (600, 300), (228, 227, 223)).save(buffer, "JPEG")
        return web.Response(body=buffer.getvalue(), content_type="image/jpeg")

    async def _fail(self, kind: str, request: web.Request, body: bytes) -> web.StreamResponse:
        self.kinds[kind] += 1
        if kind == "html":
            return web.Response(text="<html>one moment</html>", content_type="text/html")
        if kind == "json":
            return web.json_response({"error": "backend"})
        if kind == "blank":
            return self._placeholder()
        if kind == "login":
            return web.Response(status=302, headers={"Location": f"/login?continue={request.path_qs}"})
        if kind == "hang":
            await asyncio.sleep(self.options.hang_s)
        if kind == "cut_off":
            half = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "image/jpeg"})
            await half.prepare(request)
            await half.write(body[: len(body) // 2])
        if kind in ("hang", "drop", "cut_off"):
            if request.transport is not None:
                request.transport.abort()
            return half if kind == "cut_off" else web.Response()
        waits = {"Retry-After": "0"} if kind == "429" else {}
        return web.Response(status=int(kind), text=f"<html>{kind}</html>", content_type="text/html", headers=waits)

    def _fault(self, about: str) -> str:
        options = self.options
        n_asked = self.n_images if "@" in about else self.n_metadata
        if options.always and n_asked > options.always_after:
            return options.always
        if self._chance("fault", about, self.asked[about]) >= options.fault_share:
            return ""
        offered = [kind for kind in options.kinds.split(",") if "@" not in about or kind not in STATUSES]
        return offered[int(self._chance("kind", about, self.asked[about]) * len(offered))]

    def _refusal(self, request: web.Request) -> str:
        if request.query.get("key") != self.options.key:
            return "The provided API key is invalid."
        if self.options.secret:
            signed, signature = request.raw_path.partition("&signature=")[0], request.query.get("signature")
            digest = hmac.new(base64.urlsafe_b64decode(self.options.secret), signed.encode(), hashlib.sha1).digest()
            if signature != base64.urlsafe_b64encode(digest).decode():
                return "Unable to authenticate the request. Provided 'signature' is not valid."
        return ""

    def _cell_at(self, latitude: float, longitude: float) -> tuple[int, int]:
        step = self.options.cell_m / METRES_PER_DEGREE
        row = math.floor(latitude / step)
        return row, math.floor(longitude * math.cos(math.radians((row + 0.5) * step)) / step)

    def _position(self, row: int, column: int) -> tuple[float, float]:
        if self._chance("far", row, column) < self.options.far_share:
            return -33.45, -70.66
        step = self.options.cell_m / METRES_PER_DEGREE
        latitude = (row + 0.5) * step
        longitude = (column + 0.5) * step / math.cos(math.radians(latitude))
        if self._chance("displaced", row, column) < self.options.displaced_share:
            latitude += (60 + 200 * self._chance("how far", row, column)) / METRES_PER_DEGREE
        return round(latitude, 7), round(longitude, 7)

    def _date(self, row: int, column: int) -> str | None:
        year = 2009 + int(17 * self._chance("year", row, column))
        month = 1 + int(12 * self._chance("month", row, column))
        if self._chance("undated", row, column) < self.options.undated_share:
            return None
        has_month = self._chance("year only", row, column) >= self.options.year_only_share
        return f"{year}-{month:02d}" if has_month else str(year)

    def _name(self, row: int, column: int) -> str:
        place = struct.pack(">ii", row, column)
        seal = hashlib.sha256(place + str(self.options.seed).encode()).digest()[:8]
        return base64.urlsafe_b64encode(place + seal).decode().rstrip("=")

    def _cell_of(self, pano: str) -> tuple[int, int] | None:
        try:
            row, column = struct.unpack(">ii", base64.urlsafe_b64decode(pano + "==")[:8])
        except (ValueError, struct.error):
            return None
        return (row, column) if self._name(row, column) == pano else None

    def _chance(self, *about: object) -> float:
        digest = hashlib.blake2b(repr((self.options.seed, *about)).encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def _draw(heading: str, side: int, quality: int) -> bytes:
    """Large blots with grain: about 50 kB at 640 pixels."""
    draw = random.Random(heading)
    grains = [Image.frombytes("RGB", (n, n), draw.randbytes(3 * n * n)) for n in (16, 160)]
    coarse, fine = (grain.resize((side, side), Image.Resampling.BILINEAR) for grain in grains)
    buffer = io.BytesIO()
    Image.blend(coarse, fine, 0.3).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@dataclass(frozen=True)
class Running:
    """A service that runs in a process of its own."""

    address: str
    process_id: int

    def counts(self) -> dict[str, Any]:
        """What it was asked: ``asked`` and ``billed`` by ``panorama@heading``, and sums."""
        with urlopen(f"{self.address}/_counts") as reply:
            return json.loads(reply.read())

    def change(self, **options: Any) -> None:
        """Change its options while it runs."""
        urlopen(Request(f"{self.address}/_options", json.dumps(options).encode())).close()


@contextmanager
def serve_google(**options: Any) -> Iterator[Running]:
    """Start the service in a process of its own; end it when done."""
    named = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    # without the script's folder on the path, where its neighbours have names of other modules
    command = [sys.executable, "-P", os.path.abspath(__file__), *named]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(process.stdout.readline().strip(), process.pid)
        finally:
            process.kill()


async def _serve(options: Options) -> None:
    runner = web.AppRunner(Google(options).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port, backlog=1024)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="Stand in for Google Street View Static.")
    for field in fields(Options):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    asyncio.run(_serve(Options(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
