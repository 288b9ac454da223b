"""Positions are where they should be, and belong to one LSOA."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pyproj import Transformer
from shapely.geometry import Polygon, box

from streetimd_assets.errors import ScienceError
from streetimd_assets.science import geography


def squares(n_columns, n_rows, side_m=500.0, first=0):
    """LSOAs in a chequerboard whose south-west corner is in Camden."""
    west, south = 529_000.0, 184_000.0
    outlines = [
        box(west + i * side_m, south + j * side_m, west + (i + 1) * side_m, south + (j + 1) * side_m)
        for j in range(n_rows)
        for i in range(n_columns)
    ]
    codes = [f"E0100{first + place:04d}" for place in range(len(outlines))]
    names = [f"Camden {place:03d}" for place in range(len(outlines))]
    return gpd.GeoDataFrame({"lsoa_code": codes, "lsoa_name": names}, geometry=outlines, crs="EPSG:27700")


def scattered(lsoas, n_points, seed=1):
    rng = np.random.default_rng(seed)
    west, south, east, north = lsoas.total_bounds
    easting_m, northing_m = rng.uniform(west, east, n_points), rng.uniform(south, north, n_points)
    longitude_deg, latitude_deg = geography.to_longitude_latitude(easting_m, northing_m)
    return pd.DataFrame(
        {
            "easting_m": easting_m,
            "northing_m": northing_m,
            "longitude_deg": longitude_deg,
            "latitude_deg": latitude_deg,
            "lsoa_code": geography.find_lsoas(easting_m, northing_m, lsoas),
        }
    )


def test_a_published_position_is_met_within_the_accuracy_of_the_datum_shift():
    # the water tower at Caister, in the Ordnance Survey's guide to coordinate systems: 52°39'28.72"N 1°42'57.79"E
    (longitude_deg,), (latitude_deg,) = geography.to_longitude_latitude([651_409.903], [313_177.270])
    assert longitude_deg == pytest.approx(1.716_052, abs=3e-5)
    assert latitude_deg == pytest.approx(52.657_978, abs=3e-5)


def test_positions_return_to_where_they_were():
    points = scattered(squares(4, 4), 200)
    assert geography.largest_position_disagreement(points) < 0.01


def test_positions_without_a_datum_shift_are_seen_to_disagree():
    points = scattered(squares(4, 4), 200)
    unshifted = Transformer.from_crs("EPSG:27700", "EPSG:4277", always_xy=True)
    points["longitude_deg"], points["latitude_deg"] = unshifted.transform(points["easting_m"], points["northing_m"])
    assert geography.largest_position_disagreement(points) > 50


def test_a_shift_of_a_hundred_metres_puts_many_positions_in_the_wrong_lsoa():
    lsoas = squares(6, 6)
    points = scattered(lsoas, 2000)
    assert geography.wrong_lsoa_share(points, lsoas) == 0
    shifted = points.assign(easting_m=points["easting_m"] + 100)
    assert geography.wrong_lsoa_share(shifted, lsoas) == pytest.approx(0.2, abs=0.04)


def test_unknown_and_impossible_positions_become_nan():
    easting_m, northing_m = geography.to_easting_northing([np.nan, -0.14, 200.0], [51.5, np.nan, 100.0])
    assert np.isnan(easting_m).all()
    assert np.isnan(northing_m).all()


def test_positions_outside_or_unknown_have_no_lsoa():
    found = geography.find_lsoas([529_250, 0, np.nan], [184_250, 0, 184_250], squares(2, 1))
    assert found.tolist() == ["E01000000", None, None]


def test_no_position_at_all_gives_no_lsoa_at_all():
    assert len(geography.find_lsoas([], [], squares(1, 1))) == 0


def test_a_position_on_a_border_has_one_lsoa():
    lsoas = squares(2, 2)
    found = geography.find_lsoas([529_500, 529_250, 529_500], [184_250, 184_500, 184_500], lsoas)
    assert found.tolist() == ["E01000000"] * 3


def test_a_border_has_the_same_lsoa_from_either_local_authority():
    both = squares(2, 1)
    north = np.linspace(184_010, 184_490, 25)
    east = np.full(25, 529_500.0)
    western = geography.find_lsoas(east, north, both.iloc[[0]])
    eastern = geography.find_lsoas(east, north, both.iloc[[1]])
    assert [(a is None) != (b is None) for a, b in zip(western, eastern, strict=True)] == [True] * 25
    together = geography.find_lsoas(east, north, both)
    assert together.tolist() == [a or b for a, b in zip(western, eastern, strict=True)]


def test_slanting_borders_give_every_point_to_one_local_authority():
    halves = squares(1, 1).loc[[0, 0]].reset_index(drop=True)
    west, south, east, north = halves.total_bounds
    southern = Polygon([(west, south), (east, south), (east, north)])
    northern = Polygon([(west, south), (east, north), (west, north)])
    halves = halves.assign(lsoa_code=["E01000001", "E01000002"], geometry=[southern, northern])
    along = np.linspace(0.01, 0.99, 997)
    points = west + along * (east - west), south + along * (north - south)
    sides = [geography.find_lsoas(*points, halves.iloc[[side]]) for side in (0, 1)]
    assert all((a is None) != (b is None) for a, b in zip(*sides, strict=True))


def test_where_lsoas_overlap_the_smaller_code_has_the_point():
    lsoas = pd.concat([squares(1, 1, first=7), squares(1, 1, first=3)], ignore_index=True)
    assert geography.find_lsoas([529_250], [184_250], lsoas).tolist() == ["E01000003"]


def test_geometry_survives_the_way_through_a_table():
    lsoas = squares(3, 2)
    table = geography.as_table(lsoas)
    assert isinstance(table["geometry"].iloc[0], bytes)
    returned = geography.as_geodataframe(table)
    assert returned.crs == "EPSG:27700"
    assert returned.geometry.geom_equals(lsoas.geometry).all()


def test_degrees_are_refused_where_metres_are_meant():
    with pytest.raises(ScienceError, match=r"EPSG:4326.*to_crs"):
        geography.find_lsoas([0.0], [0.0], squares(1, 1).to_crs(4326))


def test_an_lsoa_is_where_a_point_inside_it_is_however_bent_it_may_be():
    bent = box(0, 0, 300, 300).difference(box(100, 0, 200, 250))
    outlines = gpd.GeoDataFrame(
        {"lsoa_code": ["Z1", "Z2"], "lad_code": "Z"}, geometry=[bent, box(0, 300, 9, 309)], crs="EPSG:27700"
    )
    found = geography.lsoa_positions(outlines)
    inside = gpd.GeoSeries(gpd.points_from_xy(found["easting_m"], found["northing_m"]), crs="EPSG:27700")
    assert outlines.geometry.contains(inside).all()
    assert list(found["lad_code"]) == ["Z", "Z"]
