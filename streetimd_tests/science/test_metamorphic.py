"""What must stay as it was when the question is put another way: checks that need no truth.

Those of a single stage stand with it: shuffled rows, images twice and rotations in test_features.py,
test_correlation.py, test_comparison.py and test_importance.py. Here stages follow one another.
"""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.science.classification import classify_images
from streetimd_assets.science.components import principal_components
from streetimd_assets.science.correlation import dimension_correlations, noise_correlations
from streetimd_assets.science.estimators import ESTIMATORS, RandomForest
from streetimd_assets.science.features import stack_embeddings, summarise_lsoas
from streetimd_assets.science.folds import random_folds
from streetimd_assets.science.holding_out import cross_validate
from streetimd_assets.science.matrices import feature_matrix, with_target
from streetimd_assets.synthetic.worlds import number_world
from streetimd_tests.planted_features import embedding_cells, shuffled

N, D = 150, 24
LEARNERS = {**ESTIMATORS, "random_forest": RandomForest(20)}


@pytest.fixture(scope="module")
def world():
    return number_world("signal", n_lsoas=N, n_dimensions=D, image_counts="uneven", seed=3)


def ranks_of(world):
    return world.deprivation.set_index("lsoa_code")["imd_rank"].astype(float)


def held_out(features, target, shares, estimator="ridge", feature_set="embeddings"):
    """Held-out predictions by LSOA, joined and split as in a comparison."""
    known, observed = with_target(features, target)
    matrix = feature_matrix(known, feature_set, shares=shares)
    truth = observed.loc[list(matrix.lsoa_codes)].to_numpy()
    folds = random_folds(len(truth), n_folds=3, seed=1)
    predicted = cross_validate(LEARNERS[estimator], matrix, truth, folds, seed=1).pooled()
    return pd.Series(predicted, index=matrix.lsoa_codes)


def correlations_of(vectors, measures, coordinates):
    return dimension_correlations(vectors, measures, coordinates.set_index("lsoa_code"), n_surrogates=99, seed=4)


def tables_of(features, target, coordinates, shares):
    """Every table of numbers that follows from features, a rank and places."""
    measures = pd.DataFrame({"imd_rank": target.reindex(features["lsoa_code"])})
    vectors = stack_embeddings(features["mean_embedding"])
    components, scores = principal_components(vectors, measures["imd_rank"], n_components=5)
    return {
        "correlations": correlations_of(vectors, measures, coordinates),
        "components": components,
        "scores": pd.DataFrame(scores, index=features["lsoa_code"]).sort_index(),
        "noise": noise_correlations(target, n_dimensions=D, n_draws=5, seed=2),
        **{name: held_out(features, target, shares, name, "both").to_frame() for name in LEARNERS},
    }


# the same seed, and rows in another order


def test_the_same_seed_gives_identical_tables_also_from_shuffled_rows(world):
    given = world.features, ranks_of(world), world.coordinates
    first = tables_of(*given, world.shares)
    for again in (given, [shuffled(table, number) for number, table in enumerate(given)]):
        for name, table in tables_of(*again, world.shares).items():
            pd.testing.assert_frame_equal(table, first[name], check_exact=name != "scores", obj=name)


# images twice


def embedded_images(n_images=240, n_lsoas=24):
    rng = np.random.default_rng(5)
    images = pd.DataFrame(
        {
            "image_id": [f"p{number:04d}@{90 * (number % 4)}" for number in range(n_images)],
            "lsoa_code": [f"E0100{number % n_lsoas:04d}" for number in range(n_images)],
            "heading_deg": [90.0 * (number % 4) for number in range(n_images)],
            "encoder": "clip",
        }
    )
    vectors = rng.normal(size=(n_images, D)) + rng.normal(size=D)
    return images, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def features_of(images, embeddings):
    """Classify and summarise, as the graph does."""
    names = ["terrace", "park", "interior"]
    words = np.linalg.qr(np.random.default_rng(6).normal(size=(D, 3)))[0].T.astype(np.float32)
    categories = pd.DataFrame(
        {"position": range(3), "category": names, "is_reject": [False, False, True], "embedding": list(words)}
    ).assign(logit_scale=30.0, category_set_hash="abc", encoder="clip")
    classified = classify_images(images, embeddings, categories)
    by_id = pd.Series(range(len(images)), index=images["image_id"])
    nothing = pd.DataFrame({"lsoa_code": [], "status": []})
    return summarise_lsoas(
        sorted(set(images["lsoa_code"])),
        "E09000007",
        nothing,
        nothing,
        classified,
        embeddings[by_id.loc[classified["image_id"]].to_numpy()],
        categories=names,
        rejects=["interior"],
        min_images_per_category=1,
        category_set_hash="abc",
        encoder="clip",
    )


def test_every_image_twice_gives_the_same_shares_means_and_predictions():
    images, embeddings = embedded_images()
    once = features_of(images, embeddings)
    again = images.assign(image_id="again " + images["image_id"])
    twice = features_of(pd.concat([images, again], ignore_index=True), np.concatenate([embeddings, embeddings]))
    shares = ["terrace_share", "park_share"]
    assert (twice["n_images"] == 2 * once["n_images"]).all()
    pd.testing.assert_frame_equal(twice[[*shares, "rejected_share"]], once[[*shares, "rejected_share"]])
    for name in ("mean_embedding", "park_mean_embedding"):
        np.testing.assert_allclose(stack_embeddings(twice[name]), stack_embeddings(once[name]), atol=1e-6)
    target = pd.Series(np.random.default_rng(7).normal(size=len(once)), index=once["lsoa_code"])
    np.testing.assert_allclose(*(held_out(table, target, shares) for table in (once, twice)), rtol=1e-4)


# embeddings turned


def test_turned_embeddings_give_ridge_the_same_predictions_and_components_the_same_variances(world):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    # directions of unequal spread, so that a scale of each dimension's own would show
    vectors = stack_embeddings(world.features["mean_embedding"]) * np.linspace(0.3, 3, D)
    target = ranks_of(world)
    straight, turned = (
        world.features.assign(mean_embedding=embedding_cells(rows)) for rows in (vectors, vectors @ turn)
    )
    one, other = (held_out(features, target, world.shares) for features in (straight, turned))
    assert one.std() > 10
    np.testing.assert_allclose(one, other, atol=0.01)
    variances = [
        principal_components(rows, target, n_components=D)[0]["explained_variance_share"]
        for rows in (vectors, vectors @ turn)
    ]
    np.testing.assert_allclose(*variances, atol=1e-9)


# ranks reversed


@pytest.mark.parametrize("column", ["pearson_r", "spearman_r"])
def test_reversed_ranks_mirror_the_correlations_of_dimensions_and_components(world, column):
    target = ranks_of(world)
    vectors = stack_embeddings(world.features["mean_embedding"])
    measures = pd.DataFrame({"imd_rank": target, "reversed": N + 1 - target})
    table = correlations_of(vectors, measures, world.coordinates)
    table = table.pivot(index="dimension", columns="measure", values=column)
    np.testing.assert_allclose(table["imd_rank"], -table["reversed"], atol=1e-12)
    assert table["imd_rank"].abs().max() > 0.3
    one, other = (
        principal_components(vectors, measures[name], n_components=5)[0][column]
        for name in ("imd_rank", "reversed")
    )
    np.testing.assert_allclose(one, -other, atol=1e-12)


@pytest.mark.parametrize("estimator", ["ridge", "svr"])
def test_reversed_ranks_mirror_the_predictions(world, estimator):
    target = ranks_of(world)
    one = held_out(world.features, target, world.shares, estimator)
    other = held_out(world.features, N + 1 - target, world.shares, estimator)
    assert one.std() > 10
    np.testing.assert_allclose(N + 1 - one, other, atol=0.05)
