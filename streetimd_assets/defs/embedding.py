"""Images and words as points in the same space of 512 dimensions."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pictures import require_pictures, require_whole
from streetimd_assets.defs.progress import Pace, Progress
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.defs.shapes import find_faults
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    check_specs,
    declared,
    refusals_in_one_sentence,
    refuse_where_not_met,
    shape_result,
    stamped,
    table_asset,
)
from streetimd_assets.encoders.base import Encoder
from streetimd_assets.science import classification, soundness
from streetimd_assets.store.chunks import Chunks
from streetimd_assets.store.images import ImageStore
from streetimd_assets.store.views import show_table
from streetimd_assets.study.encoder import EncoderChoice

EMBEDDINGS_HAVE_UNIT_LENGTH = Check(
    "embeddings_have_unit_length",
    "the encoder did not normalise, so similarities would be wrong; choose another (encoder.model), and tell us.",
)
EVERY_IMAGE_IS_EMBEDDED = Check("every_image_is_embedded", "materialise image_embeddings again; it resumes.")
EMBEDDINGS_BELONG_TO_THEIR_IMAGE = Check(
    "embeddings_belong_to_their_image",
    "LSOAs or files differ from those of street_images: materialise street_images and image_embeddings again.",
)
HEADINGS_LOOK_DIFFERENT = Check(
    "headings_look_different",
    "panoramas show the same picture in every heading, so they count for one; look at the contact sheets, and "
    "tell us the provider.",
    is_blocking=False,
)
WORDS_HAVE_UNIT_LENGTH = Check(
    "words_have_unit_length",
    "the encoder did not normalise, so similarities would be wrong; choose another (encoder.model), and tell us.",
)
SCALE_IS_THE_MODELS_OWN = Check(
    "scale_is_the_models_own",
    "probabilities would be nearly uniform: the model's logit scale was not read, so choose weights that hold it.",
)
CATEGORIES_DIFFER_IN_WORDS = Check(
    "categories_differ_in_words",
    "two categories say almost the same to the model; make their prompts more distinct, or join them.",
    is_blocking=False,
)
# a softmax sharper than nothing: CLIP's own scale is near 100, that of small models above 10
_LEAST_SCALE = 5.0
_LARGEST_DEVIATION = 1e-3
# 64 MiB of embeddings
_CARRIED_ON_AT_ONCE = 32_768


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Embeddings of images, per local authority, and of the study's categories."""
    categories, choice = house.study.categories, house.study.encoder
    acquisition = Acquisition(house)
    checks = [
        EMBEDDINGS_HAVE_UNIT_LENGTH,
        EVERY_IMAGE_IS_EMBEDDED,
        EMBEDDINGS_BELONG_TO_THEIR_IMAGE,
        HEADINGS_LOOK_DIFFERENT,
    ]
    encoder_stamp = _encoder_stamp(choice)

    @dg.asset(
        **declared(house, "image_embeddings", frozenset({"pytorch"})),
        code_version=stamped(1, encoder_stamp),
        pool="torch",
        # where runs go to workers, to one with a GPU; elsewhere it means nothing
        op_tags={"dagster-celery/queue": "gpu"},
        check_specs=check_specs("image_embeddings", checks, house.partitions),
    )
    def image_embeddings(
        context: dg.AssetExecutionContext,
        street_images: pd.DataFrame,
        encoder: dg.ResourceParam[LazyEncoder],
    ) -> Any:
        """What CLIP sees in each image: 512 numbers of unit length, one model for the whole table.

        Images that look alike lie close together; a single number means nothing by itself. Written in
        chunks: a stopped run resumes at its last one. Where pictures are not retained, they are deleted
        once the table is in place. What it has of the same files is carried on.
        """
        slug = context.partition_key
        images = street_images[street_images["status"] == "ok"].reset_index(drop=True)
        with refusals_in_one_sentence():
            model = encoder.loaded
            progress = Progress(context.log.info, "images embedded", slug)
            done = _embed(house, slug, images, model, progress, keeps_pictures=acquisition.retains_images)
            # unsound chunks are refused before the table is touched; what is wrong with the whole, after
            yield from done.refused
            refuse_where_not_met("image_embeddings", done.refused)
            results = _judge(house, slug, images)
            show_table(house.store, "image_embeddings")
            encoder.lead()
            n_deleted = 0
            # never before it is sure that they have been embedded as they should
            is_sound = all(result.passed or result.severity != dg.AssetCheckSeverity.ERROR for result in results)
            if not acquisition.retains_images and done.n_rows == len(images) and is_sound:
                kept = ImageStore(house.folder, slug)
                # not what was paid for and is of no point of the study at present: this encoder has not read it
                embedded = house.store.read_embedded(slug)
                read = embedded.loc[embedded["encoder"] == model.identity, "image_id"]
                with kept.alone():
                    n_deleted = kept.delete(read.unique())
            yield _embedded(house, slug, model, done, n_deleted, results)
            refuse_where_not_met("image_embeddings", results, is_in_place=True)

    @table_asset(
        house,
        kinds=frozenset({"pytorch"}),
        code_version=stamped(1, encoder_stamp, categories.content_hash),
        pool="torch",
        checks=[WORDS_HAVE_UNIT_LENGTH, SCALE_IS_THE_MODELS_OWN, CATEGORIES_DIFFER_IN_WORDS],
    )
    def category_embeddings(encoder: dg.ResourceParam[LazyEncoder]) -> Made:
        """Each of the study's categories in words: the averaged embedding of its prompts.

        An image is given to the category whose words it is most like. Change the prompts in the study
        file, and this and all that follows is marked stale; no image is fetched or embedded again.
        """
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
        table = pd.DataFrame(rows)
        deviation = classification.largest_norm_deviation(np.stack(list(table["embedding"])))
        first, second, alike = soundness.closest_categories(table)
        return Made(
            table,
            {
                "n_prompts": sum(len(categories.phrases(category)) for category in categories.category),
                "largest_similarity_of_two_categories": alike,
                "logit_scale": model.logit_scale,
                "category_set": f"{categories.name}@{categories.content_hash}",
                "encoder": model.identity,
            },
            [
                WORDS_HAVE_UNIT_LENGTH.result(deviation < _LARGEST_DEVIATION, largest_deviation=deviation),
                SCALE_IS_THE_MODELS_OWN.result(model.logit_scale >= _LEAST_SCALE, logit_scale=model.logit_scale),
                CATEGORIES_DIFFER_IN_WORDS.result(
                    alike < 0.97, most_alike=f"{first} and {second}", similarity=alike
                ),
            ],
        )

    return [image_embeddings, category_embeddings]


@dataclass(frozen=True)
class Embedded:
    """What became of a local authority's images: rows in place and how many were new, or why there are none."""

    n_rows: int
    n_new: int
    refused: list[dg.AssetCheckResult] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)


def _encoder_stamp(choice: EncoderChoice) -> str:
    """Name what decides embeddings: how many are read at a time, and on what machine, does not."""
    weights = Path(choice.weights)
    file = f"{weights.stat().st_size}/{weights.stat().st_mtime_ns}" if weights.is_file() else ""
    return "/".join([choice.model, choice.weights, file, *choice.deciding[2:]])


def _embed(
    house: House,
    slug: str,
    images: pd.DataFrame,
    model: Encoder,
    progress: Callable[[int, int], None],
    *,
    keeps_pictures: bool,
) -> Embedded:
    """Put the table of these images in place, new ones read in chunks, unless a chunk is unsound."""
    choice, chunks = house.study.encoder, house.store.chunks("image_embeddings", slug)
    before = house.store.read_embedded(slug)
    known = _places(before, images.assign(encoder=model.identity))
    is_known, pace = known >= 0, Pace()
    require_pictures(images[~is_known], house, slug, model.identity)
    for rows in _chunks(images[is_known], _CARRIED_ON_AT_ONCE):
        embeddings = house.store.read_embeddings_at(slug, before.loc[known[rows.index]])
        chunks.write(_fingerprint(model.identity, rows), _rows(rows, model), embeddings)
    done = n_before = int(is_known.sum())
    progress(done, len(images))
    for part in _chunks(images[~is_known], choice.chunk_size):
        fingerprint = _fingerprint(model.identity, part)
        if not chunks.holds(fingerprint):
            pictures = [house.folder / path for path in part["image_path"]]
            started = time.monotonic()
            require_whole(part, house, slug)
            made = model.embed_files(pictures, partial(_tell, progress, done, len(images)))
            pace.add(len(part), time.monotonic() - started)
            results = _sound(house, part, made, model)
            if not all(result.passed for result in results):
                return Embedded(0, 0, results)
            chunks.write(fingerprint, _rows(part, model), made)
        done += len(part)
        progress(done, len(images))
    is_unused = ~before.index.isin(known[is_known])
    is_left = is_unused & _is_without_picture(house, slug, before, keeps_pictures=keeps_pictures)
    n_rows = _put_in_place(house, slug, chunks, before, is_left)
    return Embedded(n_rows, done - n_before, pace=pace)


def _tell(progress: Callable[[int, int], None], n_before: int, n_all: int, n_done: int) -> None:
    progress(n_before + n_done, n_all)


def _sound(
    house: House, part: pd.DataFrame, embeddings: npt.NDArray[np.float32], model: Encoder
) -> list[dg.AssetCheckResult]:
    """Check a chunk before it is kept: its columns, and the length of its embeddings."""
    rows = _rows(part, model).assign(embedding=list(embeddings))
    faults, _ = find_faults(house.store, "image_embeddings", rows)
    deviation = classification.largest_norm_deviation(embeddings)
    return [
        shape_result(faults, len(rows)),
        EMBEDDINGS_HAVE_UNIT_LENGTH.result(deviation < _LARGEST_DEVIATION, largest_deviation=deviation),
    ]


def _judge(house: House, slug: str, images: pd.DataFrame) -> list[dg.AssetCheckResult]:
    """Check the whole table against the images it is of."""
    rows, matrix = house.store.read_embeddings(slug)
    astray = soundness.astray_share(rows, images, ["lsoa_code", "sha256"])
    alike = soundness.same_view_share(rows, matrix)
    deviation = classification.largest_norm_deviation(matrix)
    return [
        # of each chunk, before it was kept
        shape_result([], len(rows)),
        EMBEDDINGS_HAVE_UNIT_LENGTH.result(deviation < _LARGEST_DEVIATION, largest_deviation=deviation),
        EVERY_IMAGE_IS_EMBEDDED.result(len(rows) == len(images), n_images=len(images), n_embedded=len(rows)),
        EMBEDDINGS_BELONG_TO_THEIR_IMAGE.result(astray == 0, wrong_share=astray),
        HEADINGS_LOOK_DIFFERENT.result(alike < 0.05, same_view_share=alike),
    ]


def _places(before: pd.DataFrame, wanted: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Row in which this very file was read by this encoder, -1 if there is none."""
    names = ["image_id", "sha256", "encoder"]
    # of an image that is in the table and set aside, either will do
    first = ~before.duplicated(names).to_numpy()
    found = pd.MultiIndex.from_frame(before.loc[first, names]).get_indexer(pd.MultiIndex.from_frame(wanted[names]))
    return np.where(found >= 0, np.flatnonzero(first)[found] if first.any() else -1, -1)


def _put_in_place(
    house: House, slug: str, chunks: Chunks, before: pd.DataFrame, is_left: npt.NDArray[np.bool_]
) -> int:
    """Put the table in place, and set aside what it thereby loses and no picture will give again."""
    was_aside = before["is_set_aside"].to_numpy(dtype=bool)
    is_first = ~before.duplicated(["image_id", "sha256", "encoder"]).to_numpy()
    is_left = is_first & is_left
    if (is_left & ~was_aside).any():
        house.store.set_aside(slug, before[is_first & (is_left | was_aside)])
    n_rows = chunks.publish()
    # what is taken up again is let go only now that the table has it
    if (was_aside & ~is_left).any():
        house.store.set_aside(slug, before[is_left].assign(is_set_aside=True))
    return n_rows


def _is_without_picture(
    house: House, slug: str, before: pd.DataFrame, *, keeps_pictures: bool
) -> npt.NDArray[np.bool_]:
    """Tell rows whose picture has been deleted, or will be as soon as the table is in place."""
    held = ImageStore(house.folder, slug).recorded()
    gone = {(name, row.get("sha256")) for name, row in held.items() if row["is_deleted"] or not keeps_pictures}
    keys = zip(before["image_id"], before["sha256"], strict=True)
    return np.array([key in gone for key in keys], dtype=bool)


def _rows(images: pd.DataFrame, model: Encoder) -> pd.DataFrame:
    return images[["image_id", "lsoa_code", "heading_deg", "sha256"]].assign(encoder=model.identity)


def _chunks(images: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    for start in range(0, len(images), size):
        yield images.iloc[start : start + size]


def _fingerprint(encoder: str, part: pd.DataFrame) -> str:
    """Name a chunk for what it is made from, so that only the same work is taken as done."""
    rows = part[["image_id", "sha256", "lsoa_code", "heading_deg"]].to_csv(index=False)
    return hashlib.sha256((encoder + rows).encode()).hexdigest()[:16]


def _embedded(
    house: House,
    slug: str,
    model: Encoder,
    done: Embedded,
    n_pictures_deleted: int,
    results: list[dg.AssetCheckResult],
) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.n_rows,
            "n_embedded_now": done.n_new,
            "n_carried_on": done.n_rows - done.n_new,
            "n_pictures_deleted": n_pictures_deleted,
            "encoder": model.identity,
            "weights_sha256": model.weights_sha256,
            "device": model.computing.device,
            "precision": str(model.computing),
            "batch_size": model.computing.batch_size,
            **done.pace.described(model),
            "path": dg.MetadataValue.path(str(house.store.path("image_embeddings", slug))),
        },
        data_version=dg.DataVersion(house.store.content_hash("image_embeddings", slug)),
        check_results=results,
    )
