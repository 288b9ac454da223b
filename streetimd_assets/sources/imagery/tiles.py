"""Ask a provider for all that it has around the points, tile by tile, without being fobbed off.

A search that finds too much returns a part of it and does not say so. A tile whose answer is about as long
as an answer can be is therefore asked for again in quarters, and those again if need be.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import Progress
from streetimd_assets.sources.imagery.choosing import Picture, to_metres
from streetimd_assets.sources.web import NoAnswer

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# about ten metres: tiles are not split into smaller ones
SMALLEST_DEG = 0.0001
# after so many questions in a row without an answer no more are asked
PATIENCE = 10
PROGRESS_EVERY = 20
METRES_PER_DEGREE = 111_000.0


class Tile(NamedTuple):
    """A box in degrees, EPSG:4326, and how often it was split off a larger one."""

    west: float
    south: float
    east: float
    north: float
    n_splits: int = 0

    @property
    def may_be_split(self) -> bool:
        """True if its quarters are not too small."""
        return (self.east - self.west) / 2 >= SMALLEST_DEG

    @property
    def bbox(self) -> str:
        """West, south, east and north as services take them."""
        return ",".join(f"{edge:.7f}" for edge in self[:4])

    def quarters(self) -> list["Tile"]:
        """Return the four tiles it is made of."""
        x, y = (self.west + self.east) / 2, (self.south + self.north) / 2
        return [
            Tile(west, south, east, north, self.n_splits + 1)
            for west, east in ((self.west, x), (x, self.east))
            for south, north in ((self.south, y), (y, self.north))
        ]


class Found(NamedTuple):
    """What an answer held; ``is_full`` if there may be more than it could hold."""

    pictures: list[Picture]
    is_full: bool


Ask = Callable[[Tile], Awaitable[Found]]


@dataclass
class Survey:
    """What was found around the points, and which points nothing can be said of.

    ``unanswered`` says why, by ``point_id``. ``n_split`` tiles were asked for again in quarters, and
    ``n_still_full`` of the smallest may hold more than was had of them.
    """

    pictures: dict[str, Picture] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    n_asked: int = 0
    n_split: int = 0
    n_still_full: int = 0


async def survey_points(
    points: "pd.DataFrame",
    ask: Ask,
    *,
    title: str,
    size_deg: float,
    max_distance_m: float,
    n_at_once: int,
    progress: Progress | None = None,
) -> Survey:
    """Find every picture within a distance of any point.

    Parameters
    ----------
    points
        Rows of ``sample_points``.
    ask
        Asks for what there is in a tile; raises NoAnswer where that cannot be had.
    title
        The provider's name for people.
    size_deg
        Side of a tile that is not yet split.
    max_distance_m
        Distance around a point.
    n_at_once
        Tiles asked for at the same time.
    progress
        Told now and then how many tiles are done and how many there are; splitting adds some.

    Raises
    ------
    ImageryError
        If the provider refuses, or does not answer at all.
    """
    surveyor = _Surveyor(points, ask, title, max_distance_m, progress)
    await surveyor.walk(tiles_around(points, size_deg=size_deg, max_distance_m=max_distance_m), n_at_once)
    survey = surveyor.survey
    if survey.n_split:
        logger.info("%s: %d of %d tiles were full and asked for in quarters", title, survey.n_split, survey.n_asked)
    if survey.n_still_full:
        logger.warning(
            "%s: %d of the smallest tiles are still full; some pictures there were not seen",
            title,
            survey.n_still_full,
        )
    return survey


def tiles_around(points: "pd.DataFrame", *, size_deg: float, max_distance_m: float) -> list[Tile]:
    """Return the tiles of a fixed grid that come within a distance of any point, south to north."""
    boxes = _boxes(points, max_distance_m)
    cells: set[tuple[int, int]] = set()
    for first_column, first_row, last_column, last_row in np.floor(boxes / size_deg).astype(int).tolist():
        columns, rows = range(first_column, last_column + 1), range(first_row, last_row + 1)
        cells |= {(row, column) for row in rows for column in columns}
    return [
        Tile(column * size_deg, row * size_deg, (column + 1) * size_deg, (row + 1) * size_deg)
        for row, column in sorted(cells)
    ]


class _Surveyor:
    """Walk from tile to tile, and note what is found."""

    def __init__(
        self, points: "pd.DataFrame", ask: Ask, title: str, max_distance_m: float, progress: Progress | None
    ) -> None:
        from scipy.spatial import cKDTree

        self.survey = Survey()
        self._ask = ask
        self._title = title
        self._max_distance_m = max_distance_m
        self._progress = progress
        self._point_ids = points["point_id"].to_numpy()
        self._boxes = _boxes(points, max_distance_m)
        self._tree = cKDTree(points[["easting_m", "northing_m"]].to_numpy(float).reshape(-1, 2))
        self._n_done = self._n_tiles = self._n_silent = 0

    async def walk(self, tiles: list[Tile], n_at_once: int) -> None:
        self._tiles: asyncio.Queue[Tile] = asyncio.Queue()
        self._add(tiles)
        try:
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(self._work()) for _ in range(n_at_once)]
                await self._tiles.join()
                for worker in workers:
                    worker.cancel()
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None

    def _add(self, tiles: list[Tile]) -> None:
        self._n_tiles += len(tiles)
        for tile in tiles:
            self._tiles.put_nowait(tile)

    async def _work(self) -> None:
        while True:
            tile = await self._tiles.get()
            await self._visit(tile)
            self._n_done += 1
            is_time = self._n_done % PROGRESS_EVERY == 0 or self._n_done == self._n_tiles
            if self._progress is not None and is_time:
                self._progress(self._n_done, self._n_tiles)
            self._tiles.task_done()

    async def _visit(self, tile: Tile) -> None:
        self.survey.n_asked += 1
        try:
            found = await self._ask(tile)
        except NoAnswer as silence:
            self._note_silence(tile, str(silence))
            return
        self._n_silent = 0
        if found.is_full and tile.may_be_split:
            self._split(tile)
            return
        self.survey.n_still_full += found.is_full
        self.survey.pictures |= {picture.panorama_id: picture for picture in self._near(found.pictures)}

    def _note_silence(self, tile: Tile, why: str) -> None:
        self._n_silent += 1
        if self._n_silent >= PATIENCE:
            raise ImageryError(f"{self._title} does not answer ({why}); run again later").passing()
        if tile.n_splits == 0:
            # a service may break down over a long answer where it manages a shorter one
            self._split(tile)
        else:
            self.survey.unanswered |= dict.fromkeys(self._point_ids[self._touches(tile)], why)

    def _split(self, tile: Tile) -> None:
        self.survey.n_split += 1
        self._add([quarter for quarter in tile.quarters() if self._touches(quarter).any()])

    def _touches(self, tile: Tile) -> np.ndarray:
        """Which points have something of the tile within the distance, ``(n_points,)``."""
        west, south, east, north = self._boxes.T
        return (west <= tile.east) & (east >= tile.west) & (south <= tile.north) & (north >= tile.south)

    def _near(self, pictures: list[Picture]) -> list[Picture]:
        """Pictures within the distance of any point; of a town many are not."""
        if not pictures:
            return []
        places = to_metres([p.longitude_deg for p in pictures], [p.latitude_deg for p in pictures])
        distances_m, _ = self._tree.query(places, distance_upper_bound=self._max_distance_m + 1)
        return [picture for picture, distance in zip(pictures, distances_m, strict=True) if math.isfinite(distance)]


def _boxes(points: "pd.DataFrame", max_distance_m: float) -> np.ndarray:
    """West, south, east and north around each point, ``(n_points, 4)`` in degrees."""
    longitudes, latitudes = (points[name].to_numpy(float) for name in ("longitude_deg", "latitude_deg"))
    up = np.full(len(points), (max_distance_m + 1) / METRES_PER_DEGREE)
    across = up / np.cos(np.radians(latitudes))
    return np.column_stack([longitudes - across, latitudes - up, longitudes + across, latitudes + up])


def unreadable(body: bytes) -> bool:
    """Say whether what should be JSON is not, such as a page that says one moment please."""
    return body.lstrip()[:1] != b"{"


def page_of_text(body: bytes) -> bool:
    """Say whether what should be a picture is a page of text."""
    return body.lstrip()[:1] in (b"<", b"{")
