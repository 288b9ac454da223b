"""Whether the pictures that are to be embedded are there, and are those that were fetched."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.errors import ImageryError

_NAMED = 20


def require_pictures(images: pd.DataFrame, house: House, slug: str, encoder: str) -> None:
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


def require_whole(images: pd.DataFrame, house: House, slug: str) -> None:
    """See that the pictures to be embedded are those that were fetched, byte for byte.

    Raises
    ------
    ImageryError
        If a disk or a person has changed one since.
    """
    with ThreadPoolExecutor() as readers:
        found = list(readers.map(lambda path: _hash_file(house.folder / path), images["image_path"]))
    changed = images["image_path"][images["sha256"].to_numpy() != np.array(found, dtype=object)]
    if len(changed):
        named = ", ".join(str(house.folder / path) for path in changed[:_NAMED])
        raise ImageryError(
            f"{len(changed):,} of {len(images):,} pictures of {slug} looked at are not as they were fetched (their "
            f"SHA-256 differs): restore them from a copy, or delete them and materialise street_images and "
            f"image_embeddings again, which asks for them anew: {named}{', …' if len(changed) > _NAMED else ''}"
        )


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
