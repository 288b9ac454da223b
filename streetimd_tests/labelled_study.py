"""The demo's study with made-up images already classified: what labelling starts from, without the work before."""

from pathlib import Path

import dagster as dg
import pandas as pd
from PIL import Image

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_tests.simulated_raters import NAMES, made_up_images

# what the made-up images' four categories are called in the demo
DEMO_NAMES = dict(zip(NAMES, ("terraced_houses", "park", "shops", "derelict_land"), strict=True))
COLOURS = {"terraced_houses": "#a0522d", "park": "#3a7d34", "shops": "#e0b020", "derelict_land": "#777777"}


def demo_house(folder: Path, **assessment) -> House:
    """Return the demo's study with its data below a folder, some choices of its assessment changed."""
    study = load_study("demo")
    changed = study.assessment.model_copy(update=assessment)
    return House(study.model_copy(update={"assessment": changed}), Settings("demo", folder))


def classify(house: House, slug: str, *, n_images: int = 300, temperature: float = 1.0, seed: int = 0) -> pd.Series:
    """Write the tables from which labelling starts; return the true category of each image."""
    study = house.study
    images, truth = made_up_images(n_images, temperature=temperature, seed=seed)
    images["image_id"] = slug + images["image_id"]
    truth = truth.map(DEMO_NAMES).rename(lambda name: slug + name)
    images = images.rename(columns=lambda name: _renamed(name))
    images["category"] = images["category"].map(DEMO_NAMES)
    for name in study.categories.names:
        for column in (f"{name}_similarity", f"{name}_probability"):
            if column not in images:
                images[column] = 0.0
    images["category_set_hash"] = study.categories.content_hash
    house.store.write("category_probabilities", images, slug)
    paths = "images/" + slug + "/" + truth.reset_index(drop=True) + ".jpg"
    house.store.write("street_images", _street_images(images, paths), slug)
    for name, colour in COLOURS.items():
        path = house.folder / "images" / slug / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), colour).save(path)
    return truth


def _renamed(column: str) -> str:
    name, _, kind = column.rpartition("_")
    return f"{DEMO_NAMES[name]}_{kind}" if name in DEMO_NAMES else column


def _street_images(images: pd.DataFrame, paths: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": images["image_id"], "panorama_id": images["image_id"].str.partition("@")[0],
            "point_id": images["image_id"].str.partition("@")[0], "lsoa_code": images["lsoa_code"],
            "heading_deg": 90.0, "status": "ok", "status_detail": None, "image_path": paths, "width_px": 64,
            "height_px": 64, "n_bytes": 1000, "sha256": "0", "captured_on": None, "source": "painted",
            "licence": "CC0-1.0", "credit": "made up", "viewer_url": None,
        }
    )  # fmt: skip


def materialise(house: House, *names: str, slug: str | None = None, instance: dg.DagsterInstance | None = None):
    """Materialise assets in this process and return Dagster's result."""
    definitions = build_defs(house.study, house.settings)
    return dg.materialize(
        list(definitions.assets),
        selection=list(names),
        partition_key=slug,
        resources=definitions.resources,
        instance=instance,
        raise_on_error=False,
    )


def check_results(result) -> dict[str, bool]:
    """Return the result of each check of a run, by name."""
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
