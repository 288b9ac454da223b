"""The study's image source, ready to be asked: its pace, its terms, its price and its purse."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.painted import PaintedSource, painted_streets
from streetimd_assets.settings import read_environment
from streetimd_assets.sources.imagery.base import ImagerySource, Provider, Terms
from streetimd_assets.sources.imagery.budget import Purse, cost_usd, open_purse
from streetimd_assets.sources.imagery.image_rows import Recorded
from streetimd_assets.sources.imagery.providers import find_provider, open_source, require_budget
from streetimd_assets.sources.web import Web
from streetimd_assets.store.images import ImageStore, read_image_file
from streetimd_assets.store.ledger import Ledger

# local authorities that may ask a provider together, by the pools in dagster.yaml: they share its pace
AT_THE_SAME_TIME = 2


@dataclass(frozen=True)
class Acquisition:
    """How a study comes by its images."""

    house: House

    @cached_property
    def provider(self) -> Provider | None:
        """The provider the study names; None where images are painted, or there are none."""
        study = self.house.study
        is_asked = study.has_images and not study.has_painted_images
        return find_provider(study.imagery.source) if is_asked else None

    def source(self, local_authority: str) -> ImagerySource:
        """Return the image source, once terms and keys allow it."""
        if self.provider is None:
            return PaintedSource(painted_streets(self.house, local_authority))
        return open_source(self.house.study.imagery, read_environment())

    def web(self) -> Web:
        """Return a client that keeps to the provider's pace, or to the study's if that is slower."""
        choice = self.house.study.imagery
        limits = [choice.requests_per_minute, self.provider.requests_per_minute if self.provider else None]
        pace = min((limit for limit in limits if limit), default=None)
        shared = pace and max(1, pace // AT_THE_SAME_TIME)
        return Web(requests_per_minute=shared, max_connections=choice.max_connections)

    @property
    def ledger(self) -> Ledger | None:
        """The account with a paid provider for this month, shared by all studies of the data root."""
        if self.provider is None or self.provider.prices is None:
            return None
        month = datetime.now(UTC).strftime("%Y-%m")
        return Ledger(self.house.settings.data_root, self.provider.name, month)

    def purse(self, run_id: str) -> Purse | None:
        """Return what a run pays from; None where nothing costs anything.

        Raises
        ------
        BudgetError
            If images cost money and the study sets no limit.
        """
        ledger = self.ledger
        if ledger is None or self.provider is None or self.provider.prices is None:
            return None
        require_budget(self.provider, self.house.study.budget)
        return open_purse(ledger, self.provider.prices, self.house.study.budget, run_id)

    def held_and_read(self, local_authority: str, encoder: str | None = None) -> Recorded:
        """Return what is held, without deleted pictures that this encoder, or any if None, has not read."""
        embedded = self.house.store.read_embedded(local_authority)
        wanted = embedded if encoder is None else embedded[embedded["encoder"] == encoder]
        read = set(wanted["image_id"])
        held = self.held(local_authority)
        return {name: row for name, row in held.items() if not row["is_deleted"] or name in read}

    def cost_usd(self, n_images: int) -> float:
        """Return what so many images cost from here on, by the price table and what the month has had."""
        ledger = self.ledger
        if ledger is None or self.provider is None or self.provider.prices is None:
            return 0.0
        return cost_usd(self.provider.prices, n_images, ledger.month_total())

    @property
    def price_line(self) -> str:
        """Say in one line what images cost and since when that is known."""
        if self.provider is None:
            return "painted: costs nothing"
        prices = self.provider.prices
        if prices is None:
            return f"{self.provider.title}: costs nothing"
        tiers = ", then ".join(f"${price:.2f} for 1,000 up to {up_to:,}" for up_to, price in prices.tiers)
        return (
            f"{self.provider.title}: {prices.free_per_month:,} a month free, then {tiers} a month "
            f"(list prices of {prices.as_of:%B %Y}, {prices.url})"
        )

    @property
    def terms(self) -> Mapping[str, Terms]:
        """Terms by the name of the source; none where images are painted."""
        return {self.provider.name: self.provider.terms} if self.provider else {}

    def viewers(self, images: pd.DataFrame) -> list[str | None]:
        """Return where each image is seen at the provider, in its own direction where that can be said."""
        name_view = self.provider.view_url if self.provider else None
        if name_view is None:
            return list(images["viewer_url"])
        places = zip(images["panorama_id"], images["heading_deg"], strict=True)
        return [name_view(panorama_id, heading_deg) for panorama_id, heading_deg in places]

    @property
    def retains_images(self) -> bool:
        """True if pictures are kept after embedding: as the study says, else as the provider's terms do."""
        chosen = self.house.study.imagery.retain_images
        if chosen is not None:
            return chosen
        return self.provider is None or self.provider.terms.may_store_pixels

    def read_image(self, path: str) -> bytes | None:
        """Return a picture for a page by its path in the study's folder; None if its file is gone.

        Of pictures that are not to be retained None as well: a page would keep them.
        """
        return read_image_file(self.house.folder, path) if self.retains_images else None

    @property
    def may_stand_beside_maps(self) -> bool:
        """True if the provider's terms let its pictures and a map that is not its own stand in one page."""
        return self.provider is None or self.provider.terms.may_stand_beside_maps

    @property
    def view(self) -> str:
        """Name what a picture takes in: pictures of another view are other pictures."""
        choice = self.house.study.imagery
        return f"{choice.image_size_px} px, {choice.field_of_view_deg:g} deg wide, {choice.pitch_deg:g} deg up"

    def held(self, local_authority: str) -> Recorded:
        """Return what is recorded of the local authority's images, by image, where they need not be asked for."""
        # reading a file of one's own again costs nothing, and it may have been replaced
        if self.house.study.imagery.source == "folder":
            return {}
        return ImageStore(self.house.folder, local_authority).recorded()
