"""What models leave over: whether neighbouring LSOAs err alike, and where they do.

The statistics are esda's. Its own random arrangements are not used: those of Moran's I come from the
random numbers of the whole process, those of the local statistic change with whether numba is
installed, and its p-values are of one side, the side chosen after looking. Here arrangements have a
seed, and a p-value is the share of arrangements at least as far from what is expected, on either side.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.grounds import places_of
from streetimd_assets.science.matrices import require_enough

if TYPE_CHECKING:
    from libpysal.graph import Graph

Array = npt.NDArray[np.float64]

N_NEIGHBOURS = 8
# the local statistic is asked of every LSOA, and only a small p survives so many questions
N_ARRANGEMENTS, N_LOCAL_ARRANGEMENTS = 999, 9_999
MOST_BY_CHANCE = 0.05
# esda's numbers of the four quarters of a Moran plot: an LSOA, then its neighbours
_QUARTERS = {1: "high_high", 2: "low_high", 3: "low_low", 4: "high_low"}
_VALUES_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """Who is next to whom: the nearest LSOAs of each, with equal weights that sum to one.

    Parameters
    ----------
    graph
        libpysal's graph, row-standardised.
    weights
        The same as a sparse matrix, shape (n_lsoas, n_lsoas).
    """

    graph: "Graph"
    weights: Any

    @classmethod
    def of(cls, places: pd.DataFrame) -> "Neighbourhood":
        """Find the :data:`N_NEIGHBOURS` nearest of each LSOA.

        Parameters
        ----------
        places
            Columns ``easting_m`` and ``northing_m`` (EPSG:27700), a row per LSOA.
        """
        from libpysal.graph import Graph

        require_enough(len(places), "have residuals")
        graph = Graph.build_knn(places[["easting_m", "northing_m"]].to_numpy(float), k=N_NEIGHBOURS)
        standardised = graph.transform("r")
        return cls(standardised, standardised.sparse.tocsr())

    @property
    def expected_i(self) -> float:
        """Moran's I of values that have nothing to do with where they are: just below zero."""
        return -1 / (self.weights.shape[0] - 1)

    def morans_i(self, values: Array) -> float:
        """Moran's I of values, shape (n_lsoas,); NaN where they do not vary."""
        import esda

        if np.ptp(values) == 0:
            return float("nan")
        return float(esda.Moran(values, self.graph, permutations=0).I)

    def arranged_i(self, values: Array, *, n_arrangements: int, seed: int) -> Array:
        """Moran's I of the same values in random places, shape (n_arrangements,)."""
        rng = np.random.default_rng(seed)
        centred = values - values.mean()
        n_at_once = max(1, _VALUES_AT_ONCE // len(values))
        parts = []
        for start in range(0, n_arrangements, n_at_once):
            n = min(n_at_once, n_arrangements - start)
            arranged = rng.permuted(np.tile(centred, (n, 1)), axis=1).T
            parts.append(np.sum(arranged * (self.weights @ arranged), axis=0))
        return np.concatenate(parts) / (centred @ centred)


def residual_autocorrelation(
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    coordinates: pd.DataFrame,
    *,
    n_arrangements: int = N_ARRANGEMENTS,
    seed: int,
) -> pd.DataFrame:
    """Moran's I of each model's held-out residuals, beside that of the target itself.

    Positive means that neighbouring LSOAs err alike: what the model misses varies over the map, and
    fewer independent LSOAs stand behind a score than were scored.

    Parameters
    ----------
    predictions
        Rows of ``lsoa_predictions``.
    scores
        Rows of ``model_scores``, which name the split of each model.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700).
    n_arrangements
        Random arrangements of the residuals over the LSOAs.
    seed
        Seed of the arrangements, which are the same for every model.

    Returns
    -------
    residual_autocorrelation
        One row per model; NaN where residuals, or the target, do not vary.

    Raises
    ------
    ScienceError
        If a model has predictions and no score, or fewer than 20 LSOAs, or an LSOA has no coordinates.

    References
    ----------
    Cliff, A. & Ord, J. (1981), Spatial processes: models and applications, chapter 8.
    """
    split_of = scores.drop_duplicates("model_id").set_index("model_id")["split"]
    neighbourhoods: dict[tuple[str, ...], Neighbourhood] = {}
    rows = []
    for model_id, group in predictions.sort_values(["model_id", "lsoa_code"]).groupby("model_id", sort=True):
        if model_id not in split_of.index:
            raise ScienceError(f"model {model_id} has predictions and no score; materialise model_scores again")
        codes = tuple(group["lsoa_code"])
        if codes not in neighbourhoods:
            neighbourhoods[codes] = Neighbourhood.of(places_of(group["lsoa_code"].to_numpy(object), coordinates))
        around = neighbourhoods[codes]
        found = _global(around, group["residual"].to_numpy(float), n_arrangements, seed)
        target_i = around.morans_i(group["observed"].to_numpy(float))
        about = {"n_neighbours": N_NEIGHBOURS, "n_lsoas": len(codes), "observed_morans_i": target_i}
        rows.append({"model_id": model_id, "split": split_of[model_id], **found, **about})
    return pd.DataFrame(rows)


def _global(around: Neighbourhood, residual: Array, n_arrangements: int, seed: int) -> dict[str, float]:
    found, expected = around.morans_i(residual), around.expected_i
    p_value = float("nan")
    if np.isfinite(found):
        by_chance = around.arranged_i(residual, n_arrangements=n_arrangements, seed=seed)
        p_value = _share_as_far(abs(by_chance - expected), abs(found - expected))
    return {"morans_i": found, "expected_i": expected, "p_value": p_value}


def residual_clusters(
    predictions: pd.DataFrame,
    coordinates: pd.DataFrame,
    *,
    model_id: str,
    n_arrangements: int = N_LOCAL_ARRANGEMENTS,
    seed: int,
) -> pd.DataFrame:
    """Local Moran's I of one model's held-out residuals: which LSOAs err like, or unlike, their neighbours.

    High and low are above and below the mean residual. Of an LSOA and its neighbours that are
    ``low_low``, with a rank as target, all are more deprived than their streets suggest: rank 1 is the
    most deprived. With a score it is ``high_high``.

    Parameters
    ----------
    predictions
        Rows of ``lsoa_predictions``; those of other models are left out.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700).
    model_id
        The model, as in `predictions`.
    n_arrangements
        For each LSOA, random choices of neighbours among all others.
    seed
        Seed of those choices.

    Returns
    -------
    residual_clusters
        One row per LSOA; `cluster` is ``none`` where q is not below 0.05.

    Raises
    ------
    ScienceError
        If the model has no predictions, or fewer than 20 LSOAs, or an LSOA has no coordinates.

    References
    ----------
    Anselin, L. (1995), Local indicators of spatial association: LISA. Geographical Analysis 27.
    https://doi.org/10.1111/j.1538-4632.1995.tb00338.x
    """
    import esda
    from scipy import stats

    own = predictions[predictions["model_id"] == model_id].sort_values("lsoa_code", ignore_index=True)
    if own.empty:
        raise ScienceError(f"model {model_id} has no predictions; materialise lsoa_predictions again")
    around = Neighbourhood.of(places_of(own["lsoa_code"].to_numpy(object), coordinates))
    residual = own["residual"].to_numpy(float)
    if np.ptp(residual) == 0:
        return _table(own, np.zeros(len(own)), np.ones(len(own)), np.ones(len(own)), "none")
    local = esda.Moran_Local(residual, around.graph, permutations=0)
    p_values = _local_p_values(local.z, local.Is, n_arrangements=n_arrangements, seed=seed)
    q_values = stats.false_discovery_control(p_values, method="bh")
    quarters = np.array([_QUARTERS[number] for number in local.q], dtype=object)
    return _table(own, local.Is, p_values, q_values, np.where(q_values < MOST_BY_CHANCE, quarters, "none"))


def _table(
    own: pd.DataFrame, local_i: Array, p_values: Array, q_values: Array, clusters: npt.NDArray[np.object_] | str
) -> pd.DataFrame:
    return own[["model_id", "lsoa_code", "lad_code", "residual"]].assign(
        local_i=local_i, cluster=clusters, p_value=p_values, q_value=q_values
    )


def _local_p_values(standard: Array, local_i: Array, *, n_arrangements: int, seed: int) -> Array:
    """Two-sided p of each local I, where an LSOA stays in its place and all others are arranged anew.

    Parameters
    ----------
    standard
        Values of mean 0 and variance 1, shape (n_lsoas,).
    local_i
        Local Moran's I as esda scales it: (n - 1) / n times the value times the mean of its neighbours.
    """
    n, rng = len(standard), np.random.default_rng(seed)
    scaled = standard * (n - 1) / n
    # the same choices serve every LSOA, which itself is left out of them by counting on past it
    chosen = np.stack([rng.choice(n - 1, N_NEIGHBOURS, replace=False) for _ in range(n_arrangements)])
    expected = -scaled * standard / (n - 1)
    p_values = np.empty(n)
    for here in range(n):
        others = np.delete(standard, here)
        by_chance = scaled[here] * others[chosen].mean(axis=1)
        p_values[here] = _share_as_far(abs(by_chance - expected[here]), abs(local_i[here] - expected[here]))
    return p_values


def _share_as_far(by_chance: Array, found: float) -> float:
    """Share of arrangements at least as far off as the one found, which is counted as one of them."""
    # equal arrangements differ in the last digits
    return float((np.sum(by_chance >= found * (1 - 1e-12)) + 1) / (len(by_chance) + 1))
