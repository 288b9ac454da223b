"""Images and words as points in the same space of 512 dimensions."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageOps

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    declared,
    refusals_in_one_sentence,
    stamped,
    table_asset,
)
from streetimd_assets.encoders.base import Encoder
from streetimd_assets.errors import ImageryError
from streetimd_assets.science import classification
from streetimd_assets.store.images import ImageStore
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import show_table

EMBEDDINGS_HAVE_UNIT_LENGTH = Check(
    "embeddings_have_unit_length", "The encoder did not normalise: do not use these embeddings, tell us."
)
EVERY_IMAGE_IS_EMBEDDED = Check("every_image_is_embedded", "Materialise image_embeddings again; it resumes.")


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Embeddings of images, per local authority, and of the study's categories."""
    categories, choice = house.study.categories, house.study.encoder
    acquisition = Acquisition(house)
    checks = [EMBEDDINGS_HAVE_UNIT_LENGTH, EVERY_IMAGE_IS_EMBEDDED]

    @dg.asset(
        **declared(house, "image_embeddings", frozenset({"pytorch"})),
        code_version=stamped(1, choice),
        pool="torch",
        check_specs=[check.spec("image_embeddings") for check in checks],
    )
    def image_embeddings(
        context: dg.AssetExecutionContext,
        street_images: pd.DataFrame,
        encoder: dg.ResourceParam[LazyEncoder],
    ) -> dg.MaterializeResult:
        """What CLIP sees in each image: 512 numbers of unit length, one model for the whole table.

        Written in chunks: a stopped run resumes at its last one. Where pictures are not retained,
        they are deleted once the table is in place. What it has of the same files is carried on.
        """
        slug = context.partition_key
        images = street_images[street_images["status"] == "ok"].reset_index(drop=True)
        with refusals_in_one_sentence():
            model = encoder.loaded
            n_rows = _embed(house, slug, images, model, context.log.info)
            show_table(house.store, "image_embeddings")
            n_deleted = 0
            if not acquisition.retains_images and n_rows == len(images):
                kept = ImageStore(house.folder, slug)
                with kept.alone():
                    n_deleted = kept.purge()
            return _embedded(
                house.store, slug, model, n_images=len(images), n_rows=n_rows, n_pictures_deleted=n_deleted
            )

    @table_asset(
        house,
        kinds=frozenset({"pytorch"}),
        code_version=stamped(1, choice.model, choice.weights, categories.content_hash),
        pool="torch",
    )
    def category_embeddings(encoder: dg.ResourceParam[LazyEncoder]) -> Made:
        """Each of the study's categories in words: the averaged embedding of its prompts."""
        model = encoder.loaded
        rows = [
            {
                "position": position,
                "category": category.name,
                "is_reject": category.is_reject,
                "prompts": "\n".join(categories.phrases(category)),
                "embedding": classification.average_prompts(model.embed_texts(categories.phrases(category))),
                "logit_scale": model.logit_scale,
                "category_set_hash": categories.content_hash,
                "encoder": model.identity,
            }
            for position, category in enumerate(categories.category)
        ]
        figures = {"category_set": f"{categories.name}@{categories.content_hash}", "encoder": model.identity}
        return Made(pd.DataFrame(rows), {**figures, "logit_scale": model.logit_scale})

    return [image_embeddings, category_embeddings]


def _embed(house: House, slug: str, images: pd.DataFrame, model: Encoder, say: Callable[[str], None]) -> int:
    """Put the table of these images in place, new ones read in chunks; return its number of rows."""
    choice, chunks = house.study.encoder, house.store.chunks("image_embeddings", slug)
    before, matrix = house.store.read_every_embedding(slug)
    known = _places(before, images.assign(encoder=model.identity))
    is_known = known >= 0
    _require_pictures(images[~is_known], house, slug, model.identity)
    if is_known.any():
        rows = images[is_known]
        chunks.write(_fingerprint(model.identity, rows), _rows(rows, model), matrix[known[is_known]])
    done = int(is_known.sum())
    for part in _chunks(images[~is_known], choice.chunk_size):
        fingerprint = _fingerprint(model.identity, part)
        if not chunks.holds(fingerprint):
            pictures = [house.folder / path for path in part["image_path"]]
            chunks.write(fingerprint, _rows(part, model), embed_files(model, pictures, choice.batch_size))
        done += len(part)
        say(f"{slug}: {done:,} of {len(images):,} images embedded")
    _set_aside(house, slug, before, matrix, known[is_known])
    return chunks.publish()


def _places(before: pd.DataFrame, wanted: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Row in which this very file was read by this encoder, -1 if there is none."""
    names = ["image_id", "sha256", "encoder"]
    # of an image that is in the table and set aside, either will do
    first = ~before.duplicated(names).to_numpy()
    found = pd.MultiIndex.from_frame(before.loc[first, names]).get_indexer(pd.MultiIndex.from_frame(wanted[names]))
    return np.where(found >= 0, np.flatnonzero(first)[found] if first.any() else -1, -1)


def _set_aside(
    house: House, slug: str, before: pd.DataFrame, matrix: npt.NDArray[np.float32], used: npt.NDArray[np.int64]
) -> None:
    """Keep what the table is about to lose and no picture could give again."""
    held = ImageStore(house.folder, slug).recorded()
    deleted = {(name, row.get("sha256")) for name, row in held.items() if row["is_deleted"]}
    is_left = ~before.index.isin(used) & ~before.duplicated(["image_id", "sha256", "encoder"])
    keys = zip(before["image_id"], before["sha256"], strict=True)
    rows = before[is_left & np.array([key in deleted for key in keys], dtype=bool)]
    house.store.set_aside(slug, rows, matrix[rows.index])


def _require_pictures(images: pd.DataFrame, house: House, slug: str, encoder: str) -> None:
    """See that the pictures to be embedded are there.

    Raises
    ------
    ImageryError
        If one has been deleted since: it would have to be fetched, and perhaps paid for, again.
    """
    lost = [path for path in images["image_path"] if not (house.folder / path).is_file()]
    if lost:
        cost = Acquisition(house).cost_usd(len(lost))
        raise ImageryError(
            f"{len(lost):,} pictures of {slug} are no longer kept and were not embedded by {encoder}; fetching "
            f"them again would cost about ${cost:,.2f}: if that is meant, materialise street_images with "
            f"fetch_again: true in its configuration (`streetimd run STUDY --local-authority {slug} "
            "--fetch-again`); if not, name the encoder they were embedded by"
        )


def _rows(images: pd.DataFrame, model: Encoder) -> pd.DataFrame:
    return images[["image_id", "lsoa_code", "heading_deg", "sha256"]].assign(encoder=model.identity)


def embed_files(encoder: Encoder, paths: list[Path], batch_size: int) -> npt.NDArray[np.float32]:
    """Embed image files, holding one batch of pictures in memory; return shape (n_images, 512)."""
    batches = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    return np.concatenate([encoder.embed_images([_picture(path) for path in batch]) for batch in batches])


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        # a telephone held upright says so in EXIF only
        return ImageOps.exif_transpose(picture).convert("RGB")


def _chunks(images: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    for start in range(0, len(images), size):
        yield images.iloc[start : start + size]


def _fingerprint(encoder: str, part: pd.DataFrame) -> str:
    """Name a chunk for what it is made from, so that only the same work is taken as done."""
    rows = part[["image_id", "sha256", "lsoa_code", "heading_deg"]].to_csv(index=False)
    return hashlib.sha256((encoder + rows).encode()).hexdigest()[:16]


def _embedded(
    store: TableStore, slug: str, model: Encoder, *, n_images: int, n_rows: int, n_pictures_deleted: int
) -> dg.MaterializeResult:
    _, matrix = store.read_embeddings(slug)
    deviation = classification.largest_norm_deviation(matrix)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": n_rows,
            "encoder": model.identity,
            "weights_sha256": model.weights_sha256,
            "n_pictures_deleted": n_pictures_deleted,
            "path": dg.MetadataValue.path(str(store.path("image_embeddings", slug))),
        },
        data_version=dg.DataVersion(store.content_hash("image_embeddings", slug)),
        check_results=[
            EMBEDDINGS_HAVE_UNIT_LENGTH.result(deviation < 1e-3, largest_deviation=deviation),
            EVERY_IMAGE_IS_EMBEDDED.result(n_rows == n_images, n_images=n_images, n_embedded=n_rows),
        ],
    )
