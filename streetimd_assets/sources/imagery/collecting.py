"""Collect the images of panoramas: each one once, resumable, failures as rows."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from streetimd_assets.schemas import TABLES
from streetimd_assets.sources.imagery.base import FetchFailed, ImagerySource, heading_label
from streetimd_assets.sources.imagery.checking import check_image

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

# an image with one of these was had, and asking again would bring the same
SETTLED = ("ok", "invalid_image")
PROGRESS_EVERY = 100
_OUTCOME = ("status", "status_detail", "image_path", "width_px", "height_px", "n_bytes", "sha256")
_FROM_PANORAMA = ("panorama_id", "point_id", "lsoa_code", "captured_on", "source", "licence", "credit")


def image_id(panorama_id: str, heading_deg: float | None) -> str:
    """Name an image by its panorama and heading.

    Examples
    --------
    >>> image_id("p1", 90), image_id("p1", None)
    ('p1@090', 'p1@na')
    """
    return f"{panorama_id}@{heading_label(heading_deg)}"


def collect_images(
    panoramas: "pd.DataFrame",
    source: ImagerySource,
    *,
    recorded: Mapping[str, Mapping[str, Any]],
    save: Callable[[str, bytes], str],
    record: Callable[[Row], None],
    progress: Callable[[int, int], None] | None = None,
) -> "pd.DataFrame":
    """Collect every image of the usable panoramas.

    An image recorded as ``ok`` or ``invalid_image`` is never asked for again; one recorded as
    ``failed`` is. Each new image is saved, then recorded, before the next is asked for, so a run
    that is stopped goes on where it was.

    Parameters
    ----------
    panoramas
        Rows of ``panoramas``; only those with status ``ok`` are asked for.
    source
        Where images come from.
    recorded
        Rows of ``street_images`` from earlier runs, by ``image_id``.
    save
        Called with ``image_id`` and the bytes of a good image; returns the path it is kept under.
        What it raises, such as a full disk, stops the collection.
    record
        Called with the row of each new image.
    progress
        Called after every hundredth image and the last, with how many are done and how many there are.

    Returns
    -------
    images
        ``street_images``: one row per panorama and heading, in the order of ``image_id``.

    Raises
    ------
    ImageryError
        If the source refuses.
    """
    planned = sorted(_plan(panoramas, source), key=lambda plan: plan[0])
    rows = []
    for n_done, (name, panorama, heading_deg) in enumerate(planned, start=1):
        about: Row = {"image_id": name, "heading_deg": heading_deg}
        about |= {column: _known(panorama[column]) for column in _FROM_PANORAMA}
        before = recorded.get(name)
        if before is not None and before["status"] in SETTLED:
            row = about | {column: _known(before[column]) for column in _OUTCOME}
        else:
            row = about | _fetch(name, panorama, heading_deg, source, save)
            record(row)
        rows.append(row)
        if progress is not None and (n_done % PROGRESS_EVERY == 0 or n_done == len(planned)):
            progress(n_done, len(planned))
    return _as_table(rows)


def _plan(panoramas: "pd.DataFrame", source: ImagerySource) -> Iterator[tuple[str, Row, float | None]]:
    """Every image there is to be had: its name, panorama and heading."""
    for row in panoramas[panoramas["status"] == "ok"].to_dict("records"):
        panorama = {str(column): value for column, value in row.items()}
        for heading_deg in source.headings_of(panorama):
            yield image_id(panorama["panorama_id"], heading_deg), panorama, heading_deg


def _fetch(
    name: str,
    panorama: Row,
    heading_deg: float | None,
    source: ImagerySource,
    save: Callable[[str, bytes], str],
) -> Row:
    """Fetch, check and save one image; what became of it, as columns of its row."""
    outcome: Row = dict.fromkeys(_OUTCOME)
    try:
        data = source.fetch_image(panorama, heading_deg)
    except FetchFailed as failure:
        return outcome | {"status": "failed", "status_detail": str(failure)}
    outcome |= vars(check_image(data))
    if outcome["status"] == "ok":
        outcome["image_path"] = save(name, data)
    return outcome


def _known(value: Any) -> Any:
    """Return None for the several ways in which a data frame says that nothing is known."""
    import pandas as pd

    return None if pd.isna(value) else value


def _as_table(rows: list[Row]) -> "pd.DataFrame":
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(TABLES["street_images"].column_names))
    counts = dict.fromkeys(("width_px", "height_px", "n_bytes"), "Int64")
    return table.astype({"heading_deg": "float64", **counts})
