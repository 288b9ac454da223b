import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import Polygon

from streetimd_assets.errors import BoundaryError
from streetimd_assets.sources import downloads, web
from streetimd_assets.sources.boundaries import DEFAULT_BOUNDARIES, fetch_lsoa_boundaries, find_lsoa_codes
from streetimd_assets.study.local_authorities import all_local_authorities, find_local_authority
from streetimd_tests.standins import serve_small_world, small_world
from streetimd_tests.standins.arcgis import ROOT, ArcGIS
from streetimd_tests.standins.server import Reply, StandIn, busy

NO_INDEX = pd.DataFrame(columns=["lsoa_code", "lad_code"])
CUMBERLAND = find_local_authority("cumberland")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.01)


@pytest.fixture
def services():
    return {"lsoas": small_world.lsoa_features(), "lookup": small_world.lookup_features()}


@pytest.fixture
def codes(west):
    return small_world.lsoa_codes(west.lad_code)


@pytest.fixture
def find(west, tmp_path):
    """Find the LSOAs of West, or another local authority, in a look-up."""

    def find(lookup, authority=west, *, census=2021, index_lookup=NO_INDEX):
        more = {"index_lookup": index_lookup, "cache_folder": tmp_path / "cache"}
        return find_lsoa_codes(authority, lookup=None if lookup is None else str(lookup), census=census, **more)

    return find


@pytest.fixture
def fetch(west, codes, tmp_path):
    """Fetch the boundaries of West, or of other codes, from a service or file."""

    def fetch(boundaries, wanted=codes, *, census=2021):
        cache = tmp_path / "cache"
        return fetch_lsoa_boundaries(west, wanted, boundaries=str(boundaries), census=census, cache_folder=cache)

    return fetch


@pytest.fixture
def serve(services):
    """Serve the two services, as they are when asked."""
    with StandIn(lambda asked: ArcGIS(services).answer(asked)) as server:
        server.lsoas, server.lookup = (f"{server.address}{ROOT}/{name}" for name in ("lsoas", "lookup"))
        yield server


@pytest.fixture
def tomorrow(monkeypatch):
    def let_a_day_pass():
        monkeypatch.setattr(downloads, "_now", lambda: datetime.now(UTC) + timedelta(days=1, minutes=1))

    return let_a_day_pass


def renamed(features, **names):
    """Features whose fields have other names."""
    return [
        {**feature, "properties": {names.get(name, name): v for name, v in feature["properties"].items()}}
        for feature in features
    ]


# which LSOAs lie in a local authority


def test_the_lookup_names_each_lsoa_once_though_it_lies_in_two_wards(small, codes, find):
    found = find(small.lookup_service)
    assert found.codes == codes
    assert found.provenance.address == f"{small.lookup_service}/FeatureServer/0/query"
    assert len(found.provenance.sha256) == 64


def test_without_a_lookup_the_index_says_it(codes, find):
    index = pd.DataFrame(
        {"lsoa_code": [*reversed(codes), "E01000001"], "lad_code": ["E09000801"] * 12 + ["E09000001"]}
    )
    found = find(None, index_lookup=index)
    assert (found.codes, found.provenance) == (codes, None)


@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_a_lookup_may_be_a_csv_file_with_fields_of_its_own_years(codes, find, tmp_path, ending):
    path = tmp_path / f"lookup.{ending}"
    rows = {
        "LSOA11CD": "E01999999",
        "LSOA21CD": codes,
        "LAD22CD": "E09000001",
        "LAD23CD": " E09000801 ",
        "other": 1,
    }
    pd.DataFrame(rows).to_csv(path, index=False, encoding="utf-8-sig")
    found = find(path)
    assert found.codes == codes
    assert found.provenance.path == path
    with pytest.raises(
        BoundaryError, match="has no field LSOA01CD, only LSOA11CD, LSOA21CD, LAD22CD, LAD23CD, other;"
    ):
        find(path, census=2001)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"\xff\xfe\x00"])
def test_a_lookup_that_is_not_a_csv_file_is_one_sentence(find, tmp_path, content):
    (tmp_path / "lookup.csv").write_bytes(content)
    with pytest.raises(BoundaryError, match=r"lookup\.csv' is not a CSV file .*; check geography\.boundaries"):
        find(tmp_path / "lookup.csv")


def test_a_lookup_that_is_not_there_is_one_sentence(find, tmp_path):
    with pytest.raises(BoundaryError, match=r"none\.csv' cannot be read \(FileNotFoundError\); check geography"):
        find(tmp_path / "none.csv")


def test_districts_that_have_merged_are_taken_together(find, services, serve):
    before = ["E07000026", "E07000028", "E07000029"]
    for feature, lad_code in zip(services["lookup"], [*before * 2, "E07000030"], strict=False):
        feature["properties"]["LAD24CD"] = lad_code
    services["lookup"] = renamed(services["lookup"], LAD24CD="LAD22CD")
    found = find(serve.lookup, CUMBERLAND)
    assert found.codes == small_world.lsoa_codes(small_world.WEST)[:6]
    index = pd.DataFrame({"lsoa_code": ["E01000003", "E01000002"], "lad_code": ["E07000028", "E07000029"]})
    assert find(None, CUMBERLAND, index_lookup=index).codes == ["E01000002", "E01000003"]


def test_a_local_authority_that_the_lookup_does_not_know_is_one_sentence(small, find):
    with pytest.raises(BoundaryError) as caught:
        find(small.lookup_service, CUMBERLAND)
    assert str(caught.value) == (
        f"{small.lookup_service} has no LSOA in Cumberland (E06000063 or E07000026 or E07000028 or E07000029); "
        "name in geography.lookup a look-up of local authorities of 2019 to 2024"
    )


def test_codes_of_before_2019_are_listed(find):
    old = [f"E060009{number}" for number in range(10, 35)]
    index = pd.DataFrame({"lsoa_code": "E01000001", "lad_code": [*old, "E09000007", "W06000001"]})
    with pytest.raises(BoundaryError) as caught:
        find(None, CUMBERLAND, index_lookup=index)
    assert f"but 25 local authorities that are not of 2019 to 2024 ({', '.join(old[:20])} and 5 more)" in str(
        caught.value
    )


def test_a_lookup_is_asked_for_once_a_day_and_a_change_is_said(find, services, serve, tomorrow):
    first = find(serve.lookup)
    n_asked = len(serve.log)
    assert find(serve.lookup) == first
    assert len(serve.log) == n_asked
    del services["lookup"][0], services["lookup"][-1]
    tomorrow()
    after = find(serve.lookup)
    assert after.codes == first.codes[1:]
    assert after.provenance.changed_from == first.provenance.sha256


# boundaries of a service


def test_the_lsoas_asked_for_come_and_each_once(small, codes, fetch, west):
    lsoas = fetch(small.lsoa_service).lsoas
    assert list(lsoas.columns) == ["lsoa_code", "lsoa_name", "lad_code", "geometry"]
    assert list(lsoas["lsoa_code"]) == codes
    assert set(lsoas["lad_code"]) == {west.lad_code}
    assert lsoas["lsoa_name"].iloc[0] == "West 001A"


def test_pages_are_followed_to_the_end(small, fetch):
    fetch(small.lsoa_service)
    pages = [asked for asked in small.arcgis.log if asked.path.endswith("/query")]
    assert [page.query["resultOffset"] for page in pages] == ["0", "5", "10"]


def test_the_first_answer_was_an_error_and_was_asked_for_again(small, fetch):
    fetch(small.lsoa_service)
    first, second = small.arcgis.log[:2]
    assert (first.status, second.status) == (503, 200)
    assert (first.path, first.query) == (second.path, second.query)


def test_boundaries_are_in_metres_of_the_british_grid(small, fetch, west):
    lsoas = fetch(small.lsoa_service).lsoas
    assert lsoas.crs == "EPSG:27700"
    expected = gpd.GeoSeries([small_world.outline(west.lad_code)], crs="EPSG:4326").to_crs("EPSG:27700")
    assert lsoas.union_all().hausdorff_distance(expected.iloc[0]) < 0.1
    # 0.004 degrees of longitude are 277.7 m at this latitude, 0.0025 of latitude 278.2 m
    assert np.allclose(lsoas.area, 277.7 * 278.2, rtol=0.005)


@pytest.mark.parametrize("ending", ["", "/", "/FeatureServer", "/FeatureServer/0", "/FeatureServer/0/query"])
def test_a_service_may_be_named_with_or_without_its_layer(fetch, find, ending):
    with serve_small_world(faults=()) as small:
        assert len(find(small.lookup_service + ending).codes) == 12
        assert len(fetch(small.lsoa_service + ending).lsoas) == 12


def test_the_census_is_told_by_the_fields_names(fetch, services, serve):
    services["lsoas"] = renamed(services["lsoas"], LSOA21CD="LSOA11CD", LSOA21NM="LSOA11NM")
    assert len(fetch(serve.lsoas, census=2011).lsoas) == 12
    with pytest.raises(
        BoundaryError, match=r"has no field LSOA21CD, only FID, LSOA11CD, LSOA11NM; check geography"
    ):
        fetch(serve.lsoas, census=2021)


def test_an_outline_that_crosses_itself_becomes_valid(fetch, services, serve):
    bow = [[-0.1, 51.5], [-0.09, 51.51], [-0.09, 51.5], [-0.1, 51.51], [-0.1, 51.5]]
    assert not Polygon(bow).is_valid
    services["lsoas"][0]["geometry"]["coordinates"] = [bow]
    lsoas = fetch(serve.lsoas).lsoas
    assert lsoas.is_valid.all()
    assert lsoas.area.iloc[0] > 0


def test_lsoas_without_a_boundary_are_counted_and_all_named(fetch, services, serve, codes, tmp_path):
    missing = codes[2:7]
    services["lsoas"] = [each for each in services["lsoas"] if each["properties"]["LSOA21CD"] not in missing]
    with pytest.raises(BoundaryError) as caught:
        fetch(serve.lsoas)
    assert f"5 of the 12 LSOAs of West ({', '.join(missing)}) have no boundary in {serve.lsoas}; " in str(
        caught.value
    )
    # an answer that lacks some is not kept
    assert not list((tmp_path / "cache").glob("*.json"))


def test_a_service_without_lsoa_names_is_one_sentence(fetch, services, serve):
    for feature in services["lsoas"]:
        del feature["properties"]["LSOA21NM"]
    with pytest.raises(BoundaryError, match=r"has no field LSOA21NM, only FID, LSOA21CD; check geography"):
        fetch(serve.lsoas)


def test_an_error_with_status_200_is_one_sentence(fetch, services, serve):
    del services["lsoas"]
    with pytest.raises(BoundaryError, match=r"refused the query \(400 Invalid URL\); check geography"):
        fetch(serve.lsoas)


def test_a_plea_for_patience_with_status_200_is_heeded(fetch, serve):
    serve.faults = [Reply(json.dumps({"error": {"code": 429, "message": "Too many requests"}}).encode())]
    assert len(fetch(serve.lsoas).lsoas) == 12


def test_a_page_of_text_is_one_sentence(fetch, serve):
    serve.faults = [Reply(b"<html>login</html>")]
    with pytest.raises(BoundaryError, match="something that is not JSON"):
        fetch(serve.lsoas)


def test_boundaries_are_asked_for_once_a_day_and_a_change_is_said(fetch, services, serve, tomorrow):
    first = fetch(serve.lsoas)
    n_asked = len(serve.log)
    assert fetch(serve.lsoas).provenance == first.provenance
    assert len(serve.log) == n_asked
    services["lsoas"][3]["geometry"]["coordinates"][0][1][0] += 0.0001
    tomorrow()
    after = fetch(serve.lsoas)
    assert after.provenance.changed_from == first.provenance.sha256
    assert "has other content than on" in after.provenance.note
    assert not after.lsoas.geometry.iloc[3].equals(first.lsoas.geometry.iloc[3])
    assert gpd.read_file(first.provenance.path).shape == (12, 3)


def test_boundaries_that_are_held_serve_when_their_server_does_not(fetch, serve, tomorrow):
    first = fetch(serve.lsoas)
    tomorrow()
    serve.faults = [busy()] * 4
    again = fetch(serve.lsoas)
    assert again.lsoas.equals(first.lsoas)
    assert "could not be checked, so the copy of" in again.provenance.note


# boundaries of a file


@pytest.fixture
def write(services, tmp_path):
    """Write the boundaries of both districts to a file, as other people's software does."""

    def write(name, crs="EPSG:4326", **names):
        table = gpd.GeoDataFrame.from_features(renamed(services["lsoas"], **names), crs="EPSG:4326").to_crs(crs)
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(table.to_json().encode()))
        elif name.endswith(".zip"):
            inner = tmp_path / "inner"
            inner.mkdir()
            table.to_file(inner / "lsoas.shp")
            shutil.make_archive(str(path.with_suffix("")), "zip", inner)
        else:
            table.to_file(path)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "crs"),
    [
        # GeoJSON is in longitude and latitude
        *((name, "EPSG:4326") for name in ("b.geojson", "b.geojson.gz", "b.gpkg", "b.shp", "b.zip")),
        *((name, "EPSG:27700") for name in ("b.gpkg", "b.shp", "b.zip")),
        ("b.gpkg", "EPSG:3857"),
    ],
)
def test_every_kind_of_file_gives_what_the_service_gives(fetch, write, serve, name, crs):
    expected = fetch(serve.lsoas).lsoas.set_index("lsoa_code")
    path = write(name, crs)
    found = fetch(path)
    lsoas = found.lsoas.set_index("lsoa_code")
    assert found.provenance.path == path
    assert lsoas.drop(columns="geometry").equals(expected.drop(columns="geometry"))
    assert lsoas.geometry.hausdorff_distance(expected.geometry).max() < 0.02


def test_a_file_of_the_other_census_is_refused_though_its_codes_fit(fetch, write):
    path = write("b.gpkg", LSOA21CD="LSOA11CD", LSOA21NM="LSOA11NM")
    assert len(fetch(path, census=2011).lsoas) == 12
    with pytest.raises(BoundaryError, match=r"b\.gpkg has no field LSOA21CD, only LSOA11CD, LSOA11NM; check"):
        fetch(path, census=2021)


def test_the_layer_with_lsoas_is_found_among_others(fetch, write, tmp_path):
    path = tmp_path / "b.gpkg"
    wards = gpd.GeoDataFrame(
        {"WD24CD": ["E05000001"]}, geometry=[Polygon([(0, 0), (1, 0), (1, 1)])], crs="EPSG:27700"
    )
    wards.to_file(path, layer="wards")
    gpd.read_file(write("a.gpkg")).to_file(path, layer="lsoas")
    assert len(fetch(path).lsoas) == 12


def test_a_file_that_does_not_say_its_coordinate_system_is_refused(fetch, write):
    path = write("b.shp")
    path.with_suffix(".prj").unlink()
    with pytest.raises(BoundaryError, match=r"b\.shp does not say its coordinate system; save it with one"):
        fetch(path)


def test_a_file_without_some_of_the_lsoas_is_refused(fetch, write, codes):
    path = write("b.gpkg")
    with pytest.raises(
        BoundaryError, match=r"1 of the 13 LSOAs of West \(E01999999\) have no boundary in .*b\.gpkg"
    ):
        fetch(path, [*codes, "E01999999"])


def test_an_lsoa_that_a_file_has_twice_is_named(fetch, write, services):
    fifth = services["lsoas"][4]
    services["lsoas"].append({**fifth, "properties": {**fifth["properties"], "FID": 25}})
    with pytest.raises(BoundaryError, match=r"b\.gpkg has E01801005 twice; keep one row for each"):
        fetch(write("b.gpkg"))


@pytest.mark.parametrize("name", ["b.gpkg", "b.geojson.gz", "b.zip", "b.csv"])
def test_a_file_that_is_not_one_of_outlines_is_one_sentence(fetch, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"LSOA21CD,LSOA21NM\nE01801001,West")
    with pytest.raises(BoundaryError, match="is not a GeoPackage, GeoJSON file or shapefile with outlines; check"):
        fetch(path)


def test_a_file_that_is_not_there_is_one_sentence(fetch, tmp_path):
    with pytest.raises(BoundaryError, match=r"none\.gpkg' cannot be read \(FileNotFoundError\); check geography"):
        fetch(tmp_path / "none.gpkg")


# real data


@pytest.fixture
def fetch_real(real, tmp_path):
    def fetch(slug):
        authority = find_local_authority(slug)
        more = {"census": 2021, "cache_folder": tmp_path}
        found = find_lsoa_codes(authority, lookup=real.lookup_service, index_lookup=NO_INDEX, **more)
        return fetch_lsoa_boundaries(authority, found.codes, boundaries=real.lsoa_service, **more).lsoas

    return fetch


@pytest.mark.real_data
@pytest.mark.parametrize(("slug", "n_lsoas"), [("camden", 130), ("tower-hamlets", 169)])
def test_camden_has_130_lsoas_and_tower_hamlets_169(fetch_real, slug, n_lsoas):
    lsoas = fetch_real(slug)
    assert len(lsoas) == n_lsoas == find_local_authority(slug).n_lsoas
    assert lsoas.is_valid.all()


@pytest.mark.real_data
def test_real_boundaries_of_a_service_and_of_a_file_lie_within_a_metre_of_geopandas_own(
    fetch_real, real_folder, tmp_path
):
    path = real_folder / "camden" / "lsoa21.geojson.gz"
    expected = gpd.read_file(f"/vsigzip/{path}").set_index("LSOA21CD").to_crs("EPSG:27700")
    of_file = fetch_lsoa_boundaries(
        find_local_authority("camden"),
        list(expected.index),
        boundaries=str(path),
        census=2021,
        cache_folder=tmp_path,
    )
    for lsoas in (fetch_real("camden"), of_file.lsoas):
        lsoas = lsoas.set_index("lsoa_code")
        assert lsoas.geometry.hausdorff_distance(expected.geometry.loc[lsoas.index]).max() < 1
        # Camden Town Hall, by its published grid reference, stands in one of them
        assert lsoas.contains(gpd.points_from_xy([530150], [182800])[0]).sum() == 1


@pytest.mark.real_data
def test_real_boundaries_come_in_pages_after_an_error(real, fetch_real):
    fetch_real("camden")
    assert real.count("FeatureServer", status=503) == 1
    assert any(int(asked.query.get("resultOffset", 0)) >= 50 for asked in real.arcgis.log)


@pytest.mark.real_data
def test_every_local_authority_gets_its_lsoas_of_2021_from_the_index_as_the_lookup_has_them(real_folder, tmp_path):
    index = pd.read_csv(real_folder / "imd" / "iod2025_file7.csv.gz", encoding="utf-8-sig", dtype=str)
    index = index.set_axis(["lsoa_code", "name", "lad_code", *index.columns[3:]], axis=1)
    lookup = pd.read_csv(real_folder / "imd" / "lsoa21_lad24_lookup.csv.gz", encoding="utf-8-sig")
    expected = lookup.groupby("LAD24CD")["LSOA21CD"].apply(lambda codes: sorted(set(codes)))
    authorities = list(all_local_authorities().values())
    for authority in authorities:
        found = find_lsoa_codes(authority, lookup=None, census=2021, index_lookup=index, cache_folder=tmp_path)
        assert found.codes == expected[authority.lad_code]
        assert len(found.codes) == authority.n_lsoas
    assert {each.lad_code for each in authorities} == {code for code in expected.index if code.startswith("E")}


@pytest.mark.real_data
def test_every_local_authority_has_lsoas_of_2011_and_together_they_are_englands(real_folder):
    lookup = pd.read_csv(real_folder / "imd" / "lsoa11_lsoa21_lad22_lookup.csv.gz", encoding="utf-8-sig")
    table = lookup.rename(columns={"LSOA11CD": "lsoa_code", "LAD22CD": "lad_code"})
    more = {"lookup": None, "census": 2011, "index_lookup": table, "cache_folder": real_folder}
    found = [set(find_lsoa_codes(each, **more).codes) for each in all_local_authorities().values()]
    assert len(found) == 296
    everyone = set().union(*found)
    assert everyone == set(table["lsoa_code"][table["lsoa_code"].str.startswith("E")])
    assert len(everyone) == 32_844


@pytest.mark.real_data
def test_every_local_authority_of_london_in_2019_gets_its_lsoas_of_2011(real_folder, tmp_path):
    london = pd.read_csv(real_folder / "imd" / "iod2019_file7_london.csv.gz", encoding="utf-8-sig", dtype=str)
    london = london.set_axis(["lsoa_code", "name", "lad_code", *london.columns[3:]], axis=1)
    boroughs = [each for each in all_local_authorities().values() if each.lad_code.startswith("E09")]
    assert {each.lad_code for each in boroughs} == set(london["lad_code"])
    more = {"lookup": None, "census": 2011, "index_lookup": london, "cache_folder": tmp_path}
    assert sum(len(find_lsoa_codes(each, **more).codes) for each in boroughs) == 4_835


def test_the_default_addresses_are_of_the_two_censuses():
    assert {census: str(census) in address for census, address in DEFAULT_BOUNDARIES.items()} == {
        2011: True,
        2021: True,
    }
