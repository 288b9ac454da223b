"""Chunks of a large table are used again only for the same work, and joined in the order of the key."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from streetimd_assets.errors import StoreError, TableUnreadableError
from streetimd_assets.store.tables import TableStore


@pytest.fixture
def store(tmp_path):
    return TableStore(tmp_path, ("a", "b"))


def images(first, n_images, encoder="one"):
    names = [f"{number:03d}@000" for number in range(first, first + n_images)]
    same = {"lsoa_code": "E01", "heading_deg": None, "sha256": "5f", "encoder": encoder}
    return pd.DataFrame({"image_id": names} | same)


def embeddings(rows):
    """Embeddings that carry the number of their image."""
    numbers = rows["image_id"].str[:3].astype(float).to_numpy(np.float32)
    return np.repeat(numbers[:, None], 512, axis=1)


def write(chunks, fingerprint, rows):
    chunks.write(fingerprint, rows, embeddings(rows))


def kept(store):
    return sorted(path.name for path in store.path("image_embeddings", "camden").parent.glob("chunk-*"))


def test_chunks_are_joined_in_the_order_of_the_key_and_removed(store):
    chunks = store.chunks("image_embeddings", "camden")
    write(chunks, "later", images(4, 4))
    write(chunks, "earlier", images(0, 4).iloc[::-1])
    assert len(kept(store)) == 2
    assert not store.holds("image_embeddings", "camden")
    assert chunks.publish() == 8
    frame, matrix = store.read_embeddings("camden")
    assert frame["image_id"].tolist() == images(0, 8)["image_id"].tolist()
    assert matrix[:, 511].tolist() == list(range(8))
    assert kept(store) == []


def test_a_table_joined_from_chunks_is_the_same_as_one_written_at_once(store):
    chunks = store.chunks("image_embeddings", "camden")
    write(chunks, "x", images(0, 3))
    write(chunks, "y", images(3, 3))
    chunks.publish()
    whole = images(0, 6)
    store.write("image_embeddings", whole.assign(embedding=list(embeddings(whole))), "sutton")
    assert store.content_hash("image_embeddings", "camden") == store.content_hash("image_embeddings", "sutton")


def test_a_later_run_goes_on_from_the_chunks_that_are_there(store):
    write(store.chunks("image_embeddings", "camden"), "first", images(0, 3))
    chunks = store.chunks("image_embeddings", "camden")
    assert chunks.holds("first")
    assert not chunks.holds("second")
    write(chunks, "second", images(3, 2))
    assert chunks.publish() == 5


def test_chunks_of_other_work_are_not_used_and_do_not_stay(store):
    write(store.chunks("image_embeddings", "camden"), "by-another-encoder", images(0, 3, encoder="another"))
    chunks = store.chunks("image_embeddings", "camden")
    assert not chunks.holds("by-this-encoder")
    write(chunks, "by-this-encoder", images(0, 3))
    assert chunks.publish() == 3
    frame, _ = store.read_embeddings("camden")
    assert set(frame["encoder"]) == {"one"}
    assert kept(store) == []


def test_chunks_of_another_local_authority_are_left_alone(store):
    write(store.chunks("image_embeddings", "sutton"), "first", images(0, 3))
    chunks = store.chunks("image_embeddings", "camden")
    assert not chunks.holds("first")
    write(chunks, "first", images(3, 2))
    chunks.publish()
    assert store.chunks("image_embeddings", "sutton").holds("first")


def test_a_table_without_images_is_published_empty(store):
    assert store.chunks("image_embeddings", "camden").publish() == 0
    frame, matrix = store.read_embeddings("camden")
    assert frame.empty
    assert matrix.shape == (0, 512)


def test_an_image_in_two_chunks_is_refused_and_the_old_rows_stay(store):
    chunks = store.chunks("image_embeddings", "camden")
    write(chunks, "x", images(0, 4))
    chunks.publish()
    again = store.chunks("image_embeddings", "camden")
    write(again, "y", images(0, 2))
    write(again, "z", images(1, 2))
    with pytest.raises(StoreError, match="hold 1 rows twice"):
        again.publish()
    assert len(store.read_embeddings("camden")[0]) == 4


def write_nonsense(path):
    path.write_text("spoiled " * 500)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lose_a_sector(path):
    whole = bytearray(path.read_bytes())
    at = whole.index(np.full(512, 1, np.float32).tobytes())
    whole[at : at + 512] = bytes(512)
    path.write_bytes(whole)


def grow_old(path):
    rewrite(path, lambda rows: rows.replace_schema_metadata({b"schema_version": b"1"}))


def lack_a_column(path):
    rewrite(path, lambda rows: rows.drop_columns(["encoder"]))


def rewrite(path, change):
    rows = change(pa.ipc.open_stream(path.read_bytes()[32:]).read_all())
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    content = stream.getvalue().to_pybytes()
    path.write_bytes(hashlib.sha256(content).digest() + content)


def test_a_spoiled_chunk_is_named(store):
    chunks = store.chunks("image_embeddings", "camden")
    write(chunks, "first", images(0, 3))
    path = store.path("image_embeddings", "camden").with_name("chunk-first.bin")
    write_nonsense(path)
    with pytest.raises(TableUnreadableError, match=r"chunk-first\.bin is not a chunk of .*; delete it"):
        chunks.publish()


@pytest.mark.parametrize("spoil", [write_nonsense, cut, lose_a_sector, grow_old, lack_a_column])
def test_a_chunk_that_is_spoilt_or_of_other_columns_is_made_again(store, spoil):
    chunks = store.chunks("image_embeddings", "camden")
    write(chunks, "first", images(0, 3))
    spoil(store.path("image_embeddings", "camden").with_name("chunk-first.bin"))
    again = store.chunks("image_embeddings", "camden")
    assert not again.holds("first")
    write(again, "first", images(0, 3))
    assert again.publish() == 3


def test_rows_set_aside_are_told_and_read_beside_those_of_the_table(store):
    write(chunks := store.chunks("image_embeddings", "camden"), "all", images(0, 8))
    chunks.publish()
    store.set_aside("camden", store.read_embedded("camden").iloc[2:4])
    # the same images by another encoder
    chunks = store.chunks("image_embeddings", "camden")
    chunks.write("other", images(2, 4, "other"), embeddings(images(12, 4)))
    chunks.publish()
    embedded = store.read_embedded("camden")
    assert embedded.groupby("is_set_aside")["encoder"].agg(list).to_dict() == {
        False: ["other"] * 4,
        True: ["one"] * 2,
    }
    backwards = embedded.iloc[::-1]
    expected = backwards["image_id"].str[:3].astype(float) + np.where(backwards["is_set_aside"], 0, 10)
    assert store.read_embeddings_at("camden", backwards)[:, 7].tolist() == expected.tolist()
    store.set_aside("camden", embedded.iloc[:0])
    assert not store.read_embedded("camden")["is_set_aside"].any()


def test_a_table_spoilt_among_its_embeddings_has_embedded_nothing(store):
    rows = images(0, 900)
    write(chunks := store.chunks("image_embeddings", "camden"), "all", rows)
    chunks.publish()
    assert len(store.read_embedded("camden")) == len(rows)
    path = store.path("image_embeddings", "camden")
    whole = path.read_bytes()
    # in the middle, far from all other columns
    at = whole.index(np.full(512, 450, np.float32).tobytes())
    path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
    assert len(store.read("image_embeddings", "camden", ["image_id"])) == len(rows)
    assert store.read_embedded("camden").empty
