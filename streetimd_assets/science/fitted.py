"""Fitted models as rows: written in formats that run no code when they are read back.

scikit-learn models are kept by skops and LightGBM's in its own text. A pickle runs whatever its
writer wished, so none is ever loaded. The bytes carry the hour they were written: two fits with the
same seed predict the same, and differ in ``payload``.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.estimators import Regressor
from streetimd_assets.science.model_tables import Model

LIBRARIES = {"skops": ("scikit-learn", "skops", "numpy"), "lightgbm": ("lightgbm", "numpy")}
# skops lists the nodes of trees as unsafe because they can point anywhere: they are checked below
TREE = "sklearn.tree._tree.Tree"


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A model fitted on every LSOA, and all that must be known to use it.

    Parameters
    ----------
    model
        What it predicts, from which features.
    regressor
        The fitted scikit-learn model or LightGBM booster.
    parameters
        As chosen by tuning.
    feature_names
        Columns in the order the model expects.
    local_authorities
        Codes of the local authorities fitted on.
    n_lsoas, seed
        LSOAs fitted on, and seed of the random numbers.
    category_set_hash, encoder
        What made the features; others must not be given to the model.
    library_versions
        Libraries that fitted it; those installed if left out.
    """

    model: Model
    regressor: Regressor
    parameters: Mapping[str, Any]
    feature_names: tuple[str, ...]
    local_authorities: tuple[str, ...]
    n_lsoas: int
    seed: int
    category_set_hash: str
    encoder: str
    library_versions: Mapping[str, str] | None = None

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Predict the target of LSOAs.

        Parameters
        ----------
        X
            One column per feature, by name; other columns are ignored.

        Raises
        ------
        ScienceError
            If a feature is missing.
        """
        missing = [name for name in self.feature_names if name not in X.columns]
        if missing:
            raise ScienceError(
                f"model {self.model.model_id} needs the feature '{missing[0]}' and {len(missing) - 1} more "
                "that are not given; build them with feature_matrix"
            )
        values = X[list(self.feature_names)].to_numpy(np.float32)
        return np.asarray(self.regressor.predict(values), dtype=np.float64)

    def to_row(self) -> dict[str, Any]:
        """Return the model as a row of ``fitted_models``."""
        form, payload = dump_regressor(self.regressor)
        return {
            "model_id": self.model.model_id,
            "target": self.model.target,
            "feature_set": self.model.feature_set,
            "statistic": self.model.statistic,
            "estimator": self.model.estimator,
            "parameters": json.dumps(dict(self.parameters), sort_keys=True),
            "feature_names": "\n".join(self.feature_names),
            "local_authorities": "\n".join(self.local_authorities),
            "n_lsoas": self.n_lsoas,
            "seed": self.seed,
            "format": form,
            "library_versions": json.dumps(self.library_versions or installed_versions(form)),
            "category_set_hash": self.category_set_hash,
            "encoder": self.encoder,
            "payload": payload,
        }


def dump_regressor(regressor: Regressor) -> tuple[str, bytes]:
    """Write a fitted model; returns the name of the format and the bytes."""
    import zipfile

    import lightgbm
    import skops.io

    if isinstance(regressor, lightgbm.Booster):
        return "lightgbm", regressor.model_to_string().encode()
    return "skops", skops.io.dumps(regressor, compression=zipfile.ZIP_DEFLATED)


def installed_versions(form: str) -> dict[str, str]:
    """Versions of Python and of the libraries that a format depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES[form]}}


def load_model(row: Mapping[str, Any]) -> FittedModel:
    """Load a model from a row of ``fitted_models``.

    Parameters
    ----------
    row
        A row, as a mapping or a Series.

    Returns
    -------
    model
        Its ``predict`` takes a table with the columns of ``feature_names``.

    Raises
    ------
    ScienceError
        If the format is neither skops nor LightGBM's text, the payload is damaged or holds types that
        could run code, or another major version of a library wrote it.
    """
    name, form = str(row["model_id"]), str(row["format"])
    if form not in LIBRARIES:
        raise ScienceError(
            f"model {name} is in format '{form}', which is never loaded; "
            f"only {' and '.join(LIBRARIES)} are, so materialise fitted_models again"
        )
    versions = json.loads(row["library_versions"])
    _require_same_major(name, versions, form)
    features = tuple(str(row["feature_names"]).split("\n"))
    load = _load_skops if form == "skops" else _load_lightgbm
    statistic = None if pd.isna(row["statistic"]) else str(row["statistic"])
    return FittedModel(
        model=Model(str(row["target"]), str(row["feature_set"]), str(row["estimator"]), statistic),
        regressor=load(name, bytes(row["payload"]), len(features)),
        parameters=json.loads(row["parameters"]),
        feature_names=features,
        local_authorities=tuple(str(row["local_authorities"]).split("\n")),
        n_lsoas=int(row["n_lsoas"]),
        seed=int(row["seed"]),
        category_set_hash=str(row["category_set_hash"]),
        encoder=str(row["encoder"]),
        library_versions=versions,
    )


def _require_same_major(name: str, written: Mapping[str, str], form: str) -> None:
    for library, here in installed_versions(form).items():
        there = written.get(library, "none recorded")
        if there.split(".")[0] != here.split(".")[0]:
            raise ScienceError(
                f"model {name} was fitted with {library} {there} and this is {here}; "
                "install that version, or materialise fitted_models again"
            )


def _load_skops(name: str, payload: bytes, n_features: int) -> Regressor:
    import skops.io

    try:
        doubtful = set(skops.io.get_untrusted_types(data=payload))
        unsafe = sorted(doubtful - {TREE})
        regressor: Any = None if unsafe else skops.io.loads(payload, trusted=[TREE])
    except Exception as error:  # a damaged or hostile file may fail in any way
        raise _damaged(name, "skops") from error
    if unsafe:
        raise ScienceError(
            f"model {name} holds {unsafe[0]}, which could run code of its own; "
            "it was not loaded: materialise fitted_models again"
        )
    if TREE in doubtful and not _trees_hold(regressor, n_features):
        raise _damaged(name, "skops")
    if getattr(regressor, "n_features_in_", None) != n_features:
        raise _damaged(name, "skops")
    return regressor


def _load_lightgbm(name: str, payload: bytes, n_features: int) -> Regressor:
    import lightgbm

    try:
        text = payload.decode()
        if not text.startswith("tree\n") or "end of trees" not in text:
            raise _damaged(name, "lightgbm")
        booster = lightgbm.Booster(model_str=text)
    except (UnicodeDecodeError, lightgbm.basic.LightGBMError) as error:
        raise _damaged(name, "lightgbm") from error
    if booster.num_feature() != n_features:
        raise _damaged(name, "lightgbm")
    return booster


def _trees_hold(regressor: Any, n_features: int) -> bool:
    """True if there are no trees but a forest's own, and their nodes point to what exists."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.tree import DecisionTreeRegressor

    if type(regressor) is not RandomForestRegressor:
        return False
    members = regressor.estimators_
    return all(type(one) is DecisionTreeRegressor and _nodes_hold(one.tree_, n_features) for one in members)


def _nodes_hold(tree: Any, n_features: int) -> bool:
    """True if every node points to later nodes of its tree, and to a feature, or is a leaf."""
    here = np.arange(tree.node_count)
    is_leaf = tree.children_left == -1
    for children in (tree.children_left, tree.children_right):
        inside = (children > here) & (children < tree.node_count)
        if not np.all(np.where(is_leaf, children == -1, inside)):
            return False
    return bool(np.all(is_leaf | ((tree.feature >= 0) & (tree.feature < n_features))))


def _damaged(name: str, form: str) -> ScienceError:
    return ScienceError(f"the payload of model {name} is not a whole {form} model; materialise fitted_models again")
