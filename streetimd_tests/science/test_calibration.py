"""Temperature scaling finds a planted temperature, and is judged on images it has not seen."""

import numpy as np
import pytest

from streetimd_assets.science import calibration
from streetimd_assets.science.label_sample import weigh_labels
from streetimd_assets.science.labelling import choose_candidates
from streetimd_tests.simulated_raters import NAMES, files_of, labels_by, made_up_images


def labelled(temperature, *, n_images=4000, n_per_group=40, n_at_random=200, seed=0):
    probabilities, truth = made_up_images(n_images, temperature=temperature, seed=seed)
    drawn = choose_candidates(
        probabilities, files_of(probabilities), n_per_group=n_per_group, n_at_random=n_at_random, seed=seed
    )
    sample = weigh_labels(drawn.assign(local_authority="camden"), labels_by("Anna", truth[drawn["image_id"]]))
    columns = [f"{name}_probability" for name in NAMES]
    matrix = probabilities.set_index("image_id").loc[sample.images["image_id"], columns].to_numpy()
    order = {name: place for place, name in enumerate(NAMES)}
    return sample, matrix, sample.images["label"].map(order).to_numpy()


def test_scaling_by_a_temperature_undoes_the_sharpening_by_it():
    shares = np.random.default_rng(1).dirichlet([1, 1, 1], 50)
    sharp = shares**2.5 / (shares**2.5).sum(axis=1, keepdims=True)
    assert np.allclose(calibration.scale_probabilities(sharp, 2.5), shares)
    assert (sharp.argmax(axis=1) == shares.argmax(axis=1)).all()


def test_a_share_of_nothing_stays_next_to_nothing():
    scaled = calibration.scale_probabilities(np.array([[1.0, 0.0]]), 3.0)
    assert np.isfinite(scaled).all()
    assert scaled[0, 0] == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.8])
def test_a_planted_temperature_is_recovered_within_its_interval(temperature):
    sample, matrix, places = labelled(temperature)
    found = calibration.temperature_interval(sample, matrix, places)
    assert found.low < temperature < found.high
    assert found.value == pytest.approx(temperature, rel=0.25)


def test_the_interval_of_the_temperature_holds_it_in_95_of_100_draws():
    held = []
    for seed in range(40):
        sample, matrix, places = labelled(1.6, n_images=700, n_at_random=150, seed=seed)
        found = calibration.temperature_interval(sample, matrix, places)
        held.append(found.low < 1.6 < found.high)
    assert np.mean(held) >= 0.85


def test_labels_that_never_differ_give_the_end_of_the_range_without_interval():
    sample, matrix, _ = labelled(1.0)
    found = calibration.temperature_interval(sample, matrix, matrix.argmax(axis=1))
    assert found.value < 0.1
    assert found.low is None


def test_scaling_brings_a_sharpened_model_nearer_to_the_truth_on_images_it_has_not_seen():
    sample, matrix, places = labelled(2.5)
    rows, predicted = np.arange(len(places)), matrix.argmax(axis=1)
    scaled = calibration.cross_fitted(sample, matrix, places, seed=1)
    errors = [
        calibration.calibration_error(
            calibration.reliability_bins(sample, shares[rows, predicted], predicted == places)
        )
        for shares in (matrix, scaled)
    ]
    assert errors[0] > 0.06
    assert errors[1] < errors[0] / 2


def test_each_half_is_scaled_by_the_other_halfs_labels_alone():
    sample, matrix, places = labelled(1.0)
    scaled = calibration.cross_fitted(sample, matrix, places, seed=1)
    changed = places.copy()
    changed[0] = (places[0] + 1) % len(NAMES)
    assert np.array_equal(calibration.cross_fitted(sample, matrix, changed, seed=1)[0], scaled[0])


def test_bins_hold_every_image_once_with_its_weight():
    sample, matrix, places = labelled(1.0)
    confidence = matrix.max(axis=1)
    bins = calibration.reliability_bins(sample, confidence, matrix.argmax(axis=1) == places)
    assert bins["n_images"].sum() == len(places)
    assert bins["weight_share"].sum() == pytest.approx(1)
    assert (
        (bins["mean_probability"] > (bins["bin"] - 1) / 10) & (bins["mean_probability"] <= bins["bin"] / 10)
    ).all()
    assert (bins["agreement_low"] <= bins["agreement_share"]).all()
    assert (bins["agreement_share"] <= bins["agreement_high"]).all()
