"""Rows of ``street_images``: what names an image, what became of it, and the table of all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from streetimd_assets.schemas import TABLES
from streetimd_assets.sources.imagery.base import heading_label

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Recorded = Mapping[str, Mapping[str, Any]]
# what became of an image: the columns OUTCOME, as a tuple because there may be very many
Outcome = tuple[Any, ...]
# an image's name, the number of its panorama's row, and its heading
Planned = tuple[str, int, float | None]

# an image with one of these was had, and asking again would bring the same
SETTLED = ("ok", "invalid_image")
OUTCOME = ("status", "status_detail", "image_path", "width_px", "height_px", "n_bytes", "sha256")
FROM_PANORAMA = (
    "panorama_id",
    "point_id",
    "lsoa_code",
    "captured_on",
    "source",
    "licence",
    "credit",
    "viewer_url",
)
# panoramas taken from the table at a time
CHUNK = 500


def image_id(panorama_id: str, heading_deg: float | None) -> str:
    """Name an image by its panorama and heading.

    Examples
    --------
    >>> image_id("p1", 90), image_id("p1", None)
    ('p1@090', 'p1@na')
    """
    return f"{panorama_id}@{heading_label(heading_deg)}"


def is_held(before: Mapping[str, Any] | None, view: str) -> bool:
    """True if an earlier run had this image, in this view."""
    return before is not None and before["status"] in SETTLED and before.get("view") == view


def known(value: Any) -> Any:
    """Return None for the several ways in which a data frame says that nothing is known."""
    import pandas as pd

    return None if pd.isna(value) else value


def rows_of(panoramas: "pd.DataFrame") -> Iterator[Row]:
    """Rows as mappings, some at a time: those of a whole table would take more memory than the table."""
    for start in range(0, len(panoramas), CHUNK):
        for row in panoramas.iloc[start : start + CHUNK].to_dict("records"):
            yield {str(column): value for column, value in row.items()}


def as_table(
    panoramas: "pd.DataFrame", planned: Sequence[Planned], outcomes: Mapping[str, Outcome]
) -> "pd.DataFrame":
    """Return ``street_images``: images in the order given, of panoramas by the number of their row."""
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "image_id": [name for name, _, _ in planned],
        "heading_deg": [heading_deg for _, _, heading_deg in planned],
    }
    for column in FROM_PANORAMA:
        values = [known(value) for value in panoramas[column]]
        columns[column] = [values[number] for _, number, _ in planned]
    for position, column in enumerate(OUTCOME):
        columns[column] = [outcomes[name][position] for name, _, _ in planned]
    table = pd.DataFrame(columns, columns=list(TABLES["street_images"].column_names))
    counts = dict.fromkeys(("width_px", "height_px", "n_bytes"), "Int64")
    return table.astype({"heading_deg": "float64", **counts})
