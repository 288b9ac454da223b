"""The section of a study that says how its LSOAs are described: by images, or by a table that takes their place."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from streetimd_assets.study.imagery import NO_IMAGES
from streetimd_assets.study.section import Section


class Features(Section):
    """How images are summarised per LSOA, or which features there are instead of images."""

    features_from: str | None = Field(
        default=None,
        description="a table of area features, .csv or .parquet, that takes the place of imagery and category_set: "
        "a column lsoa_code (or LSOA21CD, LSOA11CD), numbers in all others",
    )
    min_images_per_category: int = Field(
        default=1, ge=1, description="fewer images of a category than this leave its embeddings NULL"
    )


# what describes images by categories and in words
_ABOUT_IMAGES = ("category_set", "category", "concept_set", "concept_pair", "concept_prompts")


def without_images(content: Any) -> Any:
    """Return what a study file says; where it names a table of area features, its imagery is none.

    Raises
    ------
    ValueError
        If it says where images come from, or how they are described, beside naming a table of area features.
    """
    features = content.get("features") if isinstance(content, Mapping) else None
    if not isinstance(features, Mapping) or not features.get("features_from"):
        return content
    imagery = content.get("imagery") or {"source": NO_IMAGES}
    is_without = isinstance(imagery, Mapping) and imagery.get("source") == NO_IMAGES
    told = [name for name in _ABOUT_IMAGES if content.get(name)]
    told += [] if is_without else ["imagery"]
    if told:
        raise ValueError(
            f"features.features_from takes the place of images, so {told[0]} has no use; remove one of the two"
        )
    return {**content, "imagery": imagery}
