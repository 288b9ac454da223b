"""Each bug that benchmarks/mutations.py plants can be planted in the source as it is now."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mutations import MUTATIONS, OWN_TEST, PROJECT, run_tests

BUGS = {
    "softmax without logit scale",
    "un-normalised embeddings",
    "the same heading four times",
    "category order rotated",
    "rank sign flipped",
    "100 m datum shift",
    "off-by-one row join",
    "point-level instead of LSOA-level split",
    "choosing dimensions outside CV",
}


def copied(mutation, folder):
    """A folder with the one file that the bug is planted in."""
    (folder / mutation.path).parent.mkdir(parents=True)
    return Path(shutil.copy(PROJECT / mutation.path, folder / mutation.path))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_bug_replaces_exactly_one_place_and_its_tests_are_there(mutation, tmp_path):
    file = copied(mutation, tmp_path)
    source = file.read_text(encoding="utf-8")
    mutation.apply(tmp_path)
    before, after = source.split(mutation.old)
    assert file.read_text(encoding="utf-8") == before + mutation.new + after
    assert all((PROJECT / folder).exists() for folder in mutation.folders)


@pytest.mark.parametrize("old", ["softmax without a scale", "return"])
def test_a_replacement_that_matches_never_or_often_is_refused(old, tmp_path):
    mutation = replace(MUTATIONS[0], old=old)
    file = copied(mutation, tmp_path)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="not once; write the replacement anew"):
        mutation.apply(tmp_path)
    assert file.read_bytes() == before


def test_every_bug_that_r2_cannot_see_is_planted_under_a_name_of_its_own():
    assert {mutation.bug for mutation in MUTATIONS} == BUGS
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names)
    assert Path(__file__) == PROJECT / OWN_TEST


TESTS = """
import subprocess, sys
import pytest, streetimd_assets

@pytest.fixture
def broken():
    raise ValueError("a fixture - that fails")

def test_that_passes():
    assert streetimd_assets.IS_COPY

@pytest.mark.parametrize("name", ["a name - with spaces"])
def test_that_fails(name):
    assert 0, "why - it failed"

def test_whose_fixture_fails(broken):
    pass

def test_in_a_process():
    subprocess.run([sys.executable, "-c", "import streetimd_assets; streetimd_assets.IS_COPY"], check=True)
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "streetimd_assets").mkdir()
    (tmp_path / "streetimd_assets" / "__init__.py").write_text("IS_COPY = True")
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def test_the_tests_of_a_copy_are_run_on_the_copy_and_those_that_failed_are_named(project):
    assert run_tests(project, ["-n0"]).failed == [
        "test_it.py::test_that_fails[a name - with spaces]",
        "test_it.py::test_whose_fixture_fails",
    ]
    assert run_tests(project, ["-n0", "-k", "passes or process"]).failed == []


def test_a_copy_whose_tests_cannot_be_run_has_caught_nothing(project):
    (project / "test_it.py").write_text("import nothing_of_that_name")
    with pytest.raises(RuntimeError, match="the tests could not be run"):
        run_tests(project, ["-n0"])
