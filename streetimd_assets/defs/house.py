"""What every asset of a study shares: the study, its folder, its tables and its partitions."""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import dagster as dg

from streetimd_assets.schemas import TABLES
from streetimd_assets.settings import Settings
from streetimd_assets.store.tables import TableStore
from streetimd_assets.study import LocalAuthority, Study


@dataclass(frozen=True)
class House:
    """A study and where it is kept."""

    study: Study
    settings: Settings

    @cached_property
    def folder(self) -> Path:
        """The study's folder below the data root."""
        return self.settings.study_folder(self.study.name)

    @cached_property
    def cache(self) -> Path:
        """Downloads, shared by all studies of the data root."""
        return self.settings.data_root / "cache"

    @cached_property
    def store(self) -> TableStore:
        """The study's tables."""
        return TableStore(self.folder, self.study.categories.names, self.study.area_features)

    @cached_property
    def partitions(self) -> dg.StaticPartitionsDefinition:
        """One partition per local authority, the one with most LSOAs first."""
        return dg.StaticPartitionsDefinition(list(self.study.slugs))

    def authority(self, context: dg.AssetExecutionContext) -> LocalAuthority:
        """Return the local authority a run is about."""
        return self.study.authority(context.partition_key)

    def page(self, asset: str, local_authority: str | None = None) -> Path:
        """Return the path of an asset's HTML page."""
        folder = self.folder / "pages"
        return folder / asset / f"{local_authority}.html" if local_authority else folder / f"{asset}.html"

    def page_url(self, path: Path) -> str:
        """Return the address at which the server of pages shows one of them."""
        place = path.relative_to(self.folder / "pages").as_posix()
        return f"{self.settings.pages_url}/{self.study.name}/{quote(place)}"

    def has_table(self, name: str) -> bool:
        """Return True if the study makes this table: one of area features has none about images."""
        return self.study.has_images or not TABLES[name].is_of_images

    def file_of(self, asset: str, local_authority: str | None = None) -> Path:
        """Return the file an asset is kept in: a table's, or a page."""
        if asset in TABLES:
            return self.store.path(asset, local_authority)
        return self.page(asset, local_authority)

    def covered(self, chosen: Sequence[str] = ()) -> list[str]:
        """Return the local authorities a study-wide asset runs over.

        Those chosen in the run's configuration, or all that have features.

        Raises
        ------
        UnknownLocalAuthorityError
            If one chosen is not the study's.
        TableMissingError
            If one chosen has no features yet.
        """
        if chosen:
            return sorted({self.study.authority(name).slug for name in chosen})
        present = set(self.store.local_authorities("lsoa_features"))
        return sorted(present & set(self.study.slugs))


@atexit.register
def _end_quietly() -> None:
    """Close standard error at the very end of a process that used DuckDB beside torch or LightGBM.

    DuckDB's bindings then print pages about objects those libraries keep alive until the process is
    gone; nothing is wrong, and nothing of ours is printed so late.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
