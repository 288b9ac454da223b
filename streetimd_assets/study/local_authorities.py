"""England's 296 local authorities of 2024, by readable slug, code and name; and what they were before.

Source: Office for National Statistics, licensed under the Open Government Licence v3.0;
``n_lsoas`` counts their LSOAs of 2021.
"""

import csv
import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from streetimd_assets.errors import UnknownLocalAuthorityError


@dataclass(frozen=True)
class LocalAuthority:
    """One local authority district; ``slug`` is its partition key."""

    slug: str
    lad_code: str
    name: str
    n_lsoas: int


def slugify(name: str) -> str:
    """Return the readable key of a name: ``"Tower Hamlets"`` becomes ``"tower-hamlets"``."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub("['’]", "", name.lower())).strip("-")


# invented places of the synthetic world; their codes begin with Z, which no official code does
SYNTHETIC_LOCAL_AUTHORITIES = tuple(
    LocalAuthority(slugify(name), f"Z0600000{number}", name, n_lsoas)
    for number, (name, n_lsoas) in enumerate(
        {
            "Alderwick": 60,
            "Brackenholt": 56,
            "Corvendale": 50,
            "Dunmere": 50,
            "Elmsthorpe": 44,
            "Farrowby": 40,
        }.items(),
        start=1,
    )
)


@cache
def all_local_authorities() -> dict[str, LocalAuthority]:
    """Return England's local authorities by slug, in alphabetical order."""
    text = (files("streetimd_assets.study") / "local_authorities.csv").read_text(encoding="utf-8")
    return {
        row["local_authority"]: LocalAuthority(
            row["local_authority"], row["lad_code"], row["lad_name"], int(row["n_lsoas"])
        )
        for row in csv.DictReader(text.splitlines())
    }


@cache
def lad_changes() -> dict[str, str]:
    """Return the code of 2024 of every local authority district of 2019 that has become part of another.

    Whole districts were merged, none was divided.
    """
    text = (files("streetimd_assets.study") / "lad_changes.csv").read_text(encoding="utf-8")
    return {row["lad_code_before"]: row["lad_code"] for row in csv.DictReader(text.splitlines())}


def codes_since_2019(lad_code: str) -> list[str]:
    """Return the codes that a local authority of 2024, or a part of it, has had since 2019.

    Examples
    --------
    >>> codes_since_2019("E06000063")  # Cumberland: Allerdale, Carlisle and Copeland until 2023
    ['E06000063', 'E07000026', 'E07000028', 'E07000029']
    """
    return [lad_code, *(before for before, after in lad_changes().items() if after == lad_code)]


def name_codes(codes: Collection[str], at_most: int = 20) -> str:
    """Return the codes for a sentence: all of them, or the first ones and how many more there are.

    Examples
    --------
    >>> name_codes(["E01000003", "E01000001", "E01000002"], at_most=2)
    'E01000001, E01000002 and 1 more'
    """
    named = ", ".join(sorted(codes)[:at_most])
    return named + (f" and {len(codes) - at_most:,} more" if len(codes) > at_most else "")


def find_local_authority(name: str, among: Iterable[LocalAuthority] | None = None) -> LocalAuthority:
    """Find a local authority by slug, official name or code.

    Raises
    ------
    UnknownLocalAuthorityError
        If there is none so called; the sentence suggests the nearest names.
    """
    offered = list(all_local_authorities().values() if among is None else among)
    for authority in offered:
        if name in (authority.lad_code, authority.name) or slugify(name) == authority.slug:
            return authority
    slugs = [authority.slug for authority in offered]
    near = difflib.get_close_matches(slugify(name), slugs, n=3, cutoff=0.5) or slugs[:3]
    whose = "England's local authorities of 2024" if among is None else "the study's local authorities"
    raise UnknownLocalAuthorityError(f"'{name}' is not one of {whose}; did you mean {', '.join(near)}?")
