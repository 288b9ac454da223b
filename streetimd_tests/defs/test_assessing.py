"""Looking at a classification on the demo: other words, a control, contact sheets, search by words, purge."""

import base64
import io
import shutil
from dataclasses import replace

import dagster as dg
import pytest
from PIL import Image

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs import purging, searching
from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.errors import ScienceError, StudyError, TableMissingError
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_assets.study.reading import bundled_study_text
from streetimd_tests.graph import new_instance, tiny_study
from streetimd_tests.plots.reading_pages import ReadPage

DEMO = load_study("demo")
LOOKED_AT = "classification_report"
SLUGS = ("farrowby", "elmsthorpe")


class Looked:
    """Two small local authorities of the demo, in two directions, one materialised up to its contact sheets."""

    def __init__(self, folder):
        self.settings = Settings("demo", folder)
        imagery = tiny_study().imagery.model_copy(update={"headings_deg": (0, 180)})
        self.house = House(tiny_study(imagery=imagery), self.settings)
        self.store = self.house.store
        self.definitions = build_defs(self.house.study, self.settings)

    def make(self, selection, slug=None):
        with new_instance(self.settings.data_root / "dagster") as instance:
            result = dg.materialize(
                list(self.definitions.assets),
                selection=selection,
                partition_key=slug,
                instance=instance,
                resources=self.definitions.resources,
            )
        return {check.check_name: check for check in result.get_asset_check_evaluations()}


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    looked = Looked(tmp_path_factory.mktemp("looked"))
    study_wide = dg.AssetSelection.assets("category_embeddings", "prompt_variants")
    looked.make(study_wide)
    for slug, last in zip(SLUGS, (LOOKED_AT, "category_probabilities"), strict=True):
        looked.make(dg.AssetSelection.assets(last, "planted_scenes").upstream() - study_wide, slug)
    return looked


def test_each_category_of_the_demo_is_said_in_other_words(looked):
    variants = looked.store.read("prompt_variants")
    study = looked.house.study
    # the demo's only template is the prompt itself, so of its three rewordings two are left
    assert sorted(variants.loc[variants["kind"] == "reworded", "variant"].unique()) == [
        "reworded: a picture of {}.",
        "reworded: {} seen from the road.",
    ]
    n_prompts = sum(len(category.prompts) for category in study.categories.category)
    assert (variants["kind"] == "without_prompt").sum() == n_prompts
    assert variants.loc[variants["kind"] == "control", "variant"].tolist() == ["control: a cucumber"]
    assert set(variants["category_set_hash"]) == {study.categories.content_hash}


def test_the_control_takes_no_image_of_the_demo_and_other_words_few(looked):
    table = looked.store.read("prompt_sensitivities", "farrowby")
    assert set(table["n_images"]) == {len(looked.store.read("category_probabilities", "farrowby"))}
    assert table.loc[table["kind"] == "control", "n_changed"].tolist() == [0]
    assert table["changed_share"].max() < 0.1


def test_a_control_that_streets_do_show_fails_its_check_and_so_do_words_that_swap_categories(looked):
    variants = looked.store.read("prompt_variants")
    categories = looked.store.read("category_embeddings").set_index("category")["embedding"]
    other = variants.copy()
    # the control is given the words of terraced houses, and each rewording those of the next category
    following = dict(zip(categories.index, [*categories.iloc[1:], categories.iloc[0]], strict=True))
    other["embedding"] = [
        following.get(row["category"], 1.0001 * categories["terraced_houses"])
        if row["kind"] in ("reworded", "control")
        else row["embedding"]
        for row in variants.to_dict("records")
    ]
    before = looked.store.read("prompt_sensitivities", "farrowby")
    looked.store.write("prompt_variants", other)
    try:
        checks = looked.make(dg.AssetSelection.assets("prompt_sensitivities"), "farrowby")
    finally:
        looked.store.write("prompt_variants", variants)
        looked.store.write("prompt_sensitivities", before, "farrowby")
    for name in ("control_takes_few_images", "rewordings_keep_most_categories"):
        assert not checks[name].passed
        assert checks[name].severity is dg.AssetCheckSeverity.WARN
        assert "prompt" in checks[name].description or "category" in checks[name].description


def test_the_contact_sheet_has_every_chosen_image_and_its_sections(looked):
    chosen = looked.store.read("assessment_images", "farrowby")
    read = ReadPage(looked.house.page(LOOKED_AT, "farrowby").read_text(encoding="utf-8"))
    assert len(read.attributes("figure")) == len(chosen)
    assert set(chosen["reason"]) == {"highest_scoring", "least_decisive", "category_grid", "control"}
    assert "SYNTHETIC IMAGES" in read.words
    assert "a cucumber would take 0 of" in read.words


def test_words_find_the_scenes_that_were_painted(looked):
    for text, painted in (("a park with trees and grass", "park"), ("a row of shops", "shops")):
        found = searching.search_images(looked.settings, text, None, 10)
        scenes = looked.store.read_study_wide("planted_scenes", SLUGS).set_index("image_id")["category"]
        assert (scenes[found.rows["image_id"]] == painted).sum() >= 9
        assert found.rows["similarity"].is_monotonic_decreasing
        assert list(found.rows.columns) == list(searching.COLUMNS)
        assert set(found.rows["category"]) == {painted}


def test_a_search_of_one_local_authority_finds_none_of_another(looked):
    both = searching.search_images(looked.settings, "a tower block", None, 40).rows
    alone = searching.search_images(looked.settings, "a tower block", ["Elmsthorpe"], 40).rows
    assert set(both["local_authority"]) == set(SLUGS)
    assert set(alone["local_authority"]) == {"elmsthorpe"}
    among = both[both["local_authority"] == "elmsthorpe"]["image_id"].tolist()
    assert alone["image_id"].tolist()[: len(among)] == among


def test_a_search_says_what_it_searched_and_how_the_nearest_stands_out(looked):
    found = searching.search_images(looked.settings, "  a   park ", ["farrowby"], 5)
    n_images = len(looked.store.read("category_probabilities", "farrowby"))
    assert f"{n_images:,} images of Farrowby were searched" in found.notes[0]
    assert f"similarity {found.rows['similarity'].iloc[0]:.3f}" in found.notes[1]
    assert found.page == looked.house.page("search", "a-park")
    words = ReadPage(found.page.read_text(encoding="utf-8")).words
    assert all(note in words for note in found.notes)


@pytest.mark.parametrize(
    ("text", "where", "n_images", "error", "said"),
    [
        ("  ", None, 5, ScienceError, "nothing to search for"),
        ("a park", None, 0, ScienceError, "0 images cannot be shown"),
        ("a park", None, 1001, ScienceError, "1001 images cannot be shown"),
        ("a park", ["alderwick"], 5, TableMissingError, "no image of alderwick has been embedded yet"),
        ("a park", ["Atlantis"], 5, StudyError, "Atlantis"),
    ],
)
def test_a_search_that_cannot_be_is_refused_in_one_sentence(looked, text, where, n_images, error, said):
    with pytest.raises(error, match=said):
        searching.search_images(looked.settings, text, where, n_images)


def test_a_study_without_embeddings_says_so(tmp_path):
    with pytest.raises(TableMissingError, match="no image of demo has been embedded yet"):
        searching.search_images(Settings("demo", tmp_path), "a park")


def test_images_of_another_encoder_are_not_searched(looked):
    images, embeddings = looked.store.read_embeddings("farrowby")
    stranger = images.assign(encoder="ViT-B-32/other@sha256:0123456789ab", embedding=list(embeddings))
    looked.store.write("image_embeddings", stranger, "farrowby")
    try:
        with pytest.raises(ScienceError, match="farrowby were embedded by ViT-B-32/other"):
            searching.search_images(looked.settings, "a park")
        assert len(searching.search_images(looked.settings, "a park", ["elmsthorpe"], 3).rows) == 3
    finally:
        looked.store.write("image_embeddings", images.assign(embedding=list(embeddings)), "farrowby")


@pytest.mark.parametrize("text", ["../../../etc/passwd", "<b>&\"'", "прачечная", "shop " * 60, "CON", ".."])
def test_whatever_is_searched_for_the_page_stands_in_its_folder(looked, text):
    page = searching.search_images(looked.settings, text, ["farrowby"], 1).page
    assert page.parent == looked.house.folder / "pages" / "search"
    assert page.name.removesuffix(".html").replace("-", "").isalnum()
    assert len(page.name) < 80


def test_pictures_that_are_not_to_be_retained_stand_in_no_page(looked, tmp_path):
    shutil.copytree(looked.house.folder, tmp_path / "demo")
    study = tmp_path / "demo.toml"
    study.write_text(bundled_study_text("demo").replace("[imagery]\n", "[imagery]\nretain_images = false\n"))
    kept = searching.search_images(replace(looked.settings, data_root=tmp_path), "a park", ["farrowby"], 3)
    assert kept.page.read_text(encoding="utf-8").count("<img ") == 3
    gone = searching.search_images(Settings(str(study), tmp_path), "a park", ["farrowby"], 3)
    assert gone.page == kept.page
    assert "<img " not in gone.page.read_text(encoding="utf-8")
    assert gone.rows["image_id"].tolist() == kept.rows["image_id"].tolist()


def test_googles_pictures_are_read_for_a_page_only_if_the_study_retains_them(tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "a.jpg").write_bytes(b"picture")
    for retained, read in ((None, None), (False, None), (True, b"picture")):
        imagery = DEMO.imagery.model_copy(update={"source": "google", "retain_images": retained})
        house = House(DEMO.model_copy(update={"imagery": imagery}), Settings("demo", tmp_path))
        assert Acquisition(house).read_image("a.jpg") == read


def test_phrases_that_differ_have_pages_of_their_own():
    names = [
        searching._file_name(text) for text in ("прачечная", "прачечна", "a café", "a cafe", "x" * 70, "x" * 71)
    ]
    assert len(set(names)) == len(names)


def test_purging_deletes_every_page_with_pictures_in_it_and_no_other(looked, tmp_path):
    shutil.copytree(looked.house.folder, tmp_path / "demo")
    settings = replace(looked.settings, data_root=tmp_path)
    pages = tmp_path / "demo" / "pages"
    sheet = (pages / LOOKED_AT / "farrowby.html").read_bytes()
    for name in ("search/a-pond.html", "example_sheet.html", "study_report.html"):
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_bytes(sheet)
    webp = io.BytesIO()
    Image.effect_noise((90, 90), 80).save(webp, "WEBP")
    (pages / "labelling_page").mkdir()
    (pages / "labelling_page" / "farrowby.html").write_bytes(b"base64," + base64.b64encode(webp.getvalue()))
    (pages / "imagery_map").mkdir(exist_ok=True)
    (pages / "imagery_map" / "farrowby.html").write_text("<p>a map</p>", encoding="utf-8")
    (pages / "local_authority_report").mkdir()
    (pages / "local_authority_report" / "farrowby.html").write_text("data:image/jpeg;base64,", encoding="utf-8")
    before = {path.relative_to(pages).as_posix() for path in pages.rglob("*.html")}
    found = purging.find_pictures(settings, ["farrowby"])
    said = purging.purge_pictures(settings, ["farrowby"])
    gone = before - {path.relative_to(pages).as_posix() for path in pages.rglob("*.html")}
    searches = {name for name in before if name.startswith("search/")}
    assert gone == searches | {
        "classification_report/farrowby.html",
        "labelling_page/farrowby.html",
        "example_sheet.html",
        "study_report.html",
    }
    assert found.n_pages == len(gone)
    assert f"{len(gone)} pages that showed them" in said
    assert not list((tmp_path / "demo" / "images" / "farrowby").glob("*.jpg"))
    assert list((tmp_path / "demo" / "images" / "elmsthorpe").glob("*.jpg"))
    assert purging.find_pictures(settings, ["farrowby"]).is_empty


def test_purging_all_deletes_pictures_of_local_authorities_that_the_study_had_before(tmp_path):
    study = tmp_path / "demo.toml"
    fewer = bundled_study_text("demo").replace('local_authorities = ["all"]', 'local_authorities = ["dunmere"]')
    study.write_text(fewer)
    left = [
        tmp_path / "demo" / "images" / "farrowby" / "a.jpg",
        tmp_path / "demo/pages/labelling_page/farrowby.html",
    ]
    for path in left:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"data:image/jpeg;base64,/9j/4AAQSkZJRg")
    settings = Settings(str(study), tmp_path)
    found = purging.find_pictures(settings, None)
    assert (found.n_pictures, found.n_pages) == (1, 1)
    purging.purge_pictures(settings, None)
    assert not any(path.exists() for path in left)


def test_what_the_words_are_decides_the_version_of_their_variants(tmp_path):
    study = load_study("demo")
    more = study.assessment.model_copy(update={"control_prompts": ("a cucumber", "a whale")})
    fewer = study.assessment.model_copy(update={"n_per_category": 3})

    def version(assessment):
        changed = study.model_copy(update={"assessment": assessment})
        definitions = build_defs(changed, Settings("demo", tmp_path))
        graph = definitions.resolve_asset_graph()
        return {
            name: graph.get(dg.AssetKey(name)).code_version for name in ("prompt_variants", "assessment_images")
        }

    now, with_more, with_fewer = version(study.assessment), version(more), version(fewer)
    assert now["prompt_variants"] != with_more["prompt_variants"]
    assert now["assessment_images"] == with_more["assessment_images"]
    assert now["prompt_variants"] == with_fewer["prompt_variants"]
    assert now["assessment_images"] != with_fewer["assessment_images"]
