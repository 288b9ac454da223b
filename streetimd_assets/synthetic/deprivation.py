"""The synthetic world's deprivation: one latent surface, seven domains that show it more or less."""

import math
from collections.abc import Mapping
from functools import cache

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.schemas import DOMAINS
from streetimd_assets.synthetic.fields import Values, neighbourhood_surface
from streetimd_assets.synthetic.geography import build_lsoas, places_in_world

# official weights of the domains in the index, the same in 2019 and 2025
DOMAIN_WEIGHTS = {
    "income": 0.225,
    "employment": 0.225,
    "education": 0.135,
    "health": 0.135,
    "crime": 0.093,
    "barriers": 0.093,
    "living_environment": 0.093,
}

# correlation of each domain with the latent surface. with the index itself, of which a domain is a
# part, it comes out higher: .9 and more but for the last two, as in the official index of 2025
_LATENT_CORRELATION = {
    "income": 0.97,
    "employment": 0.96,
    "education": 0.95,
    "health": 0.97,
    "crime": 0.96,
    "barriers": 0.47,
    "living_environment": 0.19,
}


def build_deprivation(lsoas: gpd.GeoDataFrame, *, seed: int = 1) -> pd.DataFrame:
    """Build the deprivation index of the synthetic world, or of some of its LSOAs.

    Domains are combined as in the official index: each is ranked, the ranks are transformed to an
    exponential distribution so that deprivation in one domain is not cancelled by another, and the
    transformed ranks are added with the official weights [1]_.

    Parameters
    ----------
    lsoas
        LSOAs of the synthetic world, with ``lsoa_code`` and ``geometry``.
    seed
        The seed they were built with.

    Returns
    -------
    deprivation
        The columns of ``deprivation_indices`` for these LSOAs. Ranks and deciles are within the
        whole synthetic world; rank 1 is the most deprived.

    Raises
    ------
    BoundaryError
        If an LSOA is not one of the synthetic world of that seed.

    References
    ----------
    .. [1] Ministry of Housing, Communities and Local Government (2025), English Indices of
       Deprivation 2025: Technical Report, on combining the domains.
    """
    return _world_deprivation(seed).iloc[places_in_world(lsoas, seed=seed)].reset_index(drop=True)


def latent_deprivation(lsoas: gpd.GeoDataFrame, *, seed: int = 1) -> Values:
    """Evaluate the surface that all domains follow, mean 0 and variance 1, shape (n_lsoas,)."""
    inside = lsoas.geometry.representative_point()
    return neighbourhood_surface(inside.x, inside.y, list(lsoas["lsoa_code"]), key=("deprivation", seed))


def exponential_score(rank: npt.ArrayLike, n_lsoas: int) -> Values:
    """Transform ranks to the exponential distribution of the index, 0 to 100.

    Parameters
    ----------
    rank
        Rank 1 is the most deprived, shape (n,).
    n_lsoas
        LSOAs ranked.

    Returns
    -------
    score
        ``-23 ln(1 - R (1 - exp(-100 / 23)))`` with R the share of LSOAs no more deprived; the most
        deprived tenth spans the scores from 50 to 100.
    """
    scaled = (n_lsoas + 1 - np.asarray(rank, dtype=float)) / n_lsoas
    return np.asarray(-23 * np.log(1 - scaled * (1 - math.exp(-100 / 23))))


def combine_domains(lsoas: pd.DataFrame, domains: Mapping[str, Values]) -> pd.DataFrame:
    """Make a deprivation index of seven surfaces, as :func:`build_deprivation` says.

    Parameters
    ----------
    lsoas
        Columns ``lsoa_code`` and ``lad_code``: the whole world, for ranks are within it.
    domains
        A standard normal surface of each domain, higher is more deprived, shape (n_lsoas,).

    Returns
    -------
    deprivation
        The columns of ``deprivation_indices``.
    """
    table = lsoas[["lsoa_code", "lad_code"]].assign(deprivation_index="synthetic")
    ranks = {domain: _rank(values) for domain, values in domains.items()}
    total = sum(weight * exponential_score(ranks[domain], len(lsoas)) for domain, weight in DOMAIN_WEIGHTS.items())
    table = _with_measure(table, "imd", np.asarray(total))
    for domain, values in domains.items():
        table = _with_measure(table, domain, _in_its_unit(domain, values))
    return pd.DataFrame(table)


def domain_surfaces(latent: Values, own: Mapping[str, Values]) -> dict[str, Values]:
    """Mix the latent surface with a surface of each domain's own, all of shape (n_lsoas,)."""
    latent = _standardised(latent)
    surfaces = {}
    for domain in DOMAINS:
        # two smooth surfaces correlate by chance; taking that out leaves what the table above says
        rest = _standardised(own[domain])
        rest = _standardised(rest - latent * np.mean(rest * latent))
        shared = _LATENT_CORRELATION[domain]
        surfaces[domain] = shared * latent + math.sqrt(1 - shared**2) * rest
    return surfaces


@cache
def _world_deprivation(seed: int) -> pd.DataFrame:
    lsoas = build_lsoas(seed=seed)
    inside, codes = lsoas.geometry.representative_point(), list(lsoas["lsoa_code"])
    own = {domain: neighbourhood_surface(inside.x, inside.y, codes, key=(domain, seed)) for domain in DOMAINS}
    return combine_domains(lsoas, domain_surfaces(latent_deprivation(lsoas, seed=seed), own))


def _in_its_unit(domain: str, values: Values) -> Values:
    """Express a standard normal surface as the domain's score is: a rate, a skewed score or a z-score."""
    if domain in ("income", "employment"):
        middle, spread = {"income": (-2.0, 0.75), "employment": (-2.3, 0.65)}[domain]
        return np.asarray(1 / (1 + np.exp(-(middle + spread * values))))
    if domain in ("health", "crime"):
        return 0.85 * values
    return np.asarray(18 * np.exp(0.6 * values))


def _with_measure(table: pd.DataFrame, name: str, score: Values) -> pd.DataFrame:
    rank = _rank(score)
    decile = np.ceil(10 * rank / len(score)).astype(int)
    return table.assign(**{f"{name}_score": score, f"{name}_rank": rank, f"{name}_decile": decile})


def _rank(values: Values) -> npt.NDArray[np.int64]:
    """Rank from 1, the most deprived."""
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return rank


def _standardised(values: Values) -> Values:
    return np.asarray((values - values.mean()) / values.std())
