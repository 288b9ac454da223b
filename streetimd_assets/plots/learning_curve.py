"""How many images are enough: R² against points per LSOA."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

# what is called as good as all points, in R²
NEAR = 0.01
_LATE = " That is the last step but one: whether the curve has ended its rise is not sure."


def add_learning_curve(page: pages.Page, tables: Tables) -> None:
    """Add the learning curve, and how many points a user needs."""
    rows = rows_of(tables, "learning_curve")
    if rows is None:
        page.add_section("enough", "How many images are enough", missing_note("learning_curve"))
        return
    curve = rows[rows["repeat"].astype(str) == "all"].sort_values("n_points_per_lsoa")
    page.add_section(
        "enough",
        "How many images are enough",
        pages.paragraph(enough_sentence(curve)),
        page.figure(
            learning_curve(rows),
            name="Line with a band: R² against the most points used of each LSOA",
            caption="A point is a panorama with any image kept. LSOAs with fewer points give all they have, and "
            "the same LSOAs are scored at every step. Dots are single random choices of points; the band is the "
            "95% interval of their mean, blocks of neighbours resampled.",
        ),
    )


def enough_sentence(curve: pd.DataFrame) -> str:
    """Say how many points read as much as all there are, or that the curve still rises.

    Parameters
    ----------
    curve
        The rows 'all' of `learning_curve`, by number of points.
    """
    last = curve.iloc[-1]
    held_out = f"with {style.split_label(str(last['split']))} held out"
    if len(curve) == 1:
        return f"No LSOA has more than {_points(last)}: there is no curve to read."
    near = curve[curve["r2"] >= last["r2"] - NEAR]
    first = near.iloc[0]
    all_points = f"all points ({_images(last)} per LSOA on average)"
    if first["n_points_per_lsoa"] == last["n_points_per_lsoa"]:
        before = curve.iloc[-2]
        return (
            f"R² still rises, {held_out}: {style.number(before['r2'])} from up to {_points(before)} per LSOA, "
            f"{style.number(last['r2'])} from {all_points}. More images would likely read more; how much more, "
            "this study cannot say."
        )
    is_late = first["n_points_per_lsoa"] == curve["n_points_per_lsoa"].iloc[-2]
    return (
        f"Up to {_points(first)} per LSOA ({_images(first)} on average) are enough here: they read R² = "
        f"{style.number(first['r2'])}, {held_out}, within {style.number(NEAR)} of the "
        f"{style.number(last['r2'])} from {all_points}.{_LATE if is_late else ''}"
    )


def _points(row: pd.Series) -> str:
    return style.plural(row["n_points_per_lsoa"], "point")


def _images(row: pd.Series) -> str:
    return f"{style.number(row['mean_images_per_lsoa'], 1)} images kept"


def learning_curve(rows: pd.DataFrame) -> "go.Figure":
    """Draw R² against the most points used of each LSOA, with single choices and the 95% interval.

    Parameters
    ----------
    rows
        The table `learning_curve`.
    """
    is_whole = rows["repeat"].astype(str) == "all"
    curve = rows[is_whole].sort_values("n_points_per_lsoa")
    figure = style.new_figure(height=430, showlegend=False)
    x = curve["n_points_per_lsoa"].to_numpy(float)
    low, high = curve["r2_low"].to_numpy(float), curve["r2_high"].to_numpy(float)
    figure.add_scatter(
        x=np.append(x, x[::-1]), y=np.append(high, low[::-1]), fill="toself", fillcolor="rgba(0,114,178,0.15)",
        line={"width": 0}, hoverinfo="skip", mode="lines",
    )  # fmt: skip
    some = rows[~is_whole].sort_values(["n_points_per_lsoa", "repeat"])
    figure.add_scatter(
        x=some["n_points_per_lsoa"].to_numpy(float), y=some["r2"].to_numpy(float), mode="markers", hoverinfo="skip",
        marker={"color": style.NOISE, "size": 6, "symbol": "circle-open"},
    )  # fmt: skip
    figure.add_scatter(
        x=x, y=curve["r2"].to_numpy(float), mode="lines+markers", text=_hovers(curve), hoverinfo="text",
        line={"color": style.COLOURS[0], "width": 2}, marker={"color": style.COLOURS[0], "size": 8},
    )  # fmt: skip
    n = style.plural(curve["n_lsoas"].max(), "LSOA")
    figure.update_xaxes(
        title_text=f"Points of each LSOA at most (images kept per LSOA on average)<br>{n} at every step",
        type="log", tickmode="array", tickvals=x, ticktext=_ticks(curve),
    )  # fmt: skip
    figure.update_yaxes(title_text="R² of ridge on embeddings,<br>LSOAs held out", rangemode="tozero")
    return figure


def _ticks(curve: pd.DataFrame) -> list[str]:
    return [
        f"{style.count(row['n_points_per_lsoa'])}<br>({style.number(row['mean_images_per_lsoa'], 0)})"
        for row in curve.to_dict("records")
    ]


def _hovers(curve: pd.DataFrame) -> list[str]:
    return [
        f"up to {style.plural(row['n_points_per_lsoa'], 'point')} per LSOA "
        f"({style.number(row['mean_points_per_lsoa'], 1)} on average)<br>"
        f"{style.number(row['mean_images_per_lsoa'], 1)} images kept per LSOA<br>"
        f"R² {style.number(row['r2'])} ({style.number(row['r2_low'])} to {style.number(row['r2_high'])})"
        for row in curve.to_dict("records")
    ]
