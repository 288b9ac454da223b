"""Concepts are data: pairs of texts, a bank of phrases about streets, and words that have nothing to do with them.

A text is a direction among embeddings, and every LSOA has a place along it. Unlike the prompts of a
category, which must be neutral because they decide a feature, a concept may judge ("a scruffy street"):
it is only held beside the deprivation of LSOAs. Sets ship with the package as TOML; a study names one,
and may add pairs and phrases of its own.
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from streetimd_assets.errors import StudyError

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
DEFAULT_SET = "street-life"
# with fewer, the smallest share of random words that can be told is too coarse
FEWEST_RANDOM_WORDS = 20


class ConceptPair(BaseModel):
    """Two opposites: what lies toward one end of a direction, and what lies at the other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Phrase = Field(description="what people call the direction, named for its high end")
    toward: tuple[Phrase, ...] = Field(min_length=1, description="phrases for the high end, averaged")
    away: tuple[Phrase, ...] = Field(min_length=1, description="phrases for the low end, averaged")


def _can_be_told_apart(pairs: tuple[ConceptPair, ...]) -> tuple[ConceptPair, ...]:
    if twice := first_twice([pair.name for pair in pairs]):
        raise ValueError(f"'{twice}' is named twice; each pair needs a name of its own")
    for pair in pairs:
        if both := set(pair.toward) & set(pair.away):
            raise ValueError(f"'{min(both)}' stands at both ends of '{pair.name}'; leave it out of one")
    return pairs


def _each_once(phrases: tuple[str, ...]) -> tuple[str, ...]:
    if twice := first_twice(phrases):
        raise ValueError(f"'{twice}' stands twice; leave one out")
    return phrases


def _are_enough(words: tuple[str, ...]) -> tuple[str, ...]:
    if len(words) < FEWEST_RANDOM_WORDS:
        raise ValueError(
            f"{len(words)} random words are too few to compare with; list {FEWEST_RANDOM_WORDS} or more"
        )
    return _each_once(words)


def first_twice(names: Sequence[str]) -> str | None:
    """Return the first name that stands in the list before, whatever its capitals; None if each stands once."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None


Pairs = Annotated[tuple[ConceptPair, ...], AfterValidator(_can_be_told_apart)]
Phrases = Annotated[tuple[Phrase, ...], AfterValidator(_each_once)]
RandomWords = Annotated[tuple[Phrase, ...], AfterValidator(_are_enough)]


class ConceptSet(BaseModel):
    """Pairs of texts, a bank of phrases, and the random words they are compared with.

    Parameters
    ----------
    pair
        Directions between opposites.
    prompts
        Phrases about streets. They are also the words that dimensions are read by.
    random_words
        Everyday things that have nothing to do with streets: what any word at all would show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "own"
    description: str = ""
    pair: Pairs
    prompts: Phrases = Field(min_length=2)
    random_words: RandomWords

    def with_own(self, pairs: Sequence[ConceptPair], prompts: Sequence[str]) -> Self:
        """Return the set with a study's own pairs and phrases added; a phrase it has already is not added.

        Raises
        ------
        ValueError
            If a pair has the name of another, or of a phrase.
        """
        together = (*self.pair, *pairs)
        phrases = tuple(dict.fromkeys((*self.prompts, *prompts)))
        if twice := first_twice([*(pair.name for pair in together), *phrases]):
            raise ValueError(f"'{twice}' is a name of the concept set '{self.name}' already; choose another")
        return self.model_copy(update={"pair": together, "prompts": phrases})

    @property
    def content_hash(self) -> str:
        """Hash of what decides the directions: pairs, phrases and random words."""
        content = [[[p.name, p.toward, p.away] for p in self.pair], self.prompts, self.random_words]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def bundled_concept_sets() -> list[str]:
    """Names of the concept sets that ship with the package."""
    folder = files("streetimd_assets.study") / "concept_sets"
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir() if path.name.endswith(".toml"))


def load_concept_set(name: str) -> ConceptSet:
    """Load a concept set that ships with the package.

    Raises
    ------
    StudyError
        If there is no set of that name.
    """
    if name not in bundled_concept_sets():
        raise StudyError(
            f"'{name}' is not a concept set; the package has {', '.join(bundled_concept_sets())}, and "
            "[[concept_pair]] tables add to it"
        )
    text = (files("streetimd_assets.study") / "concept_sets" / f"{name}.toml").read_text(encoding="utf-8")
    return ConceptSet.model_validate(tomllib.loads(text))
