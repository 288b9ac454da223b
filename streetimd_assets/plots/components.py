"""Figures of principal components: what each carries, how it goes with deprivation, what it is made of."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MOST_DOTS = 5_000
_MOST_STRIPS = 6


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
        f"Principal component of the mean embeddings of {style.sample_size(rows)}<br>"
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


def component_loadings(components: pd.DataFrame) -> "go.Figure":
    """Draw what the first components are made of: their loadings, ranked, largest positive first.

    A component that leans on few dimensions falls steeply at both ends; one that leans on all alike
    is a straight slope.

    Parameters
    ----------
    components
        The table `embedding_components`; six of them are drawn.
    """
    rows = components.sort_values("component").head(_MOST_STRIPS)
    figure = style.new_figure(height=420)
    for place, (component, loadings) in enumerate(zip(rows["component"], rows["loadings"], strict=True)):
        values = np.asarray(loadings, dtype=float)
        order = np.argsort(-values, kind="stable")
        colour, symbol = style.COLOURS[place % 7], style.SYMBOLS[place % 7]
        figure.add_scatter(
            x=np.arange(1, len(values) + 1), y=values[order], mode="lines+markers", name=f"component {component}",
            text=[f"Component {component}, dimension {d}: {style.number(values[d], 3)}" for d in order],
            hoverinfo="text", line={"color": colour, "width": 1.5},
            marker={"color": colour, "symbol": symbol, "size": 8, "maxdisplayed": 12},
        )  # fmt: skip
    # what all dimensions would have, were they to share a direction of unit length evenly
    even = 1 / np.sqrt(max(1, len(rows["loadings"].iloc[0])))
    for level in (even, -even):
        figure.add_hline(y=level, line={"color": style.NOISE, "dash": "dash", "width": 1}, layer="below")
    figure.update_xaxes(title_text="Embedding dimensions, ranked anew for each component")
    figure.update_yaxes(
        title_text="Loading<br>(dashed: all dimensions alike)", zeroline=True, zerolinecolor=style.NOISE
    )
    return figure
