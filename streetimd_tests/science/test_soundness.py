"""Each figure is what it should be for sound rows, and far from it for the one mistake it is for."""

import math
from dataclasses import asdict

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from streetimd_assets.science import classification, soundness
from streetimd_assets.science.surrogates import SpatialField
from streetimd_tests.science.smooth_worlds import places_of, smooth_draws

NAMES = ("shops", "park", "road")
SCALE = 40.0


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def world():
    """Twenty panoramas with four headings, three categories, and their classification."""
    random = np.random.default_rng(7)
    words = unit(random.normal(size=(3, 512)))
    ids = [f"p{panorama}@{heading}" for panorama in range(20) for heading in (0, 90, 180, 270)]
    images = pd.DataFrame(
        {
            "image_id": ids,
            "lsoa_code": [f"E{int(name[1:].split('@')[0]) % 5}" for name in ids],
            "heading_deg": [float(name.split("@")[1]) for name in ids],
            "sha256": [f"hash of {name}" for name in ids],
        }
    )
    embeddings = unit(random.normal(size=(80, 512)) * 0.05 + words[random.integers(3, size=80)])
    categories = pd.DataFrame(
        {
            "position": range(3),
            "category": NAMES,
            "is_reject": False,
            "embedding": list(words),
            "logit_scale": SCALE,
            "category_set_hash": "one",
            "encoder": "made up",
        }
    )
    classified = classification.classify_images(images, embeddings, categories)
    return images, embeddings, categories, classified


def test_ranks_run_against_scores_and_the_other_way_is_seen():
    table = pd.DataFrame({"imd_score": [70.0, 50.0, 20.0, 5.0], "imd_rank": [1, 40, 90, 300]})
    assert soundness.rank_against_score(table) == pytest.approx(-1)
    assert soundness.rank_against_score(table.assign(imd_rank=[300, 90, 40, 1])) == pytest.approx(1)
    assert np.isnan(soundness.rank_against_score(table.iloc[:2]))


def test_the_overlap_of_two_squares_is_their_common_part_of_both():
    apart = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2, 1), shapely.box(2, 0, 4, 1)])
    assert soundness.overlap_share(apart) == pytest.approx(0)
    astride = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 2, 1), shapely.box(1, 0, 3, 1)])
    assert soundness.overlap_share(astride) == pytest.approx(0.25)


def test_the_same_picture_in_every_heading_is_seen(world):
    images, embeddings, _, _ = world
    assert soundness.same_view_share(images, embeddings) == 0
    repeated = embeddings[np.repeat(np.arange(0, 80, 4), 4)]
    repeated[40:] = embeddings[40:]
    assert soundness.same_view_share(images, repeated) == 0.5
    order = np.random.default_rng(1).permutation(80)
    assert soundness.same_view_share(images.iloc[order], repeated[order]) == 0.5
    assert soundness.same_view_share(images.iloc[::4], embeddings[::4]) == 0
    assert soundness.same_view_share(images.iloc[:0], embeddings[:0]) == 0


def test_rows_joined_off_by_one_are_seen(world):
    images, _, _, _ = world
    assert soundness.astray_share(images.sample(frac=1, random_state=1), images, ["lsoa_code", "sha256"]) == 0
    off = images.assign(sha256=np.roll(images["sha256"], 1))
    assert soundness.astray_share(off, images, ["lsoa_code", "sha256"]) == 1
    unknown = images.assign(lsoa_code=[None, *images["lsoa_code"].iloc[1:]])
    assert soundness.astray_share(unknown, unknown, ["lsoa_code"]) == 0
    assert soundness.astray_share(unknown, images, ["lsoa_code"]) == 1 / 80


def test_categories_in_another_order_and_images_in_another_order_are_seen(world):
    images, embeddings, categories, classified = world
    given = (images, embeddings, categories)
    assert soundness.largest_similarity_error(classified, *given) < 1e-5
    order = np.random.default_rng(1).permutation(80)
    shuffled = (images.iloc[order], embeddings[order], categories.iloc[::-1])
    assert soundness.largest_similarity_error(classified, *shuffled) < 1e-5
    columns = [f"{name}_similarity" for name in NAMES]
    rotated = classified.assign(
        **dict(zip(columns, [classified[name] for name in np.roll(columns, 1)], strict=True))
    )
    assert soundness.largest_similarity_error(rotated, *given) > 0.3
    assert soundness.largest_similarity_error(classified, images, np.roll(embeddings, 1, axis=0), categories) > 0.3


def test_the_scale_of_the_softmax_is_found_again(world):
    images, embeddings, categories, classified = world
    assert soundness.implied_logit_scale(classified, NAMES) == pytest.approx(SCALE, rel=1e-4)
    without = classification.classify_images(images, embeddings, categories.assign(logit_scale=1.0))
    assert soundness.implied_logit_scale(without, NAMES) == pytest.approx(1, rel=1e-4)
    assert np.isnan(soundness.implied_logit_scale(classified.iloc[:0], NAMES))


def test_the_two_categories_that_say_the_same_are_named():
    vectors = unit(np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0.1]]))
    table = pd.DataFrame({"category": NAMES, "embedding": list(vectors)})
    first, second, alike = soundness.closest_categories(table)
    assert (first, second) == ("park", "road")
    assert alike == pytest.approx(1 / np.sqrt(1.01))


def test_an_image_counted_elsewhere_or_not_at_all_is_seen(world):
    *_, classified = world
    counts = classified.groupby(["lsoa_code", "category"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=NAMES, fill_value=0)
    features = counts.add_prefix("n_").assign(n_images=counts.sum(axis=1)).reset_index()
    assert soundness.miscounted_lsoas(features, classified, NAMES) == 0
    assert soundness.miscounted_lsoas(features.assign(n_images=features["n_images"] + 1), classified, NAMES) == 5
    assert soundness.miscounted_lsoas(features, classified.iloc[1:], NAMES) == 1
    assert soundness.miscounted_lsoas(features.iloc[1:], classified, NAMES) == 1


def test_a_flipped_sign_of_ranks_is_seen():
    r = np.random.default_rng(1).normal(size=50) * 0.2
    rows = [{"dimension": d, "measure": m, "spearman_r": s * r[d]} for d in range(50) for m, s in SIGNS.items()]
    table = pd.DataFrame(rows)
    assert soundness.mirror_of_ranks(table) == pytest.approx(-1)
    flipped = table.assign(
        spearman_r=table["spearman_r"].where(table["measure"] != "imd_rank", -table["spearman_r"])
    )
    assert soundness.mirror_of_ranks(flipped) == pytest.approx(1)


SIGNS = {"imd_rank": -1, "imd_score": 1}


@pytest.mark.parametrize("n_lsoas", [40, 300, 1695])
def test_noise_is_as_large_as_independent_numbers_are(n_lsoas):
    random = np.random.default_rng(2)
    medians = []
    for _ in range(20):
        numbers, target = random.normal(size=(n_lsoas, 512)), random.normal(size=n_lsoas)
        r = np.corrcoef(np.column_stack([target, numbers]).T)[0, 1:]
        medians.append(np.median(np.abs(r)))
    noise = pd.DataFrame({"kind": "independent", "median_absolute_r": medians, "n_lsoas": n_lsoas})
    assert soundness.noise_beside_expected(noise) == pytest.approx(1, abs=0.05)
    assert soundness.noise_beside_expected(noise.assign(median_absolute_r=noise["median_absolute_r"] * 3)) > 2
    # spatial draws are larger, as they should be, and are left out
    spatial = noise.assign(kind="spatial", median_absolute_r=0.9)
    assert soundness.noise_beside_expected(pd.concat([noise, spatial])) == soundness.noise_beside_expected(noise)


def test_surfaces_of_a_field_without_range_have_lost_the_autocorrelation():
    codes = pd.Index([f"Z01{number:06d}" for number in range(250)], name="lsoa_code")
    places = pd.DataFrame(dict(zip(("easting_m", "northing_m"), places_of(250, seed=1), strict=True)), codes)
    true = SpatialField(5_000.0, 0.9)
    values = smooth_draws(places["easting_m"], places["northing_m"], true, n_draws=1, seed=1)[:, 0]
    target = pd.Series(values, codes, name="imd_rank")
    fields = pd.DataFrame([{"measure": "imd_rank", **asdict(true)}])
    measured, kept = soundness.autocorrelation_of_surrogates(target, places, fields, seed=1, n_draws=8)
    assert measured > 0.4
    assert kept == pytest.approx(measured, abs=0.15)
    _, lost = soundness.autocorrelation_of_surrogates(target, places, fields.assign(range_m=1.0), seed=1, n_draws=8)
    assert abs(lost) < 0.1


def test_the_gain_is_over_the_best_model_without_images_where_places_were_left_out():
    rows = [
        ("baseline", "mean", "random_folds", -0.01),
        ("baseline", "coordinates", "random_folds", 0.50),
        ("embeddings", "ridge", "random_folds", 0.60),
        ("baseline", "mean", "leave_one_la_out", -0.02),
        ("baseline", "coordinates", "leave_one_la_out", -0.30),
        ("embeddings", "ridge", "leave_one_la_out", 0.40),
    ]
    scores = pd.DataFrame(rows, columns=["feature_set", "estimator", "split", "r2"])
    scores = scores.assign(fold="all", experiment="tuned", target="imd_rank")
    # another target, read better, is another question
    other = scores.tail(1).assign(target="income_score", r2=0.99)
    scores = pd.concat([scores, other], ignore_index=True)
    assert soundness.gain_over_baselines(scores) == (pytest.approx(0.42), "leave_one_la_out")
    at_random = scores[scores["split"] == "random_folds"]
    assert soundness.gain_over_baselines(at_random) == (pytest.approx(0.10), "random_folds")


@pytest.mark.parametrize("n_dimensions", [1, 2])
def test_ranks_mirror_scores_for_few_dimensions_as_for_many(n_dimensions):
    """Two correlations that are nearly the same say nothing by their order, and all by their sign."""
    r = [0.3, 0.30001][:n_dimensions]
    near = [0.3, 0.29999][:n_dimensions]
    rows = [{"dimension": d, "measure": "imd_score", "spearman_r": r[d]} for d in range(n_dimensions)]
    rows += [{"dimension": d, "measure": "imd_rank", "spearman_r": -near[d]} for d in range(n_dimensions)]
    table = pd.DataFrame(rows)
    assert soundness.mirror_of_ranks(table) == pytest.approx(-1, abs=1e-6)
    assert soundness.mirror_of_ranks(table.assign(spearman_r=table["spearman_r"].abs())) == pytest.approx(
        1, abs=1e-6
    )
    assert np.isnan(soundness.mirror_of_ranks(table.assign(spearman_r=0.0)))


@pytest.mark.parametrize("n_dimensions", [1, 2, 3, 512])
def test_noise_of_any_number_of_dimensions_is_within_its_tolerance(n_dimensions):
    random = np.random.default_rng(3)
    for _ in range(20):
        draws = np.abs(random.normal(size=(20, n_dimensions))) / np.sqrt(299)
        noise = pd.DataFrame(
            {"median_absolute_r": np.median(draws, axis=1), "n_lsoas": 300, "n_dimensions": n_dimensions}
        ).assign(kind="independent")
        tolerance = soundness.noise_tolerance(noise)
        assert abs(np.log(soundness.noise_beside_expected(noise))) < tolerance
        larger = noise.assign(median_absolute_r=noise["median_absolute_r"] * 9)
        assert np.log(soundness.noise_beside_expected(larger)) > tolerance
    assert tolerance == pytest.approx(0.27, abs=0.01) or n_dimensions < 512


def test_the_share_inside_intervals_is_that_of_ridge_where_lsoas_are_exchangeable():
    rows = [
        ("both", "ridge", "random_folds", 0.90),
        ("embeddings", "ridge", "random_folds", 0.88),
        ("embeddings", "ridge", "leave_one_la_out", 0.50),
        ("embeddings", "svr", "random_folds", 0.10),
    ]
    scores = pd.DataFrame(rows, columns=["feature_set", "estimator", "split", "interval_coverage_share"])
    scores = scores.assign(fold="all", experiment="tuned", target="imd_rank", r2=0.5)
    assert soundness.interval_coverage(scores) == pytest.approx(0.89)
    assert np.isnan(soundness.interval_coverage(scores.tail(2)))


def test_clusters_of_the_other_side_are_counted_as_astray():
    rows = pd.DataFrame(
        {
            "residual": [3.0, -3.0, 2.0, -2.0, 0.1, -0.1],
            "local_i": [1.0, 1.0, -1.0, -1.0, 0.2, -0.2],
            "cluster": ["high_high", "low_low", "high_low", "low_high", "none", "none"],
        }
    )
    assert soundness.clusters_astray(rows) == 0
    swapped = rows.assign(cluster=["low_low", "high_high", "low_high", "high_low", "none", "none"])
    assert soundness.clusters_astray(swapped) == 4
    assert soundness.clusters_astray(rows.assign(local_i=-rows["local_i"])) == 4


def test_the_ends_of_a_curve_are_its_first_and_last_step_repeats_together():
    curve = pd.DataFrame(
        {"n_points_per_lsoa": [5, 1, 1, 3], "repeat": ["all", "0", "all", "all"], "r2": [0.6, 0.9, 0.2, 0.5]}
    )
    assert soundness.ends_of_curve(curve) == (0.2, 0.6)
    assert all(math.isnan(end) for end in soundness.ends_of_curve(curve.iloc[:0]))


def test_likeness_is_that_of_the_model_named():
    rows = pd.DataFrame({"model_id": ["a", "b"], "morans_i": [0.1, 0.3], "observed_morans_i": [0.5, 0.6]})
    assert soundness.alike_among_neighbours(rows, "b") == (0.3, 0.6)
    assert all(math.isnan(end) for end in soundness.alike_among_neighbours(rows, "c"))
