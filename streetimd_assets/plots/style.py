"""The look and the words of every figure and page: palette, template, labels, and escaping.

Whatever comes from outside (names of places and roads, captions, credits, titles) passes through
:func:`escape` before it reaches a page or a figure. Plotly shows a few HTML tags in its labels and
hover boxes and turns entities back into characters, so the same escaping serves both.
"""

import html
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streetimd_assets.schemas import CONCEPT_HEAD, DOMAINS, RIDGE_DIRECTION

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe and Ito's colours, which people with any colour vision can tell apart; each goes with a
# marker symbol of its own so that a grey print still tells the series apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star", "cross")
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
INK = "#1f2933"
QUIET_INK = "#52606d"
GRID = "#e4e7eb"
NOISE = "#8a94a0"
NOISE_BAND = "rgba(120,130,140,0.22)"
NO_VALUE = "#f0f0f0"
NOT_KNOWN = "–"

# cividis from dark to light; maps turn it so that dark is always more (or more deprived)
SEQUENTIAL = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"
)  # fmt: skip
# purple to orange, safe for all colour vision; maps also hatch the negative side for grey prints
DIVERGING = (
    "#542788", "#7f6ab0", "#b2abd2", "#d8daeb", "#f7f7f7", "#fee0b6", "#fdb863", "#e08214", "#b35806"
)  # fmt: skip

SHARE_NOTE = "a softmax share among the categories offered: relative, not a calibrated probability"

ESTIMATORS = {
    "ridge": "Ridge regression",
    "random_forest": "Random forest",
    "lightgbm": "Boosting (LightGBM)",
    "pls": "Partial least squares",
    "svr": "Support vector regression",
    "mean": "Baseline: training mean",
    "coordinates": "Baseline: coordinates only",
    "road_density": "Baseline: density of roads",
    "n_images": "Baseline: number of images",
}
_FEATURE_SETS = {
    "embeddings": "embeddings",
    "percentages": "category shares",
    "both": "embeddings and shares",
    "table": "area features",
}
SPLITS = {
    "repeated_80_20": "repeated 80/20 splits",
    "random_folds": "random folds",
    "spatial_blocks": "spatial blocks",
    "leave_one_la_out": "whole local authorities",
}
_KINDS = {
    "rank": ("rank", "1 = most deprived"),
    "score": ("score", "higher = more deprived"),
    "decile": ("decile", "1 = most deprived tenth"),
}


def escape(text: object) -> str:
    """Return text from outside as it may stand in a page, an attribute or a figure's label.

    Control characters are dropped; a missing value becomes a dash.
    """
    if is_missing(text):
        return NOT_KNOWN
    kept = "".join(sign for sign in str(text) if sign.isprintable() or sign in " \n\t")
    return html.escape(kept, quote=True)


def is_missing(value: object) -> bool:
    """Return True for None, NaN, NaT and pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and math.isnan(value)


def day(value: Any) -> str:
    """Return a date or a moment as its day, ``"2021-05-04"``; empty if missing."""
    return "" if is_missing(value) else f"{value:%Y-%m-%d}"


def number(value: Any, digits: int = 2) -> str:
    """Return a number for people: thousands separated, a true minus sign, a dash if missing."""
    if is_missing(value):
        return NOT_KNOWN
    return f"{float(value):z,.{digits}f}".replace("-", "−")


def interval(row: Any, name: str, digits: int = 2) -> str:
    """Return a score of a row with its 95% interval, if it has one."""
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if is_missing(low) or is_missing(high):
        return number(value, digits)
    return f"{number(value, digits)} ({number(low, digits)} to {number(high, digits)})"


def count(value: Any) -> str:
    """Return a whole number with thousands separated."""
    return number(value, 0)


def percent(share: Any, digits: int = 1) -> str:
    """Return a share from 0 to 1 as a percentage."""
    return NOT_KNOWN if is_missing(share) else f"{number(100 * float(share), digits)}%"


def plural(value: Any, noun: str, nouns: str | None = None) -> str:
    """Return ``"1 LSOA"``, ``"1,695 LSOAs"``."""
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"


def sample_size(rows: Any) -> str:
    """Return how many LSOAs the rows of a table rest on, in words."""
    return plural(int(rows["n_lsoas"].max()), "LSOA") if len(rows) else "no LSOAs"


def title_of(category: str, titles: Mapping[str, str]) -> str:
    """Return what people read for a category, escaped; its name in words if it has no title."""
    return escape(titles.get(category) or category.replace("_", " "))


def measure_label(measure: str) -> str:
    """Return a measure of deprivation in words, with its direction, escaped.

    Examples
    --------
    >>> measure_label("imd_rank")
    'IMD rank (1 = most deprived)'
    """
    subject, _, kind = measure.rpartition("_")
    if kind not in _KINDS or subject not in {"imd", *DOMAINS}:
        return escape(measure)
    name, direction = _KINDS[kind]
    return f"{'IMD' if subject == 'imd' else DOMAINS[subject]} {name} ({direction})"


def broken_label(measure: str) -> str:
    """Return :func:`measure_label` on two lines, for the side of a figure."""
    return measure_label(measure).replace(" (", "<br>(", 1)


def low_is_deprived(measure: str) -> bool:
    """Return True for ranks and deciles, in which 1 is the most deprived."""
    return measure.endswith(("_rank", "_decile"))


def feature_label(feature: str, titles: Mapping[str, str]) -> str:
    """Return a feature of the models, or a direction, in words, escaped; an area feature by its own name."""
    if feature in titles:
        return escape(titles[feature])
    if feature == RIDGE_DIRECTION:
        return "Direction of ridge regression"
    if feature.startswith(CONCEPT_HEAD):
        return f"Words: “{escape(feature.removeprefix(CONCEPT_HEAD))}”"
    if feature.endswith("_share"):
        return f"Share of {title_of(feature.removesuffix('_share'), titles)}"
    head, _, dimension = feature.rpartition("_embedding_")
    if head and dimension.isdigit():
        return f"Dimension {int(dimension)} ({title_of(head, titles)})"
    return escape(feature)


def is_direction(feature: str) -> bool:
    """Return True for a direction among embeddings, which is shown beside the leading features."""
    return feature == RIDGE_DIRECTION or feature.startswith(CONCEPT_HEAD)


def estimator_label(estimator: str) -> str:
    """Return an estimator or baseline in words, escaped."""
    return ESTIMATORS.get(estimator) or escape(estimator)


def feature_set_label(feature_set: str) -> str:
    """Return a feature set in words, escaped."""
    return _FEATURE_SETS.get(feature_set) or escape(feature_set)


def split_label(split: str) -> str:
    """Return what is held out of the fit, in words, escaped."""
    return SPLITS.get(split) or escape(split)


def is_baseline(estimator: str, feature_set: str) -> bool:
    """Return True for what is predicted without looking at any image."""
    learners = {"ridge", "pls", "svr", "random_forest", "lightgbm"}
    return estimator not in learners or feature_set not in _FEATURE_SETS


def new_figure(*, height: int, **layout: Any) -> "go.Figure":
    """Return an empty figure in the house's template.

    Parameters
    ----------
    height
        In pixels; the width follows the page.
    layout
        Anything else of plotly's layout.
    """
    import plotly.graph_objects as go

    axis = {
        "gridcolor": GRID,
        "linecolor": NOISE,
        "zeroline": False,
        "automargin": True,
        "ticks": "outside",
        "tickcolor": NOISE,
        "title": {"standoff": 12},
    }
    template = go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "colorway": list(COLOURS),
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": "white", "font": {"color": INK}, "align": "left"},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
            "margin": {"l": 70, "r": 24, "t": 48, "b": 72},
        }
    )
    return go.Figure(layout={"template": template, "height": height, "hovermode": "closest", **layout})
