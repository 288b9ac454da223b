"""Whatever stops a write, the old rows stay, and what is left over is swept."""

import os
import signal
import subprocess
import sys
import time

import pytest

from streetimd_assets.errors import DiskFullError, StoreError
from streetimd_assets.store import files, tables
from streetimd_assets.store.images import ImageStore
from streetimd_assets.store.tables import TableStore
from streetimd_tests.store.rows import rows_of, same_rows

# 30,000 images make a file of 60 MB: long enough in the writing to be stopped in the middle of it
WRITE_LARGE_PART = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from streetimd_assets.store.tables import TableStore

store = TableStore(Path(sys.argv[1]), ("a", "b"))
chunks = store.chunks("image_embeddings", "camden")

def write(fingerprint, first, n_images):
    names = [f"{number:06d}@000" for number in range(first, first + n_images)]
    same = {"lsoa_code": "E01", "heading_deg": 0.0, "sha256": "5f", "encoder": "one"}
    rows = pd.DataFrame({"image_id": names} | same)
    chunks.write(fingerprint, rows, np.full((n_images, 512), first, np.float32))

write("first", 0, 10)
write("second", 10, 10)
write("third", 20, 30_000)
"""

FILL_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np, pandas as pd
from streetimd_assets.errors import DiskFullError
from streetimd_assets.store.images import ImageStore
from streetimd_assets.store.tables import TableStore

store, images = TableStore(Path(sys.argv[1]), ("a", "b")), ImageStore(Path(sys.argv[1]), "camden")
n = 100_000
draws = pd.DataFrame({"kind": "independent", "draw": range(n), "max_absolute_r": np.random.rand(n),
                      "median_absolute_r": np.random.rand(n), "n_dimensions": 512, "n_lsoas": 5})
ids = pd.DataFrame({"image_id": [f"{i}@000" for i in range(300)], "lsoa_code": "E01", "heading_deg": 0.0,
                    "sha256": "5f", "encoder": "one"})
chunks = store.chunks("image_embeddings", "camden")
chunks.write("first", ids, np.zeros((300, 512), np.float32))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

n_recorded = 0

def record_many():
    global n_recorded
    while n_recorded < 1000:
        images.record({"image_id": f"{n_recorded}@000", "status": "failed", "status_detail": "x" * 900})
        n_recorded += 1

for attempt in (
    lambda: store.write("noise_correlations", draws),
    lambda: chunks.publish(),
    lambda: images.save("old@000", b"x" * 500_000),
    record_many,
):
    try:
        attempt()
        print("nothing was wrong")
    except DiskFullError as error:
        print(error)
print(n_recorded)
"""


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path, ("a", "b"))


def left_over(store):
    return list(store.folder.rglob(".tmp-*"))


def size_of(path):
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # renamed into place since it was listed
        return 0


def kill_in_the_middle(code, store):
    """Run code in a process and kill it once its temporary file has grown to a megabyte."""
    with subprocess.Popen([sys.executable, "-c", code, str(store.folder)]) as process:
        until = time.monotonic() + 60
        while not any(size_of(path) > 1_000_000 for path in left_over(store)):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def grow_old(paths):
    for path in paths:
        os.utime(path, (time.time() - 3600,) * 2)


def test_a_write_that_fails_midway_leaves_the_old_rows_and_no_other_file(store, monkeypatch):
    old = rows_of(store.table("noise_correlations"), 4)
    store.write("noise_correlations", old)
    before = store.content_hash("noise_correlations")

    def stop(*_):
        raise RuntimeError("stopped in the middle")

    monkeypatch.setattr(files.os, "replace", stop)
    with pytest.raises(RuntimeError, match="stopped in the middle"):
        store.write("noise_correlations", rows_of(store.table("noise_correlations"), 9))
    assert store.content_hash("noise_correlations") == before
    assert left_over(store) == []


def test_a_killed_writer_leaves_the_old_rows_a_temporary_file_that_is_swept_and_chunks_that_are_used_again(store):
    old = rows_of(store.table("image_embeddings"), 5)
    store.write("image_embeddings", old, "camden")
    before = store.content_hash("image_embeddings", "camden")

    kill_in_the_middle(WRITE_LARGE_PART, store)

    assert store.content_hash("image_embeddings", "camden") == before
    assert left_over(store)
    # it could as well be the file of a run that goes on
    assert store.sweep() == 0
    n_left = len(left_over(store))
    grow_old(left_over(store))
    assert store.sweep() == n_left
    assert left_over(store) == []

    chunks = store.chunks("image_embeddings", "camden")
    assert [chunks.holds(name) for name in ("first", "second", "third")] == [True, True, False]
    assert chunks.publish() == 20
    frame, matrix = store.read_embeddings("camden")
    assert frame["image_id"].tolist() == [f"{number:06d}@000" for number in range(20)]
    assert matrix[:, 0].tolist() == [0] * 10 + [10] * 10
    assert not list(store.path("image_embeddings", "camden").parent.glob("chunk-*"))


def test_a_full_disk_is_said_in_one_sentence_and_the_old_rows_and_images_stay(store):
    draws = rows_of(store.table("noise_correlations"), 4)
    store.write("noise_correlations", draws)
    store.write("image_embeddings", rows_of(store.table("image_embeddings"), 5), "camden")
    hashes = store.content_hash("noise_correlations"), store.content_hash("image_embeddings", "camden")
    images = ImageStore(store.folder, "camden")
    path = images.save("old@000", b"old")

    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(store.folder)], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    *said, n_recorded = done.stdout.splitlines()
    targets = [
        store.path("noise_correlations"),
        store.path("image_embeddings", "camden"),
        store.folder / path,
        store.folder / "images" / "camden" / "journal.jsonl",
    ]
    assert len(said) == len(targets)
    for sentence, target in zip(said, targets, strict=True):
        assert sentence.startswith(f"there is no room left to write {target} (")
        assert "STREETIMD_DATA" in sentence
    assert (store.content_hash("noise_correlations"), store.content_hash("image_embeddings", "camden")) == hashes
    assert (store.folder / path).read_bytes() == b"old"
    assert left_over(store) == []
    # the work that was done before is not lost either, and the journal lacks no image it took
    assert store.chunks("image_embeddings", "camden").holds("first")
    assert len(images.recorded()) == int(n_recorded) > 100
    images.record({"image_id": "later@000", "image_path": None})
    assert len(images.recorded()) == int(n_recorded) + 1


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_that_duckdb_reports_in_words_is_known_as_one(store, monkeypatch, words):
    def fail(*_):
        raise tables.duckdb.IOException(f'IO Error: Could not write file "part.duckdb": {words}')

    monkeypatch.setattr(tables, "write_file", fail)
    with pytest.raises(DiskFullError, match="there is no room left to write"):
        store.write("noise_correlations", rows_of(store.table("noise_correlations")))


def test_a_data_root_that_is_a_file_is_said_in_one_sentence(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    store = TableStore(tmp_path / "data" / "demo", ("a", "b"))
    with pytest.raises(StoreError, match=r"cannot be written .*; set STREETIMD_DATA to a folder") as told:
        store.write("noise_correlations", rows_of(store.table("noise_correlations")))
    assert "\n" not in str(told.value)


def test_a_reader_that_opened_the_file_before_a_rewrite_keeps_its_snapshot(store):
    def draws(value):
        return rows_of(store.table("noise_correlations"), 5).assign(max_absolute_r=value)

    store.write("noise_correlations", draws(0.1))
    with tables.open_table(store.path("noise_correlations"), "it") as reader:
        store.write("noise_correlations", draws(0.2))
        seen = reader.execute("SELECT DISTINCT max_absolute_r FROM noise_correlations").fetchall()
        # whoever reads now, in this process too, sees the new rows
        assert set(store.read("noise_correlations")["max_absolute_r"]) == {0.2}
    assert seen == [(0.1,)]
    assert same_rows(store.read("noise_correlations"), draws(0.2).sort_values("draw")[list(draws(1).columns)])


def test_a_file_that_another_program_has_open_for_writing_is_not_called_broken(store):
    store.write("noise_correlations", rows_of(store.table("noise_correlations")))
    path = store.path("noise_correlations")
    code = f"import duckdb; kept = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match="is open for writing in another program; close it there") as told:
            store.read("noise_correlations")
        assert "delete" not in str(told.value)
        # a writer does not wait for it
        assert store.write("noise_correlations", rows_of(store.table("noise_correlations"), 3)) == 3
        other.communicate(b"\n")
    assert len(store.read("noise_correlations")) == 3
