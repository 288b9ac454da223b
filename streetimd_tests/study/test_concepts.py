"""Concept sets hold no phrase twice, and a study adds its own or is told in a sentence why it may not."""

import pytest

from streetimd_assets.errors import StudyError
from streetimd_assets.study import load_study
from streetimd_assets.study.concepts import bundled_concept_sets, load_concept_set
from streetimd_assets.study.reading import bundled_study_text

FLOODED = '[[concept_pair]]\nname = "{name}"\ntoward = ["a flooded street"]\naway = ["{away}"]\n'


def study_with(tmp_path, before="", after=""):
    """The demo's study file with lines added above its sections and below them."""
    path = tmp_path / "study.toml"
    text = bundled_study_text("demo").replace("[geography]", f"{before}\n[geography]", 1)
    path.write_text(f"{text}\n{after}", encoding="utf-8")
    return load_study(path)


@pytest.mark.parametrize("name", bundled_concept_sets())
def test_a_bundled_set_names_each_direction_once_and_none_of_its_random_words_is_about_streets(name):
    concepts = load_concept_set(name)
    words = {word for phrase in concepts.prompts for word in phrase.split()}
    words |= {word for pair in concepts.pair for phrase in (*pair.toward, *pair.away) for word in phrase.split()}
    nouns = {phrase.split()[-1] for phrase in concepts.random_words}
    assert not nouns & words
    # names of one kind are not those of another either
    assert concepts.with_own([], []) == concepts


def test_street_life_is_a_bank_of_a_hundred_phrases_and_two_hundred_random_words():
    concepts = load_concept_set("street-life")
    assert len(concepts.prompts) >= 100
    assert len(concepts.random_words) >= 200
    assert len(concepts.pair) >= 15


def test_studies_have_street_life_unless_they_name_another():
    assert load_study("england").concepts == load_concept_set("street-life")
    assert load_study("demo").concepts == load_concept_set("demo")


def test_a_study_adds_pairs_and_phrases_of_its_own(tmp_path):
    mine = 'concept_prompts = ["a derelict pub", "terraced houses"]'
    study = study_with(tmp_path, mine, FLOODED.format(name="flooded", away="a dry street"))
    demo = load_concept_set("demo")
    assert study.concepts.prompts == (*demo.prompts, "a derelict pub")
    assert [pair.name for pair in study.concepts.pair] == [*(pair.name for pair in demo.pair), "flooded"]
    assert study.concepts.content_hash != demo.content_hash


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("", FLOODED.format(name="littered", away="dry"), "'littered' is a name of the concept set 'demo' already"),
        ("", FLOODED.format(name="Derelict land", away="dry"), "'derelict land' is a name of the concept set"),
        ("", 2 * FLOODED.format(name="wet", away="dry"), "'wet' is named twice; each pair needs a name of its own"),
        (
            "",
            FLOODED.format(name="wet", away="a flooded street"),
            "'a flooded street' stands at both ends of 'wet'",
        ),
        ("", FLOODED.format(name=" ", away="dry"), "concept_pair.0.name = .* at least 1 character"),
        ('concept_prompts = ["a pub", "A pub"]', "", "'A pub' stands twice; leave one out"),
        ('concept_prompts = "a pub"', "", 'concept_prompts = "a pub" is not allowed: it must be a list'),
    ],
)
def test_what_cannot_be_told_apart_is_refused_in_one_sentence(tmp_path, before, after, said):
    with pytest.raises(StudyError, match=said) as refused:
        study_with(tmp_path, before, after)
    assert "\n" not in str(refused.value)


def test_an_unknown_set_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(StudyError, match="'street' is not a concept set; the package has demo, street-life"):
        load_concept_set("street")
    path = tmp_path / "study.toml"
    path.write_text(bundled_study_text("demo").replace('concept_set = "demo"', 'concept_set = "street"'))
    with pytest.raises(StudyError, match='concept_set = "street" is not allowed: must be one of demo, street-life'):
        load_study(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"prompts": ("terraced houses", "a park")},
        {"pair": ()},
        {"random_words": tuple(f"a thing {number}" for number in range(20))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_hash_changes_with_what_decides_the_directions_and_not_with_what_people_read(changed):
    concepts = load_concept_set("demo")
    assert concepts.model_copy(update=changed).content_hash != concepts.content_hash
    assert concepts.model_copy(update={"description": "others"}).content_hash == concepts.content_hash
