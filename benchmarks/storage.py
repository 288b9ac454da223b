"""How fast embeddings are written and read, beside the shortest way through Arrow and beside a plain array.

    python -m benchmarks.storage

200,000 random embeddings with their names. Ours writes as an asset does: chunks of 2,048, from which a killed run
resumes (columns checked, sorted by key, hashed), then joined in a table (a key named once, file renamed into
place); and reads that in the order of the key into a matrix. The shortest way inserts one Arrow table into a new
DuckDB file of the same layout, and reads the same file into Arrow and a matrix in whatever order it stands. All
take turns, after one turn that is not counted. Files lie in the system's temporary folder and are read from the
page cache.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from benchmarks.findings import Finding, conclude, parser
from benchmarks.numbers_only import invent_embeddings, invent_images
from streetimd_assets.store.tables import TableStore

N_IMAGES, N_ROUNDS, PLACE = 200_000, 5, "anywhere"
# images embedded between two chunks, as in a study
CHUNK = 2048
Vectors = npt.NDArray[np.float32]


class Ways:
    """The three ways to write the same images, and to read them."""

    def __init__(self, folder: Path, images: pd.DataFrame, embeddings: Vectors) -> None:
        self.store = TableStore(folder, ())
        self.images, self.embeddings = images, embeddings
        self.direct_file, self.array_file = folder / "direct.duckdb", folder / "array.npy"

    def write_ours(self) -> None:
        chunks = self.store.chunks("image_embeddings", PLACE)
        for start in range(0, len(self.images), CHUNK):
            some = slice(start, start + CHUNK)
            chunks.write(f"{start:06d}", self.images[some], self.embeddings[some])
        chunks.publish()

    def write_direct(self) -> None:
        self.direct_file.unlink(missing_ok=True)
        values = pa.FixedSizeListArray.from_arrays(pa.array(self.embeddings.ravel()), 512)
        rows = pa.Table.from_pandas(self.images, preserve_index=False).append_column("embedding", values)
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{self.direct_file}' AS direct (BLOCK_SIZE 262144, ROW_GROUP_SIZE 61440)")
            connection.execute("SET force_compression = 'uncompressed'")
            connection.register("rows", rows)
            connection.execute("CREATE TABLE direct.image_embeddings AS SELECT * FROM rows")
            connection.execute("CHECKPOINT direct")

    def write_array(self) -> None:
        np.save(self.array_file, self.embeddings)

    def read_ours(self) -> tuple[pd.DataFrame, Vectors]:
        return self.store.read_embeddings(PLACE)

    def read_direct(self) -> tuple[pd.DataFrame, Vectors]:
        with duckdb.connect(str(self.store.path("image_embeddings", PLACE)), read_only=True) as connection:
            rows = connection.sql("SELECT * FROM image_embeddings").to_arrow_table()
        values = rows.column("embedding").combine_chunks().flatten().to_numpy()
        return rows.drop_columns(["embedding"]).to_pandas(), values.reshape(-1, 512)

    def read_array(self) -> Vectors:
        return np.load(self.array_file)


def measure() -> Iterator[Finding]:
    """Let all take turns."""
    images = invent_images([f"E01{number:06d}" for number in range(500)], N_IMAGES, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(Path(folder), images, invent_embeddings(N_IMAGES, 1))
        for verb, doing in (("written", "write"), ("read", "read")):
            took = take_turns({way: getattr(ways, f"{doing}_{way}") for way in ("ours", "direct", "array")})
            what = f"{N_IMAGES:,} x 512 {verb}"
            # within 1.5 times
            yield Finding(what, took["ours"], "s", "DuckDB and Arrow directly", took["direct"], f">= {1 / 1.5:.3f}")
            yield Finding(what, took["ours"], "s", "a plain .npy file, embeddings alone", took["array"])
        require_same(*ways.read_ours(), *ways.read_direct())
        sizes = [ways.store.path("image_embeddings", PLACE), ways.array_file]
        ours, array = (path.stat().st_size / 2**20 for path in sizes)
        yield Finding(f"file of {N_IMAGES:,} x 512", ours, "MiB", "a plain .npy file, embeddings alone", array)


def take_turns(acts: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each; the first turn of each is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(N_ROUNDS + 1):
        for name, act in acts.items():
            began = time.monotonic()
            act()
            seconds[name].append(time.monotonic() - began)
    return {name: median(times[1:]) for name, times in seconds.items()}


def require_same(ours: pd.DataFrame, matrix: Vectors, direct: pd.DataFrame, values: Vectors) -> None:
    """Stop unless both ways read the same numbers of the same images."""
    order = np.argsort(direct["image_id"].to_numpy(dtype=str), kind="stable")
    assert ours["image_id"].tolist() == direct["image_id"].iloc[order].tolist()
    np.testing.assert_array_equal(matrix, values[order])


if __name__ == "__main__":
    sys.exit(conclude("storage", measure(), keep=parser(__doc__).parse_args().keep))
