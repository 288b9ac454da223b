"""Categories are data: names, prompts and which of them are rejects.

Sets ship with the package as TOML; a study may name one or bring its own.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from streetimd_assets.errors import StudyError
from streetimd_assets.schemas import NO_CATEGORY_SET, TABLES


class Category(BaseModel):
    """One category: a name for columns, a label for people, and the phrases that describe it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="short name, used in column names: lower case, digits and underscores")
    label: str = Field(default="", description="the name people read; the name itself if left out")
    prompts: tuple[str, ...] = Field(
        min_length=1, description="neutral phrases an image of the category could carry"
    )
    is_reject: bool = Field(
        default=False, description="images of this category are set aside (interiors, vehicle close-ups)"
    )

    @field_validator("name")
    @classmethod
    def _name_fits_a_column(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
            raise ValueError("must be lower-case letters, digits and underscores, beginning with a letter")
        return name

    @property
    def title(self) -> str:
        """The label, or the name in words."""
        return self.label or self.name.replace("_", " ")


def _hold_a_place(templates: tuple[str, ...]) -> tuple[str, ...]:
    if not templates or any(template.count("{}") != 1 for template in templates):
        raise ValueError("each template must hold {} once, where the prompt goes")
    return templates


def _can_be_told_apart(categories: tuple[Category, ...]) -> tuple[Category, ...]:
    names = [category.name for category in categories]
    if twice := _first_twice(names):
        raise ValueError(f"'{twice}' is named twice; each category needs a name of its own")
    if len(categories) < 2:
        raise ValueError("there must be at least two categories")
    if all(category.is_reject for category in categories):
        raise ValueError("at least one category must not be a reject")
    _require_own_columns(names)
    return categories


def _require_own_columns(names: list[str]) -> None:
    """Refuse a name such as 'images', for lsoa_features has a column n_images of its own."""
    for table in TABLES.values():
        if twice := _first_twice(table.expand(names).column_names):
            name = next(name for name in names if f"_{name}_" in f"_{twice}_")
            raise ValueError(f"'{name}' would give {table.name} a second column {twice}; choose another name")


def _first_twice(names: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


Templates = Annotated[tuple[str, ...], AfterValidator(_hold_a_place)]
Categories = Annotated[tuple[Category, ...], AfterValidator(_can_be_told_apart)]


class CategorySet(BaseModel):
    """An ordered list of categories and the sentences their prompts are put into."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "own"
    description: str = ""
    templates: Templates = ("{}",)
    category: Categories

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all categories, in order."""
        return tuple(category.name for category in self.category)

    @property
    def content_names(self) -> tuple[str, ...]:
        """Names of the categories that are not rejects, in order."""
        return tuple(category.name for category in self.category if not category.is_reject)

    @property
    def reject_names(self) -> tuple[str, ...]:
        """Names of the reject categories, in order."""
        return tuple(category.name for category in self.category if category.is_reject)

    @property
    def titles(self) -> dict[str, str]:
        """Category names and what people read for them."""
        return {category.name: category.title for category in self.category}

    def phrases(self, category: Category) -> list[str]:
        """Every prompt of the category in every template."""
        return [template.replace("{}", prompt) for prompt in category.prompts for template in self.templates]

    @property
    def content_hash(self) -> str:
        """Hash of what decides the embeddings: names, order, prompts, rejects and templates."""
        content = [[category.name, category.is_reject, self.phrases(category)] for category in self.category]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


# of a study without images
NO_CATEGORIES = CategorySet.model_construct(name=NO_CATEGORY_SET, description="", templates=(), category=())


def bundled_category_sets() -> list[str]:
    """Names of the category sets that ship with the package."""
    folder = files("streetimd_assets.study") / "category_sets"
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def load_category_set(name: str) -> CategorySet:
    """Load a category set that ships with the package.

    Raises
    ------
    StudyError
        If there is no set of that name.
    """
    if name not in bundled_category_sets():
        raise StudyError(
            f"'{name}' is not a category set; the package has {', '.join(bundled_category_sets())}, "
            "or list your own as [[category]] tables"
        )
    text = (files("streetimd_assets.study") / "category_sets" / f"{name}.toml").read_text(encoding="utf-8")
    return CategorySet.model_validate(tomllib.loads(text))
