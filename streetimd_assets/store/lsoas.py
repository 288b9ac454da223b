"""One table about LSOAs, put together from the study's own: what a map is drawn from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from streetimd_assets.errors import StoreError, TableMissingError
from streetimd_assets.schemas import TABLES, Column, Table
from streetimd_assets.store.arrow import empty_frame
from streetimd_assets.store.tables import TableStore
from streetimd_assets.study.headline import headline_ridge

if TYPE_CHECKING:
    import geopandas as gpd

CRS = "EPSG:27700"
LOCAL_AUTHORITY = Column("local_authority", "VARCHAR", "name of the local authority as a partition of the study")
_PREDICTED = ("model_id", "observed", "predicted", "residual", "predicted_low", "predicted_high")


def lsoa_layer(store: TableStore) -> Table:
    """Return the declaration of the table that :func:`read_lsoas` reads."""
    of_boundaries = store.table("lsoa_boundaries").columns
    *named, geometry = of_boundaries
    added: list[Column] = []
    for name in ("deprivation_indices", "lsoa_features"):
        taken = {column.name for column in [*of_boundaries, *added]}
        said = (column for column in store.table(name).columns if not column.is_embedding)
        added += [replace(column, nullable=True) for column in said if column.name not in taken]
    for column in TABLES["lsoa_predictions"].columns:
        if column.name in _PREDICTED:
            added.append(replace(column, nullable=True))
    columns = (*named, LOCAL_AUTHORITY, *added, geometry)
    return Table("lsoas", "export", "an LSOA, with what the other tables say of it", columns, ("lsoa_code",))


def read_lsoas(store: TableStore, local_authority: str, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return a local authority's LSOAs with deprivation, counts, shares and predictions; unknown is NULL.

    Parameters
    ----------
    store
        The study's tables.
    local_authority
        One that has ``lsoa_boundaries``.
    predictions
        As :func:`headline_predictions` returns them.
    """
    rows = store.read("lsoa_boundaries", local_authority)
    rows[LOCAL_AUTHORITY.name] = local_authority
    for name in ("deprivation_indices", "lsoa_features"):
        columns = [column.name for column in store.table(name).columns if not column.is_embedding]
        wanted = [column for column in columns if column == "lsoa_code" or column not in rows]
        is_there = store.holds(name, local_authority)
        said = store.read(name, local_authority, wanted) if is_there else empty_frame(store.table(name))[wanted]
        rows = rows.merge(said, on="lsoa_code", how="left")
    rows = rows.merge(predictions, on="lsoa_code", how="left")
    layer = lsoa_layer(store)
    # what is not known of any LSOA here is still a number
    numbers = [column.name for column in layer.columns if column.type in ("INTEGER", "DOUBLE")]
    return rows.assign(**{name: pd.to_numeric(rows[name]) for name in numbers})[list(layer.column_names)]


def headline_predictions(store: TableStore) -> pd.DataFrame:
    """Return the predictions of the model named beforehand: ridge on embeddings, most strictly held out.

    Of a study of area features: ridge on these.

    Another may have scored better; the best of many would flatter. Without rows if it was not fitted.
    """
    columns = ["lsoa_code", *_PREDICTED]
    if not (store.holds("lsoa_predictions") and store.holds("model_scores")):
        return empty_frame(TABLES["lsoa_predictions"])[columns]
    predictions = store.read("lsoa_predictions", columns=columns)
    scores = store.read("model_scores", columns=["model_id", "estimator", "feature_set", "split"])
    return predictions[predictions["model_id"] == headline_ridge(scores, set(predictions["model_id"]))]


def as_geodataframe(table: str, rows: pd.DataFrame) -> "gpd.GeoDataFrame":
    """Return rows with their geometry, or their position as points, in EPSG:27700 (metres).

    Raises
    ------
    StoreError
        If the rows have neither a geometry nor a position.
    """
    import geopandas as gpd

    if "geometry" in rows:
        shapes = gpd.GeoSeries.from_wkb(rows["geometry"], index=rows.index, crs=CRS)
    elif {"easting_m", "northing_m"} <= set(rows.columns):
        east, north = (pd.to_numeric(rows[name]) for name in ("easting_m", "northing_m"))
        points = gpd.GeoSeries(gpd.points_from_xy(east, north), index=rows.index, crs=CRS)
        # what has no position is nowhere
        shapes = points.where(east.notna() & north.notna(), None)
    else:
        raise StoreError(f"{table} has neither geometry nor position; join it to lsoas() by its lsoa_code instead")
    return gpd.GeoDataFrame(rows.drop(columns="geometry", errors="ignore"), geometry=shapes)


def boundaries_of(store: TableStore, chosen: Sequence[str]) -> list[str]:
    """Return those of some local authorities that have boundaries.

    Raises
    ------
    TableMissingError
        If none has.
    """
    held = set(store.local_authorities("lsoa_boundaries"))
    found = [slug for slug in chosen if slug in held]
    if not found:
        raise TableMissingError("lsoa_boundaries has not been materialised there yet; materialise it first")
    return found
