"""A study that buys its images: cost known first, nothing twice, never over a limit, pictures gone when due."""

import os
import shutil
import subprocess
import sys
from functools import partial

import pytest
from typer.testing import CliRunner

from streetimd_assets.cli import app
from streetimd_assets.defs.house import House
from streetimd_assets.encoders import clip, computing, load_encoder
from streetimd_assets.errors import DiskFullError
from streetimd_assets.settings import Settings
from streetimd_assets.store.chunks import Chunks
from streetimd_assets.store.images import ImageStore
from streetimd_assets.study import load_study
from streetimd_tests.graph import collect as collect_study
from streetimd_tests.graph import failure_sentence, new_instance
from streetimd_tests.standins.google import serve_google
from streetimd_tests.standins.local_files import write_district

KEY = "AIzaPlantedKeyOfThisTest"
BUDGET = "[budget]\nmax_images_per_month = 100000\n"
PLACES = ["lsoa_boundaries", "road_segments", "deprivation_indices", "sample_points"]
DEMO_ENCODER = 'model = "streetimd-demo"\nweights = "bundled"\n'
BEFORE_IMAGES = ["panoramas", "imagery_plan"]
ALL = [
    *("panoramas", "imagery_plan", "imagery_map", "street_images", "attribution_sheet", "image_embeddings"),
    *("category_embeddings", "prompt_variants", "category_probabilities", "prompt_sensitivities"),
    *("assessment_images", "classification_report"),
]
IMAGES = ["panoramas", "imagery_plan", "street_images"]
CAMDEN = "camden"


@pytest.fixture(scope="module")
def google():
    with serve_google(key=KEY, shared_share=0.1, zero_results_share=0.05, displaced_share=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def district(google, tmp_path_factory):
    """The places of a study, made once: its files, and a folder with boundaries, roads and points."""
    folder = tmp_path_factory.mktemp("district")
    sections = write_district(folder / "files")
    with new_instance(folder / "kept" / "dagster") as instance:
        study = write_study(folder / "study.toml", sections, google)
        assert collect_study(study, folder / "kept" / "data", CAMDEN, instance, assets=PLACES).success
    return sections, folder / "kept"


def write_study(path, sections, google, imagery="", budget=BUDGET, accepts=True, encoder=DEMO_ENCODER):
    path.write_text(
        'name = "west"\nlocal_authorities = ["Camden"]\ncategory_set = "demo"\n'
        f"{sections}[sampling]\nspacing_m = 100\n[encoder]\n{encoder}"
        f'[imagery]\nsource = "google"\naddress = "{google.address}"\nimage_size_px = 96\n'
        f"accept_terms = {str(accepts).lower()}\n{imagery}\n{budget}",
        encoding="utf-8",
    )
    return load_study(path)


@pytest.fixture
def place(google, district, tmp_path, monkeypatch):
    """A folder of its own, a running provider and a study of both."""
    monkeypatch.setenv("GOOGLE_MAPS_API_KEY", KEY)
    google.change(seed=1, always="", key=KEY)
    sections, kept = district
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    write = partial(write_study, tmp_path / "study.toml", sections, google)
    with new_instance(tmp_path / "dagster") as instance:
        yield Place(write, google, tmp_path / "data", instance)


class Place:
    """Runs parts of the study and counts what the provider billed meanwhile."""

    def __init__(self, write, google, data, instance):
        self.write, self.google, self.data, self.instance = write, google, data, instance

    def collect(self, study, assets, **options):
        return collect_study(study, self.data, CAMDEN, self.instance, assets=assets, **options)

    def make(self, study, assets, **options):
        before = self.google.counts()["n_billed"]
        result = self.collect(study, assets, **options)
        assert result.success, failure_sentence(result)
        return self.google.counts()["n_billed"] - before

    def read(self, study, name):
        return House(study, Settings("west", self.data)).store.read(name, CAMDEN)

    def images(self, study):
        return ImageStore(self.data / study.name, CAMDEN)

    def metadata(self, asset):
        event = self.instance.get_latest_materialization_event(_key(asset))
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def _key(asset):
    import dagster as dg

    return dg.AssetKey(asset)


def test_the_plan_states_what_is_then_bought_and_a_second_run_buys_nothing(place):
    study = place.write()
    assert place.make(study, BEFORE_IMAGES) == 0
    plan = place.read(study, "imagery_plan")
    usable = place.read(study, "panoramas").query("status == 'ok'")
    n_to_buy = int(plan["n_images_to_fetch"].sum())
    assert n_to_buy == 4 * usable["panorama_id"].nunique() > 100
    assert plan["cost_usd"].sum() == 0, "the month's first 10,000 are free"
    assert place.make(study, ["street_images"]) == n_to_buy
    images = place.read(study, "street_images")
    assert len(images) == n_to_buy
    assert (images["status"] == "ok").all()
    assert set(images["heading_deg"]) == {0, 90, 180, 270}
    assert images["sha256"].is_unique
    assert place.make(study, IMAGES) == 0
    after = place.read(study, "imagery_plan")
    assert after["n_images_held"].sum() == n_to_buy
    assert after["n_images_to_fetch"].sum() == 0


def test_a_refresh_fetches_only_panoramas_that_are_new(place):
    study = place.write()
    place.make(study, [*BEFORE_IMAGES, "street_images"])
    assert place.make(study, IMAGES) == 0
    unchanged = place.metadata("panoramas")
    assert unchanged["n_new"] == unchanged["n_gone"] == 0
    place.google.change(seed=2)
    bought = place.make(study, IMAGES)
    now = place.read(study, "panoramas").query("status == 'ok'")
    assert bought == 4 * now["panorama_id"].nunique()
    assert place.metadata("panoramas")["n_unchanged"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accepts": False}, ["accept_terms = true", "https://"]),
        ({"budget": ""}, ["costs money", "max_images_per_month", "streetimd plan"]),
    ],
)
def test_without_accepted_terms_or_a_budget_nothing_is_bought(place, changes, said):
    study = place.write(**changes)
    before = place.google.counts()["n_billed"]
    result = place.collect(study, [*BEFORE_IMAGES, "street_images"])
    sentence = failure_sentence(result)
    assert all(part in sentence for part in said), sentence
    assert place.google.counts()["n_billed"] == before


def test_without_a_key_the_sentence_names_the_variable(place, monkeypatch, tmp_path):
    monkeypatch.delenv("GOOGLE_MAPS_API_KEY")
    sentence = failure_sentence(place.collect(place.write(), BEFORE_IMAGES))
    assert "GOOGLE_MAPS_API_KEY" in sentence
    assert ".env" in sentence
    (tmp_path / ".env").write_text(f"GOOGLE_MAPS_API_KEY={KEY}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert place.make(place.write(), BEFORE_IMAGES) == 0


def test_a_limit_stops_cleanly_and_a_larger_one_buys_only_the_rest(place):
    study = place.write(budget="[budget]\nmax_images_per_month = 50\n")
    place.make(study, BEFORE_IMAGES)
    n_planned = int(place.read(study, "imagery_plan")["n_images_to_fetch"].sum())
    before = place.google.counts()["n_billed"]
    sentence = failure_sentence(place.collect(study, ["street_images"]))
    assert place.google.counts()["n_billed"] - before == 50
    assert "50" in sentence
    assert f"{n_planned - 50:,}" in sentence, sentence
    assert len(place.images(study).recorded()) == 50
    assert place.make(place.write(), ["street_images"]) == n_planned - 50


def test_pictures_that_may_not_be_kept_are_embedded_deleted_and_linked_to(place):
    study = place.write()
    assert study.imagery.retain_images is None, "the provider's terms decide"
    place.make(study, ALL)
    images = place.read(study, "street_images")
    assert place.images(study).files() == (0, 0)
    assert len(place.read(study, "image_embeddings")) == len(images) > 100
    page = (place.data / "west" / "pages" / "classification_report" / "camden.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" not in page
    assert "https://www.google.com/maps/@?api=1&amp;map_action=pano" in page
    assert "preview" not in place.metadata("classification_report")
    before = place.read(study, "image_embeddings")
    assert place.make(study, ALL) == 0
    after = place.read(study, "image_embeddings")
    assert [row.tolist() for row in before["embedding"]] == [row.tolist() for row in after["embedding"]]


def test_a_machine_that_would_choose_other_bits_carries_on_a_study_whose_pictures_are_deleted(place, monkeypatch):
    study = place.write()
    collected = [*BEFORE_IMAGES, "street_images", "image_embeddings"]
    n_images = place.make(study, collected)
    assert place.images(study).files() == (0, 0)
    told = place.metadata("image_embeddings")
    assert (told["device"], told["precision"], told["batch_size"]) == ("cpu", "32 bits", 32)
    assert told["images_per_second"] > 0
    assert 0 < told["share_of_matrix_multiply_peak"] < 2
    before = place.read(study, "image_embeddings")
    # as a study is that was embedded before anybody could choose
    (told,) = (place.data / study.name / "tables").glob("encoder-*.txt")
    told.unlink()
    monkeypatch.setattr(clip, "is_vision_transformer", lambda config: True)
    monkeypatch.setattr(computing, "processor_flags", lambda: frozenset({"avx512_bf16"}))
    assert load_encoder("streetimd-demo", "bundled", device="cpu").identity.endswith(" bf16")
    assert place.make(study, collected) == 0
    after = place.read(study, "image_embeddings")
    assert len(after) == n_images
    assert before["encoder"].tolist() == after["encoder"].tolist()
    told = place.metadata("image_embeddings")
    assert (told["n_carried_on"], told["n_embedded_now"], told["precision"]) == (n_images, 0, "32 bits")
    assert "images_per_second" not in told


def test_a_smaller_study_and_back_again_loses_no_embedding_of_a_deleted_picture(place):
    study = place.write()
    n_images = place.make(study, ALL)
    few = place.write(imagery="max_distance_m = 5")
    assert place.make(few, ALL) == 0
    n_few = len(place.read(few, "image_embeddings"))
    assert 0 < n_few < n_images
    assert place.make(study, ALL) == 0
    assert len(place.read(study, "image_embeddings")) == n_images


def test_a_disk_that_is_full_when_the_table_is_put_in_place_loses_no_embedding_of_a_deleted_picture(
    place, monkeypatch
):
    study, few = place.write(), place.write(imagery="max_distance_m = 5")
    n_images = place.make(study, ALL)
    # on the way to fewer images, and on the way back
    for wanted in (few, study):
        with monkeypatch.context() as full:
            full.setattr(Chunks, "publish", _full)
            assert "no room" in failure_sentence(place.collect(wanted, ["street_images", "image_embeddings"]))
        assert place.make(wanted, ["street_images", "image_embeddings"]) == 0
    assert len(place.read(study, "image_embeddings")) == n_images
    assert not list((place.data / study.name / "tables").rglob("set_aside.duckdb"))


def test_pictures_that_are_not_embedded_yet_are_not_deleted_with_those_that_are(place):
    study, few = place.write(), place.write(imagery="max_distance_m = 5")
    n_images = place.make(study, [*BEFORE_IMAGES, "street_images"])
    assert place.make(few, [*BEFORE_IMAGES, "street_images", "image_embeddings"]) == 0
    n_few = len(place.read(few, "image_embeddings"))
    assert place.images(study).files()[0] == n_images - n_few > 0
    assert place.make(study, [*BEFORE_IMAGES, "street_images", "image_embeddings"]) == 0
    assert len(place.read(study, "image_embeddings")) == n_images
    assert place.images(study).files() == (0, 0)


def test_pictures_kept_until_now_leave_their_embeddings_where_the_study_becomes_smaller_too(place):
    kept = place.write(imagery="retain_images = true")
    n_images = place.make(kept, [*BEFORE_IMAGES, "street_images", "image_embeddings"])
    few = place.write(imagery="max_distance_m = 5")
    assert place.make(few, [*BEFORE_IMAGES, "street_images", "image_embeddings"]) == 0
    assert place.images(few).files() == (0, 0)
    study = place.write()
    assert place.make(study, [*BEFORE_IMAGES, "street_images", "image_embeddings"]) == 0
    assert len(place.read(study, "image_embeddings")) == n_images


def _full(chunks):
    raise DiskFullError("no room")


def test_two_runs_never_collect_the_same_local_authority_at_once(place):
    study = place.write()
    place.make(study, BEFORE_IMAGES)
    before = place.google.counts()["n_billed"]
    with place.images(study).alone():
        sentence = failure_sentence(place.collect(study, ["street_images"]))
    assert "another run" in sentence
    assert place.google.counts()["n_billed"] == before
    assert place.make(study, ["street_images"]) > 0


def test_pictures_purged_before_they_were_embedded_are_planned_again_and_bought_only_if_told(place, monkeypatch):
    study = place.write(imagery="retain_images = true")
    n_images = place.make(study, [*BEFORE_IMAGES, "street_images"])
    monkeypatch.chdir(place.data.parent)
    said = CliRunner().invoke(app, ["purge", "study.toml", "--data", str(place.data), "--yes"])
    assert f"{n_images:,} of them have not been embedded" in said.output
    place.make(study, ["imagery_plan"])
    assert place.read(study, "imagery_plan")["n_images_to_fetch"].sum() == n_images
    assert place.make(study, ["street_images"]) == 0
    assert f"{n_images:,} pictures" in failure_sentence(place.collect(study, ["image_embeddings"]))
    config = {"ops": {"street_images": {"config": {"fetch_again": True}}}}
    assert place.make(study, ["street_images", "image_embeddings"], run_config=config) == n_images
    # once embedded, being told once more buys nothing
    assert place.make(study, ["street_images", "image_embeddings"], run_config=config) == 0


def test_links_to_the_provider_look_in_the_direction_of_the_image(place):
    study = place.write()
    place.make(study, [*BEFORE_IMAGES, "street_images"])
    images = place.read(study, "street_images")
    for heading, link in zip(images["heading_deg"], images["viewer_url"], strict=True):
        assert link.endswith(f"&heading={heading:g}"), link


def test_another_encoder_says_what_deleted_pictures_would_cost_and_buys_them_only_if_told(place, tmp_path):
    study = place.write()
    n_images = place.make(study, ALL)
    weights = tmp_path / "other.safetensors"
    _copy_of_demo_weights(weights)
    other = place.write(encoder=f'model = "streetimd-demo"\nweights = "{weights}"\n')
    sentence = failure_sentence(place.collect(other, ["image_embeddings"]))
    assert f"{n_images:,} pictures" in sentence
    assert "$" in sentence
    assert "--fetch-again" in sentence
    config = {"ops": {"street_images": {"config": {"fetch_again": True}}}}
    assert place.make(other, ["street_images", "image_embeddings"], run_config=config) == n_images
    assert place.read(other, "image_embeddings")["encoder"].nunique() == 1


def _copy_of_demo_weights(path):
    """The demo's weights with one number changed: another file, and another encoder."""
    from importlib.resources import files

    from safetensors.numpy import load, save_file

    (bundled,) = (files("streetimd_assets.encoders") / "demo").glob("*.safetensors")
    tensors = load(bundled.read_bytes())
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] * 1.01
    save_file(tensors, path)


def test_purge_deletes_pictures_and_nothing_that_was_learnt_from_them(place, monkeypatch):
    study = place.write(imagery="retain_images = true")
    n_images = place.make(study, ALL)
    assert place.images(study).files()[0] == n_images
    monkeypatch.chdir(place.data.parent)
    said = CliRunner().invoke(app, ["purge", "study.toml", "--data", str(place.data), "--yes"])
    assert f"deleted {n_images:,} pictures" in said.output
    assert place.images(study).files() == (0, 0)
    assert not list(place.data.rglob("*.jpg"))
    assert len(place.read(study, "image_embeddings")) == n_images
    assert place.make(study, ["street_images", "image_embeddings"]) == 0


def test_other_pictures_of_the_same_panoramas_are_not_taken_for_the_ones_held(place):
    study = place.write(imagery="retain_images = true")
    n_images = place.make(study, [*BEFORE_IMAGES, "street_images"])
    wider = place.write(imagery="retain_images = true\nfield_of_view_deg = 60")
    assert place.make(wider, IMAGES) == n_images


def test_headings_may_follow_the_road(place):
    study = place.write(imagery='retain_images = true\nheadings_from = "road"\nheadings_deg = [0, 180]')
    place.make(study, [*BEFORE_IMAGES, "street_images"])
    images = place.read(study, "street_images")
    points = place.read(study, "sample_points").set_index("point_id")
    bearing = points.loc[images["point_id"], "road_bearing_deg"].to_numpy()
    off = (images["heading_deg"].to_numpy() - bearing) % 180
    assert ((off < 0.01) | (off > 179.99)).all()
    assert images.groupby("panorama_id")["heading_deg"].nunique().eq(2).all()


def test_the_plan_command_prints_coverage_and_cost_and_buys_nothing(place):
    place.write(budget="")
    folder = place.data.parent
    before = place.google.counts()
    # in a process of its own: Dagster keeps what a command opens for the rest of a process's life
    command = [sys.executable, "-m", "streetimd_assets.cli", "plan", "study.toml", "--data", str(place.data)]
    said = subprocess.run(
        [*command, "--local-authority", "camden"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "DAGSTER_HOME": ""},
        check=False,
    )
    assert said.returncode == 0, said.stderr
    after = place.google.counts()
    assert after["n_billed"] == before["n_billed"]
    assert after["n_metadata"] > before["n_metadata"]
    plan = House(load_study(folder / "study.toml"), Settings("west", place.data)).store.read("imagery_plan", CAMDEN)
    assert f"{plan['n_images_to_fetch'].sum():,}" in said.stdout
    assert "10,000 a month free" in said.stdout
    assert "max_images_per_month" in said.stdout
