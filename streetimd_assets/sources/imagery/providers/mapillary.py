"""Mapillary: street photographs of many people and organisations, under an open licence.

Documentation: https://www.mapillary.com/developer/api-documentation
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import FetchFailed, Provider, Shot, Terms, Views
from streetimd_assets.sources.imagery.choosing import Picture, read_heading, read_position
from streetimd_assets.sources.imagery.tiled import TiledSource
from streetimd_assets.sources.imagery.tiles import Found, Tile, page_of_text, unreadable
from streetimd_assets.sources.imagery.views import pictures_of, whole_width_px
from streetimd_assets.sources.web import Answer, NoAnswer, json_object

if TYPE_CHECKING:
    from streetimd_assets.sources.web import Web
    from streetimd_assets.study.imagery import Imagery

ADDRESS = "https://graph.mapillary.com"
KEY = "MAPILLARY_ACCESS_TOKEN"
LICENCE = "CC BY-SA 4.0"
TILE_DEG = 0.004
# an answer holds at most the first number of pictures, and one with the second may have been thinned out
MOST_PICTURES, NEARLY_MOST = 2000, 1800
FIELDS = (
    "id,captured_at,compass_angle,computed_compass_angle,geometry,computed_geometry,"
    "is_pano,camera_type,width,height,creator"
)
# widths of the files there are of a picture; the last is as it was taken
THUMBS = {1024: "thumb_1024_url", 2048: "thumb_2048_url"}
ORIGINAL = "thumb_original_url"
SPHERES = ("equirectangular", "spherical")
EXPIRED = (403, 404, 410)
_BAD_KEY, _LIMITS = 190, (4, 17, 32, 613)


class MapillaryImages(TiledSource):
    """Photographs and panoramas from Mapillary.

    Parameters
    ----------
    choice
        The study's imagery section.
    token
        A client token; it is sent in a header only.
    """

    name = "mapillary"
    title = "Mapillary"
    tile_deg = TILE_DEG

    def __init__(self, choice: "Imagery", token: str) -> None:
        super().__init__(choice)
        self._address = (choice.address or ADDRESS).rstrip("/")
        self._headers = {"Authorization": f"OAuth {token}"}

    async def fetch(self, shot: Shot, web: "Web") -> Views:
        """Download a picture and cut it into views if it looks all round; see ImagerySource."""
        answer = await self._download(shot, web)
        if answer.status in EXPIRED:
            # links last some hours; a fresh one is asked for once
            answer = await self._download(shot, web)
        if answer.status != 200:
            raise FetchFailed(f"Mapillary's image server answers {answer.status} {answer.reason}")
        return await pictures_of(answer.body, shot, self._choice)

    async def _search(self, web: "Web", tile: Tile) -> Found:
        params = {"bbox": tile.bbox, "fields": FIELDS, "limit": str(MOST_PICTURES)}
        answer = await web.get(f"{self._address}/images", params, self._headers, is_busy=unreadable)
        _require_welcome(answer)
        if answer.status != 200:
            raise ImageryError(
                f"Mapillary answers a search with {answer.status} {answer.reason}; "
                "see that imagery.address, if it is set, is that of Mapillary's API"
            )
        return parse_images(answer.body)

    async def _download(self, shot: Shot, web: "Web") -> Answer:
        """Ask where the picture is now, and download it from there, where no key is sent."""
        sizes = thumbs_for(self._choice, is_360=bool(shot.panorama["is_360"]))
        panorama_id = shot.panorama["panorama_id"]
        answer = await web.get(
            f"{self._address}/{panorama_id}", {"fields": ",".join(sizes)}, self._headers, is_busy=unreadable
        )
        _require_welcome(answer)
        if answer.status != 200:
            raise FetchFailed(f"Mapillary has no picture {panorama_id} any more ({answer.status} {answer.reason})")
        found = _read_json(answer.body)
        url = next((found[size] for size in sizes if isinstance(found.get(size), str)), None)
        if url is None:
            raise FetchFailed(f"Mapillary has no file of picture {panorama_id}")
        picture = await web.get(url, is_busy=page_of_text, is_paced=False)
        _refuse_login(picture)
        return picture


def thumbs_for(choice: "Imagery", *, is_360: bool) -> tuple[str, ...]:
    """Name the files that will do for a picture, best first.

    The smallest file that is as sharp as the pictures asked for comes first, then larger ones, then
    smaller ones. A panorama is that sharp if its width is that of :func:`whole_width_px`.
    """
    size_px = choice.image_size_px
    wanted_px = whole_width_px(size_px, choice.field_of_view_deg) if is_360 else size_px
    enough = [THUMBS[width] for width in sorted(THUMBS) if width >= wanted_px]
    too_small = [THUMBS[width] for width in sorted(THUMBS, reverse=True) if width < wanted_px]
    return (*enough, ORIGINAL, *too_small)


def parse_images(body: bytes) -> Found:
    """Read the answer to a search.

    Positions and headings that Mapillary has computed are preferred to those of the device. A picture
    without a position is left out, and a panorama of which less than the whole sphere is there.

    Raises
    ------
    NoAnswer
        If this is no such answer.
    """
    images = _read_json(body).get("data")
    if not isinstance(images, list):
        raise NoAnswer("Mapillary's answer to a search has no data")
    pictures = [parse_image(image) for image in images if isinstance(image, dict)]
    return Found([picture for picture in pictures if picture is not None], len(images) >= NEARLY_MOST)


def parse_image(image: Mapping[str, Any]) -> Picture | None:
    """Read what a search says of one picture; any field but ``id`` may be missing."""
    position = read_position(image.get("computed_geometry")) or read_position(image.get("geometry"))
    is_pano = bool(image.get("is_pano")) or image.get("camera_type") in SPHERES
    if position is None or not image.get("id") or (is_pano and not _is_whole_sphere(image)):
        return None
    creator = image.get("creator")
    username = creator.get("username") if isinstance(creator, dict) else None
    return Picture(
        panorama_id=str(image["id"]),
        longitude_deg=position[0],
        latitude_deg=position[1],
        captured_on=_read_day(image.get("captured_at")),
        is_360=is_pano,
        camera_heading_deg=read_heading(image.get("computed_compass_angle"), image.get("compass_angle")),
        licence=LICENCE,
        credit=f"{username}, Mapillary" if username else "Mapillary",
        viewer_url=f"https://www.mapillary.com/app/?pKey={image['id']}",
    )


def _is_whole_sphere(image: Mapping[str, Any]) -> bool:
    try:
        is_twice = abs(float(image["width"]) / float(image["height"]) - 2) < 0.02
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        # its shape is not known; views are cut only out of a file that turns out to be a sphere
        is_twice = True
    return image.get("camera_type") in (None, *SPHERES) and is_twice


def _read_day(milliseconds: Any) -> date | None:
    try:
        return datetime.fromtimestamp(float(milliseconds) / 1000, UTC).date()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _read_json(body: bytes) -> dict[str, Any]:
    said = json_object(body)
    if said is None:
        raise NoAnswer("Mapillary's answer is not the JSON it should be")
    return said


def _require_welcome(answer: Answer) -> None:
    """See that Mapillary did not turn us away.

    Raises
    ------
    ImageryError
        If it did: another question would fare no better.
    """
    if 300 <= answer.status < 400:
        _refuse(answer)
    code = _error_code(answer.body) if answer.status != 200 else None
    if code in _LIMITS:
        raise ImageryError(
            f"Mapillary says that its limit of requests is reached (code {code}); run again in an hour, "
            "or set imagery.requests_per_minute lower"
        )
    if code == _BAD_KEY or answer.status in (401, 403):
        raise ImageryError(
            f"Mapillary does not accept the key ({answer.status} {answer.reason}); see that {KEY} is the client "
            "token of an application at https://www.mapillary.com/dashboard/developers, beginning with MLY|"
        )


def _refuse_login(answer: Answer) -> None:
    if 300 <= answer.status < 400 and "login" in (answer.location or ""):
        _refuse(answer)


def _refuse(answer: Answer) -> None:
    raise ImageryError(
        f"Mapillary sends this machine elsewhere ({answer.status}, to {answer.location}), as it does with machines "
        "it has blocked; wait some hours, set imagery.requests_per_minute lower, or ask from another network"
    )


def _error_code(body: bytes) -> int | None:
    try:
        return int((json_object(body) or {})["error"]["code"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _open(choice: "Imagery", keys: Mapping[str, str]) -> MapillaryImages:
    return MapillaryImages(choice, keys[KEY])


PROVIDER = Provider(
    name="mapillary",
    title="Mapillary",
    address=ADDRESS,
    keys={KEY: "a free client token from https://www.mapillary.com/dashboard/developers"},
    optional_keys={},
    # of searches; single pictures have a higher limit
    requests_per_minute=10_000,
    terms=Terms(
        title="Mapillary Terms of Use",
        url="https://www.mapillary.com/terms",
        as_of=date(2026, 1, 1),
        needs_acceptance=False,
        may_store_pixels=True,
        retention="Pictures may be kept, and passed on under the same licence with their credit.",
        licence=LICENCE,
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        credit="Photos from Mapillary, by the contributors named",
        summary="Open licence: keep, change and share the pictures, naming Mapillary and the contributor, with a "
        "link; what is made of the pictures themselves is shared under the same licence.",
    ),
    prices=None,
    open=_open,
)
