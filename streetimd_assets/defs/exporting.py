"""The bundle of a study to share: its tables and maps, what they mean and whose they are; no pictures."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from streetimd_assets import __version__
from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.bundle_papers import citation, licences, readme
from streetimd_assets.defs.house import House
from streetimd_assets.errors import TableMissingError
from streetimd_assets.settings import Settings
from streetimd_assets.store.exporting import Bundle, Say, folder_written_whole, write_checksums
from streetimd_assets.study import load_study

_RIGHTS = ["source", "licence", "credit"]


def export_study(settings: Settings, folder: Path, local_authorities: Iterable[str] | None, say: Say) -> Path:
    """Write a study's tables for other programs, without pictures; return the folder.

    The folder appears whole or not at all.

    Parameters
    ----------
    settings
        Names the study and where its data are kept.
    folder
        The new folder.
    local_authorities
        Those exported; all that have boundaries if None.
    say
        Told each table as it is written.

    Raises
    ------
    StoreError
        If the folder exists already, or may not be written.
    UnknownLocalAuthorityError
        If a local authority is not one of the study's.
    TableMissingError
        If nothing has been materialised for one of them.
    """
    house = House(load_study(settings.study), settings)
    slugs = _chosen(house, local_authorities)
    target = Path(folder).expanduser().absolute()
    with folder_written_whole(target) as made:
        bundle = Bundle(house.store, slugs, local_authorities is None, made, house.study.heading)
        written = bundle.write(say)
        names = [house.study.authority(slug).name for slug in slugs]
        credits = _credits(house, slugs)
        today = datetime.now(UTC).date()
        papers = {
            "README.md": readme(house.study, names, written, today),
            "LICENCES.md": licences(house.study, Acquisition(house).terms, credits),
            "CITATION.cff": citation(house.study, __version__, today),
        }
        for name, text in papers.items():
            (made / name).write_text(text, encoding="utf-8")
        write_checksums(made)
    return target


def _chosen(house: House, local_authorities: Iterable[str] | None) -> list[str]:
    """Return the partitions to export, in the order of the study."""
    held = set(house.store.local_authorities("lsoa_boundaries"))
    if local_authorities is None:
        chosen = [slug for slug in house.study.slugs if slug in held]
    else:
        wanted = {house.study.authority(name).slug for name in local_authorities}
        chosen = [slug for slug in house.study.slugs if slug in wanted]
    missing = [slug for slug in chosen if slug not in held]
    if missing or not chosen:
        of = f"of {', '.join(missing)} " if missing else ""
        raise TableMissingError(
            f"nothing {of}has been materialised in {house.folder} yet; "
            f"run `streetimd run {house.settings.study}`, or materialise it in the Dagster UI"
        )
    return chosen


def _credits(house: House, slugs: Sequence[str]) -> pd.DataFrame:
    """Count images by source, licence and credit; the commonest first."""
    counts = [
        house.store.read("street_images", slug, _RIGHTS).value_counts(dropna=False)
        for slug in slugs
        if house.store.holds("street_images", slug)
    ]
    if not counts:
        return pd.DataFrame(columns=[*_RIGHTS, "n_images"])
    together = pd.concat([count.rename("n_images").reset_index() for count in counts])
    counted = together.groupby(_RIGHTS, dropna=False)["n_images"].sum().reset_index()
    return counted.sort_values(["n_images", *_RIGHTS], ascending=[False, True, True, True])
