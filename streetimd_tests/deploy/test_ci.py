"""What .ci/run promises beyond running the tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streetimd_tests.deploy.compose import REPOSITORY

CI = REPOSITORY / ".ci"
SETTINGS = "[pytest]\nmarkers =\n    live: asks real servers\n    gpu: needs a GPU\n"
PASSES = "def test_passes(): pass\n"
SKIPS = "import pytest\n@pytest.mark.skipif(True, reason='no chromium')\ndef test_skips(): pass\n"
SKIPS_WHOLE_FILE = "import pytest\npytest.skip('no server', allow_module_level=True)\n"


def run_as_ci_does(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "test_it.py").write_text(PASSES)
    (folder / "test_other.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CI), "PYTEST_PLUGINS": "no_silent_skips"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(("tests", "reason"), [(SKIPS, "no chromium"), (SKIPS_WHOLE_FILE, "no server")])
def test_a_skip_fails_and_its_reason_is_told(tmp_path, tests, reason):
    done = run_as_ci_does(tmp_path, tests)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "skipped, which is a failure here" in done.stdout
    assert reason in done.stdout


@pytest.mark.parametrize("marker", ["live", "gpu"])
def test_a_skip_of_a_test_that_needs_real_servers_or_a_gpu_passes(tmp_path, marker):
    done = run_as_ci_does(tmp_path, SKIPS.replace("def ", f"@pytest.mark.{marker}\ndef "))
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_a_measured_command_keeps_its_exit_status_and_tells_time_and_memory():
    command = [sys.executable, CI / "measured.py", sys.executable, "-c", "bytearray(300 * 2**20); exit(3)"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    words = done.stdout.split()
    assert words[-1] == "MiB"
    assert 300 <= float(words[-2].replace(",", "")) < 400


def test_the_script_is_valid_bash():
    subprocess.run(["bash", "-n", CI / "run"], check=True)


def test_every_debian_package_that_a_skipped_test_asks_for_is_installed_before():
    tests = "".join(path.read_text() for path in (REPOSITORY / "streetimd_tests").rglob("*.py"))
    asked = set(re.findall(r"apt-get install ([\w-]+)", tests))
    assert {"postgresql", "redis-server"} <= asked
    installed = set(re.findall(r"missing\+=\(([\w-]+)\)", (CI / "run").read_text()))
    assert asked <= installed
