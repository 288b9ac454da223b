"""How well each model reads one local authority."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.folds import block_labels
from streetimd_assets.science.grounds import places_of
from streetimd_assets.science.scoring import Resamples, decile_edges, intervals_of, score_predictions

MIN_LSOAS_FOR_R2 = 10
# squares of neighbours, each of several LSOAs; from fewer than eight an interval would be too short
MOST_BLOCKS, LSOAS_PER_BLOCK, FEWEST_BLOCKS = 30, 3, 8
OF_RANKING = ("r2", "spearman_r")
OF_ERRORS = ("mean_absolute_error", "mean_error")


def score_local_authority(
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    coordinates: pd.DataFrame,
    *,
    n_draws: int = 1000,
    seed: int,
) -> pd.DataFrame:
    """Score every model on the LSOAs of one local authority.

    R² is against the local authority's own mean, a harder bar than the mean of the whole study: a
    model that only tells rich local authorities from poor ones gets nothing here. With few LSOAs it is
    mostly luck, so it is NULL under ten.

    Intervals resample squares of neighbours, about three LSOAs in each; they are NULL with fewer than
    eight squares.

    Parameters
    ----------
    predictions
        Rows of ``lsoa_predictions`` of one local authority.
    scores
        Rows of ``model_scores``, which say what each ``model_id`` is.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700).
    n_draws, seed
        Resamples behind each interval, and the seed of their draws.

    Returns
    -------
    local_authority_scores
        One row per model; none where the local authority has no predictions.
    """
    columns = list(TABLES["local_authority_scores"].column_names)
    about = scores.drop_duplicates("model_id").set_index("model_id")[["feature_set", "estimator", "split"]]
    known = predictions[predictions["model_id"].isin(about.index)]
    rows = []
    for model_id, unsorted in known.groupby("model_id", sort=True):
        here = unsorted.sort_values("lsoa_code")
        blocks = _blocks(here["lsoa_code"], coordinates)
        resamples = None if blocks is None else Resamples.draw(blocks, n_draws=n_draws, seed=seed)
        rows.append({"model_id": model_id, **about.loc[model_id], **_score(here, resamples)})
    texts = ["model_id", "lad_code", *about.columns]
    numbers = [name for name in columns if name not in (*texts, "n_lsoas")]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def _blocks(codes: "pd.Series[str]", coordinates: pd.DataFrame) -> npt.NDArray[np.object_] | None:
    """Square of each LSOA; None if there would be too few."""
    n_blocks = min(MOST_BLOCKS, len(codes) // LSOAS_PER_BLOCK)
    if n_blocks < FEWEST_BLOCKS:
        return None
    places = places_of(codes.to_numpy(object), coordinates)
    labels, _ = block_labels(places["easting_m"], places["northing_m"], n_blocks=n_blocks)
    return labels if len(set(labels)) >= FEWEST_BLOCKS else None


def _score(rows: pd.DataFrame, resamples: Resamples | None) -> dict[str, object]:
    observed, predicted = rows["observed"].to_numpy(float), rows["predicted"].to_numpy(float)
    told = OF_ERRORS if len(rows) < MIN_LSOAS_FOR_R2 else (*OF_RANKING, *OF_ERRORS)
    score = {**score_predictions(observed, predicted), "mean_error": float(np.mean(predicted - observed))}
    found: dict[str, object] = {name: score[name] for name in told}
    if resamples is not None:
        draws = resamples.scores(observed, predicted, edges=decile_edges(observed))
        draws["mean_error"] = resamples.mean((predicted - observed)[:, None])[:, 0]
        found |= intervals_of({name: draws[name] for name in told})
    return {**found, "lad_code": rows["lad_code"].iloc[0], "n_lsoas": len(rows)}
