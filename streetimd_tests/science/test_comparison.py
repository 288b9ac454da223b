"""Model comparison: planted answers recovered, null worlds empty, nothing leaks from what is held out."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import HARDEST_FIRST, TABLES
from streetimd_assets.science.baselines import BASELINES
from streetimd_assets.science.comparison import best_model, tuned_models
from streetimd_assets.science.estimators import ESTIMATORS, RandomForest, Ridge
from streetimd_assets.science.folds import leave_one_out_by_group, random_folds
from streetimd_assets.science.holding_out import cross_validate
from streetimd_assets.science.matrices import FeatureMatrix
from streetimd_assets.science.scoring import r_squared
from streetimd_assets.study.effort import EFFORTS
from streetimd_tests.planted_features import SHARES, embedding_cells, planted_world, shuffled

TRUTH = 0.6
QUICK, DEFAULT, FULL = EFFORTS["quick"], EFFORTS["default"], EFFORTS["full"]


def compare(world, **arguments):
    features, target, coordinates = world
    given = {"target_name": "imd_score", "shares": SHARES, "n_trees": 30, "effort": QUICK, "seed": 1, **arguments}
    return tuned_models(features, target, coordinates, **given)


def pooled(scores):
    return scores[scores["fold"] == "all"].set_index("model_id")


def noise_matrix(n, n_dimensions, seed):
    rng = np.random.default_rng(seed)
    names = tuple(f"mean_embedding_{number:03d}" for number in range(n_dimensions))
    codes = np.array([f"Z01{row:06d}" for row in range(n)], dtype=object)
    return FeatureMatrix(rng.normal(size=(n, n_dimensions)).astype(np.float32), names, codes), rng.normal(size=n)


def held_out_r2(learner, matrix, target, folds):
    return r_squared(target, cross_validate(learner, matrix, target, folds, seed=1).pooled())


@pytest.fixture(scope="module")
def planted():
    return compare(planted_world(r2=TRUTH), effort=DEFAULT)


@pytest.fixture(scope="module")
def null():
    return compare(planted_world(r2=0.0, seed=3))


# what is recovered


@pytest.mark.parametrize("split", HARDEST_FIRST)
@pytest.mark.parametrize("feature_set", ["embeddings", "both"])
def test_ridge_recovers_the_planted_r2(planted, feature_set, split):
    row = pooled(planted.scores).loc[f"imd_score/{feature_set}-mean/ridge/{split}"]
    assert row["r2"] == pytest.approx(TRUTH, abs=0.1)
    assert row["r2_low"] < TRUTH < row["r2_high"]
    assert row["spearman_r"] > 0.7


@pytest.mark.parametrize("estimator", [name for name in ESTIMATORS if name != "ridge"])
def test_every_estimator_finds_the_planted_signal(planted, estimator):
    assert pooled(planted.scores).loc[f"imd_score/embeddings-mean/{estimator}/random_folds", "r2"] > 0.25


def test_shares_that_say_nothing_score_nothing(planted):
    assert pooled(planted.scores).loc["imd_score/percentages/ridge/random_folds", "r2"] < 0.03


def test_with_rank_as_target_predictions_fall_as_deprivation_rises():
    features, score, coordinates = planted_world(120, 12, r2=0.9)
    rank = pd.Series(stats.rankdata(-score), index=score.index)
    world = features, rank, coordinates
    held_out = compare(world, estimators=["ridge"], target_name="imd_rank").predictions
    ridge = held_out[held_out["model_id"] == "imd_rank/embeddings-mean/ridge/random_folds"]
    grows_with_deprivation = np.stack(features["mean_embedding"])[:, 0]
    assert np.corrcoef(ridge["predicted"], grows_with_deprivation)[0, 1] < -0.9
    assert stats.spearmanr(ridge["predicted"], rank.loc[ridge["lsoa_code"]]).statistic > 0.85


def test_support_vectors_do_not_mind_the_scale_of_the_target():
    features, target, coordinates = planted_world(100, 8, n_local_authorities=3)
    one, other = (
        compare((features, values, coordinates), estimators=["svr"]).scores["r2"]
        for values in (target, 5000 * target + 16_000)
    )
    # the machine stops at errors of a thousandth
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_coordinates_read_a_map_from_neighbours_and_not_from_afar():
    features, _, coordinates = planted_world(240, 4, r2=0.0)
    # local authorities are six strips from west to east, each with a level of its own
    strip = (6 * (coordinates["easting_m"].rank().to_numpy() - 1) // 240).astype(int)
    coordinates = coordinates.assign(lad_code=[f"Z0600000{number}" for number in strip])
    level = pd.Series(np.array([0, 3, 1, 4, 2, 5.0])[strip], index=coordinates["lsoa_code"])
    scores = pooled(compare((features, level, coordinates), estimators=[]).scores)["r2"]
    assert scores["imd_score/baseline/coordinates/random_folds"] > 0.7
    assert scores["imd_score/baseline/coordinates/leave_one_la_out"] < 0


# null worlds


@pytest.mark.parametrize("split", HARDEST_FIRST)
def test_in_a_null_world_no_model_is_surely_better_than_nothing(null, split):
    rows = pooled(null.scores)
    rows = rows[rows["split"] == split]
    assert set(rows["estimator"]) == set(ESTIMATORS) | set(BASELINES)
    # the density of roads is not known here
    rows = rows[rows["note"].isna()]
    assert (rows["r2"] <= 0.03).all()
    assert (rows["r2_low"] <= 0).all()


def test_choosing_dimensions_outside_the_folds_finds_skill_in_noise_and_the_folds_do_not():
    matrix, target = noise_matrix(200, 300, seed=5)
    folds = random_folds(200, n_folds=5, seed=1)
    r = np.abs([np.corrcoef(column, target)[0, 1] for column in matrix.values.T])
    chosen = np.argsort(r)[-20:]
    leaky = FeatureMatrix(matrix.values[:, chosen], tuple(matrix.names[i] for i in chosen), matrix.lsoa_codes)
    assert held_out_r2(ESTIMATORS["ridge"], leaky, target, folds) > 0.2
    assert held_out_r2(ESTIMATORS["ridge"], matrix, target, folds) <= 0.03


def test_splitting_points_instead_of_lsoas_finds_skill_in_permuted_labels_and_lsoas_do_not():
    places, target = noise_matrix(60, 16, seed=6)
    lsoa = np.repeat(np.arange(60), 5)
    near = np.random.default_rng(0).normal(0, 0.3, (300, 16))
    points = FeatureMatrix((places.values[lsoa] + near).astype(np.float32), places.names, places.lsoa_codes[lsoa])
    labels = np.random.default_rng(1).permutation(target)[lsoa]
    forest = RandomForest(30)
    assert held_out_r2(forest, points, labels, random_folds(300, n_folds=5, seed=1)) > 0.3
    apart = leave_one_out_by_group(points.lsoa_codes, max_folds=5)
    assert held_out_r2(forest, points, labels, apart) <= 0.03


@pytest.mark.parametrize("are_groups", [False, True])
@pytest.mark.parametrize("name", [*ESTIMATORS, *BASELINES])
def test_what_is_held_out_changes_neither_the_tuning_nor_the_other_predictions(name, are_groups):
    learner = {**ESTIMATORS, **BASELINES, "random_forest": RandomForest(20)}[name]
    matrix, target = noise_matrix(60, 10, seed=2)
    groups = [f"la{row % 5}" for row in range(60)]
    fold = (leave_one_out_by_group(groups) if are_groups else random_folds(60, n_folds=3, seed=1))[:1]
    first = cross_validate(learner, matrix, target, fold, seed=1)
    disturbed = matrix.values.copy()
    disturbed[fold[0].test[0]] += 1000
    other_target = target.copy()
    other_target[fold[0].test] *= -50
    other = cross_validate(
        learner, FeatureMatrix(disturbed, matrix.names, matrix.lsoa_codes), other_target, fold, seed=1
    )
    assert first.parameters == other.parameters
    np.testing.assert_array_equal(first.predicted[0][1:], other.predicted[0][1:])


class Listening(Ridge):
    """Ridge that remembers the groups it was told of."""

    def __init__(self):
        self.told = []

    def tune(self, features, target, *, groups=None, seed):
        self.told.append(groups)
        return super().tune(features, target, groups=groups, seed=seed)


def test_a_model_that_leaves_places_out_is_tuned_by_leaving_out_others_of_them():
    matrix, target = noise_matrix(60, 10, seed=2)
    groups = np.array([f"la{row % 5}" for row in range(60)], dtype=object)
    learner = Listening()
    cross_validate(learner, matrix, target, leave_one_out_by_group(groups), seed=1)
    assert [set(told) for told in learner.told] == [set(groups) - {f"la{place}"} for place in range(5)]
    learner = Listening()
    cross_validate(learner, matrix, target, random_folds(60, n_folds=3, seed=1), seed=1)
    assert learner.told == [None] * 3


# tables


def test_tables_have_the_declared_columns_and_keys(planted):
    for name, table in (("model_scores", planted.scores), ("lsoa_predictions", planted.predictions)):
        assert set(table.columns) == set(TABLES[name].column_names)
        assert not table.duplicated(list(TABLES[name].key)).any()


def test_the_row_all_is_the_score_of_the_pooled_held_out_predictions(planted):
    for model_id, rows in planted.predictions.groupby("model_id"):
        row = pooled(planted.scores).loc[model_id]
        assert row["r2"] == pytest.approx(r_squared(rows["observed"].to_numpy(), rows["predicted"].to_numpy()))
        assert row["mean_absolute_error"] == pytest.approx(rows["residual"].abs().mean())
        assert row["n_test"] == len(rows) == 240


def test_every_lsoa_is_predicted_once_per_model_with_its_own_target(planted):
    _, target, coordinates = planted_world(r2=TRUTH)
    for _, rows in planted.predictions.groupby("model_id"):
        assert sorted(rows["lsoa_code"]) == sorted(target.index)
        np.testing.assert_array_equal(rows["observed"], target.loc[rows["lsoa_code"]])
        lads = coordinates.set_index("lsoa_code").loc[rows["lsoa_code"], "lad_code"]
        assert rows["lad_code"].tolist() == lads.tolist()


def test_a_local_authority_left_out_is_predicted_in_the_fold_of_its_name(planted):
    rows = planted.predictions[planted.predictions["model_id"].str.endswith("leave_one_la_out")]
    assert (rows["fold"] == rows["lad_code"]).all()


def test_parameters_are_those_tuned_in_each_fold(planted):
    folds = planted.scores[planted.scores["fold"] != "all"].set_index("estimator")
    assert "alpha" in json.loads(folds.loc["ridge", "parameters"].iloc[0])
    assert json.loads(folds.loc["random_forest", "parameters"].iloc[0])["n_estimators"] == 30


def test_the_training_mean_has_no_rank_correlation(planted):
    rows = planted.scores[planted.scores["estimator"] == "mean"]
    assert rows["spearman_r"].isna().all()
    assert (rows["r2"] <= 0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_shuffled_rows_and_the_same_seed_give_the_same_tables(estimator):
    features, target, coordinates = planted_world(60, 8, n_local_authorities=3)
    other_order = (shuffled(features, 1), shuffled(target, 2), shuffled(coordinates, 3))
    one = compare((features, target, coordinates), estimators=[estimator], n_folds=3, effort=FULL)
    other = compare(other_order, estimators=[estimator], n_folds=3, effort=FULL)
    pd.testing.assert_frame_equal(one.scores, other.scores)
    pd.testing.assert_frame_equal(one.differences, other.differences)
    pd.testing.assert_frame_equal(one.predictions, other.predictions)


def test_rotating_embeddings_leaves_the_score_of_ridge_as_it_was(planted):
    features, target, coordinates = planted_world(r2=TRUTH)
    vectors = np.stack(features["mean_embedding"]).astype(float) * np.linspace(0.2, 3, 16)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    one, other = (
        pooled(
            compare(
                (features.assign(mean_embedding=embedding_cells(rows)), target, coordinates), estimators=["ridge"]
            ).scores
        )["r2"]
        for rows in (vectors, vectors @ turn)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_with_fewer_than_four_local_authorities_none_is_left_out_and_a_row_says_why():
    world = planted_world(40, 4, n_local_authorities=3)
    scores = compare(world, estimators=["ridge"]).scores
    refused = scores[scores["split"] == "leave_one_la_out"]
    assert refused["r2"].isna().all()
    told = refused[refused["estimator"] != "road_density"]["note"]
    assert told.str.startswith("only 3 local authorities are covered and 4 are needed").all()
    assert set(refused["estimator"]) == {"ridge", *BASELINES}
    assert best_model(scores).under("spatial_blocks") in set(scores["model_id"])


def test_the_density_of_roads_is_a_baseline_where_it_is_known():
    features, target, coordinates = planted_world(60, 4)
    unknown = pooled(compare((features, target, coordinates), estimators=[]).scores)
    assert unknown.loc["imd_score/baseline/road_density/random_folds", "note"].startswith("the density of roads")
    # a density that is the target itself is read by its neighbours
    dense = coordinates.assign(road_density=target.loc[coordinates["lsoa_code"]].to_numpy())
    known = pooled(compare((features, target, dense), estimators=[]).scores)
    assert known.loc["imd_score/baseline/road_density/random_folds", "r2"] > 0.7
    assert known.loc["imd_score/baseline/n_images/random_folds", "r2"] <= 0.03


def test_other_targets_and_features_reuse_what_was_tuned_on_the_same_lsoas():
    features, target, coordinates = planted_world(60, 6, n_local_authorities=3)
    others = pd.DataFrame({"income_score": target * 2 + 1})
    world = features, target, coordinates
    told = {"estimators": ["svr"], "n_folds": 3, "other_targets": others}
    rows = compare(world, effort=DEFAULT, **told).scores
    rows = rows[rows["split"].eq("random_folds") & rows["estimator"].eq("svr") & rows["fold"].ne("all")]
    by_model = rows.groupby(["target", "feature_set"])
    assert by_model["tuning"].first().to_dict() == {
        ("imd_score", "embeddings"): "nested",
        ("imd_score", "percentages"): "reused",
        ("imd_score", "both"): "reused",
        ("income_score", "embeddings"): "reused",
    }
    assert by_model["parameters"].agg(list).map(tuple).nunique() == 1
    # a target that says the same scores the same
    scores = by_model["r2"].agg(list)
    np.testing.assert_allclose(scores["income_score", "embeddings"], scores["imd_score", "embeddings"], atol=0.02)
    quick = compare(world, effort=QUICK, **told).scores
    assert set(quick[quick["estimator"] == "svr"]["tuning"]) == {"usual"}
    full = compare(world, effort=FULL, **told).scores
    assert set(full[full["estimator"] == "svr"]["tuning"]) == {"nested"}


@pytest.mark.parametrize(("effort", "of_others"), [(QUICK, "reused"), (DEFAULT, "nested"), (FULL, "nested")])
def test_ridge_is_tuned_for_every_set_of_features_and_but_for_quick_for_every_target(effort, of_others):
    features, target, coordinates = planted_world(60, 6, n_local_authorities=3)
    others = pd.DataFrame({"income_score": target * 2 + 1})
    world = features, target, coordinates
    rows = compare(world, effort=effort, estimators=["ridge"], n_folds=3, other_targets=others).scores
    rows = rows[rows["estimator"].eq("ridge") & rows["fold"].ne("all")]
    assert set(rows[rows["target"] == "imd_score"]["tuning"]) == {"nested"}
    assert set(rows[rows["target"] == "income_score"]["tuning"]) == {of_others}


def test_differences_are_of_the_same_lsoas_and_their_intervals_are_paired(planted):
    rows = planted.differences
    assert not rows.duplicated(list(TABLES["model_differences"].key)).any()
    r2 = pooled(planted.scores)["r2"]
    expected = r2.loc[rows["model_id"]].to_numpy() - r2.loc[rows["reference_id"]].to_numpy()
    np.testing.assert_allclose(rows["r2_difference"], expected)
    assert (rows["r2_difference_low"] <= rows["r2_difference_high"]).all()
    # ridge on embeddings and on embeddings with shares err alike: their difference is surer than either
    pair = rows[
        rows["model_id"].eq("imd_score/both-mean/ridge/random_folds")
        & rows["reference_id"].eq("imd_score/embeddings-mean/ridge/random_folds")
    ].iloc[0]
    own = pooled(planted.scores).loc[pair["model_id"]]
    assert pair["r2_difference_high"] - pair["r2_difference_low"] < 0.5 * (own["r2_high"] - own["r2_low"])


def test_predictions_of_lsoas_with_few_images_are_marked_as_thin():
    features, target, coordinates = planted_world(60, 4)
    features["n_images_kept"] = np.where(np.arange(60) < 20, 3, 12)
    rows = compare((features, target, coordinates), estimators=["ridge"]).predictions
    assert set(rows[rows["is_thin"]]["lsoa_code"]) == set(features["lsoa_code"].head(20))


def test_intervals_hold_about_nine_lsoas_in_ten_and_the_score_says_how_many(planted):
    ridge = pooled(planted.scores).loc["imd_score/embeddings-mean/ridge/random_folds"]
    rows = planted.predictions[planted.predictions["model_id"] == ridge.name]
    inside = rows["observed"].between(rows["predicted_low"], rows["predicted_high"]).mean()
    assert ridge["interval_coverage_share"] == pytest.approx(inside)
    assert 0.84 <= inside <= 0.96


def test_refusals_name_what_is_wrong():
    features, target, coordinates = planted_world(40, 4)
    with pytest.raises(ScienceError, match="12 LSOAs have features and a target; at least 20"):
        compare((features.head(12), target, coordinates))
    with pytest.raises(ScienceError, match="has features and no coordinates"):
        compare((features, target, coordinates.head(30)))
    with pytest.raises(ScienceError, match="'oracle' is not an estimator; use ridge"):
        compare((features, target, coordinates), estimators=["oracle"])


def test_the_best_model_is_chosen_by_local_authorities_left_out(planted):
    best = best_model(planted.scores)
    rows = planted.scores[(planted.scores["fold"] == "all") & (planted.scores["feature_set"] != "baseline")]
    apart = rows[rows["split"] == "leave_one_la_out"]
    assert best.under("leave_one_la_out") == apart.loc[apart["r2"].idxmax(), "model_id"]
    with pytest.raises(ScienceError, match="materialise model_scores first"):
        best_model(planted.scores.head(0))
