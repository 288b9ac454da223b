"""Read what is known of one's own photographs: from a manifest, or from the files' EXIF and XMP."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.views import looks_all_round, read_gpano, xmp_text

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
REQUIRED_COLUMNS = ("image_path", "longitude", "latitude")
OPTIONAL_COLUMNS = ("heading", "captured_at", "point_id", "licence", "credit")

# numbers of EXIF tags, from the standard
_EXIF, _GPS = 0x8769, 0x8825
_TAKEN, _ARTIST, _COPYRIGHT = 0x9003, 0x013B, 0x8298
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _DIRECTION = 1, 2, 3, 4, 17


@dataclass(frozen=True)
class Photograph:
    """One photograph: its file below the folder, and what is known of it.

    ``problem`` says why its position cannot be used, if a position was given. ``is_360``: it is twice as
    wide as high, or its XMP says that it looks all round; ``says_360`` if XMP does.
    """

    image_path: str
    longitude_deg: float | None = None
    latitude_deg: float | None = None
    heading_deg: float | None = None
    captured_on: date | None = None
    point_id: str | None = None
    licence: str | None = None
    credit: str | None = None
    problem: str | None = None
    is_360: bool = False
    says_360: bool = False


def read_manifest(manifest: Path) -> list[Photograph]:
    """Read a manifest: CSV, or Parquet if its name ends so.

    Columns ``image_path`` (below the folder), ``longitude`` and ``latitude`` (EPSG:4326); and, if
    there are such columns, ``heading`` (degrees clockwise from north), ``captured_at``,
    ``point_id``, ``licence`` and ``credit``. Anything but the path may be left empty in a row.

    Raises
    ------
    ImageryError
        If the manifest cannot be read, lacks a column, has no row, or names a file outside.
    """
    table = _read_table(manifest)
    missing = [column for column in REQUIRED_COLUMNS if column not in table]
    if missing:
        raise ImageryError(
            f"manifest '{manifest}' has no column {' and no column '.join(missing)}; it needs "
            f"{', '.join(REQUIRED_COLUMNS)} and may have {', '.join(OPTIONAL_COLUMNS)}"
        )
    if table.empty:
        raise ImageryError(f"manifest '{manifest}' has no rows; write one for each photograph")
    table = table.reindex(columns=[*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS]).astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return [
        _from_row({str(column): value for column, value in row.items()}, number, manifest)
        for number, row in enumerate(rows, start=1)
    ]


def _read_table(manifest: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if manifest.suffix.lower() == ".parquet":
            return pd.read_parquet(manifest)
        return pd.read_csv(manifest, dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError, pd.errors.ParserError) as problem:
        raise ImageryError(
            f"manifest '{manifest}' cannot be read ({type(problem).__name__}); "
            "set imagery.manifest to a CSV or Parquet file"
        ) from None


def _from_row(row: dict[str, Any], number: int, manifest: Path) -> Photograph:
    problems: list[str] = []
    longitude = _read_number(row["longitude"], "longitude", 180, problems)
    latitude = _read_number(row["latitude"], "latitude", 90, problems)
    has_place = longitude is not None and latitude is not None
    heading = _read_number(row["heading"], "heading", float("inf"), [])
    return Photograph(
        image_path=_stay_inside(row["image_path"], number, manifest),
        longitude_deg=longitude if has_place else None,
        latitude_deg=latitude if has_place else None,
        heading_deg=None if heading is None else heading % 360,
        captured_on=_read_day(row["captured_at"]),
        point_id=_read_text(row["point_id"]),
        licence=_read_text(row["licence"]),
        credit=_read_text(row["credit"]),
        problem=problems[0] if problems else None,
    )


def _stay_inside(image_path: object, number: int, manifest: Path) -> str:
    """Path below the folder, with forward slashes; nothing outside of it may be named."""
    text = (_read_text(image_path) or "").replace("\\", "/")
    normal = os.path.normpath(text) if text else ""
    if normal in ("", "."):
        raise ImageryError(f"row {number} of manifest '{manifest}' has no image_path; name its file")
    if PurePosixPath(normal).is_absolute() or ":" in normal[:2] or normal.split("/")[0] == "..":
        raise ImageryError(
            f"row {number} of manifest '{manifest}' names '{text}', which is not inside the image folder; "
            "write paths relative to that folder"
        )
    return normal


def _read_text(value: object) -> str | None:
    return None if value is None else (str(value).strip() or None)


def _read_number(value: object, what: str, largest: float, problems: list[str]) -> float | None:
    text = _read_text(value)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    # written so that NaN and infinity are wrong too
    if not (abs(number) <= largest and abs(number) < float("inf")):
        problems.append(f"{what} '{text}' is not a number of degrees")
        return None
    return number


def _read_day(value: object) -> date | None:
    """Day of a time as written, or None; EXIF writes colons between year, month and day."""
    import pandas as pd

    text = _read_text(value)
    if text is None:
        return None
    if text[4:5] == ":" and text[7:8] == ":":
        text = f"{text[:4]}-{text[5:7]}-{text[8:]}"
    moment = pd.to_datetime(text, format="ISO8601", errors="coerce")
    return None if pd.isna(moment) else moment.date()


def list_folder(folder: Path) -> list[Photograph]:
    """Return the photographs of a folder and those below it, by name only: no file is opened.

    Raises
    ------
    ImageryError
        If there is no photograph in the folder.
    """
    photographs = [Photograph(path.relative_to(folder).as_posix()) for path in _find_files(folder)]
    if not photographs:
        raise ImageryError(f"image folder '{folder}' holds no {', '.join(SUFFIXES)} file; put photographs there")
    return photographs


def look_at(folder: Path, photograph: Photograph, *, is_listed: bool) -> Photograph:
    """Add what a photograph's file says of itself, in its header only.

    Parameters
    ----------
    folder
        The folder it lies below.
    photograph
        What is known of it.
    is_listed
        True if a manifest lists it: its EXIF then only fills in a missing heading. A file that is not
        there, or is broken, is found out when it is fetched.
    """
    try:
        said = _read_header(folder / photograph.image_path, photograph)
    except Exception:  # decoders meet broken files with errors of every kind
        return photograph if is_listed else replace(photograph, problem="does not open as a picture")
    if not is_listed:
        return said
    heading_deg = photograph.heading_deg if photograph.heading_deg is not None else said.heading_deg
    return replace(photograph, heading_deg=heading_deg, is_360=said.is_360, says_360=said.says_360)


def _find_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not is_hidden and path.is_file():
            yield path


def _read_header(path: Path, photograph: Photograph) -> Photograph:
    from PIL import Image

    # some cameras write EXIF that Pillow grumbles at, and panoramas are larger than it expects
    warnings.filterwarnings("ignore", module="PIL")
    with Image.open(path) as picture:
        exif, xmp = picture.getexif(), xmp_text(picture)
        gps, taken = exif.get_ifd(_GPS), exif.get_ifd(_EXIF).get(_TAKEN)
        is_360 = looks_all_round(*picture.size, xmp)
    longitude = _read_angle(gps.get(_LONGITUDE), gps.get(_LONGITUDE_REF), "W", 180)
    latitude = _read_angle(gps.get(_LATITUDE), gps.get(_LATITUDE_REF), "S", 90)
    has_place = longitude is not None and latitude is not None
    heading = _read_number(gps.get(_DIRECTION), "heading", float("inf"), [])
    if heading is None:
        heading = _read_number(read_gpano(xmp, "PoseHeadingDegrees"), "heading", float("inf"), [])
    return replace(
        photograph,
        longitude_deg=longitude if has_place else None,
        latitude_deg=latitude if has_place else None,
        heading_deg=None if heading is None else heading % 360,
        captured_on=_read_day(taken),
        credit=_read_text(exif.get(_ARTIST)) or _read_text(exif.get(_COPYRIGHT)),
        is_360=is_360,
        says_360=is_360 and read_gpano(xmp, "ProjectionType") is not None,
    )


def _read_angle(parts: Any, reference: object, negative: str, largest: float) -> float | None:
    """Degrees from EXIF's degrees, minutes and seconds; None if they are not an angle."""
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    angle = degrees + minutes / 60 + seconds / 3600
    # written so that NaN, which a fraction over nought becomes, is no angle either
    if not abs(angle) <= largest:
        return None
    return -angle if str(reference).strip("\0 ").upper() == negative else angle
