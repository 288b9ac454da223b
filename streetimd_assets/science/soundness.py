"""Figures that tell a wrong table from a right one, where R² would not.

A model scores about the same when the softmax lacks its scale, when every heading shows the same
picture, when categories are rotated or when ranks run the other way. Each function measures one such
mistake, on the rows that are about to be kept.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import HARDEST_FIRST
from streetimd_assets.science import surrogates
from streetimd_assets.science.correlation import eastings_and_northings, field_of

Vectors = npt.NDArray[np.float32]
# median |z| of a standard normal: of noise, the median |r| is this over the root of n - 1
_MEDIAN_ABSOLUTE_NORMAL = 0.6745


def rank_against_score(table: pd.DataFrame, measure: str = "imd") -> float:
    """Rank correlation of a score with its rank; -1 where rank 1 is the most deprived, NaN under 3 rows."""
    ordered = table[[f"{measure}_score", f"{measure}_rank"]].dropna()
    if len(ordered) < 3:
        return float("nan")
    ranks = ordered.rank()
    return float(ranks.iloc[:, 0].corr(ranks.iloc[:, 1]))


def overlap_share(lsoas: "pd.DataFrame") -> float:
    """Area that outlines share with one another, of their area together; a GeoDataFrame in, 0 to 1 out."""
    outlines = lsoas.geometry  # type: ignore[attr-defined]
    together = float(outlines.area.sum())
    return max(0.0, 1 - float(outlines.union_all().area) / together) if together else 0.0


def same_view_share(images: pd.DataFrame, embeddings: Vectors) -> float:
    """Share of panoramas whose headings all look alike to the encoder, of those with several.

    Parameters
    ----------
    images
        Column image_id, as panorama_id@heading.
    embeddings
        Unit-length embeddings in the same order, shape (n_images, n_dimensions).

    Returns
    -------
    share
        Of panoramas with two or more images; 0 if there is none. Two photographs of one place never
        agree to four digits, but the same picture saved four times does.
    """
    panorama = images["image_id"].str.rsplit("@", n=1).str[0].to_numpy(dtype=object)
    order = np.argsort(panorama, kind="stable")
    begins = np.flatnonzero(panorama[order][1:] != panorama[order][:-1]) + 1
    groups = [rows for rows in np.split(order, begins) if len(rows) > 1]
    alike = [float((embeddings[rows] @ embeddings[rows[0]]).min()) > 0.9999 for rows in groups]
    return float(np.mean(alike)) if alike else 0.0


def astray_share(rows: pd.DataFrame, street_images: pd.DataFrame, columns: Sequence[str]) -> float:
    """Share of rows whose columns differ from those of the image they name, matched by image_id.

    Catches rows joined by their order instead of their name.
    """
    if rows.empty:
        return 0.0
    named = street_images.set_index("image_id").reindex(rows["image_id"])
    differs = np.zeros(len(rows), dtype=bool)
    for column in columns:
        mine, theirs = rows[column].to_numpy(dtype=object), named[column].to_numpy(dtype=object)
        differs |= (mine != theirs) & ~(pd.isna(mine) & pd.isna(theirs))
    return float(differs.mean())


def largest_similarity_error(
    classified: pd.DataFrame,
    images: pd.DataFrame,
    embeddings: Vectors,
    category_embeddings: pd.DataFrame,
    *,
    n_images: int = 500,
    seed: int = 1,
) -> float:
    """Largest difference of a similarity kept under a category's name from that category's own.

    Compared by names on a random choice of images, so a rotated order of categories or of rows shows.

    Parameters
    ----------
    classified
        Rows of ``category_probabilities``.
    images, embeddings
        Rows of ``image_embeddings``, and their embeddings of shape (n_images, n_dimensions).
    category_embeddings
        Rows of ``category_embeddings``.
    n_images, seed
        How many images are compared, and the seed of their choice.
    """
    drawn = classified.sample(min(n_images, len(classified)), random_state=seed)
    places = pd.Series(np.arange(len(images)), index=images["image_id"]).loc[drawn["image_id"]].to_numpy()
    worst = 0.0
    for name, words in zip(category_embeddings["category"], category_embeddings["embedding"], strict=True):
        own = embeddings[places] @ np.asarray(words, dtype=np.float32)
        worst = max(worst, float(np.abs(own - drawn[f"{name}_similarity"].to_numpy()).max(initial=0.0)))
    return worst


def implied_logit_scale(classified: pd.DataFrame, names: Sequence[str]) -> float:
    """Sharpness at which similarities were turned into probabilities; NaN without rows.

    Of two categories, the ratio of probabilities is exp(scale x difference of similarities); the
    median over images of the first against the second category.
    """
    similarity = classified[[f"{name}_similarity" for name in names]].to_numpy(dtype=float)
    probability = classified[[f"{name}_probability" for name in names]].to_numpy(dtype=float)
    if not len(similarity):
        return float("nan")
    order = np.argsort(similarity, axis=1)
    rows = np.arange(len(order))
    first, second = order[:, -1], order[:, -2]
    apart = similarity[rows, first] - similarity[rows, second]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.log(probability[rows, first] / probability[rows, second]) / apart
    known = scale[np.isfinite(scale)]
    return float(np.median(known)) if len(known) else float("nan")


def closest_categories(category_embeddings: pd.DataFrame) -> tuple[str, str, float]:
    """Return the two categories whose words are most alike, and their cosine similarity."""
    vectors = np.stack([np.asarray(vector, dtype=float) for vector in category_embeddings["embedding"]])
    alike = np.triu(vectors @ vectors.T, k=1) - 2 * np.tri(len(vectors))
    first, second = np.unravel_index(int(alike.argmax()), alike.shape)
    names = list(category_embeddings["category"])
    return names[first], names[second], float(alike[first, second])


def miscounted_lsoas(features: pd.DataFrame, classified: pd.DataFrame, names: Sequence[str]) -> int:
    """Count the LSOAs whose images, in all and by category, are not as many as were classified there.

    Parameters
    ----------
    features, classified
        Rows of ``lsoa_features`` and ``category_probabilities``.
    names
        Names of the categories.
    """
    wanted = classified.groupby(["lsoa_code", "category"]).size().unstack(fill_value=0)
    wanted = wanted.reindex(index=features["lsoa_code"], columns=list(names), fill_value=0)
    found = features[[f"n_{name}" for name in names]].to_numpy()
    wrong = (found != wanted.to_numpy()).any(axis=1) | (
        features["n_images"].to_numpy() != wanted.sum(axis=1).to_numpy()
    )
    astray = set(classified["lsoa_code"]) - set(features["lsoa_code"])
    return int(wrong.sum()) + len(astray)


def mirror_of_ranks(correlations: pd.DataFrame) -> float:
    """Cosine of the rank correlations with imd_rank and with imd_score, over dimensions; -1 if all is well.

    Not centred, so that one or two dimensions tell as well as many; NaN if none correlates.
    """
    wide = correlations.pivot(index="dimension", columns="measure", values="spearman_r")
    ranks, scores = wide[["imd_rank", "imd_score"]].astype(float).dropna().to_numpy().T
    size = float(np.linalg.norm(ranks) * np.linalg.norm(scores))
    return float(ranks @ scores) / size if size else float("nan")


def noise_beside_expected(noise: pd.DataFrame) -> float:
    """Median |r| of the independent draws over what independent normal noise gives; 1 if all is well."""
    draws = noise[noise["kind"] == "independent"]
    n_lsoas = int(draws["n_lsoas"].iloc[0])
    return float(draws["median_absolute_r"].median() * np.sqrt(n_lsoas - 1) / _MEDIAN_ABSOLUTE_NORMAL)


def autocorrelation_of_surrogates(
    target: "pd.Series[float]", places: pd.DataFrame, fields: pd.DataFrame, *, seed: int, n_draws: int = 20
) -> tuple[float, float]:
    """Moran's I of the target, and the mean of that of surfaces drawn from its field; alike if all is well.

    Parameters
    ----------
    target
        By ``lsoa_code``, named as in `fields`.
    places
        ``easting_m`` and ``northing_m`` (EPSG:27700), indexed by ``lsoa_code``.
    fields
        Rows of ``spatial_fields``.
    seed, n_draws
        Of the surfaces.
    """
    known = target.dropna().sort_index()
    values, where = known.to_numpy(float), eastings_and_northings(places, known.index)
    field = field_of(fields, str(target.name))
    surfaces = surrogates.surrogate_surfaces(values, *where, n_draws=n_draws, seed=seed, field=field)
    drawn = [surrogates.morans_i(surface, *where) for surface in surfaces.T]
    return surrogates.morans_i(values, *where), float(np.mean(drawn))


def noise_tolerance(noise: pd.DataFrame) -> float:
    """How far the logarithm of :func:`noise_beside_expected` may be from 0 where all is well.

    A quarter, and more where few numbers were drawn: five standard errors of a median of so many.
    """
    draws = noise[noise["kind"] == "independent"]
    n_drawn = len(draws) * int(draws["n_dimensions"].iloc[0])
    return float(np.log(1.25) + 5 / np.sqrt(n_drawn))


def tuned_for_main_target(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rows 'all' of tuned models and baselines that predict the study's target and have a score.

    The study's target is the one with most models: every estimator and set of features is tried on it.
    """
    whole = scores[(scores["fold"] == "all") & (scores["experiment"] == "tuned") & scores["r2"].notna()]
    return whole[whole["target"] == whole["target"].mode().iloc[0]] if len(whole) else whole


def gain_over_baselines(scores: pd.DataFrame) -> tuple[float, str]:
    """R² of the best imagery model minus that of the best model without images, and the split it is about.

    Without images there are the mean, which knows nothing, the coordinates, which know the map, the density
    of roads and the number of images. The split is the hardest there is. The best of several models is a
    little too kind to them.

    Parameters
    ----------
    scores
        Rows of ``model_scores``.
    """
    whole = tuned_for_main_target(scores)
    split = next((name for name in HARDEST_FIRST if (whole["split"] == name).any()), "")
    here = whole[whole["split"] == split]
    is_baseline = here["feature_set"] == "baseline"
    return float(here[~is_baseline]["r2"].max() - here[is_baseline]["r2"].max()), split


def interval_coverage(scores: pd.DataFrame) -> float:
    """Mean share of LSOAs inside their 90% intervals by ridge under random folds; NaN if not known.

    Random folds, because there alone the LSOAs held out are exchangeable with those fitted on.
    """
    whole = tuned_for_main_target(scores)
    rows = whole[(whole["estimator"] == "ridge") & (whole["split"] == "random_folds")]
    return float(rows["interval_coverage_share"].mean())


def alike_among_neighbours(autocorrelation: pd.DataFrame, model_id: str) -> tuple[float, float]:
    """Moran's I of a model's residuals and of its target, from ``residual_autocorrelation``; NaN if not known."""
    rows = autocorrelation[autocorrelation["model_id"] == model_id]
    if rows.empty:
        return float("nan"), float("nan")
    return float(rows["morans_i"].iloc[0]), float(rows["observed_morans_i"].iloc[0])


def clusters_astray(clusters: pd.DataFrame) -> int:
    """Count LSOAs of ``residual_clusters`` whose residual, or local I, has another sign than their cluster says.

    Such as when high and low are swapped, which no statistic of the whole would show.
    """
    above = clusters["residual"] > clusters["residual"].mean()
    own, _, around = clusters["cluster"].str.partition("_").to_numpy().T
    is_named = clusters["cluster"].to_numpy() != "none"
    wrong_side = above.to_numpy() != (own == "high")
    wrong_sign = (clusters["local_i"].to_numpy() > 0) != (own == around)
    return int(np.sum(is_named & (wrong_side | wrong_sign)))


def ends_of_curve(curve: pd.DataFrame) -> tuple[float, float]:
    """R² of the first and of the last step of ``learning_curve``, repeats together; NaN without rows."""
    whole = curve[curve["repeat"] == "all"].sort_values("n_points_per_lsoa")["r2"].astype(float)
    return (float(whole.iloc[0]), float(whole.iloc[-1])) if len(whole) else (float("nan"), float("nan"))
