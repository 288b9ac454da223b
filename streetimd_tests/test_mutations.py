"""Each bug that benchmarks/mutations.py plants can be planted in the source as it is now."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mutations import MUTATIONS, OWN_TEST, PROJECT

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
