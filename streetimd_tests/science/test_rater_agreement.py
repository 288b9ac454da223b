"""Cohen's kappa of raters whose agreement is known."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.science.rater_agreement import cohens_kappa, pairs_of_raters
from streetimd_tests.simulated_raters import labels_by


def raters(table):
    """Two raters' labels with this table of counts."""
    cells = [(row, column) for (row, column), n in np.ndenumerate(np.array(table)) for _ in range(n)]
    first, second = np.array(cells).T
    return first.astype(str).astype(object), second.astype(str).astype(object)


def test_kappa_is_that_of_a_table_worked_out_by_hand():
    # .7 agree, .5 would by chance
    kappa = cohens_kappa(*raters([[20, 5], [10, 15]]))
    assert kappa.value == pytest.approx(0.4)


def test_the_interval_is_that_of_fleiss_cohen_and_everitts_example():
    # their table of 200 cases and three categories, as proportions .53 .05 .02 / .11 .14 .05 / .01 .06 .03:
    # kappa .429; variance .002885
    kappa = cohens_kappa(*raters([[106, 10, 4], [22, 28, 10], [2, 12, 6]]))
    assert kappa.value == pytest.approx(0.429, abs=0.001)
    assert (kappa.high - kappa.low) / 2 == pytest.approx(1.96 * np.sqrt(0.002885), rel=0.01)


def test_raters_who_always_agree_have_one_and_raters_at_random_have_none():
    rng = np.random.default_rng(1)
    first = rng.choice(["a", "b", "c"], 3000).astype(object)
    assert cohens_kappa(first, first).value == 1
    by_chance = cohens_kappa(first, rng.permutation(first))
    assert by_chance.low < 0 < by_chance.high


def test_kappa_is_not_defined_where_there_is_nothing_to_tell_apart():
    one = np.array(["a", "a"], dtype=object)
    assert cohens_kappa(one, one).value is None
    assert cohens_kappa(one[:0], one[:0]).value is None


def test_the_interval_holds_the_true_kappa_in_95_of_100_studies():
    rng = np.random.default_rng(2)
    # both see the truth with errors of .2 in two equal classes: .68 agree, .5 by chance
    held = []
    for _ in range(400):
        truth = rng.random(150) < 0.5
        first, second = (np.where(rng.random(150) < 0.2, ~truth, truth).astype(object) for _ in range(2))
        kappa = cohens_kappa(first, second)
        held.append(kappa.low <= 0.36 <= kappa.high)
    assert 0.91 < np.mean(held) < 0.98


def test_the_pair_with_most_images_in_common_comes_first_and_unsure_is_left_out():
    truth = pd.Series(["a", "b"] * 50, index=[f"i{number}" for number in range(100)])
    labels = pd.concat(
        [
            labels_by("Anna", truth, names=("a", "b")),
            labels_by("Ben", truth[:80], unsure=0.2, seed=1, names=("a", "b")),
            labels_by("Cy", truth[70:], names=("a", "b")),
        ]
    )
    pairs = pairs_of_raters(labels)
    n_sure = (labels.query("rater == 'Ben'")["label"] != "unsure").sum()
    assert pairs["raters"].tolist()[0] == ("Anna", "Ben")
    assert pairs["n_images"].tolist()[0] == n_sure < 80
    assert pairs["kappa"].tolist() == [1, 1, 1]
    assert pairs_of_raters(labels.query("rater == 'Anna'")).empty
