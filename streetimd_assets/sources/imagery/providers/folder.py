"""A folder of one's own photographs as an image source."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streetimd_assets.errors import ImageryError
from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS, FetchFailed, heading_label
from streetimd_assets.sources.imagery.photographs import Photograph, read_folder, read_manifest

if TYPE_CHECKING:
    import pandas as pd


class FolderImages:
    """One's own photographs, placed by a manifest or by their EXIF positions.

    Photographs that a manifest gives the same ``point_id`` are views from one place, in the
    directions of their headings. Every other photograph is a place of its own.

    Parameters
    ----------
    folder
        The folder the photographs lie in, or below.
    manifest
        CSV or Parquet as :func:`~streetimd_assets.sources.imagery.photographs.read_manifest` takes
        it; without one, positions are those of the files' EXIF.
    """

    name = "folder"

    def __init__(self, folder: str | Path, manifest: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self.manifest = None if manifest is None else Path(manifest)

    def find_panoramas(self, points: "pd.DataFrame") -> "pd.DataFrame":
        """Answer with every photograph, whatever the points: photographs stand where they were taken.

        Returns
        -------
        answers
            One row per place, in the order of ``point_id``; a position that is not known is NULL.

        Raises
        ------
        ImageryError
            If the folder or its manifest cannot be read, or holds no photograph.
        """
        import pandas as pd

        answers = [self._answer(point_id, views) for point_id, views in sorted(self._places.items())]
        table = pd.DataFrame(answers, columns=list(ANSWER_COLUMNS))
        numbers = ["longitude_deg", "latitude_deg", "camera_heading_deg"]
        return table.astype(dict.fromkeys(numbers, "float64"))

    def headings_of(self, panorama: Mapping[str, Any]) -> tuple[float | None, ...]:
        """Headings of the photographs taken there; ``(None,)`` for one whose heading is not known."""
        return tuple(view.heading_deg for view in self._views(panorama))

    def fetch_image(self, panorama: Mapping[str, Any], heading_deg: float | None) -> bytes:
        """Read a photograph's file.

        Raises
        ------
        FetchFailed
            If the file is not there or cannot be read.
        """
        wanted = heading_label(heading_deg)
        for view in self._views(panorama):
            if heading_label(view.heading_deg) == wanted:
                return self._read(view)
        raise FetchFailed(f"'{panorama['panorama_id']}' has no photograph with heading {wanted}")

    def _read(self, view: Photograph) -> bytes:
        try:
            return (self.folder / view.image_path).read_bytes()
        except FileNotFoundError:
            raise FetchFailed(f"'{view.image_path}' is not in the image folder") from None
        except (OSError, ValueError) as error:
            raise FetchFailed(f"'{view.image_path}' cannot be read ({type(error).__name__})") from None

    def _views(self, panorama: Mapping[str, Any]) -> list[Photograph]:
        return self._places.get(str(panorama["panorama_id"]), [])

    def _answer(self, point_id: str, views: list[Photograph]) -> dict[str, Any]:
        first = next((view for view in views if view.longitude_deg is not None), views[0])
        return {
            "point_id": point_id,
            "panorama_id": point_id,
            "status": "failed" if first.problem else "ok",
            "status_detail": first.problem,
            "longitude_deg": first.longitude_deg,
            "latitude_deg": first.latitude_deg,
            "captured_on": first.captured_on,
            "camera_heading_deg": first.heading_deg if len(views) == 1 else None,
            "source": self.name,
            "licence": first.licence,
            "credit": first.credit,
        }

    @cached_property
    def _places(self) -> dict[str, list[Photograph]]:
        """Photographs by the place they were taken from, those of a place by heading."""
        photographs = self._read_photographs()
        stems = Counter(_stem(photograph) for photograph in photographs)
        places: dict[str, list[Photograph]] = {}
        for photograph in photographs:
            places.setdefault(_place_id(photograph, stems), []).append(photograph)
        for point_id, views in places.items():
            views.sort(key=lambda view: heading_label(view.heading_deg))
            _require_one_place(point_id, views)
        return places

    def _read_photographs(self) -> list[Photograph]:
        try:
            # asks for a name, so that a folder one may not list is found out here
            next(self.folder.iterdir(), None)
        except OSError as error:
            raise ImageryError(
                f"image folder '{self.folder}' cannot be read ({type(error).__name__}); "
                "set imagery.folder to a folder of photographs"
            ) from None
        return read_folder(self.folder) if self.manifest is None else read_manifest(self.manifest)


def _stem(photograph: Photograph) -> str:
    return Path(photograph.image_path).stem


def _place_id(photograph: Photograph, stems: Counter[str]) -> str:
    """The manifest's name of the place, else the file's, with its folders if other files share it."""
    if photograph.point_id is not None:
        return photograph.point_id
    stem = _stem(photograph)
    return stem if stems[stem] == 1 else photograph.image_path.replace("/", "~")


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
