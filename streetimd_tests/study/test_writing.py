"""The study file that ``streetimd init`` writes is complete, and valid as it is."""

import re
import tomllib

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from streetimd_assets.study.model import Study
from streetimd_assets.study.reading import load_study
from streetimd_assets.study.writing import commented_study

TEXT = commented_study()
EXAMPLES = {"name", "title", "local_authorities", "category_set", "folder"}


def sections(model=Study, name=""):
    """Yield each section's name and model, the study itself as ''."""
    yield name, model
    for field, about in model.model_fields.items():
        if isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel):
            yield from sections(about.annotation, f"{name}.{field}".lstrip("."))


def part_of(section):
    """Return the lines of one section of the text."""
    parts = re.split(r"^\[([a-z.]+)\]$", TEXT.partition("\n# Categories of your own")[0], flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))[section].splitlines()


# shown as tables at the end of the text
WITH_TABLES = {"category", "concept_pair"}
FIELDS = [
    (section, name, about)
    for section, model in sections()
    for name, about in model.model_fields.items()
    if not (isinstance(about.annotation, type) and issubclass(about.annotation, BaseModel))
    and name not in WITH_TABLES
]


def uncommented(text):
    """Remove the # of every line that holds a value or a header."""
    return re.sub(r"^# (\w+ = .+|\[\[\w+\]\])$", r"\1", text, flags=re.MULTILINE)


def test_it_is_a_valid_study_as_it_stands(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(TEXT, encoding="utf-8")
    study = load_study(path)
    assert study.name == "my-study"
    assert set(study.slugs) == {"camden", "tower-hamlets"}


def test_it_sets_nothing_but_its_examples():
    content = tomllib.loads(TEXT)
    named = {name for name, value in content.items() if not isinstance(value, dict)}
    named |= {name for value in content.values() if isinstance(value, dict) for name in value if name != "faults"}
    assert named == EXAMPLES


@pytest.mark.parametrize(("section", "name", "about"), FIELDS, ids=[f"{s}.{n}".lstrip(".") for s, n, _ in FIELDS])
def test_every_field_stands_in_its_section_with_its_meaning_and_default(section, name, about):
    lines = part_of(section)
    place = next(place for place, line in enumerate(lines) if re.match(rf"(# )?{name} =", line))
    assert about.description
    assert about.description in lines[place - 1]
    if name not in EXAMPLES and about.default not in (None, PydanticUndefined):
        value = tomllib.loads(lines[place].removeprefix("# "))[name]
        assert (tuple(value) if isinstance(value, list) else value) == about.default


def test_removing_every_mark_of_a_default_changes_nothing():
    text = uncommented(TEXT.partition("\n# Categories of your own")[0])
    fields = Study.model_fields["modelling"].annotation.model_fields.values()
    assert len(tomllib.loads(text)["modelling"]) == sum(field.default is not None for field in fields)
    assert Study.model_validate(tomllib.loads(text)) == Study.model_validate(tomllib.loads(TEXT))


def test_its_example_of_own_categories_is_valid():
    text = re.sub(r"^category_set = .+$", "", TEXT, flags=re.MULTILINE)
    head, mark, own = text.partition("# Categories of your own")
    study = Study.model_validate(tomllib.loads(head + mark + uncommented(own)))
    assert study.categories.content_names == ("terraced_houses",)
    assert study.categories.reject_names == ("interior",)
    assert study.concepts.pair[-1].name == "flooded"


@pytest.mark.parametrize(
    ("called", "name"),
    [("camden", "camden"), ("Tower Hamlets, pilot", "tower-hamlets-pilot"), ("2026", "study-2026"), ("Łódź", "d")],
)
def test_the_study_is_called_as_its_file(called, name, tmp_path):
    path = tmp_path / "file.toml"
    path.write_text(commented_study(called), encoding="utf-8")
    assert load_study(path).name == name


def test_a_name_without_letters_that_fit_is_still_a_name(tmp_path):
    path = tmp_path / "file.toml"
    path.write_text(commented_study("北京"), encoding="utf-8")
    assert load_study(path).name == "study"
