"""The same model fitted again and again: over folds and seeds, and to a target that means nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.cores import spread
from streetimd_assets.science.estimators import Estimator, Parameters, Regressor
from streetimd_assets.science.folds import random_folds
from streetimd_assets.science.matrices import FeatureMatrix

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit: enough to do it in any process.

    Parameters
    ----------
    estimator
        How to learn.
    matrix, target
        Features and target of all LSOAs.
    train, test
        Rows fitted on, and rows held out.
    run, fold
        Number of the run, and of the fold within it.
    seed
        Seed of the model.
    parameters
        Parameters of the model; None to choose them on the rows fitted on.
    tunes
        True if parameters are tuned where the estimator also knows usual ones.
    """

    estimator: Estimator
    matrix: FeatureMatrix
    target: Array
    train: Rows
    test: Rows
    run: int
    fold: int
    seed: int
    tunes: bool
    parameters: Mapping[str, Any] | None = None

    def model(self) -> tuple[Regressor, Parameters]:
        """Choose parameters on the rows fitted on alone, and fit."""
        train, known = self.matrix.take(self.train), self.target[self.train]
        parameters = self.parameters
        if parameters is None and not self.tunes:
            parameters = getattr(self.estimator, "usual", None)
        if parameters is None:
            parameters = self.estimator.tune(train, known, seed=self.seed)
        return self.estimator.fit(train, known, parameters, seed=self.seed), dict(parameters)


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

    def __call__(self, fit: Fit) -> tuple[Answer, Parameters]:
        """Fit, and ask."""
        model, parameters = fit.model()
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
            A function of a module, of a model that was not shown the rows ``test`` of the fit.
        estimator
            How to learn.
        matrix
            Features, shape (n_lsoas, n_features).
        target
            Shape (n_lsoas,).
        """
        question, n_values = Question(ask), matrix.values.size
        first = [fit for run in range(self.n_seeds) for fit in self._folds(estimator, matrix, target, run)]
        told = spread(question, first, n_values=n_values)
        chosen = [parameters for _, parameters in told[: len(first) // self.n_seeds]]
        again = [
            replace(fit, target=shuffled, run=self.n_seeds + number, parameters=parameters)
            for number, shuffled in enumerate(self._shuffled(target))
            for fit, parameters in zip(first, chosen, strict=False)
        ]
        told_again = spread(question, again, n_values=n_values)
        n_fits = max(self.n_folds, 1)
        return Answers(
            _runs([answer for answer, _ in told], n_fits), _runs([answer for answer, _ in told_again], n_fits)
        )

    def _folds(self, estimator: Estimator, matrix: FeatureMatrix, target: Array, run: int) -> Iterator[Fit]:
        seed, n = self.seed + run, len(target)
        everything = (np.arange(n), np.arange(0))
        folds = random_folds(n, n_folds=self.n_folds, seed=seed) if self.n_folds else []
        for number, (train, test) in enumerate([(fold.train, fold.test) for fold in folds] or [everything]):
            yield Fit(estimator, matrix, target, train, test, run, number, seed, self.tunes)

    def _shuffled(self, target: Array) -> list[Array]:
        # a stream of its own, apart from those of folds and models
        rng = np.random.default_rng([self.seed, 1])
        return [rng.permutation(target) for _ in range(self.n_shuffled_targets)]


def _runs(answers: Sequence[Answer], n_fits: int) -> list[list[Answer]]:
    return [list(answers[start : start + n_fits]) for start in range(0, len(answers), n_fits)]
