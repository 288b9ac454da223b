"""A table of area features through the whole graph: what is planted is found by its name, and noise is not."""

import dagster as dg
import pandas as pd
import pytest

from streetimd_assets.cli import _settings  # noqa: F401  (the front door knows such a study)
from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.defs.jobs import WORDS
from streetimd_assets.errors import StudyError
from streetimd_assets.schemas import TABLES
from streetimd_assets.settings import Settings
from streetimd_tests.area_study import DULL, NAMES, PLANTED, made_up_table, write_study
from streetimd_tests.graph import failure_sentence, new_instance
