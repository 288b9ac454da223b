"""A bundle holds the study's tables as they are, opens in other programs, and holds no picture."""

import hashlib
import json
import shutil
import sqlite3
from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
import yaml

from streetimd_assets.defs.bundle_papers import citation, licences
from streetimd_assets.defs.exporting import export_study
from streetimd_assets.defs.house import House
from streetimd_assets.errors import StoreError, TableMissingError, TableUnreadableError, UnknownLocalAuthorityError
from streetimd_assets.settings import Settings
from streetimd_assets.sources.imagery.providers import find_provider
from streetimd_assets.store import open_study
from streetimd_assets.store.arrow import empty_frame
from streetimd_assets.store.exporting import LEFT_OUT
from streetimd_tests.store.made_up_study import DEMO, EMPTY, HEADLINE, KNOWN, LAD_CODES, LSOAS, write_study


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = Settings("demo", tmp_path_factory.mktemp("data"))
    folder = settings.study_folder("demo")
    write_study(folder)
    picture = folder / "images" / KNOWN / "0.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\xff\xd8\xff")
    return settings


@pytest.fixture(scope="module")
def bundle(settings, tmp_path_factory):
    said = []
    folder = export_study(settings, tmp_path_factory.mktemp("shared") / "bundle", None, said.append)
    assert "lsoas: 6 rows" in said
    return folder


@pytest.fixture(scope="module")
def study(settings):
    return open_study("demo", data=settings.data_root)


def test_every_table_is_there_row_for_row_without_what_is_left_out(bundle, study):
    names = study.tables()["table"].tolist()
    assert sorted(path.stem for path in (bundle / "tables").glob("*.parquet")) == sorted(names)
    for name in names:
        exported = pd.read_parquet(bundle / "tables" / f"{name}.parquet")
        # in the order of the file: the local authority with most LSOAs first
        kept = study.read(name).drop(columns=list(LEFT_OUT), errors="ignore")
        assert list(exported.columns) == list(kept.columns)
        for column in kept:
            for mine, its in zip(exported[column], kept[column], strict=True):
                np.testing.assert_array_equal(mine, its, err_msg=f"{name}.{column}")


def test_no_picture_and_no_path_of_one_is_in_any_file(bundle):
    assert {path.suffix for path in bundle.rglob("*") if path.is_file()} == {
        ".parquet", ".csv", ".gpkg", ".md", ".cff", ""
    }  # fmt: skip
    for path in bundle.rglob("*.parquet"):
        assert not set(LEFT_OUT) & set(pq.read_schema(path).names), path.name
    for path in bundle.rglob("*"):
        assert path.is_dir() or f"images/{KNOWN}".encode() not in path.read_bytes()


def test_a_csv_file_stands_beside_each_table_without_embeddings_and_says_the_same(bundle):
    embedded = {"image_embeddings", "lsoa_features"}
    parquet = {path.stem for path in (bundle / "tables").glob("*.parquet")}
    assert {path.stem for path in (bundle / "tables").glob("*.csv")} == parquet - embedded
    for name in sorted(parquet - embedded):
        said = pd.read_csv(bundle / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])
        meant = pd.read_parquet(bundle / "tables" / f"{name}.parquet")
        assert list(said.columns) == list(meant.columns)
        for column in meant.select_dtypes("number"):
            np.testing.assert_array_equal(said[column].to_numpy(float), meant[column].to_numpy(float))
        for column in meant.select_dtypes("str").drop(columns="road_name", errors="ignore"):
            assert said[column].fillna("").tolist() == meant[column].fillna("").tolist(), f"{name}.{column}"


def test_outlines_in_csv_are_well_known_text(bundle):
    said = pd.read_csv(bundle / "tables" / "lsoa_boundaries.csv").set_index("lsoa_code")
    assert shapely.from_wkt(said.loc["Z1", "geometry"]).equals(shapely.box(0, 0, 100, 100))


def test_a_text_that_a_spreadsheet_would_run_is_made_harmless_in_csv_alone(bundle):
    said = pd.read_csv(bundle / "tables" / "road_segments.csv")["road_name"].tolist()
    run = ['=HYPERLINK("http://evil.example")', "-2+3", "@SUM(A1)"]
    assert said == [*(f"'{text}" for text in run), "-x_9.Z", "High Street"]
    assert pd.read_parquet(bundle / "tables" / "road_segments.parquet")["road_name"].tolist()[:3] == run


def test_lsoas_join_places_deprivation_features_and_the_headline_model(bundle):
    for lsoas in (gpd.read_parquet(bundle / "lsoas.parquet"), gpd.read_file(bundle / "lsoas.gpkg", layer="lsoas")):
        assert lsoas.crs.to_epsg() == 27700
        by_code = lsoas.set_index("lsoa_code")
        assert set(by_code.index) == {code for codes in LSOAS.values() for code in codes}
        assert set(by_code.geom_type) == {"MultiPolygon"}
        assert by_code.geometry.loc["Z2"].equals(shapely.box(100, 0, 200, 100))
        assert by_code.loc[["Z1", "Z2", "Z3"], "shops_share"].tolist() == [0.25, 0.5, 0.75]
        assert by_code.loc[["Z1", "Z7"], "imd_rank"].tolist() == [1, 11]
        assert by_code.loc["Z7", ["n_images", "shops_share"]].isna().all()
        assert set(by_code["model_id"]) == {HEADLINE}
        assert set(by_code["predicted"]) == {1.5}
    spreadsheet = pd.read_csv(bundle / "lsoas.csv")
    assert "geometry" not in spreadsheet
    assert len(spreadsheet) == 6


def test_points_stand_on_the_map_where_they_are_and_those_without_a_position_do_not(bundle):
    points = gpd.read_file(bundle / "lsoas.gpkg", layer="sample_points")
    assert sorted((point.x, point.y) for point in points.geometry) == [(50, 50), (150, 50), (250, 50)]
    panoramas = gpd.read_file(bundle / "lsoas.gpkg", layer="panoramas")
    assert sorted((point.x, point.y) for point in panoramas.geometry) == [(50, 51), (150, 51)]
    assert panoramas.crs.to_epsg() == 27700


def test_the_geopackage_says_of_itself_what_a_program_for_maps_asks(bundle):
    connection = sqlite3.connect(f"file:{bundle / 'lsoas.gpkg'}?mode=ro", uri=True)
    ask = lambda query: connection.execute(query).fetchall()  # noqa: E731
    # "GPKG", which every program looks for first
    assert ask("PRAGMA application_id") == [(0x47504B47,)]
    assert ask("PRAGMA integrity_check") == [("ok",)]
    layers = ask("SELECT table_name, data_type, srs_id FROM gpkg_contents ORDER BY table_name")
    assert layers == [(name, "features", 27700) for name in ("lsoas", "panoramas", "sample_points")]
    shapes = ask("SELECT table_name, geometry_type_name, srs_id FROM gpkg_geometry_columns ORDER BY table_name")
    assert shapes == [
        ("lsoas", "MULTIPOLYGON", 27700),
        ("panoramas", "POINT", 27700),
        ("sample_points", "POINT", 27700),
    ]
    assert ask("SELECT organization, organization_coordsys_id FROM gpkg_spatial_ref_sys WHERE srs_id = 27700") == [
        ("EPSG", 27700)
    ]
    assert len(ask("SELECT * FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index'")) == 3
    connection.close()


def test_synthetic_images_are_named_wherever_a_file_can_say_so(bundle):
    assert "SYNTHETIC IMAGES" in (bundle / "README.md").read_text().splitlines()[0]
    for path in bundle.rglob("*.parquet"):
        assert "SYNTHETIC IMAGES" in json.loads(pq.read_schema(path).metadata[b"streetimd"])["study"]
    with sqlite3.connect(bundle / "lsoas.gpkg") as connection:
        described = connection.execute("SELECT description FROM gpkg_contents").fetchall()
    assert all("SYNTHETIC IMAGES" in text for (text,) in described)


def test_the_dictionary_explains_each_column_of_each_file(bundle):
    explained = pd.read_csv(bundle / "data_dictionary.csv", keep_default_na=False)
    for path in [bundle / "lsoas.parquet", *(bundle / "tables").glob("*.parquet")]:
        rows = explained[explained["table"] == path.stem]
        assert rows["column"].tolist() == pq.read_schema(path).names
        assert rows["meaning"].str.len().min() > 3
    distance = explained[(explained["table"] == "panoramas") & (explained["column"] == "distance_m")].iloc[0]
    assert distance[["type", "unit", "nullable"]].tolist() == ["DOUBLE", "m", True]


def test_checksums_are_those_of_every_file(bundle):
    said = dict(line.split("  ")[::-1] for line in (bundle / "SHA256SUMS").read_text().splitlines())
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    assert set(said) == set(files) - {"SHA256SUMS"}
    for name, digest in said.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest


def test_images_are_credited_by_source_and_licence_and_a_credit_cannot_format_the_page(bundle):
    table = [line for line in (bundle / "LICENCES.md").read_text().splitlines() if line.startswith("| mapillary")]
    assert table == [
        r"| mapillary | CC-BY-SA-4.0 | Ann \| \<b\>Bee\</b\> | 2 |",
        "| mapillary | CC-BY-SA-4.0 | not known | 1 |",
    ]


def test_licences_of_real_places_and_of_googles_pictures_are_told():
    england = DEMO.model_copy(update={"geography": DEMO.geography.model_copy(update={"source": "ons"})})
    none = pd.DataFrame(columns=["source", "licence", "credit", "n_images"])
    text = licences(england, {"google": find_provider("google").terms}, none)
    for said in ("Open Government Licence v3.0", "ODbL", "OpenStreetMap contributors", "may be kept"):
        assert said in text
    assert "May be shared: ids of panoramas" in text
    assert "May not be shared: the pictures" in text
    assert "May not be shared" not in licences(england, {"mapillary": find_provider("mapillary").terms}, none)


def test_the_citation_is_a_valid_entry_whatever_the_studys_title():
    title = 'Streets: "ours" # 1'
    read = yaml.safe_load(citation(DEMO.model_copy(update={"title": title}), "1.2.3", date(2026, 1, 2)))
    assert read["cff-version"] == "1.2.0"
    assert read["title"].startswith(title)
    assert read["type"] == "dataset"
    assert {"message", "authors", "version", "date-released", "references"} <= set(read)


def test_one_local_authority_alone_brings_only_its_own_rows(settings, tmp_path):
    folder = export_study(settings, tmp_path / "bundle", [EMPTY.capitalize()], lambda line: None)
    assert pd.read_parquet(folder / "lsoas.parquet")["lsoa_code"].tolist() == LSOAS[EMPTY]
    predictions = pd.read_parquet(folder / "tables" / "lsoa_predictions.parquet")
    assert set(predictions["lad_code"]) == {LAD_CODES[EMPTY]}
    # nothing of it has these
    assert not (folder / "tables" / "street_images.parquet").exists()
    assert gpd.list_layers(folder / "lsoas.gpkg")["name"].tolist() == ["lsoas"]


def test_raters_are_numbered_and_their_names_are_in_no_file(settings, tmp_path):
    named = Settings("demo", tmp_path / "data")
    shutil.copytree(settings.study_folder("demo"), named.study_folder("demo"))
    store = House(DEMO, named).store
    labels = {"image_id": ["i1", "i1", "i2"], "rater": ["Zoë Quill", "Ann Dibble", "Zoë Quill"], "label": "park"}
    more = {"lad_code": LAD_CODES[KNOWN], "labelled_at": None, "file": "labels_demo_farrowby_Zoë-Quill.csv"}
    store.write("image_labels", pd.DataFrame(labels | more))
    figure = {"figure": "cohens_kappa", "value": 0.7, "low": None, "high": None, "n_images": 9}
    store.write("label_figures", pd.DataFrame([figure | {"detail": "Ann Dibble and Zoë Quill"}]))
    folder = export_study(named, tmp_path / "bundle", None, lambda line: None)
    exported = pd.read_parquet(folder / "tables" / "image_labels.parquet")
    said = set(exported[["image_id", "rater"]].itertuples(index=False, name=None))
    assert said == {("i1", "rater 2"), ("i1", "rater 1"), ("i2", "rater 2")}
    assert pd.read_csv(folder / "tables" / "image_labels.csv")["rater"].tolist() == exported["rater"].tolist()
    assert pd.read_parquet(folder / "tables" / "label_figures.parquet")["value"].tolist() == [0.7]
    for path in folder.rglob("*"):
        assert path.is_dir() or not any(name.encode() in path.read_bytes() for name in ("Quill", "Dibble")), path
    explained = pd.read_csv(folder / "data_dictionary.csv").set_index("column")
    assert explained.loc["rater", "meaning"] == "number of the rater; the name stays behind"
    assert "are numbered in `image_labels`" in (folder / "README.md").read_text()


def test_a_local_authority_without_imagery_is_exported_without_rows(settings, tmp_path):
    bare = Settings("demo", tmp_path / "data")
    shutil.copytree(settings.study_folder("demo"), bare.study_folder("demo"))
    store = House(DEMO, bare).store
    for name in ("panoramas", "street_images", "image_embeddings", "lsoa_predictions", "model_scores"):
        slug = KNOWN if store.table(name).is_partitioned else None
        store.write(name, empty_frame(store.table(name)), slug)
    folder = export_study(bare, tmp_path / "bundle", None, lambda line: None)
    assert len(pd.read_parquet(folder / "tables" / "street_images.parquet")) == 0
    assert gpd.read_parquet(folder / "lsoas.parquet")["predicted"].isna().all()
    assert "| none yet | | | 0 |" in (folder / "LICENCES.md").read_text()


def test_the_papers_name_the_layers_that_are_there_alone(bundle, settings, tmp_path):
    folder = export_study(settings, tmp_path / "bundle", [EMPTY], lambda line: None)
    for made, layers in ((bundle, "`lsoas`, `sample_points`, `panoramas`."), (folder, "`lsoas`.")):
        assert f"in EPSG:27700 (metres): {layers}\n" in (made / "README.md").read_text()


def test_a_folder_that_may_not_be_written_is_told_with_the_option_that_names_another(settings, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"cannot be written \(.*\); name another folder with --to$"):
        export_study(settings, tmp_path / "file" / "bundle", None, lambda line: None)


def test_a_folder_that_is_there_is_refused_and_left_alone(settings, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"mine is already there; name another folder, or remove it first$"):
        export_study(settings, tmp_path / "mine", None, lambda line: None)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "work.txt"]


def test_a_table_that_cannot_be_read_leaves_no_half_of_a_bundle(settings, tmp_path):
    broken = Settings("demo", tmp_path / "data")
    shutil.copytree(settings.study_folder("demo"), broken.study_folder("demo"))
    (broken.study_folder("demo") / "tables" / "model_scores" / "part.duckdb").write_bytes(b"broken")
    with pytest.raises(TableUnreadableError, match="model_scores"):
        export_study(broken, tmp_path / "out" / "bundle", None, lambda line: None)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_exported_is_said_in_one_sentence(settings, tmp_path):
    with pytest.raises(UnknownLocalAuthorityError, match="atlantis"):
        export_study(settings, tmp_path / "bundle", ["atlantis"], lambda line: None)
    with pytest.raises(
        TableMissingError, match=r"nothing of alderwick has been materialised .* `streetimd run demo`"
    ):
        export_study(settings, tmp_path / "bundle", ["alderwick"], lambda line: None)
    with pytest.raises(TableMissingError, match="nothing has been materialised"):
        export_study(Settings("demo", tmp_path), tmp_path / "bundle", None, lambda line: None)
    assert list(tmp_path.iterdir()) == []
