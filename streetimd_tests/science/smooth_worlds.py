"""Places and smooth surfaces over them, drawn from the whole covariance matrix."""

import numpy as np


def places_of(n, *, seed, side_m=25_000):
    """Eastings and northings of `n` LSOAs scattered over a square."""
    rng = np.random.default_rng(seed)
    return 350_000 + rng.uniform(0, side_m, n), 390_000 + rng.uniform(0, side_m, n)


def smooth_draws(easting_m, northing_m, field, *, n_draws, seed):
    """Draws of a field, shape (n_lsoas, n_draws), by Cholesky's factor of all LSOAs together."""
    places = field.flattened(np.column_stack([easting_m, northing_m]))
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    covariance = field.likeness(apart)
    np.fill_diagonal(covariance, 1.0)
    normal = np.random.default_rng(seed).standard_normal((len(places), n_draws))
    return np.linalg.cholesky(covariance) @ normal
