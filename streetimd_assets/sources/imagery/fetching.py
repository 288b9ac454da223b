"""Fetch images, many at once: paid for, checked, saved and recorded one by one."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import (
    MOST_SILENT_SHARE,
    FetchFailed,
    ImagerySource,
    Shot,
    Views,
    most_silences_in_a_row,
)
from streetimd_assets.sources.imagery.checking import ImageCheck, check_image
from streetimd_assets.sources.imagery.image_rows import (
    CHUNK,
    FROM_PANORAMA,
    OUTCOME,
    SETTLED,
    Outcome,
    Planned,
    Recorded,
    Row,
    image_id,
    is_held,
    known,
    rows_of,
)
from streetimd_assets.sources.web import NoAnswer, Web

if TYPE_CHECKING:
    import pandas as pd

# after an interruption, what has been sent is waited for so long
GRACE_S = 5.0

Checks = dict[float | None, ImageCheck]


class Purse(Protocol):
    """Pays for requests of a source that costs money."""

    async def reserve(self) -> None:
        """Pay for one request, before it is sent; raises BudgetError at a limit."""
        ...

    def close(self) -> None:
        """Give back what was set aside and not used."""
        ...


class _Stopped(Exception):
    """The collection was interrupted before this request was sent."""


class Collection:
    """A collection under way: what there is to be had, what came of it, and whether to go on.

    An outcome is a tuple of the columns :data:`OUTCOME`; those of images held from before are there at
    the start. ``planned`` has ``(image_id, number of the panorama's row, heading_deg)`` of each image.
    """

    def __init__(
        self,
        panoramas: "pd.DataFrame",
        source: ImagerySource,
        recorded: Recorded,
        view: str,
        save: Callable[[str, bytes], str],
        record: Callable[[Row], None],
    ) -> None:
        self.planned: list[Planned] = []
        self.outcomes: dict[str, Outcome] = {}
        self._panoramas = panoramas
        self._source = source
        self._view = view
        self._save = save
        self._record = record
        self._is_stopped = False
        # in a row, and in all
        self._n_silent = self._n_silences = 0
        self._problem: BaseException | None = None
        self._plan(recorded)

    def _plan(self, recorded: Recorded) -> None:
        for number, panorama in enumerate(rows_of(self._panoramas)):
            for shot in self._source.shots_of(panorama):
                for heading_deg in shot.headings_deg:
                    name = image_id(panorama["panorama_id"], heading_deg)
                    self.planned.append((name, number, heading_deg))
                    if is_held(recorded.get(name), self._view):
                        self.outcomes[name] = tuple(known(recorded[name][column]) for column in OUTCOME)
        self.planned.sort(key=lambda image: image[0])

    def what_is_held(self) -> str:
        """Say how many images are held, and how many are left."""
        n_held = sum(outcome[0] in SETTLED for outcome in self.outcomes.values())
        return f"{n_held:,} of {len(self.planned):,} images are held and {len(self.planned) - n_held:,} are left"

    async def run(self, web: Callable[[], Web], purse: Purse | None, n_at_once: int) -> None:
        """Fetch what is missing, so many at once; raise what stopped it, if anything did."""

        async def may_be_sent() -> None:
            if self._is_stopped:
                raise _Stopped
            if purse is not None:
                await purse.reserve()

        shots, self._most_in_a_row = self._missing_shots(), most_silences_in_a_row(n_at_once)
        # one thread decodes while this one asks and saves: more of them wait for each other
        with ThreadPoolExecutor(1, "checking") as pool:
            async with web() as open_web:
                open_web.before_each = may_be_sent
                workers = [asyncio.create_task(self._work(shots, open_web, pool)) for _ in range(n_at_once)]
                try:
                    await asyncio.wait(workers)
                except asyncio.CancelledError:
                    self._is_stopped = True
                    await asyncio.wait(workers, timeout=GRACE_S)
                    raise
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
        if self._problem is not None:
            raise self._problem

    async def _work(self, shots: Iterator[Shot], web: Web, pool: ThreadPoolExecutor) -> None:
        """Take the next shot of those that all workers share, until there is none or something stops them."""
        try:
            while not self._is_stopped and self._problem is None:
                shot = next(shots, None)
                if shot is None:
                    return
                received = await self._fetch(shot, web)
                checks = await asyncio.get_running_loop().run_in_executor(pool, self._check, shot, received)
                self._settle(shot, received, checks)
        except _Stopped:
            return
        except asyncio.CancelledError:
            raise
        except BaseException as problem:
            self._problem = self._problem or problem

    async def _fetch(self, shot: Shot, web: Web) -> Views | str:
        """Return the pictures of a shot, or why there are none."""
        try:
            views = await self._source.fetch(shot, web)
        except FetchFailed as failure:
            self._n_silent = 0
            return str(failure)
        except NoAnswer as silence:
            self._n_silent += 1
            self._n_silences += 1
            # of all there are: one picture that never comes must not stop a collection that lacks only that
            if self._n_silent >= self._most_in_a_row or self._n_silences > MOST_SILENT_SHARE * len(self.planned):
                raise ImageryError(
                    f"'{self._source.name}' did not answer {self._n_silences:,} requests, the last "
                    f"{self._n_silent:,} in a row ({silence}); check the network, or go on later: "
                    f"{self.what_is_held()}"
                ).passing() from None
            return str(silence)
        self._n_silent = 0
        return views

    def _missing_shots(self) -> Iterator[Shot]:
        """Shots with a heading that is not held; made when they are wanted, for there may be very many."""
        names = self._panoramas["panorama_id"]
        order = sorted(range(len(names)), key=lambda number: _shuffled(names.iloc[number]))
        for start in range(0, len(order), CHUNK):
            for panorama in rows_of(self._panoramas.iloc[order[start : start + CHUNK]]):
                for shot in self._source.shots_of(panorama):
                    if any(self._name(shot, heading_deg) not in self.outcomes for heading_deg in shot.headings_deg):
                        yield shot

    def _check(self, shot: Shot, received: Views | str) -> Checks:
        """Check the images of a shot that are not held; in a thread of its own."""
        if isinstance(received, str):
            return {}
        missing = (heading for heading in shot.headings_deg if self._name(shot, heading) not in self.outcomes)
        return {heading: check_image(received[heading]) for heading in missing if heading in received}

    def _settle(self, shot: Shot, received: Views | str, checks: Checks) -> None:
        """Save and record the images of a shot that are not held."""
        for heading_deg in shot.headings_deg:
            name = self._name(shot, heading_deg)
            if name in self.outcomes:
                continue
            outcome = self._outcome(name, heading_deg, received, checks)
            about = {column: known(shot.panorama[column]) for column in FROM_PANORAMA}
            row = {"image_id": name, "heading_deg": known(heading_deg), **about, **outcome, "view": self._view}
            self._record(row)
            self.outcomes[name] = tuple(outcome[column] for column in OUTCOME)

    def _outcome(self, name: str, heading_deg: float | None, received: Views | str, checks: Checks) -> Row:
        outcome: Row = dict.fromkeys(OUTCOME)
        if isinstance(received, str):
            return outcome | {"status": "failed", "status_detail": received}
        if heading_deg not in checks:
            return outcome | {"status": "failed", "status_detail": "the source gave no picture of this heading"}
        outcome |= vars(checks[heading_deg])
        if outcome["status"] == "ok":
            outcome["image_path"] = self._save(name, received[heading_deg])
        return outcome

    def _name(self, shot: Shot, heading_deg: float | None) -> str:
        return image_id(shot.panorama["panorama_id"], heading_deg)


def _shuffled(panorama_id: str) -> bytes:
    return hashlib.blake2b(str(panorama_id).encode(), digest_size=8).digest()
