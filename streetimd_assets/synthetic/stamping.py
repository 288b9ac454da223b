"""Write where, when and in which direction a picture was painted into its file."""

from datetime import date

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_EXIF_MARKER = b"\xff\xe1"


def stamp_jpeg(
    data: bytes,
    *,
    description: str,
    captured_on: date,
    longitude_deg: float,
    latitude_deg: float,
    heading_deg: float,
) -> bytes:
    """Add EXIF tags to a JPEG, so that the file can be traced without its table.

    Parameters
    ----------
    data
        A JPEG without EXIF tags.
    description
        A sentence about the picture.
    captured_on
        Day of capture.
    longitude_deg, latitude_deg
        Position, EPSG:4326.
    heading_deg
        Direction of view, clockwise from north.

    Returns
    -------
    stamped
        The same picture with its tags.
    """
    tags = Image.Exif()
    tags[Base.ImageDescription] = description
    tags[Base.DateTime] = f"{captured_on:%Y:%m:%d} 12:00:00"
    tags.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = f"{captured_on:%Y:%m:%d} 12:00:00"
    tags.get_ifd(IFD.GPSInfo).update(
        {
            GPS.GPSLatitudeRef: "N" if latitude_deg >= 0 else "S",
            GPS.GPSLatitude: _degrees_minutes_seconds(latitude_deg),
            GPS.GPSLongitudeRef: "E" if longitude_deg >= 0 else "W",
            GPS.GPSLongitude: _degrees_minutes_seconds(longitude_deg),
            GPS.GPSImgDirectionRef: "T",
            GPS.GPSImgDirection: heading_deg,
        }
    )
    content = tags.tobytes()
    # the segment's length counts its own two bytes; it stands right after the two that open the file
    return data[:2] + _EXIF_MARKER + (len(content) + 2).to_bytes(2, "big") + content + data[2:]


def _degrees_minutes_seconds(angle_deg: float) -> tuple[float, float, float]:
    minutes, seconds = divmod(abs(angle_deg) * 3600, 60)
    degrees, minutes = divmod(minutes, 60)
    return degrees, minutes, seconds
