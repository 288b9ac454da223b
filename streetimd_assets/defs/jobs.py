"""Jobs named for what they do: per local authority, and for the whole study."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

BEFORE_BUYING = (
    "lsoa_boundaries",
    "road_segments",
    "deprivation_indices",
    "sample_points",
    "panoramas",
    "imagery_plan",
    "imagery_map",
)
# of the whole study, and needed by each local authority
WORDS = ("category_embeddings", "prompt_variants", "concept_directions")
FOR_RATERS = ("label_candidates", "labelling_page")
AFTER_MODELS = ("local_authority_scores", "local_authority_report")

_ONE_OR_MANY = (
    "\n\n**One** local authority: press *Materialize all*, tick it in the list of partitions, press *Launch*. "
    "**Ten, or all**: tick them in the same list, or press *All* above it; each gets a run of its own, a few at a "
    "time, the largest first, and one that fails stops no other. Later, *Failed and missing* picks what is left. "
    "Images held already are not fetched again."
)
_SAID = {
    "plan_imagery": (
        "Coverage and cost of local authorities, before an image is fetched: free. Read imagery_map afterwards."
        f"{_ONE_OR_MANY}"
    ),
    "collect": (
        "Local authorities from roads to features: the job that fetches images, and the only one that may cost "
        f"money.{_ONE_OR_MANY}"
    ),
    "label": (
        "Pages on which people label images of local authorities, after collect; up to 20 MB each. Their CSV files "
        f"are read by analyse.{_ONE_OR_MANY}"
    ),
    "analyse": (
        "Labels, correlation, models, importance and the study's report, over every local authority that has "
        "features: press *Materialize all*, nothing need be chosen. To leave some out, name the others as "
        "local_authorities in the configuration of each asset."
    ),
    "report_local_authority": f"Scores and report of local authorities, after analyse.{_ONE_OR_MANY}",
}
# of a study whose features come from a table
_SAID_WITHOUT_IMAGES = {
    "collect": (
        "Boundaries and deprivation of local authorities, and their features from the study's table: free."
        f"{_ONE_OR_MANY}"
    ),
    "analyse": _SAID["analyse"].replace("Labels, correlation", "Correlation"),
    "report_local_authority": _SAID["report_local_authority"],
}


def jobs(assets: Iterable[dg.AssetsDefinition]) -> list[Any]:
    """Plan, collect and label per local authority, analyse the whole study, report per local authority.

    Without images there is nothing to plan and to label.
    """
    selections = _selections(assets)
    told = _SAID if "street_images" in selections["collect"] else _SAID_WITHOUT_IMAGES
    return [dg.define_asset_job(name, selection=selections[name], description=said) for name, said in told.items()]


def _selections(assets: Iterable[dg.AssetsDefinition]) -> dict[str, list[str]]:
    """Divide all assets among the jobs, so that none is forgotten."""
    covers = {spec.key.to_user_string(): spec.partitions_def is not None for made in assets for spec in made.specs}
    apart = {*FOR_RATERS, *AFTER_MODELS}
    return {
        "plan_imagery": list(BEFORE_BUYING),
        "collect": [
            name for name, is_per_la in covers.items() if (is_per_la or name in WORDS) and name not in apart
        ],
        "label": [name for name in covers if name in FOR_RATERS],
        "analyse": [name for name, is_per_la in covers.items() if not is_per_la and name not in WORDS],
        "report_local_authority": list(AFTER_MODELS),
    }
