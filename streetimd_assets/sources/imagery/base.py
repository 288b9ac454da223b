"""What every image source can do: a protocol of three questions.

A new provider is one new module with a class that answers them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

ANSWER_COLUMNS = (
    "point_id",
    "panorama_id",
    "status",
    "status_detail",
    "longitude_deg",
    "latitude_deg",
    "captured_on",
    "camera_heading_deg",
    "source",
    "licence",
    "credit",
)


class FetchFailed(Exception):
    """One image could not be had; its text says why, and the next image is asked for."""


class ImagerySource(Protocol):
    """Where street images come from."""

    name: str

    def find_panoramas(self, points: "pd.DataFrame") -> "pd.DataFrame":
        """Answer which panorama stands near each point; costs nothing.

        Parameters
        ----------
        points
            ``point_id``, ``longitude_deg``, ``latitude_deg`` (EPSG:4326), ``easting_m`` and
            ``northing_m`` (EPSG:27700).

        Returns
        -------
        answers
            Columns :data:`ANSWER_COLUMNS`; ``status`` is ``ok``, ``no_imagery``, ``not_official``
            or ``failed``, and the position is the panorama's own, not the point's.

        Raises
        ------
        ImageryError
            If the source refuses.
        """
        ...

    def headings_of(self, panorama: Mapping[str, Any]) -> tuple[float | None, ...]:
        """Directions in which images of a panorama can be had, degrees clockwise from north.

        None stands for the one heading of a photograph whose heading is not known.
        """
        ...

    def fetch_image(self, panorama: Mapping[str, Any], heading_deg: float | None) -> bytes:
        """Fetch one image of a panorama, as the bytes of its file.

        Raises
        ------
        FetchFailed
            If this one image cannot be had.
        ImageryError
            If the source refuses, so that asking for others is of no use.
        """
        ...


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
