"""Places along roads where points may be laid, in an order that is fixed for good.

Each place carries a permanent number between 0 and 1, its ``turn``. The places of a spacing are those
whose turn is below a number that grows as the spacing falls, so a denser sample holds every place of a
thinner one, and the first ``n`` places by turn are among the first ``n + 1``. Where a place is and when
its turn comes follow from the seed, the way and the way's own line alone: no other road has a part in it.

Numbers are drawn by hashing rather than in sequence, so that each stands for itself.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

# phases are far larger than any spacing, so that each multiple of a spacing is as likely as another
_SMALLEST_PHASE_M, _PHASE_RANGE_M = 1e7, 1e7
_CELLS_AT_ONCE = 1_000_000

Mode = Literal["regular", "random"]
Metres = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Strings:
    """Ways strung together from their segments; a way that forks or has gaps is several strings.

    Lengths along a string are counted from its anchor, which is the vertex whose hash is the
    smallest, in the direction of the neighbour whose hash is the smaller: from wherever the way is
    looked at, and however other roads cut it up, they are the same.

    Parameters
    ----------
    lines
        The strings, EPSG:27700, shape (n_strings,).
    vertices, along_m, segment_row
        Of each vertex, string by string: its position; its length from the string's first vertex;
        the row of the segment which goes on from it. Shapes (n_vertices, 2), (n_vertices,), (n_vertices,).
    first_vertex
        Where each string begins in ``vertices``, and the number of vertices, shape (n_strings + 1,).
    anchor_m, direction, is_ring
        Of each string: the anchor's length from its first vertex; 1 or -1; whether it is closed.
    key
        Hash of seed, way and anchor, shape (n_strings,).
    """

    lines: npt.NDArray[np.object_]
    vertices: Metres
    along_m: Metres
    segment_row: Rows
    first_vertex: Rows
    anchor_m: Metres
    direction: Rows
    is_ring: npt.NDArray[np.bool_]
    key: Hashes

    @property
    def length_m(self) -> Metres:
        """Length of each string, shape (n_strings,)."""
        return self.along_m[self.first_vertex[1:] - 1]

    @property
    def ends_m(self) -> tuple[Metres, Metres]:
        """Where each string begins and ends, counted from its anchor; a ring from 0 to its length."""
        length_m = self.length_m
        behind_m = np.where(self.direction > 0, self.anchor_m, length_m - self.anchor_m)
        start_m = np.where(self.is_ring, 0.0, -behind_m)
        return start_m, start_m + length_m


def string_ways(segments: "GeoDataFrame", *, seed: int) -> Strings:
    """String the segments of each way together again, as if no other road met it.

    Parameters
    ----------
    segments
        Columns osm_way_id and geometry, EPSG:27700.
    seed
        Of anchors and of all that is drawn along the strings.

    Returns
    -------
    strings
        In the order of ways.
    """
    import shapely

    order = np.argsort(segments["osm_way_id"].to_numpy(), kind="stable")
    given = segments.geometry.to_numpy()[order]
    ways, way_of_segment = np.unique(segments["osm_way_id"].to_numpy()[order], return_inverse=True)
    merged = shapely.line_merge(shapely.multilinestrings(given, indices=way_of_segment))
    lines, way_of_line = shapely.get_parts(merged, return_index=True)
    vertices, string = shapely.get_coordinates(lines, return_index=True)
    first_vertex = np.r_[np.flatnonzero(np.r_[True, np.diff(string) > 0]), len(string)]
    vertex_hash = _hash(seed, ways[way_of_line][string], *_millimetres(vertices))
    anchor, direction, is_ring = _anchors(vertex_hash, first_vertex, shapely.is_closed(lines))
    vertex_m = _lengths_along(vertices, string)
    return Strings(
        lines=lines,
        vertices=vertices,
        along_m=vertex_m - vertex_m[first_vertex[:-1]][string],
        segment_row=order[_segments_of_pieces(vertex_hash, given, ways[way_of_segment], seed)],
        first_vertex=first_vertex,
        anchor_m=vertex_m[anchor] - vertex_m[first_vertex[:-1]],
        direction=direction,
        is_ring=is_ring,
        key=vertex_hash[anchor],
    )


def places_along(strings: Strings, *, spacing_m: float, mode: Mode, which: Rows | None = None) -> pd.DataFrame:
    """Lay out the places whose turn comes at a spacing or before.

    ``regular``: each string's lengths are shifted by a phase of its own, and a place stands at each
    multiple of the spacing. The turn of the place at ``k`` times the spacing, ``2**n`` being the largest
    power of two that divides ``k``, is drawn between ``1 / (2 stride_m)`` and ``1 / stride_m``, where
    ``stride_m = 2**n spacing_m``: half a spacing adds places between those that there were.
    ``random``: each metre of a string has a place anywhere in it, whose turn is drawn between 0 and 1;
    so many come that one for each ``spacing_m`` is left once those within a metre of an earlier one are not.

    Parameters
    ----------
    strings
        Where places are laid.
    spacing_m
        Metres of road from place to place, on average if random; 1 or more.
    mode
        ``regular`` or ``random``.
    which
        Rows of the strings wanted; all of them if left out.

    Returns
    -------
    places
        ``turn``, ``easting_m`` and ``northing_m`` (rounded to millimetres), ``vertex`` (of the strings, that
        goes before the place) and ``segment_row``.
    """
    wanted = np.arange(len(strings.lines)) if which is None else which
    lay = _multiples if mode == "regular" else _draws
    found = [lay(strings, rows, spacing_m) for rows in _in_portions(strings, wanted)]
    string, from_anchor_m, turn = (np.concatenate(part) for part in zip(*found, strict=True))
    along_m = strings.anchor_m[string] + strings.direction[string] * from_anchor_m
    along_m = np.where(strings.is_ring[string], along_m % strings.length_m[string], along_m)
    return _positions(strings, string, along_m).assign(turn=turn)


def _multiples(strings: Strings, rows: Rows, spacing_m: float) -> tuple[Rows, Metres, Metres]:
    """Find the places at multiples of the spacing: string, length from the anchor, and turn of each."""
    phase_m = _SMALLEST_PHASE_M + _PHASE_RANGE_M * _share(_hash(strings.key[rows], 1))
    start_m, end_m = (part[rows] for part in strings.ends_m)
    first, stop = (np.ceil((phase_m + part) / spacing_m).astype(np.int64) for part in (start_m, end_m))
    of, multiple = _count_from(first, stop)
    shifted_m = multiple * spacing_m
    stride_m = spacing_m * (multiple & -multiple)
    drawn = _share(_hash(strings.key[rows][of], 2, np.round(shifted_m * 1000).astype(np.int64)))
    return rows[of], shifted_m - phase_m[of], (1 + drawn) / (2 * stride_m)


def _draws(strings: Strings, rows: Rows, spacing_m: float) -> tuple[Rows, Metres, Metres]:
    """Find the places drawn, one in each metre, as :func:`_multiples` does."""
    start_m, end_m = (part[rows] for part in strings.ends_m)
    of, metre = _count_from(np.floor(start_m).astype(np.int64), np.ceil(end_m).astype(np.int64))
    turn = _share(_hash(strings.key[rows][of], 3, metre))
    comes = turn < _share_of_metres(spacing_m)
    of, metre, turn = of[comes], metre[comes], turn[comes]
    at_m = metre + _share(_hash(strings.key[rows][of], 4, metre))
    # the first and last metre of a string may lie beyond it in part
    is_on = (at_m >= start_m[of]) & (at_m < end_m[of])
    return rows[of[is_on]], at_m[is_on], turn[is_on]


def _share_of_metres(spacing_m: float) -> float:
    """Compute the share ``p`` of metres with a place, of which ``1 / spacing_m`` keep a metre apart.

    A place of turn ``t`` has one within a metre that comes before it with a chance of ``t``, so
    ``p - p ** 2 / 2`` are left.
    """
    return float(1 - np.sqrt(max(0.0, 1 - 2 / spacing_m)))


def _count_from(first: Rows, stop: Rows) -> tuple[Rows, Rows]:
    """Count from ``first`` to before ``stop`` in each row; return row and number, one after the other."""
    n_counted = np.maximum(stop - first, 0)
    row = np.repeat(np.arange(len(first)), n_counted)
    begins = np.cumsum(n_counted) - n_counted
    return row, np.arange(len(row)) - begins[row] + first[row]


def _in_portions(strings: Strings, rows: Rows) -> list[Rows]:
    """Cut rows into portions of limited length, so that memory does not grow with a district."""
    portion = (np.cumsum(strings.length_m[rows] + 1) // _CELLS_AT_ONCE).astype(np.int64)
    return np.split(rows, np.flatnonzero(np.diff(portion)) + 1)


def _positions(strings: Strings, string: Rows, along_m: Metres) -> pd.DataFrame:
    first, last = strings.first_vertex[string], strings.first_vertex[string + 1] - 1
    # one search over all strings: each begins where the one before it ends
    offset_m = np.r_[0.0, np.cumsum(strings.length_m)]
    vertex_m = strings.along_m + np.repeat(offset_m[:-1], np.diff(strings.first_vertex))
    before = np.searchsorted(vertex_m, offset_m[string] + along_m, side="right") - 1
    before = np.clip(before, first, last - 1)
    step_m = strings.along_m[before + 1] - strings.along_m[before]
    share = np.clip((along_m - strings.along_m[before]) / np.where(step_m > 0, step_m, 1.0), 0.0, 1.0)
    at = strings.vertices[before] + share[:, None] * (strings.vertices[before + 1] - strings.vertices[before])
    return pd.DataFrame(
        {
            "easting_m": at[:, 0].round(3),
            "northing_m": at[:, 1].round(3),
            "vertex": before,
            "segment_row": strings.segment_row[before],
        }
    )


def _anchors(
    hashes: Hashes, first: Rows, is_ring: npt.NDArray[np.bool_]
) -> tuple[Rows, Rows, npt.NDArray[np.bool_]]:
    """Choose anchor and direction of each string, by the hashes of its vertices."""
    start, stop = first[:-1], first[1:]
    smallest = np.repeat(np.minimum.reduceat(hashes, start), stop - start)
    candidates = np.flatnonzero(hashes == smallest)
    anchor = candidates[np.searchsorted(candidates, start)]
    # beyond an end there is no neighbour, and beyond the seam of a ring there is its other side
    none = np.uint64(np.iinfo(np.uint64).max)
    after = np.where(anchor + 1 < stop, hashes[np.minimum(anchor + 1, stop - 1)], none)
    seam = np.where(is_ring, hashes[stop - 2], none)
    before = np.where(anchor > start, hashes[np.maximum(anchor - 1, start)], seam)
    return anchor, np.where(after <= before, 1, -1), is_ring


def _segments_of_pieces(
    hashes: Hashes, given: npt.NDArray[np.object_], ways: npt.NDArray[np.int64], seed: int
) -> Rows:
    """Find the segment that has the straight piece from each vertex of the strings to the next."""
    import shapely

    vertices, segment = shapely.get_coordinates(given, return_index=True)
    theirs = _hash(seed, ways[segment], *_millimetres(vertices))
    is_piece = np.diff(segment) == 0
    # a sum of two hashes is the same in either direction
    names, rows = (theirs[:-1] + theirs[1:])[is_piece], segment[:-1][is_piece]
    order = np.argsort(names, kind="stable")
    found = np.searchsorted(names[order], hashes + np.r_[hashes[1:], hashes[:1]])
    return rows[order][np.minimum(found, len(rows) - 1)]


def _lengths_along(vertices: Metres, string: Rows) -> Metres:
    step_m = np.hypot(*np.diff(vertices, axis=0).T)
    step_m[np.diff(string) > 0] = 0.0
    return np.r_[0.0, np.cumsum(step_m)]


def _millimetres(vertices: Metres) -> tuple[Rows, Rows]:
    whole = np.round(vertices * 1000).astype(np.int64)
    return whole[:, 0], whole[:, 1]


def _share(hashes: Hashes) -> Metres:
    """Turn hashes into numbers from 0 to below 1."""
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53


def _hash(*parts: int | Rows | Hashes) -> Hashes:
    """Hash whole numbers, part by part, with the finaliser of SplitMix64.

    References
    ----------
    Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.
    https://doi.org/10.1145/2714064.2660195
    """
    hashed = np.zeros(1, dtype=np.uint64)
    for part in parts:
        mixed = (hashed ^ np.asarray(part).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed = mixed ^ (mixed >> np.uint64(31))
    return hashed
