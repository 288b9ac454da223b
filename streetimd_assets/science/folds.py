"""Folds: which LSOAs a model is fitted on, and on which it is scored.

The unit is always the LSOA. Points or images of one LSOA in both parts would let a model recognise
the place instead of reading the street.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import HARDEST_FIRST

Indices = npt.NDArray[np.intp]
Labels = npt.NDArray[np.object_]
MIN_LOCAL_AUTHORITIES = 4
BLOCKS_PER_FOLD = 6


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of n rows.

    Parameters
    ----------
    name
        Such as the local authority held out.
    train, test
        Row numbers fitted on and scored, in ascending order.
    groups
        Group of each of the n rows, where whole groups are held out; else None.
    """

    name: str
    train: Indices
    test: Indices
    groups: Labels | None = None

    @property
    def groups_of_train(self) -> Labels | None:
        """Group of each row fitted on, shape (n_train,); None where single rows are held out.

        None, too, where one group has more than half of the rows: without it too little would be left to
        choose parameters on.
        """
        if self.groups is None:
            return None
        here = self.groups[self.train]
        return here if np.unique(here.astype(str), return_counts=True)[1].max() <= len(here) / 2 else None


def repeated_holdout(n: int, *, n_repeats: int, test_share: float = 0.2, seed: int) -> list[Fold]:
    """Hold out a random share of rows, several times anew.

    Parameters
    ----------
    n
        Number of rows.
    n_repeats
        Number of splits; their held-out parts overlap.
    test_share
        Share of the rows held out, 0 to 1.
    seed
        Seed of the random numbers.

    Raises
    ------
    ScienceError
        If either part would be empty.
    """
    n_test = round(test_share * n)
    if not 0 < n_test < n:
        raise ScienceError(f"{n} rows cannot be split with {test_share:g} of them held out; use more rows")
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(n) for _ in range(n_repeats)]
    return [_fold(str(repeat), n, rows[:n_test]) for repeat, rows in enumerate(shuffled)]


def random_folds(n: int, *, n_folds: int, seed: int) -> list[Fold]:
    """Cut the rows at random into folds of equal size, each held out once.

    Raises
    ------
    ScienceError
        If there are fewer rows than folds, or fewer than two folds.
    """
    if not 2 <= n_folds <= n:
        raise ScienceError(f"{n} rows cannot be cut into {n_folds} folds; use from 2 to {n}")
    parts = np.array_split(np.random.default_rng(seed).permutation(n), n_folds)
    return [_fold(str(number), n, part) for number, part in enumerate(parts)]


def leave_one_out_by_group(groups: Sequence[str] | Labels, *, max_folds: int = 20) -> list[Fold]:
    """Hold out each group whole, once.

    With more groups than `max_folds`, whole groups are held out several together, so that a study of
    all England does not fit each model 296 times; a group is still never in both parts.

    Parameters
    ----------
    groups
        Group of each row, shape (n,); for LSOAs their local authority.
    max_folds
        The most folds made.

    Returns
    -------
    folds
        Named for the group held out, or its first group and how many more, in alphabetical order.

    Raises
    ------
    ScienceError
        If there are fewer than two groups.
    """
    labels = np.asarray(groups, dtype=object)
    names, sizes = np.unique(labels.astype(str), return_counts=True)
    if len(names) < 2:
        raise ScienceError(f"{len(names)} group cannot be held out against others; use at least 2")
    held_out = [np.flatnonzero(np.isin(labels, together)) for together in _shared_out(names, sizes, max_folds)]
    named = [(sorted(set(labels[rows])), rows) for rows in held_out]
    folds = [
        _fold(first if not more else f"{first} and {len(more)} more", len(labels), rows, labels)
        for (first, *more), rows in named
    ]
    return sorted(folds, key=lambda fold: fold.name)


def block_labels(
    easting_m: npt.ArrayLike, northing_m: npt.ArrayLike, *, n_blocks: int = 30, side_m: float | None = None
) -> tuple[Labels, float]:
    """Cut the map into squares and say in which each row lies.

    Neighbours lie in the same square or in the next, so holding out or resampling whole squares keeps
    most of what an LSOA shares with its neighbours on one side.

    Parameters
    ----------
    easting_m, northing_m
        Shape (n,), EPSG:27700.
    n_blocks
        About how many squares hold a row, where `side_m` is left out.
    side_m
        Side of the squares, metres.

    Returns
    -------
    labels
        Name of the square of each row, shape (n,).
    side_m
        The side used, metres.

    References
    ----------
    Roberts et al. (2017), Cross-validation strategies for data with temporal, spatial, hierarchical, or
    phylogenetic structure, Ecography 40. https://doi.org/10.1111/ecog.02881
    """
    places = np.column_stack([easting_m, northing_m]).astype(float)
    origin = places.min(axis=0)
    if side_m is None:
        side_m = _side_of_squares(places - origin, n_blocks)
    squares = np.floor((places - origin) / side_m).astype(int)
    return np.array([f"{east}_{north}" for east, north in squares], dtype=object), float(side_m)


def _side_of_squares(places: npt.NDArray[np.float64], n_blocks: int) -> float:
    """Find the smallest side, in steps of a tenth, at which no more than `n_blocks` squares are occupied."""
    side = max(float(places.max()), 1.0) / max(n_blocks, 1)
    while len(np.unique(np.floor(places / side), axis=0)) > n_blocks:
        side *= 1.1
    return side


def spatial_blocks(labels: Sequence[str] | Labels, *, n_folds: int) -> list[Fold]:
    """Hold out whole blocks of neighbours, several together, in folds of about equal size.

    Parameters
    ----------
    labels
        Block of each row, from :func:`block_labels`.
    n_folds
        Number of folds; fewer if there are fewer blocks.

    Raises
    ------
    ScienceError
        If there are fewer than two blocks.
    """
    folds = leave_one_out_by_group(labels, max_folds=n_folds)
    return [replace(fold, name=str(number)) for number, fold in enumerate(folds)]


def inner_folds(n: int, groups: Labels | None, *, n_folds: int, seed: int) -> list[Fold]:
    """Cut the rows that a model is fitted on once more, to choose its parameters on them.

    They are cut as all rows were, since what reads the neighbours of known places best bends too readily
    to read unseen ones: it needs a larger penalty, fewer components, more neighbours.

    Parameters
    ----------
    n
        Number of rows fitted on.
    groups
        Group of each, where whole groups are held out of the model; None where single rows are.
    n_folds
        The most folds made.
    seed
        Seed of random folds.
    """
    if groups is None:
        return random_folds(n, n_folds=n_folds, seed=seed)
    return leave_one_out_by_group(groups, max_folds=n_folds)


@dataclass(frozen=True, eq=False)
class Splits:
    """The ways of holding LSOAs out that a study allows.

    Parameters
    ----------
    folds
        By name of the split: ``leave_one_la_out``, ``spatial_blocks``, ``random_folds``.
    refused
        Splits that cannot be made, and one sentence why.
    blocks
        Block of neighbours of each LSOA, shape (n_lsoas,).
    block_side_m
        Side of the square blocks, metres.
    """

    folds: Mapping[str, list[Fold]]
    refused: Mapping[str, str]
    blocks: Labels
    block_side_m: float

    @property
    def everyone(self) -> Fold:
        """Every LSOA fitted on and none scored, for the model that is to read unseen places."""
        n = len(self.blocks)
        return Fold("all", np.arange(n), np.arange(0), self.folds[self.hardest][0].groups)

    @property
    def hardest(self) -> str:
        """Name of the split that asks the hardest question."""
        return next(name for name in HARDEST_FIRST if name in self.folds)


def make_splits(places: pd.DataFrame, *, n_folds: int, block_side_m: float | None = None, seed: int) -> Splits:
    """Split LSOAs at random, by blocks of neighbours and by local authority, as far as there are enough.

    Parameters
    ----------
    places
        Columns ``easting_m``, ``northing_m`` (EPSG:27700) and ``lad_code``, a row per LSOA.
    n_folds
        Number of random folds and of folds of blocks.
    block_side_m
        Side of the blocks, metres; so that there are about six for each fold if left out.
    seed
        Seed of the random folds.
    """
    blocks, side_m = block_labels(
        places["easting_m"], places["northing_m"], n_blocks=BLOCKS_PER_FOLD * n_folds, side_m=block_side_m
    )
    folds, refused = {"random_folds": random_folds(len(places), n_folds=n_folds, seed=seed)}, {}
    if len(set(blocks)) > 1:
        folds["spatial_blocks"] = spatial_blocks(blocks, n_folds=n_folds)
    else:
        refused["spatial_blocks"] = f"all LSOAs lie in one block of {side_m:,.0f} m; set a smaller block_side_m"
    groups = places["lad_code"].to_numpy(object)
    n_authorities = len(set(groups))
    if n_authorities >= MIN_LOCAL_AUTHORITIES:
        folds["leave_one_la_out"] = leave_one_out_by_group(groups)
    else:
        refused["leave_one_la_out"] = (
            f"only {n_authorities} local {'authority is' if n_authorities == 1 else 'authorities are'} covered and "
            f"{MIN_LOCAL_AUTHORITIES} are needed to leave one out; read spatial_blocks instead"
        )
    return Splits(folds, refused, blocks, side_m)


def _shared_out(names: npt.NDArray[np.str_], sizes: npt.NDArray[np.intp], max_folds: int) -> list[list[str]]:
    """Put the groups, largest first, into the fold that has fewest rows."""
    folds: list[list[str]] = [[] for _ in range(min(max_folds, len(names)))]
    n_rows = [0] * len(folds)
    for which in np.lexsort((names, -sizes)):
        smallest = int(np.argmin(n_rows))
        folds[smallest].append(str(names[which]))
        n_rows[smallest] += int(sizes[which])
    return folds


def _fold(name: str, n: int, test: Indices, groups: Labels | None = None) -> Fold:
    return Fold(name, np.setdiff1d(np.arange(n), test), np.sort(test), groups)
