"""Panoramax: a federation of open street photographs, found through its common catalogue.

Documentation: https://docs.panoramax.fr
"""

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import FetchFailed, Provider, Shot, Terms, Views
from streetimd_assets.sources.imagery.choosing import Picture, read_heading, read_position
from streetimd_assets.sources.imagery.tiled import TiledSource
from streetimd_assets.sources.imagery.tiles import Found, Tile, page_of_text, unreadable
from streetimd_assets.sources.imagery.views import pictures_of, whole_width_px
from streetimd_assets.sources.web import NoAnswer, json_object, without_secrets

if TYPE_CHECKING:
    from streetimd_assets.sources.web import Web
    from streetimd_assets.study.imagery import Imagery

ADDRESS = "https://api.panoramax.xyz/api"
# searches are few and far between, so a tile is larger than where they are not
TILE_DEG = 0.01
# far below what the service may send at most: each picture is described at length
MOST_PICTURES = 2500
# width of the smaller file there is of each picture
SD_WIDTH_PX = 2048
# the servers are run by volunteers and public bodies
DOWNLOADS_AT_ONCE = 8
LICENCES = {"CC-BY-SA-4.0": "CC BY-SA 4.0"}


class PanoramaxImages(TiledSource):
    """Photographs and panoramas from Panoramax, or from one of its servers.

    Parameters
    ----------
    choice
        The study's imagery section; its address may be that of another server's API.
    """

    name = "panoramax"
    title = "Panoramax"
    tile_deg = TILE_DEG

    def __init__(self, choice: "Imagery") -> None:
        super().__init__(choice)
        self._address = (choice.address or ADDRESS).rstrip("/")
        self._downloads = asyncio.Semaphore(DOWNLOADS_AT_ONCE)

    async def fetch(self, shot: Shot, web: "Web") -> Views:
        """Download a picture and cut it into views if it looks all round; see ImagerySource."""
        panorama_id = shot.panorama["panorama_id"]
        size = file_for(self._choice, is_360=bool(shot.panorama["is_360"]))
        url = f"{self._address}/pictures/{panorama_id}/{size}.jpg"
        async with self._downloads:
            # the catalogue sends us on to the server that has the picture; there is no key to lose
            answer = await web.get(url, follow_redirects=True, is_busy=page_of_text, is_paced=False)
        if answer.status != 200:
            raise FetchFailed(f"Panoramax answers {answer.status} {answer.reason} for picture {panorama_id}")
        return await pictures_of(answer.body, shot, self._choice)

    async def _search(self, web: "Web", tile: Tile) -> Found:
        params = {"bbox": tile.bbox, "limit": str(MOST_PICTURES)}
        answer = await web.get(f"{self._address}/search", params, follow_redirects=True, is_busy=unreadable)
        if answer.status != 200:
            raise ImageryError(
                f"Panoramax answers a search with {answer.status} {answer.reason}; "
                f"see that imagery.address, if it is set, is that of an API such as {ADDRESS}"
            )
        return parse_items(answer.body, self._address)


def file_for(choice: "Imagery", *, is_360: bool) -> str:
    """Name the file that will do for a picture: the one 2,048 pixels wide, or as it was taken if need be."""
    wanted_px = whole_width_px(choice.image_size_px, choice.field_of_view_deg) if is_360 else choice.image_size_px
    return "sd" if wanted_px <= SD_WIDTH_PX else "hd"


def parse_items(body: bytes, address: str) -> Found:
    """Read the answer to a search, a STAC item collection.

    Parameters
    ----------
    body
        The answer.
    address
        Of the API that was asked, whose site shows its pictures.

    Raises
    ------
    NoAnswer
        If this is no such answer.
    """
    try:
        collection = json_object(body) or {}
        items, links = collection["features"], collection.get("links") or ()
        has_more = any(link.get("rel") == "next" for link in links)
        # an answer without a list does not say that there is nothing
        is_one = isinstance(items, list)
    except (ValueError, KeyError, TypeError, AttributeError):
        is_one = False
    if not is_one:
        raise NoAnswer("Panoramax's answer to a search is not the JSON it should be")
    pictures = [parse_item(item, address) for item in items if isinstance(item, dict)]
    is_full = has_more or len(items) >= MOST_PICTURES
    return Found([picture for picture in pictures if picture is not None], is_full)


def parse_item(item: Mapping[str, Any], address: str) -> Picture | None:
    """Read one picture's item; one without a position, or that is not yet to be shown, is left out."""
    said = _mapping(item.get("properties"))
    position = read_position(item.get("geometry"))
    if position is None or not item.get("id") or (said.get("geovisio:status") or "ready") != "ready":
        return None
    camera = _mapping(said.get("pers:interior_orientation"))
    licence = said.get("license")
    producer = _read_producer(item)
    return Picture(
        panorama_id=str(item["id"]),
        longitude_deg=position[0],
        latitude_deg=position[1],
        captured_on=_read_day(said.get("datetime")),
        is_360=camera.get("field_of_view") == 360,
        camera_heading_deg=read_heading(said.get("view:azimuth")),
        licence=LICENCES.get(str(licence), licence),
        credit=f"{producer}, Panoramax" if producer else "Panoramax",
        # a server of one's own may have been named with a password
        viewer_url=f"{without_secrets(address).removesuffix('/api')}/#focus=pic&pic={item['id']}",
    )


def _read_producer(item: Mapping[str, Any]) -> str | None:
    for provider in map(_mapping, item.get("providers") or ()):
        if "producer" in (provider.get("roles") or ()) and provider.get("name"):
            return str(provider["name"])
    return _mapping(item.get("properties")).get("geovisio:producer")


def _mapping(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}


def _read_day(moment: Any) -> date | None:
    try:
        return date.fromisoformat(str(moment)[:10])
    except ValueError:
        return None


def _open(choice: "Imagery", _: Mapping[str, str]) -> PanoramaxImages:
    return PanoramaxImages(choice)


PROVIDER = Provider(
    name="panoramax",
    title="Panoramax",
    address=ADDRESS,
    keys={},
    optional_keys={},
    requests_per_minute=30,
    terms=Terms(
        title="Panoramax: open licences",
        url="https://panoramax.fr/en/licences",
        as_of=date(2026, 1, 1),
        needs_acceptance=False,
        may_store_pixels=True,
        retention="Pictures may be kept, and passed on under their licence with their credit.",
        licence="CC BY-SA 4.0 or etalab-2.0, as each picture says",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        credit="Photos from Panoramax, by the contributors named",
        summary="Open licences: keep, change and share the pictures, naming Panoramax and the contributor; under "
        "CC BY-SA 4.0 what is made of the pictures themselves is shared under the same licence.",
    ),
    prices=None,
    open=_open,
)
