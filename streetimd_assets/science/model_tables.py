"""Names of models, and the rows of ``model_scores`` and ``lsoa_predictions`` about them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.holding_out import HeldOut
from streetimd_assets.science.scoring import NO_SCORE, interval_of, score_predictions
from streetimd_assets.study.headline import headline_ridge

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """What is predicted, from which features, by which estimator.

    Parameters
    ----------
    target
        Column of ``deprivation_indices``.
    feature_set
        ``embeddings``, ``percentages``, ``both``, ``table`` or ``baseline``.
    estimator
        Name of an estimator or baseline.
    statistic
        How images are pooled; None where nothing is.
    category
        The category whose images alone are used; None for all.
    """

    target: str
    feature_set: str
    estimator: str
    statistic: str | None = None
    category: str | None = None

    @property
    def model_id(self) -> str:
        """Name of the model, such as ``imd_rank/embeddings-mean/ridge``."""
        features = "-".join(filter(None, (self.feature_set, self.statistic, self.category)))
        return f"{self.target}/{features}/{self.estimator}"

    def under(self, split: str) -> str:
        """Name of the model as scored under a split: its ``model_id``, a slash and the split."""
        return f"{self.model_id}/{split}"

    def matrix_arguments(self) -> dict[str, Any]:
        """Arguments of :func:`~streetimd_assets.science.matrices.feature_matrix` for its features."""
        return {
            "feature_set": self.feature_set,
            "statistic": self.statistic or "mean",
            "category": self.category,
        }


@dataclass(frozen=True)
class Trial:
    """A model as it is scored: under which split, on which LSOAs, and how its parameters were found.

    Parameters
    ----------
    model, split
        What is scored, and how LSOAs are held out.
    experiment
        ``forest_80_20`` or ``tuned``.
    tuning
        ``none``, ``usual``, ``nested`` or ``reused``.
    n_lsoas, n_with_images
        LSOAs that have these features, and those that have any image kept.
    lsoas
        ``own`` or ``common``.
    """

    model: Model
    split: str
    experiment: str
    tuning: str
    n_lsoas: int
    n_with_images: int
    lsoas: str = "own"

    @property
    def model_id(self) -> str:
        """Name of the model as scored."""
        name = self.model.under(self.split)
        return name if self.lsoas == "own" else f"{name}/{self.lsoas}"

    def to_row(self, **told: Any) -> dict[str, Any]:
        """Return a row of ``model_scores``; what is not told is NULL."""
        return {
            "model_id": self.model_id,
            "experiment": self.experiment,
            "lsoas": self.lsoas,
            "target": self.model.target,
            "feature_set": self.model.feature_set,
            "statistic": self.model.statistic,
            "category": self.model.category,
            "estimator": self.model.estimator,
            "split": self.split,
            "fold": "all",
            "n_lsoas": self.n_lsoas,
            "coverage_share": self.n_lsoas / self.n_with_images,
            "tuning": self.tuning,
            **told,
        }

    def unscored(self, note: str) -> dict[str, Any]:
        """Return the row that says why there is no score."""
        return self.to_row(**NO_SCORE, n_train=0, n_test=0, note=note)


def score_rows(
    trial: Trial, observed: Array, held_out: HeldOut, *, edges: Array, together: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Rows of ``model_scores``: one per fold, and `together` as the row 'all'."""
    n_train = round(np.mean([len(fold.train) for fold in held_out.folds]))
    rows = [trial.to_row(n_train=n_train, **together)]
    for fold, predicted, parameters in zip(held_out.folds, held_out.predicted, held_out.parameters, strict=True):
        told = {"fold": fold.name, "n_train": len(fold.train), "n_test": len(fold.test)}
        score = score_predictions(observed[fold.test], predicted, edges=edges)
        rows.append(trial.to_row(**told, **score, parameters=json.dumps(parameters, sort_keys=True)))
    return rows


def prediction_rows(trial: Trial, places: pd.DataFrame, observed: Array, held_out: HeldOut) -> pd.DataFrame:
    """Rows of ``lsoa_predictions`` under a split that holds each LSOA out once; intervals come later.

    `places` has a row per LSOA, indexed by its code, with its ``lad_code``.
    """
    names = np.empty(len(observed), dtype=object)
    for fold in held_out.folds:
        names[fold.test] = fold.name
    predicted = held_out.pooled()
    return pd.DataFrame(
        {
            "model_id": trial.model_id,
            "lsoa_code": places.index.to_numpy(object),
            "lad_code": places["lad_code"].to_numpy(object),
            "fold": names,
            "observed": observed,
            "predicted": predicted,
            "residual": observed - predicted,
        }
    )


def difference_rows(
    trials: Mapping[str, tuple[Trial, float, Array]], references: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of ``model_differences``: each model beside each reference, on the same LSOAs and resamples.

    Parameters
    ----------
    trials
        By ``model_id``: the trial, its R², and its R² in each resample, shape (n_draws,).
    references
        Some of the same ids.
    """
    rows = []
    for reference in (name for name in references if name in trials):
        _, known, known_draws = trials[reference]
        for model_id, (trial, r2, draws) in trials.items():
            if model_id == reference or trial.n_lsoas != trials[reference][0].n_lsoas:
                continue
            low, high = interval_of(draws - known_draws)
            rows.append(
                {
                    "model_id": model_id,
                    "reference_id": reference,
                    "experiment": trial.experiment,
                    "target": trial.model.target,
                    "split": trial.split,
                    "r2_difference": r2 - known,
                    "r2_difference_low": low,
                    "r2_difference_high": high,
                    "n_lsoas": trial.n_lsoas,
                }
            )
    return rows


def score_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Join rows into ``model_scores``, in the order of its key."""
    return _declared("model_scores", rows)


def difference_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Join rows into ``model_differences``, in the order of its key."""
    return _declared("model_differences", rows)


def _declared(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    declared = TABLES[name]
    table = pd.DataFrame(rows, columns=list(declared.column_names))
    types = {"DOUBLE": float, "INTEGER": int, "VARCHAR": object}
    table = table.astype({column.name: types[column.type] for column in declared.columns})
    texts = [column.name for column in declared.columns if column.type == "VARCHAR"]
    # a missing text is None, whatever pandas made of it
    table[texts] = table[texts].where(table[texts].notna(), None)
    return table.sort_values(list(declared.key), ignore_index=True)


def headline_model_id(scores: pd.DataFrame, predictions: pd.DataFrame, target: str | None = None) -> str:
    """Name the model looked at more closely: ridge on embeddings under the hardest split there is.

    It is named beforehand and not for its score, since the best of many flatters. Where there are no
    embeddings, it is ridge on the features that stand in their place.

    Parameters
    ----------
    scores, predictions
        Rows of ``model_scores`` and ``lsoa_predictions``.
    target
        Only models of this column of ``deprivation_indices``; of any if left out.

    Returns
    -------
    model_id
        As in ``lsoa_predictions``; where ridge was not fitted, the first model by name.

    Raises
    ------
    ScienceError
        If there is no such model.
    """
    predicted = set(predictions["model_id"])
    rows = scores[scores["model_id"].isin(predicted)]
    if target is not None:
        rows = rows[rows["target"] == target]
        predicted = set(rows["model_id"])
    if not predicted:
        raise ScienceError(
            f"lsoa_predictions holds no model of {target or 'any target'}; materialise model_scores and "
            "lsoa_predictions again"
        )
    return headline_ridge(rows, predicted) or str(min(predicted))
