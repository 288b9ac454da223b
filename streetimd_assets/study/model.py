"""The study model: every field with a description, a default, and the values it allows."""

import re
from datetime import date
from functools import cached_property
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from streetimd_assets.schemas import DOMAINS
from streetimd_assets.study.categories import (
    Categories,
    CategorySet,
    Templates,
    bundled_category_sets,
    load_category_set,
)
from streetimd_assets.study.local_authorities import (
    SYNTHETIC_LOCAL_AUTHORITIES,
    LocalAuthority,
    all_local_authorities,
    find_local_authority,
)

TARGETS = ("imd_rank", "imd_score", "imd_decile", *(f"{d}_{m}" for d in DOMAINS for m in ("rank", "score")))
HIGHWAY_CLASSES = (
    *(f"{name}{end}" for name in ("trunk", "primary", "secondary", "tertiary") for end in ("", "_link")),
    *("unclassified", "residential", "living_street", "road"),
)
Heading = Annotated[float, Field(ge=0, lt=360)]
Month = Annotated[int, Field(ge=1, le=12)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Geography(_Section):
    """Where boundaries, roads and the deprivation index come from."""

    source: Literal["official", "synthetic"] = Field(
        default="official", description="official data, or the synthetic world whose answers are known"
    )
    boundaries: str | None = Field(
        default=None,
        description="address of an ArcGIS feature service with LSOA boundaries, or a GeoPackage, GeoJSON or "
        "shapefile on disk; left out: the Office for National Statistics' of the index's census",
    )
    lookup: str | None = Field(
        default=None,
        description="address of an ArcGIS table, or a CSV file on disk, that says which local authority an LSOA "
        "lies in; left out: the index's own file says it",
    )
    overpass_url: str = Field(default="https://overpass-api.de/api", description="Overpass server asked for roads")
    roads_file: str | None = Field(
        default=None, description="an OpenStreetMap extract on disk, .osm or .osm.pbf, instead of the server"
    )
    highway_classes: tuple[str, ...] = Field(
        default=HIGHWAY_CLASSES,
        min_length=1,
        description="OpenStreetMap classes of road that are sampled; motorways are left out",
    )
    include_tunnels: bool = Field(default=False, description="sample roads in tunnels too")
    include_private: bool = Field(default=False, description="sample roads closed to the public too")

    @field_validator("highway_classes")
    @classmethod
    def _classes_are_words(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in classes if not re.fullmatch(r"[a-z_]+", name)]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is not a class of road in OpenStreetMap's words, such as residential")
        return classes


class Deprivation(_Section):
    """Which deprivation index is related to the images, and what of it is predicted."""

    index: Literal["iod2025", "iod2019", "synthetic"] = Field(
        default="iod2025", description="iod2025 is on LSOAs of 2021, iod2019 on those of 2011"
    )
    target: str = Field(default="imd_rank", description="column predicted; rank 1 is the most deprived")
    url: str | None = Field(
        default=None,
        description="address of the index's File 7, or a copy on disk; left out: the government's own",
    )
    covers: Literal["england", "part"] = Field(
        default="england",
        description="england: the file is proved to be whole, every LSOA once and ranks in the order of scores; "
        "part: a cut of it",
    )

    @field_validator("target")
    @classmethod
    def _is_a_column(cls, target: str) -> str:
        if target not in TARGETS:
            raise ValueError(f"must be one of {', '.join(TARGETS)}")
        return target


class Sampling(_Section):
    """How points are laid along roads.

    Halving the spacing, raising the minimum or raising the cap keeps every earlier point.
    """

    spacing_m: float = Field(
        default=50,
        ge=5,
        le=2000,
        description="metres of road from point to point; half of it keeps every earlier point",
    )
    mode: Literal["regular", "random"] = Field(
        default="regular", description="evenly spaced, or uniformly random with the same density"
    )
    min_points_per_lsoa: int = Field(
        default=0, ge=0, description="top up an LSOA that has roads to this many points"
    )
    max_points_per_lsoa: int | None = Field(default=None, ge=1, description="keep at most this many points")
    seed: int = Field(default=1, ge=0, description="seed of the random numbers")

    @model_validator(mode="after")
    def _cap_is_not_below_minimum(self) -> Self:
        if self.max_points_per_lsoa is not None and self.max_points_per_lsoa < self.min_points_per_lsoa:
            raise ValueError(
                f"max_points_per_lsoa ({self.max_points_per_lsoa}) must not be below "
                f"min_points_per_lsoa ({self.min_points_per_lsoa})"
            )
        return self


class Faults(_Section):
    """Faults painted into synthetic imagery, as shares of panoramas or images."""

    displaced_share: float = Field(default=0.10, ge=0, le=1, description="panoramas up to 50 m away")
    shared_share: float = Field(default=0.02, ge=0, le=1, description="points answered by a neighbour's panorama")
    missing_share: float = Field(default=0.03, ge=0, le=1, description="points without imagery")
    blank_share: float = Field(default=0.005, ge=0, le=1, description="images of one colour")
    truncated_share: float = Field(default=0.005, ge=0, le=1, description="images cut off in the file")
    indoor_share: float = Field(default=0.01, ge=0, le=1, description="panoramas taken indoors")


class Imagery(_Section):
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


class Budget(_Section):
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


class EncoderChoice(_Section):
    """Which CLIP model reads the images."""

    model: str = Field(
        default="ViT-B-32-quickgelu", description="open_clip model with 512 dimensions, or streetimd-demo"
    )
    weights: str = Field(
        default="openai", description="open_clip tag, path of a local checkpoint, or 'bundled' for the demo"
    )
    batch_size: int = Field(default=32, ge=1, le=1024, description="images embedded together")
    chunk_size: int = Field(default=2048, ge=1, description="images per resumable chunk file")
    device: str = Field(default="auto", description="auto, cpu or cuda")


class Features(_Section):
    """How images are summarised per LSOA."""

    min_images_per_category: int = Field(
        default=1, ge=1, description="fewer images of a category than this leave its embeddings NULL"
    )


class Modelling(_Section):
    """How models are fitted and scored."""

    statistic: Literal["mean", "median", "max"] = Field(
        default="mean", description="how images are pooled for the tuned models"
    )
    n_repeats: int = Field(default=5, ge=1, description="repeats of the 80/20 split")
    n_folds: int = Field(default=5, ge=2, description="folds of cross-validation")
    n_trees: int = Field(default=200, ge=10, description="trees of the tuned random forest")
    n_noise_draws: int = Field(default=300, ge=20, description="draws of random noise")
    n_components: int = Field(default=20, ge=2, le=512, description="principal components kept")
    n_permutations: int = Field(default=5, ge=1, description="repeats of permutation importance")
    min_images_per_lsoa: int = Field(
        default=1, ge=1, description="LSOAs with fewer kept images are left out of correlation and models"
    )
    seed: int = Field(default=1, ge=0, description="seed of the random numbers")


class Assessment(_Section):
    """How many images are chosen for people to look at."""

    n_per_category: int = Field(default=12, ge=1, le=200, description="images per category and reason")
    n_least_decisive: int = Field(default=24, ge=1, le=500, description="least decisive images")
    seed: int = Field(default=1, ge=0, description="seed of the random grid")


class Study(_Section):
    """One study: which places, which images, which categories, which models."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,60}$", description="short name; also its folder under the data root"
    )
    title: str = Field(default="", description="title of pages and plots")
    local_authorities: tuple[str, ...] = Field(
        min_length=1, description="names, slugs or codes; ['all'] for every one of England's"
    )
    category_set: str | None = Field(default=None, description="a category set of the package")
    category: Categories = Field(default=(), description="or categories of your own")
    templates: Templates = Field(
        default=("a street view photo of {}.",), description="sentences the prompts of your own are put into"
    )
    geography: Geography = Geography()
    deprivation: Deprivation = Deprivation()
    sampling: Sampling = Sampling()
    imagery: Imagery
    budget: Budget = Budget()
    encoder: EncoderChoice = EncoderChoice()
    features: Features = Features()
    modelling: Modelling = Modelling()
    assessment: Assessment = Assessment()

    @field_validator("category_set")
    @classmethod
    def _is_bundled(cls, name: str | None) -> str | None:
        if name and name not in bundled_category_sets():
            raise ValueError(
                f"must be one of {', '.join(bundled_category_sets())}; or list your own as [[category]] tables"
            )
        return name

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if bool(self.category_set) == bool(self.category):
            raise ValueError("name either category_set or [[category]] tables, one of the two")
        if (self.geography.source == "synthetic") != (self.deprivation.index == "synthetic"):
            raise ValueError("geography.source and deprivation.index must both be 'synthetic', or neither")
        if self.geography.source == "synthetic" and self.imagery.source != "painted":
            raise ValueError("the synthetic world has no images but painted ones: imagery.source = 'painted'")
        _ = (self.categories, self.authorities)
        return self

    @cached_property
    def categories(self) -> CategorySet:
        """The category set named, or the study's own."""
        if self.category_set:
            return load_category_set(self.category_set)
        return CategorySet(name=self.name, templates=self.templates, category=self.category)

    @cached_property
    def authorities(self) -> tuple[LocalAuthority, ...]:
        """The study's local authorities, the one with most LSOAs first."""
        synthetic = self.geography.source == "synthetic"
        offered = SYNTHETIC_LOCAL_AUTHORITIES if synthetic else tuple(all_local_authorities().values())
        if self.local_authorities == ("all",):
            found = list(offered)
        else:
            among = offered if synthetic else None
            found = list({find_local_authority(name, among): None for name in self.local_authorities})
        return tuple(sorted(found, key=lambda authority: (-authority.n_lsoas, authority.slug)))

    @property
    def census(self) -> int:
        """Year of the census whose LSOAs the index is on."""
        return 2011 if self.deprivation.index == "iod2019" else 2021

    @property
    def slugs(self) -> tuple[str, ...]:
        """Partition keys, heaviest first."""
        return tuple(authority.slug for authority in self.authorities)

    def authority(self, slug: str) -> LocalAuthority:
        """Return one of the study's local authorities by any of its names."""
        return find_local_authority(slug, self.authorities)

    @property
    def has_painted_images(self) -> bool:
        """True if no camera ever saw these streets."""
        return self.imagery.source == "painted"

    @property
    def heading(self) -> str:
        """Title of pages and plots, with SYNTHETIC IMAGES where images are painted."""
        title = self.title or self.name
        return f"{title} (SYNTHETIC IMAGES)" if self.has_painted_images else title

    @property
    def code_stamp(self) -> str:
        """Model and weights as named, for code versions."""
        return f"{self.encoder.model}/{self.encoder.weights}"
