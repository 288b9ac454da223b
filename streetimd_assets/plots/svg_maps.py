"""The parts of a map drawn as SVG: outlines of LSOAs, the key to its colours, scale bar and north.

A map needs no tiles, no network and, to be read, no script. North is up and both axes have the same
metres per unit. An LSOA without a value is pale, with a dashed outline that a grey print keeps; what
lies below zero on a map of residuals is hatched as well as coloured.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streetimd_assets.plots import style
from streetimd_assets.plots.maps import Shading

if TYPE_CHECKING:
    import shapely

# units of a map's drawing; a page shows them at two thirds of a pixel or more
WIDTH = 800
_TALLEST = 860
LEGEND_HEIGHT = 122
_KEY_WIDTH, _KEY_TOP, _KEY_HEIGHT = 420, 40, 18
_LONGEST_BAR = 190
# kinds stand in a key in columns of so many
_ENTRIES_HIGH, _ENTRY_STEP, _ENTRY_WIDTH = 3, 25, 300
# units between the lines of a hatching, and of a digit of a tick
_HATCH_EVERY, _DIGIT = 9, 9.6
# outlines are as fine as twice the size shown, but never so coarse that a typical LSOA loses its shape
_FINEST, _COARSEST = 1 / 1_600, 1 / 6

CSS = """
figure.map { margin: .75rem 0 1.25rem; max-width: 50rem; position: relative; }
figure.map figcaption { margin-top: .3rem; max-width: 46rem; }
svg.map { width: 100%; height: auto; display: block; background: #fff; }
svg.map .areas { stroke: #fff; stroke-linejoin: round; fill-rule: evenodd; }
svg.map .areas.pale { stroke: #9aa5b1; }
svg.map .missing { fill: none; stroke: #52606d; stroke-dasharray: 3 3; }
svg.map .missing, svg.map .mark { vector-effect: non-scaling-stroke; pointer-events: none; }
svg.map .hatching { pointer-events: none; fill-rule: evenodd; }
svg.map text { font: 17px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #52606d; }
svg.map text.label { font-size: 19px; font-weight: 600; fill: #1f2933; }
svg.map .line { stroke: #1f2933; stroke-width: 1.5; fill: none; }
svg.map [hidden] { display: none; }
@media print { figure.map { break-inside: avoid; max-width: 28rem; } svg.map { max-height: 19cm; } }
"""


@dataclass(frozen=True)
class Land:
    """The outlines of LSOAs in whole units of a grid, and the window through which they are seen.

    Parameters
    ----------
    outlines
        SVG paths in the order of the LSOAs; the grid's origin is the north-west corner.
    metres_per_unit
        Metres of one unit of the grid.
    left, width, height
        The window in units of the grid.
    line
        Width of the lines between LSOAs in units of the grid: thin where LSOAs are small.
    """

    outlines: tuple[str, ...]
    metres_per_unit: float
    left: int
    width: int
    height: int
    line: float

    @property
    def height_shown(self) -> float:
        """Height of the window in units of the drawing, :data:`WIDTH` of which are its width."""
        return WIDTH * self.height / self.width

    @property
    def metres_shown(self) -> float:
        """Metres of one unit of the drawing."""
        return self.metres_per_unit * self.width / WIDTH

    def window(self, content: str) -> str:
        """Return drawn areas seen through the window, as an element of a map."""
        return (
            f'<svg class="land" width="{WIDTH}" height="{self.height_shown:.4g}" '
            f'viewBox="{self.left} 0 {self.width} {self.height}" data-metres="{self.metres_per_unit:.6g}">\n'
            f"{content}\n</svg>"
        )


def draw_land(shapes: "np.ndarray") -> Land:
    """Return the outlines of shapes in EPSG:27700, of shape ``(n_lsoas,)``, as a map draws them."""
    import shapely

    if not len(shapes):
        return Land((), 1.0, 0, WIDTH, 1, 1.0)
    west, south, east, north = shapely.total_bounds(shapes)
    extent = max(east - west, (north - south) * WIDTH / _TALLEST) or 1.0
    typical = float(np.median(np.sqrt(shapely.area(shapes))))
    tolerance = min(extent * _FINEST, typical * _COARSEST) or 1.0
    # neighbours are simplified together: their shared borders stay shared
    simple = shapely.coverage_simplify(shapes, tolerance)
    unit = tolerance / 2
    placed = shapely.transform(simple, lambda points: (points - (west, north)) / (unit, -unit))
    outlines = tuple(_path(shape) for shape in placed)
    height = int(np.ceil((north - south) / unit)) or 1
    width = int(np.ceil(max((east - west) / unit, height * WIDTH / _TALLEST)))
    shown = typical / (width * unit / WIDTH)
    line = np.clip(shown / 40, 0.1, 1.2) * width / WIDTH
    return Land(outlines, unit, round(((east - west) / unit - width) / 2), width, height, round(float(line), 2))


def _path(shape: "shapely.Geometry") -> str:
    """Return the rings of a polygon or of several as an SVG path in whole units."""
    import shapely

    rings = [
        np.rint(shapely.get_coordinates(ring)).astype(int)
        for polygon in shapely.get_parts(shape)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    return "".join(_ring(ring) for ring in rings if len(ring) > 3)


def _ring(ring: "np.ndarray") -> str:
    # steps from corner to corner are shorter to write than places, and a minus sign parts two numbers
    steps = np.diff(ring[:-1], axis=0)
    written = " ".join(f"{x} {y}" for x, y in steps[steps.any(axis=1)].tolist()).replace(" -", "-")
    return f"M{ring[0][0]} {ring[0][1]}l{written}z" if written else ""


def overlays(land: Land, numbers: "np.ndarray", shading: Shading, name: str) -> str:
    """Return what lies over the colours: hatching below zero if the shading has it, dashes round what is missing.

    Parameters
    ----------
    land
        The outlines.
    numbers
        One value per outline, NaN where missing, of shape ``(n_lsoas,)``.
    shading
        How values become colours.
    name
        Of the hatching, another for each map of a page.
    """
    below = numbers < 0 if shading.hatches_negative else np.zeros(len(numbers), dtype=bool)
    return (
        hatch_pattern(name, _HATCH_EVERY * land.width / WIDTH)
        + f'<path class="hatching" fill="url(#{name})" d="{_joined(land, below)}"/>'
        + f'<path class="missing" d="{_joined(land, np.isnan(numbers))}"/>'
    )


def _joined(land: Land, is_in: "np.ndarray") -> str:
    return "".join(path for path, is_one in zip(land.outlines, is_in, strict=True) if is_one)


def hatch_pattern(name: str, step: float) -> str:
    """Return the definition of a hatching whose lines are `step` units apart, seen on pale and on dark."""
    lines = "".join(
        f'<path d="M{step * at:.3g} 0V{step:.4g}" stroke="{colour}" stroke-width="{step / 6:.3g}"/>'
        for at, colour in ((0.3, "#1f2933"), (0.3 + 1 / 6, "#fff"))
    )
    return (
        f'<pattern id="{name}" width="{step:.4g}" height="{step:.4g}" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)">{lines}</pattern>'
    )


def key(name: str, label: str, shading: Shading, numbers: "np.ndarray") -> str:
    """Return the label, a bar of colours with its ticks, and how many LSOAs have a value.

    Parameters
    ----------
    name
        Of the bar's colours, another for each key of a page.
    label
        What the values are, already escaped.
    shading
        How values become colours.
    numbers
        The values, NaN where missing, of shape ``(n_lsoas,)``.
    """
    n_missing = int(np.isnan(numbers).sum())
    if shading.names:
        return f'<text class="label" y="26">{label}</text>{_entries(name, shading, numbers)}'
    counted = f"n = {style.plural(len(numbers) - n_missing, 'LSOA')}"
    missing = ""
    if n_missing:
        counted += f", {style.count(n_missing)} without a value"
        missing = (
            f'<rect x="{_KEY_WIDTH + 24}" y="{_KEY_TOP}" width="26" height="{_KEY_HEIGHT}" fill="{style.NO_VALUE}" '
            f'stroke="#52606d" stroke-dasharray="3 3"/><text x="{_KEY_WIDTH + 37}" y="{_KEY_TOP + 41}" '
            'text-anchor="middle">none</text>'
        )
    bar = _boxes(shading) if shading.is_counted_in_boxes else _gradient(name, shading)
    return f'<text class="label" y="26">{label}</text>{bar}{missing}<text y="{LEGEND_HEIGHT - 10}">{counted}</text>'


def _boxes(shading: Shading) -> str:
    """Return one box for each whole number of the scale."""
    whole = np.arange(shading.low, shading.high + 1)
    step = _KEY_WIDTH / len(whole)
    return "".join(
        f'<rect x="{place * step:.4g}" y="{_KEY_TOP}" width="{step:.4g}" height="{_KEY_HEIGHT}" stroke="#fff" '
        f'fill="{shading.colour(value)}"/><text x="{(place + 0.5) * step:.4g}" y="{_KEY_TOP + 41}" '
        f'text-anchor="middle">{shading.words(value)}</text>'
        for place, value in enumerate(whole)
    )


def _entries(name: str, shading: Shading, numbers: "np.ndarray") -> str:
    """Return one box with its words for each kind, in two columns, and how many LSOAs are of it."""
    parts = [hatch_pattern(f"{name}-below", _HATCH_EVERY)] if shading.hatches_negative else []
    values = [*np.arange(shading.low, shading.high + 1), *([np.nan] if np.isnan(numbers).any() else [])]
    for place, value in enumerate(values):
        column, row = divmod(place, _ENTRIES_HIGH)
        x, y = column * _ENTRY_WIDTH, _KEY_TOP + row * _ENTRY_STEP
        box = f'x="{x}" y="{y}" width="24" height="{_KEY_HEIGHT}"'
        is_missing = bool(np.isnan(value))
        edge = 'stroke="#52606d" stroke-dasharray="3 3"' if is_missing else 'stroke="#9aa5b1"'
        parts.append(f'<rect {box} fill="{shading.colour(value)}" {edge}/>')
        if value < 0 and shading.hatches_negative:
            parts.append(f'<rect {box} fill="url(#{name}-below)"/>')
        n = int(np.isnan(numbers).sum() if is_missing else (numbers == value).sum())
        parts.append(f'<text x="{x + 31}" y="{y + 15}">{shading.words(value)}: {style.count(n)}</text>')
    return "".join(parts)


def _gradient(name: str, shading: Shading) -> str:
    """Return a bar whose colour flows, hatched below zero where the map is, with ticks."""
    ends = len(shading.colours) - 1
    stops = "".join(
        f'<stop offset="{k / ends:.3g}" stop-color="{colour}"/>' for k, colour in enumerate(shading.colours)
    )
    box = f'y="{_KEY_TOP}" height="{_KEY_HEIGHT}"'
    bar = f'<linearGradient id="{name}">{stops}</linearGradient>'
    bar += f'<rect width="{_KEY_WIDTH}" {box} fill="url(#{name})"/>'
    if shading.hatches_negative:
        bar += hatch_pattern(f"{name}-below", _HATCH_EVERY)
        bar += f'<rect width="{_KEY_WIDTH / 2:g}" {box} fill="url(#{name}-below)"/>'
    return bar + "".join(_tick(*tick) for tick in _ticks(shading))


def _tick(x: float, words: str) -> str:
    anchor = "start" if x == 0 else "end" if x == _KEY_WIDTH else "middle"
    return (
        f'<path class="line" d="M{x:.4g} {_KEY_TOP + _KEY_HEIGHT}v6"/>'
        f'<text x="{x:.4g}" y="{_KEY_TOP + 41}" text-anchor="{anchor}">{words}</text>'
    )


def _ticks(shading: Shading) -> list[tuple[float, str]]:
    """Return places and words of the scale's ends and of round numbers well between them."""
    reach = (shading.high - shading.low) or 1.0
    longest = max(len(shading.words(end)) for end in (shading.low, shading.high))
    room = 1.7 * longest * _DIGIT / _KEY_WIDTH + 0.03
    finest = 10.0**-shading.digits
    kept: list[float] = []
    # rounder numbers before more of them
    for parts in (4, 8, 16):
        step = max(_round_up(reach / parts), finest)
        inner = np.arange(np.ceil(shading.low / step), np.floor(shading.high / step) + 1) * step
        fitting = [value for value in inner if room <= (value - shading.low) / reach <= 1 - room]
        if len(kept) < 2 and step / reach >= room:
            kept = fitting
    ends = [shading.low, *kept, shading.high]
    return [((value - shading.low) / reach * _KEY_WIDTH, shading.words(value)) for value in ends]


def _round_up(value: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * next(n for n in (1, 2, 5, 10) if n * power >= value * (1 - 1e-9)))


def round_down(value: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not above a positive value."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * next(n for n in (5, 2, 1) if n * power <= value * (1 + 1e-9)))


def corner(land: Land, heading: str) -> str:
    """Return scale bar, north arrow and the study's heading, which is escaped here."""
    metres = round_down(_LONGEST_BAR * land.metres_shown)
    length = metres / land.metres_shown
    right = WIDTH - 34
    return (
        f'<g class="scale"><path class="line" d="M{right - length:.4g} {_KEY_TOP + 8}v10h{length:.4g}v-10"/>'
        f'<text x="{right}" y="{_KEY_TOP + 41}" text-anchor="end">{style.count(metres)} m, EPSG:27700</text></g>'
        f'<path d="M{WIDTH - 12} {_KEY_TOP - 14}l9 32l-9 -7l-9 7z" fill="#1f2933"/>'
        f'<text x="{WIDTH - 12}" y="{_KEY_TOP + 41}" text-anchor="middle">N</text>'
        f'<text x="{WIDTH}" y="{LEGEND_HEIGHT - 10}" text-anchor="end">{style.escape(heading)}</text>'
    )
