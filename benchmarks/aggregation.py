"""How fast embeddings become features of LSOAs, beside the notebooks' way and polars, and in how much memory.

    python -m benchmarks.aggregation

Mean, median and maximum of 200,000 random embeddings in 500 LSOAs, of all images and of each of 10 categories.
A notebook keeps embeddings as a column of arrays and stacks each group, once for each statistic, by LSOA and
again by LSOA and category. polars groups 512 columns. All take turns in one run, and their results are
compared. Ours also counts images and shares. Then the memory beyond the data is measured, and asset
`lsoa_features` is materialised for one local authority of 400,000 images, each in a fresh process.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.findings import Finding, conclude, parser
from benchmarks.numbers_only import (
    invent_embeddings,
    invent_images,
    write_categories,
    write_embeddings,
    write_surroundings,
)
from benchmarks.processes import Memory, in_fresh_process
from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.house import House
from streetimd_assets.schemas import EMBEDDING_DIMENSIONS
from streetimd_assets.science.classification import classify_images
from streetimd_assets.science.features import summarise_lsoas
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

CATEGORIES = tuple(f"category_{number}" for number in range(10))
STATISTICS: dict[str, Callable[..., Any]] = {"mean": np.mean, "median": np.median, "max": np.max}
N_IMAGES, N_LSOAS, N_ROUNDS = 200_000, 500, 3
# as many as in the largest local authority of England
N_IMAGES_OF_A_CITY, N_LSOAS_OF_A_CITY, CITY = 400_000, 659, "birmingham"
Vectors = npt.NDArray[np.float32]
# statistics by the name of a column of lsoa_features
Pooled = dict[str, dict[str, Any]]


def invent_classified(n_images: int) -> pd.DataFrame:
    """Images by chance in LSOAs and categories."""
    rng = np.random.default_rng(1)
    lsoa, category = rng.integers(N_LSOAS, size=n_images), rng.integers(len(CATEGORIES), size=n_images)
    images = pd.DataFrame({"image_id": [f"{number:06d}" for number in range(n_images)]})
    images["lsoa_code"] = [f"E01{number:06d}" for number in lsoa]
    images["category"] = np.array(CATEGORIES, dtype=object)[category]
    return images.assign(category_set_hash="", encoder="")


def pool_ours(classified: pd.DataFrame, embeddings: Vectors) -> Pooled:
    """Summarise with this package."""
    nothing = pd.DataFrame({"lsoa_code": [], "status": []})
    features = summarise_lsoas(
        sorted(set(classified["lsoa_code"])),
        "E09000000",
        nothing,
        nothing,
        classified,
        embeddings,
        categories=CATEGORIES,
        rejects=(),
        min_images_per_category=1,
        category_set_hash="",
        encoder="",
    ).set_index("lsoa_code")
    return {name: features[name].dropna().to_dict() for name in features if name.endswith("_embedding")}


def pool_stacked(classified: pd.DataFrame, embeddings: Vectors) -> Pooled:
    """Stack each group of a column of arrays, as notebooks do."""
    images, pooled = classified.assign(embedding=list(embeddings)), {}
    for name, function in STATISTICS.items():

        def stacked(cells: Any, function: Callable[..., Any] = function) -> Any:
            return function(np.stack(cells.to_list()), axis=0)

        pooled[f"{name}_embedding"] = images.groupby("lsoa_code")["embedding"].apply(stacked).to_dict()
        by_both = images.groupby(["lsoa_code", "category"])["embedding"].apply(stacked)
        for category, vectors in by_both.groupby(level="category"):
            pooled[f"{category}_{name}_embedding"] = vectors.droplevel("category").to_dict()
    return pooled


def pool_polars(classified: pd.DataFrame, embeddings: Vectors) -> Pooled:
    """Group 512 columns."""
    import polars as pl

    names = [f"d{number:03d}" for number in range(embeddings.shape[1])]
    wide = pl.DataFrame(embeddings, schema=names).with_columns(
        pl.Series("lsoa_code", classified["lsoa_code"].tolist()),
        pl.Series("category", classified["category"].tolist()),
    )
    pooled: Pooled = {}
    for name in STATISTICS:
        which = getattr(pl.col(names), name)()
        whole = wide.group_by("lsoa_code").agg(which)
        pooled[f"{name}_embedding"] = dict(zip(whole["lsoa_code"], whole[names].to_numpy(), strict=True))
        parts = wide.group_by("lsoa_code", "category").agg(which)
        for (category,), part in parts.group_by("category"):
            vectors = dict(zip(part["lsoa_code"], part[names].to_numpy(), strict=True))
            pooled[f"{category}_{name}_embedding"] = vectors
    return pooled


WAYS = {"ours": pool_ours, "groupby.apply of np.stack": pool_stacked, "polars": pool_polars}


def side_by_side() -> Iterator[Finding]:
    """Let all ways take turns, and compare what they give."""
    classified, embeddings = invent_classified(N_IMAGES), invent_embeddings(N_IMAGES, 1)
    ways = {name: way for name, way in WAYS.items() if name != "polars" or find_spec("polars")}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(N_ROUNDS):
        found = {}
        for name, way in ways.items():
            began = time.monotonic()
            found[name] = way(classified, embeddings)
            seconds[name].append(time.monotonic() - began)
        if number == 0:
            for name in ways:
                require_same(found["ours"], found[name])
    what = f"mean, median, max of {N_IMAGES:,} x 512 in {N_LSOAS} LSOAs, all and 10 categories"
    took = {name: median(times) for name, times in seconds.items()}
    yield Finding(what, took["ours"], "s", "groupby.apply of np.stack", took["groupby.apply of np.stack"], ">= 2.5")
    if "polars" in took:
        yield Finding(what, took["ours"], "s", "polars", took["polars"])
    else:
        yield Finding(f"{what}, beside polars", None, "s", why="polars is not installed")


def require_same(ours: Pooled, others: Pooled) -> None:
    """Stop if results differ by more than rounding."""
    assert ours.keys() == others.keys()
    for name, vectors in ours.items():
        assert vectors.keys() == others[name].keys()
        for code, vector in vectors.items():
            np.testing.assert_allclose(vector, others[name][code], rtol=1e-4, atol=1e-6, err_msg=name)


def memory_of(way: str) -> dict[str, float | None]:
    """Measure what one way needs beyond the data."""
    classified, embeddings = invent_classified(N_IMAGES), invent_embeddings(N_IMAGES, 1)
    # libraries are loaded first
    WAYS[way](classified.iloc[:2000], embeddings[:2000])
    with Memory() as memory:
        WAYS[way](classified, embeddings)
    return {"beyond_mib": memory.beyond_mib}


def house_in(folder: str) -> House:
    return House(load_study("england"), Settings("england", Path(folder)))


def write_city(folder: str, n_images: int) -> dict[str, float]:
    """Write the tables from which the features of one large local authority are made."""
    house, codes = house_in(folder), [f"E01{number:06d}" for number in range(N_LSOAS_OF_A_CITY)]
    images = invent_images(codes, n_images, seed=1)
    write_categories(house)
    write_surroundings(house, CITY, codes, images)
    write_embeddings(house.store, CITY, images, seed=1)
    rows, embeddings = house.store.read_embeddings(CITY)
    classified = classify_images(rows, embeddings, house.store.read("category_embeddings"))
    house.store.write("category_probabilities", classified, CITY)
    return {"disk_mib": house.store.path("image_embeddings", CITY).stat().st_size / 2**20}


def materialise(folder: str, asset: str) -> None:
    """Run one asset of the city, as a run does."""
    house = house_in(folder)
    job = build_defs(house.study, house.settings).resolve_job_def("collect")
    home = Path(folder, "dagster")
    home.mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
        job.execute_in_process(
            instance=instance,
            partition_key=CITY,
            asset_selection=[dg.AssetKey(asset)],
            raise_on_error=True,
            run_config=quiet,
        )


def embeddings_mib(n_images: int) -> float:
    return n_images * EMBEDDING_DIMENSIONS * 4 / 2**20


def city(n_images: int) -> Iterator[Finding]:
    """Materialise what reads the embeddings of one large local authority."""
    with tempfile.TemporaryDirectory() as folder:
        written = in_fresh_process("aggregation:write_city", folder, n_images)
        what = f"of one local authority with {n_images:,} images"
        # chunks committed one by one would leave a quarter and more of the file unused
        numbers = embeddings_mib(n_images)
        yield Finding(
            f"disk {what}, joined from chunks", written["disk_mib"], "MiB", "the numbers", numbers, ">= 0.9"
        )
        for asset in ("lsoa_features", "category_probabilities"):
            measured = in_fresh_process("aggregation:materialise", folder, asset)
            wanted = "<= 2048" if asset == "lsoa_features" else ""
            yield Finding(f"asset {asset} {what}", measured["seconds"], "s")
            yield Finding(f"largest memory of asset {asset} {what}", measured["peak_mib"], "MiB", wanted=wanted)


def measure(n_images_of_city: int) -> Iterator[Finding]:
    """Measure all."""
    yield from side_by_side()
    ours, plain = (in_fresh_process("aggregation:memory_of", way)["beyond_mib"] for way in list(WAYS)[:2])
    what, why = f"memory beyond the data, {N_IMAGES:,} x 512", "" if ours else "there is no /proc"
    yield Finding(what, ours, "MiB", wanted="<= 60", why=why)
    yield Finding(what, ours, "MiB", "groupby.apply of np.stack", plain, why=why)
    yield from city(n_images_of_city)


def main(arguments: argparse.Namespace) -> int:
    """Measure all, and return 1 if a target is missed."""
    return conclude("aggregation", measure(arguments.images), keep=arguments.keep)


if __name__ == "__main__":
    switches = parser(__doc__)
    switches.add_argument(
        "--images", type=int, default=N_IMAGES_OF_A_CITY, help="images of the one large local authority"
    )
    sys.exit(main(switches.parse_args()))
