"""England's 296 local authorities are all there, and each is found by any of its names."""

import pytest

from streetimd_assets.errors import UnknownLocalAuthorityError
from streetimd_assets.study import find_local_authority
from streetimd_assets.study.local_authorities import (
    SYNTHETIC_LOCAL_AUTHORITIES,
    all_local_authorities,
    codes_since_2019,
    lad_changes,
    name_codes,
    slugify,
)

EVERYONE = list(all_local_authorities().values())


def test_there_are_296_with_slugs_codes_and_names_of_their_own():
    assert len(EVERYONE) == 296
    for name in ("slug", "lad_code", "name"):
        assert len({getattr(authority, name) for authority in EVERYONE}) == 296


def test_they_hold_the_33755_lsoas_of_2021():
    assert sum(authority.n_lsoas for authority in EVERYONE) == 33_755


def test_codes_are_of_english_districts():
    assert {authority.lad_code[:3] for authority in EVERYONE} == {"E06", "E07", "E08", "E09"}


def test_a_slug_is_made_from_the_name():
    assert all(authority.slug == slugify(authority.name) for authority in EVERYONE)
    assert all(authority.slug.replace("-", "").isalnum() for authority in EVERYONE)


@pytest.mark.parametrize("name", ["tower-hamlets", "Tower Hamlets", "TOWER HAMLETS", "E09000030"])
def test_tower_hamlets_is_found_by_any_of_its_names(name):
    assert find_local_authority(name).lad_code == "E09000030"


@pytest.mark.parametrize("kind", ["slug", "name", "lad_code"])
def test_every_one_is_found_by_slug_name_and_code(kind):
    assert [find_local_authority(getattr(authority, kind)) for authority in EVERYONE] == EVERYONE


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(UnknownLocalAuthorityError, match=r"'Cmden' is not one of .*; did you mean camden") as told:
        find_local_authority("Cmden")
    assert "\n" not in str(told.value)


def test_invented_places_bear_codes_that_no_official_place_has():
    official = {authority.lad_code[0] for authority in EVERYONE}
    assert official.isdisjoint({authority.lad_code[0] for authority in SYNTHETIC_LOCAL_AUTHORITIES})
    assert {authority.slug for authority in SYNTHETIC_LOCAL_AUTHORITIES}.isdisjoint(all_local_authorities())


def test_districts_merged_since_2019_are_now_part_of_a_local_authority_of_2024():
    today = {authority.lad_code for authority in EVERYONE}
    assert set(lad_changes().values()) < today
    assert set(lad_changes()).isdisjoint(today)
    # England had 317 in 2019: these 28 have become seven
    assert 296 - 7 + len(lad_changes()) == 317


def test_a_local_authority_that_never_changed_has_one_code():
    assert codes_since_2019("E09000007") == ["E09000007"]


def test_somerset_was_four_districts():
    assert codes_since_2019("E06000066") == ["E06000066", "E07000187", "E07000188", "E07000189", "E07000246"]


def test_twenty_codes_are_all_named_and_of_more_it_is_said_how_many():
    codes = [f"E01{number:06d}" for number in range(22)]
    assert name_codes(codes[:20]) == ", ".join(codes[:20])
    assert name_codes(codes) == ", ".join(codes[:20]) + " and 2 more"
