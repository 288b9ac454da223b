"""Figures of the correlation of embeddings with deprivation, beside what noise alone reaches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Floor:
    """A kind of noise, and how the largest \\|r\\| it reaches is drawn: apart in a grey print too.

    Parameters
    ----------
    kind
        As in the table `noise_correlations`.
    name
        What people read.
    drawn_of
        What was drawn, after a number of dimensions.
    fill, outline, pattern
        Colour and border of the band, and hatching of the bars that count draws.
    """

    kind: str
    name: str
    drawn_of: str
    fill: str
    outline: dict[str, object]
    pattern: str


SAMPLING = Floor("independent", "sampling-noise floor", "random dimensions", style.NOISE_BAND, {"width": 0}, "")
SPATIAL = Floor(
    "spatial",
    "spatial-noise floor",
    "dimensions with surfaces as smooth as the target",
    "rgba(0,0,0,0)",
    {"width": 1.5, "dash": "dot", "color": style.INK},
    "/",
)


# more names than this run into one another along an axis
_MOST_NAMED = 30


def noise_floor(noise: pd.DataFrame | None, floor: Floor = SAMPLING) -> tuple[float, float, float] | None:
    """Return the 5%, 50% and 95% quantiles of the largest \\|r\\| that noise reaches; None without draws.

    Parameters
    ----------
    noise
        The table `noise_correlations`, one row per draw.
    floor
        The kind of noise.
    """
    largest = _largest(noise, floor) if noise is not None else np.array([])
    if not len(largest):
        return None
    low, middle, high = np.quantile(largest, [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)


def _largest(noise: pd.DataFrame, floor: Floor) -> npt.NDArray[np.float64]:
    return noise.loc[noise["kind"] == floor.kind, "max_absolute_r"].to_numpy(float)


def correlations_beside_noise(
    correlations: pd.DataFrame,
    noise: pd.DataFrame,
    *,
    measure: str,
    order: Literal["strength", "dimension"] = "strength",
) -> "go.Figure":
    """Draw r of every dimension with one measure, and the floors that noise alone reaches.

    Parameters
    ----------
    correlations
        The table `imd_correlations`; rows of other measures are left out.
    noise
        The table `noise_correlations`; empty if there is none, and then no floor is drawn.
    measure
        A measure of the table, for example ``"imd_rank"``.
    order
        ``"strength"`` draws \\|r\\| from the strongest dimension down, with the distribution of the
        largest \\|r\\| of noise at its side; ``"dimension"`` draws r with its sign by dimension.

    Returns
    -------
    figure
        One figure, titled by its axes.
    """
    rows = correlations[correlations["measure"] == measure]
    if order == "dimension":
        return _by_dimension(rows.sort_values("dimension"), noise, measure)
    strength = rows["pearson_r"].abs()
    return _by_strength(rows.loc[strength.sort_values(ascending=False, kind="stable").index], noise, measure)


def dimension_names(rows: pd.DataFrame) -> list[str]:
    """Return what each row's dimension is called, escaped: the area feature's own name, or its number."""
    named = rows["feature"] if "feature" in rows else pd.Series(None, rows.index, dtype=object)
    return [
        f"Dimension {dimension}" if style.is_missing(feature) else style.escape(feature)
        for dimension, feature in zip(rows["dimension"], named, strict=True)
    ]


def are_named(rows: pd.DataFrame) -> bool:
    """Return True if dimensions are area features, which have names."""
    return "feature" in rows and bool(rows["feature"].notna().any())


def _hover(rows: pd.DataFrame) -> list[str]:
    return [
        f"{name}<br>r = {style.number(r, 3)}<br>Spearman {style.number(rank_r, 3)}"
        for name, r, rank_r in zip(dimension_names(rows), rows["pearson_r"], rows["spearman_r"], strict=True)
    ]


def _by_strength(rows: pd.DataFrame, noise: pd.DataFrame, measure: str) -> "go.Figure":
    figure = style.new_figure(height=420)
    values = rows["pearson_r"].abs().to_numpy(float)
    signs = rows["pearson_r"].to_numpy(float) >= 0
    place = np.arange(1, len(rows) + 1)
    hover = np.array(_hover(rows), dtype=object)
    for chosen, name, colour, symbol in (
        (signs, "r positive", style.COLOURS[0], "circle"),
        (~signs, "r negative", style.COLOURS[1], "diamond-open"),
    ):
        figure.add_scatter(
            x=place[chosen], y=values[chosen], mode="markers", name=name, text=hover[chosen], hoverinfo="text",
            marker={"color": colour, "symbol": symbol, "size": 6},
        )  # fmt: skip
    top = float(np.nanmax(values, initial=0.05)) * 1.1
    noun = "Area features" if are_named(rows) else "Dimensions"
    for floor in _floors(noise):
        _draw_floor(figure, noise, floor)
        _draw_noise_distribution(figure, noise, floor)
        top = max(top, 1.15 * float(_largest(noise, floor).max()))
    figure.update_xaxes(domain=[0, 0.78] if len(noise) else [0, 1], title_text=f"{noun}, the strongest first")
    figure.update_yaxes(
        range=[0, max(top, 0.1)],
        title_text=f"|r| with {style.broken_label(measure)}, {style.sample_size(rows)}",
    )
    figure.update_layout(
        xaxis2={"domain": [0.82, 1], "title": {"text": "Draws of noise"}, "anchor": "y"},
        bargap=0.05,
        barmode="overlay",
    )
    return figure


def _floors(noise: pd.DataFrame) -> list[Floor]:
    """The kinds of noise there are draws of."""
    return [floor for floor in (SAMPLING, SPATIAL) if noise_floor(noise, floor) is not None]


def _draw_floor(figure: "go.Figure", noise: pd.DataFrame, floor: Floor) -> None:
    """Draw the band from 5% to 95% of the largest |r| of noise across the whole figure."""
    low, middle, high = np.quantile(_largest(noise, floor), [0.05, 0.5, 0.95])
    figure.add_shape(
        type="rect", xref="paper", x0=0, x1=1, y0=low, y1=high, fillcolor=floor.fill, line=floor.outline,
        layer="below", name=floor.name,
    )  # fmt: skip
    figure.add_shape(
        type="line", xref="paper", x0=0, x1=1, y0=middle, y1=middle, name=floor.name,
        line={"color": style.NOISE, "dash": "dash", "width": 1.5}, layer="below",
    )  # fmt: skip
    rows = noise[noise["kind"] == floor.kind]
    figure.add_annotation(
        xref="paper", x=0.77, y=high, xanchor="right", yanchor="bottom", showarrow=False,
        text=f"{floor.name}: largest |r| of {style.count(rows['n_dimensions'].max())} {floor.drawn_of}, "
        f"5–95% of {style.plural(len(rows), 'draw')}",
        font={"size": 12, "color": style.QUIET_INK},
    )  # fmt: skip


def _draw_noise_distribution(figure: "go.Figure", noise: pd.DataFrame, floor: Floor) -> None:
    counts, edges = np.histogram(_largest(noise, floor), bins=16)
    text = [
        f"largest |r| of {floor.kind} noise {low:.3f} to {high:.3f}<br>{style.plural(int(drawn), 'draw')}"
        for low, high, drawn in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    figure.add_bar(
        x=counts, y=(edges[:-1] + edges[1:]) / 2, width=np.diff(edges), orientation="h", xaxis="x2",
        marker={"color": style.NOISE, "pattern": {"shape": floor.pattern, "fgcolor": style.INK}}, text=text,
        textposition="none", hoverinfo="text", showlegend=False, name=f"{floor.kind} noise",
    )  # fmt: skip


def _by_dimension(rows: pd.DataFrame, noise: pd.DataFrame, measure: str) -> "go.Figure":
    figure = style.new_figure(height=380, showlegend=False)
    figure.add_bar(
        x=rows["dimension"].to_numpy(), y=rows["pearson_r"].to_numpy(float), text=_hover(rows),
        textposition="none", hoverinfo="text", marker={"color": style.COLOURS[0]},
    )  # fmt: skip
    for floor in _floors(noise):
        low, _, high = np.quantile(_largest(noise, floor), [0.05, 0.5, 0.95])
        for sign in (1, -1):
            figure.add_shape(
                type="rect", xref="paper", x0=0, x1=1, y0=sign * low, y1=sign * high, name=floor.name,
                fillcolor=floor.fill, line=floor.outline,
            )  # fmt: skip
    if len(noise):
        figure.add_annotation(
            xref="paper", yref="paper", x=1, y=1, xanchor="right", yanchor="bottom", showarrow=False,
            text=f"grey bands: {SAMPLING.name}; dotted bands: {SPATIAL.name} (5–95%, either sign)",
            font={"size": 12, "color": style.QUIET_INK},
        )  # fmt: skip
    if are_named(rows) and len(rows) <= _MOST_NAMED:
        figure.update_xaxes(tickmode="array", tickvals=rows["dimension"].to_numpy(), ticktext=dimension_names(rows))
    figure.update_xaxes(title_text="Area feature" if are_named(rows) else "Embedding dimension")
    figure.update_yaxes(
        zeroline=True,
        zerolinecolor=style.NOISE,
        title_text=f"r with {style.broken_label(measure)}, {style.sample_size(rows)}",
    )
    return figure
