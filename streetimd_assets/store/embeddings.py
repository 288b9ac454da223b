"""Embeddings out of a table's file into one matrix, with little beside it in memory.

The embeddings of a large city fill a gigabyte or two. Sorted in DuckDB, held as Arrow and copied to a
matrix they would fill three times as much. Here they are read in whatever order they stand in the file,
some thousand rows at a time, each put straight in the row that it belongs in.
"""

from collections.abc import Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from streetimd_assets.schemas import EMBEDDING_DIMENSIONS
from streetimd_assets.store.arrow import as_matrix

Vectors = npt.NDArray[np.float32]

IMAGE_EMBEDDINGS = "image_embeddings"
_ROWS_AT_ONCE = 4096


def use_little_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep DuckDB from holding on to every block that it has read or written."""
    connection.execute("SET memory_limit = '400MB'")
    # each thread holds rows of its own, and two keep a disk busy
    connection.execute("SET threads = 2")


def read_whole(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[str], order: str
) -> tuple[pa.Table, Vectors]:
    """Read every row of an open ``image_embeddings``.

    Parameters
    ----------
    connection
        With the file open.
    columns
        Columns wanted beside the embedding, as they stand in a query.
    order
        Columns whose order the rows are to have.

    Returns
    -------
    rows, embeddings
        The embeddings of shape (n_images, 512), in the order of the rows.
    """
    listed = ", ".join(columns)
    rows = connection.sql(
        f"SELECT {listed}, rowid AS place FROM {IMAGE_EMBEDDINGS} ORDER BY {order}"
    ).to_arrow_table()
    stands_at = rows.column("place").to_numpy()
    belongs_at = np.empty(stands_at.max(initial=-1) + 1, dtype=np.intp)
    belongs_at[stands_at] = np.arange(len(stands_at))
    embeddings = _filled(connection, f"SELECT rowid, embedding FROM {IMAGE_EMBEDDINGS}", len(rows), belongs_at)[0]
    return rows.drop_columns(["place"]), embeddings


def read_names(connection: duckdb.DuckDBPyConnection, columns: Sequence[str]) -> pd.DataFrame:
    """Read the rows of an open ``image_embeddings`` without the embeddings, all of which can be read.

    Parameters
    ----------
    connection
        With the file open.
    columns
        Columns wanted, as they stand in a query.

    Raises
    ------
    duckdb.Error
        If any part of the file is spoilt.
    """
    use_little_memory(connection)
    # one number of each embedding is enough for DuckDB to read, and to check, all of them
    query = f"SELECT {', '.join(columns)}, embedding[1] AS first FROM {IMAGE_EMBEDDINGS}"
    return connection.sql(query).to_arrow_table().drop_columns(["first"]).to_pandas()


def read_some(connection: duckdb.DuckDBPyConnection, wanted: pd.DataFrame) -> tuple[Vectors, int]:
    """Read the embeddings of some images of an open ``image_embeddings``, in the order asked.

    Parameters
    ----------
    connection
        With the file open.
    wanted
        Columns of text that name one row each: image_id, and sha256 and encoder where that is not enough.

    Returns
    -------
    embeddings, n_found
        Shape (n_images, 512), and how many of them there are: a row of an image without one means nothing.
    """
    places = np.arange(len(wanted))
    columns = {name: pa.array(wanted[name], pa.string()) for name in wanted.columns}
    connection.register("wanted", pa.table({**columns, "place": places}))
    query = f"SELECT wanted.place, embedding FROM {IMAGE_EMBEDDINGS} JOIN wanted USING ({', '.join(columns)})"
    return _filled(connection, query, len(wanted), places)


def _filled(
    connection: duckdb.DuckDBPyConnection, query: str, n_rows: int, belongs_at: npt.NDArray[np.intp]
) -> tuple[Vectors, int]:
    """Fill a matrix from a query of places and embeddings; return it, and the number of rows filled."""
    use_little_memory(connection)
    matrix, n_filled = np.empty((n_rows, EMBEDDING_DIMENSIONS), dtype=np.float32), 0
    for batch in connection.sql(query).to_arrow_reader(_ROWS_AT_ONCE):
        matrix[belongs_at[batch.column(0).to_numpy()]] = as_matrix(pa.chunked_array([batch.column(1)]))
        n_filled += len(batch)
    return matrix, n_filled
