"""Which features a model leans on, and which of them no more than chance would have it.

Three questions, each of several fits: what is lost on held-out LSOAs where a feature is shuffled
(permutation), what splits remove of the impurity in a forest (Gini), and how much each category share
moves a prediction (SHAP). Each is asked again of models fitted to a shuffled target, which draws the
band that means nothing. The dimensions of an embedding are correlated and have no names: a model can
lean on one of many that say the same, so a low importance does not mean that a dimension knows nothing.
Importance is the model's, not the world's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.comparison import best_model
from streetimd_assets.science.contributions import contributions
from streetimd_assets.science.estimators import ESTIMATORS, Estimator, LightGBM, RandomForest, Regressor
from streetimd_assets.science.feature_groups import FeatureGroups, find_groups
from streetimd_assets.science.holding_out import Fit
from streetimd_assets.science.matrices import UNPOOLED, FeatureMatrix, feature_matrix, require_enough, with_target
from streetimd_assets.science.model_tables import Model
from streetimd_assets.science.ranking import Draws, ranked_features
from streetimd_assets.science.refits import Answers, Refits
from streetimd_assets.science.shuffling import predictions, shuffled_predictions, turned_predictions

Array = npt.NDArray[np.float64]
CLUSTER, COMPONENT = "permutation_cluster", "permutation_component"


def feature_importances(
    features: pd.DataFrame,
    target: pd.Series,
    scores: pd.DataFrame | None = None,
    *,
    target_name: str,
    shares: Sequence[str],
    statistic: str = "mean",
    n_folds: int = 5,
    n_permutations: int = 5,
    n_trees: int = 100,
    n_clusters: int = 20,
    n_components: int = 20,
    n_seeds: int = 2,
    n_shuffled_targets: int = 2,
    tunes: bool = False,
    seed: int,
    feature_set: str = "both",
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Rank features of the random forest on embeddings and shares, of the best tuned model, and shares by SHAP.

    Parameters
    ----------
    features
        Rows of ``lsoa_features``.
    target
        What is predicted, indexed by ``lsoa_code``.
    scores
        Rows of ``model_scores``, which tell the best tuned model; None for the forest alone.
    target_name
        Column of ``deprivation_indices`` predicted.
    shares
        Columns of category shares, such as ``shops_share``; of a table, its columns of area features.
    statistic
        How images are pooled: mean, median or max.
    n_folds
        Random folds: each model is tuned and fitted without the LSOAs it is then asked about.
    n_permutations
        Times each feature or group is shuffled within each fold.
    n_trees
        Trees of the forest.
    n_clusters
        Groups of correlated features that are shuffled as one, where there are more features than these.
    n_components
        The most principal components of the embedding whose scores are shuffled.
    n_seeds
        Seeds of folds and models; the ranking is of the mean over them. SHAP takes the first alone.
    n_shuffled_targets
        Runs to a shuffled target, each of one seed, with all folds and shuffles; 0 leaves the bands missing.
    tunes
        True to tune each model within each part fitted on; False for its usual parameters where it has
        any.
    seed
        The first seed of folds, models and shuffles.
    feature_set
        Features of the forest: ``both``, or ``table`` where there are no images.
    progress
        Called with a line of text before each model.

    Returns
    -------
    feature_importances
        Position 1 is the highest of its model and method. A band is over features and shuffled targets
        together, so one feature in forty lies above it by chance; ``band_top`` is the highest of them
        all. It is the middle 95% of single runs, a little wide for a mean over seeds: it does not claim
        too much.

        ``permutation``: loss of pooled held-out R² when the feature is shuffled; sd over seeds and
        shuffles. ``permutation_cluster`` and ``permutation_component``: the same for groups of features
        shuffled as one.

        ``gini``, for the forest: share of impurity removed in forests on all LSOAs; sd over trees. It
        favours features with many distinct values and comes from LSOAs the forest has seen, so
        dimensions and shares have a band each.

        ``shap``, for boosted trees on the shares alone, or on area features: mean absolute contribution to
        the prediction of held-out LSOAs, in units of the target; sd over folds. It is never below zero,
        and above it by chance alone.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have features and a target, or rows that differ in encoder or category
        set are mixed.
    """
    known, observed = with_target(features, target)
    learners = {**ESTIMATORS, RandomForest.name: RandomForest(n_trees)}
    refits = Refits(n_folds, n_seeds, n_shuffled_targets, seed, tunes)
    forest = Model(target_name, feature_set, RandomForest.name, None if feature_set in UNPOOLED else statistic)
    leaning = list(dict.fromkeys([forest, best_model(scores, target_name)] if scores is not None else [forest]))
    boosted = Model(target_name, feature_set if feature_set in UNPOOLED else "percentages", LightGBM.name)
    questions = [*((model, "permutation") for model in leaning), (boosted, "SHAP")]
    tables = []
    for number, (model, question) in enumerate(questions, start=1):
        if progress:
            progress(f"importance {number} of {len(questions)}: {question}, {model.model_id}")
        matrix = feature_matrix(known, shares=shares, **model.matrix_arguments())
        require_enough(len(matrix.lsoa_codes), "have these features and a target")
        asked = _Asked(model, learners[model.estimator], matrix, observed.loc[list(matrix.lsoa_codes)].to_numpy())
        if question == "SHAP":
            tables.append(_by_contribution(asked, refits))
        else:
            tables += _by_permutation(asked, refits, n_permutations, n_clusters, n_components)
            tables += _by_gini(asked, refits)
    key = list(TABLES["feature_importances"].key)
    return pd.concat(tables).sort_values(key, ignore_index=True)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A model, how it learns, and what it learns from."""

    model: Model
    estimator: Estimator
    matrix: FeatureMatrix
    target: Array


def _by_permutation(
    asked: _Asked, refits: Refits, n_permutations: int, n_clusters: int, n_components: int
) -> list[pd.DataFrame]:
    """Rows of single features, and of groups of them."""
    groups = find_groups(asked.matrix, n_clusters=n_clusters, n_components=n_components)
    losses = permutation_losses(
        asked.estimator, asked.matrix, asked.target, refits=refits, n_permutations=n_permutations, groups=groups
    )
    tables = [ranked_features(asked.model, "permutation", asked.matrix.names, losses["permutation"])]
    for method, members in ((CLUSTER, groups.cluster_members()), (COMPONENT, groups.component_members())):
        if members:
            # of so few groups nearly all are among the highest, so that says nothing of stability
            ranked = ranked_features(
                asked.model,
                method,
                list(members),
                losses[method],
                is_stability_known=False,
                members=list(members.values()),
            )
            tables.append(ranked)
    return tables


def _by_gini(asked: _Asked, refits: Refits) -> list[pd.DataFrame]:
    """Rows of a forest; none of another model."""
    if asked.model.estimator != RandomForest.name:
        return []
    draws = gini_shares(asked.estimator, asked.matrix, asked.target, refits=refits)
    return [ranked_features(asked.model, "gini", asked.matrix.names, draws, kinds=asked.matrix.is_embedding)]


def _by_contribution(asked: _Asked, refits: Refits) -> pd.DataFrame:
    draws, directions = contributions(asked.estimator, asked.matrix, asked.target, refits=refits)
    return ranked_features(
        asked.model, "shap", asked.matrix.names, draws, is_stability_known=False, directions=directions
    )


def permutation_losses(
    estimator: Estimator,
    matrix: FeatureMatrix,
    target: Array,
    *,
    refits: Refits,
    n_permutations: int,
    groups: FeatureGroups | None = None,
) -> dict[str, Draws]:
    """Loss of pooled held-out R² when features are shuffled among the LSOAs of a fold.

    Parameters
    ----------
    estimator
        Fitted on the rest of each fold.
    matrix
        Features, shape (n_lsoas, n_features).
    target
        Shape (n_lsoas,).
    refits
        Folds, seeds and shuffled targets.
    n_permutations
        Shuffles within each fold.
    groups
        Groups to be shuffled as one besides; none if left out.

    Returns
    -------
    losses
        For ``permutation`` of shape (n_seeds, n_permutations, n_features) and by chance (n_shuffled_targets,
        n_features), and the same of clusters and components if there are groups.

    References
    ----------
    Breiman, L. (2001), Random forests, Machine Learning 45. https://doi.org/10.1023/A:1010933404324
    """
    answers = refits.ask(_Shuffling(n_permutations, groups), estimator, matrix, target)
    total = float(np.sum((target - target.mean()) ** 2))
    methods = list(answers.true[0][0])

    def pooled(runs: list[list[dict[str, Array]]], method: str) -> Array:
        losses = [np.sum([errors[method] for errors in folds], axis=0) / total for folds in runs]
        return np.array(losses) if losses else np.empty((0, n_permutations, answers.true[0][0][method].shape[1]))

    return {
        method: Draws(pooled(answers.true, method), pooled(answers.by_chance, method).mean(axis=1))
        for method in methods
    }


@dataclass(frozen=True, eq=False)
class _Shuffling:
    """Squared error added on the LSOAs held out, by method, each of shape (n_permutations, n_features)."""

    n_permutations: int
    groups: FeatureGroups | None

    def __call__(self, model: Regressor, fit: Fit) -> dict[str, Array]:
        values, truth = fit.matrix.values[fit.fold.test], fit.target[fit.fold.test]
        # a stream of its own, apart from that which shuffles targets
        rng = np.random.default_rng([fit.seed, int(fit.fold.name), 2])
        orders = np.array([rng.permutation(len(truth)) for _ in range(self.n_permutations)])
        predicted = {"permutation": shuffled_predictions(model, values, orders)}
        if self.groups is not None and self.groups.clusters is not None:
            predicted[CLUSTER] = shuffled_predictions(model, values, orders, self.groups.clusters)
        if self.groups is not None and len(self.groups.directions):
            predicted[COMPONENT] = turned_predictions(model, values, orders, self.groups.directions)
        before = np.sum((truth - predictions(model, values)) ** 2)
        return {method: np.sum((truth - told) ** 2, axis=2).T - before for method, told in predicted.items()}


def gini_shares(estimator: Estimator, matrix: FeatureMatrix, target: Array, *, refits: Refits) -> Draws:
    """Share of impurity each feature removes, tree by tree, in forests fitted on every LSOA.

    Returns
    -------
    shares
        Shape (n_seeds, n_trees, n_features); each row sums to one, or to zero for a tree of one leaf.
    """
    everything = Refits(0, refits.n_seeds, refits.n_shuffled_targets, refits.seed, refits.tunes)
    answers: Answers[Array] = everything.ask(_impurity, estimator, matrix, target)
    chance = [run[0].mean(axis=0) for run in answers.by_chance]
    return Draws(
        np.array([run[0] for run in answers.true]), np.array(chance).reshape(len(chance), len(matrix.names))
    )


def _impurity(model: Any, fit: Fit) -> Array:
    return np.array([member.feature_importances_ for member in model.estimators_])
