from functools import partial

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.science import sampling
from streetimd_assets.synthetic.deprivation import build_deprivation
from streetimd_assets.synthetic.geography import build_lsoas
from streetimd_assets.synthetic.roads import build_road_edges


def _morans_i(lsoas, values):
    """Moran's I of values over LSOAs that share a border or corner."""
    from libpysal.weights import Queen

    weights = Queen.from_dataframe(lsoas, use_index=False, silence_warnings=True).sparse
    deviation = np.asarray(values, dtype=float) - np.mean(values)
    return len(deviation) / weights.sum() * (deviation @ (weights @ deviation)) / (deviation @ deviation)


@pytest.fixture(scope="session")
def morans_i():
    return _morans_i


@pytest.fixture(scope="session")
def lsoas():
    return build_lsoas()


@pytest.fixture(scope="session")
def deprivation(lsoas):
    return build_deprivation(lsoas)


@pytest.fixture(scope="session")
def told(deprivation):
    """Deprivation as a share, 0 the least to 1 the most deprived, by LSOA."""
    ranks = deprivation.set_index("lsoa_code")["imd_rank"]
    return (len(ranks) - ranks) / (len(ranks) - 1)


@pytest.fixture(scope="session")
def edges(lsoas):
    return build_road_edges(lsoas)


@pytest.fixture(scope="session")
def sample(lsoas, edges):
    """Sample points of the whole world at some spacing, with some cap."""
    segments = sampling.undirected_segments(edges, lsoas)
    return partial(sampling.sample_points, segments, lsoas, mode="regular", seed=1)


@pytest.fixture(scope="session")
def points(sample):
    """The points of the demo study."""
    return sample(spacing_m=60, min_points_per_lsoa=3, max_points_per_lsoa=5)


@pytest.fixture(scope="session")
def many_points(sample) -> pd.DataFrame:
    return sample(spacing_m=20)
