"""How often the statistics find what is not there, and how much they find of what is, in worlds of numbers.

    python -m benchmarks.calibration

Draws 100 worlds whose smooth embeddings have nothing to do with deprivation, half of them from fields that
the surrogates do not assume, and then worlds in which one direction grows with deprivation. Prints each
figure beside what is wanted of it and fails if one is missed. Estimators see features and coordinates only.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.science.correlation import dimension_correlations
from streetimd_assets.science.estimators import ESTIMATORS
from streetimd_assets.science.folds import Fold, leave_one_out_by_group, random_folds
from streetimd_assets.science.holding_out import cross_validate
from streetimd_assets.science.intervals import cross_conformal
from streetimd_assets.science.matrices import FeatureMatrix, feature_matrix
from streetimd_assets.science.scoring import r_squared
from streetimd_assets.science.surrogates import morans_i, surrogate_p_values
from streetimd_assets.study.effort import EFFORTS
from streetimd_assets.synthetic.worlds import Field, ImageCounts, Kind, NumberWorld, number_world

Array = npt.NDArray[np.float64]
Figures = dict[str, float]

LEVEL = 0.05
N_FOLDS = 5
FEW_IMAGES = 5
# columns of imd_correlations
P_VALUES = {"gaussian": "spatial_p_value", "spectral": "spectral_p_value", "naive": "p_value"}
FIELDS: tuple[Field, ...] = ("exponential", "other")


@dataclass(frozen=True)
class Task:
    """A world to draw and judge."""

    kind: Kind
    seed: int
    n_lsoas: int
    n_dimensions: int
    n_surrogates: int
    field: Field = "exponential"
    image_counts: ImageCounts = "even"

    def world(self) -> NumberWorld:
        return number_world(
            self.kind,
            n_lsoas=self.n_lsoas,
            n_dimensions=self.n_dimensions,
            field=self.field,
            image_counts=self.image_counts,
            statistics=("mean",),
            seed=self.seed,
        )


@dataclass(frozen=True)
class Seen:
    """What an estimator sees of a world: features, the rank of deprivation, and places, by LSOA."""

    matrix: FeatureMatrix
    rank: Array
    places: pd.DataFrame
    splits: dict[str, list[Fold]]

    @classmethod
    def of(cls, world: NumberWorld, seed: int) -> "Seen":
        places = world.coordinates
        return cls(
            feature_matrix(world.features, "embeddings", shares=world.shares),
            world.deprivation["imd_rank"].to_numpy(float),
            places.set_index("lsoa_code")[["easting_m", "northing_m"]],
            {
                "by_place": leave_one_out_by_group(places["lad_code"].to_numpy(object)),
                "at_random": random_folds(len(places), n_folds=N_FOLDS, seed=seed),
            },
        )


def judge(task: Task) -> Figures:
    """Draw a world and measure, in one thread: worlds are spread over the cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        world = task.world()
        seen = Seen.of(world, task.seed)
        figures = {"morans_i": morans_i(seen.rank, seen.places["easting_m"], seen.places["northing_m"])}
        held_out = {name: predict(seen.matrix, seen.rank, folds) for name, folds in seen.splits.items()}
        figures |= {f"r2_{name}": r2(seen, predicted) for name, predicted in held_out.items()}
        if world.truth.direction is None:
            return figures | judge_tests(seen, task)
        return figures | judge_coverage(world, seen, held_out) | judge_recovery(world, seen)


def predict(matrix: FeatureMatrix, rank: Array, folds: Sequence[Fold]) -> Array:
    """Held-out predictions of ridge, tuned within the part fitted on."""
    return cross_validate(ESTIMATORS["ridge"], matrix, rank, folds, seed=1).pooled()


def r2(seen: Seen, predicted: Array) -> float:
    return float(r_squared(seen.rank, predicted) or 0.0)


def judge_tests(seen: Seen, task: Task) -> Figures:
    """Share of dimensions each test finds at p < .05, and whether any is left by Benjamini-Hochberg."""
    from scipy import stats

    vectors = seen.matrix.values
    measure = pd.DataFrame({"imd_rank": seen.rank}, index=seen.matrix.lsoa_codes)
    table = dimension_correlations(vectors, measure, seen.places, n_surrogates=task.n_surrogates, seed=task.seed)
    standard = stats.zscore(seen.rank).astype(np.float32)
    shuffled = np.random.default_rng(task.seed).permuted(np.tile(standard, (task.n_surrogates, 1)), axis=1)
    p_values = {name: table[column].to_numpy() for name, column in P_VALUES.items()}
    p_values["permuted"] = surrogate_p_values(vectors, seen.rank, shuffled.T)
    figures: Figures = {"largest_r": float(table["pearson_r"].abs().max())}
    for name, p in p_values.items():
        n_left = int((stats.false_discovery_control(p) <= LEVEL).sum())
        figures |= {f"{name}_rate": float(np.mean(p < LEVEL)), f"{name}_any": float(n_left > 0)}
        figures[f"{name}_left"] = n_left
    return figures


def judge_coverage(world: NumberWorld, seen: Seen, held_out: dict[str, Array]) -> Figures:
    """Share of LSOAs within their interval: all, and those of few images."""
    n_images = world.features["n_images_kept"].to_numpy(float)
    figures: Figures = {}
    for name, predicted in held_out.items():
        names = np.empty(len(predicted), dtype=object)
        for fold in seen.splits[name]:
            names[fold.test] = fold.name
        low, high = cross_conformal(seen.rank, predicted, names, n_images)
        covered = (low <= seen.rank) & (seen.rank <= high)
        figures[f"coverage_{name}"] = float(covered.mean())
        if (n_images <= FEW_IMAGES).any():
            figures[f"coverage_{name}_few"] = float(covered[n_images <= FEW_IMAGES].mean())
    return figures


def judge_recovery(world: NumberWorld, seen: Seen) -> Figures:
    """Ridge on noiseless embeddings on the same folds, the directions found, and a city left out."""
    truth, vectors = world.truth, seen.matrix.values.astype(float)
    assert truth.direction is not None
    ridge = ESTIMATORS["ridge"]
    model: Any = ridge.fit(seen.matrix, seen.rank, ridge.tune(seen.matrix, seen.rank, seed=1), seed=1)
    coefficients = -np.asarray(model[-1].coef_, dtype=float)
    directions = {
        # a linear model's coefficients are a filter, which also cancels what disturbs the reading; the pattern
        # it reads is the features' covariance times them (Haufe et al. 2014, NeuroImage 87, equation 6)
        "ridge": pattern(vectors, np.asarray(model.predict(seen.matrix.values), dtype=float)),
        "covariance": pattern(vectors, seen.rank),
        "in_cities": pattern(within(vectors, truth.city), within(seen.rank[:, None], truth.city)[:, 0]),
        "coefficients": coefficients / np.linalg.norm(coefficients),
    }
    figures = {f"cosine_{name}": float(found @ truth.direction) for name, found in directions.items()}
    noiseless = FeatureMatrix(truth.embeddings, seen.matrix.names, seen.matrix.lsoa_codes)
    figures["r2_noiseless"] = r2(seen, predict(noiseless, seen.rank, seen.splits["by_place"]))
    if truth.city.any():
        by_city = leave_one_out_by_group(truth.city.astype(str).astype(object))
        figures["r2_by_city"] = r2(seen, predict(seen.matrix, seen.rank, by_city))
    return figures


def within(values: Array, groups: npt.NDArray[np.intp]) -> Array:
    """Values less the mean of their group."""
    return values - pd.DataFrame(values).groupby(groups).transform("mean").to_numpy()


def pattern(vectors: Array, rank: Array) -> Array:
    """Unit direction in which embeddings grow with deprivation: their covariance with it (rank 1 is the most)."""
    covariance = -(rank - rank.mean()) @ (vectors - vectors.mean(axis=0))
    return np.asarray(covariance / np.linalg.norm(covariance))


# the table


@dataclass(frozen=True)
class Bar:
    """What is wanted of a figure: at most, at least, or between; with room for chance where worlds are few."""

    low: float = -np.inf
    high: float = np.inf

    def is_met(self, value: float, room: float) -> bool:
        return self.low - room <= value <= self.high + room

    def __str__(self) -> str:
        if np.isinf(self.low):
            return f"<= {self.high:.3f}"
        return f">= {self.low:.3f}" if np.isinf(self.high) else f"{self.low:.3f} to {self.high:.3f}"


@dataclass(frozen=True)
class Line:
    """One line of the table: what is measured, of which figures, and what is wanted of it."""

    title: str
    of: Callable[[pd.DataFrame], "pd.Series[float]"]
    bar: Bar | None = None
    pooling: str = "mean"


def line(title: str, column: str, bar: Bar | None = None) -> Line:
    return Line(title, lambda figures: figures[column], bar)


FAILS = Bar(low=0.5)
ONE_IN_TWENTY = Bar(high=0.05)
DIMENSIONS = (
    line("Moran's I of deprivation", "morans_i"),
    line("largest |r| of any dimension", "largest_r"),
    line("R² of ridge, one local authority left out", "r2_by_place", Bar(high=0.03)),
    line("R² of ridge, random folds", "r2_at_random"),
    line("dimensions at p < .05: Gaussian process", "gaussian_rate", Bar(high=0.08)),
    line("dimensions at p < .05: Moran spectral", "spectral_rate"),
    line("dimensions at p < .05: permutation", "permuted_rate"),
    line("dimensions at p < .05: naive t", "naive_rate"),
    line("worlds with a false finding: Gaussian process", "gaussian_any", ONE_IN_TWENTY),
    line("worlds with a false finding: Moran spectral", "spectral_any"),
    line("worlds with a false finding: permutation, to fail", "permuted_any", FAILS),
    line("worlds with a false finding: naive t, to fail", "naive_any", FAILS),
    line("false findings in a world: naive t", "naive_left"),
)
INDEPENDENT = (
    *(one for one in DIMENSIONS if one.title.startswith(("R²", "dimensions at"))),
    line("worlds with a false finding: naive t", "naive_any"),
)


def loss(figures: pd.DataFrame) -> "pd.Series[float]":
    return figures["r2_noiseless"] - figures["r2_by_place"]


COVERAGE = Bar(0.87, 0.93)
RECOVERY = (
    line("Moran's I of deprivation", "morans_i"),
    line("R² of ridge, one local authority left out", "r2_by_place"),
    line("R² of ridge, random folds", "r2_at_random"),
    line("R² of ridge on noiseless embeddings", "r2_noiseless"),
    Line("R² lost to images, the most in a world", loss, Bar(high=0.06), "max"),
    Line("R² lost to images, the least in a world", loss, Bar(low=-0.02), "min"),
    Line("cosine of ridge's pattern, the least", lambda figures: figures["cosine_ridge"], Bar(low=0.8), "min"),
    line("cosine of the covariance", "cosine_covariance"),
    line("cosine of ridge's coefficients", "cosine_coefficients"),
    line("coverage of 90% intervals, random folds", "coverage_at_random", COVERAGE),
    line("coverage, one local authority left out", "coverage_by_place"),
)
UNEVEN = (
    *RECOVERY,
    line(f"coverage with {FEW_IMAGES} images or fewer, random folds", "coverage_at_random_few", COVERAGE),
)
CITIES = (
    *(one for one in RECOVERY if not one.title.startswith("cosine")),
    line("R² of ridge, one city left out", "r2_by_city"),
    line("cosine of ridge's pattern, looks mistaken for it", "cosine_ridge"),
    Line(
        "cosine of covariance within cities, the least",
        lambda figures: figures["cosine_in_cities"],
        Bar(low=0.8),
        "min",
    ),
)


@dataclass(frozen=True)
class Part:
    """A part of the table: its worlds and its lines."""

    title: str
    tasks: list[Task]
    lines: tuple[Line, ...]


def parts_of(arguments: argparse.Namespace) -> list[Part]:
    half, few = arguments.worlds // 2, arguments.signal_worlds
    sizes = (arguments.n_lsoas, arguments.n_dimensions, arguments.surrogates)

    def tasks(kind: Kind, n: int, **options: Any) -> list[Task]:
        return [replace(Task(kind, 1 + number, *sizes), **options) for number in range(n)]

    parts = [
        Part(f"null_spatial, {field} field", tasks("null_spatial", half, field=field), DIMENSIONS)
        for field in FIELDS
    ]
    return [
        *parts,
        Part("null_iid", tasks("null_iid", few), INDEPENDENT),
        Part("signal, 20 images each", tasks("signal", few), RECOVERY),
        Part("signal, 1 to 60 images", tasks("signal", few, image_counts="uneven"), UNEVEN),
        Part("two cities", tasks("two_cities", few), CITIES),
    ]


def print_part(part: Part, figures: pd.DataFrame, *, has_room: bool) -> bool:
    """Print the lines of a part; return whether all that is wanted was met."""
    print(f"\n{part.title}: {len(figures)} worlds of {part.tasks[0].n_lsoas:,} LSOAs", flush=True)
    all_met = True
    for one in part.lines:
        values = one.of(figures)
        value = float(values.agg(one.pooling))
        # a mean over few worlds is out by chance: two standard errors of room
        room = 2 * float(values.sem()) if has_room and len(values) > 1 else 0.0
        is_met = one.bar is None or one.bar.is_met(value, room)
        all_met &= is_met
        verdict = "" if one.bar is None else f"{one.bar!s:>16}  {'pass' if is_met else 'FAIL'}"
        print(f"  {one.title:52}{value:9.3f}{verdict}")
    return all_met


def spread_over_cores(tasks: Sequence[Task], n_cores: int) -> Iterable[Figures]:
    import joblib

    started = time.monotonic()
    workers: Any = joblib.Parallel(n_jobs=n_cores, return_as="generator")
    for number, figures in enumerate(workers(joblib.delayed(judge)(task) for task in tasks), start=1):
        if number % 10 == 0 or number == len(tasks):
            print(f"{number} of {len(tasks)} worlds, {time.monotonic() - started:,.0f} s", file=sys.stderr)
        yield figures


def main(arguments: argparse.Namespace) -> None:
    """Judge all worlds, print the table, and fail if a bar is missed."""
    print(
        f"{arguments.worlds} null_spatial worlds and {arguments.signal_worlds} of each other kind, "
        f"{arguments.n_dimensions} dimensions, {arguments.surrogates:,} surrogates; target imd_rank"
    )
    is_met = True
    for part in parts_of(arguments):
        figures = pd.DataFrame(list(spread_over_cores(part.tasks, arguments.cores)))
        is_met &= print_part(part, figures, has_room=arguments.quick)
    print(f"\n{'all met' if is_met else 'NOT MET'}")
    sys.exit(0 if is_met else 1)


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worlds", type=int, default=100, help="null_spatial worlds, half of each field")
    parser.add_argument("--signal-worlds", type=int, default=20, help="worlds of each other kind")
    parser.add_argument("--n-lsoas", type=int, default=1700)
    parser.add_argument("--n-dimensions", type=int, default=512)
    surrogates = EFFORTS["default"].n_surrogates
    parser.add_argument("--surrogates", type=int, default=surrogates, help="random surfaces behind each p")
    parser.add_argument("--cores", type=int, default=2, help="worlds judged at once, each in one thread")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="12 and 4 worlds of 400 LSOAs, 96 dimensions and 999 surrogates;\n"
        "what is wanted is then widened by two standard errors",
    )
    arguments = parser.parse_args(given)
    if arguments.quick:
        quick = {"worlds": 12, "signal_worlds": 4, "n_lsoas": 400, "n_dimensions": 96, "surrogates": 999}
        vars(arguments).update(quick)
    return arguments


if __name__ == "__main__":
    main(parsed())
