"""Labels by people: which images to label, the page to label them on, and the files that come back."""

import hashlib
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import declared_page, page_result
from streetimd_assets.defs.study_wide import everywhere
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    refusals_in_one_sentence,
    stamped,
    table_asset,
)
from streetimd_assets.plots.labelling import labelling_page as draw_labelling_page
from streetimd_assets.science.labelling import choose_candidates
from streetimd_assets.settings import Settings
from streetimd_assets.sources.label_files import read_label_file, read_label_files
from streetimd_assets.store.files import written_whole
from streetimd_assets.study import load_study

LABELS_ARE_OF_THE_STUDY_AS_IT_IS = Check(
    "labels_are_of_the_study_as_it_is",
    "Some labels are set aside, because the categories, their prompts or the images have changed since: put "
    "them back, or make the labelling page again and label on it.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The images to label, the page to label them on, and the labels that came back."""
    how, categories = house.study.assessment, house.study.categories

    @table_asset(house, code_version=stamped(1, how.n_labels_per_group, how.n_labels_at_random, how.seed))
    def label_candidates(category_probabilities: pd.DataFrame, street_images: pd.DataFrame) -> Made:
        """Images drawn for people to label: of each predicted category and half of its confidence, and at random.

        Rare categories are drawn more often than they occur, so agreement on these images must be
        re-weighted before it says anything of all images; `label_figures` does.
        """
        table = choose_candidates(
            category_probabilities,
            street_images,
            n_per_group=how.n_labels_per_group,
            n_at_random=how.n_labels_at_random,
            seed=how.seed,
        )
        return Made(
            table,
            {
                "n_images": len(table),
                "n_strata": int(table["stratum"].nunique()),
                "drawn_share": len(table) / max(len(category_probabilities), 1),
            },
        )

    @dg.asset(
        **declared_page(house, "assessment", is_partitioned=True),
        code_version=stamped(1, house.study.heading, house.study.name, categories.model_dump_json()),
    )
    def labelling_page(context: dg.AssetExecutionContext, label_candidates: pd.DataFrame) -> dg.MaterializeResult:
        """A page on which people label images with one key each: it works offline and can be sent to a rater.

        It holds the pictures, and not what the model made of them. Labels leave it as a CSV file, which
        `streetimd label STUDY --read FILE` or a copy to the study's folder `labels` brings back.
        """
        authority = house.authority(context)
        with refusals_in_one_sentence():
            page = draw_labelling_page(
                label_candidates,
                Acquisition(house).read_image,
                heading=f"{house.study.heading}: {authority.name}",
                study=house.study.name,
                local_authority=authority.slug,
                titles=categories.titles,
                meanings={category.name: "; ".join(category.prompts) for category in categories.category},
            )
            return page_result(
                house,
                "labelling_page",
                page.html,
                authority.slug,
                n_images=page.n_images,
                n_pictures=page.n_pictures,
                n_pictures_not_kept=page.n_images - page.n_pictures,
            )

    @table_asset(
        house,
        deps=everywhere("category_probabilities"),
        code_version=stamped(1, house.study.categories.content_hash, label_stamp(house)),
        checks=[LABELS_ARE_OF_THE_STUDY_AS_IT_IS],
    )
    def image_labels() -> Made:
        """Labels that people gave, from the CSV files in the study's folder `labels`; none until somebody labels.

        Of two labels by one rater of one image the later holds.
        """
        table, set_aside = read_label_files(_files(house), study=house.study, images_of=_images_of(house))
        figures = {
            "n_images": int(table["image_id"].nunique()),
            "n_raters": int(table["rater"].nunique()),
            "n_files": len(_files(house)),
            "folder": dg.MetadataValue.path(str(label_folder(house))),
        }
        first = {"first": set_aside[0]} if set_aside else {}
        check = LABELS_ARE_OF_THE_STUDY_AS_IT_IS.result(not set_aside, n_set_aside=len(set_aside), **first)
        return Made(table, figures, [check])

    return [label_candidates, labelling_page, image_labels]


def take_labels(settings: Settings, paths: Sequence[Path]) -> str:
    """Copy files of labels into the study's folder, once every row of them is seen to be right.

    Parameters
    ----------
    settings
        The study the labels are of.
    paths
        CSV files as the labelling page saves them. A file of the same name and other content is never
        overwritten: the new one gets a number.

    Returns
    -------
    said
        What was taken, in a sentence.

    Raises
    ------
    LabelError
        If a file or a row of it is not as it should be; then none is taken.
    """
    house = House(load_study(settings.study), settings)
    house.study.require_images("label")
    images_of = _images_of(house)
    rows = [row for path in paths for row in read_label_file(Path(path), study=house.study, images_of=images_of)]
    n_new = sum(_take(house, Path(path)) for path in paths)
    n_raters = len({str(row["rater"]).casefold() for row in rows})
    known = "" if n_new == len(paths) else f", {len(paths) - n_new} of them there already"
    return (
        f"took {_counted(len(rows), 'label')} by {_counted(n_raters, 'rater')} from {_counted(len(paths), 'file')}"
        f"{known}, into {label_folder(house)}"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _take(house: House, path: Path) -> bool:
    """Copy a file into the folder of labels under a name that is free; False if it is there already."""
    folder, number = label_folder(house), 1
    # what begins with a dot is not read there
    name = path.name.lstrip(".") or "labels"
    target = folder / name if name.lower().endswith(".csv") else folder / f"{name}.csv"
    while target.exists():
        if target.read_bytes() == path.read_bytes():
            return False
        number += 1
        target = target.with_name(f"{Path(name).stem}-{number}.csv")
    with written_whole(target) as temporary:
        shutil.copyfile(path, temporary)
    return True


def label_folder(house: House) -> Path:
    """Return the folder in which the study's files of labels are kept."""
    return house.folder / "labels"


def label_stamp(house: House) -> list[tuple[str, str]]:
    """Name and hash the files of labels, so that new ones make stale what is made from them."""
    return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in _files(house)]


def _files(house: House) -> list[Path]:
    found = label_folder(house).glob("*.[cC][sS][vV]")
    # a file that is just being copied begins with a dot
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def _images_of(house: House) -> Any:
    """Return what gives the classified images of a local authority, each read once."""

    @cache
    def images_of(slug: str) -> frozenset[str]:
        if not house.store.holds("category_probabilities", slug):
            return frozenset()
        return frozenset(house.store.read("category_probabilities", slug, ["image_id"])["image_id"])

    return images_of
