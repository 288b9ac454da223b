"""Ask the real servers one small question each, as a study asks them.

These tests are off by default, for they need the internet. Run them with::

    pytest -n0 -m live streetimd_tests/live

``MAPILLARY_ACCESS_TOKEN`` and ``GOOGLE_MAPS_API_KEY`` are read from the environment, or from a file ``.env`` in
the current folder; without one of them, what needs it is skipped. Nothing is bought: Google's metadata are free.
Each file of the deprivation index is downloaded whole, which is some ten megabytes.
"""

from datetime import date

import geopandas as gpd
import pytest
import shapely

from streetimd_assets.settings import read_environment
from streetimd_assets.sources.boundaries import DEFAULT_BOUNDARIES, fetch_lsoa_boundaries
from streetimd_assets.sources.deprivation import DEFAULT_FILES, load_deprivation
from streetimd_assets.sources.imagery.providers import find_provider, open_source
from streetimd_assets.sources.roads import fetch_road_edges
from streetimd_assets.study.local_authorities import find_local_authority
from streetimd_assets.study.model import HIGHWAY_CLASSES, Geography
from streetimd_tests.sources.imagery.asking import choose, find, points_at

pytestmark = pytest.mark.live

# in the City of London, at Barbican
LSOA = "E01000001"
NEAR_BARBICAN = shapely.Point(532_130, 181_630)
RUSSELL_SQUARE = shapely.Point(530_130, 181_960)
TRAFALGAR_SQUARE = (-0.1281, 51.5080)
N_LSOAS = {"iod2025": 33_755, "iod2019": 32_844}


def key_or_skip(name):
    """The environment, if it has a key of this name."""
    environment = read_environment()
    if not environment.get(name):
        pytest.skip(f"needs a key: set {name} in the environment or in a file .env")
    return environment


def answer_of(name, environment, **options):
    """What a provider answers about a point in London."""
    source = open_source(choose(name, **options), environment)
    pace = find_provider(name).requests_per_minute
    (row,) = find(source, points_at([TRAFALGAR_SQUARE]), requests_per_minute=pace).to_dict("records")
    # a point that nobody answered about is a row too
    assert row["status"] != "failed", row["status_detail"]
    return row


def require_near(row):
    longitude, latitude = TRAFALGAR_SQUARE
    # some hundred metres at most
    assert row["longitude_deg"] == pytest.approx(longitude, abs=0.002)
    assert row["latitude_deg"] == pytest.approx(latitude, abs=0.001)
    assert date(2000, 1, 1) < row["captured_on"] <= date.today()


@pytest.mark.parametrize("census", sorted(DEFAULT_BOUNDARIES))
def test_the_statistics_office_gives_the_boundary_of_an_lsoa_of_either_census(census, tmp_path):
    city = find_local_authority("City of London")
    found = fetch_lsoa_boundaries(
        city, [LSOA], boundaries=DEFAULT_BOUNDARIES[census], census=census, cache_folder=tmp_path
    )
    (lsoa,) = found.lsoas.itertuples()
    assert (lsoa.lsoa_code, lsoa.lsoa_name, lsoa.lad_code) == (LSOA, "City of London 001A", city.lad_code)
    assert lsoa.geometry.area == pytest.approx(130_000, rel=0.1)
    assert lsoa.geometry.distance(NEAR_BARBICAN) < 300


def test_overpass_gives_the_roads_of_a_few_hundred_metres(tmp_path):
    area = gpd.GeoDataFrame({"lsoa_code": ["box"]}, geometry=[RUSSELL_SQUARE.buffer(200)], crs="EPSG:27700")
    edges = fetch_road_edges(
        area,
        overpass_url=Geography().overpass_url,
        highway_classes=HIGHWAY_CLASSES,
        include_tunnels=False,
        include_private=False,
        cache_folder=tmp_path,
    )
    assert "Russell Square" in set(edges["road_name"])
    assert set(edges["highway"]) <= set(HIGHWAY_CLASSES)
    assert edges.distance(RUSSELL_SQUARE).max() < 1000


@pytest.mark.parametrize("index", sorted(DEFAULT_FILES))
def test_file_7_of_either_edition_has_the_headings_and_covers_england(index, tmp_path):
    deprivation = load_deprivation(DEFAULT_FILES[index], index=index, cache_folder=tmp_path, is_national=True)
    assert len(deprivation.table) == N_LSOAS[index]
    # equal scores may share a rank, so the last one need not be there
    assert deprivation.table["imd_rank"].min() == 1
    assert deprivation.table["imd_rank"].max() <= N_LSOAS[index]


def test_panoramax_answers_a_search_near_a_point_in_london():
    row = answer_of("panoramax", {}, max_distance_m=100)
    # volunteers come and go, so there may be nothing here
    assert row["status"] in ("ok", "no_imagery")
    if row["status"] == "ok":
        require_near(row)
        assert row["viewer_url"].startswith("https://api.panoramax.xyz/#focus=pic&pic=")


def test_mapillary_has_a_picture_near_a_point_in_london():
    row = answer_of("mapillary", key_or_skip("MAPILLARY_ACCESS_TOKEN"), max_distance_m=100)
    assert row["status"] == "ok"
    require_near(row)
    assert row["licence"] == "CC BY-SA 4.0"


def test_google_has_a_panorama_near_a_point_in_london():
    environment = key_or_skip("GOOGLE_MAPS_API_KEY")
    # whoever has a key has accepted the terms
    row = answer_of("google", environment, max_distance_m=100, official_only=False, accept_terms=True)
    assert row["status"] == "ok"
    require_near(row)
    # visitors upload panoramas of a place like this, so it need not be Google's own
    assert row["credit"].startswith("© ")
