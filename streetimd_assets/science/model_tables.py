"""Names of models, and the rows of ``model_scores`` and ``lsoa_predictions`` about them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.folds import Fold
from streetimd_assets.science.matrices import FeatureMatrix
from streetimd_assets.science.scoring import Score, score_predictions

Array = npt.NDArray[np.float64]
NO_SCORE = Score(r2=None, mean_absolute_error=None, spearman_r=None)


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


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Predictions of LSOAs by models that never saw them.

    Parameters
    ----------
    folds
        The folds of one split.
    predicted
        One vector per fold, in the order of its ``test``.
    parameters
        One set per fold, as tuned on its ``train``.
    """

    folds: Sequence[Fold]
    predicted: Sequence[Array]
    parameters: Sequence[Mapping[str, Any]]

    def pooled(self) -> Array:
        """Join the folds of a split that holds each row out once, shape (n_lsoas,)."""
        rows = np.concatenate([fold.test for fold in self.folds])
        return np.concatenate(self.predicted)[np.argsort(rows)]


def score_rows(
    model: Model,
    split: str,
    observed: Array,
    held_out: HeldOut,
    *,
    experiment: str,
    together: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Rows of ``model_scores``: one per fold, and `together` as the row 'all'."""
    common = {
        "model_id": model.under(split),
        "experiment": experiment,
        "target": model.target,
        "feature_set": model.feature_set,
        "statistic": model.statistic,
        "category": model.category,
        "estimator": model.estimator,
        "split": split,
        "n_lsoas": len(observed),
        "n_train": round(np.mean([len(fold.train) for fold in held_out.folds])) if held_out.folds else 0,
    }
    rows = [{**common, "fold": "all", **together}]
    for fold, predicted, parameters in zip(held_out.folds, held_out.predicted, held_out.parameters, strict=True):
        sizes = {"n_train": len(fold.train), "n_test": len(fold.test)}
        score = score_predictions(observed[fold.test], predicted)
        chosen = json.dumps(parameters, sort_keys=True)
        rows.append({**common, "fold": fold.name, **sizes, **score, "parameters": chosen})
    return rows


def prediction_rows(
    model: Model,
    split: str,
    matrix: FeatureMatrix,
    lad_codes: npt.NDArray[np.object_],
    observed: Array,
    held_out: HeldOut,
) -> pd.DataFrame:
    """Rows of ``lsoa_predictions`` under a split that holds each LSOA out once."""
    names = np.empty(len(observed), dtype=object)
    for fold in held_out.folds:
        names[fold.test] = fold.name
    predicted = held_out.pooled()
    return pd.DataFrame(
        {
            "model_id": model.under(split),
            "lsoa_code": matrix.lsoa_codes,
            "lad_code": lad_codes,
            "fold": names,
            "observed": observed,
            "predicted": predicted,
            "residual": observed - predicted,
        }
    )


def score_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Join rows into ``model_scores``, in the order of its key."""
    declared = TABLES["model_scores"]
    table = pd.DataFrame(rows, columns=list(declared.column_names))
    types = {"DOUBLE": float, "INTEGER": int, "VARCHAR": object}
    table = table.astype({column.name: types[column.type] for column in declared.columns})
    return table.sort_values(list(declared.key), ignore_index=True)
