"""A finished study with markup planted in everything that comes from outside, and its pages made again."""

import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.settings import Settings
from streetimd_assets.study import Study, load_study
from streetimd_assets.study.reading import bundled_study_text
from streetimd_tests.graph import failure_sentence

# closes an attribute, an element and a script, and acts if any page takes it for more than text
MARKUP = (
    '"\'></script><img src=x data-planted onerror="document.documentElement.dataset.acted=1">'
    "<b data-planted>planted words</b><svg data-planted onload=alert(1)>"
)
WORDS = "planted words"
# a name has room for no more
RATER = "<b data-planted>Ann</b><img src=x data-planted onerror=alert(1)>"
# columns that providers, mappers and photographers fill
OUTSIDE = {
    "lsoa_boundaries": ("lsoa_name",),
    "road_segments": ("road_name",),
    "panoramas": ("licence", "credit", "viewer_url", "status_detail"),
    "street_images": ("licence", "credit", "viewer_url", "status_detail"),
}
SLUG = "farrowby"
# what is shown, and what it is made from; models need not be fitted again for it
SHOWN = (
    ("collect", SLUG, ("assessment_images", "classification_report", "imagery_map", "attribution_sheet")),
    ("label", SLUG, ("label_candidates", "labelling_page")),
    (
        "analyse",
        None,
        (
            *("image_labels", "label_agreement", "label_figures", "label_confusions", "reliability_bins"),
            *("example_images", "example_sheet", "study_report"),
        ),
    ),
    ("report_local_authority", SLUG, ("local_authority_scores", "local_authority_report")),
)


@dataclass(frozen=True)
class Planted:
    """The study with markup in it, and the folder of its pages."""

    house: House

    @property
    def pages(self) -> list[Path]:
        """Every page there is of the local authority and of the study, made anew."""
        return sorted(path for path in (self.house.folder / "pages").rglob("*.html"))


def plant_markup(ran, folder: Path, instance: dg.DagsterInstance) -> Planted:
    """Copy a study that was run, plant markup in it, and make all that is shown of it again."""
    target = folder / "data" / "demo"
    # files are replaced whole, never written into: links leave the original as it is
    for part in ("tables", "images"):
        shutil.copytree(ran.house.folder / part, target / part, copy_function=os.link)
    settings = Settings(str(_write_study(folder / "study.toml", ran.house.study)), folder / "data")
    house = House(load_study(settings.study), settings)
    _plant(house)
    definitions = build_defs(house.study, house.settings)
    for job, slug, assets in SHOWN:
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            partition_key=slug,
            asset_selection=[dg.AssetKey(name) for name in assets],
            raise_on_error=False,
        )
        assert result.success, failure_sentence(result)
        if job == "label":
            _label(house)
    return Planted(house)


def _write_study(path: Path, study: Study) -> Path:
    """Write the demo's study with markup as its title and as the label of its first category."""
    categories = [f"templates = {json.dumps(study.categories.templates)}"]
    for place, category in enumerate(study.categories.category):
        label = MARKUP if place == 0 else category.label
        values = {
            "name": category.name,
            "label": label,
            "prompts": category.prompts,
            "is_reject": category.is_reject,
        }
        categories += ["[[category]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    templates, *tables = categories
    text = bundled_study_text("demo").replace('title = "Demo"', f"title = {json.dumps(MARKUP)}")
    text = text.replace('category_set = "demo"', templates)
    path.write_text("\n".join([text, *tables]), encoding="utf-8")
    return path


def _plant(house: House) -> None:
    for name, columns in OUTSIDE.items():
        rows = house.store.read(name, SLUG)
        house.store.write(name, rows.assign(**dict.fromkeys(columns, MARKUP)), SLUG)


def _label(house: House) -> None:
    """Label a few images as a rater who calls herself by markup."""
    chosen = house.store.read("label_candidates", SLUG).head(40)
    path = house.folder / "labels" / "labels.csv"
    path.parent.mkdir(parents=True)
    columns = ["image_id", "rater", "label", "labelled_at", "study", "local_authority", "category_set_hash"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in chosen.itertuples():
            said = (row.category, "2026-01-01T12:00:00Z", house.study.name, SLUG, row.category_set_hash)
            writer.writerow([row.image_id, RATER, *said])
