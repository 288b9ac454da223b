"""One DuckDB file per table and local authority, each written whole by one writer.

``<study folder>/tables/<table>/local_authority=<slug>/part.duckdb``, study-wide tables the same
without the partition folder. Nobody waits for a lock: a file is written under a temporary name and
renamed into place.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from streetimd_assets.errors import StoreError, TableMissingError, TableUnreadableError
from streetimd_assets.schemas import EMBEDDING_DIMENSIONS, SCHEMA_VERSION, TABLES, Table, get_table
from streetimd_assets.store.arrow import as_arrow, as_cells, as_fixed_size, empty_frame, hash_rows
from streetimd_assets.store.chunks import Chunks
from streetimd_assets.store.embeddings import IMAGE_EMBEDDINGS, read_names, read_some, read_whole
from streetimd_assets.store.files import sweep, written_whole
from streetimd_assets.store.part_files import first_line, open_table, refused, version_of, write_file


class TableStore:
    """The tables of one study.

    Parameters
    ----------
    folder
        The study's folder; tables stand below ``tables/``.
    categories
        The study's category names, which some columns are named for.
    features
        Of a study of area features, their names: columns are named for them, and embeddings have as many
        dimensions.
    """

    def __init__(self, folder: Path, categories: Sequence[str], features: Sequence[str] = ()) -> None:
        self.folder = Path(folder)
        self.categories = tuple(categories)
        self.features = tuple(features)

    def table(self, name: str) -> Table:
        """Return a table's declaration, its columns written out for this study."""
        return get_table(name, self.categories, self.features)

    def path(self, name: str, local_authority: str | None = None) -> Path:
        """Return the file of a table, or of one local authority's part of it."""
        folder = self.folder / "tables" / name
        if TABLES[name].is_partitioned:
            if local_authority is None:
                raise StoreError(f"table {name} is kept per local authority; name one")
            folder = folder / f"local_authority={local_authority}"
        return folder / "part.duckdb"

    def holds(self, name: str, local_authority: str | None = None) -> bool:
        """Return True if the table, or that part of it, has been written."""
        return self.path(name, local_authority).exists()

    def local_authorities(self, name: str) -> list[str]:
        """Return the local authorities that have a part of this table, in alphabetical order."""
        parts = (self.folder / "tables" / name).glob("local_authority=*/part.duckdb")
        return sorted(path.parent.name.removeprefix("local_authority=") for path in parts)

    def write(self, name: str, frame: pd.DataFrame, local_authority: str | None = None) -> int:
        """Replace a table, or one local authority's part of it; return its number of rows.

        Raises
        ------
        StoreError
            If columns are missing or unknown, a key is repeated or a value is NULL that must not be.
        DiskFullError
            If there is no room left; what was there stays.
        """
        table = self.table(name)
        rows = as_arrow(table, frame)
        with written_whole(self.path(name, local_authority)) as temporary:
            write_file(temporary, table, rows)
        return rows.num_rows

    def read(
        self, name: str, local_authority: str | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read a table in the order of its key; embeddings come as arrays or None.

        Raises
        ------
        TableMissingError
            If it has not been materialised.
        TableUnreadableError
            If the file is not a table of this package.
        """
        rows = self.read_arrow(name, local_authority, columns)
        return pd.DataFrame(
            {
                name: as_cells(column) if pa.types.is_fixed_size_list(column.type) else column.to_pandas()
                for name, column in zip(rows.column_names, rows.columns, strict=True)
            }
        )

    def read_before(self, name: str, local_authority: str) -> pd.DataFrame:
        """Read a table that is about to be made again; without rows if there is none that can be read."""
        try:
            return self.read(name, local_authority)
        except (TableMissingError, TableUnreadableError):
            return empty_frame(self.table(name))

    def read_study_wide(
        self, name: str, local_authorities: Iterable[str], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read the parts of several local authorities as one table."""
        parts = [self.read(name, slug, columns) for slug in local_authorities]
        if not parts:
            raise TableMissingError(
                f"no local authority has {name} yet; materialise it for one or more of them first"
            )
        return pd.concat(parts, ignore_index=True)

    def read_embeddings(self, local_authority: str) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
        """Read image embeddings as their rows and a matrix of shape (n_images, 512)."""
        rows, matrix = self._read_whole(self._present(IMAGE_EMBEDDINGS, local_authority), local_authority)
        return rows.to_pandas(), matrix

    def read_embeddings_of(self, local_authority: str, image_ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """Read the embeddings of some images, in the order asked, shape (n_images, 512).

        Raises
        ------
        StoreError
            If there is none of one of them.
        """
        path = self._present(IMAGE_EMBEDDINGS, local_authority)
        return self._read_some(path, local_authority, pd.DataFrame({"image_id": list(image_ids)}))

    def read_embedded(self, local_authority: str) -> pd.DataFrame:
        """Read what has been embedded, without the embeddings: rows of the table, then those set aside.

        Set aside are embeddings of deleted pictures that the study does not use at present; the column
        is_set_aside tells them.
        """
        frames = []
        # a table of another version is made anew, from the pictures
        with suppress(TableMissingError, TableUnreadableError):
            path = self._present(IMAGE_EMBEDDINGS, local_authority)
            frames.append(self._read_names(path, local_authority).assign(is_set_aside=False))
        if (path := self._set_aside_path(local_authority)).exists():
            frames.append(self._read_names(path, local_authority).assign(is_set_aside=True))
        # pandas takes the types of a frame without rows into account
        filled = [frame for frame in frames if len(frame)]
        if not filled:
            return empty_frame(self.table(IMAGE_EMBEDDINGS)).drop(columns="embedding").assign(is_set_aside=False)
        return pd.concat(filled, ignore_index=True)

    def read_embeddings_at(self, local_authority: str, embedded: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Read the embeddings of rows of :meth:`read_embedded`, in their order, shape (n_rows, 512)."""
        is_aside = embedded["is_set_aside"].to_numpy(dtype=bool)
        matrix = np.empty((len(embedded), EMBEDDING_DIMENSIONS), dtype=np.float32)
        paths = (self.path(IMAGE_EMBEDDINGS, local_authority), self._set_aside_path(local_authority))
        for path, of_it in zip(paths, (~is_aside, is_aside), strict=True):
            if of_it.any():
                # of a picture set aside there may be several files and encoders
                wanted = embedded.loc[of_it, ["image_id", "sha256", "encoder"]]
                matrix[of_it] = self._read_some(path, local_authority, wanted)
        return matrix

    def set_aside(self, local_authority: str, embedded: pd.DataFrame) -> None:
        """Keep rows of :meth:`read_embedded` beside the table, and of those set aside before only these."""
        path, table = self._set_aside_path(local_authority), self.table(IMAGE_EMBEDDINGS)
        if embedded.empty:
            path.unlink(missing_ok=True)
            return
        rows = as_arrow(
            table,
            embedded.drop(columns="is_set_aside"),
            matrices={"embedding": self.read_embeddings_at(local_authority, embedded)},
        )
        with written_whole(path) as temporary:
            write_file(temporary, table, rows)

    def _set_aside_path(self, local_authority: str) -> Path:
        return self.path(IMAGE_EMBEDDINGS, local_authority).with_name("set_aside.duckdb")

    def content_hash(self, name: str, local_authority: str | None = None) -> str:
        """Return a SHA-256 of the rows in their order; when they were written plays no part."""
        if name != IMAGE_EMBEDDINGS or local_authority is None:
            return hash_rows(self.read_arrow(name, local_authority, None))
        rows, matrix = self._read_whole(self._present(name, local_authority), local_authority)
        with_embeddings = rows.append_column("embedding", as_fixed_size(matrix, EMBEDDING_DIMENSIONS))
        return hash_rows(with_embeddings.select(list(self.table(name).column_names)))

    def frame_hash(self, name: str, frame: pd.DataFrame) -> str:
        """Return what :meth:`content_hash` will be once this frame has been written."""
        return hash_rows(as_arrow(self.table(name), frame))

    def chunks(self, name: str, local_authority: str) -> Chunks:
        """Return the resumable chunk files of a large table's part."""
        return Chunks(self.table(name), self.path(name, local_authority), _named(name, local_authority))

    def sweep(self) -> int:
        """Remove what killed runs left half written, tables and pictures; return how many files."""
        return sweep(self.folder / "tables") + sweep(self.folder / "images")

    def read_arrow(self, name: str, local_authority: str | None, columns: Sequence[str] | None) -> pa.Table:
        """Read a table as Arrow keeps it, in the order of its key."""
        path = self._present(name, local_authority)
        with self._open_part(name, path, local_authority, columns) as (connection, listed):
            query = f"SELECT {', '.join(listed)} FROM {name} ORDER BY {_order(self.table(name))}"
            return connection.sql(query).to_arrow_table()

    def _read_whole(self, path: Path, local_authority: str) -> tuple[pa.Table, npt.NDArray[np.float32]]:
        table = self.table(IMAGE_EMBEDDINGS)
        columns = [name for name in table.column_names if name != "embedding"]
        with self._open_part(table.name, path, local_authority, columns) as (connection, listed):
            return read_whole(connection, listed, _order(table))

    def _read_names(self, path: Path, local_authority: str) -> pd.DataFrame:
        """Read the rows of a file of embeddings without these."""
        columns = [name for name in self.table(IMAGE_EMBEDDINGS).column_names if name != "embedding"]
        with self._open_part(IMAGE_EMBEDDINGS, path, local_authority, columns) as (connection, listed):
            return read_names(connection, listed)

    def _read_some(self, path: Path, local_authority: str, wanted: pd.DataFrame) -> npt.NDArray[np.float32]:
        with self._open_part(IMAGE_EMBEDDINGS, path, local_authority) as (connection, _):
            matrix, n_found = read_some(connection, wanted)
        if n_found < len(wanted):
            raise StoreError(
                f"{len(wanted) - n_found} of {len(wanted)} images of {local_authority} are not in "
                "image_embeddings; materialise it and all that follows again"
            )
        return matrix

    def _present(self, name: str, local_authority: str | None) -> Path:
        path = self.path(name, local_authority)
        if not path.exists():
            raise TableMissingError(
                f"{_named(name, local_authority)} has not been materialised yet; materialise it first"
            )
        return path

    @contextmanager
    def _open_part(
        self, name: str, path: Path, local_authority: str | None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
        """Open a table's file; yield it, and its columns as they stand in a query."""
        table, what = self.table(name), _named(name, local_authority)
        with open_table(path, what) as connection:
            version = version_of(connection, path, what)
            if version < table.since or version > SCHEMA_VERSION:
                raise TableUnreadableError(refused(path, what, version))
            later = {column.name: column.type for column in table.columns if column.since > version}
            listed = [
                f'CAST(NULL AS {later[column]}) AS "{column}"' if column in later else f'"{column}"'
                for column in columns or table.column_names
            ]
            try:
                yield connection, listed
            except duckdb.Error as error:
                raise TableUnreadableError(
                    f"{path} does not hold {what} as this study declares it ({first_line(error)}); "
                    f"materialise {what} again"
                ) from error


def _named(name: str, local_authority: str | None) -> str:
    return name if local_authority is None else f"{name} for {local_authority}"


def _order(table: Table) -> str:
    return ", ".join(f'"{column}"' for column in table.key)
