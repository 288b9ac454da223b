"""Rank features by importance, beside what the same features get by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.model_tables import Model

Array = npt.NDArray[np.float64]
N_TOP = 20
# two-sided, so that one feature in forty lies above the band by chance
BAND = (0.025, 0.975)


@dataclass(frozen=True, eq=False)
class Draws:
    """The importance of each feature, again and again.

    Parameters
    ----------
    true
        Shape (n_seeds, n_repeats, n_features).
    by_chance
        The same where the target is shuffled, averaged over repeats, shape (n_shuffled_targets,
        n_features).
    """

    true: Array
    by_chance: Array

    def importance(self) -> tuple[Array, Array]:
        """Mean and standard deviation over seeds and repeats together, each of shape (n_features,)."""
        pool = self.true.reshape(-1, self.true.shape[-1])
        return pool.mean(axis=0), pool.std(axis=0, ddof=min(1, len(pool) - 1))

    def band(self, is_alike: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
        """The middle 95% and the highest by chance, over the features that are alike and over shuffles."""
        chance = self.by_chance[:, is_alike]
        if not chance.size:
            return np.nan, np.nan, np.nan
        low, high = np.quantile(chance, BAND)
        return float(low), float(high), float(chance.max())

    def top_share(self) -> Array:
        """Share of seeds with each feature among the 20 highest, shape (n_features,).

        Not known (NaN) of one seed, or where there are no more than 20 features to choose from.
        """
        n_seeds, _, n_features = self.true.shape
        if n_seeds < 2 or n_features <= N_TOP:
            return np.full(n_features, np.nan)
        places = np.argsort(np.argsort(-self.true.mean(axis=1), axis=1, kind="stable"), axis=1)
        return np.asarray((places < N_TOP).mean(axis=0))


def ranked_features(
    model: Model,
    method: str,
    names: Sequence[str],
    draws: Draws,
    *,
    kinds: npt.ArrayLike | None = None,
    is_stability_known: bool = True,
    members: Sequence[str] | None = None,
    directions: Array | None = None,
) -> pd.DataFrame:
    """Rows of ``feature_importances`` for one model and method, the highest first.

    Parameters
    ----------
    model, method
        What was asked, and how.
    names
        Features or groups, shape (n_features,).
    draws
        Their importance, again and again.
    kinds
        Kind of each feature, where those of different kinds get different importance by chance, shape
        (n_features,): each kind has a band of its own. One band for all if left out.
    is_stability_known
        False to leave ``top_share`` missing.
    members
        Of groups, the features in each, one per line.
    directions
        Correlation of each feature with what it adds to the prediction, shape (n_features,).
    """
    kind = np.zeros(len(names)) if kinds is None else np.asarray(kinds)
    bands = {value: draws.band(kind == value) for value in np.unique(kind)}
    low, high, top = np.array([bands[value] for value in kind]).T
    importance, spread = draws.importance()
    table = pd.DataFrame(
        {
            "model_id": model.model_id,
            "method": method,
            "feature": list(names),
            "importance": importance,
            "importance_sd": spread,
            "band_low": low,
            "band_high": high,
            "band_top": top,
            "top_share": draws.top_share() if is_stability_known else np.nan,
            "direction_r": np.nan if directions is None else directions,
            "members": pd.Series([None] * len(names) if members is None else list(members), dtype=object),
        }
    )
    ranked = table.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)
    ranked["position"] = np.arange(1, len(ranked) + 1)
    return ranked[list(TABLES["feature_importances"].column_names)]


@dataclass(frozen=True)
class BesideChance:
    """The single feature that costs a model most when shuffled, beside what chance costs.

    Parameters
    ----------
    feature
        The feature.
    loss, loss_by_chance
        Its loss of R², and the highest of any feature where the target is shuffled.
    n_above_band, n_expected
        Features above the band of the shuffled target, and how many of them chance alone would put there.
    """

    feature: str
    loss: float
    loss_by_chance: float
    n_above_band: int
    n_expected: float


def leading_beside_chance(importances: pd.DataFrame) -> BesideChance:
    """Hold the leading feature against the highest that chance gives: it is the highest of many itself.

    Parameters
    ----------
    importances
        Rows of ``feature_importances``; the model offered most features is judged, by permutation.
    """
    rows = importances[importances["method"] == "permutation"]
    of_most = rows.groupby("model_id").size().sort_index().idxmax()
    rows = rows[rows["model_id"] == of_most].sort_values("position")
    first = rows.iloc[0]
    return BesideChance(
        feature=str(first["feature"]),
        loss=float(first["importance"]),
        loss_by_chance=float(first["band_top"]),
        n_above_band=int((rows["importance"] > rows["band_high"]).sum()),
        n_expected=(1 - BAND[1]) * len(rows),
    )
