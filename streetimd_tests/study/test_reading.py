"""What is wrong with a study file is said in one sentence: file, field, value and what is allowed."""

import pytest

from streetimd_assets.errors import StudyError, UnknownLocalAuthorityError
from streetimd_assets.study import load_study

VALID = """
name = "mine"
local_authorities = ["Camden"]
category_set = "uk-streets"

[imagery]
folder = "photographs"
"""
OWN = VALID.replace('category_set = "uk-streets"', "") + "\n".join(
    f'[[category]]\nname = "{name}"\nprompts = ["{name}"]\n' for name in ("shops", "park")
)


def sentence(tmp_path, text, kind=StudyError):
    """What is said of a study file with this text."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(kind) as told:
        load_study(path)
    said = str(told.value)
    assert said.startswith(str(path)), said
    assert "\n" not in said
    assert len(said) < 600
    assert "pydantic" not in said
    return said.removeprefix(str(path))


def test_a_study_file_loads_and_its_paths_are_relative_to_it(tmp_path, monkeypatch):
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "mine.toml").write_text(VALID + 'manifest = "list.csv"\n[deprivation]\nurl = "file7.csv"\n')
    monkeypatch.chdir(tmp_path)
    study = load_study("studies/mine.toml")
    assert study.imagery.folder == str(folder / "photographs")
    assert study.imagery.manifest == str(folder / "list.csv")
    assert study.deprivation.url == str(folder / "file7.csv")


def test_addresses_and_names_of_weights_are_left_as_they_are(tmp_path):
    named = (
        '[geography]\nboundaries = "https://example.org/lsoas"\n[deprivation]\nurl = "https://example.org/7.csv"'
    )
    (tmp_path / "mine.toml").write_text(VALID + named)
    study = load_study(tmp_path / "mine.toml")
    assert study.geography.boundaries == "https://example.org/lsoas"
    assert study.deprivation.url == "https://example.org/7.csv"
    assert study.encoder.weights == "openai"


def test_a_byte_order_mark_does_no_harm(tmp_path):
    (tmp_path / "mine.toml").write_text(VALID, encoding="utf-8-sig")
    assert load_study(tmp_path / "mine.toml").name == "mine"


BAD = {
    "an unknown field": (VALID + "fodler = 1", ["'imagery.fodler'", "not a field", "folder, ", "max_distance_m"]),
    "an unknown section": (VALID + "[sampel]\nseed = 1", ["'sampel'", "not a field", "sampling"]),
    "an unknown field of a category": (OWN + 'lable = "Park"', ["category.1.lable", "not a field", "label"]),
    "an unknown fault": (VALID + "[imagery.faults]\nx = 1", ["imagery.faults.x", "blank_share"]),
    "a wrong type": (VALID + '[sampling]\nspacing_m = "wide"', ['sampling.spacing_m = "wide"', "number"]),
    "a number for a list": (
        VALID.replace('["Camden"]', "7"),
        ["local_authorities = 7", "must be a list"],
    ),
    "a number out of range": (VALID + "[sampling]\nspacing_m = 1", ["sampling.spacing_m = 1 ", "greater", " 5"]),
    "a word that is not offered": (
        VALID + '[sampling]\nmode = "often"',
        ['sampling.mode = "often"', "'regular' or 'random'"],
    ),
    "a target that is no column": (
        VALID + '[deprivation]\ntarget = "wealth"',
        ['deprivation.target = "wealth"', "imd_rank", "income_score"],
    ),
    "a heading twice": (VALID + "headings_deg = [0, 0]", ["imagery.headings_deg = [0, 0]", "differ"]),
    "headings that share a name at some bearings of a road": (
        VALID + "headings_deg = [0, 90, 0.6]",
        ["imagery.headings_deg = [0, 90, 0.6]", "headings 0 and 0.6 must differ by at least 2 degrees"],
    ),
    "headings that are close across north": (
        VALID + "headings_deg = [359, 180, 0.5]",
        ["headings 359 and 0.5 must differ by at least 2 degrees"],
    ),
    "a heading past the circle": (
        VALID + "headings_deg = [360]",
        ["imagery.headings_deg.0 = 360", "less than 360"],
    ),
    "a cap below the minimum": (
        VALID + "[sampling]\nmin_points_per_lsoa = 5\nmax_points_per_lsoa = 2",
        ["sampling", "max_points_per_lsoa (2)", "min_points_per_lsoa (5)"],
    ),
    "a bad name": (VALID.replace('"mine"', '"My Study"'), ['name = "My Study"', "pattern"]),
    "no name": (VALID.replace('name = "mine"', ""), ["'name' is missing"]),
    "no place": (VALID.replace('["Camden"]', "[]"), ["local_authorities = []", "must not be empty"]),
    "an unknown category set": (
        VALID.replace("uk-streets", "uk-street"),
        ['category_set = "uk-street"', "uk-streets", "[[category]]"],
    ),
    "both kinds of categories": (
        VALID + OWN[OWN.index("[[") :],
        ["category_set", "[[category]]", "one of the two"],
    ),
    "neither kind of categories": (
        VALID.replace('category_set = "uk-streets"', ""),
        ["category_set", "[[category]]", "one of the two"],
    ),
    "a category twice": (OWN.replace("park", "shops"), ["category = [", "'shops' is named twice"]),
    "one category": (OWN[: OWN.rindex("[[")], ["category = [", "at least two"]),
    "a bad category name": (
        OWN.replace('name = "park"', 'name = "Green park"'),
        ['category.1.name = "Green park"', "lower-case letters"],
    ),
    "a category name that is taken": (OWN.replace('name = "park"', 'name = "images"'), ["category", "n_images"]),
    "a category without prompts": (OWN.replace('["park"]', "[]"), ["category.1.prompts = []", "must not be empty"]),
    "only rejects": (
        OWN.replace("prompts", "is_reject = true\nprompts"),
        ["category = [", "at least one category must not be a reject"],
    ),
    "a template without a place": (
        'templates = ["a photo"]\n' + OWN,
        ['templates = ["a photo"]', "{} once"],
    ),
    "days the wrong way round": (
        VALID + "captured_from = 2024-01-01\ncaptured_to = 2020-01-01",
        ["captured_from (2024-01-01)", "captured_to (2020-01-01)"],
    ),
    "a class of road that is none": (
        VALID + '[geography]\nhighway_classes = ["A roads"]',
        ["geography.highway_classes", "'A roads'", "residential"],
    ),
    "a synthetic index of real places": (
        VALID + '[deprivation]\nindex = "synthetic"',
        ["geography.source", "deprivation.index", "both"],
    ),
    "a folder of images that is not named": (
        VALID.replace('folder = "photographs"', 'source = "folder"'),
        ["imagery", "'folder'", 'folder = "/path/to/images"'],
    ),
    "no images at all": (VALID[: VALID.index("[imagery]")], ["'imagery' is missing"]),
    "malformed TOML": (VALID + "seed == 1", ["not valid TOML", "line 8"]),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_study_is_refused_in_one_sentence(tmp_path, bad):
    text, fragments = BAD[bad]
    said = sentence(tmp_path, text)
    assert [fragment for fragment in fragments if fragment not in said] == [], said


@pytest.mark.parametrize("headings", ["[0]", "[0, 2]", "[0.1, 2.1, 358.1]", "[45, 225]"])
def test_headings_two_degrees_apart_are_enough(tmp_path, headings):
    (tmp_path / "mine.toml").write_text(VALID + f"headings_deg = {headings}")
    assert len(load_study(tmp_path / "mine.toml").imagery.headings_deg) == headings.count(",") + 1


def test_an_unknown_local_authority_is_refused_with_its_field_and_near_names(tmp_path):
    said = sentence(tmp_path, VALID.replace("Camden", "Cmden"), UnknownLocalAuthorityError)
    assert "local_authorities" in said
    assert "'Cmden'" in said
    assert "camden" in said


def test_several_faults_are_told_by_the_first_and_counted(tmp_path):
    assert "(and 2 more)" in sentence(tmp_path, VALID + "a = 1\nb = 2\nc = 3")


def test_a_long_value_is_cut_short(tmp_path):
    said = sentence(tmp_path, VALID.replace("uk-streets", "very " * 500))
    assert "…" in said


def test_a_file_that_is_not_there_is_refused_with_what_there_is(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere.toml' is neither a bundled study .*england.*streetimd init"):
        load_study(tmp_path / "nowhere.toml")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StudyError, match="is a folder; name the study file"):
        load_study(tmp_path)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_bytes(VALID.replace("mine", "caf\xe9").encode("latin-1"))
    with pytest.raises(StudyError, match=r"mine.toml is not text in UTF-8; save it again"):
        load_study(tmp_path / "mine.toml")
