"""Images to label are drawn by chance, in strata, and the draw is kept as it grows."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from streetimd_assets import schemas
from streetimd_assets.science import labelling
from streetimd_tests.simulated_raters import NAMES, files_of, made_up_images


@pytest.fixture(scope="module")
def probabilities():
    return made_up_images(2000)[0]


def draw(probabilities, *, n_per_group=20, n_at_random=100, seed=1):
    return labelling.choose_candidates(
        probabilities, files_of(probabilities), n_per_group=n_per_group, n_at_random=n_at_random, seed=seed
    )


def test_each_category_and_half_of_its_confidence_gets_its_images(probabilities):
    drawn = draw(probabilities, n_at_random=0)
    assert list(drawn.columns) == list(schemas.TABLES["label_candidates"].column_names)
    assert set(drawn["design"]) == {"stratified"}
    sizes = drawn.groupby("stratum").size()
    assert set(sizes.index) == {f"{name}: {half}" for name in NAMES for half in labelling.HALVES}
    assert (sizes == np.minimum(20, drawn.groupby("stratum")["n_in_stratum"].first())).all()


def test_the_lower_half_is_less_sure_than_the_upper_and_they_make_up_the_category(probabilities):
    images = labelling.with_strata(probabilities)
    for name, of_category in images.groupby("category"):
        lower, upper = (of_category[of_category["stratum"] == f"{name}: {half}"] for half in labelling.HALVES)
        assert lower["probability"].max() <= upper["probability"].min()
        assert len(lower) - len(upper) in (0, 1)
        assert set(lower["n_in_stratum"]) == {len(lower)}


def test_images_at_random_come_besides_and_no_image_comes_twice(probabilities):
    drawn = draw(probabilities)
    assert drawn["image_id"].is_unique
    n_stratified = (draw(probabilities, n_at_random=0)["design"] == "stratified").sum()
    assert (drawn["design"] == "stratified").sum() == n_stratified
    assert 0 < (drawn["design"] == "random").sum() <= 100
    everything = draw(probabilities, n_at_random=10_000)
    assert len(everything) == len(probabilities)


def test_a_larger_draw_keeps_every_image_of_a_smaller_one(probabilities):
    small, large = draw(probabilities), draw(probabilities, n_per_group=40, n_at_random=300)
    assert set(small["image_id"]) < set(large["image_id"])


def test_images_collected_later_leave_most_of_the_draw_as_it_was(probabilities):
    before = draw(probabilities.iloc[:1900])
    after = draw(probabilities)
    assert len(set(before["image_id"]) & set(after["image_id"])) > 0.85 * len(before)


def test_another_seed_draws_other_images_and_the_order_of_rows_plays_no_part(probabilities):
    drawn = draw(probabilities)
    assert_frame_equal(drawn, draw(probabilities.sample(frac=1, random_state=1)))
    assert set(draw(probabilities, seed=2)["image_id"]) != set(drawn["image_id"])


def test_the_order_shown_tells_nothing_of_the_prediction(probabilities):
    drawn = draw(probabilities, n_per_group=200, n_at_random=0)
    assert sorted(drawn["position"]) == list(range(1, len(drawn) + 1))
    by_category = drawn.groupby("category")["position"].mean() / len(drawn)
    assert by_category.drop("derelict").between(0.42, 0.58).all()
    assert abs(np.corrcoef(drawn["position"], drawn["probability"])[0, 1]) < 0.1


def test_within_a_stratum_every_image_is_as_likely_to_be_drawn(probabilities):
    small = probabilities.iloc[:60]
    counts = pd.Series(0, index=small["image_id"])
    for seed in range(150):
        counts[draw(small, n_per_group=4, n_at_random=6, seed=seed)["image_id"]] += 1
    strata = labelling.with_strata(small).set_index("image_id")["stratum"]
    for _, of_stratum in counts.groupby(strata):
        share = of_stratum.mean() / 150
        spread = np.sqrt(150 * share * (1 - share))
        assert (abs(of_stratum - of_stratum.mean()) < 4 * spread + 1e-9).all()


def test_a_few_images_and_none_are_drawn_whole(probabilities):
    assert len(draw(probabilities.iloc[:3])) == 3
    assert draw(probabilities.iloc[:0]).empty


def test_an_image_without_picture_is_drawn_like_any_other(probabilities):
    files = files_of(probabilities).assign(image_path=None)
    drawn = labelling.choose_candidates(probabilities, files, n_per_group=20, n_at_random=100, seed=1)
    assert set(drawn["image_id"]) == set(draw(probabilities)["image_id"])
