"""How much is computed: quick to look, default to report, full to publish.

Whatever the effort, every figure is on LSOAs held out, and everything learnt from data is learnt within
the part fitted on. Efforts differ in how many models are tuned, for how many targets, and in how many
random draws stand behind an interval or a p-value.
"""

from dataclasses import dataclass
from typing import Literal

EffortName = Literal["quick", "default", "full"]


@dataclass(frozen=True)
class Effort:
    """What an effort does.

    Parameters
    ----------
    name
        quick, default or full.
    n_surrogates
        Random surfaces behind each spatial p-value; the smallest p is one over one more than these.
    other_estimators
        What is fitted to the other targets (rank, score, decile, domains), and to the other feature sets;
        the main target and feature set always meet every estimator.
    tuning
        usual: costly estimators take their usual parameters; nested: they are tuned for the main target
        and feature set within each part fitted on, and the others reuse those; all: each is tuned.
        Ridge and PLS, which cost little to tune, are always tuned for themselves, but that with usual the
        other targets take the penalty of the main one.
    forest_features
        Features tried at each split of the tuned forest, among which tuning chooses.
    most_trees
        Trees of a random forest at the most, whatever the study asks for.
    forest_statistics
        Ways of pooling tried for each category alone in the 80/20 table.
    has_common_lsoas
        True if categories are also compared on the LSOAs that have them all.
    n_bootstrap
        Resamples of blocks behind an interval.
    n_importance_seeds
        Seeds over which the ranking of features is compared.
    n_shuffled_targets
        Fits to a shuffled target, for the band of importance that means nothing.
    n_curve_repeats
        Random choices of points behind the learning curve.
    """

    name: EffortName
    n_surrogates: int
    other_estimators: tuple[str, ...]
    tuning: Literal["usual", "nested", "all"]
    forest_features: tuple[str | float, ...]
    most_trees: int
    forest_statistics: tuple[str, ...]
    has_common_lsoas: bool
    n_bootstrap: int
    n_importance_seeds: int
    n_shuffled_targets: int
    n_curve_repeats: int

    @property
    def said(self) -> str:
        """What was done, in words for a report."""
        tuned = {
            "usual": "boosting, support vectors and forests, these of "
            f"{self.most_trees} trees at most, with their usual parameters, not tuned; ridge tuned for the main "
            "target and its penalty used again for the others",
            "nested": "models tuned within each part fitted on for the main target and features, and those "
            "parameters used again for the others",
            "all": "every model tuned within each part fitted on, for every target and set of features",
        }[self.tuning]
        others = "every estimator" if len(self.other_estimators) > 1 else self.other_estimators[0]
        return (
            f"Effort {self.name}: {tuned}; other targets and features by {others}; "
            f"{self.n_surrogates:,} random surfaces behind each spatial p-value; {self.n_bootstrap:,} resamples of "
            f"blocks behind each interval; importance over {self.n_importance_seeds} seeds."
        )


_ALL = ("ridge", "pls", "svr", "random_forest", "lightgbm")
_STATISTICS = ("mean", "median", "max")
EFFORTS: dict[str, Effort] = {
    effort.name: effort
    for effort in (
        Effort("quick", 999, ("ridge",), "usual", ("sqrt",), 50, ("mean",), False, 500, 2, 2, 1),
        Effort("default", 4_999, _ALL, "nested", ("sqrt", 0.1), 10_000, _STATISTICS, True, 1_000, 3, 5, 3),
        Effort("full", 19_999, _ALL, "all", ("sqrt", 0.1, 0.3), 10_000, _STATISTICS, True, 2_000, 5, 20, 5),
    )
}
