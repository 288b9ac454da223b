"""The study model: every field with a description, a default, and the values it allows."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from streetimd_assets.errors import StudyError
from streetimd_assets.schemas import DOMAINS, EMBEDDING_DIMENSIONS
from streetimd_assets.study.area_table import AreaTable, read_head
from streetimd_assets.study.assessment import Assessment
from streetimd_assets.study.categories import (
    NO_CATEGORIES,
    Categories,
    CategorySet,
    Templates,
    bundled_category_sets,
    load_category_set,
)
from streetimd_assets.study.concepts import (
    DEFAULT_SET,
    ConceptSet,
    Pairs,
    Phrases,
    bundled_concept_sets,
    load_concept_set,
)
from streetimd_assets.study.effort import EFFORTS, Effort, EffortName
from streetimd_assets.study.encoder import EncoderChoice
from streetimd_assets.study.features import Features, without_images
from streetimd_assets.study.imagery import NO_IMAGES, Budget, Imagery
from streetimd_assets.study.local_authorities import (
    SYNTHETIC_LOCAL_AUTHORITIES,
    LocalAuthority,
    all_local_authorities,
    find_local_authority,
)
from streetimd_assets.study.refresh import Refresh
from streetimd_assets.study.section import Section

TARGETS = ("imd_rank", "imd_score", "imd_decile", *(f"{d}_{m}" for d in DOMAINS for m in ("rank", "score")))
HIGHWAY_CLASSES = (
    *(f"{name}{end}" for name in ("trunk", "primary", "secondary", "tertiary") for end in ("", "_link")),
    *("unclassified", "residential", "living_street", "road"),
)


class Geography(Section):
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


class Deprivation(Section):
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


class Sampling(Section):
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


class Modelling(Section):
    """How models are fitted and scored."""

    effort: EffortName = Field(
        default="default",
        description="quick: minutes, costly models not tuned; default: tuned for the target; full: tuned for "
        "every target and set of features",
    )
    feature_set: Literal["embeddings", "percentages", "both"] = Field(
        default="embeddings", description="features of the main models, which are tuned and explained first"
    )
    statistic: Literal["mean", "median", "max"] = Field(
        default="mean", description="how images are pooled for the tuned models"
    )
    n_repeats: int = Field(default=5, ge=1, description="repeats of the 80/20 split")
    n_folds: int = Field(default=5, ge=2, description="folds of cross-validation")
    n_trees: int = Field(default=100, ge=10, description="trees of each random forest; quick grows 50 at most")
    block_side_m: float | None = Field(
        default=None,
        ge=100,
        description="side of the square blocks of neighbours held out or resampled together; left out: so that "
        "there are about six for each fold",
    )
    enough_images_per_lsoa: int = Field(
        default=12, ge=1, description="predictions for LSOAs with fewer kept images are marked as thin"
    )
    n_noise_draws: int = Field(default=300, ge=20, description="draws of random noise")
    n_components: int = Field(default=20, ge=2, le=512, description="principal components kept")
    n_permutations: int = Field(default=5, ge=1, description="repeats of permutation importance")
    n_clusters: int = Field(
        default=20, ge=2, description="groups of correlated features whose importance is told as one"
    )
    min_images_per_lsoa: int = Field(
        default=1, ge=1, description="LSOAs with fewer kept images are left out of correlation and models"
    )
    seed: int = Field(default=1, ge=0, description="seed of the random numbers")

    @property
    def what_is_done(self) -> Effort:
        """What the effort chosen does."""
        return EFFORTS[self.effort]

    @property
    def n_trees_grown(self) -> int:
        """Trees of each random forest: as many as are asked for, or as the effort allows."""
        return min(self.n_trees, self.what_is_done.most_trees)


class Study(Section):
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
    concept_set: str = Field(
        default=DEFAULT_SET, description="texts of the package by which the look of streets is put into words"
    )
    concept_pair: Pairs = Field(default=(), description="and pairs of texts of your own")
    concept_prompts: Phrases = Field(default=(), description="and phrases of your own, such as 'a derelict pub'")
    geography: Geography = Geography()
    deprivation: Deprivation = Deprivation()
    sampling: Sampling = Sampling()
    imagery: Imagery
    budget: Budget = Budget()
    encoder: EncoderChoice = EncoderChoice()
    features: Features = Features()
    modelling: Modelling = Modelling()
    assessment: Assessment = Assessment()
    refresh: Refresh = Refresh()

    @model_validator(mode="before")
    @classmethod
    def _area_features_need_no_images(cls, content: Any) -> Any:
        """Let a study of area features say nothing of images, and refuse it where it does."""
        return without_images(content)

    @field_validator("category_set")
    @classmethod
    def _is_bundled(cls, name: str | None) -> str | None:
        if name and name not in bundled_category_sets():
            raise ValueError(
                f"must be one of {', '.join(bundled_category_sets())}; or list your own as [[category]] tables"
            )
        return name

    @field_validator("concept_set")
    @classmethod
    def _is_a_bundled_concept_set(cls, name: str) -> str:
        if name not in bundled_concept_sets():
            raise ValueError(
                f"must be one of {', '.join(bundled_concept_sets())}; [[concept_pair]] tables and concept_prompts "
                "add to it"
            )
        return name

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.has_images and self.imagery.source == NO_IMAGES:
            raise ValueError(f"imagery.source = '{NO_IMAGES}' is for studies with features.features_from; name it")
        if self.has_images and bool(self.category_set) == bool(self.category):
            raise ValueError("name either category_set or [[category]] tables, one of the two")
        if (self.geography.source == "synthetic") != (self.deprivation.index == "synthetic"):
            raise ValueError("geography.source and deprivation.index must both be 'synthetic', or neither")
        if self.geography.source == "synthetic" and self.imagery.source not in ("painted", NO_IMAGES):
            raise ValueError("the synthetic world has no images but painted ones: imagery.source = 'painted'")
        _ = (self.categories, self.concepts, self.authorities, self.refreshed)
        return self

    @cached_property
    def categories(self) -> CategorySet:
        """The category set named, or the study's own; empty without images."""
        if not self.has_images:
            return NO_CATEGORIES
        if self.category_set:
            return load_category_set(self.category_set)
        return CategorySet(name=self.name, templates=self.templates, category=self.category)

    @cached_property
    def concepts(self) -> ConceptSet:
        """The concept set named, with the study's own pairs and phrases."""
        return load_concept_set(self.concept_set).with_own(self.concept_pair, self.concept_prompts)

    @cached_property
    def authorities(self) -> tuple[LocalAuthority, ...]:
        """The study's local authorities, the one with most LSOAs first."""
        synthetic = self.geography.source == "synthetic"
        offered = SYNTHETIC_LOCAL_AUTHORITIES if synthetic else tuple(all_local_authorities().values())
        if self.local_authorities == ("all",):
            found = list(offered)
        else:
            found = list(
                {find_local_authority(name, offered if synthetic else None) for name in self.local_authorities}
            )
        return tuple(sorted(found, key=lambda authority: (-authority.n_lsoas, authority.slug)))

    @property
    def census(self) -> int:
        """Year of the census whose LSOAs the index is on."""
        return 2011 if self.deprivation.index == "iod2019" else 2021

    @property
    def slugs(self) -> tuple[str, ...]:
        """Partition keys, heaviest first."""
        return tuple(authority.slug for authority in self.authorities)

    @cached_property
    def refreshed(self) -> tuple[str, ...]:
        """Partition keys asked about anew each month, heaviest first; none if it is those collected by then."""
        chosen = self.refresh.chosen_among(self.authorities)
        return tuple(slug for slug in self.slugs if slug in chosen)

    def authority(self, slug: str) -> LocalAuthority:
        """Return one of the study's local authorities by any of its names."""
        return find_local_authority(slug, self.authorities)

    @property
    def has_images(self) -> bool:
        """False if a table of area features takes their place."""
        return self.features.features_from is None

    def require_images(self, doing: str) -> None:
        """Refuse what only a study with images can do.

        Raises
        ------
        StudyError
            If this one has none; the sentence says what cannot be done.
        """
        if not self.has_images:
            raise StudyError(
                f"study '{self.name}' has no images to {doing}: it takes its features from "
                f"'{self.area_table.path.name}' (features.features_from); name a study with imagery"
            )

    @cached_property
    def area_table(self) -> AreaTable:
        """Columns of the table of area features, read from its head.

        Raises
        ------
        StudyError
            If the study names none, or it cannot be read.
        """
        if self.features.features_from is None:
            raise StudyError(f"study '{self.name}' has images and no table of area features")
        return read_head(Path(self.features.features_from), self.census)

    @property
    def area_features(self) -> tuple[str, ...]:
        """Names of the area features, in order; none in a study with images."""
        return () if self.has_images else self.area_table.features

    @property
    def n_dimensions(self) -> int:
        """Dimensions of embeddings: as many as there are area features, where these take their place."""
        return EMBEDDING_DIMENSIONS if self.has_images else len(self.area_features)

    @property
    def feature_sets(self) -> tuple[str, ...]:
        """Sets of features that models are fitted on."""
        return ("embeddings", "percentages", "both") if self.has_images else ("table",)

    @property
    def share_columns(self) -> tuple[str, ...]:
        """Columns of ``lsoa_features`` models read beside or instead of embeddings: shares, or area features."""
        return self.area_features or tuple(f"{name}_share" for name in self.categories.content_names)

    @property
    def main_feature_set(self) -> str:
        """Features of the main models."""
        return self.modelling.feature_set if self.has_images else "table"

    @property
    def enough_images_per_lsoa(self) -> int:
        """Predictions for LSOAs that rest on less are thin; a table that counts nothing makes none thin."""
        counts = self.has_images or self.area_table.has_counts
        return self.modelling.enough_images_per_lsoa if counts else 1

    @property
    def has_painted_images(self) -> bool:
        """True if no camera ever saw these streets."""
        return self.imagery.source == "painted"

    @property
    def heading(self) -> str:
        """Title of pages and plots, with SYNTHETIC IMAGES where images are painted, PLACES where these are."""
        title = self.title or self.name
        if self.has_painted_images:
            return f"{title} (SYNTHETIC IMAGES)"
        return f"{title} (SYNTHETIC PLACES)" if self.geography.source == "synthetic" else title

    @property
    def code_stamp(self) -> str:
        """Model and weights as named, for code versions."""
        return f"{self.encoder.model}/{self.encoder.weights}"
