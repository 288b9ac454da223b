"""Google Street View: the Static API, official and paid by the image.

Metadata are free, and are asked for each point; images are bought by the id of a panorama, never
by a place, so that what is bought is what was planned. To be asked only by those who accept
Google's terms, which forbid much of what research does with pictures.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from streetimd_assets.errors import ImageryError, TermsError
from streetimd_assets.sources.imagery.base import (
    ANSWER_COLUMNS,
    MOST_SILENT_SHARE,
    FetchFailed,
    Prices,
    Progress,
    Provider,
    Shot,
    Terms,
    Views,
    headings_for,
    most_silences_in_a_row,
)
from streetimd_assets.sources.imagery.capture_dates import days_of, why_outside
from streetimd_assets.sources.imagery.choosing import read_place
from streetimd_assets.sources.web import Answer, NoAnswer, Web, json_object
from streetimd_assets.study.imagery import Imagery

if TYPE_CHECKING:
    import pandas as pd

    from streetimd_assets.sources.imagery.base import ImagerySource

NAME = "google"
ADDRESS = "https://maps.googleapis.com"
KEY, SECRET = "GOOGLE_MAPS_API_KEY", "GOOGLE_MAPS_SIGNING_SECRET"
METADATA_PATH, IMAGE_PATH = "/maps/api/streetview/metadata", "/maps/api/streetview"
OFFICIAL = "© Google"
LICENCE = "Google Maps Platform Terms of Service"
_PROGRESS_EVERY = 200
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF")
# what Google's own sentences mean; they themselves are not repeated, as one could hold the key
_MEANINGS = (
    ("billing", "billing is not enabled for the key's project"),
    ("not authorized", "the key is restricted, or the Street View Static API is not enabled for its project"),
    ("not activated", "the Street View Static API is not enabled for the key's project"),
    ("expired", "the key has expired"),
    ("signature", "the signature is not valid"),
    ("unsigned", "requests must be signed"),
    ("invalid", "the key is not valid"),
)


class GoogleStreetView:
    """Google Street View Static, as a source of images.

    Parameters
    ----------
    choice
        The study's imagery section.
    key, secret
        API key, and the secret that requests are signed with, if they are.

    Raises
    ------
    TermsError
        If the secret is not one.
    """

    name = NAME

    def __init__(self, choice: Imagery, key: str, secret: str | None = None) -> None:
        self.choice = choice
        self.address = (choice.address or ADDRESS).rstrip("/")
        self._key = key
        self._secret = secret
        if secret is not None:
            sign("", secret)

    def metadata_params(self, point: Mapping[str, Any]) -> dict[str, str]:
        """Return the query that asks which panorama stands near a point, the key not yet in it."""
        return {
            "location": f"{point['latitude_deg']:.7f},{point['longitude_deg']:.7f}",
            "radius": str(max(1, math.ceil(self.choice.max_distance_m))),
            "source": "outdoor" if self.choice.outdoor_only else "default",
        }

    def image_params(self, panorama_id: str, heading_deg: float) -> dict[str, str]:
        """Return the query for one image, the key not yet in it."""
        side = self.choice.image_size_px
        return {
            "pano": panorama_id,
            "size": f"{side}x{side}",
            "heading": _number(heading_deg),
            "fov": _number(self.choice.field_of_view_deg),
            "pitch": _number(self.choice.pitch_deg),
            "return_error_code": "true",
        }

    async def find_panoramas(
        self, points: "pd.DataFrame", web: Web, progress: Progress | None = None
    ) -> "pd.DataFrame":
        """Answer which panorama stands near each point, as :class:`ImagerySource` says."""
        import pandas as pd

        asked = [{str(name): value for name, value in point.items()} for point in points.to_dict("records")]
        rows: list[dict[str, Any]] = [{} for _ in asked]
        left = iter(enumerate(asked))
        n_done = n_unanswered = n_silences = 0

        async def ask_for_the_rest() -> None:
            nonlocal n_done, n_unanswered, n_silences
            for number, point in left:
                rows[number], was_answered = await self._ask_metadata(point, web)
                n_unanswered = 0 if was_answered else n_unanswered + 1
                n_silences += not was_answered
                if n_unanswered >= most_silences_in_a_row(self.choice.max_connections):
                    raise ImageryError(
                        f"Google Street View did not answer {n_unanswered} questions in a row "
                        f"({rows[number]['status_detail']}); check the network, or go on later"
                    ).passing()
                # as soon as it is sure that this will be no result: the sooner it is tried again
                if n_silences > MOST_SILENT_SHARE * len(asked):
                    raise ImageryError(
                        f"Google Street View did not answer {n_silences:,} of {len(asked):,} questions "
                        f"({rows[number]['status_detail']}); check the network, or go on later"
                    ).passing()
                n_done += 1
                if progress is not None and (n_done % _PROGRESS_EVERY == 0 or n_done == len(asked)):
                    progress(n_done, len(asked))

        await _all_of(ask_for_the_rest() for _ in range(min(self.choice.max_connections, len(asked))))
        return pd.DataFrame(rows, columns=list(ANSWER_COLUMNS))

    def shots_of(self, panorama: Mapping[str, Any]) -> tuple[Shot, ...]:
        """Return one request for each heading, each billed."""
        return tuple(Shot(panorama, (heading,)) for heading in headings_for(self.choice, panorama))

    async def fetch(self, shot: Shot, web: Web) -> Views:
        """Buy one image; raises NoAnswer too, for the collector to count how often in a row."""
        (heading_deg,) = shot.headings_deg
        params = self.image_params(str(shot.panorama["panorama_id"]), float(heading_deg or 0))
        # what is no picture with a status of 200 is a server in trouble, so it is asked again
        answer = await web.get(*self._signed(IMAGE_PATH, params), is_busy=lambda body: not _is_picture(body))
        return {heading_deg: judge_image(answer)}

    async def _ask_metadata(self, point: Mapping[str, Any], web: Web) -> tuple[dict[str, Any], bool]:
        """A point's row, and whether the service answered at all."""
        said = ""

        def is_busy(body: bytes) -> bool:
            nonlocal said
            said = _status_of(body)
            return said in ("OVER_QUERY_LIMIT", "UNKNOWN_ERROR", "")

        try:
            answer = await web.get(*self._signed(METADATA_PATH, self.metadata_params(point)), is_busy=is_busy)
        except NoAnswer as problem:
            if said == "OVER_QUERY_LIMIT":
                raise _over_quota() from None
            return _row(point, "failed", said or str(problem)), bool(said)
        _require_key_accepted(answer)
        if answer.status != 200:
            return _row(point, "failed", f"{answer.status} {answer.reason}"), True
        return parse_metadata(answer.body, point, self.choice), True

    def _signed(self, path: str, params: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Return the address and its query with the key, and with the signature if there is a secret."""
        url, query = self.address + path, params | {"key": self._key}
        if self._secret is not None:
            query["signature"] = sign(f"{urlsplit(url).path}?{urlencode(query)}", self._secret)
        return url, query


def parse_metadata(body: bytes, point: Mapping[str, Any], choice: Imagery) -> dict[str, Any]:
    """Read a reply of the metadata service as a row of answers.

    Parameters
    ----------
    body
        The reply, JSON.
    point
        Row of ``sample_points`` that was asked for.
    choice
        The study's imagery section: which days and whose panoramas are wanted.

    Returns
    -------
    row
        Columns :data:`ANSWER_COLUMNS`. A date without a day is its first day; where days or months are
        chosen, a panorama is ``outside_dates`` unless its date proves the choice, whatever the day.

    Raises
    ------
    ImageryError
        If the key is refused, the request is not understood, or the quota is used up.
    """
    status = _status_of(body)
    if status == "REQUEST_DENIED":
        raise _denied(body)
    if status == "INVALID_REQUEST":
        raise ImageryError(
            "Google Street View does not understand the request (INVALID_REQUEST); check imagery.max_distance_m "
            "and imagery.address of the study, and that sample_points have longitudes and latitudes"
        )
    if status == "OVER_QUERY_LIMIT":
        raise _over_quota()
    if status in ("ZERO_RESULTS", "NOT_FOUND"):
        return _row(point, "no_imagery", status)
    if status != "OK":
        return _row(point, "failed", f"status '{status[:40]}'" if status else "answered with no metadata")
    return _panorama_row(json_object(body) or {}, point, choice)


def judge_image(answer: Answer) -> bytes:
    """Return the picture in an answer of the image service.

    Raises
    ------
    FetchFailed
        If there is none.
    ImageryError
        If the key is refused, or something in between redirects.
    """
    _require_key_accepted(answer)
    if answer.status == 404:
        raise FetchFailed("Google no longer has this panorama")
    if answer.status != 200:
        raise FetchFailed(f"{answer.status} {answer.reason}")
    if not _is_picture(answer.body):
        raise FetchFailed("answered with text, not a picture")
    return answer.body


def sign(path_and_query: str, secret: str) -> str:
    """Return the signature of a request: HMAC-SHA1, with the secret and the result in base64 for addresses.

    Raises
    ------
    TermsError
        If the secret is not one.
    """
    try:
        key = base64.b64decode(secret, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TermsError(
            f"{SECRET} is no signing secret, which is base64; copy it from the Google Cloud console, or unset it"
        ) from None
    return base64.urlsafe_b64encode(hmac.new(key, path_and_query.encode(), hashlib.sha1).digest()).decode()


def viewer_url(panorama_id: str, heading_deg: float | None = None) -> str:
    """Return the address of Google's own page of a panorama, looking in a direction."""
    query = {"api": "1", "map_action": "pano", "pano": panorama_id}
    if heading_deg is not None:
        query["heading"] = _number(heading_deg)
    return f"https://www.google.com/maps/@?{urlencode(query)}"


def _panorama_row(said: dict[str, Any], point: Mapping[str, Any], choice: Imagery) -> dict[str, Any]:
    panorama_id, taken, credit = (str(said.get(name) or "") for name in ("pano_id", "date", "copyright"))
    location = said.get("location")
    position = read_place(location.get("lng"), location.get("lat")) if isinstance(location, dict) else None
    days = days_of(taken)
    row = _row(point, "ok", None) | {
        "panorama_id": panorama_id or None,
        "longitude_deg": position[0] if position else None,
        "latitude_deg": position[1] if position else None,
        "captured_on": days[0] if days else None,
        "credit": credit or None,
        "viewer_url": viewer_url(panorama_id) if panorama_id else None,
    }
    if not panorama_id or position is None:
        return row | {"status": "failed", "status_detail": "metadata lack the panorama's name or position"}
    if choice.official_only and credit != OFFICIAL:
        return row | {"status": "not_official", "status_detail": f"by {credit or 'nobody named'}"}
    outside = why_outside(taken, choice)
    return row | {"status": "outside_dates", "status_detail": outside} if outside else row


def _row(point: Mapping[str, Any], status: str, detail: str | None) -> dict[str, Any]:
    nothing = dict.fromkeys(ANSWER_COLUMNS)
    return nothing | {
        "point_id": point["point_id"],
        "status": status,
        "status_detail": detail,
        "is_360": True,
        "source": NAME,
        "licence": LICENCE,
    }


def _status_of(body: bytes) -> str:
    """Status a metadata reply names, ``""`` if it is no such reply."""
    said = json_object(body)
    return str(said.get("status") or "") if said is not None else ""


def _is_picture(body: bytes) -> bool:
    return body.startswith(_PICTURES)


def _require_key_accepted(answer: Answer) -> None:
    if answer.status in (401, 403):
        raise _denied(answer.body)
    if 300 <= answer.status < 400:
        there = urlsplit(answer.location or "").hostname or "another page"
        raise ImageryError(
            f"Google Street View redirects to {there} ({answer.status}), which its service never does: a proxy or "
            "a login stands in between; check the network and imagery.address"
        )


def _denied(body: bytes) -> ImageryError:
    said = body.decode("utf-8", "replace").lower()
    meaning = next((meaning for sign, meaning in _MEANINGS if sign in said), "it does not say why")
    return TermsError(
        f"Google Street View refuses the key in {KEY}: {meaning}; check the key, its restrictions, its billing and "
        f"its quota in the Google Cloud console, and {SECRET} if requests are signed"
    )


def _over_quota() -> ImageryError:
    return ImageryError(
        "Google Street View says that the quota is used up (OVER_QUERY_LIMIT), also after waiting; raise it in the "
        "Google Cloud console, or materialise again tomorrow: what is held is not asked for again"
    )


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:g}"


async def _all_of(jobs: Iterable[Any]) -> None:
    """Do jobs side by side; at the first error the others are cancelled, and it goes on alone."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _open(choice: Imagery, keys: Mapping[str, str]) -> "ImagerySource":
    return GoogleStreetView(choice, keys[KEY], keys.get(SECRET))


PROVIDER = Provider(
    name=NAME,
    title="Google Street View",
    address=ADDRESS,
    keys={KEY: "an API key of Google Maps Platform with the Street View Static API enabled"},
    optional_keys={SECRET: "the URL signing secret of the same project"},
    requests_per_minute=30_000,
    terms=Terms(
        title="Google Maps Platform Terms of Service",
        url="https://cloud.google.com/maps-platform/terms",
        as_of=date(2026, 1, 1),
        needs_acceptance=True,
        may_store_pixels=False,
        retention="Pictures may not be stored or cached; ids of panoramas may be kept.",
        licence=LICENCE,
        licence_url="https://cloud.google.com/maps-platform/terms",
        credit=OFFICIAL,
        summary=(
            "The terms forbid to download or cache Street View images in bulk, to train, test, validate or "
            "fine-tune models with them, and to show them beside a map that is not Google's."
        ),
        may_stand_beside_maps=False,
    ),
    prices=Prices(
        as_of=date(2026, 1, 1),
        url="https://developers.google.com/maps/billing-and-pricing/pricing",
        free_per_month=10_000,
        tiers=((100_000, 7.00), (500_000, 5.60)),
    ),
    open=_open,
    view_url=viewer_url,
)
