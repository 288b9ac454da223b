"""Which panoramas may be used, where they stand, and what their images will amount to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science import geography

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def locate_panoramas(
    answers: pd.DataFrame, points: pd.DataFrame, lsoas: "GeoDataFrame", *, max_distance_m: float
) -> pd.DataFrame:
    """Place each panorama in the LSOA it stands in itself, and say why any is not used.

    Of the panoramas that were found (status ok), in this order: one without a position is ``failed``; one
    that stands in none of the LSOAs is ``outside_local_authority``; one further from its point than allowed
    is ``too_far``; and of several points answered by the same panorama, all but the nearest are
    ``duplicate_panorama``. Other statuses stay as the image source gave them.

    Parameters
    ----------
    answers
        What the image source replied, one row per point: point_id, panorama_id, status, status_detail,
        longitude_deg, latitude_deg, captured_on, camera_heading_deg, source, licence, credit.
    points
        Rows of ``sample_points``. An answer for none of them (a photograph of one's own) has no distance.
    lsoas
        LSOAs of the local authority: columns lsoa_code and geometry, EPSG:27700.
    max_distance_m
        From point to panorama, metres.

    Returns
    -------
    panoramas
        Rows of ``panoramas``, in the order of point_id.

    Raises
    ------
    ScienceError
        If a point has two answers.
    """
    located = answers.sort_values("point_id", ignore_index=True).astype({"status_detail": object})
    _require_one_answer(located["point_id"])
    located["easting_m"], located["northing_m"] = geography.to_easting_northing(
        located["longitude_deg"], located["latitude_deg"]
    )
    asked = points.set_index("point_id")[["easting_m", "northing_m"]].reindex(located["point_id"])
    located["distance_m"] = np.hypot(*(located[["easting_m", "northing_m"]].to_numpy() - asked.to_numpy()).T)
    located["lsoa_code"] = geography.find_lsoas(located["easting_m"], located["northing_m"], lsoas)
    is_far = located["distance_m"] > max_distance_m
    how_far = located["distance_m"].map(f"{{:.0f}} m from its point, {max_distance_m:g} m allowed".format)
    _reject(located, located["easting_m"].isna(), "failed", "has no position")
    _reject(located, located["lsoa_code"].isna(), "outside_local_authority", "stands in none of its LSOAs")
    _reject(located, is_far, "too_far", how_far)
    _reject_repeats(located)
    return located[list(schemas.TABLES["panoramas"].column_names)]


def plan_imagery(
    points: pd.DataFrame,
    panoramas: pd.DataFrame,
    road_length_m: "pd.Series[float]",
    lsoa_codes: Sequence[str],
    *,
    n_headings: int,
) -> pd.DataFrame:
    """Count, per LSOA, the images to come and how old and how far from their points they are.

    Parameters
    ----------
    points, panoramas
        Rows of ``sample_points`` and ``panoramas``.
    road_length_m
        Undirected road inside each LSOA, metres, by lsoa_code.
    lsoa_codes
        One row is returned for each, LSOAs without roads or panoramas included.
    n_headings
        Images per panorama; a flat photograph, which has a heading of its own, gives one.

    Returns
    -------
    plan
        Rows of ``imagery_plan``.
    """
    usable = panoramas[panoramas["status"] == "ok"]
    n_images = usable["camera_heading_deg"].isna().map({True: n_headings, False: 1}).astype(int)
    day = pd.to_datetime(usable["captured_on"])
    by_lsoa = usable.assign(n_images=n_images, day=day).groupby("lsoa_code")
    plan = pd.DataFrame(index=pd.Index(sorted(lsoa_codes), name="lsoa_code"))
    plan["road_length_m"] = road_length_m.reindex(plan.index, fill_value=0.0)
    plan["n_points"] = points["lsoa_code"].value_counts()
    plan["n_panoramas"] = by_lsoa.size()
    plan["n_images_planned"] = by_lsoa["n_images"].sum()
    plan["median_distance_m"] = by_lsoa["distance_m"].median()
    plan["oldest_captured_on"] = _dates(by_lsoa["day"].min().reindex(plan.index))
    plan["median_captured_on"] = _dates(by_lsoa["day"].median().reindex(plan.index))
    counts = ["n_points", "n_panoramas", "n_images_planned"]
    plan[counts] = plan[counts].fillna(0).astype(int)
    return plan.reset_index()


def headings_per_panorama(images: pd.DataFrame) -> "pd.Series[int]":
    """Number of different headings photographed from each panorama, by panorama_id; an unknown one counts."""
    return images.groupby("panorama_id")["heading_deg"].nunique(dropna=False)


def complete_share(images: pd.DataFrame) -> float:
    """Share of panoramas whose images were all fetched, each at a heading of its own; 0 without images."""
    of_panorama = images.assign(is_here=images["status"] != "failed").groupby("panorama_id")["is_here"]
    is_complete = of_panorama.all() & (headings_per_panorama(images) == of_panorama.size())
    return float(is_complete.mean()) if len(images) else 0.0


def repeated_files(images: pd.DataFrame) -> int:
    """Number of usable images whose file is, byte for byte, that of another."""
    usable = images[images["status"] == "ok"]
    return int(usable["sha256"].duplicated(keep=False).sum())


def _require_one_answer(point_ids: "pd.Series[str]") -> None:
    twice = point_ids[point_ids.duplicated()]
    if len(twice):
        raise ScienceError(
            f"point '{twice.iloc[0]}' has more than one panorama (and {len(twice) - 1} more such answers); "
            "give every photograph a point_id of its own"
        )


def _reject(located: pd.DataFrame, which: "pd.Series[bool]", status: str, why: "str | pd.Series[str]") -> None:
    """Give the panoramas still ok among these another status."""
    rejected = which & (located["status"] == "ok")
    located.loc[rejected, "status_detail"] = why if isinstance(why, str) else why[rejected]
    located.loc[rejected, "status"] = status


def _reject_repeats(located: pd.DataFrame) -> None:
    """Leave a panorama that answered several points to the nearest of them."""
    ok = located[(located["status"] == "ok") & located["panorama_id"].notna()]
    # to the decimetre, within which positions are converted; of equally near points, the first by name
    nearest_first = ok.assign(distance_m=ok["distance_m"].round(1)).sort_values(["distance_m", "point_id"])
    nearest = nearest_first.groupby("panorama_id")["point_id"].first()
    why = located["panorama_id"].map(nearest.map("counted once, for point {}".format))
    is_repeat = pd.Series(False, index=located.index)
    is_repeat[nearest_first.index[nearest_first["panorama_id"].duplicated()]] = True
    _reject(located, is_repeat, "duplicate_panorama", why)


def _dates(days: "pd.Series[pd.Timestamp]") -> "pd.Series[Any]":
    """Whole days as dates, None where unknown."""
    return pd.Series([day.date() if pd.notna(day) else None for day in days], index=days.index, dtype=object)
