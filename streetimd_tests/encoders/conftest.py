"""The demo encoder and unseen scenes, loaded and painted once for all tests of this room."""

import pytest

from streetimd_assets.encoders import load_encoder
from streetimd_tests.encoders.unseen_scenes import paint_unseen


@pytest.fixture(scope="session")
def demo():
    return load_encoder("streetimd-demo", "bundled")


@pytest.fixture(scope="session")
def unseen():
    return paint_unseen(360, first=400_000_000)
