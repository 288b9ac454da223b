"""Collect the images of panoramas: each one once, resumable, failures as rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streetimd_assets.errors import BudgetError
from streetimd_assets.sources.imagery.aside import run_aside
from streetimd_assets.sources.imagery.base import ImagerySource, Progress
from streetimd_assets.sources.imagery.fetching import Collection, Purse
from streetimd_assets.sources.imagery.image_rows import Recorded, Row, as_table, image_id, is_held, rows_of
from streetimd_assets.sources.web import Web

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PlannedImages:
    """How many images some panoramas give, and how many of them are held.

    Parameters
    ----------
    n_planned
        For each row of the panoramas, with their index; 0 for one that is not used.
    n_held
        By ``panorama_id``.
    n_to_buy
        Requests still to be sent, which is what a paid provider bills.
    """

    n_planned: "pd.Series"
    n_held: Mapping[str, int]
    n_to_buy: int


def ask_panoramas(
    source: ImagerySource,
    points: "pd.DataFrame",
    *,
    web: Callable[[], Web],
    progress: Progress | None = None,
) -> "pd.DataFrame":
    """Ask a source which panorama stands near each point, and wait for the answers.

    Parameters
    ----------
    source, points
        As :meth:`~streetimd_assets.sources.imagery.base.ImagerySource.find_panoramas` takes them.
    web
        Makes the client that asks.
    progress
        Called about once a second, in the calling thread, with how many requests are done and how
        many there are.

    Raises
    ------
    ImageryError
        If the source refuses.
    """
    told: list[tuple[int, int]] = []

    async def ask() -> "pd.DataFrame":
        async with web() as open_web:
            return await source.find_panoramas(points, open_web, lambda *counts: told.append(counts))

    def look() -> None:
        if progress is not None and told:
            progress(*told[-1])
            told.clear()

    answers = run_aside(ask, look=look)
    look()
    return answers


def images_of(panoramas: "pd.DataFrame", source: ImagerySource, recorded: Recorded, view: str) -> PlannedImages:
    """Count the images of panoramas before any is fetched; parameters as of :func:`collect_images`."""
    import pandas as pd

    n_planned = pd.Series(0, index=panoramas.index, dtype="int64")
    n_held: dict[str, int] = {}
    n_to_buy = 0
    usable = panoramas.index[panoramas["status"] == "ok"]
    for label, panorama in zip(usable, rows_of(panoramas.loc[usable]), strict=True):
        name = panorama["panorama_id"]
        for shot in source.shots_of(panorama):
            held = [is_held(recorded.get(image_id(name, heading)), view) for heading in shot.headings_deg]
            n_planned[label] += len(held)
            n_held[name] = n_held.get(name, 0) + sum(held)
            n_to_buy += not all(held)
    return PlannedImages(n_planned, n_held, n_to_buy)


def collect_images(
    panoramas: "pd.DataFrame",
    source: ImagerySource,
    *,
    web: Callable[[], Web],
    recorded: Recorded,
    view: str,
    save: Callable[[str, bytes], str],
    record: Callable[[Row], None],
    purse: Purse | None = None,
    n_at_once: int,
    progress: Progress | None = None,
) -> "pd.DataFrame":
    """Collect every image of the usable panoramas.

    An image recorded as ``ok`` or ``invalid_image`` in the same view is never asked for again; one
    recorded as ``failed`` is. Each new image is saved and recorded as soon as it is there, so a run
    that is stopped or killed goes on where it was. Panoramas are taken in an order that has nothing to do
    with where they stand: what a stopped run holds is spread over all LSOAs.

    Whatever interrupts the calling thread stops the collection: nothing more is sent, what has been sent
    is waited for a few seconds, and what has been received is saved and recorded.

    Parameters
    ----------
    panoramas
        Rows of ``panoramas``; only those with status ``ok`` are asked for.
    source
        Where images come from.
    web
        Makes the client that asks.
    recorded
        Rows of ``street_images`` from earlier runs with their ``view``, by ``image_id``.
    view
        Names what a picture takes in, such as its size and field of view: a picture of another view
        is another picture.
    save
        Called with ``image_id`` and the bytes of a good image; returns the path it is kept under. What
        it raises, such as a full disk, stops the collection.
    record
        Called with the row of each new image, and ``view`` in it.
    purse
        Pays for each request before it is sent, also for one that is sent again; closed at the end.
    n_at_once
        Requests under way at the same time; as many images are in memory at most.
    progress
        Called about once a second and at the end, in the calling thread, with how many images are
        done and how many there are.

    Returns
    -------
    images
        ``street_images``: one row per panorama and heading, in the order of ``image_id``.

    Raises
    ------
    BudgetError
        If the purse pays no more; says how many images are held and how many are left.
    ImageryError
        If the source refuses.
    """
    usable = panoramas[panoramas["status"] == "ok"]
    collection = Collection(usable, source, recorded, view, save, record)

    def look() -> None:
        if progress is not None:
            progress(len(collection.outcomes), len(collection.planned))

    try:
        if len(collection.outcomes) < len(collection.planned):
            run_aside(lambda: collection.run(web, purse, n_at_once), look=look)
    except BudgetError as limit:
        raise BudgetError(f"{limit}; {collection.what_is_held()}") from None
    finally:
        if purse is not None:
            purse.close()
    look()
    return as_table(usable, collection.planned, collection.outcomes)
