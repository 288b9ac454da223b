"""How well each model reads one local authority."""

import numpy as np
import pandas as pd

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.scoring import score_predictions

MIN_LSOAS_FOR_R2 = 10


def score_local_authority(predictions: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Score every model on the LSOAs of one local authority.

    R² is against the local authority's own mean, a harder bar than the mean of the whole study: a
    model that only tells rich local authorities from poor ones gets nothing here. With few LSOAs it is
    mostly luck, so it is NULL under ten.

    Parameters
    ----------
    predictions
        Rows of ``lsoa_predictions`` of one local authority.
    scores
        Rows of ``model_scores``, which say what each ``model_id`` is.

    Returns
    -------
    local_authority_scores
        One row per model; none where the local authority has no predictions.
    """
    columns = list(TABLES["local_authority_scores"].column_names)
    about = scores.drop_duplicates("model_id").set_index("model_id")[["feature_set", "estimator", "split"]]
    known = predictions[predictions["model_id"].isin(about.index)]
    rows = [
        {"model_id": model_id, **about.loc[model_id], **_score(rows.sort_values("lsoa_code"))}
        for model_id, rows in known.groupby("model_id", sort=True)
    ]
    numbers = ["r2", "mean_absolute_error", "mean_error", "spearman_r"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def _score(rows: pd.DataFrame) -> dict[str, object]:
    observed, predicted = rows["observed"].to_numpy(float), rows["predicted"].to_numpy(float)
    score = score_predictions(observed, predicted)
    if len(rows) < MIN_LSOAS_FOR_R2:
        score = {**score, "r2": None, "spearman_r": None}
    return {
        **score,
        "lad_code": rows["lad_code"].iloc[0],
        "n_lsoas": len(rows),
        "mean_error": float(np.mean(predicted - observed)),
    }
