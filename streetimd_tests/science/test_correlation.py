"""Correlation with deprivation: planted answers, mirrors, rotations and noise."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.correlation import (
    dimension_correlations,
    field_of,
    noise_correlations,
    spatial_fields,
    spatial_noise_correlations,
)
from streetimd_assets.science.surrogates import SpatialField
from streetimd_tests.science.smooth_worlds import places_of, smooth_draws

N, D = 200, 24
RNG = np.random.default_rng(4)
DEPRIVATION = RNG.normal(size=N)
EMBEDDINGS = RNG.normal(size=(N, D))
EMBEDDINGS[:, 3] += DEPRIVATION  # dimension 3 grows with deprivation
MEASURES = pd.DataFrame(
    {"imd_rank": stats.rankdata(-DEPRIVATION), "imd_score": DEPRIVATION},
    index=[f"Z01{number:06d}" for number in range(N)],
)
PLACES = pd.DataFrame(dict(zip(("easting_m", "northing_m"), places_of(N, seed=1), strict=True)), MEASURES.index)
FIELD = SpatialField(6_000.0, 0.9)
# an innocent world: embeddings and deprivation alike among neighbours, with nothing to do with each other
SMOOTH = smooth_draws(PLACES["easting_m"], PLACES["northing_m"], FIELD, n_draws=D + 1, seed=2)
FIELDS = pd.DataFrame({"measure": ["imd_rank", "imd_score"], "range_m": 6_000.0, "smooth_share": 0.9}).assign(
    shape="exponential", stretch=1.0, bearing_deg=0.0, longest_range_m=6_000.0
)


def correlated(embeddings=EMBEDDINGS, measures=MEASURES, places=PLACES, **changes):
    how = {"n_surrogates": 199, "seed": 1, "fields": FIELDS} | changes
    return dimension_correlations(embeddings, measures, places, **how)


@pytest.fixture(scope="module")
def table():
    return correlated(n_surrogates=1_999)


def of(table, measure, column="pearson_r"):
    return table[table["measure"] == measure].set_index("dimension")[column]


def test_a_row_stands_for_each_dimension_and_measure_with_the_declared_columns(table):
    assert set(table.columns) == set(TABLES["imd_correlations"].column_names)
    assert len(table) == 2 * D
    assert not table.duplicated(["measure", "dimension"]).any()


def test_area_features_stand_beside_their_dimension_and_embeddings_have_no_names(table):
    names = [f"feature {place}" for place in range(D)]
    named = correlated(names=names, n_surrogates=19)
    for measure in MEASURES:
        assert list(of(named, measure, "feature")) == names
    assert table["feature"].isna().all()


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
    mirrored = correlated(measures=MEASURES.assign(imd_rank=N + 1 - MEASURES["imd_rank"]), n_surrogates=1_999)
    np.testing.assert_allclose(of(mirrored, "imd_rank"), -of(table, "imd_rank"), atol=1e-12)
    for kind in ("p_value", "spatial_p_value", "spectral_p_value"):
        np.testing.assert_allclose(of(mirrored, "imd_rank", kind), of(table, "imd_rank", kind))


def test_false_discovery_control_keeps_the_planted_dimension_and_little_else(table):
    for kind in ("", "spatial_", "spectral_"):
        found = of(table, "imd_rank", f"{kind}q_value")
        assert found[found < 0.05].index.tolist() == [3], kind
        assert (found >= of(table, "imd_rank", f"{kind}p_value")).all()


def test_what_is_alike_among_neighbours_by_chance_convinces_the_naive_test_alone():
    measures = MEASURES.assign(imd_rank=stats.rankdata(-SMOOTH[:, D]), imd_score=SMOOTH[:, D])
    found = correlated(SMOOTH[:, :D], measures, n_surrogates=999)
    assert (of(found, "imd_rank", "q_value") < 0.05).sum() >= D / 4
    for kind in ("spatial_q_value", "spectral_q_value"):
        assert (of(found, "imd_rank", kind) > 0.05).all(), kind
    assert (of(found, "imd_rank", "spatial_p_value") > of(found, "imd_rank", "p_value")).mean() > 0.8


def test_a_planted_dimension_stands_out_from_smooth_surfaces_too():
    embeddings = SMOOTH[:, :D].copy()
    embeddings[:, 7] = SMOOTH[:, D] + 0.5 * embeddings[:, 7]
    measures = MEASURES[["imd_score"]].assign(imd_score=SMOOTH[:, D])
    found = of(correlated(embeddings, measures, n_surrogates=999), "imd_score", "spatial_q_value")
    assert found[found < 0.05].index.tolist() == [7]


def test_shuffled_rows_give_the_same_table():
    order = np.random.default_rng(1).permutation(N)
    shuffled = correlated(EMBEDDINGS[order], MEASURES.iloc[order], PLACES.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(shuffled, correlated())


def test_lsoas_without_images_or_without_a_measure_are_left_out_of_what_they_lack():
    embeddings, measures = EMBEDDINGS.copy(), MEASURES.copy()
    embeddings[:7] = np.nan
    measures.loc[measures.index[-2:], "imd_score"] = np.nan
    table = correlated(embeddings, measures)
    assert set(of(table, "imd_rank", "n_lsoas")) == {N - 7}
    assert set(of(table, "imd_score", "n_lsoas")) == {N - 9}
    expected = stats.pearsonr(EMBEDDINGS[7:-2, 3], DEPRIVATION[7:-2]).statistic
    assert of(table, "imd_score")[3] == pytest.approx(expected)


def test_a_dimension_that_never_varies_has_no_correlation():
    embeddings = EMBEDDINGS.copy()
    embeddings[:, 5] = 0.1
    table = correlated(embeddings)
    assert np.isnan(of(table, "imd_rank")[5])
    for kind in ("q_value", "spatial_p_value", "spatial_q_value", "spectral_p_value", "spectral_q_value"):
        assert np.isnan(of(table, "imd_rank", kind)[5])
        assert of(table, "imd_rank", kind).notna().sum() == D - 1
    assert of(table, "imd_rank").notna().sum() == D - 1


def test_too_few_lsoas_and_constant_measures_are_refused():
    with pytest.raises(ScienceError, match="5 LSOAs have embeddings"):
        correlated(EMBEDDINGS[:5], MEASURES.head(5))
    with pytest.raises(ScienceError, match="imd_score is 1 in all 200 LSOAs"):
        correlated(measures=MEASURES.assign(imd_score=1.0))
    with pytest.raises(ScienceError, match="LSOA Z01000009 has no place"):
        correlated(places=PLACES.drop("Z01000009"))


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


def test_without_a_spectrum_its_p_values_are_not_known(monkeypatch):
    monkeypatch.setattr("streetimd_assets.science.surrogates.MOST_LSOAS_FOR_SPECTRUM", N - 1)
    table = correlated()
    assert table[["spectral_p_value", "spectral_q_value"]].isna().all(axis=None)
    assert table["spatial_p_value"].notna().all()


def test_a_measure_without_a_field_has_one_fitted():
    own = spatial_fields(MEASURES[["imd_score"]], PLACES, seed=1)
    one = MEASURES[["imd_score"]]
    pd.testing.assert_frame_equal(correlated(measures=one, fields=own), correlated(measures=one, fields=FIELDS[:0]))


def test_fields_say_how_alike_neighbours_are():
    measures = MEASURES.assign(imd_score=SMOOTH[:, D])
    measures.loc[measures.index[-3:], "imd_rank"] = np.nan
    fields = spatial_fields(measures, PLACES, seed=1)
    assert list(fields.columns) == list(TABLES["spatial_fields"].column_names)
    rough, smooth = fields.to_dict("records")
    assert (rough["measure"], smooth["measure"]) == ("imd_rank", "imd_score")
    assert (rough["n_lsoas"], smooth["n_lsoas"]) == (N - 3, N)
    # independent values have no likeness but by chance, of standard deviation about 1 / sqrt(4 n)
    assert abs(rough["morans_i"]) < 0.14
    assert smooth["morans_i"] > 0.4
    assert field_of(fields, "imd_score").range_m == smooth["range_m"]
    order = np.random.default_rng(1).permutation(N)
    pd.testing.assert_frame_equal(spatial_fields(measures.iloc[order], PLACES, seed=1), fields)


def test_smooth_embeddings_reach_farther_beside_smooth_surfaces_than_beside_independent_noise():
    target = pd.Series(SMOOTH[:, D], MEASURES.index)
    spatial = spatial_noise_correlations(SMOOTH[:, :D], target, PLACES, n_draws=100, seed=1, field=FIELD)
    independent = noise_correlations(target, n_dimensions=D, n_draws=100, seed=1)
    assert list(spatial.columns) == list(independent.columns)
    assert (set(spatial["kind"]), set(independent["kind"])) == ({"spatial"}, {"independent"})
    assert spatial["max_absolute_r"].median() > 1.5 * independent["max_absolute_r"].median()


def test_the_spatial_floor_is_that_of_draws_of_the_true_field():
    # ranks of the target, so that surfaces and draws have the same values
    target = pd.Series(stats.rankdata(SMOOTH[:, D]), MEASURES.index)
    vectors = SMOOTH[:, :D].copy()
    vectors[4] = np.nan
    found = spatial_noise_correlations(vectors, target, PLACES, n_draws=400, seed=1, field=FIELD)
    drawn = smooth_draws(PLACES["easting_m"], PLACES["northing_m"], FIELD, n_draws=400, seed=3)
    known = np.arange(N) != 4
    r = np.abs(np.corrcoef(vectors[known].T, stats.rankdata(drawn[known], axis=0).T)[:D, D:])
    assert found["max_absolute_r"].mean() == pytest.approx(r.max(axis=0).mean(), rel=0.05)
    assert found["median_absolute_r"].mean() == pytest.approx(np.median(r, axis=0).mean(), rel=0.08)
    assert set(found["n_lsoas"]) == {N - 1}


def test_noise_has_a_seed_and_knows_neither_scale_nor_order_of_the_target():
    target = MEASURES["imd_rank"]
    draw = lambda values, seed=3: noise_correlations(values, n_dimensions=64, n_draws=20, seed=seed)  # noqa: E731
    pd.testing.assert_frame_equal(draw(target), draw(target.sample(frac=1, random_state=1)))
    np.testing.assert_allclose(draw(target)["max_absolute_r"], draw(5 - 2 * target)["max_absolute_r"], atol=1e-5)
    assert not draw(target).equals(draw(target, seed=4))
