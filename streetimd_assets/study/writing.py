"""Write a commented study file, from the model itself: no field can be forgotten."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from streetimd_assets.study.model import Study

_EXAMPLE = {
    "local_authorities": ["Camden", "Tower Hamlets"],
    "category_set": "uk-streets",
    "folder": "/path/to/images",
}
_INTRODUCTION = """\
# A study: which places, which images, which categories, which models.
# Lines that begin with # are comments or defaults; remove the # to change a value.
# `streetimd check THIS_FILE` says whether it is valid.
"""
_OWN_CATEGORIES = """
# Categories of your own instead of category_set: remove that line above, and list them here.
# [[category]]
# name = "terraced_houses"
# label = "Terraced houses"
# prompts = ["a row of terraced houses", "terraced houses on a street"]
# is_reject = false
#
# [[category]]
# name = "interior"
# prompts = ["the inside of a building"]
# is_reject = true

# Texts of your own beside those of concept_set: opposites, each end an average of its phrases.
# [[concept_pair]]
# name = "flooded"
# toward = ["a flooded street", "sandbags at the doors"]
# away = ["a dry street", "doors without sandbags"]
"""


def commented_study(called: str = "my study") -> str:
    """Return the text of a study file that names every field, its meaning and its default.

    Parameters
    ----------
    called
        What the study is to be called, such as its file; its name is made of the letters and digits of that.
    """
    words = re.findall(r"[a-z0-9]+", called.lower())
    name = "-".join(words)[:60].strip("-")
    name = name if name[:1].isalpha() else f"study-{name}".strip("-")
    examples = {**_EXAMPLE, "name": name, "title": name.replace("-", " ").capitalize()}
    lines = [_INTRODUCTION, *_fields(Study, examples, skip={"category", "concept_pair"})]
    for name, field in Study.model_fields.items():
        section = _section(field)
        if section is not None:
            lines += [f"\n[{name}]", *_fields(section, examples)]
            for inner, inner_field in section.model_fields.items():
                if (part := _section(inner_field)) is not None:
                    lines += [f"\n[{name}.{inner}]", *_fields(part, examples)]
    return "\n".join(lines) + "\n" + _OWN_CATEGORIES


def _fields(model: type[BaseModel], examples: Mapping[str, object], skip: set[str] | None = None) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name in (skip or set()) or _section(field) is not None:
            continue
        yield f"# {field.description}{_allowed(field)}"
        if name in examples:
            yield f"{name} = {_toml(examples[name])}"
        elif field.default is None or field.default is PydanticUndefined:
            yield f"# {name} ="
        else:
            yield f"# {name} = {_toml(field.default)}"


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _allowed(field: FieldInfo) -> str:
    choices = [str(choice) for choice in get_args(field.annotation) if isinstance(choice, str)]
    return f" [{', '.join(choices)}]" if choices else ""


def _toml(value: object) -> str:
    # JSON's strings, numbers, lists and booleans are TOML's too
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
