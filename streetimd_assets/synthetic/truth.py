"""What is true of painted streets: how an LSOA looks, and what each view of each place shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from streetimd_assets.errors import ImageryError
from streetimd_assets.study.imagery import Faults
from streetimd_assets.synthetic import panoramas, streetscape
from streetimd_assets.synthetic.chance import whole_number
from streetimd_assets.synthetic.scenes.seeds import WORLD_SEEDS
from streetimd_assets.synthetic.streetscape import World

Place = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """One view: what it shows, what is wrong with it, when it was taken, and its seeds."""

    category: str
    disrepair: float
    fault: str | None
    captured_on: date
    place_seed: int
    view_seed: int


class PlantedTruth:
    """The truth about the painted streets of some LSOAs; parameters as in `PaintedStreets`.

    Places are eastings and northings in decimetres, EPSG:27700. LSOAs are named by their row in
    ``lsoa_codes``.

    Attributes
    ----------
    lsoa_codes
        In order, n of them.
    deprivation
        As told, 0 the least to 1 the most deprived, shape (n,).
    class_probabilities
        Of the outdoor scene classes, shape (n, n_classes).
    borders
        Outlines of the LSOAs.
    """

    def __init__(
        self,
        lsoas: gpd.GeoDataFrame,
        deprivation: "pd.Series[float]",
        *,
        world: World,
        faults: Faults,
        seed: int,
    ) -> None:
        ordered = lsoas.sort_values("lsoa_code", ignore_index=True)
        outlines = ordered.geometry.to_numpy()
        inside = shapely.get_coordinates(shapely.point_on_surface(outlines))
        self.lsoa_codes: list[str] = ordered["lsoa_code"].tolist()
        self.deprivation = _shares_told(self.lsoa_codes, deprivation)
        self.borders = shapely.STRtree(shapely.boundary(outlines))
        self._outlines = shapely.STRtree(outlines)
        self._visible = streetscape.visible_deprivation(
            world, self.deprivation, inside[:, 0], inside[:, 1], self.lsoa_codes, seed=seed
        )
        self.class_probabilities = streetscape.class_probabilities(self._visible)
        self._key = (seed, world)
        self._faults = faults

    def find_lsoas(self, places: Sequence[Place]) -> npt.NDArray[np.intp]:
        """Find the row of the LSOA each place lies in, -1 for none, shape (n_places,)."""
        rows = np.full(len(places), -1, dtype=np.intp)
        if len(places):
            shapes = shapely.points(np.array(places, dtype=float) / 10)
            which, lsoas = self._outlines.query(shapes, predicate="intersects")
            rows[which] = lsoas
        return rows

    def scene(self, place: Place, lsoa: int, heading_deg: float) -> Scene:
        """Say what one view of a place shows, given the row of the place's LSOA."""
        heading = f"{heading_deg % 360:g}"
        place_key = (*self._key, *place)
        visible = float(self._visible[lsoa])
        category = streetscape.draw_class(self.class_probabilities[lsoa], *place_key, heading)
        disrepair = streetscape.draw_disrepair(visible, place_key, heading)
        fault = panoramas.image_fault(place, heading, self._faults, key=self._key)
        if panoramas.is_indoor(place, self._faults, key=self._key):
            # indoors there is no street to be in disrepair
            category, disrepair, fault = streetscape.INDOOR_CLASS, 0.0, fault or "indoor"
        return Scene(
            category=category,
            disrepair=disrepair,
            fault=fault,
            captured_on=panoramas.captured_on(place, key=self._key),
            place_seed=whole_number(*place_key, "place", below=WORLD_SEEDS.stop),
            view_seed=whole_number(*place_key, heading, "view", below=WORLD_SEEDS.stop),
        )


def _shares_told(lsoa_codes: Sequence[str], deprivation: "pd.Series[float]") -> npt.NDArray[np.float64]:
    told = deprivation.reindex(list(lsoa_codes)).to_numpy(dtype=float)
    wrong = ~((told >= 0) & (told <= 1))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ImageryError(
            f"LSOA {lsoa_codes[i]} has deprivation {told[i]}; painting needs a share from 0 (least) to 1 "
            "(most deprived) for every LSOA"
        )
    return np.asarray(told)
