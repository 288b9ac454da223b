"""Figures of which features a model leans on."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

_AXIS_TITLES = {
    "permutation": "Loss of R² when the feature is shuffled among held-out LSOAs",
    "gini": "Share of impurity removed by the forest's splits",
}
_SPREADS = {"permutation": "thin line: ± sd over repeats", "gini": "thin line: ± sd over trees, cut at zero"}


def ranked_importances(
    importances: pd.DataFrame,
    *,
    method: str,
    titles: Mapping[str, str],
    model_id: str | None = None,
    n_features: int = 25,
) -> "go.Figure":
    """Draw the most important features of one model as ranked bars with their standard deviation.

    Parameters
    ----------
    importances
        The table `feature_importances`.
    method
        ``"permutation"`` or ``"gini"``; rows of the other are left out.
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
    labels = [style.feature_label(feature, titles) for feature in top["feature"]]
    value, spread = top["importance"].to_numpy(float), top["importance_sd"].to_numpy(float)
    text = [
        f"{position}. {label}<br>{style.number(v, 4)} ± {style.number(sd, 4)}"
        for position, label, v, sd in zip(top["position"], labels, value, spread, strict=True)
    ]
    figure = style.new_figure(height=120 + 22 * max(len(top), 1), showlegend=False)
    # area features may be called shares and are none of images
    is_share = top["feature"].str.endswith("_share") & ~top["feature"].isin(list(titles))
    figure.add_bar(
        x=value, y=list(range(len(top))), orientation="h", text=text, textposition="none", hoverinfo="text",
        marker={
            "color": [style.COLOURS[5] if share else style.COLOURS[4] for share in is_share],
            # shares are hatched too, so that a grey print tells them from dimensions
            "pattern": {"shape": ["/" if share else "" for share in is_share], "solidity": 0.25},
        },
        error_x={
            "type": "data", "symmetric": False, "array": spread, "color": style.INK, "thickness": 1.2, "width": 3,
            # a share of impurity is never below zero
            "arrayminus": np.minimum(spread, np.maximum(value, 0)) if method == "gini" else spread,
        },
    )  # fmt: skip
    spread_words = _SPREADS.get(method, "thin line: ± sd")
    figure.update_xaxes(
        title_text=f"{_AXIS_TITLES.get(method, style.escape(method))}<br>"
        f"({spread_words}; {len(top)} of {style.plural(len(rows), 'feature')})",
        zeroline=True,
        zerolinecolor=style.NOISE,
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(top))),
        ticktext=labels,
        range=[len(top) - 0.4, -0.6],
        ticks="",
    )
    return figure
