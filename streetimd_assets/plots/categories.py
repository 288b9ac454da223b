"""Figures of how street images share out among the scene categories."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go


def share_names(features: pd.DataFrame) -> list[str]:
    """Return the categories with a share column in `lsoa_features`, in the table's order."""
    columns = [name.removesuffix("_share") for name in features.columns if name.endswith("_share")]
    return [name for name in columns if name != "rejected" and f"n_{name}" in features.columns]


def category_totals(features: pd.DataFrame) -> pd.DataFrame:
    """Sum the images of each category over LSOAs.

    Parameters
    ----------
    features
        The table `lsoa_features`.

    Returns
    -------
    totals
        Indexed by category, most images first; columns ``n_images`` and ``share``, of all images
        classified (rejects included, so that the shares sum to one), and the ``lower``, ``median``
        and ``upper`` quartile of the LSOAs' own shares.
    """
    names = share_names(features)
    counts = [int(features[f"n_{name}"].sum()) for name in names]
    shares = features[[f"{name}_share" for name in names]].astype(float)
    quartiles = shares.quantile([0.25, 0.5, 0.75]).to_numpy().reshape(3, len(names))
    totals = pd.DataFrame(
        {
            "n_images": counts,
            "share": np.array(counts, dtype=float) / max(sum(counts), 1),
            **dict(zip(("lower", "median", "upper"), quartiles, strict=True)),
        },
        index=pd.Index(names, name="category"),
    )
    return totals.sort_values("n_images", ascending=False, kind="stable")


def category_shares(features: pd.DataFrame, titles: Mapping[str, str]) -> "go.Figure":
    """Draw the share of images in each category, as bars with their counts.

    Parameters
    ----------
    features
        The table `lsoa_features`.
    titles
        Category names and what people read for them.
    """
    totals = category_totals(features)
    figure = style.new_figure(height=130 + 28 * len(totals), showlegend=False)
    figure.add_bar(
        x=100 * totals["share"].to_numpy(), y=[style.title_of(name, titles) for name in totals.index],
        orientation="h", marker={"color": style.COLOURS[0]}, text=[style.count(n) for n in totals["n_images"]],
        textposition="outside", cliponaxis=False, hoverinfo="x+y",
    )  # fmt: skip
    figure.update_yaxes(type="category", autorange="reversed", ticks="")
    figure.update_xaxes(
        title_text=f"Images (%) of {style.count(totals['n_images'].sum())}; "
        "the number beside a bar counts its images"
    )
    return figure


def shares_by_decile(features: pd.DataFrame, deprivation: pd.DataFrame, titles: Mapping[str, str]) -> "go.Figure":
    """Draw each category's mean share over the LSOAs of each IMD decile, one small panel each.

    Parameters
    ----------
    features
        The table `lsoa_features`.
    deprivation
        The table `deprivation_indices`; LSOAs in only one of the two tables are left out.
    titles
        Category names and what people read for them.
    """
    names = list(category_totals(features).index)
    joined = features.merge(deprivation[["lsoa_code", "imd_decile"]], on="lsoa_code").sort_values("lsoa_code")
    means = joined.groupby("imd_decile")[[f"{name}_share" for name in names]].mean() * 100
    sizes = joined.groupby("imd_decile").size()
    figure = style.new_figure(height=90 + 160 * -(-len(names) // 3), showlegend=False)
    for place, name in enumerate(names):
        _add_panel(figure, means[f"{name}_share"], sizes, style.title_of(name, titles), place, len(names))
    figure.add_annotation(
        xref="paper", yref="paper", x=0.5, y=0, yshift=-4, yanchor="top", showarrow=False,
        text=f"IMD decile (1 = most deprived tenth); {style.plural(len(joined), 'LSOA')}",
    )  # fmt: skip
    figure.update_layout(margin={"b": 52, "t": 30})
    return figure


def _add_panel(
    figure: "go.Figure", means: pd.Series, sizes: pd.Series, title: str, place: int, n_panels: int
) -> None:
    """Draw one category's line in its cell of a grid three panels wide."""
    n_rows = -(-n_panels // 3)
    row, column = divmod(place, 3)
    left, top, height = column * 0.35, 1 - row / n_rows, 1 / n_rows
    x, y = (axis if place == 0 else f"{axis}{place + 1}" for axis in "xy")
    figure.add_scatter(
        x=means.index.to_numpy(), y=means.to_numpy(float), mode="lines+markers", xaxis=x, yaxis=y,
        line={"color": style.COLOURS[0]}, hoverinfo="text",
        text=[
            f"{title}<br>decile {decile}: {style.number(value, 1)}% of an LSOA's images<br>"
            f"mean of {style.plural(size, 'LSOA')}"
            for (decile, value), size in zip(means.items(), sizes, strict=True)
        ],
    )  # fmt: skip
    figure.update_layout(
        {
            x.replace("x", "xaxis"): {"domain": [left, left + 0.27], "anchor": y, "range": [0.5, 10.5],
                                      "dtick": 1, "tickfont": {"size": 10}},
            y.replace("y", "yaxis"): {"domain": [top - 0.66 * height, top - 0.1 * height], "anchor": x,
                                      "rangemode": "tozero", "title": {"text": "%"}, "nticks": 4},
        }
    )  # fmt: skip
    figure.add_annotation(
        xref="paper", yref="paper", x=left, y=top - 0.09 * height, xanchor="left", yanchor="bottom",
        text=f"<b>{title}</b>", showarrow=False, font={"size": 12},
    )  # fmt: skip
