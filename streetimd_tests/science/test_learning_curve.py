"""The learning curve rises as theory says, on choices of points that hold one another."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.learning_curve import Points, enough_points, learning_curve, steps_of
from streetimd_tests.planted_features import shuffled

N_LSOAS, N_DIMENSIONS, HEADINGS = 400, 3, 2
# variance of the target that images could tell at best, and of a single image around its LSOA's look
TRUTH, NOISE = 0.8, 6.0


def world(seed=0, n_points=None, noise=NOISE, n_local_authorities=5, n_lsoas=N_LSOAS):
    """Images whose first dimension is the LSOA's look and noise; the target grows with the look."""
    rng = np.random.default_rng(seed)
    codes = np.array([f"Z01{number:05d}" for number in range(n_lsoas)], dtype=object)
    look = rng.normal(size=n_lsoas)
    target = np.sqrt(TRUTH) * look + np.sqrt(1 - TRUTH) * rng.normal(size=n_lsoas)
    counts = np.full(n_lsoas, 10) if n_points is None else n_points
    lsoa = np.repeat(np.arange(n_lsoas), counts * HEADINGS)
    point = np.concatenate([np.repeat(np.arange(n), HEADINGS) for n in counts])
    embeddings = rng.normal(0, np.sqrt(noise), (len(lsoa), N_DIMENSIONS))
    embeddings[:, 0] += look[lsoa]
    panoramas = [f"pano {a} {b}" for a, b in zip(lsoa, point, strict=True)]
    images = pd.DataFrame(
        {
            "image_id": [f"{name}@{90 * (k % HEADINGS)}" for k, name in enumerate(panoramas)],
            "panorama_id": panoramas,
            "lsoa_code": codes[lsoa],
            "is_rejected": False,
        }
    )
    coordinates = pd.DataFrame(
        {
            "lsoa_code": codes,
            "lad_code": [f"Z0600000{number * n_local_authorities // n_lsoas}" for number in range(n_lsoas)],
            "easting_m": 400_000 + rng.uniform(0, 20_000, n_lsoas),
            "northing_m": 300_000 + rng.uniform(0, 20_000, n_lsoas),
        }
    )
    return images, embeddings.astype(np.float32), pd.Series(target, index=codes), coordinates


def curve_of(made, **changes):
    images, embeddings, target, coordinates = made
    given = {"n_repeats": 2, "n_bootstrap": 200, "seed": 1} | changes
    return learning_curve(Points.of_images(images, embeddings), target, coordinates, **given)


def together(curve):
    return curve[curve["repeat"] == "all"].set_index("n_points_per_lsoa")


@pytest.fixture(scope="module")
def curve():
    return curve_of(world())


def test_r2_rises_with_points_as_the_reliability_of_a_mean_of_images_does(curve):
    found = together(curve)["r2"]
    assert list(found.index) == [1, 2, 3, 5, 8, 10]
    # Spearman and Brown: noise of m images counts for one m-th
    images = HEADINGS * found.index.to_numpy()
    expected = TRUTH / (1 + NOISE / images)
    # R² of 400 LSOAs has a standard deviation of about 0.04, and fitting three dimensions costs 0.01
    assert np.abs(found - expected).max() < 0.08
    assert np.all(np.diff(found) > 0)


def test_an_interval_holds_the_mean_over_choices_and_is_as_wide_as_theory_says(curve):
    rows = together(curve)
    assert np.all((rows["r2_low"] < rows["r2"]) & (rows["r2"] < rows["r2_high"]))
    # of 400 LSOAs at R² = 0.6, ± 2 × 2 R (1 - R²) / √n is ± 0.06
    assert (rows["r2_high"] - rows["r2_low"]).loc[10] == pytest.approx(0.12, abs=0.06)
    for k, some in curve[curve["repeat"] != "all"].groupby("n_points_per_lsoa"):
        assert rows.loc[k, "r2"] == pytest.approx(some["r2"].mean())
        assert len(some) == (1 if k == 10 else 2)
        assert some["r2_low"].isna().all()


def test_points_and_images_are_counted(curve):
    rows = together(curve)
    assert list(rows["mean_points_per_lsoa"]) == [1, 2, 3, 5, 8, 10]
    assert list(rows["mean_images_per_lsoa"]) == [2, 4, 6, 10, 16, 20]
    assert set(curve["n_lsoas"]) == {N_LSOAS}
    assert set(curve["split"]) == {"leave_one_la_out"}
    assert list(curve.columns) == list(TABLES["learning_curve"].column_names)


def test_lsoas_with_few_points_give_all_they_have_and_stay():
    counts = np.where(np.arange(60) % 3 == 0, 1, 4)
    curve = curve_of(world(n_points=counts, n_lsoas=60), n_repeats=1)
    rows = together(curve)
    assert list(rows.index) == [1, 2, 3, 4]
    assert list(rows["mean_points_per_lsoa"]) == pytest.approx([1, 5 / 3, 7 / 3, 3])
    assert set(curve["n_lsoas"]) == {60}


def test_with_all_points_the_mean_is_over_all_kept_images_and_no_rejected_one():
    images, embeddings, target, coordinates = world(n_lsoas=60)
    # what is rejected would swamp the rest, and takes every image of some panoramas
    images["is_rejected"] = np.random.default_rng(3).random(len(images)) < 0.3
    swamped = embeddings + 1000 * images["is_rejected"].to_numpy()[:, None].astype(np.float32)
    points = Points.of_images(images, swamped)
    assert points.n_images.sum() == (~images["is_rejected"]).sum()
    assert points.n_images.min() == 1
    kept = images[~images["is_rejected"]]
    expected = pd.DataFrame(embeddings).loc[kept.index].groupby(kept["lsoa_code"]).sum()
    found = pd.DataFrame(points.sums).groupby(points.lsoa_codes).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    only_kept = Points.of_images(kept, embeddings[kept.index])
    curves = [
        learning_curve(some, target, coordinates, n_repeats=1, n_bootstrap=50, seed=1)
        for some in (points, only_kept)
    ]
    pd.testing.assert_frame_equal(*curves)


def test_more_points_hold_the_fewer_and_another_lsoa_changes_no_choice():
    images, embeddings, _, _ = world(n_lsoas=40)
    points = Points.of_images(images, embeddings)
    line = points.places_in_line(seed=1)
    for _, places in pd.Series(line).groupby(points.lsoa_codes):
        assert sorted(places) == list(range(10))
    few = points.of_lsoas(points.lsoa_codes[:100])
    assert np.array_equal(few.places_in_line(seed=1), line[:100])
    other = points.places_in_line(seed=2)
    # two random orders of ten agree in a tenth of their places
    assert abs((other == line).mean() - 0.1) < 0.07
    # every panorama is as likely to be the first: 40 draws of ten
    assert np.bincount(line.reshape(40, 10).argmin(axis=1), minlength=10).max() < 12


def test_the_order_of_rows_and_of_local_authorities_plays_no_part():
    images, embeddings, target, coordinates = world(n_lsoas=60)
    whole = learning_curve(
        Points.of_images(images, embeddings), target, coordinates, n_repeats=2, n_bootstrap=50, seed=1
    )
    order = np.random.default_rng(4).permutation(len(images))
    halves = [
        order[images["lsoa_code"].to_numpy()[order] >= "Z0100030"],
        order[images["lsoa_code"].to_numpy()[order] < "Z0100030"],
    ]
    parts = Points.joined(Points.of_images(images.iloc[rows], embeddings[rows]) for rows in halves)
    again = learning_curve(parts, shuffled(target), shuffled(coordinates), n_repeats=2, n_bootstrap=50, seed=1)
    pd.testing.assert_frame_equal(whole, again)


def test_with_few_local_authorities_blocks_of_neighbours_are_held_out():
    curve = curve_of(world(n_lsoas=60, n_local_authorities=3), n_repeats=1)
    assert set(curve["split"]) == {"spatial_blocks"}


def test_images_that_say_nothing_give_a_flat_curve_at_nought():
    images, embeddings, target, coordinates = world(seed=5)
    mute = np.random.default_rng(6).normal(size=embeddings.shape).astype(np.float32)
    rows = together(curve_of((images, mute, target, coordinates), n_repeats=1))
    assert rows["r2"].abs().max() < 0.03


@pytest.mark.parametrize(
    ("n_points", "steps"),
    [([1, 1, 1], [1]), ([2, 4, 4, 6], [1, 2, 3, 6]), ([5, 5, 5, 60], [1, 2, 3, 5, 60]), ([8] * 4, [1, 2, 3, 5, 8])],
)
def test_steps_are_those_that_half_of_the_lsoas_can_take_and_all(n_points, steps):
    assert steps_of(np.array(n_points)) == steps


@pytest.mark.parametrize(
    ("r2", "enough"),
    [
        ([0.5, 0.595, 0.6, 0.6], 2),
        ([0.6, 0.6, 0.6, 0.6], 1),
        ([0.3, 0.4, 0.5, 0.6], None),
        ([0.3, 0.7, 0.5, 0.6], 2),
    ],
)
def test_enough_is_the_fewest_points_that_read_as_much_as_all(r2, enough):
    curve = pd.DataFrame({"n_points_per_lsoa": [1, 2, 3, 5], "repeat": "all", "r2": r2})
    assert enough_points(shuffled(curve)) == enough


def test_too_few_lsoas_are_refused():
    with pytest.raises(ScienceError, match="19 LSOAs have images and a target"):
        curve_of(world(n_lsoas=19, n_local_authorities=1))
