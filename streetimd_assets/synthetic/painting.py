"""Painted street imagery: answers as an imagery source does, and tells the truth about its pictures."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from streetimd_assets.errors import ImageryError
from streetimd_assets.study.imagery import Faults
from streetimd_assets.synthetic.panoramas import captured_on, stand_panoramas
from streetimd_assets.synthetic.scenes import encode_jpeg, paint_scene
from streetimd_assets.synthetic.stamping import stamp_jpeg
from streetimd_assets.synthetic.streetscape import INDOOR_CLASS, OUTDOOR_CLASSES, World
from streetimd_assets.synthetic.truth import Place, PlantedTruth, Scene

if TYPE_CHECKING:
    from pyproj import Transformer

_LICENCE, _CREDIT = "CC0-1.0", "StreetIMD, painted by a program"
_WORDS = ("panorama_id", "status_detail", "captured_on", "licence", "credit", "viewer_url")
_TRUNCATED_AT = 0.55
_BLANK_GREY = (228, 226, 222)


class PaintedStreets:
    """An imagery source whose panoramas are painted from known deprivation.

    Every answer and picture is a function of world, seed and place: it does not matter which local
    authority asks, in which order, or after which interruption.

    Parameters
    ----------
    lsoas
        ``lsoa_code`` and ``geometry`` (EPSG:27700); real ones or those of the synthetic world.
    deprivation
        By ``lsoa_code``, 0 the least to 1 the most deprived.
    world
        ``signal``: scenes follow deprivation. ``null_spatial``: they follow an unrelated surface of
        the same autocorrelation. ``null_iid``: they follow chance, for each LSOA alone.
    faults
        Shares of points, panoramas and images at fault.
    headings_deg
        Directions painted, clockwise from north.
    image_size_px
        Side of the picture.
    seed
        Fixes everything.

    Raises
    ------
    ImageryError
        If an LSOA has no deprivation, or one that is not between 0 and 1.
    """

    name = "painted"

    def __init__(
        self,
        lsoas: gpd.GeoDataFrame,
        deprivation: "pd.Series[float]",
        *,
        world: World,
        faults: Faults,
        headings_deg: Sequence[float],
        image_size_px: int,
        seed: int,
    ) -> None:
        self._truth = PlantedTruth(lsoas, deprivation, world=world, faults=faults, seed=seed)
        self._key = (seed, world)
        self._faults = faults
        self._headings = tuple(float(heading) for heading in headings_deg)
        self._size_px = image_size_px
        self._prefix = f"{world}-{seed}-{_edition(faults, image_size_px)}-"

    def find_panoramas(self, points: pd.DataFrame) -> pd.DataFrame:
        """Answer points with panoramas, as an imagery source does.

        Parameters
        ----------
        points
            ``point_id``, ``easting_m`` and ``northing_m``.

        Returns
        -------
        answers
            ``point_id``, ``panorama_id``, ``status`` (ok or no_imagery), ``status_detail``,
            ``longitude_deg``, ``latitude_deg``, ``captured_on``, ``is_360`` (true: it is painted all
            round), ``camera_heading_deg`` (unknown), ``source``, ``licence``, ``credit`` and
            ``viewer_url`` (none); a row for each point, in the order given. A panorama's name holds
            world, seed, edition (of faults and size) and place in decimetres.
        """
        points_dm = np.round(10 * points[["easting_m", "northing_m"]].to_numpy(dtype=float)).astype(np.int64)
        standing, has_imagery = stand_panoramas(points_dm, self._faults, self._truth.borders, key=self._key)
        places = [(int(east), int(north)) for east, north in standing]
        longitude, latitude = _to_longitude_latitude(standing)

        def if_there(values: Sequence[object]) -> list[object]:
            return [value if there else None for value, there in zip(values, has_imagery, strict=True)]

        return pd.DataFrame(
            {
                "point_id": points["point_id"].to_numpy(dtype=object),
                "panorama_id": if_there([f"{self._prefix}{east}_{north}" for east, north in places]),
                "status": np.where(has_imagery, "ok", "no_imagery").astype(object),
                "status_detail": [None if there else "no panorama near this point" for there in has_imagery],
                "longitude_deg": np.where(has_imagery, longitude, np.nan),
                "latitude_deg": np.where(has_imagery, latitude, np.nan),
                "captured_on": if_there([captured_on(place, key=self._key) for place in places]),
                "is_360": np.ones(len(places), dtype=bool),
                "camera_heading_deg": np.full(len(places), np.nan),
                "source": self.name,
                "licence": if_there([_LICENCE] * len(places)),
                "credit": if_there([_CREDIT] * len(places)),
                "viewer_url": [None] * len(places),
            }
        ).astype(dict.fromkeys(_WORDS, object))

    def headings_of(self, panorama: Mapping[str, Any]) -> tuple[float | None, ...]:
        """Return the directions painted of every panorama, clockwise from north."""
        return self._headings

    def fetch_image(self, panorama: Mapping[str, Any], heading_deg: float | None) -> bytes:
        """Paint one view.

        Parameters
        ----------
        panorama
            With ``panorama_id``, as answered.
        heading_deg
            Direction of view, clockwise from north.

        Returns
        -------
        data
            A JPEG whose EXIF tags tell panorama, position, direction and day; or, where a fault is
            planted, one of a single grey or one that breaks off.

        Raises
        ------
        ImageryError
            If the panorama is not of this world, seed and edition, stands in none of the LSOAs, or
            no direction is named.
        """
        panorama_id = str(panorama["panorama_id"])
        if heading_deg is None or np.isnan(heading_deg):
            raise ImageryError(f"panorama {panorama_id} is painted by direction; name a heading in degrees")
        place = self._place_of(panorama_id)
        lsoa = self._lsoas_of([panorama_id], [place])[0]
        scene = self._truth.scene(place, lsoa, heading_deg)
        if scene.fault == "blank":
            return encode_jpeg(Image.new("RGB", (self._size_px, self._size_px), _BLANK_GREY))
        data = self._paint(scene, panorama_id, place, heading_deg)
        return data[: int(len(data) * _TRUNCATED_AT)] if scene.fault == "truncated" else data

    def planted_lsoas(self, lad_code: str) -> pd.DataFrame:
        """Return what the painter was told and how it shares the scene classes, by LSOA.

        Parameters
        ----------
        lad_code
            The local authority the LSOAs lie in.

        Returns
        -------
        planted
            ``lsoa_code``, ``lad_code``, ``deprivation`` (0 to 1, as told, also in the null worlds,
            which do not follow it) and ``<class>_planted_share`` for every scene class; the shares
            of a row sum to one.
        """
        indoor = self._faults.indoor_share
        outdoor = (1 - indoor) * self._truth.class_probabilities
        return pd.DataFrame(
            {
                "lsoa_code": self._truth.lsoa_codes,
                "lad_code": lad_code,
                "deprivation": self._truth.deprivation,
                **{f"{name}_planted_share": outdoor[:, i] for i, name in enumerate(OUTDOOR_CLASSES)},
                f"{INDOOR_CLASS}_planted_share": indoor,
            }
        )

    def planted_scenes(self, panoramas: pd.DataFrame) -> pd.DataFrame:
        """Return what is painted in every direction of some panoramas.

        Parameters
        ----------
        panoramas
            With ``panorama_id`` and ``status``; only those that are ok are painted.

        Returns
        -------
        planted
            The columns of ``planted_scenes``, by ``image_id``. The LSOA is found from the place in
            the panorama's name, not from the table, which may be wrong.

        Raises
        ------
        ImageryError
            As `fetch_image` does.
        """
        names = sorted(set(panoramas.loc[panoramas["status"] == "ok", "panorama_id"]))
        places = [self._place_of(name) for name in names]
        lsoas = self._lsoas_of(names, places)
        views = [
            (name, self._truth.lsoa_codes[lsoa], heading, self._truth.scene(place, lsoa, heading))
            for name, place, lsoa in zip(names, places, lsoas, strict=True)
            for heading in self._headings
        ]
        return pd.DataFrame(
            {
                "image_id": [f"{name}@{round(heading) % 360:03d}" for name, _, heading, _ in views],
                "panorama_id": [name for name, _, _, _ in views],
                "lsoa_code": [lsoa_code for _, lsoa_code, _, _ in views],
                "heading_deg": np.array([heading for _, _, heading, _ in views], dtype=float),
                "category": [scene.category for *_, scene in views],
                "disrepair": np.array([scene.disrepair for *_, scene in views], dtype=float),
                "fault": pd.Series([scene.fault for *_, scene in views], dtype=object),
            }
        ).sort_values("image_id", ignore_index=True)

    def _paint(self, scene: Scene, panorama_id: str, place: Place, heading_deg: float) -> bytes:
        picture = paint_scene(
            scene.category,
            disrepair=scene.disrepair,
            place_seed=scene.place_seed,
            view_seed=scene.view_seed,
            month=scene.captured_on.month,
            size_px=self._size_px,
        )
        longitude, latitude = _to_longitude_latitude(np.array([place]))
        return stamp_jpeg(
            encode_jpeg(picture),
            description=f"SYNTHETIC IMAGE: panorama {panorama_id}",
            captured_on=scene.captured_on,
            longitude_deg=float(longitude[0]),
            latitude_deg=float(latitude[0]),
            heading_deg=heading_deg,
        )

    def _place_of(self, panorama_id: str) -> Place:
        """Read the place, in decimetres, from a panorama's name."""
        place = re.fullmatch(re.escape(self._prefix) + r"(-?\d+)_(-?\d+)", panorama_id)
        if not place:
            raise ImageryError(
                f"panorama {panorama_id} is not one of {self._prefix.rstrip('-')} (world, seed, edition): "
                "the study's painted imagery has changed; materialise panoramas again"
            )
        return int(place[1]), int(place[2])

    def _lsoas_of(self, panorama_ids: Sequence[str], places: Sequence[Place]) -> list[int]:
        """Rows of the LSOAs that panoramas stand in."""
        rows = [int(row) for row in self._truth.find_lsoas(places)]
        for panorama_id, row in zip(panorama_ids, rows, strict=True):
            if row < 0:
                raise ImageryError(
                    f"panorama {panorama_id} stands in none of the {len(self._truth.lsoa_codes)} LSOAs "
                    "being painted; ask only for panoramas whose status is ok"
                )
        return rows


def _edition(faults: Faults, image_size_px: int) -> str:
    """Short name of what changes pictures but not the world: a picture kept is never mistaken for another."""
    content = f"{faults.model_dump_json()} {image_size_px}"
    return hashlib.blake2b(content.encode(), digest_size=2).hexdigest()


@cache
def _to_wgs84() -> "Transformer":
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:27700", "EPSG:4326", always_xy=True, allow_ballpark=False)


def _to_longitude_latitude(places_dm: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    longitude, latitude = _to_wgs84().transform(places_dm[:, 0] / 10, places_dm[:, 1] / 10)
    return np.asarray(longitude), np.asarray(latitude)
