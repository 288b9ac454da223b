"""Points to ask about, and a source asked about them as a run does it."""

import asyncio

import pandas as pd
from pyproj import Transformer

from streetimd_assets.sources.web import Web
from streetimd_assets.study.imagery import Imagery

ORIGIN = (-0.13, 51.53)
_TO_DEGREES = Transformer.from_crs("EPSG:27700", "EPSG:4326", always_xy=True)
_TO_METRES = Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)


def place(east_m=0.0, north_m=0.0):
    """Longitude and latitude so many metres from the origin."""
    easting, northing = _TO_METRES.transform(*ORIGIN)
    return _TO_DEGREES.transform(easting + east_m, northing + north_m)


def make_points(*offsets_m, road_bearing_deg=None):
    """Sample points so many metres east and north of the origin, named p0, p1 and so on."""
    return points_at([place(*offset) for offset in offsets_m], road_bearing_deg)


def points_at(places, road_bearing_deg=None):
    """Sample points at longitudes and latitudes."""
    rows = [(f"p{number}", *at, *_TO_METRES.transform(*at), road_bearing_deg) for number, at in enumerate(places)]
    columns = ["point_id", "longitude_deg", "latitude_deg", "easting_m", "northing_m", "road_bearing_deg"]
    return pd.DataFrame(rows, columns=columns)


def choose(source, **options):
    return Imagery(source=source, **options)


def find(source, points, progress=None, **options):
    async def ask():
        async with Web(**options) as web:
            return await source.find_panoramas(points, web, progress)

    return asyncio.run(ask())


def fetch_all(source, panorama):
    """Every picture of a panorama, by heading."""

    async def ask():
        async with Web() as web:
            return {
                heading: data
                for shot in source.shots_of(panorama)
                for heading, data in (await source.fetch(shot, web)).items()
            }

    return asyncio.run(ask())
