"""Set what was recovered from painted images beside what was planted in them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.science.matrices import FEATURE_SETS
from streetimd_assets.science.soundness import tuned_for_main_target

_MIN_LSOAS = 20
_CEILING_SEED = 1


class Finding(NamedTuple):
    """One row: a quantity, its planted and its recovered value (NaN if unknown), and their unit."""

    finding: str
    planted: float
    recovered: float
    unit: str


def recovered_beside_planted(
    *,
    sample_points: pd.DataFrame,
    panoramas: pd.DataFrame,
    street_images: pd.DataFrame,
    category_probabilities: pd.DataFrame,
    lsoa_features: pd.DataFrame,
    planted_lsoas: pd.DataFrame,
    planted_scenes: pd.DataFrame,
    model_scores: pd.DataFrame | None = None,
    imd_correlations: pd.DataFrame | None = None,
    noise_correlations: pd.DataFrame | None = None,
    measure: str = "imd_rank",
    n_headings: int = 4,
) -> pd.DataFrame:
    """Compare every stage with the truth the painter knew.

    Only images with status ok count: what was painted and then refused as blank or cut off was not seen.

    Parameters
    ----------
    sample_points, panoramas, street_images, category_probabilities, lsoa_features
        The tables of those names, of one or more local authorities.
    planted_lsoas, planted_scenes
        What was painted.
    model_scores, imd_correlations, noise_correlations
        The study-wide results, if there are any yet.
    measure
        Of ``imd_correlations``: what the dimensions were correlated with.
    n_headings
        Headings photographed from every panorama.

    Returns
    -------
    findings
        Columns finding, planted, recovered and unit.
    """
    seen = street_images[street_images["status"] == "ok"]
    scenes = seen.merge(planted_scenes, on="image_id", suffixes=("", "_planted"), validate="one_to_one")
    judged = scenes.merge(
        category_probabilities[["image_id", "category"]], on="image_id", suffixes=("_planted", "")
    )
    findings = [
        *_coverage(sample_points, panoramas, planted_lsoas, lsoa_features),
        *_provenance(street_images, seen, scenes, n_headings),
        *_categories(judged, planted_scenes),
    ]
    if model_scores is not None:
        findings += _models(scenes, planted_lsoas.set_index("lsoa_code")["deprivation"], model_scores)
    if imd_correlations is not None and noise_correlations is not None:
        findings += _correlations(imd_correlations, noise_correlations, measure)
    return pd.DataFrame(findings, columns=list(Finding._fields))


def planted_features(scenes: pd.DataFrame) -> pd.DataFrame:
    """Summarise the scenes seen in each LSOA as a perfect reader of images would.

    Parameters
    ----------
    scenes
        One row per image seen: lsoa_code, category and disrepair as planted.

    Returns
    -------
    features
        By lsoa_code: the share of each planted category, and the mean disrepair.
    """
    shares = pd.crosstab(scenes["lsoa_code"], scenes["category"], normalize="index")
    return shares.assign(mean_disrepair=scenes.groupby("lsoa_code")["disrepair"].mean())


def read_perfectly(
    scenes: pd.DataFrame, deprivation: "pd.Series[float]", *, seed: int = _CEILING_SEED
) -> pd.DataFrame:
    """Predict deprivation from what was painted: the most that reading every image rightly would allow.

    Ridge regression on :func:`planted_features`, in five random folds with the penalty chosen within
    each training part.

    Parameters
    ----------
    scenes
        One row per image seen: lsoa_code, category and disrepair as planted.
    deprivation
        The quantity predicted, by lsoa_code.
    seed
        Of the folds.

    Returns
    -------
    predictions
        By lsoa_code, columns observed and predicted (held out). No rows under 20 LSOAs.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = planted_features(scenes)
    features = features[features.index.isin(deprivation.dropna().index)]
    observed = deprivation.reindex(features.index).astype(float)
    if len(features) < _MIN_LSOAS:
        return pd.DataFrame({"observed": [], "predicted": []})
    model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 4, 13)))
    folds = KFold(5, shuffle=True, random_state=seed)
    predicted = cross_val_predict(model, features.to_numpy(), observed.to_numpy(), cv=folds)
    return pd.DataFrame({"observed": observed, "predicted": predicted})


def category_accuracy(planted: npt.ArrayLike, recovered: npt.ArrayLike) -> float:
    """Share of images given the category that was painted; NaN without images."""
    return _share(np.asarray(planted, dtype=object) == np.asarray(recovered, dtype=object))


def _coverage(
    sample_points: pd.DataFrame, panoramas: pd.DataFrame, planted_lsoas: pd.DataFrame, lsoa_features: pd.DataFrame
) -> Iterator[Finding]:
    """Points that were answered for, and LSOAs that have images to speak from."""
    n_answered = int(sample_points["point_id"].isin(panoramas["point_id"]).sum())
    yield Finding("sample points with an answer", len(sample_points), n_answered, "points")
    n_with_images = int((lsoa_features["n_images_kept"] > 0).sum())
    yield Finding("LSOAs with images", len(planted_lsoas), n_with_images, "LSOAs")


def _provenance(
    street_images: pd.DataFrame, seen: pd.DataFrame, scenes: pd.DataFrame, n_headings: int
) -> Iterator[Finding]:
    """Whether each image stayed with its place, its heading and itself."""
    is_right = scenes["lsoa_code"] == scenes["lsoa_code_planted"]
    yield Finding("images in the LSOA that was painted", 1.0, _share(is_right), "share of images")
    headings = street_images.groupby("panorama_id")["heading_deg"].nunique()
    name = f"panoramas with {n_headings} different headings"
    yield Finding(name, 1.0, _share(headings == n_headings), "share of panoramas")
    repeats = seen["sha256"].duplicated(keep=False)
    yield Finding("images that are copies of another", 0.0, _share(repeats), "share of images")


def _categories(judged: pd.DataFrame, planted_scenes: pd.DataFrame) -> Iterator[Finding]:
    """How well categories were recognised, image by image and in all."""
    planted, recovered = judged["category_planted"], judged["category"]
    yield Finding(
        "images given the category painted", 1.0, category_accuracy(planted, recovered), "share of images"
    )
    names = sorted(set(planted_scenes["category"]) | set(recovered))
    shares = pd.DataFrame(
        {
            "planted": planted.value_counts(normalize=True),
            "recovered": recovered.value_counts(normalize=True),
        },
        index=names,
    ).fillna(0.0)
    largest = 100 * (shares["planted"] - shares["recovered"]).abs().max()
    yield Finding("largest difference in the share of a category", 0.0, float(largest), "percentage points")
    for name, row in shares.iterrows():
        yield Finding(f"share of {name}", float(row["planted"]), float(row["recovered"]), "share of images")


def _models(scenes: pd.DataFrame, deprivation: "pd.Series[float]", model_scores: pd.DataFrame) -> Iterator[Finding]:
    """How well the best model that saw images predicts, beside a perfect reader of the same images.

    Being the best of several, it is flattered a little.
    """
    scores = tuned_for_main_target(model_scores)
    scores = scores[scores["feature_set"].isin(FEATURE_SETS) & (scores["split"] == "random_folds")]
    if len(scores):
        best = scores.nlargest(1, "r2").iloc[0]
        whose = f"{best['model_id']}, beside a perfect reader's"
        ceiling = read_perfectly(scenes, deprivation)
        error = ceiling["observed"] - ceiling["predicted"]
        r2 = 1 - (error**2).mean() / ceiling["observed"].var(ddof=0)
        spearman = ceiling["observed"].corr(ceiling["predicted"], method="spearman")
        yield Finding(f"R² of {whose}", float(r2), float(best["r2"]), "R²")
        yield Finding(f"rank correlation of {whose}", float(spearman), float(best["spearman_r"]), "Spearman r")


def _correlations(
    imd_correlations: pd.DataFrame, noise_correlations: pd.DataFrame, measure: str
) -> Iterator[Finding]:
    """Largest correlation of a dimension, beside what noise of each kind reaches in 95 of 100 draws."""
    r = imd_correlations.loc[imd_correlations["measure"] == measure, "pearson_r"].abs().max()
    for kind, words in (("independent", "that of noise"), ("spatial", "that of surfaces as smooth as deprivation")):
        band = noise_correlations.loc[noise_correlations["kind"] == kind, "max_absolute_r"].quantile(0.95)
        yield Finding(f"largest |r| of a dimension, beside {words}", float(band), float(r), "|r|")


def _share(is_so: npt.ArrayLike) -> float:
    values = np.asarray(is_so, dtype=bool)
    return float(values.mean()) if len(values) else float("nan")
