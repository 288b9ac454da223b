"""Delete pictures and the pages that show them, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.settings import Settings
from streetimd_assets.store.images import ImageStore
from streetimd_assets.study import load_study


@dataclass(frozen=True)
class Pictures:
    """How many pictures there are, and a sentence about them."""

    n_pictures: int
    said: str

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to delete."""
        return self.n_pictures == 0


def find_pictures(settings: Settings, local_authorities: Iterable[str] | None) -> Pictures:
    """Count the pictures kept of some local authorities, all if None."""
    house = House(load_study(settings.study), settings)
    slugs = _slugs(house, local_authorities)
    kept = [ImageStore(house.folder, slug).files() for slug in slugs]
    n_pictures, n_bytes = sum(n for n, _ in kept), sum(size for _, size in kept)
    n_unread = sum(_count_unread(house, slug) for slug in slugs)
    if not n_pictures:
        return Pictures(0, f"{house.study.name} keeps no picture there: nothing to delete")
    size = f"{n_bytes / 2**20:,.0f} MiB"
    return Pictures(
        n_pictures,
        f"{house.study.name} keeps {n_pictures:,} pictures ({size}) in {house.folder / 'images'}. "
        f"{_unread(house, n_unread)}"
        "Their contact sheets will be deleted too; tables, embeddings and the record of what was bought stay. "
        "Small previews shown in the Dagster UI are part of its own records and stay there",
    )


def purge_pictures(settings: Settings, local_authorities: Iterable[str] | None) -> str:
    """Delete the pictures of some local authorities, all if None; say what was done."""
    house = House(load_study(settings.study), settings)
    n_pictures = n_pages = 0
    for slug in _slugs(house, local_authorities):
        kept = ImageStore(house.folder, slug)
        with kept.alone():
            n_pictures += kept.purge()
        page = house.page("classification_report", slug)
        n_pages += page.exists()
        page.unlink(missing_ok=True)
    return f"deleted {n_pictures:,} pictures and {n_pages} contact sheets"


def _count_unread(house: House, slug: str) -> int:
    """Count the pictures that no encoder has read yet."""
    embedded, _ = house.store.read_every_embedding(slug)
    held = ImageStore(house.folder, slug).recorded()
    there = {name for name, row in held.items() if row["status"] == "ok" and not row["is_deleted"]}
    return len(there - set(embedded["image_id"]))


def _unread(house: House, n_unread: int) -> str:
    if not n_unread:
        return ""
    cost = Acquisition(house).cost_usd(n_unread)
    return f"{n_unread:,} of them have not been embedded: fetching them again would cost about ${cost:,.2f}. "


def _slugs(house: House, local_authorities: Iterable[str] | None) -> list[str]:
    return [house.study.authority(name).slug for name in local_authorities or house.study.slugs]
