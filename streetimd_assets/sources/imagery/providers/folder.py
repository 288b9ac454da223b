"""A folder of one's own photographs and panoramas as an image source."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import (
    ANSWER_COLUMNS,
    FetchFailed,
    Progress,
    Provider,
    Shot,
    Terms,
    Views,
    heading_label,
    headings_for,
)
from streetimd_assets.sources.imagery.capture_dates import why_outside
from streetimd_assets.sources.imagery.photographs import Photograph, list_folder, look_at, read_manifest
from streetimd_assets.sources.imagery.views import pictures_of

if TYPE_CHECKING:
    import pandas as pd

    from streetimd_assets.sources.web import Web
    from streetimd_assets.study.imagery import Imagery

PROGRESS_EVERY = 200


class FolderImages:
    """One's own photographs, placed by a manifest or by their EXIF positions.

    Photographs that a manifest gives the same ``point_id`` are views from one place, in the
    directions of their headings. Every other photograph is a place of its own. One that looks all round
    is cut into views in the study's headings.

    Files are opened once to find panoramas, and again only to be fetched.

    Parameters
    ----------
    choice
        The study's imagery section. ``folder`` holds the photographs, or folders of them; ``manifest`` is a
        file as :func:`~streetimd_assets.sources.imagery.photographs.read_manifest` takes it. Without one,
        positions are those of the files' EXIF.
    """

    name = "folder"

    def __init__(self, choice: "Imagery") -> None:
        self._choice = choice
        self._folder = Path(choice.folder or ".")
        self._manifest = None if choice.manifest is None else Path(choice.manifest)

    async def find_panoramas(
        self, points: "pd.DataFrame", web: "Web", progress: Progress | None = None
    ) -> "pd.DataFrame":
        """Answer with every photograph, whatever the points: photographs stand where they were taken.

        Returns
        -------
        answers
            One row per place, in the order of ``point_id``; a position that is not known is NULL. A picture that
            looks all round, but is not known to look which way, is ``failed``.

        Raises
        ------
        ImageryError
            If the folder or its manifest cannot be read, or holds no photograph.
        """
        return await asyncio.to_thread(self._look_at_all, progress)

    def shots_of(self, panorama: Mapping[str, Any]) -> tuple[Shot, ...]:
        """All views of a panorama, or each photograph taken there; None for a heading that is not known."""
        if panorama["is_360"]:
            return (Shot(panorama, headings_for(self._choice, panorama)),)
        views = self._views(panorama)
        if len(views) != 1:
            return tuple(Shot(panorama, (view.heading_deg,)) for view in views)
        heading = panorama["camera_heading_deg"]
        # a missing number read back from a table is NaN, which differs from itself
        return (Shot(panorama, (None if heading is None or heading != heading else float(heading),)),)

    async def fetch(self, shot: Shot, web: "Web") -> Views:
        """Read a photograph's file.

        Raises
        ------
        FetchFailed
            If the file is not there or cannot be read, or views cannot be cut out of it.
        """
        data = await asyncio.to_thread(self._read, self._file_of(shot))
        return await pictures_of(data, shot, self._choice)

    def _file_of(self, shot: Shot) -> str:
        views = self._views(shot.panorama)
        wanted = [heading_label(heading) for heading in shot.headings_deg]
        for view in views:
            if len(views) == 1 or heading_label(view.heading_deg) in wanted:
                return view.image_path
        raise FetchFailed(f"'{shot.panorama['panorama_id']}' has no photograph with heading {wanted[0]}")

    def _read(self, image_path: str) -> bytes:
        try:
            return (self._folder / image_path).read_bytes()
        except FileNotFoundError:
            raise FetchFailed(f"'{image_path}' is not in the image folder") from None
        except (OSError, ValueError) as error:
            raise FetchFailed(f"'{image_path}' cannot be read ({type(error).__name__})") from None

    def _views(self, panorama: Mapping[str, Any]) -> list[Photograph]:
        return self._places.get(str(panorama["panorama_id"]), [])

    def _look_at_all(self, progress: Progress | None) -> "pd.DataFrame":
        import pandas as pd

        answers = []
        for n_done, (point_id, views) in enumerate(sorted(self._places.items()), start=1):
            seen = [look_at(self._folder, view, is_listed=self._manifest is not None) for view in views]
            answers.append(self._answer(point_id, seen))
            if progress is not None and (n_done % PROGRESS_EVERY == 0 or n_done == len(self._places)):
                progress(n_done, len(self._places))
        table = pd.DataFrame(answers, columns=list(ANSWER_COLUMNS))
        return table.astype(dict.fromkeys(("longitude_deg", "latitude_deg", "camera_heading_deg"), "float64"))

    def _answer(self, point_id: str, views: list[Photograph]) -> dict[str, Any]:
        first = next((view for view in views if view.longitude_deg is not None), views[0])
        is_alone = len(views) == 1
        if not is_alone:
            _require_flat(point_id, views)
        status, detail = self._judge(first, is_360=is_alone and first.is_360)
        return {
            "point_id": point_id,
            "panorama_id": point_id,
            "status": status,
            "status_detail": detail,
            "longitude_deg": first.longitude_deg,
            "latitude_deg": first.latitude_deg,
            "captured_on": first.captured_on,
            "is_360": is_alone and first.is_360,
            "camera_heading_deg": first.heading_deg if is_alone else None,
            "source": self.name,
            "licence": first.licence,
            "credit": first.credit,
        }

    def _judge(self, view: Photograph, *, is_360: bool) -> tuple[str, str | None]:
        """Status of a place, and more about it."""
        if view.problem:
            return "failed", view.problem
        if is_360 and view.heading_deg is None:
            return "failed", "looks all round, but nothing says which way its middle looks; give it a heading"
        outside = why_outside(view.captured_on.isoformat() if view.captured_on else "", self._choice)
        return ("outside_dates", outside) if outside else ("ok", None)

    @cached_property
    def _places(self) -> dict[str, list[Photograph]]:
        """Photographs by the place they were taken from, those of a place by heading."""
        photographs = self._list_photographs()
        stems = Counter(_stem(photograph) for photograph in photographs)
        places: dict[str, list[Photograph]] = {}
        for photograph in photographs:
            places.setdefault(_place_id(photograph, stems), []).append(photograph)
        for point_id, views in places.items():
            views.sort(key=lambda view: heading_label(view.heading_deg))
            _require_one_place(point_id, views)
        return places

    def _list_photographs(self) -> list[Photograph]:
        try:
            # asks for a name, so that a folder one may not list is found out here
            next(self._folder.iterdir(), None)
        except OSError as error:
            raise ImageryError(
                f"image folder '{self._folder}' cannot be read ({type(error).__name__}); "
                "set imagery.folder to a folder of photographs"
            ) from None
        return list_folder(self._folder) if self._manifest is None else read_manifest(self._manifest)


def _stem(photograph: Photograph) -> str:
    return Path(photograph.image_path).stem


def _place_id(photograph: Photograph, stems: Counter[str]) -> str:
    """The manifest's name of the place, else the file's, with its folders if other files share it."""
    if photograph.point_id is not None:
        return photograph.point_id
    stem = _stem(photograph)
    return stem if stems[stem] == 1 else photograph.image_path.replace("/", "~")


def _require_flat(point_id: str, views: list[Photograph]) -> None:
    spheres = [view.image_path for view in views if view.says_360]
    if spheres:
        raise ImageryError(
            f"the manifest names {len(views)} photographs of '{point_id}', and '{spheres[0]}' looks all round; "
            "give it a point_id of its own"
        )


def _require_one_place(point_id: str, views: list[Photograph]) -> None:
    headings = Counter(heading_label(view.heading_deg) for view in views)
    label, n_views = headings.most_common(1)[0]
    if n_views > 1:
        raise ImageryError(
            f"the manifest names {n_views} photographs of '{point_id}' with heading {label}; "
            "give each photograph a heading or a point_id of its own"
        )
    # the fifth decimal of a degree is about a metre
    places = {
        (round(view.longitude_deg, 5), round(view.latitude_deg, 5))
        for view in views
        if view.longitude_deg is not None and view.latitude_deg is not None
    }
    if len(places) > 1:
        raise ImageryError(
            f"the manifest puts '{point_id}' in {len(places)} places; give photographs from different places "
            "a point_id of their own"
        )


def _open(choice: "Imagery", _: Mapping[str, str]) -> FolderImages:
    return FolderImages(choice)


PROVIDER = Provider(
    name="folder",
    title="Images of your own",
    address=None,
    keys={},
    optional_keys={},
    requests_per_minute=None,
    terms=Terms(
        title="Images of your own",
        url="",
        as_of=date(2026, 1, 1),
        needs_acceptance=False,
        may_store_pixels=True,
        retention="They are yours to keep.",
        licence="as the manifest says",
        licence_url=None,
        credit="as the manifest or EXIF says",
        summary="Nothing is downloaded; whether the pictures may be used is between you and who took them.",
    ),
    prices=None,
    open=_open,
)
