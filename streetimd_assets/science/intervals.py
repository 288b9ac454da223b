"""How far a prediction may be off: intervals that keep what they promise, without a model of the errors."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

Array = npt.NDArray[np.float64]

COVERAGE = 0.9


def cross_conformal(
    observed: Array,
    predicted: Array,
    folds: npt.NDArray[np.object_],
    n_images: Array,
    *,
    coverage: float = COVERAGE,
) -> tuple[Array, Array]:
    """Put an interval around each held-out prediction, as wide as errors in the other folds say.

    The scale of an error is taken to be ``sqrt(a + b / n_images)``: what the model misses anywhere, and
    what few images add. Both are fitted on the other folds, and the interval is the quantile of the
    errors there in that scale [1]_ [2]_. Coverage holds on average over LSOAs that are exchangeable
    with those of the other folds; a local authority unlike all others can lie outside more often.

    Parameters
    ----------
    observed, predicted
        The target, and its out-of-fold prediction; shape (n_lsoas,).
    folds
        Name of the fold in which each LSOA was held out, shape (n_lsoas,).
    n_images
        Images kept of each LSOA, at least 1; shape (n_lsoas,).
    coverage
        Share of LSOAs the interval is to hold, 0 to 1.

    Returns
    -------
    low, high
        Shape (n_lsoas,); NaN where the other folds have too few LSOAs to tell. They may reach beyond the
        target's scale.

    References
    ----------
    .. [1] Lei et al. (2018), Distribution-free predictive inference for regression.
       https://doi.org/10.1080/01621459.2017.1307116
    .. [2] Papadopoulos et al. (2008), Normalized nonconformity measures for regression conformal prediction.
    """
    error = np.abs(np.asarray(observed, float) - np.asarray(predicted, float))
    images = np.asarray(n_images, float)
    half = np.full(len(error), np.nan)
    for fold in pd.unique(folds):
        here = folds == fold
        half[here] = half_widths(error[~here], images[~here], images[here], coverage=coverage)
    return predicted - half, predicted + half


def half_widths(errors: Array, n_images: Array, n_images_there: Array, *, coverage: float = COVERAGE) -> Array:
    """Half the width of the interval of predictions elsewhere, from errors of LSOAs that were held out.

    Parameters
    ----------
    errors
        Absolute errors, shape (n_lsoas,).
    n_images
        Images kept of those LSOAs, shape (n_lsoas,).
    n_images_there
        Images kept of each LSOA that is predicted, shape (n_predicted,).
    coverage
        Share of LSOAs the intervals are to hold, 0 to 1.

    Returns
    -------
    half
        Shape (n_predicted,), in units of the errors; NaN where there are too few errors to tell.
    """
    place = math.ceil((len(errors) + 1) * coverage)
    if place > len(errors):
        return np.full(len(n_images_there), np.nan)
    here, there = np.maximum(n_images, 1.0), np.maximum(n_images_there, 1.0)
    a, b = _error_variance(errors, here)
    scaled = np.sort(errors / _scale(here, a, b))
    return np.asarray(scaled[place - 1] * _scale(there, a, b))


def with_intervals(predictions: pd.DataFrame, n_images: pd.Series, *, coverage: float = COVERAGE) -> pd.DataFrame:
    """Add ``predicted_low`` and ``predicted_high`` to rows of ``lsoa_predictions``.

    Parameters
    ----------
    predictions
        Columns model_id, lsoa_code, fold, observed and predicted; a model under each split has
        intervals of its own.
    n_images
        Images kept, indexed by ``lsoa_code``.
    coverage
        Share of LSOAs an interval is to hold.
    """
    images = n_images.reindex(predictions["lsoa_code"]).to_numpy(float)
    observed, predicted, folds = (predictions[name].to_numpy() for name in ("observed", "predicted", "fold"))
    low, high = np.full(len(predictions), np.nan), np.full(len(predictions), np.nan)
    for rows in predictions.groupby("model_id", sort=False).indices.values():
        low[rows], high[rows] = cross_conformal(
            observed[rows], predicted[rows], folds[rows], images[rows], coverage=coverage
        )
    return predictions.assign(predicted_low=low, predicted_high=high)


def coverage_share(predictions: pd.DataFrame) -> float | None:
    """Share of LSOAs whose observed value lies in its interval; None where no interval is known."""
    known = predictions.dropna(subset=["predicted_low", "predicted_high"])
    if known.empty:
        return None
    return float(known["observed"].between(known["predicted_low"], known["predicted_high"]).mean())


def _error_variance(error: Array, n_images: Array) -> tuple[float, float]:
    """Fit error² = a + b / n_images by non-negative least squares."""
    design = np.column_stack([np.ones(len(error)), 1 / n_images])
    (a, b), _ = optimize.nnls(design, error**2)
    return float(a), float(b)


def _scale(n_images: Array, a: float, b: float) -> Array:
    # errors that are all nought have no scale: any will do
    return np.asarray(np.sqrt(a + b / n_images)) if a + b > 0 else np.ones(len(n_images))
