"""LSOA features whose relation to the target is planted, so that the right answer is known."""

import numpy as np
import pandas as pd

CATEGORIES = ("terraced", "shops", "park")
SHARES = tuple(f"{name}_share" for name in CATEGORIES)


def planted_world(n_lsoas=240, n_dimensions=16, *, r2=0.6, seed=0, n_local_authorities=4, planted_in="embeddings"):
    """Features, target (higher is more deprived) and coordinates.

    Only dimension 0 (or the first share) grows with deprivation, and explains exactly `r2` of it over
    these LSOAs; the rest has nothing to do with it.
    """
    rng = np.random.default_rng(seed)
    codes = [f"Z010{number:05d}" for number in range(n_lsoas)]
    lads = [f"Z0600000{1 + number * n_local_authorities // n_lsoas}" for number in range(n_lsoas)]
    vectors = rng.normal(size=(n_lsoas, n_dimensions))
    amounts = rng.uniform(1, 2, (n_lsoas, len(CATEGORIES)))
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    signal = standardise(vectors[:, 0] if planted_in == "embeddings" else shares[:, 0])
    noise = rng.normal(size=n_lsoas)
    noise = standardise(noise - noise.mean() - signal * (signal @ noise) / n_lsoas)
    target = np.sqrt(r2) * signal + np.sqrt(1 - r2) * noise
    features = pd.DataFrame({"lsoa_code": codes, "lad_code": lads, "n_images": 12, "n_images_kept": 12})
    features[list(SHARES)] = shares
    features["category_set_hash"], features["encoder"] = "hash", "clip"
    for pooled in ("mean", "median", "max"):
        features[f"{pooled}_embedding"] = embedding_cells(vectors)
        for name in CATEGORIES:
            features[f"{name}_{pooled}_embedding"] = embedding_cells(vectors)
    coordinates = pd.DataFrame(
        {
            "lsoa_code": codes,
            "lad_code": lads,
            "easting_m": 400_000 + rng.uniform(0, 20_000, n_lsoas),
            "northing_m": 300_000 + rng.uniform(0, 20_000, n_lsoas),
        }
    )
    return features, pd.Series(target, index=codes, name="imd_score"), coordinates


def standardise(values):
    """Mean 0, variance 1."""
    return (values - values.mean()) / values.std()


def embedding_cells(vectors):
    """A column of embeddings: each cell a float32 array."""
    return pd.Series(list(np.asarray(vectors, dtype=np.float32)), dtype=object)


def shuffled(table, seed=0):
    """The same rows in another order."""
    return table.sample(frac=1, random_state=seed)
