"""How long the analysis of a study takes, step by step, on invented numbers of a real study's size.

    python -m benchmarks.analysis --effort quick
    python -m benchmarks.analysis --effort default

Writes the tables that collecting would have left: 1,700 LSOAs in ten local authorities, 20 images each in
the ten categories of the study `greater-manchester`, 512 dimensions that grow with an invented deprivation.
Then runs job `analyse` in this process through Dagster, and prints the time of each step. No picture is
embedded and no result says anything about a place.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import shapely

from benchmarks.processes import peak_mib
from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.schemas import EMBEDDING_DIMENSIONS
from streetimd_assets.science.features import summarise_lsoas
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_assets.synthetic.worlds import NumberWorld, number_world

N_PANORAMAS, HEADINGS = 5, (0, 90, 180, 270)
ENCODER = "invented numbers"


def main() -> None:
    """Measure one effort."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--effort", default="quick", choices=["quick", "default", "full"])
    parser.add_argument("--n-lsoas", type=int, default=1700)
    chosen = parser.parse_args()
    study = load_study("greater-manchester")
    modelling = study.modelling.model_copy(update={"effort": chosen.effort})
    study = study.model_copy(update={"modelling": modelling})
    with tempfile.TemporaryDirectory() as folder:
        house = House(study, Settings("greater-manchester", Path(folder)))
        world = number_world("signal", n_lsoas=chosen.n_lsoas, statistics=("mean",), seed=1)
        write_study_wide(house)
        for slug, invented in zip(study.slugs, sorted(set(world.coordinates["lad_code"])), strict=True):
            places = world.coordinates["lad_code"] == invented
            write_local_authority(house, slug, np.flatnonzero(places), world)
        print(f"{chosen.n_lsoas:,} LSOAs, {EMBEDDING_DIMENSIONS} dimensions, {os.cpu_count()} cores")
        print(study.modelling.what_is_done.said)
        measure(house, Path(folder) / "dagster")


def measure(house: House, home: Path) -> None:
    """Run the job, and print what each step took."""
    job = build_defs(house.study, house.settings).resolve_job_def("analyse")
    home.mkdir()
    began = time.monotonic()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        result = job.execute_in_process(instance=instance, run_config=quiet, raise_on_error=True)
    took = {
        event.step_key or "": event.event_specific_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success
    }
    for step, seconds in sorted(took.items(), key=lambda pair: -pair[1]):
        print(f"{seconds:8.1f} s  {step}")
    print(f"{time.monotonic() - began:8.1f} s  in all; the largest process {peak_mib():,.0f} MiB")


def write_study_wide(house: House) -> None:
    """Write what the encoder would have made of words: here random directions."""
    rng = np.random.default_rng(0)
    categories = house.study.categories
    table = house.store.table("category_embeddings")
    rows = pd.DataFrame({"category": categories.names, "position": range(len(categories.names))})
    rows["is_reject"] = rows["category"].isin(categories.reject_names)
    rows = rows.assign(
        prompts="invented", logit_scale=100.0, encoder=ENCODER, embedding=list(_units(rng, len(rows)))
    )
    rows["category_set_hash"] = categories.content_hash
    house.store.write("category_embeddings", rows[list(table.column_names)])
    house.store.write("concept_directions", pd.DataFrame(_directions(house, rng)))


def _directions(house: House, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    for kind, names in (
        ("prompt", [f"prompt {number}" for number in range(120)]),
        ("random", [f"random: {number}" for number in range(200)]),
    ):
        for name, vector in zip(names, _units(rng, len(names)), strict=True):
            yield {
                "concept": name,
                "kind": kind,
                "toward": name,
                "away": None,
                "embedding": vector,
                "encoder": ENCODER,
            }


def _units(rng: np.random.Generator, n: int) -> np.ndarray:
    vectors = rng.standard_normal((n, EMBEDDING_DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_local_authority(house: House, slug: str, rows: np.ndarray, world: NumberWorld) -> None:
    """Write the tables of one local authority, from outlines to features; its LSOAs are some of the world's."""
    lad_code = house.study.authority(slug).lad_code
    places, store = world.coordinates.iloc[rows], house.store
    codes = list(places["lsoa_code"])
    outlines = shapely.box(
        *(places[["easting_m", "northing_m"]].to_numpy() - 300).T,
        *(places[["easting_m", "northing_m"]].to_numpy() + 300).T,
    )
    boundaries = pd.DataFrame({"lsoa_code": codes, "lsoa_name": codes, "lad_code": lad_code, "area_m2": 360_000.0})
    store.write("lsoa_boundaries", boundaries.assign(geometry=shapely.to_wkb(outlines)), slug)
    deprivation = world.deprivation[world.deprivation["lsoa_code"].isin(codes)]
    store.write("deprivation_indices", deprivation.assign(lad_code=lad_code, deprivation_index="synthetic"), slug)
    images, embeddings = _images(house, codes, world.truth.embeddings[rows])
    _write_images(house, slug, images, embeddings)
    features = summarise_lsoas(
        codes,
        lad_code,
        store.read("sample_points", slug),
        store.read("panoramas", slug),
        images,
        embeddings,
        categories=house.study.categories.names,
        rejects=house.study.categories.reject_names,
        min_images_per_category=1,
        category_set_hash=house.study.categories.content_hash,
        encoder=ENCODER,
    )
    store.write("lsoa_features", features, slug)


def _images(house: House, codes: list[str], means: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Images of each LSOA, around its mean, in categories at random; with embeddings of unit length."""
    rng = np.random.default_rng(len(codes))
    n_each, names = N_PANORAMAS * len(HEADINGS), np.array(house.study.categories.names, dtype=object)
    lsoa = np.repeat(np.arange(len(codes)), n_each)
    embeddings = means[lsoa] + 0.02 * rng.standard_normal((len(lsoa), means.shape[1]), dtype=np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    images = pd.DataFrame({"lsoa_code": np.array(codes, dtype=object)[lsoa]})
    images["panorama_id"] = [
        f"{code}-{place // len(HEADINGS) % N_PANORAMAS}" for place, code in enumerate(images["lsoa_code"])
    ]
    images["heading_deg"] = np.tile(HEADINGS, len(images) // len(HEADINGS)).astype(float)
    images["image_id"] = images["panorama_id"] + "@" + images["heading_deg"].map("{:03.0f}".format)
    images["category"] = rng.choice(names, len(images), p=_frequencies(len(names)))
    for name in names:
        images[f"{name}_similarity"] = 0.2
        images[f"{name}_probability"] = np.where(images["category"] == name, 0.8, 0.2 / (len(names) - 1))
    images = images.assign(probability=0.8, margin=0.02, entropy_share=0.4, encoder=ENCODER)
    images["is_rejected"] = images["category"].isin(house.study.categories.reject_names)
    return images.assign(category_set_hash=house.study.categories.content_hash), embeddings


def _frequencies(n: int) -> np.ndarray:
    """Some categories are common and some rare."""
    weights = 1 / np.arange(1, n + 1)
    return np.asarray(weights / weights.sum())


def _plan(panoramas: pd.DataFrame) -> pd.DataFrame:
    plan = panoramas.groupby("lsoa_code", as_index=False).agg(n_panoramas=("panorama_id", "size"))
    roads = 2000.0 + np.arange(len(plan)) % 7 * 300
    n_images = {name: N_PANORAMAS * len(HEADINGS) for name in ("n_images_planned", "n_images_held")}
    return plan.assign(road_length_m=roads, n_points=N_PANORAMAS, n_images_to_fetch=0, cost_usd=0.0, **n_images)


def _write_images(house: House, slug: str, images: pd.DataFrame, embeddings: np.ndarray) -> None:
    store = house.store
    panoramas = images.drop_duplicates("panorama_id")[["panorama_id", "lsoa_code"]].assign(
        point_id=lambda rows: rows["panorama_id"], position=1, status="ok", is_360=True, source="painted"
    )
    everything = {
        "sample_points": panoramas.assign(
            segment_id="0", easting_m=0.0, northing_m=0.0, longitude_deg=0.0, latitude_deg=0.0
        ),
        "panoramas": panoramas,
        "imagery_plan": _plan(panoramas),
        "street_images": images.assign(point_id=images["panorama_id"], status="ok", source="painted"),
        "category_probabilities": images,
    }  # fmt: skip
    for name, rows in everything.items():
        columns = list(store.table(name).column_names)
        store.write(name, rows.reindex(columns=columns).astype({c: object for c in columns if c not in rows}), slug)
    chunks = store.chunks("image_embeddings", slug)
    named = images[["image_id", "lsoa_code", "heading_deg", "encoder"]].assign(sha256="0")
    chunks.write("all", named, embeddings)
    chunks.publish()


if __name__ == "__main__":
    main()
