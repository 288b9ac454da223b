"""Figures of which features a model leans on, beside what the same features get by chance."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

# in the order of a report
METHODS = ("permutation", "permutation_cluster", "permutation_component", "gini", "shap")
_AXIS_TITLES = {
    "permutation": "Loss of R² when the feature is shuffled among held-out LSOAs",
    "permutation_cluster": "Loss of R² when the features of the cluster are shuffled together",
    "permutation_component": "Loss of R² when the scores along the component are shuffled",
    "gini": "Share of impurity removed by the forest’s splits",
}
_SPREADS = {"gini": "thin line: ± sd over trees, cut at zero", "shap": "thin line: ± sd over folds, cut at zero"}
_NEVER_BELOW_ZERO = ("gini", "shap")
# a correlation of a share with what it adds; less than this points no one way
_ONE_WAY = 0.3


def ranked_importances(
    importances: pd.DataFrame,
    *,
    method: str,
    titles: Mapping[str, str],
    model_id: str | None = None,
    n_features: int = 25,
) -> "go.Figure":
    """Draw the most important features of one model as ranked bars, beside what they get by chance.

    Behind each bar lies a grey band, the middle 95% of its like where the target is shuffled, and a tick
    stands where the highest of them all does. Where it is known, the label ends with the share of seeds
    in which the feature is among the 20 highest, and of a share, which way it moves the prediction.

    Parameters
    ----------
    importances
        The table `feature_importances`.
    method
        One of :data:`METHODS`; rows of the others are left out.
    titles
        Category names and what people read for them.
    model_id
        The model drawn; the first by name if left out.
    n_features
        How many are drawn, from the most important down.
    """
    rows = importances[importances["method"] == method]
    if model_id is None and len(rows):
        model_id = str(rows["model_id"].min())
    rows = rows[rows["model_id"] == model_id].sort_values("position")
    top = rows.head(n_features)
    target = target_of(model_id or "")
    figure = style.new_figure(height=120 + 22 * max(len(top), 1), showlegend=False, barmode="overlay")
    _draw_band(figure, top)
    _draw_bars(figure, top, method, [_hover(row, titles, target) for row in top.to_dict("records")], titles)
    _draw_highest_by_chance(figure, top)
    what = _AXIS_TITLES.get(method, style.escape(method))
    if method == "shap":
        what = f"Mean absolute effect on the prediction of {style.measure_label(target)}"
    notes = [
        _SPREADS.get(method, "thin line: ± sd over seeds and shuffles"),
        f"{len(top)} of {style.plural(len(rows), 'group' if is_of_groups(method) else 'feature')}",
    ]
    figure.update_xaxes(
        title_text=f"{what}<br>({'; '.join(notes)})",
        zeroline=True,
        zerolinecolor=style.NOISE,
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(top))),
        ticktext=[_tick(row, titles, target) for row in top.to_dict("records")],
        range=[len(top) - 0.4, -0.6],
        ticks="",
    )
    return figure


def are_shares(features: "pd.Series[str]", titles: Mapping[str, str]) -> "pd.Series[bool]":
    """Return True for category shares; area features, which have titles of their own, are none."""
    return features.str.endswith("_share") & ~features.isin(list(titles))


def is_of_groups(method: str) -> bool:
    """Return True for a method whose rows are groups of features."""
    return method in ("permutation_cluster", "permutation_component")


def target_of(model_id: str) -> str:
    """Return the measure that a model predicts."""
    return model_id.partition("/")[0]


def member_features(row: Mapping[Any, Any]) -> list[str]:
    """Return the features of a group; none for a single feature."""
    return [] if style.is_missing(row["members"]) else str(row["members"]).split("\n")


def feature_label(row: Mapping[Any, Any], titles: Mapping[str, str]) -> str:
    """Return a feature or a group in words, escaped."""
    feature, method = str(row["feature"]), str(row["method"])
    number = feature.rpartition("_")[2]
    if not is_of_groups(method) or not number.isdigit():
        return style.feature_label(feature, titles)
    if method == "permutation_component":
        return f"Component {int(number)}"
    members = member_features(row)
    if len(members) == 1:
        return f"{style.feature_label(members[0], titles)}, alone"
    return f"Cluster {int(number)} of {style.plural(len(members), 'feature')}"


def direction_words(direction_r: Any, target: str) -> str:
    """Say which way more of a share moves the prediction, escaped; empty if it is not known.

    Examples
    --------
    >>> direction_words(0.8, "imd_rank")
    'more of it: less deprived'
    """
    if style.is_missing(direction_r):
        return ""
    if abs(direction_r) < _ONE_WAY:
        return "no one way"
    return f"more of it: {'less' if (direction_r > 0) == style.low_is_deprived(target) else 'more'} deprived"


def _tick(row: Mapping[Any, Any], titles: Mapping[str, str], target: str) -> str:
    seeds = "" if style.is_missing(row["top_share"]) else f" [{style.percent(row['top_share'], 0)}]"
    way = direction_words(row["direction_r"], target)
    return feature_label(row, titles) + seeds + (f" ({way})" if way else "")


def _hover(row: Mapping[Any, Any], titles: Mapping[str, str], target: str) -> str:
    digits = 1 if row["method"] == "shap" else 4
    value, spread, low, high, top = (
        style.number(row[name], digits)
        for name in ("importance", "importance_sd", "band_low", "band_high", "band_top")
    )
    lines = [f"{row['position']}. {feature_label(row, titles)}", f"{value} ± {spread}"]
    if not style.is_missing(row["band_high"]):
        lines.append(f"by chance {low} to {high}, at most {top}")
    if not style.is_missing(row["top_share"]):
        lines.append(f"among the 20 highest in {style.percent(row['top_share'], 0)} of seeds")
    lines += [way] if (way := direction_words(row["direction_r"], target)) else []
    return "<br>".join(lines)


def _draw_band(figure: "go.Figure", top: pd.DataFrame) -> None:
    """Draw what is got by chance, a row at a time: dimensions and shares may differ in it."""
    low, high = top["band_low"].to_numpy(float), top["band_high"].to_numpy(float)
    if np.isfinite(high).any():
        figure.add_bar(
            x=high - low, base=low.tolist(), y=list(range(len(top))), width=1, orientation="h", hoverinfo="skip",
            marker={"color": style.NOISE_BAND, "line": {"width": 0}}, name="by chance",
        )  # fmt: skip


def _draw_bars(
    figure: "go.Figure", top: pd.DataFrame, method: str, text: Sequence[str], titles: Mapping[str, str]
) -> None:
    value, spread = top["importance"].to_numpy(float), top["importance_sd"].to_numpy(float)
    is_share = are_shares(top["feature"], titles)
    figure.add_bar(
        x=value, y=list(range(len(top))), width=0.62, orientation="h", text=text, textposition="none",
        hoverinfo="text", name="importance",
        marker={
            "color": [style.COLOURS[5] if share else style.COLOURS[4] for share in is_share],
            # shares are hatched too, so that a grey print tells them from dimensions
            "pattern": {"shape": ["/" if share else "" for share in is_share], "solidity": 0.25},
        },
        error_x={
            "type": "data", "symmetric": False, "array": spread, "color": style.INK, "thickness": 1.2, "width": 3,
            "arrayminus": np.minimum(spread, np.maximum(value, 0)) if method in _NEVER_BELOW_ZERO else spread,
        },
    )  # fmt: skip


def _draw_highest_by_chance(figure: "go.Figure", top: pd.DataFrame) -> None:
    highest = top["band_top"].to_numpy(float)
    if np.isfinite(highest).any():
        figure.add_scatter(
            x=highest, y=list(range(len(top))), mode="markers", hoverinfo="skip", name="highest by chance",
            marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": style.INK}},
        )  # fmt: skip
