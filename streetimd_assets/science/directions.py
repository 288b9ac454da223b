"""Directions among embeddings that are shown by example: where a model looks, and what texts point to.

A single dimension of an embedding has no meaning of its own: a rotation of the space would change them
all and no model. A direction does: that of a linear model is all it looks at, and that of a text has
words.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import CONCEPT_HEAD, RIDGE_DIRECTION, TABLES
from streetimd_assets.science.examples import ENDS
from streetimd_assets.science.fitted import FittedModel
from streetimd_assets.science.texts import PROMPT, RANDOM

Vectors = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

MOST_CONCEPTS = 3
_DIMENSION = re.compile(r"(?:mean|median|max)_embedding_(\d+)")


def ridge_direction(model: FittedModel) -> Vectors:
    """Return the direction along which a ridge regression on embeddings predicts more, of unit length.

    Its coefficients are of scaled features; divided by the scales they are of the embedding itself. The
    sign is the model's own: toward a higher target, which for a rank is less deprived.

    Parameters
    ----------
    model
        A scaler and a linear model on the dimensions of one embedding.

    Returns
    -------
    direction
        Shape (n_dimensions,).

    Raises
    ------
    ScienceError
        If the model is not linear, looks at something else, or at nothing.
    """
    steps: Any = model.regressor
    if not all(_DIMENSION.fullmatch(name) for name in model.feature_names) or not hasattr(steps, "named_steps"):
        raise _without_direction(model)
    scaler, linear = steps[0], steps[-1]
    if not hasattr(linear, "coef_"):
        raise _without_direction(model)
    slopes = np.ravel(linear.coef_) / scaler.scale_
    length = np.linalg.norm(slopes)
    if not length > 0:
        raise _without_direction(model)
    return np.asarray(slopes / length, dtype=np.float32)


def _without_direction(model: FittedModel) -> ScienceError:
    return ScienceError(
        f"model {model.model.model_id} has no direction among embeddings; take a ridge regression on embeddings"
    )


def strongest_concepts(correlations: pd.DataFrame, *, measure: str, n_concepts: int = MOST_CONCEPTS) -> list[str]:
    """Return the texts and pairs that go most with a measure, the strongest first; random words are none.

    Parameters
    ----------
    correlations
        Rows of ``concept_correlations``.
    measure
        The measure of deprivation.
    n_concepts
        The most returned.
    """
    rows = correlations[(correlations["measure"] == measure) & (correlations["kind"] != RANDOM)]
    rows = rows.assign(strength=rows["pearson_r"].abs()).dropna(subset=["strength"])
    ordered = rows.sort_values(["strength", "concept"], ascending=[False, True])
    return [str(name) for name in ordered["concept"].head(n_concepts)]


def shown_directions(
    ridge: FittedModel | None, concepts: Sequence[str], concept_directions: pd.DataFrame
) -> dict[str, Vectors]:
    """Return the directions to be shown by the name of their feature: the model's, then those of concepts.

    Parameters
    ----------
    ridge
        The fitted ridge regression; None if there is none.
    concepts
        Names of concepts, from :func:`strongest_concepts`.
    concept_directions
        Rows of the table of that name.
    """
    vectors = concept_directions.set_index("concept")["embedding"]
    of_model = {} if ridge is None else {RIDGE_DIRECTION: ridge_direction(ridge)}
    return of_model | {f"{CONCEPT_HEAD}{name}": np.asarray(vectors[name], np.float32) for name in concepts}


def with_directions(
    leading: pd.DataFrame, directions: Mapping[str, Vectors], *, ridge_id: str | None
) -> pd.DataFrame:
    """Add directions to the leading features, at positions that follow theirs.

    Parameters
    ----------
    leading
        From :func:`~streetimd_assets.science.examples.leading_features`.
    directions
        From :func:`shown_directions`.
    ridge_id
        ``model_id`` of the ridge regression; of a text there is no model.
    """
    first = 1 + int(leading["feature_position"].max()) if len(leading) else 1
    added = pd.DataFrame(
        {
            "feature": list(directions),
            "feature_position": np.arange(first, first + len(directions)),
            "model_id": [ridge_id if name == RIDGE_DIRECTION else None for name in directions],
        }
    )
    tables = [table for table in (leading, added) if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else leading


def example_words(
    leading: pd.DataFrame, directions: Mapping[str, Vectors], concept_directions: pd.DataFrame, *, n_words: int
) -> pd.DataFrame:
    """Find the texts with the highest and the lowest value of each dimension and direction.

    In a model of images and texts the two lie apart: texts as a whole have other values than images, so
    only the differences among texts tell something. Values are therefore from the mean of the bank, in
    its standard deviations. A concept's own text is left out at its own ends.

    Parameters
    ----------
    leading
        Features and directions with their positions; features that are no dimension of the whole
        embedding (shares, dimensions of one category) have no texts.
    directions
        Features that are directions, each of shape (n_dimensions,).
    concept_directions
        Rows of the table of that name: its prompts are the bank.
    n_words
        Texts at each end.

    Returns
    -------
    example_words
        ``feature``, ``feature_position``, ``end``, ``position`` from that end, ``text`` and ``value``.

    References
    ----------
    Liang, W. et al. (2022), Mind the gap: understanding the modality gap in multi-modal contrastive
    representation learning. https://arxiv.org/abs/2203.02053
    """
    bank = concept_directions[concept_directions["kind"] == PROMPT].sort_values("concept", ignore_index=True)
    texts = np.stack([np.asarray(vector, dtype=np.float64) for vector in bank["embedding"]])
    parts = []
    for feature, place in zip(leading["feature"], leading["feature_position"], strict=True):
        values = _values(str(feature), texts, directions)
        if values is not None:
            told = bank["concept"] != str(feature).removeprefix(CONCEPT_HEAD)
            rows = pd.DataFrame({"text": bank["concept"], "value": values, "feature": feature})[told]
            parts += [_from_end(rows.assign(feature_position=place), end, n_words) for end in ENDS]
    names = list(TABLES["example_words"].column_names)
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def _values(feature: str, texts: Array, directions: Mapping[str, Vectors]) -> Array | None:
    """Value of a feature in each text, standardised over the bank; None if texts have none or all the same."""
    match = _DIMENSION.fullmatch(feature)
    if feature in directions:
        values = texts @ np.asarray(directions[feature], dtype=np.float64)
    elif match and int(match[1]) < texts.shape[1]:
        values = texts[:, int(match[1])]
    else:
        return None
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else None


def _from_end(rows: pd.DataFrame, end: str, n_words: int) -> pd.DataFrame:
    # half of the bank at the most, so that no text stands at both ends
    chosen = rows.sort_values(["value", "text"], ascending=[end == "low", True]).head(min(n_words, len(rows) // 2))
    return chosen.assign(end=end, position=np.arange(1, len(chosen) + 1))
