"""A run that waits for a place in a pool leaves the processor to those at work."""

import threading
import time
import uuid

import dagster as dg
import pytest

from streetimd_assets.defs.noticing import in_process_executor
from streetimd_assets.defs.waiting import sleep_while_waiting

WAIT_S = 4.0
SETTINGS = {"concurrency": {"pools": {"granularity": "op", "default_limit": 1}}}


@dg.op(pool="provider")
def ask() -> None:
    """Asks a provider."""


@dg.job(executor_def=in_process_executor)
def waits() -> None:
    ask()


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=SETTINGS) as made:
        yield made


def processor_s_of_a_run_that_waits(instance) -> float:
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default("provider")
    other = str(uuid.uuid4())
    assert storage.claim_concurrency_slot("provider", other, "ask").is_claimed
    threading.Timer(WAIT_S, storage.free_concurrency_slots_for_run, [other]).start()
    began, used = time.monotonic(), time.process_time()
    assert waits.execute_in_process(instance=instance).success
    assert time.monotonic() - began >= WAIT_S
    return time.process_time() - used


def test_a_run_that_waits_leaves_the_processor_to_others(instance):
    sleep_while_waiting()
    assert processor_s_of_a_run_that_waits(instance) < WAIT_S / 2
