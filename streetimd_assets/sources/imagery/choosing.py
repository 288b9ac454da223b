"""Choose among the pictures near each point: a panorama, or a photograph for each of the study's headings.

For providers that say what there is in an area, rather than near a point.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS, Shot, headings_for
from streetimd_assets.sources.imagery.capture_dates import why_outside

if TYPE_CHECKING:
    import pandas as pd
    from pyproj import Transformer

    from streetimd_assets.study.imagery import Imagery

# a photograph that looks further than this from a heading does not stand for it
WIDEST_DEG = 45.0
# an angle beyond this is no angle
_MOST_TURNED_DEG = 1e6
OF_PICTURE = ("licence", "credit", "viewer_url", "captured_on", "is_360", "camera_heading_deg")


@dataclass(frozen=True, slots=True)
class Picture:
    """What a provider says of one picture; position in EPSG:4326."""

    panorama_id: str
    longitude_deg: float
    latitude_deg: float
    captured_on: date | None
    is_360: bool
    camera_heading_deg: float | None
    licence: str | None
    credit: str | None
    viewer_url: str | None


def answer_points(
    points: "pd.DataFrame",
    pictures: Iterable[Picture],
    choice: "Imagery",
    *,
    source: str,
    unanswered: Mapping[str, str],
) -> "pd.DataFrame":
    """Answer which pictures stand near each point.

    Parameters
    ----------
    points
        Rows of ``sample_points``.
    pictures
        What there is, each once.
    choice
        Distance, dates, headings and which of several pictures is preferred.
    source
        Name of the provider.
    unanswered
        Why nothing can be said of a point, by ``point_id``: it is ``failed``.

    Returns
    -------
    answers
        Columns :data:`ANSWER_COLUMNS`: for each point one row, or one for each flat photograph chosen.
    """
    import pandas as pd

    near = _find_near(points, sorted(pictures, key=lambda picture: picture.panorama_id), choice.max_distance_m)
    rows: list[dict[str, Any]] = []
    for point in points.to_dict("records"):
        about = {**dict.fromkeys(ANSWER_COLUMNS), "point_id": point["point_id"], "source": source}
        if point["point_id"] in unanswered:
            rows.append(about | {"status": "failed", "status_detail": unanswered[point["point_id"]]})
        else:
            found = near.get(point["point_id"], ())
            headings_deg = headings_for(choice, {str(name): value for name, value in point.items()})
            rows += [about | row for row in _answer(found, headings_deg, choice)]
    table = pd.DataFrame(rows, columns=list(ANSWER_COLUMNS))
    return table.astype(dict.fromkeys(("longitude_deg", "latitude_deg", "camera_heading_deg"), "float64"))


def choose_pictures(
    found: Sequence[tuple[float, Picture]], headings_deg: Sequence[float], choice: "Imagery"
) -> list[Picture]:
    """Choose a 360 degree panorama or, where there is none, a flat photograph for each heading.

    Of several the nearest, or the newest, is taken; of equals the first by name. A photograph stands for
    one heading only, from which it looks away by no more than half the gap to the next, and 45 degrees.

    Parameters
    ----------
    found
        Distance from the point, metres, and picture.
    headings_deg
        The study's, clockwise from north.
    choice
        Dates and preference.

    Returns
    -------
    chosen
        One panorama, or flat photographs in the order of the headings; none that is outside the study's dates.
    """
    offered = [(distance, picture) for distance, picture in found if is_within_dates(picture.captured_on, choice)]
    ranked = [picture for _, picture in sorted(offered, key=lambda pair: _rank(pair[0], pair[1], choice))]
    panorama = next((picture for picture in ranked if picture.is_360), None)
    if panorama is not None:
        return [panorama]
    chosen: list[Picture] = []
    for heading_deg in headings_deg:
        reach_deg = _reach(heading_deg, headings_deg)
        towards = (p for p in ranked if p not in chosen and _apart(p.camera_heading_deg, heading_deg) <= reach_deg)
        chosen += [picture for picture in [next(towards, None)] if picture is not None]
    return chosen


def is_within_dates(captured_on: date | None, choice: "Imagery") -> bool:
    """Say whether a day is one of the study's; one that is not known is not, unless every day is."""
    return why_outside(captured_on.isoformat() if captured_on else "", choice) is None


def shots_for(choice: "Imagery", panorama: Mapping[str, Any]) -> tuple[Shot, ...]:
    """Return the one request that gives all pictures of a panorama or flat photograph."""
    if panorama["is_360"]:
        return (Shot(panorama, headings_for(choice, panorama)),)
    return (Shot(panorama, (float(panorama["camera_heading_deg"]),)),)


def to_metres(longitude_deg: Sequence[float], latitude_deg: Sequence[float]) -> np.ndarray:
    """Return positions in EPSG:4326 as eastings and northings in EPSG:27700, ``(n_positions, 2)``."""
    # a copy as plain arrays, which pyproj may write to
    eastings, northings = _transformer().transform(np.array(longitude_deg, float), np.array(latitude_deg, float))
    return np.column_stack([eastings, northings])


@cache
def _transformer() -> "Transformer":
    # it takes longer to make than to use
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)


def read_position(geometry: Any) -> tuple[float, float] | None:
    """Longitude and latitude of a GeoJSON point, EPSG:4326; None if it is none.

    Examples
    --------
    >>> read_position({"type": "Point", "coordinates": [-0.1, 51.5]}), read_position(None)
    ((-0.1, 51.5), None)
    """
    try:
        return read_place(*geometry["coordinates"][:2])
    except (TypeError, KeyError):
        return None


def read_place(longitude_deg: Any, latitude_deg: Any) -> tuple[float, float] | None:
    """Longitude and latitude as numbers, EPSG:4326; None if they are none, or lie nowhere.

    Examples
    --------
    >>> read_place(-0.1, "51.5"), read_place(-0.1, None), read_place(200, 0)
    ((-0.1, 51.5), None, None)
    """
    try:
        longitude, latitude = float(longitude_deg), float(latitude_deg)
    except (TypeError, ValueError, OverflowError):
        return None
    # written so that NaN is no position either
    return (longitude, latitude) if abs(longitude) <= 180 and abs(latitude) <= 90 else None


def read_heading(*angles: Any) -> float | None:
    """Return the first of some angles that is a number, as a heading from 0 to below 360.

    Examples
    --------
    >>> read_heading(None, -10), read_heading(725, 1), read_heading("north", float("nan"))
    (350.0, 5.0, None)
    """
    numbers = (angle for angle in angles if isinstance(angle, int | float) and abs(angle) < _MOST_TURNED_DEG)
    # what is just below zero is rounded to 360 itself
    return next((float(number) % 360 % 360 for number in numbers), None)


def _find_near(
    points: "pd.DataFrame", pictures: Sequence[Picture], max_distance_m: float
) -> dict[str, list[tuple[float, Picture]]]:
    """Pictures within the distance of each point, with the distance."""
    from scipy.spatial import cKDTree

    near: defaultdict[str, list[tuple[float, Picture]]] = defaultdict(list)
    if not pictures or points.empty:
        return near
    places = to_metres([p.longitude_deg for p in pictures], [p.latitude_deg for p in pictures])
    asked = points[["easting_m", "northing_m"]].to_numpy(float)
    for point_id, place, found in zip(
        points["point_id"], asked, cKDTree(places).query_ball_point(asked, max_distance_m), strict=True
    ):
        distances_m = np.hypot(*(places[found] - place).T)
        near[point_id] = [(float(d), pictures[i]) for d, i in zip(distances_m, found, strict=True)]
    return near


def _answer(
    found: Sequence[tuple[float, Picture]], headings_deg: Sequence[float], choice: "Imagery"
) -> list[dict[str, Any]]:
    """Columns of each row that answers one point."""
    usable = [(distance, picture) for distance, picture in found if picture.camera_heading_deg is not None]
    chosen = choose_pictures(usable, headings_deg, choice)
    if chosen:
        return [{"status": "ok", **_describe(picture)} for picture in chosen]
    if any(is_within_dates(picture.captured_on, choice) for _, picture in usable):
        return [{"status": "no_imagery", "status_detail": f"none of {len(usable)} pictures looks where it should"}]
    if usable:
        newest = max((p.captured_on for _, p in usable if p.captured_on), default="not known")
        detail = f"{len(usable)} pictures, none within the study's dates; newest {newest}"
        return [{"status": "outside_dates", "status_detail": detail}]
    blind = f"{len(found)} pictures that do not say which way they look" if found else None
    return [{"status": "no_imagery", "status_detail": blind}]


def _describe(picture: Picture) -> dict[str, Any]:
    names = ("panorama_id", "longitude_deg", "latitude_deg", *OF_PICTURE)
    return {name: getattr(picture, name) for name in names}


def _rank(distance_m: float, picture: Picture, choice: "Imagery") -> tuple[float, float, str]:
    day = picture.captured_on.toordinal() if picture.captured_on else 0
    # to the decimetre, within which positions are converted
    order = (round(distance_m, 1), -day) if choice.prefer == "nearest" else (-day, round(distance_m, 1))
    return (*order, picture.panorama_id)


def _reach(heading_deg: float, headings_deg: Sequence[float]) -> float:
    gaps = [_apart(other, heading_deg) for other in headings_deg if other != heading_deg]
    return min([WIDEST_DEG, *(gap / 2 for gap in gaps)])


def _apart(first_deg: float | None, second_deg: float) -> float:
    """Angle between two headings, 0 to 180; infinite if one is not known."""
    if first_deg is None:
        return float("inf")
    return abs((first_deg - second_deg + 180) % 360 - 180)
