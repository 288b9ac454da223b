"""What sources have in common that are searched by tile: their panoramas stand where they stand."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from streetimd_assets.sources.imagery.base import Progress, Shot
from streetimd_assets.sources.imagery.choosing import answer_points, shots_for
from streetimd_assets.sources.imagery.tiles import Found, Tile, survey_points

if TYPE_CHECKING:
    import pandas as pd

    from streetimd_assets.sources.web import Web
    from streetimd_assets.study.imagery import Imagery


class TiledSource:
    """A source that lists all pictures of a tile; a subclass says how a tile is asked for.

    Parameters
    ----------
    choice
        The study's imagery section.
    """

    name: str
    title: str
    tile_deg: float

    def __init__(self, choice: "Imagery") -> None:
        self._choice = choice

    async def find_panoramas(
        self, points: "pd.DataFrame", web: "Web", progress: Progress | None = None
    ) -> "pd.DataFrame":
        """Answer which panorama, or which flat photographs, stand near each point; see ImagerySource."""
        survey = await survey_points(
            points,
            partial(self._search, web),
            title=self.title,
            size_deg=self.tile_deg,
            max_distance_m=self._choice.max_distance_m,
            n_at_once=self._choice.max_connections,
            progress=progress,
        )
        pictures = survey.pictures.values()
        return answer_points(points, pictures, self._choice, source=self.name, unanswered=survey.unanswered)

    def shots_of(self, panorama: Mapping[str, Any]) -> tuple[Shot, ...]:
        """One download gives all views of a panorama, or a photograph as it is."""
        return shots_for(self._choice, panorama)

    async def _search(self, web: "Web", tile: Tile) -> Found:
        """Ask for the pictures of one tile."""
        raise NotImplementedError
