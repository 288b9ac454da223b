"""What the tests of outside data share: districts, stand-ins and the folder of real data."""

import pytest

from streetimd_assets.study.local_authorities import LocalAuthority
from streetimd_tests import real_data, standins
from streetimd_tests.standins import small_world


@pytest.fixture(scope="session")
def west():
    return LocalAuthority("west", small_world.WEST, "West", 12)


@pytest.fixture
def small():
    with standins.serve_small_world() as addresses:
        yield addresses


@pytest.fixture(scope="session")
def real_folder():
    return real_data.real_data_folder()


@pytest.fixture(scope="module")
def real(real_folder):
    with standins.serve_real_data(real_folder) as addresses:
        yield addresses
