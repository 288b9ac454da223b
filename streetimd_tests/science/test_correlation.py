"""Correlation with deprivation: planted answers, mirrors, rotations and noise."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.correlation import (
    dimension_correlations,
    noise_correlations,
    principal_components,
)

N, D = 200, 24
RNG = np.random.default_rng(4)
DEPRIVATION = RNG.normal(size=N)
EMBEDDINGS = RNG.normal(size=(N, D))
EMBEDDINGS[:, 3] += DEPRIVATION  # dimension 3 grows with deprivation
MEASURES = pd.DataFrame(
    {"imd_rank": stats.rankdata(-DEPRIVATION), "imd_score": DEPRIVATION},
    index=[f"Z01{number:06d}" for number in range(N)],
)
ROTATION = np.linalg.qr(RNG.normal(size=(D, D)))[0]


@pytest.fixture(scope="module")
def table():
    return dimension_correlations(EMBEDDINGS, MEASURES)


def of(table, measure, column="pearson_r"):
    return table[table["measure"] == measure].set_index("dimension")[column]


def test_a_row_stands_for_each_dimension_and_measure_with_the_declared_columns(table):
    assert set(table.columns) == set(TABLES["imd_correlations"].column_names)
    assert len(table) == 2 * D
    assert not table.duplicated(["measure", "dimension"]).any()


def test_a_dimension_that_grows_with_deprivation_falls_with_rank_one_most_deprived(table):
    assert of(table, "imd_score")[3] > 0.6
    assert of(table, "imd_rank")[3] < -0.6
    assert of(table, "imd_rank").abs().idxmax() == 3


def test_correlations_agree_with_scipy_one_dimension_at_a_time(table):
    for dimension in (0, 3, 17):
        pearson = stats.pearsonr(EMBEDDINGS[:, dimension], MEASURES["imd_rank"])
        spearman = stats.spearmanr(EMBEDDINGS[:, dimension], MEASURES["imd_rank"])
        assert of(table, "imd_rank")[dimension] == pytest.approx(pearson.statistic)
        assert of(table, "imd_rank", "p_value")[dimension] == pytest.approx(pearson.pvalue)
        assert of(table, "imd_rank", "spearman_r")[dimension] == pytest.approx(spearman.statistic)


def test_reversed_ranks_mirror_every_correlation(table):
    mirrored = dimension_correlations(EMBEDDINGS, MEASURES.assign(imd_rank=N + 1 - MEASURES["imd_rank"]))
    np.testing.assert_allclose(of(mirrored, "imd_rank"), -of(table, "imd_rank"), atol=1e-12)
    np.testing.assert_allclose(of(mirrored, "imd_rank", "p_value"), of(table, "imd_rank", "p_value"))


def test_false_discovery_control_keeps_the_planted_dimension_and_little_else(table):
    found = of(table, "imd_rank", "q_value")
    assert found[found < 0.05].index.tolist() == [3]
    assert (found >= of(table, "imd_rank", "p_value")).all()


def test_shuffled_rows_give_the_same_table(table):
    order = np.random.default_rng(1).permutation(N)
    pd.testing.assert_frame_equal(dimension_correlations(EMBEDDINGS[order], MEASURES.iloc[order]), table)


def test_lsoas_without_images_or_without_a_measure_are_left_out_of_what_they_lack():
    embeddings, measures = EMBEDDINGS.copy(), MEASURES.copy()
    embeddings[:7] = np.nan
    measures.loc[measures.index[-2:], "imd_score"] = np.nan
    table = dimension_correlations(embeddings, measures)
    assert set(of(table, "imd_rank", "n_lsoas")) == {N - 7}
    assert set(of(table, "imd_score", "n_lsoas")) == {N - 9}
    expected = stats.pearsonr(EMBEDDINGS[7:-2, 3], DEPRIVATION[7:-2]).statistic
    assert of(table, "imd_score")[3] == pytest.approx(expected)


def test_a_dimension_that_never_varies_has_no_correlation():
    embeddings = EMBEDDINGS.copy()
    embeddings[:, 5] = 0.1
    table = dimension_correlations(embeddings, MEASURES)
    assert np.isnan(of(table, "imd_rank")[5])
    assert np.isnan(of(table, "imd_rank", "q_value")[5])
    assert of(table, "imd_rank").notna().sum() == D - 1


def test_too_few_lsoas_and_constant_measures_are_refused():
    with pytest.raises(ScienceError, match="5 LSOAs have embeddings"):
        dimension_correlations(EMBEDDINGS[:5], MEASURES.head(5))
    with pytest.raises(ScienceError, match="imd_score is 1 in all 200 LSOAs"):
        dimension_correlations(EMBEDDINGS, MEASURES.assign(imd_score=1.0))


def test_the_largest_of_512_noise_correlations_over_1695_lsoas_is_about_079():
    target = np.random.default_rng(0).normal(size=1695)
    noise = noise_correlations(target, n_dimensions=512, n_draws=120, seed=1)
    assert set(noise.columns) == set(TABLES["noise_correlations"].column_names)
    assert noise["max_absolute_r"].mean() == pytest.approx(0.079, abs=0.002)
    low, high = noise["max_absolute_r"].quantile([0.05, 0.95])
    assert low == pytest.approx(0.067, abs=0.002)
    assert high == pytest.approx(0.095, abs=0.003)
    # the median of |r| is .6745 / sqrt(n)
    assert noise["median_absolute_r"].mean() == pytest.approx(0.6745 / np.sqrt(1695), rel=0.03)


def test_noise_has_a_seed_and_knows_neither_scale_nor_order_of_the_target():
    target = MEASURES["imd_rank"]
    draw = lambda values, seed=3: noise_correlations(values, n_dimensions=64, n_draws=20, seed=seed)  # noqa: E731
    pd.testing.assert_frame_equal(draw(target), draw(target.sample(frac=1, random_state=1)))
    np.testing.assert_allclose(draw(target)["max_absolute_r"], draw(5 - 2 * target)["max_absolute_r"], atol=1e-5)
    assert not draw(target).equals(draw(target, seed=4))


def test_components_find_the_planted_direction_and_say_how_it_goes_with_rank():
    embeddings = EMBEDDINGS.copy()
    embeddings[:, 3] *= 5
    table, scores = principal_components(embeddings, MEASURES["imd_rank"], n_components=4)
    assert set(table.columns) == set(TABLES["embedding_components"].column_names)
    assert table["component"].tolist() == [1, 2, 3, 4]
    assert table["loadings"][0].dtype == np.float32
    assert table["loadings"][0][3] > 0.97
    assert np.linalg.norm(table["loadings"][1]) == pytest.approx(1, abs=1e-6)
    assert table["pearson_r"][0] == pytest.approx(stats.pearsonr(scores[:, 0], MEASURES["imd_rank"]).statistic)
    assert table["pearson_r"][0] < -0.6
    assert table["explained_variance_share"][0] == pytest.approx(scores[:, 0].var() / embeddings.var(0).sum())


def test_rotating_embeddings_changes_no_component_variance():
    table, scores = principal_components(EMBEDDINGS, MEASURES["imd_rank"], n_components=D)
    turned, turned_scores = principal_components(EMBEDDINGS @ ROTATION, MEASURES["imd_rank"], n_components=D)
    np.testing.assert_allclose(table["explained_variance_share"], turned["explained_variance_share"], atol=1e-10)
    np.testing.assert_allclose(np.abs(scores), np.abs(turned_scores), atol=1e-8)
    assert table["explained_variance_share"].sum() == pytest.approx(1)


def test_components_keep_the_order_of_rows_and_leave_gaps_where_there_is_no_embedding():
    embeddings = EMBEDDINGS.copy()
    embeddings[9] = np.nan
    order = np.random.default_rng(2).permutation(N)
    table, scores = principal_components(embeddings, MEASURES["imd_rank"], n_components=3)
    other, moved = principal_components(embeddings[order], MEASURES["imd_rank"].iloc[order], n_components=3)
    pd.testing.assert_frame_equal(table, other)
    np.testing.assert_allclose(scores[order], moved, atol=1e-12)
    assert np.isnan(scores[9]).all()
    assert set(table["n_lsoas"]) == {N - 1}
