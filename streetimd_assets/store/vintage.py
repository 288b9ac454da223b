"""The one precision of a study's embeddings, whichever machine made them first.

Weights rounded to 16 bits embed a little otherwise than those of 32, and tables of both are never
pooled. What is fast differs between machines, so the first that embeds for a study decides and
writes it down beside the tables; a study embedded before that was written stays as it is.
"""

import hashlib
import os
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path

from streetimd_assets.errors import StoreError, TableMissingError, TableUnreadableError
from streetimd_assets.store.files import written_whole
from streetimd_assets.store.tables import TableStore

_TABLES = ("image_embeddings", "category_embeddings")


def settle_encoder(store: TableStore, identity: str) -> str:
    """Return the identity under which a study embeds: that given, unless the study has another precision.

    Safe where several machines begin at once: the first to write decides.

    Parameters
    ----------
    store
        The study's tables.
    identity
        Of the encoder as it would be here, such as ``ViT-B-32/openai@sha256:0123456789ab bf16``.
    """
    if (told := _read(store, identity)) is not None:
        return told
    held = Counter(name for name in _held(store) if weights_of(name) == weights_of(identity))
    return _write_first(store, held.most_common(1)[0][0] if held else identity)


def record_encoder(store: TableStore, identity: str) -> None:
    """Write down the encoder under which a study embeds from now on; on a disk only to be read, do nothing."""
    try:
        with written_whole(_path(store, identity)) as temporary:
            temporary.write_text(f"{identity}\n", encoding="utf-8")
    except StoreError:
        # who may not write here writes no embeddings either
        return


def weights_of(identity: str) -> str:
    """Return an identity without its precision: the model, the name of its weights and their hash.

    Examples
    --------
    >>> weights_of("ViT-B-32/own file.pt@sha256:0123456789ab bf16")
    'ViT-B-32/own file.pt@sha256:0123456789ab'
    """
    name, at, rest = identity.rpartition("@")
    return f"{name}{at}{rest.partition(' ')[0]}"


def _write_first(store: TableStore, identity: str) -> str:
    """Write it down unless another was quicker, and return what stands."""
    path = _path(store, identity)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(f"{identity}\n", encoding="utf-8")
        try:
            # unlike a rename, a link fails where there is one already
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        return _read(store, identity) or identity
    except OSError:
        # a disk without links, or only to be read
        record_encoder(store, identity)
    return identity


def _held(store: TableStore) -> list[str]:
    """Return the encoder of each part of the tables that name one."""
    found = []
    for name in _TABLES:
        parts = store.local_authorities(name) if store.table(name).is_partitioned else [None]
        for part in parts:
            # one that cannot be read is made anew, and has no say
            with suppress(TableMissingError, TableUnreadableError):
                found += list(store.read(name, part, ["encoder"])["encoder"].unique())
    return found


def _read(store: TableStore, identity: str) -> str | None:
    try:
        told = _path(store, identity).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return told if weights_of(told) == weights_of(identity) else None


def _path(store: TableStore, identity: str) -> Path:
    """Return the file for this model and weights: one who changes them, and back, finds the precision again."""
    # the same weights in another network, such as without quickgelu, embed otherwise
    named = hashlib.sha256(weights_of(identity).encode()).hexdigest()[:12]
    return store.folder / "tables" / f"encoder-{named}.txt"
