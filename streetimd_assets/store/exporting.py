"""Write a study's tables as files that other programs read: Parquet, CSV and a GeoPackage; no pictures.

Each local authority's part is read and written before the next one, so that the largest table needs
no more memory than the largest local authority.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from streetimd_assets.errors import StoreError
from streetimd_assets.schemas import TABLES, Table
from streetimd_assets.store.arrow import arrow_type, as_arrow
from streetimd_assets.store.files import room_needed_for
from streetimd_assets.store.lsoas import (
    CRS,
    LOCAL_AUTHORITY,
    boundaries_of,
    headline_predictions,
    lsoa_layer,
    read_lsoas,
)
from streetimd_assets.store.spreadsheets import harmless
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import written_tables

# columns that stay behind, and why
LEFT_OUT = {
    "image_path": "the pictures stay where the study is kept",
    "payload": "fitted models are read from the study's own database",
    "file": "the names of raters' files name the raters",
    "detail": "it names raters",
}
# beside the LSOAs, the tables that a map of them needs
POINT_LAYERS = ("sample_points", "panoramas")
GEOPACKAGE, CHECKSUMS, DICTIONARY = "lsoas.gpkg", "SHA256SUMS", "data_dictionary.csv"
_LSOAS = "lsoas"
_NUMBERED = "number of the rater; the name stays behind"
_BLOCK = 2**20
Say = Callable[[str], None]


@dataclass(frozen=True)
class Bundle:
    """What is exported, and into which folder.

    Parameters
    ----------
    store
        The study's tables.
    local_authorities
        Those exported.
    is_whole
        True if these are all of the study's; rows about others are left out of study-wide tables if not.
    folder
        Where the files are written.
    heading
        The study's title, which says SYNTHETIC IMAGES where images are painted; it stands in every file
        that has room for it.
    """

    store: TableStore
    local_authorities: Sequence[str]
    is_whole: bool
    folder: Path
    heading: str

    def write(self, say: Say) -> pd.DataFrame:
        """Write all files but words and checksums; return what was written.

        Returns
        -------
        written
            One row per file: ``file``, ``one_row_is``, ``n_rows``.
        """
        written = [self._write_lsoas(say)]
        for name in (name for name in TABLES if name in written_tables(self.store)):
            n_rows = self._write_table(name)
            if n_rows is not None:
                written.append((f"tables/{name}", TABLES[name].grain, n_rows))
                say(f"{name}: {n_rows:,} rows")
        for name in POINT_LAYERS:
            self._write_points(name)
        self._write_dictionary([name.removeprefix("tables/") for name, _, _ in written[1:]])
        return pd.DataFrame(written, columns=["file", "one_row_is", "n_rows"])

    def _write_lsoas(self, say: Say) -> tuple[str, str, int]:
        layer = lsoa_layer(self.store)
        slugs = boundaries_of(self.store, self.local_authorities)
        predictions = headline_predictions(self.store)
        with _Files(self, layer, self.folder / _LSOAS) as files:
            for slug in slugs:
                rows = as_arrow(layer, read_lsoas(self.store, slug, predictions))
                rows = _with_multipolygons(rows)
                files.add(rows)
                self._add_layer(layer, rows, "MultiPolygon")
        say(f"lsoas: {files.n_rows:,} rows")
        return _LSOAS, layer.grain, files.n_rows

    def _write_table(self, name: str) -> int | None:
        """Write a table as Parquet and, without embeddings, as CSV; None if it has no part here."""
        table = exported_table(self.store.table(name))
        parts = self._parts(name)
        if not parts:
            return None
        with _Files(self, table, self.folder / "tables" / name) as files:
            for slug in parts:
                files.add(self._rows(name, table, slug))
        return files.n_rows

    def _parts(self, name: str) -> list[str | None]:
        if not TABLES[name].is_partitioned:
            return [None]
        return [slug for slug in self.local_authorities if self.store.holds(name, slug)]

    def _rows(self, name: str, table: Table, slug: str | None) -> pa.Table:
        columns = [column.name for column in table.columns if column.name != LOCAL_AUTHORITY.name]
        rows = self.store.read_arrow(name, slug, columns)
        if "rater" in columns:
            rows = _without_names(rows)
        if slug is not None:
            slugs = pa.array([slug] * rows.num_rows, pa.string())
            return rows.append_column(LOCAL_AUTHORITY.name, slugs)
        if "lad_code" in columns and not self.is_whole:
            return rows.filter(pc.is_in(rows.column("lad_code"), pa.array(sorted(self._lad_codes()))))
        return rows

    def _lad_codes(self) -> set[str]:
        slugs = boundaries_of(self.store, self.local_authorities)
        return set(self.store.read_study_wide("lsoa_boundaries", slugs, ["lad_code"])["lad_code"])

    def _write_points(self, name: str) -> None:
        """Add a table's rows that have a position to the GeoPackage."""
        import shapely

        table = exported_table(self.store.table(name))
        for slug in self._parts(name):
            rows = self._rows(name, table, slug)
            rows = rows.filter(pc.is_valid(rows.column("easting_m")))
            points = shapely.points(rows.column("easting_m").to_numpy(), rows.column("northing_m").to_numpy())
            geometry = pa.array(shapely.to_wkb(points), pa.binary())
            self._add_layer(table, rows.append_column("geometry", geometry), "Point")

    def _add_layer(self, table: Table, rows: pa.Table, kind: str) -> None:
        from pyogrio.raw import write_arrow

        path = self.folder / GEOPACKAGE
        is_new = not path.exists() or table.name not in _layers(path)
        described = {"DESCRIPTION": f"one row is {table.grain}; {self.heading}", "SPATIAL_INDEX": "YES"}
        write_arrow(
            rows, path, layer=table.name, driver="GPKG", geometry_name="geometry", geometry_type=kind, crs=CRS,
            append=not is_new, layer_options=described if is_new else None,
        )  # fmt: skip

    def _write_dictionary(self, tables: Sequence[str]) -> None:
        declared = [lsoa_layer(self.store), *(exported_table(self.store.table(name)) for name in tables)]
        rows = [
            (table.name, column.name, column.type, column.unit, column.nullable, column.meaning, table.grain)
            for table in declared
            for column in table.columns
        ]  # fmt: skip
        names = ["table", "column", "type", "unit", "nullable", "meaning", "grain"]
        pd.DataFrame(rows, columns=names).to_csv(self.folder / DICTIONARY, index=False)

    def metadata_of(self, table: Table) -> dict[bytes, bytes]:
        """Return what a Parquet file says of itself."""
        said: dict[str, Any] = {"study": self.heading, "table": table.name, "one_row_is": table.grain}
        return {b"streetimd": json.dumps(said).encode(), **({b"geo": _geo(table)} if _has_geometry(table) else {})}


class _Files:
    """A Parquet file and, for a table without embeddings, a CSV file beside it, written part by part."""

    def __init__(self, bundle: Bundle, table: Table, stem: Path) -> None:
        self._table = table
        self._schema = _schema(table, bundle.metadata_of(table))
        self._csv = None if _has_embeddings(table) else stem.with_suffix(".csv")
        self._parquet = stem.with_suffix(".parquet")
        self.n_rows = 0

    def __enter__(self) -> "_Files":
        self._parquet.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._parquet, self._schema, compression="zstd")
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.close()

    def add(self, rows: pa.Table) -> None:
        """Add the next part."""
        self._writer.write_table(rows.cast(self._schema))
        if self._csv:
            is_first = not self._csv.exists()
            cells = readable(self._table, rows)
            if self._table.name == _LSOAS:
                # for spreadsheets, whose cells are too small for an outline
                cells = cells.drop(columns="geometry")
            cells.to_csv(self._csv, mode="a", header=is_first, index=False, encoding="utf-8", lineterminator="\n")
        self.n_rows += rows.num_rows


def _without_names(rows: pa.Table) -> pa.Table:
    """Call raters by numbers: who they are is theirs to tell."""
    raters = rows.column("rater")
    number = {name: f"rater {place}" for place, name in enumerate(sorted(set(raters.to_pylist())), start=1)}
    called = pa.array([number[name] for name in raters.to_pylist()], pa.string())
    return rows.set_column(rows.schema.get_field_index("rater"), "rater", called)


def exported_table(table: Table) -> Table:
    """Return a table's declaration as it is exported: without some columns, with the local authority's name."""
    kept = (column for column in table.columns if column.name not in LEFT_OUT)
    columns = tuple(replace(column, meaning=_NUMBERED) if column.name == "rater" else column for column in kept)
    return replace(table, columns=(*columns, LOCAL_AUTHORITY) if table.is_partitioned else columns)


def readable(table: Table, rows: pa.Table) -> pd.DataFrame:
    """Return rows as they stand in a CSV file: outlines as well-known text to the millimetre, texts harmless."""
    import shapely

    frame = rows.to_pandas(date_as_object=True, integer_object_nulls=True)
    for column in table.columns:
        if column.type == "BLOB":
            shapes = shapely.from_wkb(frame[column.name].to_numpy(object))
            frame[column.name] = shapely.to_wkt(shapes, rounding_precision=3)
        elif column.type == "VARCHAR":
            frame[column.name] = harmless(frame[column.name])
    return frame


@contextmanager
def folder_written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`; rename it into place if the block succeeds.

    Raises
    ------
    StoreError
        If `target` exists already, or may not be written.
    DiskFullError
        If there is no room left; nothing of it stays.
    """
    if target.exists() or target.is_symlink():
        raise StoreError(f"{target} is already there; name another folder, or remove it first")
    temporary = target.with_name(f".tmp-{uuid.uuid4().hex}-{target.name}")
    with room_needed_for(target, elsewhere="name another folder with --to"):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            os.rename(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file, as ``sha256sum --check`` reads it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _schema(table: Table, metadata: Mapping[bytes, bytes]) -> pa.Schema:
    """Return the declared columns as Arrow's, each with its unit and meaning."""
    fields = [
        pa.field(column.name, arrow_type(column), column.nullable).with_metadata(
            {"meaning": column.meaning, **({"unit": column.unit} if column.unit else {})}
        )
        for column in table.columns
    ]
    return pa.schema(fields, metadata=dict(metadata))


def _geo(table: Table) -> bytes:
    """Return what makes a Parquet file GeoParquet 1.1: where the geometry is, and its CRS."""
    from pyproj import CRS as System

    kinds = ["MultiPolygon"] if table.name == _LSOAS else []
    geometry = {"encoding": "WKB", "geometry_types": kinds, "crs": System(CRS).to_json_dict()}
    said = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    return json.dumps(said).encode()


def _with_multipolygons(rows: pa.Table) -> pa.Table:
    """Return rows whose outlines are all of one kind, as a layer wants them."""
    import shapely

    shapes = shapely.from_wkb(rows.column("geometry").to_numpy(zero_copy_only=False))
    whole = [shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape]) for shape in shapes]
    geometry = pa.array(shapely.to_wkb(whole), pa.binary())
    return rows.set_column(rows.column_names.index("geometry"), "geometry", geometry)


def _layers(path: Path) -> set[str]:
    import pyogrio

    return {str(name) for name, _ in pyogrio.list_layers(path)}


def _has_geometry(table: Table) -> bool:
    return any(column.name == "geometry" for column in table.columns)


def _has_embeddings(table: Table) -> bool:
    return any(column.is_embedding for column in table.columns)
