"""The English Indices of Deprivation, from the government's File 7.

Source: Ministry of Housing, Communities and Local Government, Open Government Licence v3.0.
The 2025 edition is on LSOAs of 2021, the 2019 edition on those of 2011; rank 1 is the most deprived.
"""

import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streetimd_assets.errors import DeprivationError
from streetimd_assets.schemas import DOMAINS, get_table
from streetimd_assets.sources.downloads import Download, download, local_file
from streetimd_assets.sources.national import require_national
from streetimd_assets.study.local_authorities import LocalAuthority, name_codes

if TYPE_CHECKING:
    import pandas as pd

Index = Literal["iod2025", "iod2019"]

_PUBLISHER = "https://assets.publishing.service.gov.uk/media"
DEFAULT_FILES: dict[str, str] = {
    "iod2025": f"{_PUBLISHER}/691ded56d140bbbaa59a2a7d/"
    "File_7_IoD2025_All_Ranks_Scores_Deciles_Population_Denominators.csv",
    "iod2019": f"{_PUBLISHER}/5dc407b440f0b6379a7acc8d/"
    "File_7_-_All_IoD2019_Scores__Ranks__Deciles_and_Population_Denominators_3.csv",
}

# year of the LSOA codes and of the local authority codes in each edition's headings
_YEARS: dict[str, tuple[int, int]] = {"iod2025": (2021, 2024), "iod2019": (2011, 2019)}
_OTHER: dict[str, str] = {"iod2025": "iod2019", "iod2019": "iod2025"}
_RATES = ("income", "employment")
_REMEDY = "set deprivation.url in the study to the File 7 of that edition, or to a copy of it on disk"


@dataclass(frozen=True)
class Deprivation:
    """One edition of the index and the file it comes from.

    ``table`` has the columns of ``deprivation_indices``, one row per LSOA in the order of their
    codes; ``lad_code`` is that of the file: of 2024 in the 2025 edition, of 2019 in the 2019 edition.
    """

    table: "pd.DataFrame"
    provenance: Download


def load_deprivation(
    url_or_path: str | Path, *, index: Index, cache_folder: Path, is_national: bool
) -> Deprivation:
    """Load one edition of the index for every LSOA in its file.

    Parameters
    ----------
    url_or_path
        Address of File 7, or the path of a copy, plain or gzip-compressed; :data:`DEFAULT_FILES` are
        the government's own.
    index
        The edition: ``iod2025`` or ``iod2019``.
    cache_folder
        Where a downloaded file is kept; it is checked at most once a day.
    is_national
        The file has to be whole: every LSOA of England, ranks in the order of scores and deciles in
        that of ranks.

    Raises
    ------
    DeprivationError
        If the file cannot be had, lacks a column, holds something that is not a number, has an LSOA
        twice, or is not whole though it has to be.
    """
    file = _have(url_or_path, cache_folder)
    origin = file.address
    raw = _parse(_read(file), origin)
    headings = _headings(index)
    _require_headings(raw, headings, index, origin)
    table = _as_indices(raw, headings, index, origin)
    if is_national:
        require_national(table, index=index, origin=origin)
    return Deprivation(table.sort_values("lsoa_code", ignore_index=True), file)


def select_deprivation(
    table: "pd.DataFrame", lsoa_codes: Iterable[str], authority: LocalAuthority, index: Index
) -> "pd.DataFrame":
    """Select the rows of one local authority's LSOAs.

    Parameters
    ----------
    table
        Columns of ``deprivation_indices``, as :func:`load_deprivation` gives them.
    lsoa_codes
        Codes of the LSOAs whose boundaries are used.
    authority
        The local authority; its code is written into ``lad_code``, whatever the file's year.
    index
        The edition, for the sentence if codes do not match.

    Returns
    -------
    indices
        One row for each of ``lsoa_codes``, in the order of their codes.

    Raises
    ------
    DeprivationError
        If one of the codes is not in the index, which means that boundaries and index are of
        different censuses.
    """
    wanted = sorted(set(lsoa_codes))
    unmatched = sorted(set(wanted) - set(table["lsoa_code"]))
    if unmatched:
        census = _YEARS[index][0]
        raise DeprivationError(
            f"{len(unmatched)} of the {len(wanted)} LSOA codes of {authority.name} ({name_codes(unmatched)}) are "
            f"not in {index}, which is on LSOAs of {census}: name boundaries and a look-up of {census} under "
            f"geography, or set deprivation.index to the edition of your boundaries ('{_OTHER[index]}')"
        )
    rows = table[table["lsoa_code"].isin(wanted)].sort_values("lsoa_code", ignore_index=True)
    return rows.assign(lad_code=authority.lad_code)


def _have(url_or_path: str | Path, cache_folder: Path) -> Download:
    if "://" in str(url_or_path):
        return download(str(url_or_path), cache_folder, error=DeprivationError, remedy=_REMEDY)
    return local_file(Path(url_or_path), error=DeprivationError, remedy=_REMEDY)


def _read(file: Download) -> bytes:
    """Bytes of the file, decompressed if need be."""
    try:
        content = file.path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError) as problem:
        raise DeprivationError(f"'{file.path}' cannot be read ({type(problem).__name__}); {_REMEDY}") from None


def _parse(content: bytes, origin: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        raw = pd.read_csv(io.BytesIO(content), dtype=str, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError):
        raise DeprivationError(f"{origin} is not a CSV file; {_REMEDY}") from None
    return raw.rename(columns=lambda heading: " ".join(str(heading).split()))


def _headings(index: str) -> dict[str, str]:
    """Column of ours to official heading, for one edition."""
    lsoa_year, lad_year = _YEARS[index]
    headings = {
        "lsoa_code": f"LSOA code ({lsoa_year})",
        "lad_code": f"Local Authority District code ({lad_year})",
    }
    for name, label in {"imd": "Index of Multiple Deprivation (IMD)", **DOMAINS}.items():
        headings[f"{name}_score"] = f"{label} Score (rate)" if name in _RATES else f"{label} Score"
        headings[f"{name}_rank"] = f"{label} Rank (where 1 is most deprived)"
        headings[f"{name}_decile"] = f"{label} Decile (where 1 is most deprived 10% of LSOAs)"
    return headings


def _require_headings(raw: "pd.DataFrame", headings: dict[str, str], index: str, origin: str) -> None:
    if _headings(_OTHER[index])["lsoa_code"] in raw and headings["lsoa_code"] not in raw:
        raise DeprivationError(
            f"{origin} has no column '{headings['lsoa_code']}' and is the {_OTHER[index]} edition, not {index}; "
            f"set deprivation.index = '{_OTHER[index]}', or {_REMEDY}"
        )
    missing = [heading for heading in headings.values() if heading not in raw]
    if missing:
        more = f" (nor {len(missing) - 1} others of File 7)" if len(missing) > 1 else ""
        raise DeprivationError(f"{origin} has no column '{missing[0]}'{more}; {_REMEDY}")


def _as_indices(raw: "pd.DataFrame", headings: dict[str, str], index: str, origin: str) -> "pd.DataFrame":
    import pandas as pd

    official = raw[list(headings.values())].set_axis(list(headings), axis=1)
    table = pd.DataFrame({name: official[name].str.strip() for name in ("lsoa_code", "lad_code")})
    table["deprivation_index"] = index
    for name in list(headings)[2:]:
        numbers = pd.to_numeric(official[name].str.replace(",", ""), errors="coerce")
        is_wrong = numbers.isna() if name.endswith("_score") else numbers.isna() | (numbers % 1 != 0)
        if is_wrong.any():
            value, code = official[name][is_wrong].iloc[0], str(table["lsoa_code"][is_wrong].iloc[0])
            raise DeprivationError(
                f"{origin} has {value!r} as '{headings[name]}' of {code}, which should be a number; {_REMEDY}"
            )
        table[name] = numbers if name.endswith("_score") else numbers.astype("int32")
    is_again = table["lsoa_code"].duplicated()
    if is_again.any():
        code = table["lsoa_code"][is_again].iloc[0]
        # the file's first line holds the headings
        first, second = (table.index[table["lsoa_code"] == code] + 2)[:2]
        raise DeprivationError(f"{origin} has {code} twice (lines {first:,} and {second:,}); {_REMEDY}")
    return table[list(get_table("deprivation_indices").column_names)]
