"""What bad input gets: one clear sentence in the run, as the UI shows it, and nothing lost."""

import resource
from contextlib import contextmanager

import dagster as dg
import numpy as np
import pytest
from PIL import Image

from streetimd_assets.study import LocalAuthority, load_study
from streetimd_tests.graph import collect, failure_sentence, hashes, new_instance, store_of
from streetimd_tests.standins import serve_small_world
from streetimd_tests.standins.overpass import Overpass
from streetimd_tests.standins.server import StandIn

UP_TO_IMAGES = ["lsoa_boundaries", "road_segments", "sample_points", "panoramas", "street_images"]
UP_TO_INDEX = ["lsoa_boundaries", "deprivation_indices"]
WEST = LocalAuthority("west", "E09000801", "West", 12)


@pytest.fixture(scope="module")
def addresses():
    with serve_small_world() as served:
        yield served


@pytest.fixture
def instance(tmp_path):
    with new_instance(tmp_path / "dagster") as kept:
        yield kept


@pytest.fixture
def study_of(addresses, tmp_path):
    """Write a study of the stand-ins' invented district, with some lines replaced."""

    def write(folder, *, overpass_url=None, deprivation_url=None):
        path = tmp_path / "study.toml"
        path.write_text(
            'name = "demo"\nlocal_authorities = ["Camden"]\ncategory_set = "uk-streets"\n'
            f'[geography]\nboundaries = "{addresses.lsoa_service}"\n'
            f'lookup = "{addresses.lookup_service}"\n'
            f'overpass_url = "{overpass_url or addresses.overpass_url}"\n'
            f'[deprivation]\nurl = "{deprivation_url or addresses.deprivation_url}"\ncovers = "part"\n'
            f'[imagery]\nsource = "folder"\nfolder = "{folder}"\n'
        )
        study = load_study(path)
        # a district that England does not have
        study.__dict__["authorities"] = (WEST,)
        return study

    return write


@pytest.fixture
def photographs(tmp_path):
    """A sound photograph in West, one cut off in the file, and their manifest."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "sound.jpg")
    (folder / "cut.jpg").write_bytes((folder / "sound.jpg").read_bytes()[:5000])
    (folder / "manifest.csv").write_text(
        "image_path,longitude,latitude,heading\nsound.jpg,-0.0985,51.5012,90\ncut.jpg,-0.0945,51.5012,180\n"
    )
    return folder


def with_manifest(study, folder):
    imagery = study.imagery.model_copy(update={"manifest": str(folder / "manifest.csv")})
    changed = study.model_copy(update={"imagery": imagery})
    changed.__dict__["authorities"] = (WEST,)
    return changed


def test_a_corrupt_image_is_a_row_and_the_others_go_on(study_of, photographs, tmp_path, instance):
    study = with_manifest(study_of(photographs), photographs)
    assert collect(study, tmp_path, "west", instance, assets=UP_TO_IMAGES).success
    images = store_of(study, tmp_path).read("street_images", "west").set_index("point_id")
    assert dict(images["status"]) == {"sound": "ok", "cut": "invalid_image"}
    assert images.loc["cut", "status_detail"]


def test_an_unreadable_image_folder_is_one_sentence(study_of, tmp_path, instance):
    study = study_of(tmp_path / "nowhere")
    result = collect(study, tmp_path, "west", instance, assets=UP_TO_IMAGES)
    said = failure_sentence(result)
    assert "nowhere" in said
    assert "set imagery.folder" in said
    assert len(store_of(study, tmp_path).read("sample_points", "west")) > 20


def test_an_empty_road_network_is_one_sentence(study_of, tmp_path, instance):
    with StandIn(Overpass([]).answer) as empty:
        study = study_of(tmp_path, overpass_url=f"{empty.address}/api")
        result = collect(study, tmp_path, "west", instance, assets=UP_TO_IMAGES[:3])
    said = failure_sentence(result)
    assert "road" in said
    assert "highway_classes" in said or "West" in said


def test_an_index_of_another_edition_than_the_study_says_is_one_sentence(study_of, addresses, tmp_path, instance):
    study = study_of(tmp_path, deprivation_url=addresses.deprivation_2019_url)
    said = failure_sentence(collect(study, tmp_path, "west", instance, assets=UP_TO_INDEX))
    assert "2019" in said
    assert "deprivation.url" in said


def test_lsoa_codes_of_2011_and_2021_are_never_joined_silently(study_of, addresses, tmp_path, instance):
    study = study_of(tmp_path, deprivation_url=addresses.deprivation_2019_url)
    of_2019 = study.deprivation.model_copy(update={"index": "iod2019"})
    study = study.model_copy(update={"deprivation": of_2019})
    study.__dict__["authorities"] = (WEST,)
    said = failure_sentence(collect(study, tmp_path, "west", instance, assets=UP_TO_INDEX))
    assert "has no field LSOA11CD, only" in said
    assert "iod2019 on those of 2011" in said
    assert not store_of(study, tmp_path).holds("lsoa_boundaries", "west")


@contextmanager
def a_full_disk():
    """Let no file of this process grow beyond 20 kB, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_one_sentence_and_the_old_table_stays(study_of, tmp_path):
    study = study_of(tmp_path)
    # an instance in memory: the full disk must be met by our table, not by Dagster's log
    with dg.DagsterInstance.ephemeral() as instance:
        assert collect(study, tmp_path, "west", instance, assets=["lsoa_boundaries"]).success
        before = hashes(tmp_path / "demo")
        with a_full_disk():
            result = collect(study, tmp_path, "west", instance, assets=["lsoa_boundaries"])
        said = failure_sentence(result)
    assert "there is no room left to write" in said
    assert "free some space" in said
    assert hashes(tmp_path / "demo") == before
