"""The statistics in worlds whose answers are known: a small version of benchmarks/calibration.py.

Where a figure is a mean over few worlds, what is wanted of it is widened by two of its standard errors.
"""

import numpy as np
import pandas as pd
import pytest

from benchmarks.calibration import CITIES, DIMENSIONS, FIELDS, RECOVERY, UNEVEN, Line, Task, judge
from streetimd_assets.science.estimators import ESTIMATORS
from streetimd_assets.science.folds import random_folds
from streetimd_assets.science.holding_out import cross_validate
from streetimd_assets.science.matrices import feature_matrix, with_target
from streetimd_assets.science.scoring import r_squared
from streetimd_assets.synthetic.worlds import number_world

SMALL = {"n_lsoas": 300, "n_dimensions": 64, "n_surrogates": 499}


def judged(kind, n, **options):
    return pd.DataFrame([judge(Task(kind, 1 + number, **SMALL, **options)) for number in range(n)])


def line_of(lines, title) -> Line:
    (found,) = [one for one in lines if one.title.startswith(title)]
    return found


def missed(lines, figures):
    """Lines whose bar is missed, with the value measured."""
    room = {one.title: 2 * float(one.of(figures).sem()) for one in lines}
    values = {one.title: float(one.of(figures).agg(one.pooling)) for one in lines}
    return {
        one.title: values[one.title]
        for one in lines
        if one.bar is not None and not one.bar.is_met(values[one.title], room[one.title])
    }


@pytest.fixture(scope="module", params=FIELDS)
def null(request):
    return judged("null_spatial", 6, field=request.param)


def test_smooth_embeddings_that_know_nothing_predict_nothing_where_a_local_authority_is_left_out(null):
    assert not missed([line_of(DIMENSIONS, "R² of ridge, one local authority")], null)
    # neighbours in the part fitted on are what random folds score by
    assert null["r2_at_random"].mean() > null["r2_by_place"].mean() + 0.1


def test_surrogates_find_about_one_dimension_in_twenty_where_there_is_nothing_and_the_naive_test_half(null):
    assert not missed([line_of(DIMENSIONS, "dimensions at p < .05: Gaussian")], null)
    # six worlds of which one in twenty may have a false finding: three or more have a chance of .002
    assert null["gaussian_any"].sum() <= 2
    assert null["naive_rate"].mean() > 0.2
    assert null["permuted_rate"].mean() > 0.2
    assert null["naive_any"].mean() >= 0.5
    assert null["permuted_any"].mean() >= 0.5


def test_where_lsoas_are_independent_the_naive_test_is_right():
    figures = judged("null_iid", 4)
    # 256 tests at .05 of nearly independent dimensions: standard error .014
    assert figures["naive_rate"].mean() == pytest.approx(0.05, abs=0.045)
    assert figures["r2_at_random"].mean() < 0.03


@pytest.mark.parametrize(("image_counts", "lines"), [("even", RECOVERY), ("uneven", UNEVEN)])
def test_what_is_planted_is_recovered_and_intervals_cover_what_they_say(image_counts, lines):
    assert missed(lines, judged("signal", 3, image_counts=image_counts)) == {}


def test_the_look_of_a_city_is_mistaken_for_deprivation_unless_cities_are_told_apart():
    figures = judged("two_cities", 3)
    assert missed(CITIES, figures) == {}
    assert (figures["cosine_ridge"] < figures["cosine_in_cities"] - 0.1).all()
    # a local authority left out leaves its city's look among those fitted on
    assert figures["r2_by_place"].mean() > figures["r2_by_city"].mean() + 0.3


def test_joined_and_split_as_in_a_comparison_many_dimensions_of_nothing_predict_nothing():
    found = []
    for seed in range(4):
        world = number_world("null_iid", n_lsoas=120, n_dimensions=300, statistics=("mean",), seed=seed)
        target = world.deprivation.set_index("lsoa_code")["imd_score"]
        known, observed = with_target(world.features, target)
        matrix = feature_matrix(known, "embeddings", shares=world.shares)
        truth = observed.loc[list(matrix.lsoa_codes)].to_numpy()
        folds = random_folds(len(truth), n_folds=5, seed=1)
        found.append(r_squared(truth, cross_validate(ESTIMATORS["ridge"], matrix, truth, folds, seed=1).pooled()))
    assert np.mean(found) <= 0.03
