"""Scores of predictions, and how sure they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


N_CLASSES = 10


class Score(TypedDict):
    """Columns of a score; None where it is not defined."""

    r2: float | None
    mean_absolute_error: float | None
    decile_absolute_error: float | None
    spearman_r: float | None
    within_one_decile_share: float | None
    weighted_kappa: float | None


NO_SCORE = Score(
    r2=None,
    mean_absolute_error=None,
    decile_absolute_error=None,
    spearman_r=None,
    within_one_decile_share=None,
    weighted_kappa=None,
)


def score_predictions(observed: Array, predicted: Array, *, edges: Array | None = None) -> Score:
    """Score predictions of one fold, or of all folds pooled.

    Parameters
    ----------
    observed, predicted
        Shape (n,), in units of the target.
    edges
        What parts the tenths, from :func:`decile_edges` of the whole study; of these rows if left out.

    Returns
    -------
    score
        R² is against the mean of the scored rows; R² and the rank correlation are None for fewer
        than two rows and where they are not defined.
    """
    if not len(observed):
        return NO_SCORE
    parts = decile_edges(observed) if edges is None else edges
    seen, guessed = tenths(observed, parts), tenths(predicted, parts)
    apart = np.abs(seen - guessed)
    return Score(
        r2=r_squared(observed, predicted),
        mean_absolute_error=float(np.mean(np.abs(observed - predicted))),
        decile_absolute_error=float(apart.mean()),
        spearman_r=rank_correlation(observed, predicted),
        within_one_decile_share=float(np.mean(apart <= 1)),
        weighted_kappa=weighted_kappa(seen, guessed),
    )


def decile_edges(observed: Array) -> Array:
    """Return the nine values that part the study's LSOAs into tenths.

    The tenths are the study's own and not the nation's: where nearly all LSOAs are among the nation's
    most deprived tenth, hitting that tenth would be no art.
    """
    return np.asarray(np.quantile(observed, np.arange(1, N_CLASSES) / N_CLASSES))


def tenths(values: Array, edges: Array) -> npt.NDArray[np.intp]:
    """Number of the tenth in which each value lies, 0 to 9."""
    return np.searchsorted(edges, values, side="right")


def weighted_kappa(seen: npt.NDArray[np.intp], guessed: npt.NDArray[np.intp]) -> float | None:
    """Agreement of two classes per row beyond chance, errors weighted by their square; None if undefined.

    References
    ----------
    Cohen, J. (1968), Weighted kappa, Psychological Bulletin 70. https://doi.org/10.1037/h0026256
    """
    # over all pairs of rows: the variances, and the square of the difference of the means
    by_chance = np.var(seen) + np.var(guessed) + (np.mean(seen) - np.mean(guessed)) ** 2
    return float(1 - np.mean((seen - guessed) ** 2.0) / by_chance) if by_chance > 0 else None


def r_squared(observed: Array, predicted: Array) -> float | None:
    """Coefficient of determination, 1 - squared errors over squared deviations from the mean."""
    spread = np.sum((observed - observed.mean()) ** 2) if len(observed) > 1 else 0.0
    return float(1 - np.sum((observed - predicted) ** 2) / spread) if spread > 0 else None


def rank_correlation(observed: Array, predicted: Array) -> float | None:
    """Spearman's rank correlation; None if either never varies."""
    from scipy import stats

    if len(observed) < 2 or np.ptp(observed) == 0 or np.ptp(predicted) == 0:
        return None
    return float(stats.spearmanr(observed, predicted).statistic)


@dataclass(frozen=True, eq=False)
class Resamples:
    """Blocks of neighbours drawn with replacement, the same for every model that is compared.

    Neighbours resemble one another, so single LSOAs drawn one by one would make intervals too short.
    An interval covers which blocks happened to be in the study; it does not cover what fitting on other
    LSOAs would change.

    Parameters
    ----------
    blocks
        Number of the block of each LSOA, shape (n_lsoas,).
    counts
        How often each block is drawn, shape (n_draws, n_blocks).

    References
    ----------
    Davison, A. & Hinkley, D. (1997), Bootstrap methods and their application, section 8.3.
    """

    blocks: npt.NDArray[np.intp]
    counts: npt.NDArray[np.float64]

    @classmethod
    def draw(cls, labels: npt.NDArray[np.object_], *, n_draws: int, seed: int) -> "Resamples":
        """Draw as many blocks as there are, `n_draws` times; `labels` names the block of each LSOA."""
        _, blocks = np.unique(labels.astype(str), return_inverse=True)
        n_blocks = int(blocks.max()) + 1
        rng = np.random.default_rng(seed)
        counts = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_draws)
        return cls(blocks.astype(np.intp), counts.astype(np.float64))

    def r_squared(self, observed: Array, predicted: Array, rows: npt.NDArray[np.intp] | None = None) -> Array:
        """R² in each draw, shape (n_draws,); NaN where a draw holds a single value.

        Parameters
        ----------
        observed, predicted
            Shape (n,).
        rows
            Which LSOAs they are of, if not of all, shape (n,).
        """
        centred = observed - observed.mean()
        columns = np.column_stack([centred, centred**2, (observed - predicted) ** 2])
        mean, squares, errors = self.mean(columns, rows).T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = squares - mean**2
            # where all are the same, what is left of their variance is rounding
            return np.where(spread > 1e-12 * max(np.mean(centred**2), 1e-300), 1 - errors / spread, np.nan)

    def mean(self, values: Array, rows: npt.NDArray[np.intp] | None = None) -> Array:
        """Mean of each column in each draw, shape (n_draws, n_columns); NaN where a draw holds no row.

        Parameters
        ----------
        values
            Shape (n, n_columns).
        rows
            Which LSOAs they are of, if not of all, shape (n,).
        """
        of = self.blocks if rows is None else self.blocks[rows]
        sums = np.zeros((self.counts.shape[1], values.shape[1] + 1))
        np.add.at(sums, of, np.column_stack([values, np.ones(len(of))]))
        drawn = self.counts @ sums
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(drawn[:, :-1] / drawn[:, -1:])

    def scores(
        self, observed: Array, predicted: Array, rows: npt.NDArray[np.intp] | None = None, *, edges: Array
    ) -> dict[str, Array]:
        """Every score in each draw, by its name in :class:`Score`, each of shape (n_draws,).

        The rank correlation is of the ranks among all rows, which are not ranked anew in each draw.

        Parameters
        ----------
        observed, predicted, rows
            As for :meth:`r_squared`.
        edges
            What parts the tenths, as for :func:`score_predictions`.
        """
        from scipy.stats import rankdata

        seen, guessed = (tenths(values, edges).astype(float) for values in (observed, predicted))
        apart = np.abs(seen - guessed)
        columns = np.column_stack(
            [np.abs(observed - predicted), apart, apart <= 1, apart**2, seen, guessed, seen**2, guessed**2]
        )
        error, tenth_error, within, squares, a, b, a2, b2 = self.mean(columns, rows).T
        with np.errstate(invalid="ignore", divide="ignore"):
            by_chance = (a2 - a**2) + (b2 - b**2) + (a - b) ** 2
            kappa = np.where(by_chance > 1e-9, 1 - squares / by_chance, np.nan)
        return {
            "r2": self.r_squared(observed, predicted, rows),
            "mean_absolute_error": error,
            "decile_absolute_error": tenth_error,
            "spearman_r": self.correlation(rankdata(predicted)[:, None], rankdata(observed), rows)[:, 0],
            "within_one_decile_share": within,
            "weighted_kappa": kappa,
        }

    def correlation(self, vectors: Array, values: Array, rows: npt.NDArray[np.intp] | None = None) -> Array:
        """Pearson's r of each column with the values in each draw, shape (n_draws, n_columns).

        It is worked out from sums within blocks, so that hundreds of columns cost little more than one.
        NaN where a draw holds a single value of either.

        Parameters
        ----------
        vectors
            Shape (n, n_columns).
        values
            Shape (n,).
        rows
            Which LSOAs they are of, if not of all, shape (n,).
        """
        x, y = _standardised(vectors), _standardised(values[:, None])
        mean_x, mean_xx, mean_xy = (self.mean(columns, rows) for columns in (x, x**2, x * y))
        mean_y, mean_yy = (self.mean(columns, rows) for columns in (y, y**2))
        with np.errstate(invalid="ignore", divide="ignore"):
            spread_x, spread_y = mean_xx - mean_x**2, mean_yy - mean_y**2
            r = (mean_xy - mean_x * mean_y) / np.sqrt(spread_x * spread_y)
            # of a column that hardly varies, what is left of its variance is rounding
            return np.where((spread_x > 1e-9) & (spread_y > 1e-9), np.clip(r, -1, 1), np.nan)


def _standardised(columns: Array) -> Array:
    """Bring columns to mean 0 and variance 1, so that sums of squares lose no digits; a constant one to 0."""
    centred = columns - columns.mean(axis=0)
    spread = np.where(np.ptp(columns, axis=0) > 0, centred.std(axis=0), np.inf)
    return centred / spread


def interval_of(draws: Array) -> tuple[float | None, float | None]:
    """Percentiles 2.5 and 97.5 of draws; None where fewer than half of them are known."""
    known = draws[np.isfinite(draws)]
    if len(known) < max(2, len(draws) / 2):
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def intervals_of(draws: Mapping[str, Array]) -> dict[str, float | None]:
    """Return the interval of each score, as ``<name>_low`` and ``<name>_high``."""
    ends = {name: interval_of(values) for name, values in draws.items()}
    return {
        f"{name}_{end}": value
        for name, pair in ends.items()
        for end, value in zip(("low", "high"), pair, strict=True)
    }
