"""How many images are enough: what a model reads from few points per LSOA, and from more."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science.estimators import ESTIMATORS
from streetimd_assets.science.folds import Fold, make_splits
from streetimd_assets.science.grounds import places_of
from streetimd_assets.science.holding_out import cross_validate
from streetimd_assets.science.matrices import FeatureMatrix, require_enough
from streetimd_assets.science.scoring import Resamples, interval_of, r_squared

Array = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Ranks = npt.NDArray[np.int64]

ESTIMATOR = "ridge"
STEPS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90)
# with fewer LSOAs that have so many points, a step would hardly differ from the one before
_GOOD_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Points:
    """Sums of the embeddings of each point's kept images; a point is a panorama with any image kept.

    Parameters
    ----------
    lsoa_codes, panorama_ids
        Of each point, shape (n_points,).
    n_images
        Images kept of each point, at least 1; shape (n_points,).
    sums
        Sum of their embeddings, shape (n_points, n_dimensions).
    """

    lsoa_codes: npt.NDArray[np.object_]
    panorama_ids: npt.NDArray[np.object_]
    n_images: Array
    sums: Vectors

    @classmethod
    def of_images(cls, images: pd.DataFrame, embeddings: Vectors) -> "Points":
        """Sum the kept images of each panorama.

        Parameters
        ----------
        images
            Columns ``image_id``, ``panorama_id``, ``lsoa_code`` and ``is_rejected``.
        embeddings
            Of those images, in the same order, shape (n_images, n_dimensions).
        """
        kept = np.flatnonzero(~images["is_rejected"].to_numpy(bool))
        rows = images.iloc[kept]
        # sums of floating-point numbers depend on their order: always that of the images' names
        order = np.lexsort([rows[name].to_numpy(str) for name in ("image_id", "panorama_id", "lsoa_code")])
        rows, kept = rows.iloc[order], kept[order]
        is_first = ~rows.duplicated(["lsoa_code", "panorama_id"]).to_numpy()
        starts = np.flatnonzero(is_first)
        # numpy sums no groups at all of nothing at all
        sums = np.add.reduceat(embeddings[kept], starts, axis=0) if len(starts) else embeddings[:0]
        return cls(
            rows["lsoa_code"].to_numpy(object)[starts],
            rows["panorama_id"].to_numpy(object)[starts],
            np.diff(np.append(starts, len(rows))).astype(float),
            sums,
        )

    @classmethod
    def joined(cls, parts: Iterable["Points"]) -> "Points":
        """Join the points of several local authorities, in the order of their LSOAs' codes."""
        listed = list(parts)
        codes, names, counts = (
            np.concatenate([getattr(part, name) for part in listed])
            for name in ("lsoa_codes", "panorama_ids", "n_images")
        )
        order = np.lexsort((names.astype(str), codes.astype(str)))
        return cls(codes[order], names[order], counts[order], np.concatenate([part.sums for part in listed])[order])

    def of_lsoas(self, codes: Iterable[str]) -> "Points":
        """Return the points of some LSOAs."""
        rows = np.flatnonzero(pd.Index(self.lsoa_codes).isin(list(codes)))
        return Points(self.lsoa_codes[rows], self.panorama_ids[rows], self.n_images[rows], self.sums[rows])

    def places_in_line(self, *, seed: int) -> Ranks:
        """Place of each point among those of its LSOA, from 0, in an order drawn at random; shape (n_points,).

        The order follows from the seed and the names of the LSOA and its panoramas alone, so the first
        two points hold the first one, and no other LSOA has a part in it.
        """
        names = zip(self.lsoa_codes, self.panorama_ids, strict=True)
        drawn = pd.Series([_drawn(f"{seed}/{code}/{name}") for code, name in names])
        return np.asarray(drawn.groupby(self.lsoa_codes).rank(method="first"), dtype=np.int64) - 1


def _drawn(text: str) -> int:
    # 52 bits: ranks are told apart as floating-point numbers
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 12


@dataclass(frozen=True, eq=False)
class _World:
    """What every step of the curve has in common."""

    points: Points
    lsoa_codes: npt.NDArray[np.object_]
    observed: Array
    split: str
    folds: Sequence[Fold]
    resamples: Resamples
    seed: int


def learning_curve(
    points: Points,
    target: pd.Series,
    coordinates: pd.DataFrame,
    *,
    n_repeats: int = 3,
    n_folds: int = 5,
    block_side_m: float | None = None,
    n_bootstrap: int = 1000,
    seed: int,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score ridge on the mean embedding of a few points per LSOA, and of more and more.

    The LSOAs are the same at every step: those with fewer points than asked for give all they have.

    Parameters
    ----------
    points
        The points with images kept; those of LSOAs without a target are left out.
    target
        What is predicted, indexed by ``lsoa_code``.
    coordinates
        Columns ``lsoa_code``, ``easting_m`` and ``northing_m`` (EPSG:27700), ``lad_code``.
    n_repeats
        Random choices of points at each step; of all points there is only one.
    n_folds, block_side_m
        Of spatial blocks, which are held out where there are fewer than four local authorities.
    n_bootstrap
        Resamples of blocks of neighbours behind an interval.
    seed
        Seed of the choices, folds and resamples.
    progress
        Called with a line of text before each step.

    Returns
    -------
    learning_curve
        Rows of each repeat, and 'all': the mean of R² over them, with the 95% interval of that mean over
        resampled blocks. The last step is all points there are.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have images and a target, or one has no coordinates.
    """
    world = _world(points, target, coordinates, n_folds, block_side_m, n_bootstrap, seed)
    steps = steps_of(pd.Series(world.points.lsoa_codes).value_counts().to_numpy())
    rows: list[dict[str, Any]] = []
    for k in steps:
        n_choices = n_repeats if k < steps[-1] else 1
        if progress:
            progress(f"up to {k} of {steps[-1]} points per LSOA: {n_choices} times {len(world.folds)} folds")
        rows += _step(world, k, n_choices)
    return pd.DataFrame(rows, columns=list(TABLES["learning_curve"].column_names))


def steps_of(n_points: npt.NDArray[np.integer[Any]]) -> list[int]:
    """Return the numbers of points tried: those of :data:`STEPS` that half of the LSOAs have, and all there are.

    Examples
    --------
    >>> steps_of(np.array([2, 4, 4, 6]))
    [1, 2, 3, 6]
    """
    most = int(n_points.max())
    return [*(k for k in STEPS if k < most and np.mean(n_points >= k) >= _GOOD_SHARE), most]


def enough_points(curve: pd.DataFrame, *, tolerance: float = 0.01) -> int | None:
    """Return the fewest points whose R² lies within `tolerance` of that of all; None if only all do.

    Parameters
    ----------
    curve
        Rows of ``learning_curve``.
    tolerance
        In R².
    """
    whole = curve[curve["repeat"] == "all"].sort_values("n_points_per_lsoa")
    r2 = whole["r2"].to_numpy(float)
    near = whole["n_points_per_lsoa"].to_numpy()[:-1][r2[:-1] >= r2[-1] - tolerance]
    return int(near[0]) if len(near) else None


def _world(
    points: Points,
    target: pd.Series,
    coordinates: pd.DataFrame,
    n_folds: int,
    block_side_m: float | None,
    n_bootstrap: int,
    seed: int,
) -> _World:
    known = target.dropna()
    own = Points.joined([points.of_lsoas(known.index)])
    codes = np.unique(own.lsoa_codes.astype(str)).astype(object)
    require_enough(len(codes), "have images and a target")
    places = places_of(codes, coordinates)
    splits = make_splits(places, n_folds=n_folds, block_side_m=block_side_m, seed=seed)
    return _World(
        own,
        codes,
        known.loc[list(codes)].to_numpy(float),
        splits.hardest,
        splits.folds[splits.hardest],
        Resamples.draw(splits.blocks, n_draws=n_bootstrap, seed=seed),
        seed,
    )


def _step(world: _World, k: int, n_choices: int) -> list[dict[str, Any]]:
    """Rows of one number of points: each choice of them, and all together."""
    rows, draws = [], []
    for repeat in range(n_choices):
        chosen = world.points.places_in_line(seed=world.seed + repeat) < k
        matrix, n_points, n_images = _means(world, chosen)
        predicted = cross_validate(
            ESTIMATORS[ESTIMATOR], matrix, world.observed, world.folds, seed=world.seed
        ).pooled()
        draws.append(world.resamples.r_squared(world.observed, predicted))
        rows.append(
            {
                "n_points_per_lsoa": k,
                "repeat": str(repeat),
                "split": world.split,
                "estimator": ESTIMATOR,
                "mean_points_per_lsoa": n_points,
                "mean_images_per_lsoa": n_images,
                "r2": r_squared(world.observed, predicted),
                "n_lsoas": len(world.observed),
            }
        )
    low, high = interval_of(np.mean(draws, axis=0))
    means = pd.DataFrame(rows)[["mean_points_per_lsoa", "mean_images_per_lsoa", "r2"]].mean().to_dict()
    return [*rows, {**rows[0], **means, "repeat": "all", "r2_low": low, "r2_high": high}]


def _means(world: _World, chosen: npt.NDArray[np.bool_]) -> tuple[FeatureMatrix, float, float]:
    """Mean embedding of each LSOA over the images of the points chosen; points and images per LSOA."""
    points = world.points
    # points stand in the order of their LSOAs, and each LSOA has at least one that is chosen
    codes, images = points.lsoa_codes[chosen], points.n_images[chosen]
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    if len(starts) != len(world.lsoa_codes):
        raise ScienceError("the points of an LSOA do not stand together; join them with Points.joined")
    totals = np.add.reduceat(points.sums[chosen], starts, axis=0, dtype=np.float64)
    counts = np.add.reduceat(images, starts)
    names = tuple(f"mean_embedding_{dimension:03d}" for dimension in range(totals.shape[1]))
    values = (totals / counts[:, None]).astype(np.float32)
    n_lsoas = len(world.lsoa_codes)
    return FeatureMatrix(values, names, world.lsoa_codes), len(codes) / n_lsoas, float(images.sum()) / n_lsoas
