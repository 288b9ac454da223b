"""The painter of the synthetic room, asked as an image source is."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.science import geography
from streetimd_assets.sources.imagery.base import Progress, Shot, Views
from streetimd_assets.sources.web import Web
from streetimd_assets.synthetic.painting import PaintedStreets

# national numbers of LSOAs: a rank over them is a share of the country
_N_RANKED = {"iod2025": 33_755, "iod2019": 32_844, "synthetic": 300}


class PaintedSource:
    """Painted streets behind the protocol of image sources; nothing is asked over HTTP."""

    name = "painted"

    def __init__(self, painter: PaintedStreets) -> None:
        self._painter = painter

    async def find_panoramas(
        self, points: pd.DataFrame, web: Web, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Answer points with panoramas."""
        return self._painter.find_panoramas(points)

    def shots_of(self, panorama: Mapping[str, Any]) -> tuple[Shot, ...]:
        """One painting for each direction."""
        return tuple(Shot(panorama, (heading,)) for heading in self._painter.headings_of(panorama))

    async def fetch(self, shot: Shot, web: Web) -> Views:
        """Paint a view."""
        return {heading: self._painter.fetch_image(shot.panorama, heading) for heading in shot.headings_deg}


def painted_streets(house: House, local_authority: str) -> PaintedStreets:
    """Return the painter, told how deprived each LSOA of the local authority is."""
    choice = house.study.imagery
    ranks = house.store.read("deprivation_indices", local_authority, ["lsoa_code", "imd_rank"])
    share = 1 - (ranks["imd_rank"] - 0.5) / _N_RANKED[house.study.deprivation.index]
    return PaintedStreets(
        geography.as_geodataframe(house.store.read("lsoa_boundaries", local_authority)),
        pd.Series(share.to_numpy(), index=ranks["lsoa_code"]),
        world=choice.world,
        faults=choice.faults,
        headings_deg=choice.headings_deg,
        image_size_px=choice.image_size_px,
        seed=choice.seed,
    )
