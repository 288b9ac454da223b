"""A study opened for reading: the tables in a notebook, in three lines.

>>> from streetimd_assets.store import open_study
>>> study = open_study("demo")  # doctest: +SKIP
>>> features = study.read("lsoa_features")  # doctest: +SKIP
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import StoreError, TableMissingError
from streetimd_assets.schemas import TABLES
from streetimd_assets.settings import Settings
from streetimd_assets.store import querying
from streetimd_assets.store.lsoas import (
    LOCAL_AUTHORITY,
    as_geodataframe,
    boundaries_of,
    headline_predictions,
    read_lsoas,
)
from streetimd_assets.store.tables import TableStore
from streetimd_assets.study import Study, load_study

if TYPE_CHECKING:
    import geopandas as gpd


def open_study(name: str = "demo", data: str | Path | None = None) -> "OpenStudy":
    """Open a study for reading.

    Parameters
    ----------
    name
        A bundled study's name or the path of a study file.
    data
        The data root; ``STREETIMD_DATA``, or ``data`` below the current folder, if left out.

    Raises
    ------
    StudyError
        If there is no such study.
    TableMissingError
        If nothing of it has been materialised below that data root.
    """
    settings = replace(Settings.from_environment(), study=str(name))
    if data is not None:
        settings = replace(settings, data_root=Path(data).expanduser().resolve())
    study = load_study(settings.study)
    opened = OpenStudy(study, settings.study_folder(study.name))
    opened.tables()
    return opened


class OpenStudy:
    """The tables of a study, for reading; nothing done here changes them.

    Parameters
    ----------
    study
        The study.
    folder
        Its folder below the data root.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self.study = study
        self.folder = folder
        self._store = TableStore(folder, study.categories.names, study.area_features)

    def __repr__(self) -> str:
        return f"<{self.study.heading}: {len(self.tables())} tables in {self.folder}>"

    def tables(self) -> pd.DataFrame:
        """Return the tables there are: what one row is, how many rows, of how many local authorities."""
        return querying.tables(self.folder)

    def columns(self, table: str) -> pd.DataFrame:
        """Return a table's columns with their types, units and meanings."""
        columns = self._store.table(self._known(table)).columns
        rows = [(column.name, column.type, column.unit, column.nullable, column.meaning) for column in columns]
        return pd.DataFrame(rows, columns=["column", "type", "unit", "nullable", "meaning"])

    def read(
        self,
        table: str,
        local_authorities: str | Iterable[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Read a table.

        Parameters
        ----------
        table
            Its name; :meth:`tables` lists them.
        local_authorities
            Of a table kept per local authority: those to read, all that have it if left out.
        columns
            Those to read, all if left out; embeddings take much room.

        Returns
        -------
        rows
            Embeddings as arrays of shape (n_dimensions,), or None. Of a table kept per local authority, all columns
            are those declared and ``local_authority``.

        Raises
        ------
        TableMissingError
            If it has not been materialised.
        """
        if not TABLES[self._known(table)].is_partitioned:
            return self._store.read(table, columns=columns)
        slugs = self._chosen(table, local_authorities)
        if not slugs:
            raise TableMissingError(f"no local authority has {table} yet; materialise it for one or more first")
        declared = [name for name in columns if name != LOCAL_AUTHORITY.name] if columns else None
        parts = [(slug, self._store.read(table, slug, declared)) for slug in slugs]
        if columns is None or LOCAL_AUTHORITY.name in columns:
            parts = [(slug, rows.assign(**{LOCAL_AUTHORITY.name: slug})) for slug, rows in parts]
        # a part without rows has no types of its own to bring in
        filled = [rows for _, rows in parts if len(rows)] or [rows for _, rows in parts][:1]
        return pd.concat(filled, ignore_index=True)

    def read_embeddings(self, local_authority: str) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
        """Read a local authority's image embeddings as rows and a matrix of shape (n_images, 512)."""
        return self._store.read_embeddings(self.study.authority(local_authority).slug)

    def geo(self, table: str, local_authorities: str | Iterable[str] | None = None) -> "gpd.GeoDataFrame":
        """Read a table of outlines, lines or points as a GeoDataFrame in EPSG:27700."""
        return as_geodataframe(table, self.read(table, local_authorities))

    def lsoas(self, local_authorities: str | Iterable[str] | None = None) -> "gpd.GeoDataFrame":
        """Return LSOAs with deprivation, counts, category shares and predictions, ready to draw.

        geopandas draws with matplotlib, and explores with folium and mapclassify: install them for it.

        >>> study.lsoas().explore("predicted")  # doctest: +SKIP

        Returns
        -------
        lsoas
            A row per LSOA that has boundaries, EPSG:27700; what is not known is missing. Predicted is what
            ridge on embeddings says of an LSOA it never saw.
        """
        slugs = boundaries_of(self._store, self._chosen("lsoa_boundaries", local_authorities))
        predictions = headline_predictions(self._store)
        parts = [read_lsoas(self._store, slug, predictions) for slug in slugs]
        return as_geodataframe("lsoas", pd.concat(parts, ignore_index=True))

    def sql(self, query: str) -> pd.DataFrame:
        """Ask all tables in DuckDB's SQL, read-only."""
        return querying.query(self.folder, query)

    def _known(self, table: str) -> str:
        if table not in TABLES:
            raise StoreError(f"there is no table {table!r}; the tables are {', '.join(TABLES)}")
        return table

    def _chosen(self, table: str, local_authorities: str | Iterable[str] | None) -> list[str]:
        if local_authorities is not None:
            names = [local_authorities] if isinstance(local_authorities, str) else local_authorities
            return [self.study.authority(name).slug for name in names]
        present = set(self._store.local_authorities(table))
        return [slug for slug in self.study.slugs if slug in present]
