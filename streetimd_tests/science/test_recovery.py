"""What was planted is found again, and each likely mistake shows in the finding it should."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.science import recovery

NAMES = np.array(["terrace", "flats", "shops", "park"], dtype=object)
HEADINGS = (0.0, 90.0, 180.0, 270.0)


def make_world(*, signal=True, n_lsoas=80, n_places=4, seed=1):
    """Tables of a study in which everything was recovered; with ``signal`` scenes follow deprivation."""
    rng = np.random.default_rng(seed)
    codes = np.array([f"Z0100{number:04d}" for number in range(n_lsoas)], dtype=object)
    deprivation = rng.random(n_lsoas)
    lsoa, heading = (part.ravel() for part in np.meshgrid(np.repeat(np.arange(n_lsoas), n_places), HEADINGS))
    place = np.tile(np.arange(n_lsoas * n_places), len(HEADINGS))
    seen = deprivation if signal else rng.random(n_lsoas)
    shares = np.column_stack([1 + seen, 0.5 + 2 * seen, np.ones(n_lsoas), 2.5 - 2 * seen])
    shares /= shares.sum(axis=1, keepdims=True)
    category = NAMES[(rng.random((len(lsoa), 1)) > shares[lsoa].cumsum(axis=1)).sum(axis=1)]
    panorama_id = np.array([f"p{number:05d}" for number in range(n_lsoas * n_places)], dtype=object)
    image_id = [f"{panorama_id[p]}@{h:03.0f}" for p, h in zip(place, heading, strict=True)]
    images = pd.DataFrame(
        {
            "image_id": image_id,
            "panorama_id": panorama_id[place],
            "lsoa_code": codes[lsoa],
            "heading_deg": heading,
            "status": "ok",
            "sha256": [f"file {image_id}" for image_id in image_id],
        }
    )
    disrepair = np.clip(seen[lsoa] + 0.2 * rng.standard_normal(len(lsoa)), 0, 1)
    scenes = images[["image_id", "panorama_id", "lsoa_code", "heading_deg"]].assign(
        category=category, disrepair=disrepair, fault=None
    )
    points = pd.DataFrame({"point_id": panorama_id})
    return {
        "sample_points": points,
        "panoramas": points.assign(status="ok"),
        "street_images": images,
        "category_probabilities": scenes[["image_id", "category"]],
        "lsoa_features": pd.DataFrame({"lsoa_code": codes, "n_images_kept": 4 * n_places}),
        "planted_lsoas": pd.DataFrame({"lsoa_code": codes, "deprivation": deprivation}),
        "planted_scenes": scenes,
    }


def find(world, **changed):
    return recovery.recovered_beside_planted(**(world | changed)).set_index("finding")


def scores(**r2_by_feature_set):
    rows = [
        {
            "model_id": f"imd_rank/{name}/ridge/{split}",
            "experiment": "tuned",
            "target": "imd_rank",
            "feature_set": name,
            "split": split,
            "fold": fold,
            "r2": r2 + extra,
            "spearman_r": 0.8,
        }
        for name, r2 in r2_by_feature_set.items()
        for split, fold, extra in [
            ("random_folds", "all", 0),
            ("random_folds", "0", 0.1),
            ("leave_one_la_out", "all", 0.2),
        ]
    ]
    return pd.DataFrame(rows)


def test_a_world_recovered_without_fault_has_no_difference_anywhere():
    found = find(make_world())
    exact = found.drop(index="sample points with an answer")
    assert (exact["planted"] == exact["recovered"]).all()
    assert found.loc["images given the category painted", "recovered"] == 1
    assert found.loc["panoramas with 4 different headings", "recovered"] == 1
    assert found.loc[[f"share of {name}" for name in NAMES], "planted"].sum() == pytest.approx(1)
    assert list(found.reset_index().columns) == ["finding", "planted", "recovered", "unit"]


def test_findings_do_not_depend_on_the_order_of_rows():
    world = make_world()
    shuffled = {name: table.sample(frac=1, random_state=2) for name, table in world.items()}
    pd.testing.assert_frame_equal(find(world), find(shuffled))


def test_images_filed_under_another_lsoa_show():
    world = make_world()
    images = world["street_images"].copy()
    images.loc[: len(images) // 4 - 1, "lsoa_code"] = "Z01000000"
    found = find(world, street_images=images)
    assert found.loc["images in the LSOA that was painted", "recovered"] == pytest.approx(0.75, abs=0.01)


def test_rows_joined_one_off_show_in_accuracy_though_shares_stay():
    world = make_world()
    shifted = world["category_probabilities"].assign(
        category=np.roll(world["category_probabilities"]["category"].to_numpy(), 1)
    )
    found = find(world, category_probabilities=shifted)
    assert found.loc["images given the category painted", "recovered"] < 0.4
    assert found.loc["largest difference in the share of a category", "recovered"] == pytest.approx(0)


def test_rotated_categories_show_in_accuracy():
    world = make_world()
    rotated = world["category_probabilities"].replace(
        {"category": dict(zip(NAMES, np.roll(NAMES, 1), strict=True))}
    )
    found = find(world, category_probabilities=rotated)
    assert found.loc["images given the category painted", "recovered"] == 0
    assert found.loc["largest difference in the share of a category", "recovered"] > 5


def test_one_picture_for_all_headings_shows_as_copies():
    world = make_world()
    images = world["street_images"]
    found = find(world, street_images=images.assign(sha256=images["panorama_id"]))
    assert found.loc["images that are copies of another", "recovered"] == 1


def test_a_category_mistaken_for_another_moves_both_shares_by_as_much():
    world = make_world()
    mistaken = world["category_probabilities"].replace({"category": {"flats": "shops"}})
    found = find(world, category_probabilities=mistaken)
    flats = found.loc["share of flats", "planted"]
    assert found.loc["share of flats", "recovered"] == 0
    assert found.loc["share of shops", "recovered"] == pytest.approx(found.loc["share of shops", "planted"] + flats)
    assert found.loc["largest difference in the share of a category", "recovered"] == pytest.approx(100 * flats)


def test_images_that_were_refused_do_not_count():
    world = make_world()
    images = world["street_images"].copy()
    is_blank = np.arange(len(images)) % 10 == 0
    images.loc[is_blank, "status"] = "invalid_image"
    # what a blank was painted with, or where it is filed, must not matter
    images.loc[is_blank, "lsoa_code"] = "Z01000000"
    kept = world["category_probabilities"][~is_blank]
    found = find(world, street_images=images, category_probabilities=kept)
    assert found.loc["images in the LSOA that was painted", "recovered"] == 1
    assert found.loc["images given the category painted", "recovered"] == 1
    assert found.loc["panoramas with 4 different headings", "recovered"] == 1


def test_the_best_honest_model_stands_beside_a_perfect_reader():
    found = find(make_world(), model_scores=scores(embeddings=0.6, both=0.65, coordinates=0.9))
    (name,) = [name for name in found.index if name.startswith("R² of")]
    assert "imd_rank/both/ridge/random_folds" in name
    assert found.loc[name, "recovered"] == 0.65
    assert found.loc[name, "planted"] > 0.8


def test_a_perfect_reader_learns_nothing_where_scenes_ignore_deprivation():
    r2 = []
    for seed in range(5):
        found = find(make_world(signal=False, seed=seed), model_scores=scores(embeddings=0.0))
        r2.append(found["planted"].filter(like="R² of").iloc[0])
    assert max(r2) < 0.1


def test_a_perfect_readers_r2_is_the_same_for_ranks_as_for_deprivation():
    world = make_world()
    scenes = world["planted_scenes"]
    deprivation = world["planted_lsoas"].set_index("lsoa_code")["deprivation"]
    straight = recovery.read_perfectly(scenes, deprivation)
    mirrored = recovery.read_perfectly(scenes, 300 - 299 * deprivation)
    np.testing.assert_allclose(300 - 299 * straight["predicted"], mirrored["predicted"], rtol=1e-6)


def test_too_few_lsoas_leave_the_perfect_reader_unknown():
    found = find(make_world(n_lsoas=12), model_scores=scores(embeddings=0.3))
    assert np.isnan(found["planted"].filter(like="R² of").iloc[0])


def test_the_largest_correlation_stands_beside_that_of_noise():
    correlations = pd.DataFrame({"measure": ["imd_rank", "imd_rank", "imd_score"], "pearson_r": [-0.6, 0.2, 0.9]})
    independent = pd.DataFrame({"kind": "independent", "max_absolute_r": np.linspace(0, 0.2, 101)})
    spatial = pd.DataFrame({"kind": "spatial", "max_absolute_r": np.linspace(0, 1, 101)})
    noise = pd.concat([independent, spatial])
    found = find(make_world(), imd_correlations=correlations, noise_correlations=noise)
    for words, band in (("that of noise", 0.19), ("that of surfaces as smooth as deprivation", 0.95)):
        row = found.loc[f"largest |r| of a dimension, beside {words}"]
        assert (row["planted"], row["recovered"]) == (pytest.approx(band), 0.6)
