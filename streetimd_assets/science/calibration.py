"""Temperature scaling: make probabilities say how often people agree, and see whether they do."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from streetimd_assets.science.label_sample import LabelledSample, Share, Z

Array = npt.NDArray[np.float64]

N_BINS = 10
# the range in which a temperature is searched, as logarithms
_LOG_RANGE = (float(np.log(0.02)), float(np.log(50)))
_SMALLEST = 1e-300


def scale_probabilities(probabilities: Array, temperature: float) -> Array:
    """Sharpen (below 1) or soften (above 1) a softmax by dividing its logits.

    Parameters
    ----------
    probabilities
        Shape (n_images, n_categories); each row sums to one.
    temperature
        1 leaves them as they are. Which category leads never changes.

    Examples
    --------
    >>> scale_probabilities(np.array([[0.8, 0.2]]), 2.0).round(3)
    array([[0.667, 0.333]])
    """
    logits = _logits(probabilities) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def fit_temperature(probabilities: Array, places: npt.NDArray[np.int64], weights: Array) -> float:
    """Temperature under which people's labels are likeliest [1]_; from 0.02 to 50.

    Parameters
    ----------
    probabilities
        Shape (n_images, n_categories).
    places
        Column of the label people gave, shape (n_images,).
    weights
        Images that each one stands for, shape (n_images,).

    References
    ----------
    .. [1] Guo et al. (2017), On calibration of modern neural networks. https://arxiv.org/abs/1706.04599
    """
    logits = _logits(probabilities)

    def loss(logarithm: float) -> float:
        scaled = logits / np.exp(logarithm)
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.average(normaliser - scaled[np.arange(len(places)), places], weights=weights))

    found = optimize.minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def temperature_interval(sample: LabelledSample, probabilities: Array, places: npt.NDArray[np.int64]) -> Share:
    """Temperature fitted on every labelled image, with a 95% interval for the sample's design.

    The interval is that of a weighted estimating equation (a sandwich), on the logarithm; it is left out
    where the temperature lies at an end of the range searched.
    """
    weights = sample.images["weight"].to_numpy(float)
    temperature = fit_temperature(probabilities, places, weights)
    if abs(np.log(temperature) - np.asarray(_LOG_RANGE)).min() < 1e-3:
        return Share(temperature)
    logits = _logits(probabilities) / temperature
    shares = scale_probabilities(probabilities, temperature)
    mean = (shares * logits).sum(axis=1)
    spread = (shares * logits**2).sum(axis=1) - mean**2
    # first and second derivative of the loss by the logarithm of the temperature
    slope = logits[np.arange(len(places)), places] - mean
    curvature = float((weights * (spread - slope)).sum())
    if curvature <= 0:
        return Share(temperature)
    half = Z * np.sqrt(sample.variance_of_total(weights * slope)) / curvature
    return Share(temperature, float(temperature * np.exp(-half)), float(temperature * np.exp(half)))


def cross_fitted(
    sample: LabelledSample, probabilities: Array, places: npt.NDArray[np.int64], *, seed: int
) -> Array:
    """Scale each image by a temperature fitted on the other half of the images, drawn at random.

    So what is said of probabilities after scaling is about images the temperature has not seen.
    """
    scaled, weights = np.empty_like(probabilities), sample.images["weight"].to_numpy(float)
    half = (np.random.default_rng(seed).permutation(sample.n_labelled) % 2 == 0)[sample.numbers]
    for here in (half, ~half):
        temperature = fit_temperature(probabilities[~here], places[~here], weights[~here])
        scaled[here] = scale_probabilities(probabilities[here], temperature)
    return scaled


def reliability_bins(sample: LabelledSample, confidence: Array, is_right: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Compare confidence with agreement in ten bins of equal width.

    Parameters
    ----------
    sample
        The labelled images.
    confidence
        Probability of the category predicted, shape (n_rows,), in the order of the sample's images.
    is_right
        People say the same, shape (n_rows,).

    Returns
    -------
    bins
        Columns of ``reliability_bins`` but stage, and weight_share: the share of all images the bin
        stands for. Bins without a labelled image have no row.
    """
    weights = sample.images["weight"].to_numpy(float)
    number = np.clip(np.ceil(confidence * N_BINS), 1, N_BINS).astype(int)
    rows = []
    for place in np.unique(number):
        here = number == place
        agreement = sample.share(is_right, of=here)
        mean = float(np.average(confidence[here], weights=weights[here]))
        share = float(weights[here].sum() / weights.sum())
        n_images = len(np.unique(sample.numbers[here]))
        rows.append((place, mean, agreement.value, agreement.low, agreement.high, n_images, share))
    names = ["bin", "mean_probability", "agreement_share", "agreement_low", "agreement_high", "n_images"]
    return pd.DataFrame(rows, columns=[*names, "weight_share"])


def calibration_error(bins: pd.DataFrame) -> float:
    """Mean distance of confidence from agreement over bins, weighted by the images they stand for.

    The expected calibration error of Naeini et al. (2015). Chance alone makes it larger than zero where
    few images are labelled.
    """
    distance = (bins["mean_probability"] - bins["agreement_share"]).abs()
    return float((distance * bins["weight_share"]).sum())


def _logits(probabilities: Array) -> Array:
    # a share too small for the computer is as good as the smallest it has
    return np.log(np.maximum(np.asarray(probabilities, float), _SMALLEST))
