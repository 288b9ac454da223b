"""What every image source can do: a protocol of three questions, and what is declared of a provider.

A new provider is one module in ``providers/`` that declares ``PROVIDER``, and its test file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from streetimd_assets.sources.web import Web
    from streetimd_assets.study.imagery import Imagery

ANSWER_COLUMNS = (
    "point_id",
    "panorama_id",
    "status",
    "status_detail",
    "longitude_deg",
    "latitude_deg",
    "captured_on",
    "is_360",
    "camera_heading_deg",
    "source",
    "licence",
    "credit",
    "viewer_url",
)

# more unanswered than this, and a local authority of few images would be left with hardly any for a result
MOST_SILENT_SHARE = 0.25

Progress = Callable[[int, int], None]
Views = Mapping[float | None, bytes]


def most_silences_in_a_row(n_at_once: int) -> int:
    """Return after how many unanswered requests in a row a provider counts as gone.

    Each has been sent several times by then. Three from each connection are enough; of few connections,
    some more are waited for, and of very many, fewer.

    Examples
    --------
    >>> [most_silences_in_a_row(n_at_once) for n_at_once in (1, 8, 32, 256)]
    [20, 24, 96, 100]
    """
    return min(100, max(20, 3 * n_at_once))


class FetchFailed(Exception):
    """One image could not be had; its text says why, and the next image is asked for."""


@dataclass(frozen=True)
class Shot:
    """One request to a source, and the headings of the images it gives.

    A paid provider bills each shot once. None stands for the one heading of a photograph whose
    heading is not known.
    """

    panorama: Mapping[str, Any]
    headings_deg: tuple[float | None, ...]


class ImagerySource(Protocol):
    """Where street images come from."""

    name: str

    async def find_panoramas(
        self, points: "pd.DataFrame", web: "Web", progress: Progress | None = None
    ) -> "pd.DataFrame":
        """Answer which panorama stands near each point; costs nothing.

        Parameters
        ----------
        points
            Rows of ``sample_points``: ``point_id``, ``longitude_deg``, ``latitude_deg`` (EPSG:4326),
            ``easting_m`` and ``northing_m`` (EPSG:27700).
        web
            Asks over HTTP, at the provider's pace.
        progress
            Told how many requests are done and how many there are.

        Returns
        -------
        answers
            Columns :data:`ANSWER_COLUMNS`; ``status`` is ``ok``, ``no_imagery``, ``not_official``,
            ``outside_dates`` or ``failed``, and the position is the panorama's own, not the point's.
            A point has one row, or one for each flat photograph that looks towards another of the
            study's headings.

        Raises
        ------
        ImageryError
            If the source refuses.
        """
        ...

    def shots_of(self, panorama: Mapping[str, Any]) -> tuple[Shot, ...]:
        """Requests that give all images of a panorama, given as a row of ``panoramas``.

        Headings are clockwise from north, also where the study names them from the road's bearing.
        """
        ...

    async def fetch(self, shot: Shot, web: "Web") -> Views:
        """Fetch the images of one shot: the bytes of a file for each of its headings.

        Raises
        ------
        FetchFailed
            If these images cannot be had.
        NoAnswer
            If the server is silent; who collects counts how often.
        ImageryError
            If the source refuses, so that asking for others is of no use.
        """
        ...


@dataclass(frozen=True)
class Terms:
    """What a provider allows, as data: a summary for people, never legal advice.

    ``retention`` says in a sentence how long pictures may be kept; ``may_store_pixels`` is what the
    study's ``retain_images`` is if it is left out. ``may_stand_beside_maps`` is False where pictures may
    not be shown in one page with a map that is not the provider's own.
    """

    title: str
    url: str
    as_of: date
    needs_acceptance: bool
    may_store_pixels: bool
    retention: str
    licence: str
    licence_url: str | None
    credit: str
    summary: str
    may_stand_beside_maps: bool = True


@dataclass(frozen=True)
class Prices:
    """A price table as data: US dollars for 1,000 billed requests, by how many there are in a month.

    ``tiers`` are ``(up to this many a month, dollars for 1,000)``, rising; the last price holds
    beyond the last tier, and the first ``free_per_month`` cost nothing.
    """

    as_of: date
    url: str
    free_per_month: int
    tiers: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Provider:
    """A provider, declared once: how to open it, what it allows, what it costs and how fast it may be asked.

    Parameters
    ----------
    name
        What ``imagery.source`` names.
    title
        Name for people.
    address
        Of its service, unless the study names another; None for one that is not asked over HTTP.
    keys
        Environment variables it needs, and what each is.
    optional_keys
        Environment variables it uses if they are there.
    requests_per_minute
        Its published limit; None for no limit.
    terms, prices
        ``prices`` is None for one that costs nothing.
    open
        Makes the source from the study's imagery section and the keys that are there.
    view_url
        Names the page on which people see a panorama, given its id, in a direction; None if the provider
        has pages of whole panoramas only.
    """

    name: str
    title: str
    address: str | None
    keys: Mapping[str, str]
    optional_keys: Mapping[str, str]
    requests_per_minute: int | None
    terms: Terms
    prices: Prices | None
    open: Callable[["Imagery", Mapping[str, str]], ImagerySource]
    view_url: Callable[[str, float], str] | None = None


def headings_for(choice: "Imagery", panorama: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the study's headings at a panorama, clockwise from north, 0 to below 360.

    Where they are named from the road and its bearing is not known, they are taken from north.
    """
    bearing = panorama.get("road_bearing_deg")
    from_north = choice.headings_from == "north" or bearing is None or bearing != bearing
    turned = 0.0 if from_north else float(bearing)  # type: ignore[arg-type]
    return tuple((heading + turned) % 360 for heading in choice.headings_deg)


def heading_label(heading_deg: float | None) -> str:
    """Return a heading in whole degrees as three digits, or ``na`` if it is not known.

    Examples
    --------
    >>> heading_label(90), heading_label(359.7), heading_label(None)
    ('090', '000', 'na')
    """
    # a missing number read back from a table is NaN, which differs from itself
    if heading_deg is None or heading_deg != heading_deg:
        return "na"
    return f"{round(heading_deg) % 360:03d}"
