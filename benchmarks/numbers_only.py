"""Local authorities of numbers alone: images that nobody took, with embeddings drawn at random."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.schemas import EMBEDDING_DIMENSIONS
from streetimd_assets.store.tables import TableStore
from streetimd_tests.store.rows import rows_of

Vectors = npt.NDArray[np.float32]

HEADINGS = (0, 90, 180, 270)
ENCODER = "random numbers"


def invent_embeddings(n_images: int, seed: int) -> Vectors:
    """Vectors of unit length, shape (n_images, 512), with nothing of their size beside them in memory."""
    rng, vectors = np.random.default_rng(seed), np.empty((n_images, EMBEDDING_DIMENSIONS), dtype=np.float32)
    for start in range(0, n_images, 4096):
        some = vectors[start : start + 4096]
        rng.standard_normal(dtype=np.float32, out=some)
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return vectors


def invent_images(codes: list[str], n_images: int, seed: int) -> pd.DataFrame:
    """Rows of ``image_embeddings`` but for the embedding: four images of each panorama, its LSOA by chance."""
    rng, n_panoramas = np.random.default_rng(seed), n_images // len(HEADINGS)
    lsoa = np.repeat(rng.integers(len(codes), size=n_panoramas), len(HEADINGS))
    name = np.repeat([f"{codes[0]}-{number:07d}" for number in range(n_panoramas)], len(HEADINGS))
    heading = np.tile(HEADINGS, n_panoramas)
    image_id = [f"{panorama}@{heading_deg:03d}" for panorama, heading_deg in zip(name, heading, strict=True)]
    images = pd.DataFrame({"image_id": image_id, "lsoa_code": np.array(codes, dtype=object)[lsoa]})
    return images.assign(heading_deg=heading.astype(float), sha256=image_id, encoder=ENCODER)


def chunks_of(images: pd.DataFrame, seed: int, size: int = 2048) -> Iterator[tuple[str, pd.DataFrame, Vectors]]:
    """Yield chunks as the encoder makes them: a name, rows, and their embeddings."""
    for number, start in enumerate(range(0, len(images), size)):
        rows = images.iloc[start : start + size]
        yield f"{number:05d}", rows, invent_embeddings(len(rows), seed * 100_000 + number)


def write_embeddings(store: TableStore, slug: str, images: pd.DataFrame, seed: int) -> None:
    """Write the embeddings of a local authority in chunks, and put their table in place."""
    chunks = store.chunks("image_embeddings", slug)
    for name, rows, embeddings in chunks_of(images, seed):
        chunks.write(name, rows, embeddings)
    chunks.publish()


def write_categories(house: House) -> None:
    """Write what the encoder would have made of the categories' words."""
    categories, n = house.study.categories, len(house.study.categories.names)
    rows = pd.DataFrame({"category": categories.names, "position": range(n)})
    rows["is_reject"] = rows["category"].isin(categories.reject_names)
    rows = rows.assign(prompts="invented", logit_scale=100.0, encoder=ENCODER)
    rows = rows.assign(embedding=list(invent_embeddings(n, 0)), category_set_hash=categories.content_hash)
    house.store.write("category_embeddings", rows[list(house.store.table("category_embeddings").column_names)])


def write_surroundings(house: House, slug: str, codes: list[str], images: pd.DataFrame) -> None:
    """Write boundaries, deprivation, and the points and panoramas that the images are of."""
    store, lad_code = house.store, house.study.authority(slug).lad_code
    for name in ("lsoa_boundaries", "deprivation_indices"):
        store.write(name, rows_of(store.table(name), len(codes)).assign(lsoa_code=codes, lad_code=lad_code), slug)
    panoramas = pd.DataFrame({"panorama_id": images["image_id"].str[:-4], "lsoa_code": images["lsoa_code"]})
    panoramas = panoramas.drop_duplicates("panorama_id", ignore_index=True)
    panoramas = panoramas.assign(point_id=panoramas["panorama_id"], position=1, status="ok", is_360=True, source="")
    points = panoramas.assign(segment_id="0")
    points[["easting_m", "northing_m", "longitude_deg", "latitude_deg"]] = 0.0
    for name, rows in (("sample_points", points), ("panoramas", panoramas)):
        columns = list(store.table(name).column_names)
        unknown = {column: object for column in columns if column not in rows}
        store.write(name, rows.reindex(columns=columns).astype(unknown), slug)
