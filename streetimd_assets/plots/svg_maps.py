"""Maps of LSOAs as SVG: for pages that need no script, and so weigh kilobytes instead of megabytes.

The same shading as :mod:`streetimd_assets.plots.maps`: dark is always more. An LSOA without a value
is pale, with a dashed outline that a grey print keeps.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import style
from streetimd_assets.plots.maps import Shading

if TYPE_CHECKING:
    import geopandas as gpd
    import shapely

# units of a map's drawing; a page shows them at half this width or more
WIDTH = 800
_TALLEST = 1_100
_LEGEND = 92
_KEY_WIDTH, _KEY_HEIGHT, _KEY_STEPS = 320, 16, 5

CSS = """
svg.map { width: 100%; height: auto; display: block; background: #fff; }
svg.map path { stroke: #fff; stroke-width: 1; stroke-linejoin: round; }
svg.map path.missing { stroke: #8a94a0; stroke-dasharray: 3 4; }
svg.map path:hover { stroke: #1f2933; stroke-width: 2.5; }
svg.map text { font: 17px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #52606d; }
figure.map { margin: .75rem 0 1.25rem; } figure.map figcaption { margin-top: .3rem; max-width: 46rem; }
"""


def svg_map(
    lsoas: "gpd.GeoDataFrame", values: pd.Series, *, heading: str, label: str, caption: str, shading: Shading
) -> str:
    """Draw one value per LSOA as a figure of a page; a page with it takes :data:`CSS`.

    Parameters
    ----------
    lsoas
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry`` in EPSG:27700.
    values
        By ``lsoa_code``; an LSOA without a value is drawn pale and dashed.
    heading
        Title of the study, written into the figure's lower right corner and escaped here.
    label
        What the values are, already escaped.
    caption
        A sentence below the map, already escaped.
    shading
        How values become colours.

    Returns
    -------
    html
        A figure element; north is up and both axes have the same metres per unit.
    """
    numbers = values.reindex(lsoas["lsoa_code"]).to_numpy(dtype=float, na_value=np.nan)
    outlines, height = _draw_outlines(np.asarray(lsoas.geometry))
    names = zip(lsoas["lsoa_name"], lsoas["lsoa_code"], numbers, outlines, strict=True)
    areas = "\n".join(
        _area(outline, value, f"{style.escape(name)} {style.escape(code)}: {shading.words(value)}", shading)
        for name, code, value, outline in names
    )
    legend = _legend(heading, label, shading, height, int(np.isnan(numbers).sum()))
    return (
        f'<figure class="map"><svg class="map" viewBox="0 0 {WIDTH} {height + _LEGEND}" role="img" '
        f'aria-label="{label}">\n{areas}\n{legend}\n'
        f"</svg><figcaption>{caption}</figcaption></figure>"
    )


def _area(outline: str, value: float, words: str, shading: Shading) -> str:
    kind = ' class="missing"' if np.isnan(value) else ""
    return (
        f'<path d="{outline}" fill="{shading.colour(value)}" fill-rule="evenodd"{kind}>'
        f"<title>{words}</title></path>"
    )


def _draw_outlines(shapes: "np.ndarray") -> tuple[list[str], int]:
    """Return the path of each shape, south-west corner at the lower left, and the height they take."""
    import shapely

    if not len(shapes):
        return [], 0
    west, south, east, north = shapely.total_bounds(shapes)
    metres_per_unit = max((east - west) / WIDTH, (north - south) / _TALLEST) or 1.0
    left = (WIDTH - (east - west) / metres_per_unit) / 2
    # neighbours are simplified together, to about a unit: their shared borders stay shared
    simple = shapely.coverage_simplify(shapes, metres_per_unit)

    def place(points: np.ndarray) -> np.ndarray:
        eastings, northings = points.T
        return np.column_stack([left + (eastings - west) / metres_per_unit, (north - northings) / metres_per_unit])

    paths = [_path(shape) for shape in shapely.transform(simple, place)]
    return paths, int(np.ceil((north - south) / metres_per_unit))


def _path(shape: "shapely.Geometry") -> str:
    """Return the rings of a polygon or of several as an SVG path in whole units."""
    import shapely

    rings = [
        np.rint(shapely.get_coordinates(ring)).astype(int)
        for polygon in shapely.get_parts(shape)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    # steps from corner to corner are shorter to write than places
    return "".join(
        f"M{ring[0][0]} {ring[0][1]}l" + " ".join(f"{x} {y}" for x, y in np.diff(ring[:-1], axis=0)) + "z"
        for ring in rings
        if len(ring) > 3
    )


def _legend(heading: str, label: str, shading: Shading, top: int, n_missing: int) -> str:
    """Return the label, a bar of colours with the values at its ends and middle, and the study's heading."""
    at = np.linspace(shading.low, shading.high, _KEY_STEPS)
    step = _KEY_WIDTH / _KEY_STEPS
    bar = "".join(
        f'<rect x="{place * step:g}" y="{top + 36}" width="{step:g}" height="{_KEY_HEIGHT}" '
        f'fill="{shading.colour(value)}"/>'
        for place, value in enumerate(at)
    )
    ends = (("start", 0, at[0]), ("middle", _KEY_WIDTH / 2, (at[0] + at[-1]) / 2), ("end", _KEY_WIDTH, at[-1]))
    ticks = "".join(
        f'<text x="{x:g}" y="{top + 74}" text-anchor="{anchor}">{shading.words(value)}</text>'
        for anchor, x, value in ends
    )
    missing = f" ({style.plural(n_missing, 'LSOA')} without a value)" if n_missing else ""
    return (
        f'<text x="0" y="{top + 25}">{label}{missing}</text>{bar}{ticks}'
        f'<text x="{WIDTH}" y="{top + 74}" text-anchor="end">{style.escape(heading)}</text>'
    )
