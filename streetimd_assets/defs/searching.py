"""Find the images of a study that are nearest to a phrase, by the embeddings that are stored."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.encoders.base import Encoder
from streetimd_assets.errors import ScienceError, TableMissingError
from streetimd_assets.plots import search as search_plot
from streetimd_assets.science import search
from streetimd_assets.settings import Settings
from streetimd_assets.store.files import written_whole
from streetimd_assets.study import load_study

MOST_IMAGES = 1_000
_LONGEST_NAME = 60
_FEW = 3
_FILES = ["image_id", "heading_deg", "captured_on", "image_path", "viewer_url", "credit", "licence"]
COLUMNS = ("image_id", "lsoa_code", "local_authority", "similarity", "category", *_FILES[1:])


@dataclass(frozen=True)
class Found:
    """What a search found.

    Parameters
    ----------
    rows
        The nearest images, the nearest first: columns :data:`COLUMNS`.
    page
        A page that shows them.
    notes
        Sentences for people: how many were searched, and how the nearest stands out from all.
    """

    rows: pd.DataFrame
    page: Path
    notes: tuple[str, ...]


def search_images(
    settings: Settings, text: str, local_authorities: Sequence[str] | None = None, n_images: int = 24
) -> Found:
    """Find the images nearest to a phrase and write a page that shows them.

    Parameters
    ----------
    settings
        The study and where it is kept.
    text
        What to look for, in words.
    local_authorities
        Names of those to search, all that have embeddings if None.
    n_images
        How many to find, at most 1,000.

    Raises
    ------
    ScienceError
        If the text is empty, the number is not allowed, or images were embedded by another encoder
        than the study's.
    TableMissingError
        If no image, or none of a local authority named, has been embedded yet.
    """
    text = " ".join(text.split())
    if not text:
        raise ScienceError("there is nothing to search for; say in words what the pictures should show")
    if not 1 <= n_images <= MOST_IMAGES:
        raise ScienceError(f"{n_images} images cannot be shown; ask for 1 to {MOST_IMAGES:,}")
    house = House(load_study(settings.study), settings)
    house.study.require_images("search")
    slugs = _searched(house, local_authorities)
    encoder = LazyEncoder(house.study.encoder, house.store).loaded
    rows, similarity = _nearest(house, slugs, encoder, encoder.embed_texts([text])[0], n_images)
    rows = _described(house, rows)
    notes = _notes(similarity, house.study.heading, [house.study.authority(slug).name for slug in slugs])
    page = house.page("search", _file_name(text))
    with written_whole(page) as temporary:
        temporary.write_text(_page(house, rows, text, notes), encoding="utf-8")
    return Found(rows, page, notes)


def _searched(house: House, local_authorities: Sequence[str] | None) -> list[str]:
    present = set(house.store.local_authorities("image_embeddings"))
    if local_authorities:
        chosen = list(dict.fromkeys(house.study.authority(name).slug for name in local_authorities))
        if missing := [slug for slug in chosen if slug not in present]:
            raise TableMissingError(
                f"no image of {missing[0]} has been embedded yet; materialise image_embeddings for it first"
            )
        return chosen
    if not (chosen := [slug for slug in house.study.slugs if slug in present]):
        raise TableMissingError(
            f"no image of {house.study.name} has been embedded yet; collect one or more local authorities first"
        )
    return chosen


def _nearest(
    house: House, slugs: list[str], encoder: Encoder, direction: npt.NDArray[np.float32], n_images: int
) -> tuple[pd.DataFrame, npt.NDArray[np.float32]]:
    """Return the nearest images of all, and the similarity of every image; one local authority in memory."""
    best, every = [], []
    for slug in slugs:
        images, embeddings = house.store.read_embeddings(slug)
        _require_encoder(slug, images, encoder)
        similarity = search.similarities_to(embeddings, direction)
        places = search.nearest(similarity, n_images)
        kept = images.iloc[places][["image_id", "lsoa_code"]]
        best.append(kept.assign(local_authority=slug, similarity=similarity[places].astype(float)))
        every.append(similarity)
    found, similarity = pd.concat(best, ignore_index=True), np.concatenate(every)
    if found.empty:
        raise TableMissingError(f"{', '.join(slugs)} has no image to search; see its street_images")
    first = search.nearest(found["similarity"].to_numpy(dtype=np.float32), n_images)
    return found.iloc[first].reset_index(drop=True), similarity


def _require_encoder(slug: str, images: pd.DataFrame, encoder: Encoder) -> None:
    others = sorted(set(images["encoder"]) - {encoder.identity})
    if others:
        raise ScienceError(
            f"the images of {slug} were embedded by {others[0]} and the study now names {encoder.identity}, so "
            "they cannot be compared with words; materialise image_embeddings again, or name that encoder again"
        )


def _described(house: House, found: pd.DataFrame) -> pd.DataFrame:
    """Join each image to its category, where it has one, and to its file, date and credit."""
    parts = []
    for slug in found["local_authority"].unique():
        wanted = set(found.loc[found["local_authority"] == slug, "image_id"])
        files = house.store.read("street_images", slug, _FILES)
        files = files[files["image_id"].isin(wanted)]
        category: dict[str, str] = {}
        if house.store.holds("category_probabilities", slug):
            known = house.store.read("category_probabilities", slug, ["image_id", "category"])
            category = dict(known[known["image_id"].isin(wanted)].itertuples(index=False))
        parts.append(files.assign(local_authority=slug, category=files["image_id"].map(category)))
    described = found.merge(pd.concat(parts, ignore_index=True), on=["local_authority", "image_id"], how="left")
    return described[list(COLUMNS)]


def _notes(similarity: npt.NDArray[np.float32], heading: str, names: list[str]) -> tuple[str, ...]:
    """Say what was searched and how to read the similarities."""
    figures = search.standing(similarity)
    where = ", ".join(names) if len(names) <= _FEW else f"{len(names)} local authorities"
    return (
        f"{heading}: {len(similarity):,} images of {where} were searched.",
        f"The nearest has similarity {figures['nearest']:.3f}; half of all lie below {figures['median']:.3f} "
        f"and one in a hundred reaches {figures['top_percent']:.3f}.",
        "Similarity is relative: there is always a nearest image, also to what no street shows. Compare it with "
        "the others, and look.",
    )


def _page(house: House, rows: pd.DataFrame, text: str, notes: Sequence[str]) -> str:
    return search_plot.search_page(
        rows,
        Acquisition(house).read_image,
        heading=house.study.heading,
        text=text,
        names={authority.slug: authority.name for authority in house.study.authorities},
        titles=house.study.categories.titles,
        notes=notes,
    )


def _file_name(text: str) -> str:
    """Return the phrase as the name of a file; words that do not fit one are told apart by their hash.

    Examples
    --------
    >>> _file_name("Boarded-up shop!")
    'boarded-up-shop'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if name and len(name) <= _LONGEST_NAME and text.isascii():
        return name
    digest = hashlib.sha256(text.casefold().encode()).hexdigest()[:8]
    return f"{name[:_LONGEST_NAME].strip('-')}-{digest}".strip("-")
