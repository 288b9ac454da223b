"""Delete pictures and the pages that show them, and nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.settings import Settings
from streetimd_assets.store.images import ImageStore
from streetimd_assets.study import load_study

# how a JPEG and a WebP picture begin in base64, which is how pictures stand in pages
_PICTURES = re.compile(rb"/9j/4AAQSkZJRg|UklGR[\w+/]{6}XRUJQ")


@dataclass(frozen=True)
class Pictures:
    """How many pictures and pages that show them there are, and a sentence about them."""

    n_pictures: int
    n_pages: int
    said: str

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to delete."""
        return not (self.n_pictures or self.n_pages)


def find_pictures(settings: Settings, local_authorities: Iterable[str] | None) -> Pictures:
    """Count the pictures kept of some local authorities, all if None."""
    house = House(load_study(settings.study), settings)
    house.study.require_images("delete")
    slugs = _slugs(house, local_authorities)
    kept = [ImageStore(house.folder, slug).files() for slug in slugs]
    n_pictures, n_bytes = sum(n for n, _ in kept), sum(size for _, size in kept)
    n_unread = sum(_count_unread(house, slug) for slug in slugs)
    n_pages = len(_pages(house, slugs))
    if not n_pictures and not n_pages:
        return Pictures(0, 0, f"{house.study.name} keeps no picture there: nothing to delete")
    size = f"{n_bytes / 2**20:,.0f} MiB"
    return Pictures(
        n_pictures,
        n_pages,
        f"{house.study.name} keeps {n_pictures:,} pictures ({size}) in {house.folder / 'images'}. "
        f"{_unread(house, n_unread)}"
        f"{n_pages:,} pages that show them, some beside pictures of other local authorities, will be deleted too; "
        "tables, embeddings, people's labels and the record of what was bought stay. "
        "Small previews shown in the Dagster UI are part of its own records and stay there",
    )


def purge_pictures(settings: Settings, local_authorities: Iterable[str] | None) -> str:
    """Delete the pictures of some local authorities, all if None; say what was done."""
    house = House(load_study(settings.study), settings)
    slugs, n_pictures = _slugs(house, local_authorities), 0
    for slug in slugs:
        kept = ImageStore(house.folder, slug)
        with kept.alone():
            n_pictures += kept.purge()
    pages = _pages(house, slugs)
    for page in pages:
        page.unlink(missing_ok=True)
    return f"deleted {n_pictures:,} pictures and {len(pages):,} pages that showed them"


def _pages(house: House, slugs: list[str]) -> list[Path]:
    """Return the pages of these local authorities, and of the whole study, in which pictures stand.

    Contact sheets, labelling pages, searches, examples, and reports that show some of them; a page whose
    pictures were not kept has gaps and links, and stays.
    """
    folder = house.folder / "pages"
    local = [path for slug in slugs for path in folder.glob(f"*/{slug}.html")]
    study_wide = [*folder.glob("*.html"), *folder.glob("search/*.html")]
    return [path for path in dict.fromkeys([*local, *study_wide]) if _PICTURES.search(path.read_bytes())]


def _count_unread(house: House, slug: str) -> int:
    """Count the pictures that no encoder has read yet."""
    embedded = house.store.read_embedded(slug)
    held = ImageStore(house.folder, slug).recorded()
    there = {name for name, row in held.items() if row["status"] == "ok" and not row["is_deleted"]}
    return len(there - set(embedded["image_id"]))


def _unread(house: House, n_unread: int) -> str:
    if not n_unread:
        return ""
    cost = Acquisition(house).cost_usd(n_unread)
    return f"{n_unread:,} of them have not been embedded: fetching them again would cost about ${cost:,.2f}. "


def _slugs(house: House, local_authorities: Iterable[str] | None) -> list[str]:
    """Return those named, or all: the study's, and any that it had when their pictures were collected."""
    if local_authorities:
        return [house.study.authority(name).slug for name in local_authorities]
    collected = sorted(folder.name for folder in (house.folder / "images").glob("*") if folder.is_dir())
    return list(dict.fromkeys([*house.study.slugs, *collected]))
