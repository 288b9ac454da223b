"""The three studies that ship with the package load, and are what they say."""

import pytest

from streetimd_assets.errors import UnknownLocalAuthorityError
from streetimd_assets.study import BUNDLED_STUDIES, load_study


@pytest.mark.parametrize("name", BUNDLED_STUDIES)
def test_a_bundled_study_loads_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load_study(name)
    assert study.name == name
    assert len(study.categories.content_names) >= 2


@pytest.mark.parametrize(
    ("name", "n_local_authorities", "n_lsoas"),
    [("demo", 6, 300), ("england", 296, 33_755), ("greater-manchester", 10, 1_702)],
)
def test_a_bundled_study_covers_the_places_it_names(name, n_local_authorities, n_lsoas):
    study = load_study(name)
    assert len(study.authorities) == n_local_authorities
    assert sum(authority.n_lsoas for authority in study.authorities) == n_lsoas


def test_the_local_authority_with_most_lsoas_comes_first():
    england = load_study("england")
    sizes = [authority.n_lsoas for authority in england.authorities]
    assert sizes == sorted(sizes, reverse=True)
    assert england.slugs[0] == "birmingham"
    assert len(set(england.slugs)) == 296


def test_greater_manchester_has_ten_scene_categories_and_four_headings():
    study = load_study("greater-manchester")
    assert len(study.categories.names) == 10
    assert study.imagery.headings_deg == (0, 90, 180, 270)
    assert study.deprivation.index == "iod2025"


def test_only_a_study_of_painted_images_says_so_in_its_heading():
    assert "SYNTHETIC IMAGES" in load_study("demo").heading
    assert "SYNTHETIC" not in load_study("england").heading


def test_a_study_finds_only_its_own_local_authorities():
    study = load_study("greater-manchester")
    assert study.authority("Bolton").slug == "bolton"
    with pytest.raises(UnknownLocalAuthorityError, match="'camden' is not one of the study's"):
        study.authority("camden")
