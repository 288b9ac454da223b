"""Parts of a large table, kept until the whole is put in place; a killed run resumes from them.

A chunk is the SHA-256 of an Arrow stream and that stream: what is written every few seconds, and read once,
need not be a table that can be queried. Joined, they are one.
"""

import hashlib
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from streetimd_assets.errors import StoreError, TableUnreadableError
from streetimd_assets.schemas import SCHEMA_VERSION, Table
from streetimd_assets.store.arrow import arrow_type, as_arrow
from streetimd_assets.store.files import written_whole
from streetimd_assets.store.part_files import first_line, new_file

_DIGEST_BYTES = 32
_VERSION = b"schema_version"


class Chunks:
    """The chunks of one table's part.

    Parameters
    ----------
    table
        The declaration, with an embedding column of that name.
    target
        File of the part; chunks lie beside it.
    what
        What errors call the part.
    """

    def __init__(self, table: Table, target: Path, what: str) -> None:
        self._table = table
        self._target = target
        self._what = what
        self._schema = pa.schema([(column.name, arrow_type(column)) for column in table.columns])
        self._used: list[Path] = []

    def holds(self, fingerprint: str) -> bool:
        """Return True, and keep the chunk, if one with this fingerprint is there, whole and of today's columns."""
        path = self._path(fingerprint)
        if path.exists() and self._is_of_now(path):
            self._used.append(path)
            return True
        return False

    def _is_of_now(self, path: Path) -> bool:
        latest_change = max(self._table.since, *(column.since for column in self._table.columns))
        # after a power failure a file may be there without all that was written to it
        if not _is_whole(path):
            return False
        rows = self._read(path)
        version = int((rows.schema.metadata or {}).get(_VERSION, 0))
        return latest_change <= version <= SCHEMA_VERSION and bool(rows.schema.equals(self._schema))

    def write(self, fingerprint: str, frame: pd.DataFrame, embeddings: npt.NDArray[np.float32]) -> None:
        """Write one chunk; `fingerprint` names what it was made from."""
        path = self._path(fingerprint)
        rows = as_arrow(self._table, frame, matrices={"embedding": embeddings})
        rows = rows.replace_schema_metadata({_VERSION: str(SCHEMA_VERSION)})
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows)
        content = stream.getvalue()
        with written_whole(path) as temporary, temporary.open("wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        self._used.append(path)

    def publish(self) -> int:
        """Join the chunks, put the table in place, remove the chunks; return the number of rows."""
        with written_whole(self._target) as temporary, new_file(temporary, self._table) as connection:
            if self._used:
                for path in self._used:
                    # one that cannot be read is named before DuckDB would speak of it in its own words
                    self._read(path)
                # as one stream: inserted one by one, they would wait in memory to be written at the end
                batches = (batch for path in self._used for batch in self._read(path).to_batches())
                connection.register("rows", pa.RecordBatchReader.from_batches(self._schema, batches))
                connection.execute(f"INSERT INTO {self._table.name} SELECT * FROM rows")
                connection.unregister("rows")
            n_rows = self._count(connection)
        for path in self._target.parent.glob("chunk-*"):
            path.unlink()
        return n_rows

    def _read(self, path: Path) -> pa.Table:
        try:
            with pa.memory_map(str(path)) as file:
                file.seek(_DIGEST_BYTES)
                return pa.ipc.open_stream(file.read_buffer()).read_all()
        except (pa.ArrowException, OSError) as error:
            raise TableUnreadableError(
                f"{path} is not a chunk of {self._what} ({first_line(error)}); delete it and materialise "
                f"{self._what} again"
            ) from error

    def _count(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Return the number of rows, each of which has a key of its own."""
        key = ", ".join(f'"{column}"' for column in self._table.key)
        counts = f"SELECT count(*), count(DISTINCT ({key})) FROM {self._table.name}"
        n_rows, n_keys = connection.execute(counts).fetchall()[0]
        if n_keys < n_rows:
            raise StoreError(f"the chunks of {self._what} hold {n_rows - n_keys} rows twice; a key names one row")
        return int(n_rows)

    def _path(self, fingerprint: str) -> Path:
        return self._target.with_name(f"chunk-{fingerprint}.bin")


def _is_whole(path: Path) -> bool:
    """Return whether a file is a digest and what it is of."""
    with path.open("rb") as file:
        return file.read(_DIGEST_BYTES) == hashlib.file_digest(file, "sha256").digest()
