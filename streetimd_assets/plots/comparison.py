"""Figures of how well models predict deprivation: dots with intervals, and observed beside predicted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

FOREST = "forest_80_20"
_STATISTIC_MARKS = {
    "mean": (style.COLOURS[0], "circle"),
    "median": (style.COLOURS[2], "square"),
    "max": (style.COLOURS[1], "diamond"),
}
MOST_DOTS = 5000


def overall_scores(scores: pd.DataFrame, *, experiment: str | None = None) -> pd.DataFrame:
    """Return the rows of `model_scores` about the study's target that sum up all folds.

    Parameters
    ----------
    scores
        The table `model_scores`.
    experiment
        ``"forest_80_20"``, or None for every other experiment.
    """
    is_forest = scores["experiment"] == FOREST
    wanted = is_forest if experiment == FOREST else ~is_forest
    wanted &= (scores["fold"].astype(str) == "all") & (scores["target"] == main_target(scores))
    return scores[wanted].sort_values("model_id")


def main_target(scores: pd.DataFrame) -> str:
    """Return the study's target: the one with most models, since every estimator is tried on it."""
    return str(scores["target"].mode().iloc[0])


def forest_scores(scores: pd.DataFrame, titles: Mapping[str, str], *, lsoas: str = "own") -> "go.Figure":
    """Draw R² of the 80/20 random forests: pooled features first, then category by category.

    Parameters
    ----------
    scores
        The table `model_scores`.
    titles
        Category names and what people read for them.
    lsoas
        ``"own"``: each on all LSOAs that have its features; ``"common"``: all on the same.
    """
    rows = overall_scores(scores, experiment=FOREST)
    rows = rows[rows["lsoas"] == lsoas].copy()
    rows["label"] = [
        forest_label(feature_set, category, titles)
        for feature_set, category in zip(rows["feature_set"], rows["category"], strict=True)
    ]
    rows["whole"] = rows["category"].isna()
    labels = rows.sort_values(["whole", "r2", "label"], ascending=[False, False, True])["label"].unique()
    figure = style.new_figure(height=150 + 42 * len(labels))
    for statistic, (colour, symbol) in _STATISTIC_MARKS.items():
        some = rows[rows["statistic"] == statistic]
        if len(some):
            _add_dots(figure, some, list(labels), name=statistic, colour=colour, symbol=symbol)
    unpooled = rows[~rows["statistic"].isin(list(_STATISTIC_MARKS))]
    if len(unpooled):
        _add_dots(figure, unpooled, list(labels), name="not pooled", colour=style.INK, symbol="x")
    _finish_dots(figure, rows, list(labels))
    return figure


def forest_label(feature_set: str, category: str | None, titles: Mapping[str, str]) -> str:
    """Return the features of an 80/20 forest in words, escaped."""
    if style.is_missing(category):
        return style.feature_set_label(feature_set).capitalize()
    return f"Images of {style.title_of(str(category), titles)} only"


def tuned_scores(scores: pd.DataFrame) -> "go.Figure":
    """Draw R² of the tuned models by how LSOAs were held out, baselines with open marks.

    Parameters
    ----------
    scores
        The table `model_scores`; rows of the 80/20 forests are left out.
    """
    rows = overall_scores(scores)
    # what could not be scored has a row that says why
    rows = rows[rows["r2"].notna()].copy()
    pairs = list(zip(rows["estimator"], rows["feature_set"], strict=True))
    rows["is_baseline"] = [style.is_baseline(*pair) for pair in pairs]
    rows["label"] = [model_label(*pair) for pair in pairs]
    best = rows.groupby("label").agg(is_baseline=("is_baseline", "max"), r2=("r2", "max"))
    labels = list(best.sort_values(["is_baseline", "r2"], ascending=[True, False], kind="stable").index)
    figure = style.new_figure(height=150 + 40 * len(labels))
    splits = [split for split in style.SPLITS if split in set(rows["split"])]
    splits += sorted(set(rows["split"]) - set(splits))
    for place, split in enumerate(splits):
        colour, symbol = style.COLOURS[place % 7], style.SYMBOLS[place % 7]
        of_split = rows[rows["split"] == split]
        for baseline in (False, True):
            some = of_split[of_split["is_baseline"] == baseline]
            if len(some):
                _add_dots(
                    figure, some, labels, name=style.split_label(split), colour=colour,
                    symbol=f"{symbol}-open" if baseline else symbol,
                    offset=0.26 * (place - (len(splits) - 1) / 2),
                    showlegend=not baseline or not (~of_split["is_baseline"]).any(),
                )  # fmt: skip
    _finish_dots(figure, rows, labels)
    return figure


def target_scores(scores: pd.DataFrame, *, split: str) -> "go.Figure":
    """Draw R² of every target by estimator under one split, coordinates with open marks.

    Parameters
    ----------
    scores
        The table `model_scores`; drawn are tuned models on the main set of features.
    split
        How LSOAs are held out.
    """
    rows = scores[(scores["fold"].astype(str) == "all") & (scores["split"] == split) & scores["r2"].notna()]
    leading = rows.groupby("feature_set")["target"].nunique().drop("baseline", errors="ignore").idxmax()
    rows = rows[(rows["feature_set"] == leading) | (rows["estimator"] == "coordinates")].copy()
    rows["label"] = rows["target"].map(style.measure_label)
    best = rows[rows["feature_set"] == leading].groupby("label")["r2"].max()
    labels = list(best.sort_values(ascending=False, kind="stable").index)
    rows = rows[rows["label"].isin(labels)]
    figure = style.new_figure(height=150 + 40 * len(labels))
    estimators = [name for name in style.ESTIMATORS if name in set(rows["estimator"])]
    for place, estimator in enumerate(estimators):
        some = rows[rows["estimator"] == estimator]
        is_open = estimator == "coordinates"
        _add_dots(
            figure, some, labels, name=style.estimator_label(estimator),
            colour=style.INK if is_open else style.COLOURS[place % 7],
            symbol="circle-open" if is_open else style.SYMBOLS[place % 7],
            offset=0.6 * (place / max(len(estimators) - 1, 1) - 0.5),
        )  # fmt: skip
    _finish_dots(figure, rows, labels)
    return figure


def model_label(estimator: str, feature_set: str) -> str:
    """Return estimator and features in words, escaped; a baseline has no features to name."""
    if style.is_baseline(estimator, feature_set):
        known = estimator if estimator in style.ESTIMATORS else feature_set
        return style.estimator_label(known)
    return f"{style.estimator_label(estimator)} on {style.feature_set_label(feature_set)}"


def _add_dots(
    figure: "go.Figure",
    rows: pd.DataFrame,
    labels: list[str],
    *,
    name: str,
    colour: str,
    symbol: str,
    offset: float | None = None,
    showlegend: bool = True,
) -> None:
    """Draw one dot per row at its label's place, its 95% interval as a bar through it."""
    if offset is None:
        offset = {"mean": -0.24, "max": 0.24}.get(name, 0.0)
    r2 = rows["r2"].to_numpy(float)
    low, high = rows["r2_low"].to_numpy(float), rows["r2_high"].to_numpy(float)
    text = [
        f"{label}<br>{style.escape(name)}: R² {style.number(value)} "
        f"({style.number(least)} to {style.number(most)})<br>{style.plural(n, 'LSOA')} scored"
        for label, value, least, most, n in zip(rows["label"], r2, low, high, rows["n_test"], strict=True)
    ]
    figure.add_scatter(
        x=r2, y=[labels.index(label) + offset for label in rows["label"]], mode="markers", text=text,
        hoverinfo="text", name=style.escape(name), showlegend=showlegend, legendgroup=style.escape(name),
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.5, "color": colour}},
        error_x={
            "type": "data", "symmetric": False, "array": np.nan_to_num(high - r2),
            "arrayminus": np.nan_to_num(r2 - low), "color": colour, "thickness": 1.4, "width": 0,
        },
    )  # fmt: skip


def _finish_dots(figure: "go.Figure", rows: pd.DataFrame, labels: list[str]) -> None:
    least, most = rows["n_lsoas"].min(), rows["n_lsoas"].max()
    n = f"{style.count(least)} to {style.count(most)}" if least != most else style.count(most)
    # a wrecked fold can lie far below zero: the axis keeps what can be compared
    lowest = float(np.nanmin(np.append(rows["r2_low"].fillna(rows["r2"]).to_numpy(float), 0.0)))
    figure.update_xaxes(
        title_text=f"R² on LSOAs held out<br>bar: 95% interval; n = {n} LSOAs",
        range=[max(lowest - 0.05, -0.6), 1],
        zeroline=True,
        zerolinecolor=style.NOISE,
    )
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(labels))), ticktext=labels,
        range=[len(labels) - 0.5, -0.5], ticks="",
    )  # fmt: skip


def observed_and_predicted(
    predictions: pd.DataFrame, *, model_id: str, target: str, names: Mapping[str, str] | None = None
) -> "go.Figure":
    """Draw observed against predicted deprivation, one dot per LSOA, with the line of equality.

    Parameters
    ----------
    predictions
        The table `lsoa_predictions`; rows of other models are left out. Of more than 5,000 LSOAs
        an evenly spread 5,000 are drawn, and the axis says so.
    model_id
        The model drawn.
    target
        The measure predicted.
    names
        LSOA codes and names, for the hover boxes.
    """
    rows = predictions[predictions["model_id"] == model_id].sort_values("lsoa_code")
    drawn = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_DOTS)).astype(int))]
    names = names or {}
    text = [
        f"{style.escape(names.get(code, code))}<br>observed {style.number(seen, 1)}<br>"
        f"predicted {style.number(guess, 1)}"
        for code, seen, guess in zip(drawn["lsoa_code"], drawn["observed"], drawn["predicted"], strict=True)
    ]
    figure = style.new_figure(height=620, showlegend=False)
    is_thin = drawn["is_thin"].astype(bool) if "is_thin" in drawn else pd.Series(False, drawn.index)
    figure.add_scatter(
        x=drawn["predicted"].to_numpy(float), y=drawn["observed"].to_numpy(float), mode="markers", text=text,
        hoverinfo="text", marker={
            "color": style.COLOURS[0], "size": [8 if thin else 6 for thin in is_thin], "opacity": 0.55,
            "symbol": ["diamond-open" if thin else "circle" for thin in is_thin],
        },
    )  # fmt: skip
    values = rows[["observed", "predicted"]].to_numpy(float)
    ends = [float(np.nanmin(values)), float(np.nanmax(values))] if len(rows) else [0.0, 1.0]
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": style.INK, "dash": "dash", "width": 1.2},
        hoverinfo="skip",
    )
    shown = style.plural(len(rows), "LSOA")
    if len(drawn) < len(rows):
        shown += f", {style.count(len(drawn))} of them drawn"
    if is_thin.any():
        shown += f"; open diamonds: from few images ({style.count(is_thin.sum())})"
    figure.update_xaxes(title_text=f"Predicted {style.measure_label(target)}<br>{shown}", constrain="domain")
    figure.update_yaxes(title_text=f"Observed {style.broken_label(target)}", scaleanchor="x", constrain="domain")
    return figure
