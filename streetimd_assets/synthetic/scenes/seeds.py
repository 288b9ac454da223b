"""Which seeds are for what, so that an encoder is never judged on pictures that it learnt from."""

# the demo world and the tests paint from seeds below every range here
WORLD_SEEDS = range(500_000_000)
BENCHMARK_SEEDS = range(500_000_000, 1_000_000_000)
TRAINING_SEEDS = range(1_000_000_000, 2_000_000_000)
