"""The demo's findings: what was recovered beside what was planted."""

from typing import Any

import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.science import recovery

_PER_AUTHORITY = (
    "sample_points",
    "panoramas",
    "street_images",
    "category_probabilities",
    "lsoa_features",
    "planted_lsoas",
    "planted_scenes",
)
_STUDY_WIDE = ("model_scores", "imd_correlations", "noise_correlations")


def read_findings(house: House) -> pd.DataFrame:
    """Return columns finding, planted, recovered and unit, over all that has been collected."""
    slugs = house.covered()
    tables: dict[str, Any] = {name: house.store.read_study_wide(name, slugs) for name in _PER_AUTHORITY}
    tables |= {name: house.store.read(name) for name in _STUDY_WIDE}
    return recovery.recovered_beside_planted(**tables)
