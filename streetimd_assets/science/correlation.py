"""How each embedding dimension goes with deprivation, beside what noise would show."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from dataclasses import fields as dataclass_fields
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError
from streetimd_assets.schemas import TABLES
from streetimd_assets.science import cores, surrogates
from streetimd_assets.science.matrices import require_enough
from streetimd_assets.science.surrogates import SpatialField

Array = npt.NDArray[np.floating]

# numbers worked on for each LSOA when a field is fitted: those between its neighbours
_VALUES_PER_LSOA = 150


def dimension_correlations(
    embeddings: Array,
    measures: pd.DataFrame,
    places: pd.DataFrame,
    *,
    n_surrogates: int,
    seed: int,
    fields: pd.DataFrame | None = None,
    names: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Correlate every embedding dimension with every measure of deprivation.

    Rank 1 is the most deprived LSOA: a dimension that grows with deprivation has a negative r with a
    rank and a positive r with a score.

    There are three p-values of each r. The naive one takes LSOAs as independent; they are neighbours, so
    they are not, and it is far too small. The spatial one sets the measure beside random surfaces as
    smooth as it is, drawn from a field fitted to it. The spectral one does so without a field, by Moran
    spectral randomisation, and is a little too small where a measure is very smooth.

    Parameters
    ----------
    embeddings
        Shape (n_lsoas, n_dimensions); a row of NaN is an LSOA without images and is left out.
    measures
        Shape (n_lsoas, n_measures), rows in the order of `embeddings`, indexed by ``lsoa_code``; an
        LSOA is left out of the measures it lacks.
    places
        ``easting_m`` and ``northing_m`` (EPSG:27700), indexed by ``lsoa_code``.
    n_surrogates
        Random surfaces of each kind and measure; the smallest p is one over one more than these.
    seed
        Of the surfaces.
    fields
        Rows of ``spatial_fields``; a measure that is not among them has a field fitted.
    names
        What the dimensions are called, where they are area features.
    progress
        Told of each measure.

    Returns
    -------
    imd_correlations
        One row per measure and dimension. r is NaN for a dimension that never varies; the spectral
        p-value is NaN for more than 4,000 LSOAs.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have both, a measure does not vary, or an LSOA has no place.

    References
    ----------
    Benjamini, Y. & Hochberg, Y. (1995), Controlling the false discovery rate: a practical and powerful
    approach to multiple testing. https://doi.org/10.1111/j.2517-6161.1995.tb02031.x
    """
    # sums of floating-point numbers depend on their order: always the order of the LSOAs
    order = np.argsort(measures.index, kind="stable")
    vectors, sorted_measures = np.asarray(embeddings, dtype=np.float64)[order], measures.iloc[order]
    parts = []
    for name in map(str, measures.columns):
        if progress is not None:
            progress(f"{name}: {n_surrogates:,} random surfaces as smooth as it")
        field = field_of(fields, name)
        parts.append(_one_measure(vectors, sorted_measures[name], places, n_surrogates, seed, field))
    table = pd.concat(parts, ignore_index=True)
    table["feature"] = table["dimension"].map(dict(enumerate(names)))
    return table[list(TABLES["imd_correlations"].column_names)]


def _one_measure(
    embeddings: Array, measure: pd.Series, places: pd.DataFrame, n_draws: int, seed: int, field: SpatialField | None
) -> pd.DataFrame:
    observed = measure.to_numpy(float, na_value=np.nan)
    known = np.isfinite(observed) & np.isfinite(embeddings).all(axis=1)
    vectors, values = embeddings[known], varying(observed[known], str(measure.name))
    where = eastings_and_northings(places, measure.index[known])
    pearson = correlate(vectors, values)
    naive = p_value_of_r(pearson, len(values))
    drawn = {"n_draws": n_draws, "seed": seed}
    surfaces = surrogates.surrogate_parts(values, *where, field=field, **drawn)
    spatial = surrogates.surrogate_p_values(vectors, values, surfaces)
    spectral = _spectral_p_values(vectors, values, where, **drawn)
    return pd.DataFrame(
        {
            "measure": measure.name,
            "dimension": np.arange(vectors.shape[1]),
            "pearson_r": pearson,
            "spearman_r": correlate(ranks(vectors), ranks(values)),
            "p_value": naive,
            "q_value": benjamini_hochberg(naive),
            "spatial_p_value": spatial,
            "spatial_q_value": benjamini_hochberg(spatial),
            "spectral_p_value": spectral,
            "spectral_q_value": benjamini_hochberg(spectral),
            "n_lsoas": len(values),
        }
    )


def _spectral_p_values(
    vectors: Array, values: Array, where: tuple[Array, Array], *, n_draws: int, seed: int
) -> npt.NDArray[np.float64]:
    surfaces = surrogates.spectral_surfaces(values, *where, n_draws=n_draws, seed=seed)
    if surfaces is None:
        return np.full(vectors.shape[1], np.nan)
    return surrogates.surrogate_p_values(vectors, values, surfaces)


def spatial_fields(measures: pd.DataFrame, places: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Say how alike neighbours are in each measure: Moran's I, and the field its surfaces are drawn from.

    Parameters
    ----------
    measures
        Shape (n_lsoas, n_measures), indexed by ``lsoa_code``; an LSOA is left out of what it lacks.
    places
        ``easting_m`` and ``northing_m`` (EPSG:27700), indexed by ``lsoa_code``.
    seed
        Of the order in which LSOAs are taken.

    Returns
    -------
    spatial_fields
        One row per measure.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have a measure, it does not vary, or an LSOA has no place.
    """
    tasks = []
    for name in map(str, measures.columns):
        known = measures[name].astype(float).dropna().sort_index()
        values = varying(known.to_numpy(), name)
        tasks.append((name, values, *eastings_and_northings(places, known.index)))
    rows = cores.spread(partial(_one_field, seed), tasks, n_values=len(measures) * _VALUES_PER_LSOA)
    return pd.DataFrame(rows)


def _one_field(seed: int, task: tuple[str, Array, Array, Array]) -> dict[str, object]:
    name, values, *where = task
    field = surrogates.fit_field(values, *where, seed=seed)
    likeness = surrogates.morans_i(values, *where)
    return {"measure": name, "morans_i": likeness, **asdict(field), "n_lsoas": len(values)}


def field_of(fields: pd.DataFrame | None, measure: str) -> SpatialField | None:
    """Return the field of a measure in the table ``spatial_fields``; None if it has none there."""
    if fields is None:
        return None
    rows = fields[fields["measure"] == measure].to_dict("records")
    names = [column.name for column in dataclass_fields(SpatialField)]
    return SpatialField(**{name: rows[0][name] for name in names}) if rows else None


def eastings_and_northings(places: pd.DataFrame, codes: pd.Index) -> tuple[Array, Array]:
    """Return where LSOAs are, in metres (EPSG:27700), in the order of their codes given.

    Raises
    ------
    ScienceError
        If an LSOA has no place.
    """
    found = places[["easting_m", "northing_m"]].reindex(codes)
    lost = found.index[found.isna().any(axis=1)]
    if len(lost):
        raise ScienceError(f"LSOA {lost[0]} has no place; materialise lsoa_boundaries of its local authority")
    return found["easting_m"].to_numpy(float), found["northing_m"].to_numpy(float)


def correlate(vectors: Array, values: Array) -> npt.NDArray[np.float64]:
    """Pearson's r of each column with one vector of values.

    Parameters
    ----------
    vectors
        Shape (n, n_columns).
    values
        Shape (n,).

    Returns
    -------
    r
        Shape (n_columns,), NaN for a column that never varies.
    """
    centred = vectors - vectors.mean(axis=0)
    deviation = values - values.mean()
    size = np.linalg.norm(centred, axis=0) * np.linalg.norm(deviation)
    # a constant column is not quite zero after centring
    still = np.ptp(vectors, axis=0) == 0
    return np.where(still, np.nan, np.clip(deviation @ centred / np.where(still, 1, size), -1, 1))


def p_value_of_r(r: Array, n: int) -> npt.NDArray[np.float64]:
    """Two-sided p-value of Pearson's r over n independent pairs, by Student's t with n - 2."""
    from scipy import stats

    with np.errstate(divide="ignore"):
        t = np.abs(r) * np.sqrt((n - 2) / (1 - r**2))
    return 2 * stats.t.sf(t, n - 2)


def noise_correlations(target: npt.ArrayLike, *, n_dimensions: int, n_draws: int, seed: int) -> pd.DataFrame:
    """Correlate the target with embeddings of pure noise, many times.

    The noise is independent from LSOA to LSOA, which embeddings are not: smooth embeddings that have
    nothing to do with deprivation reach larger correlations than these, and
    :func:`spatial_noise_correlations` says how large.

    Parameters
    ----------
    target
        Shape (n_lsoas,); a Series indexed by ``lsoa_code`` is taken in the order of the codes.
    n_dimensions
        Dimensions drawn each time, independent standard normal.
    n_draws
        Number of draws; hundreds show the spread of the largest |r|.
    seed
        Seed of the random numbers.

    Returns
    -------
    noise_correlations
        One row per draw, of the kind ``independent``.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have a target, or it does not vary.
    """
    series = target if isinstance(target, pd.Series) else pd.Series(target)
    known = np.asarray(series.dropna().sort_index(), dtype=np.float32)
    values = varying(known, "the target")
    values = (values - values.mean()) / np.std(values)
    rng = np.random.default_rng(seed)
    draws = (rng.standard_normal((len(values), n_dimensions), dtype=np.float32) for _ in range(n_draws))
    r = np.array([correlate(drawn, values) for drawn in draws]).T
    return _draws("independent", r, n_dimensions, len(values))


def spatial_noise_correlations(
    embeddings: Array,
    target: pd.Series,
    places: pd.DataFrame,
    *,
    n_draws: int,
    seed: int,
    field: SpatialField | None = None,
) -> pd.DataFrame:
    """Correlate the embeddings with random surfaces as smooth as the target, many times.

    Neither the embeddings nor the surfaces are independent from LSOA to LSOA, and they have nothing to do
    with each other: what they reach together is the floor above which a correlation begins to speak.

    Parameters
    ----------
    embeddings
        Shape (n_lsoas, n_dimensions); a row of NaN is an LSOA without images and is left out.
    target
        Shape (n_lsoas,), rows in the order of `embeddings`, indexed by ``lsoa_code``.
    places
        ``easting_m`` and ``northing_m`` (EPSG:27700), indexed by ``lsoa_code``.
    n_draws
        Number of surfaces.
    seed
        Seed of the random numbers.
    field
        The field of the target; fitted if left out.

    Returns
    -------
    noise_correlations
        One row per draw, of the kind ``spatial``.

    Raises
    ------
    ScienceError
        If fewer than 20 LSOAs have both, the target does not vary, or an LSOA has no place.
    """
    order = np.argsort(target.index, kind="stable")
    vectors, values = np.asarray(embeddings, dtype=np.float32)[order], target.iloc[order].astype(float)
    known = np.isfinite(values.to_numpy()) & np.isfinite(vectors).all(axis=1)
    vectors, values = vectors[known], values[known]
    where = eastings_and_northings(places, values.index)
    observed = varying(values.to_numpy(), "the target")
    parts = surrogates.surrogate_parts(observed, *where, n_draws=n_draws, seed=seed, field=field)
    r = np.hstack([surrogates.correlate_surfaces(vectors, surfaces) for surfaces in parts])
    return _draws("spatial", r, vectors.shape[1], len(values))


def _draws(kind: str, r: Array, n_dimensions: int, n_lsoas: int) -> pd.DataFrame:
    """One row per draw of noise, of r in shape (n_dimensions, n_draws)."""
    strength = np.abs(r).astype(float)
    return pd.DataFrame(
        {
            "kind": kind,
            "draw": np.arange(r.shape[1]),
            "max_absolute_r": np.nanmax(strength, axis=0),
            "median_absolute_r": np.nanmedian(strength, axis=0),
            "n_dimensions": n_dimensions,
            "n_lsoas": n_lsoas,
        }
    )


def ranks(values: Array) -> npt.NDArray[np.float64]:
    """Rank each column, ties sharing their mean rank."""
    from scipy import stats

    return np.asarray(stats.rankdata(values, axis=0), dtype=np.float64)


def benjamini_hochberg(p_values: Array) -> Array:
    """Return q-values of p-values; NaN where p is not known."""
    from scipy import stats

    q_values = np.full(len(p_values), np.nan)
    known = np.isfinite(p_values)
    q_values[known] = stats.false_discovery_control(p_values[known], method="bh")
    return q_values


def varying(values: Array, name: str) -> Array:
    """Return the values, or raise ScienceError if they are fewer than 20 or all the same."""
    require_enough(len(values), "have embeddings and a measure of deprivation")
    if np.ptp(values) == 0:
        raise ScienceError(f"{name} is {values[0]:g} in all {len(values)} LSOAs; a correlation needs it to vary")
    return values
