"""Summarise the images of each LSOA: counts, shares of categories and pooled embeddings."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError

Vectors = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

# 100 MB of embeddings
IMAGES_AT_ONCE = 50_000


def summarise_lsoas(
    lsoa_codes: Sequence[str],
    lad_code: str,
    points: pd.DataFrame,
    panoramas: pd.DataFrame,
    classified: pd.DataFrame,
    embeddings: Vectors,
    *,
    categories: Sequence[str],
    rejects: Sequence[str],
    min_images_per_category: int,
    category_set_hash: str,
    encoder: str,
) -> pd.DataFrame:
    """Summarise the images of each LSOA of one local authority.

    An image is kept unless a reject category won it. Shares of the other categories are of the kept images
    and sum to one; the share of a reject category is of all. Embeddings are pooled over the kept images,
    and over those of each category, dimension by dimension. The maximum grows with the number of images.

    Parameters
    ----------
    lsoa_codes
        One row is returned for each, LSOAs without images included.
    lad_code
        Code of their local authority.
    points, panoramas
        Rows of ``sample_points`` and ``panoramas``.
    classified
        Rows of ``category_probabilities``: image_id, lsoa_code, category, category_set_hash and encoder are read.
    embeddings
        Embeddings of those images in the same order, shape (n_images, n_dimensions).
    categories, rejects
        Names of the categories, and of those among them whose images are set aside.
    min_images_per_category
        With fewer images of a category than this, its embeddings are NULL.
    category_set_hash, encoder
        What the images must have been classified with.

    Returns
    -------
    features
        Rows of ``lsoa_features``: NULL, never zeros, where there is no image to speak from.

    Raises
    ------
    ScienceError
        If images and embeddings do not pair, lie in other LSOAs, or were classified with something else.
    """
    codes = pd.Index(sorted(lsoa_codes), name="lsoa_code")
    names = [*(name for name in categories if name not in rejects), *rejects]
    _require_fit(classified, embeddings, codes, names, (category_set_hash, encoder))
    lsoa = codes.get_indexer(pd.Index(classified["lsoa_code"]))
    category = pd.Index(names).get_indexer(pd.Index(classified["category"]))
    n_images = np.zeros((len(codes), len(names)), dtype=np.int64)
    np.add.at(n_images, (lsoa, category), 1)
    # the one sort: LSOA by LSOA, kept categories first, and the same for shuffled rows
    order = np.lexsort((*_names_to_sort(classified["image_id"]), category, lsoa))
    counts = _counts_and_shares(codes, n_images, names, n_kept_categories=len(names) - len(rejects))
    pooled = _pool_lsoas(embeddings, order, n_images, names, len(names) - len(rejects), min_images_per_category)
    features = pd.concat([counts, pd.DataFrame(pooled, index=codes)], axis=1).assign(
        lad_code=lad_code,
        n_points=points["lsoa_code"].value_counts().reindex(codes, fill_value=0),
        n_panoramas=panoramas.loc[panoramas["status"] == "ok", "lsoa_code"]
        .value_counts()
        .reindex(codes, fill_value=0),
        category_set_hash=category_set_hash,
        encoder=encoder,
    )
    return features.reset_index()[list(schemas.get_table("lsoa_features", categories).column_names)]


def summarise_in_ranges(
    lsoa_codes: Sequence[str],
    lad_code: str,
    points: pd.DataFrame,
    panoramas: pd.DataFrame,
    classified: pd.DataFrame,
    read_embeddings: Callable[[Sequence[str]], Vectors],
    *,
    n_images_at_once: int = IMAGES_AT_ONCE,
    **how: Any,
) -> pd.DataFrame:
    """Do what :func:`summarise_lsoas` does, with the embeddings of some LSOAs in memory at a time.

    Parameters
    ----------
    lsoa_codes, lad_code, points, panoramas, classified, **how
        As those of :func:`summarise_lsoas`.
    read_embeddings
        Reads the embeddings of images by their ids, in the order asked, shape (n_images, n_dimensions).
    n_images_at_once
        Images of a range of LSOAs at most, unless one LSOA alone has more.

    Returns
    -------
    features
        Those that the whole at once gives, to the last bit.

    Raises
    ------
    ScienceError
        As :func:`summarise_lsoas` does.
    """
    parts = [
        summarise_lsoas(
            codes, lad_code, points, panoramas, images, read_embeddings(list(images["image_id"])), **how
        )
        for codes, images in lsoa_ranges(lsoa_codes, classified, n_images_at_once)
    ]
    return pd.concat(parts, ignore_index=True)


def stack_embeddings(column: "pd.Series[Any]") -> Vectors:
    """Stack a column of embeddings, shape (n_rows, n_dimensions); a row of NaN where NULL."""
    is_known = column.notna().to_numpy()
    known = [np.asarray(vector, dtype=np.float32) for vector in column[is_known]]
    n_dimensions = len(known[0]) if known else schemas.EMBEDDING_DIMENSIONS
    stacked = np.full((len(column), n_dimensions), np.nan, dtype=np.float32)
    if known:
        stacked[is_known] = np.stack(known)
    return stacked


def require_one_vintage(features: pd.DataFrame) -> None:
    """Raise unless all rows come of the same category set and encoder, so that they may be pooled.

    Raises
    ------
    ScienceError
        If there are several; the sentence names them and the local authorities that have each.
    """
    vintages = features.groupby(["category_set_hash", "encoder"], as_index=False)["lad_code"].agg(set)
    if len(vintages) > 1:
        described = [
            f"category set {row.category_set_hash} and encoder {row.encoder} in {_few(sorted(row.lad_code))}"
            for row in vintages.itertuples()
        ]
        raise ScienceError(
            f"lsoa_features must not be pooled: they come of {'; of '.join(described)}; "
            "materialise again those that are out of date"
        )


def zero_embeddings(features: pd.DataFrame) -> list[str]:
    """Columns in which an LSOA has zeros for an embedding: no image gives that, so it should be NULL."""
    columns = [name for name in map(str, features) if name.endswith("_embedding")]
    return [name for name in columns if any(not np.any(vector) for vector in features[name].dropna())]


def lsoa_ranges(
    lsoa_codes: Sequence[str], images: pd.DataFrame, n_images: int = IMAGES_AT_ONCE
) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """Part LSOAs into ranges of few images, so that the embeddings of no more need be in memory at once.

    Parameters
    ----------
    lsoa_codes
        In any order.
    images
        Column lsoa_code.
    n_images
        Images of a range at most, unless one LSOA alone has more.

    Yields
    ------
    codes, images
        LSOAs that follow one another by code, and their images, in the order given. Images of LSOAs not
        named come with the first range.
    """
    codes = pd.Index(sorted(lsoa_codes))
    lsoa = codes.get_indexer(pd.Index(images["lsoa_code"]))
    ranges, n_in_range = np.zeros(len(codes), dtype=np.intp), 0
    for place, n_here in enumerate(np.bincount(lsoa[lsoa >= 0], minlength=len(codes))):
        begins = n_in_range > 0 and n_in_range + n_here > n_images
        ranges[place:] += begins
        n_in_range = n_here + (0 if begins else n_in_range)
    of_image = np.r_[ranges, 0][lsoa]
    for number in range(ranges.max(initial=0) + 1):
        yield list(codes[ranges == number]), images[of_image == number]


def _names_to_sort(image_id: "pd.Series[Any]") -> "tuple[npt.NDArray[np.str_], ...]":
    """Return the names as a key to sort by; none where they stand in their order, as tables have them."""
    return () if image_id.is_monotonic_increasing else (image_id.to_numpy(dtype=str),)


def _require_fit(
    classified: pd.DataFrame,
    embeddings: Vectors,
    codes: "pd.Index[str]",
    names: Sequence[str],
    vintage: tuple[str, str],
) -> None:
    if len(classified) != len(embeddings):
        raise ScienceError(
            f"{len(classified)} classified images do not pair with {len(embeddings)} embeddings; "
            "materialise category_probabilities again"
        )
    found = classified[["category_set_hash", "encoder"]].drop_duplicates()
    others = [row for row in found.itertuples(index=False, name=None) if row != vintage]
    if others:
        was_set, was_encoder = others[0]
        raise ScienceError(
            f"images were classified with category set {was_set} and encoder {was_encoder}, and the study now has "
            f"{vintage[0]} and {vintage[1]}; materialise category_embeddings and category_probabilities again"
        )
    strangers = sorted(set(classified["lsoa_code"]) - set(codes))
    if strangers:
        raise ScienceError(
            f"images stand in {_few(strangers)}, not among the {len(codes)} LSOAs given; "
            "materialise panoramas and all that follows again"
        )
    unknown = sorted(set(classified["category"]) - set(names))
    if unknown:
        raise ScienceError(
            f"images are classified as {_few(unknown)}, which the study's category set does not have"
        )


def _counts_and_shares(
    codes: "pd.Index[str]", n_images: Counts, names: Sequence[str], *, n_kept_categories: int
) -> pd.DataFrame:
    """Columns of counts and shares from the images per LSOA and category, kept categories first."""
    n_all = n_images.sum(axis=1)
    n_kept = n_images[:, :n_kept_categories].sum(axis=1)
    with np.errstate(invalid="ignore"):
        columns = {"n_images": n_all, "n_images_kept": n_kept, "rejected_share": (n_all - n_kept) / n_all}
        for place, name in enumerate(names):
            columns[f"n_{name}"] = n_images[:, place]
            columns[f"{name}_share"] = n_images[:, place] / (n_kept if place < n_kept_categories else n_all)
    return pd.DataFrame(columns, index=codes)


def _pool_lsoas(
    embeddings: Vectors,
    order: Counts,
    n_images: Counts,
    names: Sequence[str],
    n_kept_categories: int,
    min_images: int,
) -> dict[str, list[Vectors | None]]:
    """Pool the embeddings of each LSOA and category; one LSOA's images are in memory at a time."""
    prefixes = [*(f"{name}_" for name in names), ""]
    pooled: dict[str, list[Vectors | None]] = {
        f"{prefix}{statistic}_embedding": [] for prefix in prefixes for statistic in schemas.STATISTICS
    }
    stops = np.cumsum(n_images.sum(axis=1))
    for stop, counts in zip(stops, n_images, strict=True):
        # dimensions in rows: a median then sorts neighbours in memory
        block = np.ascontiguousarray(embeddings[order[stop - counts.sum() : stop]].T)
        ends = np.cumsum(counts)
        parts = [block[:, end - n : end] if n >= min_images else None for end, n in zip(ends, counts, strict=True)]
        kept = block[:, : counts[:n_kept_categories].sum()]
        # all kept images come last: pooling may reorder the images of its block, across categories then
        for prefix, part in zip(prefixes, [*parts, kept], strict=True):
            for statistic, vector in zip(schemas.STATISTICS, _pool(part), strict=True):
                pooled[f"{prefix}{statistic}_embedding"].append(vector)
    return pooled


def _pool(block: Vectors | None) -> Iterator[Vectors | None]:
    """Yield mean, median and maximum over images, of shape (n_dimensions, n_images); None for no image."""
    if block is None or not block.shape[1]:
        yield from (None, None, None)
    else:
        yield block.mean(axis=1, dtype=np.float64).astype(np.float32)
        # in place: the order of the images within the block says nothing; numpy sorts short rows of single
        # precision faster than it finds their middle, and a row that holds NaN ends in it
        block.sort(axis=1)
        low, high = block[:, (block.shape[1] - 1) // 2], block[:, block.shape[1] // 2]
        yield np.where(np.isnan(block[:, -1]), block[:, -1], (low + high) / 2)
        yield block[:, -1].copy()


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
