"""Texts are held beside random words, resampled blocks and smooth surfaces; a planted one is found again."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.concepts import beyond_random_words, concept_correlations
from streetimd_assets.science.correlation import spatial_fields
from streetimd_assets.science.scoring import Resamples, interval_of
from streetimd_assets.science.texts import PROMPT, RANDOM
from streetimd_tests.made_up_texts import N_DIMENSIONS, directions, unit

N_LSOAS = 150
QUICK = {"n_surrogates": 199, "n_bootstrap": 200, "n_blocks": 20, "seed": 1}


def world(rng, told, planted=None, strength=1.0):
    """LSOAs whose deprivation goes with their place along a planted concept."""
    codes = pd.Index([f"Z{number:04d}" for number in range(N_LSOAS)], name="lsoa_code")
    embeddings = rng.normal(size=(N_LSOAS, N_DIMENSIONS)) / 10
    signal = np.zeros(N_LSOAS)
    if planted is not None:
        signal = embeddings @ told.set_index("concept").loc[planted, "embedding"]
        signal = strength * (signal - signal.mean()) / signal.std()
    score = signal + rng.normal(size=N_LSOAS)
    measures = pd.DataFrame({"imd_score": score, "imd_rank": (-score).argsort().argsort() + 1.0}, index=codes)
    places = pd.DataFrame(
        {"easting_m": rng.uniform(0, 9e3, N_LSOAS), "northing_m": rng.uniform(0, 9e3, N_LSOAS)}, index=codes
    )
    return embeddings.astype(np.float32), measures, places


@pytest.mark.parametrize("planted", ["run down", "a tree"])
def test_a_planted_concept_comes_first_with_its_sign_and_its_interval(planted):
    told = directions()
    table = concept_correlations(*world(np.random.default_rng(3), told, planted), told, **QUICK)
    assert set(table.columns) == set(TABLES["concept_correlations"].column_names)
    for measure, sign in (("imd_score", 1), ("imd_rank", -1)):
        rows = table[(table["measure"] == measure) & (table["kind"] != RANDOM)].set_index("concept")
        assert rows["pearson_r"].abs().idxmax() == planted
        first = rows.loc[planted]
        # signal and noise have the same variance
        assert sign * first["pearson_r"] == pytest.approx(np.sqrt(0.5), abs=0.15)
        assert sign * first["spearman_r"] > 0.4
        assert first["pearson_r_low"] < first["pearson_r"] < first["pearson_r_high"]
        assert first["spatial_p_value"] == pytest.approx(1 / 200)
        assert first["spatial_q_value"] < 0.05
        assert first["random_word_p_value"] == pytest.approx(1 / 31)
    assert table.loc[table["kind"] == RANDOM, ["spatial_q_value", "random_word_p_value"]].isna().all(axis=None)
    assert beyond_random_words(table, "imd_score") > 0.2


def test_texts_that_are_no_other_than_random_words_have_uniform_p_values():
    """|r| of 200 texts and 200 random words are exchangeable: the mean of p is that of Mann and Whitney's U."""
    rng = np.random.default_rng(5)
    n = 200
    vectors = list(unit(rng.normal(size=(2 * n, N_DIMENSIONS))).astype(np.float32))
    told = pd.DataFrame({"concept": [f"text {k:03d}" for k in range(2 * n)], "embedding": vectors})
    told = told.assign(kind=np.where(np.arange(2 * n) % 2, RANDOM, PROMPT), toward="x", away=None)
    table = concept_correlations(*world(rng, told), told, **QUICK)
    p_values = table.loc[(table["measure"] == "imd_score") & (table["kind"] == PROMPT), "random_word_p_value"]
    spread = np.sqrt((2 * n + 1) / (12 * n * n))
    assert abs(p_values.mean() - 0.5) < 3 * spread
    assert 0.01 < (p_values <= 0.05).mean() < 0.10
    assert p_values.min() >= 1 / (n + 1)


def test_smooth_embeddings_that_have_nothing_to_do_with_deprivation_are_not_found():
    """Neighbours resemble each other in both, so a test that takes them for independent finds too much."""
    rng = np.random.default_rng(8)
    told = directions()
    _, measures, places = world(rng, told)
    where = places[["easting_m", "northing_m"]].to_numpy()
    distance = np.linalg.norm(where[:, None] - where[None], axis=2)
    root = np.linalg.cholesky(np.exp(-distance / 3_000) + 1e-6 * np.eye(N_LSOAS))
    measures = measures.assign(imd_score=root @ rng.normal(size=N_LSOAS))[["imd_score"]]
    embeddings = root @ rng.normal(size=(N_LSOAS, N_DIMENSIONS))
    table = concept_correlations(embeddings, measures, places, told, **QUICK)
    naive = np.abs(table["pearson_r"]) > 2 / np.sqrt(N_LSOAS)
    assert naive.mean() > 0.25
    assert (table["spatial_p_value"] <= 0.05).mean() < naive.mean() / 2
    assert not (table["spatial_q_value"] < 0.05).any()


def test_a_field_fitted_before_gives_what_fitting_it_here_gives():
    told = directions()
    embeddings, measures, places = world(np.random.default_rng(4), told)
    fields = spatial_fields(measures[["imd_score"]], places, seed=QUICK["seed"])
    given = concept_correlations(embeddings, measures, places, told, fields=fields, **QUICK)
    pd.testing.assert_frame_equal(given, concept_correlations(embeddings, measures, places, told, **QUICK))


def test_shuffled_rows_give_the_same_table():
    told = directions()
    embeddings, measures, places = world(np.random.default_rng(4), told, "a tree")
    order = np.random.default_rng(9).permutation(N_LSOAS)
    straight = concept_correlations(embeddings, measures, places, told, **QUICK)
    other = concept_correlations(
        embeddings[order], measures.iloc[order], places.sample(frac=1, random_state=1),
        told.sample(frac=1, random_state=2), **QUICK,
    )  # fmt: skip
    pd.testing.assert_frame_equal(other, straight, check_exact=True)


def test_an_lsoa_without_images_or_measure_is_left_out():
    told = directions()
    embeddings, measures, places = world(np.random.default_rng(4), told)
    embeddings[:3], measures.iloc[5, 0] = np.nan, np.nan
    table = concept_correlations(embeddings, measures, places, told, **QUICK)
    counts = table.groupby("measure")["n_lsoas"].unique()
    assert counts["imd_score"].tolist() == [N_LSOAS - 4]
    assert counts["imd_rank"].tolist() == [N_LSOAS - 3]
    assert table["pearson_r_low"].notna().all()


def test_what_cannot_be_answered_is_refused_in_a_sentence():
    told = directions()
    embeddings, measures, places = world(np.random.default_rng(4), told)
    with pytest.raises(ScienceError, match="LSOA Z0000 has no place; materialise lsoa_boundaries"):
        concept_correlations(embeddings, measures, places.iloc[1:], told, **QUICK)
    with pytest.raises(ScienceError, match="12 LSOAs have embeddings and a measure of deprivation"):
        concept_correlations(embeddings[:12], measures.iloc[:12], places, told, **QUICK)
    with pytest.raises(ScienceError, match="imd_score is 1 in all 150 LSOAs"):
        concept_correlations(embeddings, measures.assign(imd_score=1.0), places, told, **QUICK)


def resamples_of(n_blocks, size, n_draws, seed=0):
    labels = np.repeat([f"block {number}" for number in range(n_blocks)], size).astype(object)
    return Resamples.draw(labels, n_draws=n_draws, seed=seed)


def test_a_resampled_correlation_is_that_of_the_rows_drawn():
    rng = np.random.default_rng(6)
    resamples = resamples_of(8, 5, 4)
    vectors, values = 1e3 + rng.normal(size=(40, 3)), rng.normal(size=40)
    vectors[:, 2] = 7.0
    rows = np.arange(3, 40)
    for some in (np.arange(40), rows):
        found = resamples.correlation(vectors[some], values[some], None if len(some) == 40 else some)
        for draw, counts in enumerate(resamples.counts.astype(int)):
            drawn = np.repeat(some, counts[resamples.blocks[some]])
            expected = [np.corrcoef(vectors[drawn, column], values[drawn])[0, 1] for column in range(2)]
            assert np.allclose(found[draw, :2], expected, atol=1e-9)
        assert np.isnan(found[:, 2]).all()


def test_the_interval_of_a_correlation_covers_the_truth_though_blocks_are_alike():
    """30 blocks of 10 that share most of both variables: rows drawn one by one would cover far less."""
    rng = np.random.default_rng(7)
    n_worlds, n_blocks, size, truth = 400, 30, 10, 0.5
    blocks = {"blocks": resamples_of(n_blocks, size, 300), "rows": resamples_of(n_blocks * size, 1, 300)}
    shared = np.repeat(np.arange(n_blocks), size)
    covered = dict.fromkeys(blocks, 0)
    for _ in range(n_worlds):
        x, other = (
            np.sqrt(0.8) * rng.normal(size=n_blocks)[shared] + np.sqrt(0.2) * rng.normal(size=n_blocks * size)
            for _ in range(2)
        )
        y = truth * x + np.sqrt(1 - truth**2) * other
        for name, resamples in blocks.items():
            low, high = interval_of(resamples.correlation(x[:, None], y)[:, 0])
            covered[name] += low <= truth <= high
    # a percentile interval of so few blocks misses a little more often than one time in twenty
    assert 0.88 <= covered["blocks"] / n_worlds <= 0.98
    assert covered["rows"] / n_worlds < 0.7
