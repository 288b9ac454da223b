"""The table of area features that a study may name instead of images: its columns, read from its head alone."""

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from streetimd_assets.errors import StudyError
from streetimd_assets.schemas import TABLES

KEY, COUNT = "lsoa_code", "n_images"
_REMEDY = "correct features.features_from in the study, or put the file back"
# columns that name places or number rows: they stand in most tables of areas, and describe nothing
_NAMES_OF_PLACES = re.compile(
    r"((OA|LSOA|MSOA|WD|LAD|CTY|RGN|CTRY)\d\d(CD|NM|NMW))|((lsoa|msoa|lad|ward|region)_(code|name))"
    r"|((LSOA|MSOA|Local Authority District) (code|name) \(\d{4}\))|(unnamed: \d+)|(__index_level_\d+__)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class AreaTable:
    """Which columns a table of area features has.

    Parameters
    ----------
    path
        The file.
    key
        Column with the LSOA's code, as the file names it.
    features
        Columns with features, in the order of the file.
    passed_over
        Columns that name places or number rows.
    has_counts
        True if a column ``n_images`` says how much each row rests on.
    """

    path: Path
    key: str
    features: tuple[str, ...]
    passed_over: tuple[str, ...]
    has_counts: bool

    @cached_property
    def identity(self) -> str:
        """Name of the file and hash of its content: rows made from another content are never pooled with its."""
        with self.path.open("rb") as file:
            return f"{self.path.name}@{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}"


def read_head(path: str | Path, census: int) -> AreaTable:
    """Read which columns a table of area features has; its rows are not looked at.

    Parameters
    ----------
    path
        A CSV file in UTF-8 with a line of headings, or a Parquet file.
    census
        Year of the census whose LSOAs the study's index is on, 2011 or 2021.

    Raises
    ------
    StudyError
        If it cannot be read, has no column of LSOA codes or no feature, is on LSOAs of another census, or
        has a heading that cannot name a column of ours.
    """
    file = Path(path)
    headings = _headings(file)
    known = {heading.casefold(): heading for heading in headings}
    key = next((known[name.casefold()] for name in _keys(census) if name.casefold() in known), None)
    if key is None:
        raise StudyError(_without_key(file, headings, census))
    others = [heading for heading in headings if heading not in (key, known.get(COUNT))]
    features = tuple(name for name in others if name and not _NAMES_OF_PLACES.fullmatch(name))
    passed_over = tuple(name or "a column without a heading" for name in others if name not in features)
    _require_names(file, features)
    return AreaTable(file, key, features, passed_over, known.get(COUNT) == COUNT)


def _keys(census: int) -> tuple[str, ...]:
    # what says its year comes first
    return (f"LSOA{census % 100}CD", f"LSOA code ({census})", KEY)


def _headings(file: Path) -> list[str]:
    """Return the names of the columns, blanks around them taken off where a table was written by hand."""
    try:
        if file.suffix.lower() == ".parquet":
            return _of_parquet(file)
        if file.suffix.lower() == ".csv":
            with file.open(encoding="utf-8-sig", newline="") as text:
                return [cell.strip() for cell in next(csv.reader(text), [])]
    except UnicodeDecodeError:
        raise StudyError(f"'{file}' is not text in UTF-8; save it again as CSV in UTF-8") from None
    except (OSError, csv.Error) as problem:
        raise StudyError(f"'{file}' cannot be read ({type(problem).__name__}); {_REMEDY}") from None
    raise StudyError(
        f"'{file.name}' is neither a .csv nor a .parquet file; save the table of area features as one of them"
    )


def _of_parquet(file: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [str(name) for name in pq.read_schema(file).names]
    except pa.ArrowInvalid:
        raise StudyError(f"'{file}' is not a Parquet file; {_REMEDY}") from None


def _without_key(file: Path, headings: Sequence[str], census: int) -> str:
    other, index = (2011, "iod2019") if census == 2021 else (2021, "iod2025")
    wanted = {name.casefold() for name in _keys(other)[:-1]}
    found = next((heading for heading in headings if heading.casefold() in wanted), None)
    if found:
        return (
            f"'{file.name}' has {found}, LSOAs of {other}, and the study's index is on those of {census}; give a "
            f"table by {_keys(census)[0]}, or set deprivation.index = '{index}'"
        )
    shown = ", ".join(headings[:5]) or "none"
    return (
        f"'{file.name}' has no column of LSOA codes (its columns begin with {shown}); name that column {KEY} or "
        f"{_keys(census)[0]}"
    )


def _require_names(file: Path, features: Sequence[str]) -> None:
    if not features:
        raise StudyError(f"'{file.name}' has no column of features; give it one column of numbers at least")
    for wrong, remedy in _faults_of_names(features):
        raise StudyError(f"'{file.name}' has {wrong}; {remedy}")


def _faults_of_names(features: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a heading, and what to do."""
    ours = {name.casefold() for table in TABLES.values() for name in table.expand().column_names}
    for place, name in enumerate(features):
        # databases take a small letter for a capital
        if name.casefold() in (other.casefold() for other in features[:place]):
            yield f"two columns '{name}'", "give each a name of its own, small letters and capitals being the same"
        if name.casefold() in ours:
            yield f"a column '{name}', and so has a table of StreetIMD's own", "give it another name"
        if not name.isprintable() or '"' in name or name[0] in "=+-@" or len(name) > 200:
            yield (
                f"a column {name[:60]!r}",
                "give it a name of at most 200 letters, without quotes and line ends, not beginning with = + - @",
            )
