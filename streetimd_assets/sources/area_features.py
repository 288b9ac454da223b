"""Area features from a table that the user gives, CSV or Parquet, keyed by LSOA code.

Nothing is known of its columns but that they are numbers. What can be told of its rows is: each has the
code of one LSOA, no LSOA has two, and the codes are of the census that the deprivation index is on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streetimd_assets.errors import AreaFeaturesError
from streetimd_assets.sources.downloads import Download, local_file
from streetimd_assets.study.area_table import COUNT, KEY, AreaTable
from streetimd_assets.study.local_authorities import LocalAuthority, name_codes

if TYPE_CHECKING:
    import pandas as pd

# the last code of England's LSOAs of 2011; those that were drawn for 2021 come after it
_LAST_OF_2011 = "E01033768"
_REMEDY = "correct features.features_from in the study, or the file"


@dataclass(frozen=True)
class AreaFeatures:
    """A table of area features and the file it comes from.

    ``table`` has one row per LSOA in the order of their codes: ``lsoa_code``, ``n_images`` (1 where the
    file does not say what a row rests on) and a column of numbers for each feature, missing where the
    file has none.
    """

    table: "pd.DataFrame"
    provenance: Download


def read_area_features(head: AreaTable) -> AreaFeatures:
    """Read the whole of a table of area features.

    Parameters
    ----------
    head
        Its columns, as the study read them.

    Raises
    ------
    AreaFeaturesError
        If the file has changed since its head was read, or cannot be read; if a row has no code or that of
        another row; or if something is not a finite number.
    """
    provenance = local_file(head.path, error=AreaFeaturesError, remedy=_REMEDY)
    if not provenance.sha256.startswith(head.identity.rpartition("@")[2]):
        raise AreaFeaturesError(
            f"'{head.path.name}' has changed since the study was loaded; reload the definitions (Deployment, in "
            "the Dagster UI), and materialise this again"
        )
    raw = _read(head)
    table = _with_codes(raw, head)
    for name in head.features:
        table[name] = _numbers(raw[name], name, table[KEY], head)
    table[COUNT] = _counts(raw, table[KEY], head)
    return AreaFeatures(table.sort_values(KEY, ignore_index=True)[[KEY, COUNT, *head.features]], provenance)


def select_area_features(
    found: AreaFeatures, lsoa_codes: Sequence[str], authority: LocalAuthority, census: int
) -> "pd.DataFrame":
    """Select the rows of one local authority's LSOAs; rows of others are left aside.

    Parameters
    ----------
    found
        The whole table.
    lsoa_codes
        Codes of the local authority's LSOAs.
    authority, census
        The local authority, and the census its LSOAs are of.

    Returns
    -------
    rows
        Of those LSOAs that the table has, in the order of their codes.

    Raises
    ------
    AreaFeaturesError
        If it has none of them, or its codes are those of the other census.
    """
    origin, table = found.provenance.path.name, found.table
    _require_census(table, lsoa_codes, authority, census, origin)
    rows = table[table[KEY].isin(list(lsoa_codes))].reset_index(drop=True)
    if rows.empty:
        such = f", which has codes such as {table[KEY].iloc[0]}" if len(table) else ", which has no rows"
        raise AreaFeaturesError(
            f"none of the {len(lsoa_codes)} LSOAs of {authority.name} ({name_codes(sorted(lsoa_codes))}) is in "
            f"'{origin}'{such}; add their rows, or take {authority.name} out of local_authorities"
        )
    return rows


def _read(head: AreaTable) -> "pd.DataFrame":
    import pandas as pd

    wanted = [head.key, *head.features, *([COUNT] if head.has_counts else [])]
    try:
        if head.path.suffix.lower() == ".parquet":
            return pd.read_parquet(head.path).reset_index()[wanted]
        raw = pd.read_csv(head.path, encoding="utf-8-sig", dtype={head.key: str}, skipinitialspace=True)
        return raw.rename(columns=lambda heading: str(heading).strip())[wanted]
    except (ValueError, OSError, KeyError, pd.errors.ParserError) as problem:
        said = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise AreaFeaturesError(f"'{head.path.name}' cannot be read ({said}); {_REMEDY}") from None


def _with_codes(raw: "pd.DataFrame", head: AreaTable) -> "pd.DataFrame":
    """One row per LSOA: its code, as text without blanks."""
    import pandas as pd

    codes = raw[head.key].astype("string").str.strip()
    if (codes.isna() | (codes == "")).any():
        place = int((codes.isna() | (codes == "")).to_numpy().argmax()) + 1
        raise AreaFeaturesError(
            f"'{head.path.name}' has no {head.key} in row {place:,}; fill it, or remove the row"
        )
    if codes.duplicated().any():
        twice = codes[codes.duplicated()].iloc[0]
        raise AreaFeaturesError(
            f"'{head.path.name}' has {(codes == twice).sum()} rows of {twice}; give one row per LSOA"
        )
    return pd.DataFrame({KEY: codes.astype(object)})


def _numbers(values: "pd.Series", name: str, codes: "pd.Series", head: AreaTable) -> "pd.Series":
    """Return a column as numbers; what is empty is missing."""
    import numpy as np
    import pandas as pd

    # a moment or a length of time would turn into a number without a word
    is_number = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
    may_be = is_number or pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)
    numbers = pd.to_numeric(values, errors="coerce").astype(float) if may_be else pd.Series(np.nan, values.index)
    wrong = (numbers.isna() & values.notna()) | np.isinf(numbers)
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise AreaFeaturesError(
            f"'{head.path.name}' has '{values.iloc[place]}' as '{name}' of {codes.iloc[place]}, which is not a "
            "finite number; correct it, leave it empty, or remove the column if it is no feature"
        )
    return numbers


def _counts(raw: "pd.DataFrame", codes: "pd.Series", head: AreaTable) -> "pd.Series":
    """Return what each row rests on, 1 where the file does not say; not known is nothing."""
    import pandas as pd

    if not head.has_counts:
        return pd.Series(1, raw.index)
    counts = _numbers(raw[COUNT], COUNT, codes, head).fillna(0)
    wrong = (counts < 0) | (counts % 1 != 0)
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise AreaFeaturesError(
            f"'{head.path.name}' has {counts.iloc[place]:g} as {COUNT} of {codes.iloc[place]}; it must be a whole "
            "number from 0, or call the column something else if it is a feature"
        )
    return counts.astype(int)


def _require_census(
    table: "pd.DataFrame", lsoa_codes: Sequence[str], authority: LocalAuthority, census: int, origin: str
) -> None:
    """Refuse codes of the other census: most are the same in both, and stand for another outline in some.

    What tells them apart are the LSOAs drawn for 2021, whose codes come after all of 2011.
    """
    drawn_later = table[KEY][(table[KEY] > _LAST_OF_2011) & table[KEY].str.match(r"E01\d{6}$")]
    if census == 2011 and len(drawn_later):
        raise AreaFeaturesError(
            f"'{origin}' has {drawn_later.iloc[0]}, an LSOA of 2021, and the study's index is on those of 2011; "
            "give a table by LSOA of 2011, or set deprivation.index = 'iod2025'"
        )
    wanted = [code for code in sorted(lsoa_codes) if code.startswith("E01") and code > _LAST_OF_2011]
    if census == 2021 and wanted and drawn_later.empty:
        raise AreaFeaturesError(
            f"'{origin}' has none of the LSOAs drawn for the census of 2021, of which {authority.name} has "
            f"{len(wanted)} ({name_codes(wanted)}): its codes are of 2011; give a table by LSOA of 2021, or set "
            "deprivation.index = 'iod2019'"
        )
