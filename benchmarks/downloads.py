"""How fast images are collected, beside a plain loop and a pool of threads, and in how much memory.

    python -m benchmarks.downloads

A server in a process of its own answers each request after 50 ms with a JPEG of about 50 kB. A loop
of ``requests.get`` and a pool of 64 threads, each with a session that keeps its connection, fetch and
write files. Ours has 64 connections and also checks each picture, renames it into place and keeps the
journal; so does a second pool of threads. All take turns in one run, so that the ratios hold where the
rates do not. Then 2,000 and 20,000 images are collected, each in a fresh process, and their largest
memory is compared.
"""

import argparse
import asyncio
import functools
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.findings import Finding, conclude, parser
from benchmarks.processes import peak_mib

LATENCY_S = 0.05
N_CONNECTIONS = 64
HEADINGS = (0.0, 90.0, 180.0, 270.0)
N_LOOP, N_EACH, N_ROUNDS = 40, 1_500, 3
N_FEW, N_MANY = 2_000, 20_000
LEAST_RATIO, MOST_GROWTH_MIB = 20, 50


def draw_jpegs(n_pictures: int) -> list[bytes]:
    """Pictures of 640 x 640 pixels and about 50 kB: large blots with grain."""
    import io

    from PIL import Image

    draw, jpegs = random.Random(1), []
    for _ in range(n_pictures):
        grains = [Image.frombytes("RGB", (n, n), draw.randbytes(3 * n * n)) for n in (16, 160)]
        coarse, fine = (grain.resize((640, 640), Image.Resampling.BILINEAR) for grain in grains)
        buffer = io.BytesIO()
        Image.blend(coarse, fine, 0.3).save(buffer, "JPEG", quality=65)
        jpegs.append(buffer.getvalue())
    return jpegs


async def serve() -> None:
    """Answer any path with a picture, after the latency; print the address first."""
    from aiohttp import web

    jpegs = draw_jpegs(len(HEADINGS))

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(LATENCY_S)
        return web.Response(body=jpegs[hash(request.path) % len(jpegs)], content_type="image/jpeg")

    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own and yield its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.downloads", "--serve"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def collect_ours(address: str, folder: Path, n_images: int) -> None:
    """Collect with this package: fetched, checked, saved, recorded, and put into a table."""
    from streetimd_assets.sources.imagery.base import Shot
    from streetimd_assets.sources.imagery.collecting import collect_images
    from streetimd_assets.sources.web import Web
    from streetimd_assets.store.images import ImageStore

    class Server:
        name = "benchmark"

        async def find_panoramas(self, points: Any, web: Any, progress: Any = None) -> Any:
            raise NotImplementedError

        def shots_of(self, panorama: Any) -> tuple[Shot, ...]:
            return tuple(Shot(panorama, (heading,)) for heading in HEADINGS)

        async def fetch(self, shot: Shot, web: Web) -> dict[float | None, bytes]:
            heading = shot.headings_deg[0]
            answer = await web.get(f"{address}/{shot.panorama['panorama_id']}-{heading:g}")
            return {heading: answer.body}

    names = [f"panorama-{number:06d}-of-the-benchmark" for number in range(n_images // len(HEADINGS))]
    panoramas = pd.DataFrame({"panorama_id": names, "point_id": names}).assign(
        status="ok", lsoa_code="E01000001", captured_on=None, source="benchmark", licence="CC0-1.0"
    )
    panoramas = panoramas.assign(credit="nobody", viewer_url=[f"{address}/{name}" for name in names])
    store = ImageStore(folder, "anywhere")
    images = collect_images(
        panoramas,
        Server(),
        web=functools.partial(Web, max_connections=N_CONNECTIONS),
        recorded=store.recorded(),
        view="640 px",
        save=store.save,
        record=store.record,
        n_at_once=N_CONNECTIONS,
    )
    assert (images["status"] == "ok").all(), images["status_detail"].value_counts()
    assert store.files()[0] == n_images


def collect_in_loop(address: str, folder: Path, n_images: int) -> None:
    """Fetch one after another, as a notebook does."""
    import requests

    for number in range(n_images):
        (folder / f"{number}.jpg").write_bytes(requests.get(f"{address}/{number}", timeout=60).content)


def collect_in_threads(address: str, folder: Path, n_images: int) -> None:
    """Fetch in 64 threads, each with a session of its own."""
    import requests

    own = threading.local()

    def fetch(number: int) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        (folder / f"{number}.jpg").write_bytes(own.session.get(f"{address}/{number}", timeout=60).content)

    with ThreadPoolExecutor(N_CONNECTIONS) as pool:
        list(pool.map(fetch, range(n_images)))


def collect_in_threads_checked(address: str, folder: Path, n_images: int) -> None:
    """The same pool, which does to each picture what ours does."""
    import requests

    from streetimd_assets.sources.imagery.checking import check_image
    from streetimd_assets.store.images import ImageStore

    own, store = threading.local(), ImageStore(folder, "anywhere")

    def fetch(number: int) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        data = own.session.get(f"{address}/{number}", timeout=60).content
        found = vars(check_image(data))
        assert found["status"] == "ok"
        store.record({"image_id": str(number), "image_path": store.save(str(number), data), **found})

    with ThreadPoolExecutor(N_CONNECTIONS) as pool:
        list(pool.map(fetch, range(n_images)))


BESIDE = (
    ("loop", "requests.get in a loop", f">= {LEAST_RATIO}"),
    ("threads", "64 threads that only write files", ">= 1"),
    ("checked", "64 threads that check and record too", ""),
)
WAYS: dict[str, tuple[Callable[[str, Path, int], None], int]] = {
    "loop": (collect_in_loop, N_LOOP),
    "threads": (collect_in_threads, N_EACH),
    "checked": (collect_in_threads_checked, N_EACH),
    "ours": (collect_ours, N_EACH),
}


def measure_here(way: str, address: str, n_images: int) -> None:
    """Collect in this process; print images per second, CPU milliseconds per image and the largest memory."""
    with tempfile.TemporaryDirectory() as folder:
        # libraries are loaded and the first connections made before the clock starts
        WAYS[way][0](address, Path(folder, "first").absolute() if way == "ours" else Path(folder), 8)
        started, used = time.monotonic(), time.process_time()
        WAYS[way][0](address, Path(folder), n_images)
        seconds, cpu_s = time.monotonic() - started, time.process_time() - used
    print(json.dumps({"rate": n_images / seconds, "cpu_ms": 1000 * cpu_s / n_images, "mib": peak_mib()}))


def measure(way: str, address: str, n_images: int) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.downloads", "--measure", way, address, str(n_images)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main(*, keep: bool) -> int:
    """Measure all, and return 1 if a target is missed."""
    with server() as address:
        rounds = [{way: measure(way, address, n) for way, (_, n) in WAYS.items()} for _ in range(N_ROUNDS)]
        few, many = (measure("ours", address, n)["mib"] for n in (N_FEW, N_MANY))
    rates = {way: median(one[way]["rate"] for one in rounds) for way in WAYS}
    cpu_ms = {way: median(one[way]["cpu_ms"] for one in rounds) for way in WAYS}
    images = "images fetched, 50 ms away, 64 connections"
    findings = [
        Finding(images, rates["ours"], "images/s", beside, rates[way], wanted, more_is_better=True)
        for way, beside, wanted in BESIDE
    ]
    findings += [
        Finding("processor's time per image fetched", cpu_ms["ours"], "ms", beside, cpu_ms[way])
        for way, beside, _ in BESIDE
    ]
    growth = f"memory for {N_MANY:,} images beyond that for {N_FEW:,}"
    findings.append(Finding(growth, many - few, "MiB", wanted=f"<= {MOST_GROWTH_MIB}"))
    return conclude("downloads", findings, keep=keep)


if __name__ == "__main__":
    switches = parser(__doc__)
    switches.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    switches.add_argument("--measure", nargs=3, metavar=("WAY", "ADDRESS", "N_IMAGES"), help=argparse.SUPPRESS)
    options = switches.parse_args()
    if options.serve:
        asyncio.run(serve())
    elif options.measure:
        measure_here(options.measure[0], options.measure[1], int(options.measure[2]))
    else:
        sys.exit(main(keep=options.keep))
