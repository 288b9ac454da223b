"""Where the real data lies that some tests read: the folder named by STREETIMD_REAL_DATA."""

import os
from pathlib import Path

import pytest

VARIABLE = "STREETIMD_REAL_DATA"


def real_data_folder() -> Path:
    """Return the folder, or skip the test and name the variable."""
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"needs real data: set {VARIABLE} to their folder")
    return Path(folder)
