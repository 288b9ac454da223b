"""Folds: each LSOA is held out as promised, and never on both sides."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.science.folds import (
    inner_folds,
    leave_one_out_by_group,
    make_splits,
    random_folds,
    repeated_holdout,
)


def rows_of(folds):
    return [(fold.name, fold.train.tolist(), fold.test.tolist()) for fold in folds]


def test_random_folds_hold_each_row_out_once():
    folds = random_folds(103, n_folds=5, seed=1)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(103))
    assert {len(fold.test) for fold in folds} == {20, 21}
    assert [fold.name for fold in folds] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "folds",
    [
        random_folds(50, n_folds=4, seed=1),
        repeated_holdout(50, n_repeats=4, seed=1),
        leave_one_out_by_group([f"la{row % 7}" for row in range(50)]),
    ],
    ids=["random", "holdout", "group"],
)
def test_no_row_is_both_fitted_on_and_scored_and_none_is_lost(folds):
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert len(fold.train) + len(fold.test) == 50


def test_holdout_holds_out_a_fifth_differently_each_time():
    folds = repeated_holdout(100, n_repeats=6, seed=3)
    assert {len(fold.test) for fold in folds} == {20}
    assert len({tuple(fold.test) for fold in folds}) == 6


def test_the_same_seed_gives_the_same_folds_and_another_seed_others():
    for make in (
        lambda s: random_folds(40, n_folds=4, seed=s),
        lambda s: repeated_holdout(40, n_repeats=2, seed=s),
    ):
        assert rows_of(make(5)) == rows_of(make(5))
        assert rows_of(make(5)) != rows_of(make(6))


def test_a_local_authority_is_held_out_whole_under_its_own_name():
    groups = np.array(["b", "a", "b", "c", "a"], dtype=object)
    folds = leave_one_out_by_group(groups)
    assert [(fold.name, set(groups[fold.test])) for fold in folds] == [("a", {"a"}), ("b", {"b"}), ("c", {"c"})]


def test_many_local_authorities_are_held_out_several_together_and_never_divided():
    rng = np.random.default_rng(0)
    groups = rng.choice([f"la{number:03d}" for number in range(296)], 5000).astype(object)
    folds = leave_one_out_by_group(groups, max_folds=20)
    assert len(folds) == len({fold.name for fold in folds}) == 20
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(5000))
    assert all(not set(groups[fold.train]) & set(groups[fold.test]) for fold in folds)
    assert max(len(fold.test) for fold in folds) < 1.1 * 5000 / 20
    assert "more" in folds[0].name


@pytest.mark.parametrize(
    "split",
    [
        lambda: random_folds(3, n_folds=5, seed=1),
        lambda: random_folds(3, n_folds=1, seed=1),
        lambda: repeated_holdout(2, n_repeats=1, seed=1),
        lambda: leave_one_out_by_group(["only"] * 9),
    ],
)
def test_what_cannot_be_split_is_refused_with_what_would_do(split):
    with pytest.raises(ScienceError, match="use"):
        split()


def test_rows_are_cut_inside_as_they_were_outside():
    groups = np.repeat(["a", "b", "c", "d", "e"], 10).astype(object)
    for fold in leave_one_out_by_group(groups):
        here = fold.groups_of_train
        assert set(here) == set(groups) - {fold.name}
        for inner in inner_folds(len(here), here, n_folds=3, seed=1):
            assert not set(here[inner.train]) & set(here[inner.test])
    (first, *_) = random_folds(50, n_folds=5, seed=1)
    assert first.groups_of_train is None
    assert rows_of(inner_folds(40, None, n_folds=3, seed=1)) == rows_of(random_folds(40, n_folds=3, seed=1))


def test_where_one_group_is_most_of_the_rows_parameters_are_chosen_on_single_rows():
    groups = np.repeat(["large", "small", "tiny"], [30, 8, 4]).astype(object)
    by_name = {fold.name: fold for fold in leave_one_out_by_group(groups)}
    assert by_name["small"].groups_of_train is None
    even = leave_one_out_by_group(np.repeat(["large", "small", "tiny"], 10).astype(object))
    assert all(fold.groups_of_train is not None for fold in even)


def test_the_model_for_unseen_places_is_tuned_by_the_hardest_split():
    places = pd.DataFrame(
        {"easting_m": np.arange(40.0) * 1000, "northing_m": 0.0, "lad_code": np.repeat(list("abcd"), 10)}
    )
    everyone = make_splits(places, n_folds=4, seed=1).everyone
    assert everyone.train.tolist() == list(range(40))
    assert len(everyone.test) == 0
    assert everyone.groups.tolist() == places["lad_code"].tolist()
