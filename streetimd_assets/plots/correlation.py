"""Figures of the correlation of embeddings with deprivation, beside what noise alone reaches."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

FLOOR_NAME = "sampling-noise floor"
_MOST_DOTS = 5_000
# more names than this run into one another along an axis
_MOST_NAMED = 30


def noise_floor(noise: pd.DataFrame) -> tuple[float, float, float]:
    """Return the 5%, 50% and 95% quantiles of the largest \\|r\\| that noise reaches.

    Parameters
    ----------
    noise
        The table `noise_correlations`, one row per draw; not empty.
    """
    low, middle, high = np.quantile(noise["max_absolute_r"].to_numpy(float), [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)


def correlations_beside_noise(
    correlations: pd.DataFrame,
    noise: pd.DataFrame,
    *,
    measure: str,
    order: Literal["strength", "dimension"] = "strength",
) -> "go.Figure":
    """Draw r of every dimension with one measure, and the floor that noise alone reaches.

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


def _sample_size(rows: pd.DataFrame) -> str:
    return style.plural(int(rows["n_lsoas"].max()), "LSOA") if len(rows) else "no LSOAs"


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
    if len(noise):
        _draw_floor(figure, noise)
        _draw_noise_distribution(figure, noise)
    noun = "Area features" if are_named(rows) else "Dimensions"
    figure.update_xaxes(domain=[0, 0.78] if len(noise) else [0, 1], title_text=f"{noun}, the strongest first")
    figure.update_yaxes(
        range=[0, max(top, 0.1)],
        title_text=f"|r| with {style.broken_label(measure)}, {_sample_size(rows)}",
    )
    figure.update_layout(
        xaxis2={"domain": [0.82, 1], "title": {"text": "Draws of noise"}, "anchor": "y"}, bargap=0.05
    )
    return figure


def _draw_floor(figure: "go.Figure", noise: pd.DataFrame) -> None:
    """Draw the band from 5% to 95% of the largest |r| of noise across the whole figure."""
    low, middle, high = noise_floor(noise)
    figure.add_shape(
        type="rect", xref="paper", x0=0, x1=1, y0=low, y1=high, fillcolor=style.NOISE_BAND, line_width=0,
        layer="below",
    )  # fmt: skip
    figure.add_shape(
        type="line", xref="paper", x0=0, x1=1, y0=middle, y1=middle,
        line={"color": style.NOISE, "dash": "dash", "width": 1.5}, layer="below",
    )  # fmt: skip
    figure.add_annotation(
        xref="paper", x=0.02, y=high, xanchor="left", yanchor="bottom", showarrow=False,
        text=f"{FLOOR_NAME}: largest |r| of {style.count(noise['n_dimensions'].max())} random dimensions, "
        f"5–95% of {style.plural(len(noise), 'draw')}",
        font={"size": 12, "color": style.QUIET_INK},
    )  # fmt: skip


def _draw_noise_distribution(figure: "go.Figure", noise: pd.DataFrame) -> None:
    counts, edges = np.histogram(noise["max_absolute_r"].to_numpy(float), bins=16)
    text = [
        f"largest |r| of noise {low:.3f} to {high:.3f}<br>{style.plural(int(drawn), 'draw')}"
        for low, high, drawn in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    figure.add_bar(
        x=counts, y=(edges[:-1] + edges[1:]) / 2, width=np.diff(edges), orientation="h", xaxis="x2",
        marker={"color": style.NOISE}, text=text, textposition="none", hoverinfo="text", showlegend=False,
        name="noise",
    )  # fmt: skip


def _by_dimension(rows: pd.DataFrame, noise: pd.DataFrame, measure: str) -> "go.Figure":
    figure = style.new_figure(height=380, showlegend=False)
    figure.add_bar(
        x=rows["dimension"].to_numpy(), y=rows["pearson_r"].to_numpy(float), text=_hover(rows),
        textposition="none", hoverinfo="text", marker={"color": style.COLOURS[0]},
    )  # fmt: skip
    if len(noise):
        low, _, high = noise_floor(noise)
        for sign in (1, -1):
            figure.add_shape(
                type="rect", xref="paper", x0=0, x1=1, y0=sign * low, y1=sign * high,
                fillcolor=style.NOISE_BAND, line_width=0,
            )  # fmt: skip
        figure.add_annotation(
            xref="paper", yref="paper", x=1, y=1, xanchor="right", yanchor="bottom", showarrow=False,
            text=f"grey bands: {FLOOR_NAME} (5–95%, either sign)", font={"size": 12, "color": style.QUIET_INK},
        )  # fmt: skip
    if are_named(rows) and len(rows) <= _MOST_NAMED:
        figure.update_xaxes(tickmode="array", tickvals=rows["dimension"].to_numpy(), ticktext=dimension_names(rows))
    figure.update_xaxes(title_text="Area feature" if are_named(rows) else "Embedding dimension")
    figure.update_yaxes(
        zeroline=True,
        zerolinecolor=style.NOISE,
        title_text=f"r with {style.broken_label(measure)}, {_sample_size(rows)}",
    )
    return figure


def component_variances_and_correlations(components: pd.DataFrame, *, target: str) -> "go.Figure":
    """Draw the scree of the principal components and, below it, each one's r with the target.

    Parameters
    ----------
    components
        The table `embedding_components`.
    target
        The measure the components were correlated with.
    """
    rows = components.sort_values("component")
    number = rows["component"].to_numpy()
    share = 100 * rows["explained_variance_share"].to_numpy(float)
    figure = style.new_figure(height=500)
    figure.add_bar(
        x=number, y=share, marker={"color": style.COLOURS[4]}, name="this component", textposition="none",
        text=[f"Component {c}: {v:.1f}% of the variance" for c, v in zip(number, share, strict=True)],
        hoverinfo="text",
    )  # fmt: skip
    figure.add_scatter(
        x=number, y=np.cumsum(share), mode="lines+markers", name="this and those before it", hoverinfo="text",
        text=[f"First {c}: {v:.1f}%" for c, v in zip(number, np.cumsum(share), strict=True)],
        marker={"color": style.INK, "size": 5}, line={"color": style.INK, "width": 1.5},
    )  # fmt: skip
    r = rows["pearson_r"].to_numpy(float)
    figure.add_bar(
        x=number, y=r, xaxis="x2", yaxis="y2", marker={"color": style.COLOURS[0]}, showlegend=False,
        text=[f"Component {c}: r = {style.number(v, 3)}" for c, v in zip(number, r, strict=True)],
        textposition="none", hoverinfo="text",
    )  # fmt: skip
    axis_title = (
        f"Principal component over {_sample_size(rows)}<br>"
        f"below: r of its scores with {style.measure_label(target)}"
    )
    reach = max(0.1, 1.15 * float(np.nanmax(np.abs(r), initial=0)))
    figure.update_layout(
        xaxis={"showticklabels": False, "range": [0.4, len(rows) + 0.6]},
        yaxis={"domain": [0.56, 1], "title": {"text": "Variance (%)"}, "rangemode": "tozero"},
        xaxis2={"anchor": "y2", "title": {"text": axis_title}, "range": [0.4, len(rows) + 0.6]},
        yaxis2={
            "domain": [0, 0.46],
            "title": {"text": "r"},
            "range": [-reach, reach],
            "zeroline": True,
            "zerolinecolor": style.NOISE,
        },
    )
    return figure


def component_plane(
    scores: pd.DataFrame, deprivation: pd.DataFrame, components: pd.DataFrame, *, target: str
) -> "go.Figure":
    """Draw LSOAs on the first two principal components, dark where most deprived.

    Parameters
    ----------
    scores
        ``lsoa_code``, ``component_1`` and ``component_2``. Of more than 5,000 LSOAs an evenly spread
        5,000 are drawn, and the axis says so.
    deprivation
        The table `deprivation_indices`; LSOAs in only one of the two tables are left out.
    components
        The table `embedding_components`, for the variance on the axes.
    target
        The measure shown as colour.
    """
    rows = scores.merge(deprivation[["lsoa_code", target]], on="lsoa_code").dropna().sort_values("lsoa_code")
    drawn = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_DOTS)).astype(int))]
    colours = style.SEQUENTIAL if style.low_is_deprived(target) else style.SEQUENTIAL[::-1]
    steps = np.linspace(0, 1, len(colours)).tolist()
    figure = style.new_figure(height=520, showlegend=False)
    figure.add_scatter(
        x=drawn["component_1"].to_numpy(float), y=drawn["component_2"].to_numpy(float), mode="markers",
        hoverinfo="text",
        text=[
            f"{style.escape(code)}<br>{style.measure_label(target)}: {style.number(value, 0)}"
            for code, value in zip(drawn["lsoa_code"], drawn[target], strict=True)
        ],
        marker={
            "color": drawn[target].to_numpy(float), "size": 7, "line": {"color": "white", "width": 0.5},
            "colorscale": [list(step) for step in zip(steps, colours, strict=True)],
            "colorbar": {"title": {"text": style.broken_label(target), "side": "right"}, "thickness": 14,
                         "outlinewidth": 0, "tickformat": ",d"},
        },
    )  # fmt: skip
    shares = components.sort_values("component")["explained_variance_share"].head(2)
    shown = style.plural(len(rows), "LSOA")
    if len(drawn) < len(rows):
        shown += f", {style.count(len(drawn))} of them drawn"
    words = [
        f"Score on component {k} ({style.percent(share)} of the variance)" for k, share in enumerate(shares, 1)
    ]
    figure.update_xaxes(title_text=f"{words[0]}<br>{shown}", zeroline=True, zerolinecolor=style.GRID)
    figure.update_yaxes(title_text=words[1], zeroline=True, zerolinecolor=style.GRID)
    return figure
