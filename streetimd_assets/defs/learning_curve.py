"""How many images are enough: R² against points per LSOA."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.correlation import WAIST
from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, everywhere, read_waist
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.schemas import TABLES
from streetimd_assets.science import features, geography, soundness
from streetimd_assets.science import learning_curve as curves
from streetimd_assets.store.arrow import empty_frame

_LIGHT = ("lsoa_code", "lad_code", "n_images_kept", "category_set_hash", "encoder")
_OF_IMAGES = ("image_embeddings", "category_probabilities", "street_images")

SAME_LSOAS_AT_EVERY_STEP = Check(
    "same_lsoas_at_every_step",
    "steps of the curve were scored on different LSOAs and do not compare; materialise lsoa_features and this "
    "again, and tell us.",
)
MORE_POINTS_DO_NOT_READ_WORSE = Check(
    "more_points_do_not_read_worse",
    "with all points a model reads less than with few, which chance alone rarely does; see that the panoramas are "
    "all of the same source and of about the same years.",
    is_blocking=False,
)
# R² of a few hundred LSOAs moves this far by chance
_SLACK = 0.1


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The learning curve."""
    how, target = house.study.modelling, house.study.deprivation.target
    effort = how.what_is_done
    folds: dict[str, Any] = {"n_folds": how.n_folds, "block_side_m": how.block_side_m, "seed": how.seed}
    draws: dict[str, Any] = {"n_repeats": effort.n_curve_repeats, "n_bootstrap": effort.n_bootstrap}

    @table_asset(
        house,
        code_version=stamped(1, target, how.min_images_per_lsoa, *folds.values(), *draws.values()),
        deps=everywhere(*WAIST, *_OF_IMAGES, "lsoa_boundaries"),
        kinds=frozenset({"scikitlearn"}),
        checks=[SAME_LSOAS_AT_EVERY_STEP, MORE_POINTS_DO_NOT_READ_WORSE],
    )
    def learning_curve(context: dg.AssetExecutionContext, config: Coverage) -> Made:
        """How well ridge reads the target from few points per LSOA, and from more and more.

        It tells how many images are enough, of those there are: where the curve is flat, further ones add
        little. Where it still rises, more might read more, and nobody can say from here how much.
        """
        waist = read_waist(house, config.local_authorities, _LIGHT)
        parts = list(_points(house, waist.local_authorities, context.log))
        if not parts:
            context.log.info("the study has no images: there is no curve to draw")
            table = empty_frame(TABLES["learning_curve"])
            return Made(table, {"n_points": 0, **waist.figures}, _checks(table))
        outlines = house.store.read_study_wide("lsoa_boundaries", waist.local_authorities)
        points = curves.Points.joined(parts)
        table = curves.learning_curve(
            points,
            waist.target(target),
            geography.lsoa_positions(geography.as_geodataframe(outlines)),
            progress=context.log.info,
            **folds,
            **draws,
        )
        return Made(table, {"n_points": len(points.n_images), **_figures(table), **waist.figures}, _checks(table))

    return [learning_curve]


def _points(house: House, slugs: list[str], log: Any) -> Iterator[curves.Points]:
    """Yield the points of each local authority that has images, of some of its LSOAs at a time."""
    store = house.store
    held = [slug for slug in slugs if all(store.holds(name, slug) for name in _OF_IMAGES)]
    for done, slug in enumerate(held, start=1):
        images = store.read("image_embeddings", slug, ["image_id", "lsoa_code"])
        files = store.read("street_images", slug, ["image_id", "panorama_id"])
        rejected = store.read("category_probabilities", slug, ["image_id", "is_rejected"])
        images = images.merge(files, on="image_id", validate="one_to_one")
        images = images.merge(rejected, on="image_id", validate="one_to_one")
        for _, part in features.lsoa_ranges(sorted(set(images["lsoa_code"])), images):
            yield curves.Points.of_images(part, store.read_embeddings_of(slug, list(part["image_id"])))
        log.info(f"{slug}: images summed, {done:,} of {len(held):,} local authorities")


def _figures(table: pd.DataFrame) -> dict[str, Any]:
    first, last = soundness.ends_of_curve(table)
    enough = curves.enough_points(table)
    told = {} if enough is None else {"enough_points_per_lsoa": enough}
    return {"r2_with_one_point": first, "r2_with_all_points": last, **told}


def _checks(table: pd.DataFrame) -> list[dg.AssetCheckResult]:
    sizes = [int(n) for n in table["n_lsoas"]] or [0]
    first, last = soundness.ends_of_curve(table)
    return [
        SAME_LSOAS_AT_EVERY_STEP.result(min(sizes) == max(sizes), smallest=min(sizes), largest=max(sizes)),
        MORE_POINTS_DO_NOT_READ_WORSE.result(
            not last < first - _SLACK, r2_with_one_point=first, r2_with_all_points=last
        ),
    ]
