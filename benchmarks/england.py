"""Whether a study may grow to all of England: time, disk and memory of each stage, and the cost of an image.

    python -m benchmarks.england
    python -m benchmarks.england --images 3000000

Writes an England of numbers alone: its 296 local authorities with 33,755 LSOAs between them, a million random
embeddings, nothing that says anything about a place. Each stage goes through the package's own store and
science, local authority by local authority, in a fresh process: embeddings written in chunks and put in place,
images classified, LSOAs summarised, and all features read study-wide. Before that, the same is done with every
tenth local authority and as many images per LSOA, in turn with the whole, so that what an image costs can be
compared. Nothing is downloaded and no encoder runs: those are other commands' matter.

The last lines say what all images of England would take, if each cost what these do. They are computed, not
measured: 2.2 km of road per LSOA (as in the two boroughs of London that are at hand), a point every 50 m and
four headings make 176 images per LSOA.
"""

import argparse
import functools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.findings import Finding, conclude, parser
from benchmarks.numbers_only import ENCODER, invent_images, write_categories, write_embeddings, write_surroundings
from benchmarks.processes import in_fresh_process
from streetimd_assets.defs.correlation import LIGHT
from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import read_waist
from streetimd_assets.science.classification import classify_images
from streetimd_assets.science.features import summarise_in_ranges
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

N_IMAGES, TENTH = 1_000_000, 10
IMAGES_PER_LSOA_IN_FULL = 176
# of each image the embedding, and of each LSOA the embeddings of its 15 categories
BYTES_PER_IMAGE, BYTES_PER_LSOA = 3_000, 120_000


def house_in(folder: str) -> House:
    return House(load_study("england"), Settings("england", Path(folder)))


def members(every: int) -> list[tuple[int, str, int]]:
    """Number, key and LSOAs of every so many local authorities: all sizes are among them."""
    authorities = load_study("england").authorities
    return [(number, one.slug, one.n_lsoas) for number, one in enumerate(authorities)][every // 2 :: every]


def codes_of(number: int, n_lsoas: int) -> list[str]:
    return [f"E01{number:03d}{place:03d}" for place in range(n_lsoas)]


def images_of(number: int, n_lsoas: int, images_per_lsoa: float) -> Any:
    return invent_images(codes_of(number, n_lsoas), round(n_lsoas * images_per_lsoa / 4) * 4, seed=number)


def surround(folder: str, every: int, images_per_lsoa: float) -> dict[str, int]:
    """Write what the stages need and are not about; count images and LSOAs."""
    house, n_images, n_lsoas = house_in(folder), 0, 0
    write_categories(house)
    for number, slug, n_here in members(every):
        images = images_of(number, n_here, images_per_lsoa)
        write_surroundings(house, slug, codes_of(number, n_here), images)
        n_images, n_lsoas = n_images + len(images), n_lsoas + n_here
    return {"n_images": n_images, "n_lsoas": n_lsoas, "n_authorities": len(members(every))}


def write(folder: str, every: int, images_per_lsoa: float) -> None:
    """Write embeddings in chunks."""
    house = house_in(folder)
    for number, slug, n_here in members(every):
        write_embeddings(house.store, slug, images_of(number, n_here, images_per_lsoa), seed=number)


def classify(folder: str, every: int, _: float) -> None:
    """Give every image its category."""
    house = house_in(folder)
    words = house.store.read("category_embeddings")
    for _number, slug, _n_here in members(every):
        rows, embeddings = house.store.read_embeddings(slug)
        house.store.write("category_probabilities", classify_images(rows, embeddings, words), slug)


def summarise(folder: str, every: int, _: float) -> None:
    """Summarise the images of each LSOA."""
    house = house_in(folder)
    for number, slug, n_here in members(every):
        features = summarise_in_ranges(
            codes_of(number, n_here),
            house.study.authority(slug).lad_code,
            house.store.read("sample_points", slug),
            house.store.read("panoramas", slug),
            house.store.read("category_probabilities", slug),
            functools.partial(house.store.read_embeddings_of, slug),
            categories=house.study.categories.names,
            rejects=house.study.categories.reject_names,
            min_images_per_category=1,
            category_set_hash=house.study.categories.content_hash,
            encoder=ENCODER,
        )
        house.store.write("lsoa_features", features, slug)


def read(folder: str, every: int, _: float) -> None:
    """Read what the correlations read of all LSOAs."""
    waist = read_waist(house_in(folder), [], LIGHT)
    assert len(waist.local_authorities) == len(members(every))


# what each stage does, and the table it leaves
STAGES = {
    "write": ("embeddings written in chunks and put in place", "image_embeddings"),
    "classify": ("images classified", "category_probabilities"),
    "summarise": ("LSOAs summarised", "lsoa_features"),
    "read": ("features and deprivation read study-wide", None),
}
Measured = dict[str, dict[str, Any]]


def build(folder: str, every: int, images_per_lsoa: float) -> tuple[dict[str, Any], Measured]:
    """Go through all stages, each in a fresh process."""
    size = in_fresh_process("england:surround", folder, every, images_per_lsoa)
    measured = {}
    for stage, (_, table) in STAGES.items():
        measured[stage] = in_fresh_process(f"england:{stage}", folder, every, images_per_lsoa)
        files = house_in(folder).folder.glob(f"tables/{table}/*/part.duckdb") if table else ()
        measured[stage]["disk_mib"] = sum(path.stat().st_size for path in files) / 2**20
    return size, measured


def measure(n_images: int) -> Iterator[Finding]:
    """Build a tenth, the whole, and a tenth again."""
    n_lsoas = sum(n_here for _, _, n_here in members(1))
    images_per_lsoa = n_images / n_lsoas
    needed = 1.3 * (n_images * BYTES_PER_IMAGE + n_lsoas * BYTES_PER_LSOA)
    with tempfile.TemporaryDirectory() as folder:
        if (free := shutil.disk_usage(folder).free) < needed:
            why = f"{needed / 2**30:.0f} GiB are needed and {free / 2**30:.0f} are free"
            yield Finding(f"an England of {n_images:,} images", None, "s", why=why)
            return
        tenths = [build(f"{folder}/before", TENTH, images_per_lsoa)]
        whole, stages = build(f"{folder}/whole", 1, images_per_lsoa)
        tenths.append(build(f"{folder}/after", TENTH, images_per_lsoa))
    small = tenths[0][0]
    what = f"{whole['n_images']:,} images, {whole['n_lsoas']:,} LSOAs, {whole['n_authorities']} local authorities"
    for stage, (does, table) in STAGES.items():
        yield Finding(f"{does}: {what}", stages[stage]["seconds"], "s")
        yield Finding(f"largest memory, {does}", stages[stage]["peak_mib"], "MiB", wanted="<= 2048")
        if table:
            yield Finding(f"disk, {table}", stages[stage]["disk_mib"], "MiB")
    yield from growth(tenths, small, whole, stages)
    yield from in_full(whole, stages)


def growth(
    tenths: list[tuple[dict[str, Any], Measured]], small: Any, whole: Any, stages: Measured
) -> Iterator[Finding]:
    """Compare what an image costs in a tenth of the study and in the whole."""
    beside = f"in a study of {small['n_images']:,} images"
    for quantity, unit, factor in (("seconds", "ms", 1000.0), ("disk_mib", "KiB", 1024.0)):
        for stage in (*STAGES, "all"):
            named = list(STAGES) if stage == "all" else [stage]
            does = "all stages" if stage == "all" else STAGES[stage][0]
            few = (
                sum(built[one][quantity] for _, built in tenths for one in named) / len(tenths) / small["n_images"]
            )
            many = sum(stages[one][quantity] for one in named) / whole["n_images"]
            if few:
                what = f"{unit} per image, {does}"
                # within a tenth of the same, or better
                yield Finding(what, many * factor, unit, beside, few * factor, ">= 0.9")


def in_full(whole: Any, stages: Measured) -> Iterator[Finding]:
    """Say what all images of England would take at the same cost."""
    n_full = whole["n_lsoas"] * IMAGES_PER_LSOA_IN_FULL
    times = n_full / whole["n_images"]
    hours = sum(stages[stage]["seconds"] for stage in STAGES) * times / 3600
    # features are as large however many images they are of
    per_image = sum(stages[stage]["disk_mib"] for stage in ("write", "classify"))
    gib = (per_image * times + stages["summarise"]["disk_mib"]) / 1024
    yield Finding(f"computed, not measured: {n_full:,} images through all stages", hours, "h")
    yield Finding(f"computed, not measured: disk of {n_full:,} images", gib, "GiB")


def main(arguments: argparse.Namespace) -> int:
    """Measure all, and return 1 if a target is missed."""
    return conclude("england", measure(arguments.images), keep=arguments.keep)


if __name__ == "__main__":
    switches = parser(__doc__)
    switches.add_argument("--images", type=int, default=N_IMAGES, help="images of the whole study")
    sys.exit(main(switches.parse_args()))
