"""Images and words as points in the same space of 512 dimensions."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageOps

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
from streetimd_assets.science import classification
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import show_table

EMBEDDINGS_HAVE_UNIT_LENGTH = Check(
    "embeddings_have_unit_length", "The encoder did not normalise: do not use these embeddings, tell us."
)
EVERY_IMAGE_IS_EMBEDDED = Check("every_image_is_embedded", "Materialise image_embeddings again; it resumes.")


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Embeddings of images, per local authority, and of the study's categories."""
    categories, choice = house.study.categories, house.study.encoder
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

        Written in chunks: a stopped run resumes at its last one.
        """
        slug = context.partition_key
        images = street_images[street_images["status"] == "ok"].reset_index(drop=True)
        with refusals_in_one_sentence():
            model = encoder.loaded
            chunks = house.store.chunks("image_embeddings", slug)
            done = 0
            for part in _chunks(images, choice.chunk_size):
                fingerprint = _fingerprint(model.identity, part)
                if not chunks.holds(fingerprint):
                    rows = part[["image_id", "lsoa_code", "heading_deg"]].assign(encoder=model.identity)
                    pictures = [house.folder / path for path in part["image_path"]]
                    chunks.write(fingerprint, rows, embed_files(model, pictures, choice.batch_size))
                done += len(part)
                context.log.info(f"{slug}: {done:,} of {len(images):,} images embedded")
            n_rows = chunks.publish()
            show_table(house.store, "image_embeddings")
            return _embedded(house.store, slug, model, n_images=len(images), n_rows=n_rows)

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


def _embedded(store: TableStore, slug: str, model: Encoder, *, n_images: int, n_rows: int) -> dg.MaterializeResult:
    _, matrix = store.read_embeddings(slug)
    deviation = classification.largest_norm_deviation(matrix)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": n_rows,
            "encoder": model.identity,
            "weights_sha256": model.weights_sha256,
            "path": dg.MetadataValue.path(str(store.path("image_embeddings", slug))),
        },
        data_version=dg.DataVersion(store.content_hash("image_embeddings", slug)),
        check_results=[
            EMBEDDINGS_HAVE_UNIT_LENGTH.result(deviation < 1e-3, largest_deviation=deviation),
            EVERY_IMAGE_IS_EMBEDDED.result(n_rows == n_images, n_images=n_images, n_embedded=n_rows),
        ],
    )
