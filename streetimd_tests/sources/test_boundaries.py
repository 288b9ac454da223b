import json

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import Polygon

from streetimd_assets.errors import BoundaryError
from streetimd_assets.sources.boundaries import fetch_lsoa_boundaries
from streetimd_assets.study.local_authorities import LocalAuthority, find_local_authority
from streetimd_tests.standins import serve_small_world, small_world
from streetimd_tests.standins.arcgis import ROOT, ArcGIS
from streetimd_tests.standins.server import Reply, StandIn


def fetch(addresses, authority):
    return fetch_lsoa_boundaries(
        authority, lsoa_service=addresses.lsoa_service, lookup_service=addresses.lookup_service
    )


def fetch_from(services, authority, **more):
    with StandIn(ArcGIS(services, **more).answer) as server:
        at = f"{server.address}{ROOT}"
        return fetch_lsoa_boundaries(authority, lsoa_service=f"{at}/lsoas", lookup_service=f"{at}/lookup")


@pytest.fixture
def services():
    return {"lsoas": small_world.lsoa_features(), "lookup": small_world.lookup_features()}


def test_only_the_lsoas_of_the_local_authority_come_and_each_once(small, west):
    lsoas = fetch(small, west)
    assert list(lsoas.columns) == ["lsoa_code", "lsoa_name", "lad_code", "geometry"]
    assert list(lsoas["lsoa_code"]) == small_world.lsoa_codes(west.lad_code)
    assert set(lsoas["lad_code"]) == {west.lad_code}
    assert lsoas["lsoa_name"].iloc[0] == "West 001A"


def test_pages_are_followed_to_the_end(small, west):
    fetch(small, west)
    pages = [asked for asked in small.arcgis.log if asked.path.endswith("_BGC_V5/FeatureServer/0/query")]
    offsets = [page.query["resultOffset"] for page in pages]
    assert offsets == ["0", "5", "10"]


def test_the_first_answer_was_an_error_and_was_asked_for_again(small, west):
    fetch(small, west)
    first, second = small.arcgis.log[:2]
    assert (first.status, second.status) == (503, 200)
    assert (first.path, first.query) == (second.path, second.query)


def test_boundaries_are_in_metres_of_the_british_grid(small, west):
    lsoas = fetch(small, west)
    assert lsoas.crs == "EPSG:27700"
    expected = gpd.GeoSeries([small_world.outline(west.lad_code)], crs="EPSG:4326").to_crs("EPSG:27700")
    assert lsoas.union_all().hausdorff_distance(expected.iloc[0]) < 0.1
    # 0.004 degrees of longitude are 277.7 m at this latitude, 0.0025 of latitude 278.2 m
    assert np.allclose(lsoas.area, 277.7 * 278.2, rtol=0.005)


@pytest.mark.parametrize("ending", ["", "/", "/FeatureServer", "/FeatureServer/0", "/FeatureServer/0/query"])
def test_a_service_may_be_named_with_or_without_its_layer(west, ending):
    with serve_small_world(faults=()) as small:
        lsoas = fetch_lsoa_boundaries(
            west, lsoa_service=small.lsoa_service + ending, lookup_service=small.lookup_service + ending
        )
    assert len(lsoas) == 12


def test_the_year_of_the_fields_is_found_out(services, west):
    def older(feature):
        renamed = {name.replace("21", "11").replace("24", "22"): v for name, v in feature["properties"].items()}
        return {**feature, "properties": renamed}

    services = {name: [older(feature) for feature in features] for name, features in services.items()}
    assert len(fetch_from(services, west)) == 12


def test_an_outline_that_crosses_itself_becomes_valid(services, west):
    bow = [[-0.1, 51.5], [-0.09, 51.51], [-0.09, 51.5], [-0.1, 51.51], [-0.1, 51.5]]
    assert not Polygon(bow).is_valid
    services["lsoas"][0]["geometry"]["coordinates"] = [bow]
    lsoas = fetch_from(services, west)
    assert lsoas.is_valid.all()
    assert lsoas.area.iloc[0] > 0


def test_a_local_authority_that_the_lookup_does_not_know_is_one_sentence(small):
    nowhere = LocalAuthority("nowhere", "E09000999", "Nowhere", 1)
    with pytest.raises(BoundaryError, match=r"has no LSOA in Nowhere \(LAD24CD = E09000999\); name in geography"):
        fetch(small, nowhere)


def test_lsoas_without_a_boundary_are_counted_and_named(services, west):
    del services["lsoas"][2:7]
    with pytest.raises(BoundaryError, match=r"5 of the 12 LSOAs of West \(E01801003, E01801004, E01801005, …\)"):
        fetch_from(services, west)


def test_a_service_without_lsoa_names_is_one_sentence(services, west):
    for feature in services["lsoas"]:
        del feature["properties"]["LSOA21NM"]
    with pytest.raises(BoundaryError, match=r"has no field LSOA\?\?NM, only FID, LSOA21CD; check geography"):
        fetch_from(services, west)


def test_an_error_with_status_200_is_one_sentence(services, west):
    del services["lookup"]
    with pytest.raises(BoundaryError, match=r"refused the query \(400 Invalid URL\); check geography"):
        fetch_from(services, west)


def test_a_plea_for_patience_with_status_200_is_heeded(services, west):
    plea = Reply(json.dumps({"error": {"code": 429, "message": "Too many requests"}}).encode())
    with StandIn(ArcGIS(services).answer, faults=[plea]) as server:
        at = f"{server.address}{ROOT}"
        assert len(fetch_lsoa_boundaries(west, lsoa_service=f"{at}/lsoas", lookup_service=f"{at}/lookup")) == 12


def test_a_page_of_text_is_one_sentence(west):
    with (
        serve_small_world(faults=[Reply(b"<html>login</html>")]) as small,
        pytest.raises(BoundaryError, match="something that is not JSON"),
    ):
        fetch(small, west)


@pytest.mark.real_data
@pytest.mark.parametrize(("slug", "n_lsoas"), [("camden", 130), ("tower-hamlets", 169)])
def test_camden_has_130_lsoas_and_tower_hamlets_169(real, slug, n_lsoas):
    authority = find_local_authority(slug)
    lsoas = fetch(real, authority)
    assert len(lsoas) == n_lsoas == authority.n_lsoas
    assert lsoas.is_valid.all()


@pytest.mark.real_data
def test_real_boundaries_lie_within_a_metre_of_geopandas_own(real, real_folder):
    lsoas = fetch(real, find_local_authority("camden")).set_index("lsoa_code")
    path = f"/vsigzip/{real_folder / 'camden' / 'lsoa21.geojson.gz'}"
    expected = gpd.read_file(path).set_index("LSOA21CD").to_crs("EPSG:27700").loc[lsoas.index]
    assert lsoas.geometry.hausdorff_distance(expected.geometry).max() < 1
    # Camden Town Hall, by its published grid reference, stands in one of them
    assert lsoas.contains(gpd.points_from_xy([530150], [182800])[0]).sum() == 1


@pytest.mark.real_data
def test_real_boundaries_come_in_pages_after_an_error(real):
    fetch(real, find_local_authority("camden"))
    assert real.count("FeatureServer", status=503) == 1
    assert any(int(asked.query.get("resultOffset", 0)) >= 50 for asked in real.arcgis.log)
