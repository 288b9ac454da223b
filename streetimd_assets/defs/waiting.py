"""Runs that wait for a place in a pool sleep until it is worth asking again.

Dagster's executor asks again without a pause, for it takes the smallest of zero and the times left. A waiting
run then takes a whole core from those at work. To be left out once Dagster has mended it:
https://github.com/dagster-io/dagster/pull/20367 was to, and was closed.
"""

import time

from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext


def _seconds_until_it_is_worth_asking(self: InstanceConcurrencyContext) -> float:
    return max(0.0, min(self._pending_timeouts.values(), default=0.0) - time.time())


def sleep_while_waiting() -> None:
    """Let every run of this process do so."""
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = _seconds_until_it_is_worth_asking  # type: ignore[method-assign]
