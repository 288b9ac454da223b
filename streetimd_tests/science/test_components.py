"""Principal components: planted directions, rotations, gaps, and the order of rows."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from streetimd_assets.schemas import TABLES
from streetimd_assets.science.components import principal_components

N, D = 200, 24
RNG = np.random.default_rng(4)
DEPRIVATION = RNG.normal(size=N)
EMBEDDINGS = RNG.normal(size=(N, D))
EMBEDDINGS[:, 3] += DEPRIVATION  # dimension 3 grows with deprivation
MEASURES = pd.DataFrame({"imd_rank": stats.rankdata(-DEPRIVATION)}, index=[f"Z01{n:06d}" for n in range(N)])
ROTATION = np.linalg.qr(RNG.normal(size=(D, D)))[0]


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
