"""The same model fitted again and again: over folds and seeds, and to a target that means nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.cores import spread
from streetimd_assets.science.estimators import Estimator, Regressor
from streetimd_assets.science.folds import Fold, random_folds
from streetimd_assets.science.holding_out import Fit, learn
from streetimd_assets.science.matrices import FeatureMatrix

Array = npt.NDArray[np.float64]
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Answers(Generic[Answer]):
    """What the fits of each run answered, fold by fold.

    Parameters
    ----------
    true
        One list for each seed.
    by_chance
        One list for each shuffle of the target.
    """

    true: list[list[Answer]]
    by_chance: list[list[Answer]]


@dataclass(frozen=True, eq=False)
class Question(Generic[Answer]):
    """A question to a fitted model that any process can ask and answer with the model's parameters."""

    ask: Callable[[Regressor, Fit], Answer]

    def __call__(self, fit: Fit) -> tuple[Answer, Mapping[str, Any]]:
        """Fit, and ask."""
        model, parameters = learn(fit)
        return self.ask(model, fit), parameters


@dataclass(frozen=True)
class Refits:
    """How often a model is fitted anew.

    Parameters
    ----------
    n_folds
        Random folds of each run, each held out once; 0 for one fit on every LSOA, with none held out.
    n_seeds
        Seeds of folds and models, from `seed` on.
    n_shuffled_targets
        Runs in which the target is shuffled among the LSOAs, with the folds and the seed of the first.
    seed
        The first seed.
    tunes
        True if parameters are tuned where the estimator also knows usual ones.
    """

    n_folds: int
    n_seeds: int
    n_shuffled_targets: int
    seed: int
    tunes: bool

    def ask(
        self, ask: Callable[[Regressor, Fit], Answer], estimator: Estimator, matrix: FeatureMatrix, target: Array
    ) -> Answers[Answer]:
        """Ask every fit.

        The target is shuffled as a plain permutation that respects nothing, neither neighbours nor local
        authorities: what follows is what a feature gets where there is no relation at all. Two maps that
        are smooth each by itself can do better than that.

        A fit to a shuffled target takes the parameters of the same fold of the first run. Tuned for
        itself it would learn to learn nothing, and any feature would seem to rise above that.

        Parameters
        ----------
        ask
            A function of a module, of a model and its fit; it was not shown the rows that the fold holds out.
        estimator
            How to learn.
        matrix
            Features, shape (n_lsoas, n_features).
        target
            Shape (n_lsoas,).
        """
        question, n_values = Question(ask), matrix.values.size
        first = [fit for run in range(self.n_seeds) for fit in self._fits(estimator, matrix, target, run)]
        told = spread(question, first, n_values=n_values)
        n_fits = len(first) // self.n_seeds
        by_chance = [
            replace(fit, target=shuffled, parameters=parameters)
            for shuffled in self._shuffled(target)
            for fit, (_, parameters) in zip(first[:n_fits], told[:n_fits], strict=True)
        ]
        told_by_chance = spread(question, by_chance, n_values=n_values)
        return Answers(_runs(told, n_fits), _runs(told_by_chance, n_fits))

    def _fits(self, estimator: Estimator, matrix: FeatureMatrix, target: Array, run: int) -> list[Fit]:
        seed, n = self.seed + run, len(target)
        everything = [Fold("all", np.arange(n), np.arange(0))]
        folds = random_folds(n, n_folds=self.n_folds, seed=seed) if self.n_folds else everything
        parameters = None if self.tunes else estimator.usual
        return [Fit(estimator, matrix, target, fold, parameters, seed) for fold in folds]

    def _shuffled(self, target: Array) -> list[Array]:
        # a stream of its own, apart from those of folds and models
        rng = np.random.default_rng([self.seed, 1])
        return [rng.permutation(target) for _ in range(self.n_shuffled_targets)]


def _runs(told: Sequence[tuple[Answer, Mapping[str, Any]]], n_fits: int) -> list[list[Answer]]:
    answers = [answer for answer, _ in told]
    return [answers[start : start + n_fits] for start in range(0, len(answers), n_fits)]
