"""Predict a place that no model was fitted on, and say how far off that may be."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.features import require_one_vintage
from streetimd_assets.science.fitted import FittedModel
from streetimd_assets.science.intervals import COVERAGE, half_widths
from streetimd_assets.science.matrices import feature_matrix

COLUMNS = (
    "lsoa_code",
    "lad_code",
    "model_id",
    "target",
    "n_images_kept",
    "predicted",
    "predicted_low",
    "predicted_high",
    "is_thin",
)


@dataclass(frozen=True, eq=False)
class HeldOutErrors:
    """How far off a model was on LSOAs it never saw, and how many images each of them had.

    Parameters
    ----------
    errors
        Absolute errors in units of the target, indexed by ``lsoa_code``.
    n_images
        Images kept, indexed by ``lsoa_code``.
    """

    errors: pd.Series
    n_images: pd.Series

    @classmethod
    def of(cls, predictions: pd.DataFrame, n_images: pd.Series, scored_as: str) -> "HeldOutErrors":
        """Take the errors of a model from rows of ``lsoa_predictions``.

        Parameters
        ----------
        predictions
            Rows of ``lsoa_predictions``.
        n_images
            Images kept, indexed by ``lsoa_code``.
        scored_as
            The model and its split, as in `predictions`.

        Raises
        ------
        ScienceError
            If the model was never scored, or the images of an LSOA scored are not known.
        """
        own = predictions[predictions["model_id"] == scored_as].sort_values("lsoa_code").set_index("lsoa_code")
        if own.empty:
            raise ScienceError(f"model {scored_as} has no held-out predictions; materialise lsoa_predictions again")
        missing = own.index.difference(n_images.dropna().index)
        if len(missing):
            raise ScienceError(
                f"LSOA {missing[0]} was predicted and has no features any more; materialise lsoa_predictions again"
            )
        return cls((own["observed"] - own["predicted"]).abs(), n_images.loc[own.index].astype(float))


def predict_unseen(
    model: FittedModel,
    features: pd.DataFrame,
    held_out: HeldOutErrors,
    *,
    place: str,
    shares: Sequence[str],
    enough_images: int,
    coverage: float = COVERAGE,
) -> pd.DataFrame:
    """Predict LSOAs of local authorities that the model was not fitted on.

    The intervals are split-conformal: as wide as the model's errors were on LSOAs held out under the
    hardest split, on the scale ``sqrt(a + b / n_images)``. They hold on average over LSOAs that are
    exchangeable with those, so for a place like those fitted on; nobody can say so of a place unlike
    all of them.

    Parameters
    ----------
    model
        A model loaded from ``fitted_models``.
    features
        Rows of ``lsoa_features`` of the place.
    held_out
        The model's errors where it was fitted without the LSOA.
    place
        Name of the place, for sentences.
    shares
        Columns of category shares, such as ``shops_share``.
    enough_images
        LSOAs with fewer kept images are marked as thin.
    coverage
        Share of LSOAs the intervals are to hold, 0 to 1.

    Returns
    -------
    predictions
        One row per LSOA of `features`, by ``lsoa_code``: columns :data:`COLUMNS`. Where there is no image
        to speak from, all but the codes and counts is missing.

    Raises
    ------
    ScienceError
        If the model was fitted on a local authority among them, or on features of another encoder or
        category set, or none of the LSOAs has what the model needs.

    References
    ----------
    Lei et al. (2018), Distribution-free predictive inference for regression.
    https://doi.org/10.1080/01621459.2017.1307116
    """
    require_unseen(model, features, place)
    matrix = feature_matrix(features, shares=shares, **model.model.matrix_arguments())
    if not len(matrix.lsoa_codes):
        raise ScienceError(
            f"none of the {len(features)} LSOAs of {place} has what model {model.model.model_id} reads; collect "
            "images of it first"
        )
    predicted = model.predict(pd.DataFrame(matrix.values, columns=list(matrix.names)))
    rows = features.sort_values("lsoa_code").set_index("lsoa_code")[["lad_code", "n_images_kept"]]
    images = rows["n_images_kept"].reindex(matrix.lsoa_codes).to_numpy(float)
    half = half_widths(
        held_out.errors.to_numpy(float), held_out.n_images.to_numpy(float), images, coverage=coverage
    )
    said = pd.DataFrame(
        {
            "predicted": predicted,
            "predicted_low": predicted - half,
            "predicted_high": predicted + half,
            "is_thin": pd.array(images < enough_images, dtype="boolean"),
        },
        index=matrix.lsoa_codes,
    )
    named = rows.assign(model_id=model.model.model_id, target=model.model.target)
    return named.join(said).rename_axis("lsoa_code").reset_index()[list(COLUMNS)]


def require_unseen(model: FittedModel, features: pd.DataFrame, place: str) -> None:
    """Raise unless a model may predict these LSOAs: it never saw their local authority, and reads their features.

    Raises
    ------
    ScienceError
        One sentence: what differs, and what to do.
    """
    require_one_vintage(features)
    if set(features["lad_code"]) & set(model.local_authorities):
        raise ScienceError(
            f"model {model.model.model_id} was fitted on {place} too, so what it says there is too kind; read "
            "lsoa_predictions instead, each of which was made without its LSOA"
        )
    for column, fitted_on in (("encoder", model.encoder), ("category_set_hash", model.category_set_hash)):
        others = sorted(set(features[column].astype(str)) - {fitted_on})
        if others:
            raise ScienceError(
                f"the features of {place} come of {column} {others[0]} and model {model.model.model_id} was fitted "
                f"on {column} {fitted_on}; collect {place} in a study with the same encoder and categories"
            )
