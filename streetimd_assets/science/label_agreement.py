"""What people's labels say of a classification: accuracy, precision, recall, corrected shares, calibration.

Everything is about the images of the local authorities that have labels. Those that people are unsure of
are taken to be like the others of their stratum; beside the accuracy stands what it would be if the model
were wrong, or right, on all of them. Where raters are tied each of the labels counts in equal part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.science import calibration
from streetimd_assets.science.label_sample import LabelledSample, Share, weigh_labels
from streetimd_assets.science.rater_agreement import pairs_of_raters

TABLES_MADE = ("label_agreement", "label_figures", "label_confusions", "reliability_bins")
# fewer labels than this are too few to fit a temperature on one half and try it on the other
_FEWEST_TO_SCALE = 20
# local authorities named in a sentence; more are counted
_MOST_NAMED = 10


@dataclass(frozen=True)
class Assessed:
    """The four tables about labels, and what they are made from.

    Parameters
    ----------
    tables
        By name; without rows until people label.
    sample
        The labelled images; None where there is none.
    outdated
        Local authorities whose images were classified anew since they were drawn: nothing is said of them.
    """

    tables: dict[str, pd.DataFrame]
    sample: LabelledSample | None = None
    outdated: tuple[str, ...] = ()

    def figure(self, name: str) -> float | None:
        """Return a value of ``label_figures``; None where there is none."""
        rows = self.tables["label_figures"]
        found = rows.loc[rows["figure"] == name, "value"].dropna()
        return float(found.iloc[0]) if len(found) else None


def assess_labels(
    candidates: pd.DataFrame,
    labels: pd.DataFrame,
    probabilities: pd.DataFrame,
    *,
    categories: Sequence[str],
    seed: int,
) -> Assessed:
    """Judge a classification by people's labels.

    Parameters
    ----------
    candidates
        Rows of ``label_candidates`` of the local authorities that have labels, with a column
        local_authority.
    labels
        Rows of ``image_labels``.
    probabilities
        Rows of ``category_probabilities`` of the candidates.
    categories
        Names of the categories, in the study's order.
    seed
        Of the halves in which probabilities are scaled.

    Returns
    -------
    assessed
        Tables without rows where no image drawn has a label.
    """
    empty = {name: pd.DataFrame(columns=schemas.TABLES[name].column_names) for name in TABLES_MADE}
    if labels.empty or candidates.empty:
        return Assessed(empty)
    outdated = _outdated(candidates, probabilities)
    candidates = candidates[~candidates["local_authority"].isin(outdated)]
    labels = labels[labels["image_id"].isin(candidates["image_id"])]
    if not labels["label"].ne(schemas.UNSURE).any():
        return Assessed(empty, outdated=outdated)
    sample = weigh_labels(candidates, labels)
    if sample.images.empty:
        return Assessed(empty, outdated=outdated)
    bins, temperature = _calibrate(sample, probabilities, categories, seed)
    figures = [_accuracy(sample), _kappa(labels), *temperature]
    tables = (
        category_table(sample, categories),
        pd.DataFrame(figures, columns=["figure", "value", "low", "high", "n_images", "detail"]),
        confusions(sample, categories),
        bins[list(schemas.TABLES["reliability_bins"].column_names)],
    )
    return Assessed(dict(zip(TABLES_MADE, tables, strict=True)), sample, outdated)


def category_table(sample: LabelledSample, categories: Sequence[str]) -> pd.DataFrame:
    """Return rows of ``label_agreement``: precision, recall and corrected share of each category.

    Both recall and the corrected share are made of two rates on separate images: the precision among
    images predicted as the category, and how often the others are truly of it. Their intervals are
    put together by recovering each one's variance [1]_ [2]_, so that rates of which the sample shows
    no case still count as uncertain.

    References
    ----------
    .. [1] Zou & Donner (2008), Construction of confidence limits about effect measures.
       https://doi.org/10.1002/sim.3095
    .. [2] Donner & Zou (2012), Closed-form confidence intervals for functions of the normal mean and
       standard deviation. https://doi.org/10.1177/0962280210383082
    """
    predicted, label = (sample.images[name].to_numpy(object) for name in ("category", "label"))
    covered = sample.images.groupby("category")["weight"].sum()
    rows = []
    for name in categories:
        is_predicted, is_label = predicted == name, label == name
        share = float(covered.get(name, 0.0) / covered.sum())
        precision = sample.share(is_label, of=is_predicted)
        found = _times(precision, share)
        missed = _times(sample.share(is_label, of=~is_predicted), 1 - share)
        recall, corrected = _share_of(found, missed), _sum(found, missed)
        rows.append(
            {
                "category": name,
                "n_labelled": int(is_label.sum()),
                "n_predicted": int(sample.images.loc[is_predicted, "image_id"].nunique()),
                **_columns("precision", precision),
                **_columns("recall", recall),
                "predicted_share": float(sample.predicted.get(name, 0) / sample.n_images),
                **_columns("corrected_share", corrected),
            }
        )
    return pd.DataFrame(rows)


def confusions(sample: LabelledSample, categories: Sequence[str]) -> pd.DataFrame:
    """Return rows of ``label_confusions``: every label beside every predicted category."""
    images = sample.images
    pairs = pd.MultiIndex.from_product([categories, categories], names=["label", "category"])
    cells = images.groupby(["label", "category"])["weight"].agg(["size", "sum"]).reindex(pairs, fill_value=0)
    table = cells.rename(columns={"size": "n_images", "sum": "share"}).reset_index()
    return table.assign(share=table["share"] / images["weight"].sum())


def _columns(name: str, share: Share) -> dict[str, float | None]:
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def _times(share: Share, factor: float) -> Share:
    """Scale a rate to all images; a rate among no image at all is zero of them."""
    if factor == 0:
        return Share(0.0, 0.0, 0.0)
    if share.value is None or share.low is None or share.high is None:
        return Share(None)
    return Share(share.value * factor, share.low * factor, share.high * factor)


def _sum(first: Share, second: Share) -> Share:
    """Sum of two independent shares."""
    ends = (first.value, first.low, first.high, second.value, second.low, second.high)
    if any(end is None for end in ends):
        return Share(None)
    a, a_low, a_high, b, b_low, b_high = (float(end) for end in ends if end is not None)
    value = a + b
    return Share(
        value,
        max(0.0, value - math.hypot(a - a_low, b - b_low)),
        min(1.0, value + math.hypot(a_high - a, b_high - b)),
    )


def _share_of(first: Share, second: Share) -> Share:
    """Share that the first of two independent shares is of their sum."""
    ends = (first.value, first.low, first.high, second.value, second.low, second.high)
    if any(end is None for end in ends):
        return Share(None)
    a, a_low, a_high, b, b_low, b_high = (float(end) for end in ends if end is not None)
    if a + b == 0:
        return Share(None)
    # the interval of b over a: its lower end gives the higher share
    least = _ratio_end(b, b_low, a, a_high)
    most = _ratio_end(b, b_high, a, a_low)
    return Share(a / (a + b), 0.0 if most is None else 1 / (1 + most), 1.0 if least is None else 1 / (1 + least))


def _ratio_end(over: float, over_end: float, under: float, under_end: float) -> float | None:
    """One end of the interval of a ratio, given the ends of both parts that lead there; None if unbounded."""
    product, divisor = over * under, under_end * (2 * under - under_end)
    if divisor <= 0:
        return None
    inner = max(product**2 - over_end * divisor * (2 * over - over_end), 0.0)
    root = math.copysign(math.sqrt(inner), over_end - over)
    return max(0.0, (product + root) / divisor)


def _accuracy(sample: LabelledSample) -> tuple[object, ...]:
    is_right = (sample.images["category"] == sample.images["label"]).to_numpy()
    accuracy, (least, most) = sample.share(is_right), sample.ends_with_unsure(is_right)
    slugs = sorted(sample.images["local_authority"].unique())
    where = ", ".join(slugs) if len(slugs) <= _MOST_NAMED else f"{len(slugs)} local authorities"
    bare = f"{sample.n_strata_without_label:,} {'stratum' if sample.n_strata_without_label == 1 else 'strata'}"
    told = [
        (sample.n_unsure, f"{sample.n_unsure:,} unsure set aside and taken to be like the rest of their stratum: "
         f"{least:.1%} if the model were wrong on all of them and {most:.1%} if right"),
        (sample.n_tied, f"{sample.n_tied:,} tied, each label counted in part"),
        (sample.n_strata_without_label, f"{bare} without a label"),
        (sample.n_not_covered, f"{sample.n_not_covered:,} images not covered"),
    ]  # fmt: skip
    population = (
        f"all {sample.n_images:,} images of {where}, re-weighted from {sample.n_labelled:,} labelled "
        f"by {sample.n_raters} {'rater' if sample.n_raters == 1 else 'raters'}"
    )
    detail = "; ".join([population, *(words for number, words in told if number)])
    return ("accuracy", accuracy.value, accuracy.low, accuracy.high, sample.n_labelled, detail)


def _kappa(labels: pd.DataFrame) -> tuple[object, ...]:
    pairs = pairs_of_raters(labels)
    if pairs.empty:
        return ("cohens_kappa", None, None, None, 0, "no image has been labelled by two raters")
    first = pairs.iloc[0]
    told = [
        f"{' and '.join(pair['raters'])}: "
        f"{'not defined' if pd.isna(pair['kappa']) else format(pair['kappa'], '.2f')} "
        f"on {pair['n_images']:,} images"
        for pair in pairs.to_dict("records")
    ]
    return ("cohens_kappa", first["kappa"], first["low"], first["high"], int(first["n_images"]), "; ".join(told))


def _calibrate(
    sample: LabelledSample, probabilities: pd.DataFrame, categories: Sequence[str], seed: int
) -> tuple[pd.DataFrame, list[tuple[object, ...]]]:
    """Return the reliability bins before and after scaling, and the figures about them."""
    images, n = sample.images, sample.n_labelled
    matrix = _matrix(images, probabilities, categories)
    order = {name: place for place, name in enumerate(categories)}
    predicted, places = (np.asarray(images[name].map(order), dtype=np.int64) for name in ("category", "label"))
    rows = np.arange(len(images))
    before = calibration.reliability_bins(sample, matrix[rows, predicted], predicted == places)
    error = calibration.calibration_error(before)
    before_row: tuple[object, ...] = (
        "calibration_error_before",
        error,
        None,
        None,
        n,
        "over ten bins of probability as stored",
    )
    if n < _FEWEST_TO_SCALE:
        why = f"fewer than {_FEWEST_TO_SCALE} labels"
        missing: list[tuple[object, ...]] = [
            (name, None, None, None, n, why) for name in ("temperature", "calibration_error_after")
        ]
        return before.assign(stage="before"), [missing[0], before_row, missing[1]]
    temperature = calibration.temperature_interval(sample, matrix, places)
    scaled = calibration.cross_fitted(sample, matrix, places, seed=seed)
    after = calibration.reliability_bins(sample, scaled[rows, predicted], predicted == places)
    figures: list[tuple[object, ...]] = [
        ("temperature", temperature.value, temperature.low, temperature.high, n, _sharpness(temperature)),
        before_row,
        ("calibration_error_after", calibration.calibration_error(after), None, None, n,
         "each image scaled by a temperature fitted on the other half of the labels"),
    ]  # fmt: skip
    return pd.concat([before.assign(stage="before"), after.assign(stage="after")], ignore_index=True), figures


def _sharpness(temperature: Share) -> str:
    if temperature.low is None or temperature.high is None:
        return "at an end of the range searched: too few disagreements, or labels unlike the probabilities"
    if temperature.low > 1:
        return "above 1: probabilities are surer than people's labels bear out"
    if temperature.high < 1:
        return "below 1: probabilities are less sure than people's labels allow"
    return "1 would leave probabilities as they are, and is inside the interval"


def _matrix(
    images: pd.DataFrame, probabilities: pd.DataFrame, categories: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Probabilities of the labelled images in their order, shape (n_rows, n_categories)."""
    columns = [f"{name}_probability" for name in categories]
    return probabilities.set_index("image_id").loc[images["image_id"], columns].to_numpy(float)


def _outdated(candidates: pd.DataFrame, probabilities: pd.DataFrame) -> tuple[str, ...]:
    """Local authorities where an image drawn is not classified as it was then."""
    now = probabilities.set_index("image_id")[["category", "probability"]].reindex(candidates["image_id"])
    is_other = (now["category"].to_numpy(object) != candidates["category"].to_numpy(object)) | ~np.isclose(
        now["probability"].to_numpy(float), candidates["probability"].to_numpy(float)
    )
    return tuple(sorted(candidates.loc[is_other, "local_authority"].unique()))
