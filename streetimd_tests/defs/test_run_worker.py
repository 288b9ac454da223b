"""What a worker's application sees to before and after a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("dagster_celery", reason="needs the extra 'deploy': pip install -e '.[deploy]'")

SENDS_RUNS_TO_WORKERS = """
telemetry: {enabled: false}
run_launcher:
  module: streetimd_assets.defs.worker_queues
  class: WorkersLauncher
  config: {broker: "redis://127.0.0.1:1/0", backend: "redis://127.0.0.1:1/0"}
"""
# one process, begun and ended as Celery's are
IN_A_PROCESS_OF_CELERY = """
import json, os, time, warnings
import billiard
from celery import signals
from streetimd_assets.defs import run_worker
from streetimd_assets.science.cores import spread

def who(item):
    time.sleep(0.2)
    return os.getpid()

def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

def run():
    signals.worker_process_init.send(sender=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        workers = set(spread(who, range(4), n_values=10**6, n_cores=2))
    signals.worker_process_shutdown.send(sender=None, pid=os.getpid(), exitcode=0)
    left = sum(is_there(pid) for pid in workers)
    print(json.dumps({"n_workers": len(workers - {os.getpid()}), "n_left": left}), flush=True)

process = billiard.Process(target=run)
process.daemon = True
process.start()
process.join()
"""


def in_home(tmp_path: Path, settings: str, *command: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "dagster.yaml").write_text(settings)
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_a_run_on_a_worker_uses_several_processes_and_leaves_none_behind(tmp_path):
    done = in_home(tmp_path, SENDS_RUNS_TO_WORKERS, sys.executable, "-c", IN_A_PROCESS_OF_CELERY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"n_workers": 2, "n_left": 0}, done.stderr


def test_settings_that_send_it_no_runs_are_refused_in_one_sentence(tmp_path):
    celery = (sys.executable, "-m", "celery", "-A", "streetimd_assets.defs.run_worker", "worker")
    done = in_home(tmp_path, "telemetry: {enabled: false}\n", *celery)
    assert done.returncode != 0
    assert "set COMPOSE_PROFILES=scale in .env" in done.stderr
    assert "Traceback" not in done.stderr
