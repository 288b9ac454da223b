"""Maps of LSOAs: plain polygons in metres, no tiles and no network.

Dark is always more, or more deprived. What lies below zero on a map of residuals is hatched as
well as coloured, so that a grey print keeps the sign; an LSOA without a value is crossed out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import geopandas as gpd
    import plotly.graph_objects as go

# pixels that a map has beside its neighbour on a page, and what its axes and colour bar take of them
_MAP_WIDTH, _BESIDE, _BELOW = 540, 190, 130
# details finer than this part of the map's extent cannot be seen on a screen
_FINEST = 1 / 500


@dataclass(frozen=True)
class Shading:
    """How values become colours: the scale's ends, its colours from low to high, its ticks.

    Parameters
    ----------
    low, high
        Values at the ends of the scale.
    colours
        From low to high.
    suffix
        Written behind a value, for example ``"%"``.
    digits
        Decimal places written.
    hatches_negative
        True to hatch what lies below zero.
    """

    low: float
    high: float
    colours: tuple[str, ...]
    suffix: str = ""
    digits: int = 0
    hatches_negative: bool = False

    def colour(self, value: float) -> str:
        """Return the colour of one value, NO_VALUE where it is missing."""
        if np.isnan(value):
            return style.NO_VALUE
        place = (value - self.low) / ((self.high - self.low) or 1.0)
        return _between(self.colours, float(np.clip(place, 0, 1)))

    def pattern(self, value: float) -> str:
        """Return the hatching of one value."""
        if np.isnan(value):
            return "x"
        return "/" if self.hatches_negative and value < 0 else ""

    def words(self, value: float) -> str:
        """Return one value as people read it."""
        return "no value" if np.isnan(value) else f"{style.number(value, self.digits)}{self.suffix}"


def _between(colours: Sequence[str], place: float) -> str:
    """Return the colour at a place from 0 to 1 along the list, in 64 steps."""
    at = round(place * 64) / 64 * (len(colours) - 1)
    first = min(int(at), len(colours) - 2)
    ends = [[int(colours[first + k][i : i + 2], 16) for i in (1, 3, 5)] for k in (0, 1)]
    mixed = [round(a + (b - a) * (at - first)) for a, b in zip(*ends, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def deprivation_shading(values: pd.Series, measure: str) -> Shading:
    """Return the shading of a measure of deprivation, dark where most deprived."""
    low, high = _ends(values)
    if measure.endswith("_decile"):
        low, high = 1.0, 10.0
    colours = style.SEQUENTIAL if style.low_is_deprived(measure) else style.SEQUENTIAL[::-1]
    return Shading(low, high, colours, digits=1 if measure.endswith("_score") else 0)


def share_shading(values: pd.Series) -> Shading:
    """Return the shading of percentages from zero, dark where high."""
    return Shading(0.0, max(_ends(values)[1], 1.0), style.SEQUENTIAL[::-1], suffix="%", digits=1)


def residual_shading(values: pd.Series, measure: str) -> Shading:
    """Return a shading that is white at zero and as wide on either side."""
    reach = max(abs(end) for end in _ends(values)) or 1.0
    digits = 1 if measure.endswith("_score") else 0
    return Shading(-reach, reach, style.DIVERGING, digits=digits, hatches_negative=True)


def _ends(values: pd.Series) -> tuple[float, float]:
    known = values.astype(float).dropna()
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)


def lsoa_map(lsoas: "gpd.GeoDataFrame", values: pd.Series, *, label: str, shading: Shading) -> "go.Figure":
    """Draw one value per LSOA.

    Parameters
    ----------
    lsoas
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry`` in EPSG:27700.
    values
        By ``lsoa_code``; an LSOA without a value is drawn grey and crossed.
    label
        What the values are, with their direction, already escaped.
    shading
        How values become colours.
    """
    figure = style.new_figure(height=_height(lsoas), showlegend=False)
    numbers = _numbers(lsoas, values)
    for outline, value, text in zip(_outlines(lsoas), numbers, _texts(lsoas, numbers, label, shading), strict=True):
        figure.add_scatter(**_area(*outline, value, text, shading))
    figure.add_scatter(**_colour_bar(label, shading))
    _finish_map(figure, len(lsoas), int(np.isnan(numbers).sum()))
    return figure


def category_share_map(lsoas: "gpd.GeoDataFrame", shares: pd.DataFrame, titles: Mapping[str, str]) -> "go.Figure":
    """Draw the share of each LSOA's images in one category, with a menu to change the category.

    Parameters
    ----------
    lsoas
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry`` in EPSG:27700.
    shares
        Shares from 0 to 1, indexed by ``lsoa_code``, one column per category; the first is shown
        at first.
    titles
        Category names and what people read for them.
    """
    first = str(shares.columns[0])
    label = f"{style.title_of(first, titles)}: share of images"
    figure = lsoa_map(lsoas, 100 * shares[first], label=label, shading=share_shading(100 * shares[first]))
    buttons = [_category_button(lsoas, 100 * shares[name], style.title_of(str(name), titles)) for name in shares]
    figure.update_layout(
        updatemenus=[
            {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "showactive": True,
             "bgcolor": "white", "bordercolor": style.NOISE}
        ],
        margin={"t": 64},
    )  # fmt: skip
    return figure


def _category_button(lsoas: "gpd.GeoDataFrame", values: pd.Series, title: str) -> dict[str, Any]:
    """Return the menu entry that recolours every LSOA and the colour bar, the last trace."""
    label = f"{title}: share of images"
    shading, numbers = share_shading(values), _numbers(lsoas, values)
    change = {
        "fillcolor": [*(shading.colour(value) for value in numbers), None],
        "fillpattern.bgcolor": [*(shading.colour(value) for value in numbers), None],
        "fillpattern.shape": [*(shading.pattern(value) for value in numbers), None],
        "text": [*_texts(lsoas, numbers, label, shading), None],
        "marker.cmax": [*[None] * len(lsoas), shading.high],
        "marker.colorbar.title.text": [*[None] * len(lsoas), _on_two_lines(label)],
    }
    return {"label": title, "method": "restyle", "args": [change]}


def _numbers(lsoas: "gpd.GeoDataFrame", values: pd.Series) -> np.ndarray:
    return values.reindex(lsoas["lsoa_code"]).to_numpy(dtype=float, na_value=np.nan)


def _texts(lsoas: "gpd.GeoDataFrame", numbers: np.ndarray, label: str, shading: Shading) -> list[str]:
    names = zip(lsoas["lsoa_name"], lsoas["lsoa_code"], numbers, strict=True)
    return [
        f"<b>{style.escape(name)}</b> {style.escape(code)}<br>{label}<br>{shading.words(value)}"
        for name, code, value in names
    ]


def _outlines(lsoas: "gpd.GeoDataFrame") -> list[tuple[list[float | None], list[float | None]]]:
    """Return eastings and northings of each LSOA's rings, a gap between rings, in whole metres."""
    import shapely

    shapes = np.asarray(lsoas.geometry)
    west, south, east, north = shapely.total_bounds(shapes) if len(shapes) else (0, 0, 0, 0)
    # neighbours are simplified together: their shared borders stay shared
    shapes = shapely.coverage_simplify(shapes, _FINEST * max(east - west, north - south))
    outlines = []
    for shape in shapely.orient_polygons(shapes):
        eastings: list[float | None] = []
        northings: list[float | None] = []
        for polygon in shapely.get_parts(shape):
            for ring in (polygon.exterior, *polygon.interiors):
                places = np.rint(shapely.get_coordinates(ring)).astype(int)
                eastings += [*([None] if eastings else []), *places[:, 0].tolist()]
                northings += [*([None] if northings else []), *places[:, 1].tolist()]
        outlines.append((eastings, northings))
    return outlines


def _area(
    eastings: list[float | None], northings: list[float | None], value: float, text: str, shading: Shading
) -> dict[str, Any]:
    pattern = shading.pattern(value)
    return {
        "x": eastings, "y": northings, "mode": "lines", "fill": "toself", "hoveron": "fills",
        "fillcolor": shading.colour(value), "line": {"color": "white", "width": 0.6}, "text": text,
        "hoverinfo": "text", "fillpattern": {
            "shape": pattern, "fgcolor": "#b0b0b0" if pattern == "x" else "rgba(0,0,0,0.5)",
            "bgcolor": shading.colour(value), "size": 7, "solidity": 0.15, "fillmode": "replace",
        },
    }  # fmt: skip


def _colour_bar(label: str, shading: Shading) -> dict[str, Any]:
    """Return a trace without points that carries the colour bar."""
    steps = np.linspace(0, 1, len(shading.colours)).tolist()
    return {
        "x": [None],
        "y": [None],
        "mode": "markers",
        "hoverinfo": "skip",
        "marker": {
            "color": [shading.low],
            "cmin": shading.low,
            "cmax": shading.high,
            "colorscale": [list(step) for step in zip(steps, shading.colours, strict=True)],
            "showscale": True,
            "colorbar": {
                "title": {"text": _on_two_lines(label), "side": "right", "font": {"size": 12}},
                "thickness": 14,
                "len": 0.85,
                "ticksuffix": shading.suffix,
                "separatethousands": True,
                "outlinewidth": 0,
                "tickformat": f",.{shading.digits}f" if shading.high - shading.low > 5 else "",
            },
        },
    }


def _on_two_lines(label: str) -> str:
    """Break a label before its direction or after its subject: a colour bar is short."""
    return label.replace(": ", "<br>", 1) if ": " in label else label.replace(" (", "<br>(", 1)


def _height(lsoas: "gpd.GeoDataFrame") -> int:
    """Return the height in pixels that lets the map fill its width."""
    west, south, east, north = lsoas.total_bounds if len(lsoas) else (0, 0, 1, 1)
    shape = (north - south) / max(east - west, 1.0)
    return int(np.clip((_MAP_WIDTH - _BESIDE) * shape + _BELOW, 340, 680))


def _finish_map(figure: "go.Figure", n_lsoas: int, n_missing: int) -> None:
    """Give both axes the same metres per pixel and say how many LSOAs there are."""
    missing = f", {n_missing} crossed for want of a value" if n_missing else ""
    figure.update_xaxes(
        title_text=f"Easting (m, EPSG:27700)<br>{style.plural(n_lsoas, 'LSOA')}{missing}", constrain="domain",
        tickformat=",d", nticks=5, showgrid=False,
    )  # fmt: skip
    figure.update_yaxes(
        title_text="Northing (m, EPSG:27700)", scaleanchor="x", scaleratio=1, constrain="domain", tickformat=",d",
        nticks=6, showgrid=False,
    )  # fmt: skip
    figure.update_layout(margin={"l": 60, "r": 16, "t": 24, "b": 88})
