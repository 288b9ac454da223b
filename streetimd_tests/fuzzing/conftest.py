"""How many examples are tried: a few, the same each time; or many new ones with ``--hypothesis-profile=long``."""

from hypothesis import HealthCheck, settings

# the machine may be busy, and a test writes its one file anew for each example
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}
settings.register_profile("few", max_examples=200, derandomize=True, database=None, **_COMMON)
settings.register_profile("long", max_examples=5_000, **_COMMON)
settings.load_profile("few")
