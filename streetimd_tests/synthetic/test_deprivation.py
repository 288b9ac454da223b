import numpy as np
import pytest

from streetimd_assets.errors import BoundaryError
from streetimd_assets.schemas import DOMAINS, get_table
from streetimd_assets.synthetic.deprivation import (
    DOMAIN_WEIGHTS,
    build_deprivation,
    exponential_score,
    latent_deprivation,
)
from streetimd_assets.synthetic.fields import neighbourhood_surface, smooth_field
from streetimd_assets.synthetic.geography import build_lsoas


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_deprivation_is_as_autocorrelated_as_planned(seed, morans_i):
    lsoas = build_lsoas(seed=seed)
    assert 0.4 < morans_i(lsoas, latent_deprivation(lsoas, seed=seed)) < 0.6
    assert 0.4 < morans_i(lsoas, build_deprivation(lsoas, seed=seed)["imd_rank"]) < 0.6


def test_surfaces_have_morans_i_of_about_a_half_over_many_seeds(lsoas, morans_i):
    inside = lsoas.representative_point()
    codes = list(lsoas["lsoa_code"])
    found = [
        morans_i(lsoas, neighbourhood_surface(inside.x, inside.y, codes, key=("trial", seed))) for seed in range(20)
    ]
    assert 0.45 < np.mean(found) < 0.57


def test_a_smooth_field_has_the_covariance_it_promises():
    east = np.array([440_000.0, 440_500.0, 441_500.0])
    draws = np.array([smooth_field(east, np.full(3, 3e5), length_m=500, key=("trial", i)) for i in range(1500)])
    expected = np.exp(-0.5 * (np.subtract.outer(east, east) / 500) ** 2)
    assert np.allclose(draws.T @ draws / len(draws), expected, atol=0.12)


def test_domains_differ_in_how_well_they_follow_the_index(deprivation):
    correlation = {d: np.corrcoef(deprivation["imd_rank"], deprivation[f"{d}_rank"])[0, 1] for d in DOMAINS}
    strong = [d for d in DOMAINS if d not in ("barriers", "living_environment")]
    assert all(0.88 < correlation[domain] < 0.98 for domain in strong)
    assert correlation["barriers"] == pytest.approx(0.53, abs=0.08)
    assert correlation["living_environment"] == pytest.approx(0.28, abs=0.08)


def test_the_index_is_the_officially_weighted_sum_of_transformed_ranks(deprivation):
    assert sum(DOMAIN_WEIGHTS.values()) == pytest.approx(0.999)
    score = sum(w * exponential_score(deprivation[f"{d}_rank"], 300) for d, w in DOMAIN_WEIGHTS.items())
    assert np.allclose(score, deprivation["imd_score"])


def test_the_most_deprived_tenth_spans_the_upper_half_of_the_transformed_scores():
    scores = exponential_score([1, 3001, 30_000], 30_000)
    assert scores == pytest.approx([100, 50, 0], abs=0.5)


def test_rank_1_is_the_most_deprived_and_deciles_are_tenths(deprivation):
    for measure in ("imd", *DOMAINS):
        by_rank = deprivation.sort_values(f"{measure}_rank")
        assert by_rank[f"{measure}_rank"].tolist() == list(range(1, 301))
        assert by_rank[f"{measure}_score"].is_monotonic_decreasing
        assert by_rank[f"{measure}_decile"].tolist() == [d for d in range(1, 11) for _ in range(30)]


def test_the_table_is_the_one_declared(deprivation, lsoas):
    assert set(deprivation.columns) == set(get_table("deprivation_indices").column_names)
    assert deprivation["lsoa_code"].tolist() == lsoas["lsoa_code"].tolist()
    assert set(deprivation["deprivation_index"]) == {"synthetic"}


def test_a_local_authority_asked_alone_has_its_ranks_in_the_whole_world(deprivation, lsoas):
    part = lsoas[lsoas["lad_code"] == "Z06000003"]
    expected = deprivation[deprivation["lad_code"] == "Z06000003"].reset_index(drop=True)
    assert build_deprivation(part).equals(expected)


def test_another_seed_deprives_other_places(deprivation):
    other = build_deprivation(build_lsoas(seed=2), seed=2)
    assert abs(np.corrcoef(other["imd_rank"], deprivation["imd_rank"])[0, 1]) < 0.3


def test_lsoas_and_deprivation_must_be_of_one_seed(lsoas):
    with pytest.raises(BoundaryError, match="build them with the same seed"):
        build_deprivation(lsoas, seed=2)
