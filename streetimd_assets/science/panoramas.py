"""Which panoramas may be used, where they stand, and what their images will amount to."""

from collections.abc import Mapping, Sequence
from datetime import date
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
        What the image source replied: point_id, panorama_id, status, status_detail, longitude_deg,
        latitude_deg, captured_on, is_360, camera_heading_deg, source, licence, credit, viewer_url. A point
        has one row, or one for each of several flat photographs.
    points
        Rows of ``sample_points``. An answer for none of them (a photograph of one's own) has no distance
        and no bearing of the road.
    lsoas
        LSOAs of the local authority: columns lsoa_code and geometry, EPSG:27700.
    max_distance_m
        From point to panorama, metres.

    Returns
    -------
    panoramas
        Rows of ``panoramas``, in the order of point_id and position, which follows panorama_id.

    Raises
    ------
    ScienceError
        If a point has several answers that are not flat photographs, each another.
    """
    located = answers.sort_values(["point_id", "panorama_id"], ignore_index=True).astype({"status_detail": object})
    # of a place without imagery nobody knows
    located["is_360"] = located["is_360"].eq(True)
    located["position"] = located.groupby("point_id").cumcount() + 1
    _require_answers_that_differ(located)
    located["easting_m"], located["northing_m"] = geography.to_easting_northing(
        located["longitude_deg"], located["latitude_deg"]
    )
    asked = points.set_index("point_id")[["easting_m", "northing_m", "road_bearing_deg"]].astype(float)
    asked = asked.reindex(located["point_id"])
    apart = located[["easting_m", "northing_m"]].to_numpy() - asked[["easting_m", "northing_m"]].to_numpy()
    located["distance_m"] = np.hypot(*apart.T)
    located["road_bearing_deg"] = asked["road_bearing_deg"].to_numpy()
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
    images_per_panorama: "pd.Series[int]",
    held: Mapping[str, int],
    cost_usd: float,
    today: date,
) -> pd.DataFrame:
    """Count, per LSOA, the images to come, what they cost, and how old and how far from their points they are.

    Parameters
    ----------
    points, panoramas
        Rows of ``sample_points`` and ``panoramas``.
    road_length_m
        Undirected road inside each LSOA, metres, by lsoa_code.
    lsoa_codes
        One row is returned for each, LSOAs without roads or panoramas included.
    images_per_panorama
        How many images each row of ``panoramas`` gives, with the same index; that of one that is not used
        does not matter.
    held
        How many of them are held, by panorama_id.
    cost_usd
        Of all images to fetch together; it is shared out by their number, whichever of them fall into a
        free tier.
    today
        Day from which age is counted, in years of 365.25 days.

    Returns
    -------
    plan
        Rows of ``imagery_plan``.
    """
    by_lsoa = _usable(panoramas, images_per_panorama, held, today).groupby("lsoa_code")
    plan = pd.DataFrame(index=pd.Index(sorted(lsoa_codes), name="lsoa_code"))
    plan["road_length_m"] = road_length_m.reindex(plan.index, fill_value=0.0)
    plan["n_points"] = points["lsoa_code"].value_counts()
    plan["n_panoramas"] = by_lsoa.size()
    plan["n_images_planned"] = by_lsoa["n_planned"].sum()
    plan["median_distance_m"] = by_lsoa["distance_m"].median()
    plan["oldest_captured_on"] = _dates(by_lsoa["day"].min().reindex(plan.index))
    plan["median_captured_on"] = _dates(by_lsoa["day"].median().reindex(plan.index))
    plan["median_age_years"] = by_lsoa["age_years"].median()
    plan["n_images_held"] = by_lsoa["n_held"].sum()
    counts = ["n_points", "n_panoramas", "n_images_planned", "n_images_held"]
    plan[counts] = plan[counts].fillna(0).astype(int)
    plan["n_images_to_fetch"] = plan["n_images_planned"] - plan["n_images_held"]
    plan["cost_usd"] = cost_usd * plan["n_images_to_fetch"] / max(1, plan["n_images_to_fetch"].sum())
    return plan.reset_index()


def answered_share(panoramas: pd.DataFrame) -> float:
    """Share of points with a panorama that is used; 0 without points."""
    is_answered = (panoramas["status"] == "ok").groupby(panoramas["point_id"]).any()
    return float(is_answered.mean()) if len(is_answered) else 0.0


def compare_panoramas(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, int]:
    """Count the places at which the panoramas that are used have changed since they were asked for before.

    Parameters
    ----------
    before, after
        Rows of ``panoramas``; only those with status ok are compared, point by point.

    Returns
    -------
    counts
        Places where there was none (``n_new``), where there is another, taken later (``n_newer``) or not
        (``n_other``), where there is none any more (``n_gone``), where there was one and every answer is
        ``failed`` now (``n_not_answered``), and where there are the same (``n_unchanged``).
    """
    old, new = (_by_place(panoramas) for panoramas in (before, after))
    both = old.index.intersection(new.index)
    is_same = old.loc[both, "names"] == new.loc[both, "names"]
    lost = old.index.difference(new.index)
    not_answered = lost.intersection(_unanswered_points(after))
    is_newer = ~is_same & (new.loc[both, "newest"] > old.loc[both, "newest"])
    return {
        "n_new": len(new.index.difference(old.index)),
        "n_newer": int(is_newer.sum()),
        "n_other": int((~is_same & ~is_newer).sum()),
        "n_gone": len(lost) - len(not_answered),
        "n_not_answered": len(not_answered),
        "n_unchanged": int(is_same.sum()),
    }


def keep_unanswered(found: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Carry on what was found before at points for which every answer is ``failed`` now.

    Not to be answered says nothing of the street: its pictures are neither given up nor bought again.

    Parameters
    ----------
    found
        Rows of ``panoramas``, as they are now.
    before
        Rows of ``panoramas``, as they were; those with status ok are carried on, if they are of the source
        that is asked now and no other point uses the panorama now.

    Returns
    -------
    panoramas
        Rows of ``panoramas``, in the order of point_id and position. The status_detail of a row carried on
        says that it is.
    """
    unanswered = _unanswered_points(found)
    source_now = found.drop_duplicates("point_id").set_index("point_id")["source"]
    is_carried = (
        (before["status"] == "ok")
        & before["point_id"].isin(unanswered)
        & ~before["panorama_id"].isin(found.loc[found["status"] == "ok", "panorama_id"])
        & (before["source"] == before["point_id"].map(source_now))
    )
    if not is_carried.any():
        return found
    carried = before[is_carried].sort_values(["point_id", "position"])
    carried = carried.assign(
        position=carried.groupby("point_id").cumcount() + 1, status_detail="not answered this time, as found before"
    )
    both = pd.concat([found[~found["point_id"].isin(carried["point_id"])], carried[list(found.columns)]])
    return both.sort_values(["point_id", "position"], ignore_index=True)


def keep_bearings(found: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Give a panorama that was used before the bearing of the road it was used with.

    In a denser sample it may answer for a nearer point, on a road with another bearing. Headings relative to
    the road would turn with it, and every picture of it would have to be bought again.

    Parameters
    ----------
    found
        Rows of ``panoramas``, as they are now; only those with status ok change.
    before
        Rows of ``panoramas``, as they were; those with status ok say the bearing, degrees clockwise from
        true north, or that there is none.

    Returns
    -------
    panoramas
        Rows of ``panoramas``, in the order they had.
    """
    used = before[before["status"] == "ok"].drop_duplicates("panorama_id").set_index("panorama_id")
    is_known = (found["status"] == "ok") & found["panorama_id"].isin(used.index)
    bearings = found["panorama_id"].map(used["road_bearing_deg"].astype(float))
    return found.assign(road_bearing_deg=found["road_bearing_deg"].where(~is_known, bearings))


def headings_per_panorama(images: pd.DataFrame) -> "pd.Series[int]":
    """Number of different headings photographed from each panorama, by panorama_id; an unknown one counts."""
    return images.groupby("panorama_id")["heading_deg"].nunique(dropna=False)


def complete_share(images: pd.DataFrame) -> float:
    """Share of panoramas whose images were all fetched, each at a heading of its own; 0 without images."""
    of_panorama = images.assign(is_here=images["status"] != "failed").groupby("panorama_id")["is_here"]
    is_complete = of_panorama.all() & (headings_per_panorama(images) == of_panorama.size())
    return float(is_complete.mean()) if len(images) else 0.0


def repeated_files(images: pd.DataFrame) -> int:
    """Number of usable images whose file is, byte for byte, that of another image of the same panorama."""
    usable = images[images["status"] == "ok"]
    return int(usable.duplicated(["panorama_id", "sha256"], keep=False).sum())


def files_in_several_panoramas(images: pd.DataFrame) -> int:
    """Number of files that are, byte for byte, usable images of more than one panorama: uploaded twice, say."""
    usable = images[images["status"] == "ok"]
    return int((usable.groupby("sha256")["panorama_id"].nunique() > 1).sum())


def _usable(
    panoramas: pd.DataFrame, images_per_panorama: "pd.Series[int]", held: Mapping[str, int], today: date
) -> pd.DataFrame:
    """Panoramas that are used, with the number of their images, their day and their age."""
    usable = panoramas[panoramas["status"] == "ok"]
    n_planned = images_per_panorama.reindex(usable.index)
    n_held = usable["panorama_id"].map(lambda name: held.get(name, 0)).astype(int)
    day = pd.to_datetime(usable["captured_on"])
    return usable.assign(
        n_planned=n_planned,
        n_held=np.minimum(n_held, n_planned),
        day=day,
        age_years=(pd.Timestamp(today) - day).dt.total_seconds() / (365.25 * 86_400),
    )


def _unanswered_points(panoramas: pd.DataFrame) -> "pd.Index[str]":
    """Points for which every answer is ``failed``."""
    is_unanswered = (panoramas["status"] == "failed").groupby(panoramas["point_id"]).all()
    return is_unanswered.index[is_unanswered.to_numpy(dtype=bool)]


def _by_place(panoramas: pd.DataFrame) -> pd.DataFrame:
    """Names of the panoramas used at each point, and the newest day of theirs."""
    usable = panoramas[panoramas["status"] == "ok"]
    by_place = usable.assign(day=pd.to_datetime(usable["captured_on"])).groupby("point_id")
    return pd.DataFrame(
        {
            "names": by_place["panorama_id"].agg(lambda names: "\n".join(sorted(names))).astype(object),
            "newest": by_place["day"].max(),
        }
    )


def _require_answers_that_differ(answers: pd.DataFrame) -> None:
    """See that a point with several answers has several flat photographs."""
    is_one_of_several = answers["point_id"].duplicated(keep=False)
    names_several = answers[["point_id", "panorama_id"]].duplicated(keep=False) | answers["panorama_id"].isna()
    wrong = answers.loc[is_one_of_several & (names_several | answers["is_360"]), "point_id"].unique()
    if len(wrong):
        raise ScienceError(
            f"point '{wrong[0]}' has more than one panorama, or one twice (and {len(wrong) - 1} more such points); "
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
