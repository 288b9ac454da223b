"""How the values of a map become colours and words.

Dark is always more, or more deprived. What lies below zero on a map of residuals is hatched as
well as coloured, so that a grey print keeps the sign; an LSOA without a value is pale and dashed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

# colours that a map tells apart
STEPS = 65


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
    names
        Of whole numbers from `low` to `high` that stand for kinds: what each kind is, in words.
    """

    low: float
    high: float
    colours: tuple[str, ...]
    suffix: str = ""
    digits: int = 0
    hatches_negative: bool = False
    names: tuple[str, ...] = ()

    @property
    def is_counted_in_boxes(self) -> bool:
        """True where a key of one box per whole number tells the whole scale."""
        is_whole = float(self.low).is_integer() and float(self.high).is_integer()
        return is_whole and self.digits == 0 and not self.hatches_negative and 1 <= self.high - self.low <= 10

    @property
    def palette(self) -> list[str]:
        """The colours from low to high, one for each of the :data:`STEPS`."""
        return [_between(self.colours, place) for place in np.linspace(0, 1, STEPS)]

    def steps(self, values: np.ndarray) -> np.ndarray:
        """Return the place of each value in the palette, -1 where it is missing."""
        places = (np.asarray(values, dtype=float) - self.low) / ((self.high - self.low) or 1.0)
        steps = np.rint(np.clip(places, 0, 1) * (STEPS - 1))
        return np.where(np.isnan(places), -1, steps).astype(int)

    def colour(self, value: float) -> str:
        """Return the colour of one value, NO_VALUE where it is missing."""
        return style.NO_VALUE if np.isnan(value) else self.palette[int(self.steps(np.array([value]))[0])]

    def words(self, value: float) -> str:
        """Return one value as people read it."""
        if self.names and not np.isnan(value):
            return self.names[int(value - self.low)]
        return "no value" if np.isnan(value) else f"{style.number(value, self.digits)}{self.suffix}"


def _between(colours: Sequence[str], place: float) -> str:
    """Return the colour at a place from 0 to 1 along the list."""
    at = place * (len(colours) - 1)
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


def amount_shading(values: pd.Series, suffix: str = "", digits: int = 0) -> Shading:
    """Return the shading of amounts from zero, such as counts, ages and widths, dark where high."""
    return Shading(0.0, max(_ends(values)[1], 1.0), style.SEQUENTIAL[::-1], suffix=suffix, digits=digits)


def residual_shading(values: pd.Series, measure: str) -> Shading:
    """Return a shading that is white at zero and as wide on either side."""
    reach = max(abs(end) for end in _ends(values)) or 1.0
    digits = 1 if measure.endswith("_score") else 0
    return Shading(-reach, reach, style.DIVERGING, digits=digits, hatches_negative=True)


def score_shading(values: pd.Series) -> Shading:
    """Return a shading of scores whose sign is arbitrary, white in the middle and as wide on either side."""
    reach = max(abs(end) for end in _ends(values)) or 1.0
    return Shading(-reach, reach, style.DIVERGING, digits=2, hatches_negative=True)


def kind_shading(names: Sequence[str], colours: Sequence[str]) -> Shading:
    """Return the shading of kinds numbered around zero, those below it hatched: an odd number of names."""
    reach = len(names) // 2
    return Shading(-reach, reach, tuple(colours), hatches_negative=True, names=tuple(names))


def _ends(values: pd.Series) -> tuple[float, float]:
    known = values.astype(float).dropna()
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
