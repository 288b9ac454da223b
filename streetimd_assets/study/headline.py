"""Which model is shown in detail: named beforehand, since the best of many flatters."""

from collections.abc import Collection

import pandas as pd

from streetimd_assets.schemas import HARDEST_FIRST

# the features of the headline model, the first there are
LEADING_FEATURES = ("embeddings", "table", "both", "percentages")


def headline_ridge(scores: pd.DataFrame, predicted: Collection[str]) -> str | None:
    """Name ridge on the leading features under the hardest split there is; None if it was not fitted.

    Parameters
    ----------
    scores
        Rows of ``model_scores``.
    predicted
        Each ``model_id`` of which there are predictions.
    """
    ridge = scores[(scores["estimator"] == "ridge") & scores["model_id"].isin(list(predicted))]
    for split in HARDEST_FIRST:
        for features in LEADING_FEATURES:
            found = ridge.loc[(ridge["split"] == split) & (ridge["feature_set"] == features), "model_id"]
            if len(found):
                return str(found.min())
    return None
