"""A study of area features in the synthetic world: a table that somebody gives, and what is known of it."""

from pathlib import Path

import numpy as np
import pandas as pd

from streetimd_assets.study import Study, load_study
from streetimd_assets.synthetic.deprivation import build_deprivation
from streetimd_assets.synthetic.geography import build_lsoas
from streetimd_tests.planted_features import standardise

# as people name columns: with blanks, commas and signs that a database or a model might trip over
PLANTED, DULL = "Homes in poor repair, %", "green_share"
NAMES = (PLANTED, DULL, "Distance to town (m)", "pubs", "mean_embedding_000")
TEXT = """\
name = "areas"
local_authorities = ["Corvendale", "Dunmere", "Elmsthorpe", "Farrowby"]
[geography]
source = "synthetic"
[deprivation]
index = "synthetic"
target = "{target}"
[features]
features_from = "{table}"
[modelling]
effort = "quick"
n_trees = 20
n_folds = 3
n_repeats = 1
n_permutations = 2
n_noise_draws = 60
"""


def synthetic_scores() -> pd.Series:
    """Deprivation score of every LSOA of the synthetic world, by code."""
    return build_deprivation(build_lsoas()).set_index("lsoa_code")["imd_score"]


def made_up_table(*, r2: float, seed: int = 1) -> pd.DataFrame:
    """One row per LSOA: one feature explains `r2` of deprivation, the others, and all if 0, are noise."""
    rng, scores = np.random.default_rng(seed), synthetic_scores()
    signal = standardise(scores.to_numpy())
    noise = rng.normal(size=(len(scores), len(NAMES)))
    # exactly uncorrelated with deprivation, so that exactly r2 of it is explained
    rest = noise[:, 0] - noise[:, 0].mean()
    rest = standardise(rest - signal * (signal @ rest) / len(signal))
    noise[:, 0] = np.sqrt(r2) * signal + np.sqrt(1 - r2) * rest if r2 else noise[:, 0]
    # units of all sizes: nothing must hang on them
    table = pd.DataFrame(noise * [10, 25, 4_000, 3, 1e-3] + [30, 50, 9_000, 8, 0], columns=list(NAMES))
    return table.assign(lsoa_code=scores.index, lsoa_name="somewhere").sample(frac=1, random_state=seed)


def write_study(folder: Path, table: pd.DataFrame, *, file: str = "areas.csv", target: str = "imd_score") -> Study:
    """Write a table and a study that names it; return the study as loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    if file.endswith(".csv"):
        table.to_csv(folder / file, index=False)
    else:
        table.to_parquet(folder / file)
    (folder / "study.toml").write_text(TEXT.format(table=file, target=target), encoding="utf-8")
    return load_study(folder / "study.toml")
