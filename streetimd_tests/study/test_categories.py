"""The hash of a category set changes with what decides the embeddings and the features, and with nothing else."""

import pytest
from pydantic import ValidationError

from streetimd_assets.errors import StudyError
from streetimd_assets.schemas import TABLES
from streetimd_assets.study.categories import Category, CategorySet, bundled_category_sets, load_category_set

SHOPS = {"name": "shops", "prompts": ["shops", "a parade of shops"], "label": "Shops"}
PARK = {"name": "park", "prompts": ["a park"]}
INDOOR = {"name": "indoor", "prompts": ["the inside of a building"], "is_reject": True}


def make(*categories, templates=("a photo of {}.", "a view of {}."), **about):
    return CategorySet(category=tuple(Category(**each) for each in categories), templates=templates, **about)


ORIGINAL = make(SHOPS, PARK, INDOOR)


@pytest.mark.parametrize(
    "changed",
    [
        make({**SHOPS, "name": "high_street"}, PARK, INDOOR),
        make(PARK, SHOPS, INDOOR),
        make({**SHOPS, "prompts": ["shops"]}, PARK, INDOOR),
        make({**SHOPS, "prompts": ["shops", "a parade of shop"]}, PARK, INDOOR),
        make(SHOPS, PARK, INDOOR, templates=("a photo of {}.",)),
        make(SHOPS, PARK, INDOOR, templates=("a photo of {}.", "a street view of {}.")),
        make(SHOPS, PARK, {**INDOOR, "is_reject": False}),
        make(SHOPS, PARK),
    ],
    ids=["name", "order", "fewer prompts", "a prompt", "fewer templates", "a template", "reject", "fewer"],
)
def test_the_hash_changes_with_what_decides_the_numbers(changed):
    assert changed.content_hash != ORIGINAL.content_hash


def test_the_hash_does_not_change_with_what_only_people_read():
    relabelled = make({**SHOPS, "label": "Shops and cafés"}, PARK, INDOOR, name="x", description="y")
    assert relabelled.content_hash == ORIGINAL.content_hash == make(SHOPS, PARK, INDOOR).content_hash


def test_every_prompt_is_put_into_every_template():
    assert ORIGINAL.phrases(ORIGINAL.category[0]) == [
        "a photo of shops.",
        "a view of shops.",
        "a photo of a parade of shops.",
        "a view of a parade of shops.",
    ]


def test_braces_in_prompts_and_templates_are_only_signs():
    odd = make({**SHOPS, "prompts": ["{0} shops {}"]}, PARK, templates=("a {photo} of {}",))
    assert odd.phrases(odd.category[0]) == ["a {photo} of {0} shops {}"]


def test_rejects_are_told_from_content():
    assert ORIGINAL.content_names == ("shops", "park")
    assert ORIGINAL.reject_names == ("indoor",)
    assert ORIGINAL.titles == {"shops": "Shops", "park": "park", "indoor": "indoor"}


@pytest.mark.parametrize("name", bundled_category_sets())
def test_a_bundled_set_gives_every_table_columns_of_their_own(name):
    names = load_category_set(name).names
    for table in TABLES.values():
        columns = table.expand(names).column_names
        assert len(set(columns)) == len(columns), table.name


@pytest.mark.parametrize("name", ["images", "points", "panoramas", "images_kept", "rejected"])
def test_a_name_that_would_give_a_table_the_same_column_twice_is_refused(name):
    with pytest.raises(ValidationError, match=f"'{name}' would give lsoa_features a second column"):
        make(SHOPS, {**PARK, "name": name})


def test_an_unknown_set_is_answered_with_those_there_are():
    with pytest.raises(StudyError, match=r"'uk-street' is not a category set; the package has .*uk-streets"):
        load_category_set("uk-street")
