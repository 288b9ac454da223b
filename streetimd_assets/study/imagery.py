"""The sections of a study that say where street images come from and what they may cost."""

from datetime import date
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from streetimd_assets.study.section import Section

# the source of a study that has none, for it takes its features from a table
NO_IMAGES = "none"
Heading = Annotated[float, Field(ge=0, lt=360)]
Month = Annotated[int, Field(ge=1, le=12)]


class Faults(Section):
    """Faults painted into synthetic imagery, as shares of panoramas or images."""

    displaced_share: float = Field(default=0.10, ge=0, le=1, description="panoramas up to 50 m away")
    shared_share: float = Field(default=0.02, ge=0, le=1, description="points answered by a neighbour's panorama")
    missing_share: float = Field(default=0.03, ge=0, le=1, description="points without imagery")
    blank_share: float = Field(default=0.005, ge=0, le=1, description="images of one colour")
    truncated_share: float = Field(default=0.005, ge=0, le=1, description="images cut off in the file")
    indoor_share: float = Field(default=0.01, ge=0, le=1, description="panoramas taken indoors")


class Imagery(Section):
    """Where street images come from."""

    source: str = Field(
        default="folder",
        description="folder: images of your own; mapillary, panoramax or google: a provider; painted: stand-ins "
        "for trials",
    )
    accept_terms: bool = Field(
        default=False, description="true: you have read the provider's terms and may do what this study does"
    )
    retain_images: bool | None = Field(
        default=None,
        description="false: delete pictures once they are embedded; left out: as the provider's terms say",
    )
    headings_deg: tuple[Heading, ...] = Field(
        default=(0, 90, 180, 270), min_length=1, description="directions photographed, clockwise from headings_from"
    )
    headings_from: Literal["north", "road"] = Field(
        default="north", description="north: compass directions; road: clockwise from the road's own bearing"
    )
    max_distance_m: float = Field(
        default=50, gt=0, description="a panorama further than this from its point is not used"
    )
    prefer: Literal["nearest", "newest"] = Field(
        default="nearest", description="which panorama within that distance, where the provider offers several"
    )
    captured_from: date | None = Field(default=None, description="use no picture older than this day")
    captured_to: date | None = Field(default=None, description="use no picture newer than this day")
    months: tuple[Month, ...] = Field(
        default=(), description="use only these months of the year, 1 to 12; [] for all"
    )
    outdoor_only: bool = Field(default=True, description="google: leave out the insides of buildings")
    official_only: bool = Field(default=True, description="google: leave out what users have uploaded")
    image_size_px: int = Field(default=640, ge=64, le=640, description="side of the square pictures")
    field_of_view_deg: float = Field(default=90, ge=10, le=120, description="angle a picture takes in")
    pitch_deg: float = Field(default=0, ge=-90, le=90, description="camera up (positive) or down")
    address: str | None = Field(default=None, description="another address of the provider's service")
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="ask the provider no more often; left out: its published limit"
    )
    max_connections: int = Field(default=32, ge=1, le=256, description="requests under way at the same time")
    folder: str | None = Field(default=None, description="folder source: where the images are")
    manifest: str | None = Field(
        default=None, description="folder source: CSV with image_path, longitude, latitude, heading, captured_at"
    )
    world: Literal["signal", "null_spatial", "null_iid"] = Field(
        default="signal",
        description="painted source: scenes follow deprivation, an unrelated smooth surface, or nothing",
    )
    faults: Faults = Faults()
    seed: int = Field(default=1, ge=0, description="painted source: seed of the scenes")

    @field_validator("headings_deg")
    @classmethod
    def _headings_differ(cls, headings: tuple[float, ...]) -> tuple[float, ...]:
        for one, other in combinations(headings, 2):
            gap_deg = min((one - other) % 360, (other - one) % 360)
            # a picture is named by its whole degree; turned with a road, headings closer than this can share one
            if gap_deg < 2 - 1e-9:
                raise ValueError(f"headings {one:g} and {other:g} must differ by at least 2 degrees")
        return headings

    @model_validator(mode="after")
    def _folder_is_named(self) -> Self:
        if self.source == "painted" and self.headings_from != "north":
            raise ValueError('painted streets are painted by compass: headings_from = "north"')
        if self.source == "folder" and not self.folder:
            raise ValueError("source 'folder' needs folder = \"/path/to/images\"")
        return self

    @model_validator(mode="after")
    def _days_are_in_order(self) -> Self:
        if self.captured_from and self.captured_to and self.captured_from > self.captured_to:
            raise ValueError(
                f"captured_from ({self.captured_from}) must not be after captured_to ({self.captured_to})"
            )
        return self


class Budget(Section):
    """What may be asked of a provider that costs money: a contract, counted before each request.

    A run is one local authority. A month is a calendar month in UTC, over all studies of the data root: they
    share one bill.
    """

    max_images_per_run: int | None = Field(
        default=None, ge=0, description="images one run, which is one local authority, may buy"
    )
    max_images_per_month: int | None = Field(default=None, ge=0, description="images bought in a month")
    max_usd_per_run: float | None = Field(
        default=None, ge=0, description="US dollars one run, which is one local authority, may spend"
    )
    max_usd_per_month: float | None = Field(default=None, ge=0, description="US dollars spent in a month")

    @property
    def limits_a_month(self) -> bool:
        """True if something is said of the month, without which many runs have no limit."""
        return self.max_images_per_month is not None or self.max_usd_per_month is not None
