"""Files of labels are read as raters meant them, and refused in one sentence where they cannot be."""

import csv
from datetime import datetime
from pathlib import Path

import pytest

from streetimd_assets.errors import LabelError
from streetimd_assets.sources.label_files import COLUMNS, read_label_file, read_label_files
from streetimd_assets.study import load_study

STUDY = load_study("demo")
HASH = STUDY.categories.content_hash
IMAGES = {"farrowby": {"p1@000", "p2@000", "=p3@000"}, "dunmere": {"d1@000"}}


def row(**changes):
    given = {
        "image_id": "p1@000", "rater": "Anna", "label": "park", "labelled_at": "2026-05-04T13:30:00.000Z",
        "study": "demo", "local_authority": "farrowby", "category_set_hash": HASH,
    }  # fmt: skip
    return given | changes


def write(path: Path, *rows, columns=COLUMNS, encoding="utf-8", delimiter=","):
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def images_of(slug):
    return IMAGES.get(slug, set())


def read(*paths):
    return read_label_files(paths, study=STUDY, images_of=images_of)


def sentence(path):
    with pytest.raises(LabelError) as refused:
        read_label_file(path, study=STUDY, images_of=images_of)
    said = str(refused.value)
    assert said.startswith(path.name)
    assert "\n" not in said
    return said


def test_a_file_comes_back_with_label_rater_place_time_and_its_name(tmp_path):
    path = write(tmp_path / "a.csv", row(), row(image_id="p2@000", label="unsure", labelled_at=""))
    table, set_aside = read(path)
    assert set_aside == []
    first, second = table.to_dict("records")
    lad_code = STUDY.authority("farrowby").lad_code
    assert first == {
        "image_id": "p1@000", "rater": "Anna", "label": "park", "lad_code": lad_code,
        "labelled_at": datetime(2026, 5, 4, 13, 30), "file": "a.csv",
    }  # fmt: skip
    assert second["label"] == "unsure"
    assert second["labelled_at"] is None or second["labelled_at"] != second["labelled_at"]


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8-sig", ","), ("utf-8", ";"), ("utf-8-sig", ";")], ids=str
)
def test_a_file_that_a_spreadsheet_saved_again_is_read(tmp_path, encoding, delimiter):
    path = write(tmp_path / "a.csv", row(rater="Žofie, PhD"), encoding=encoding, delimiter=delimiter)
    assert read(path)[0]["rater"].tolist() == ["Žofie, PhD"]


def test_columns_may_stand_in_another_order_with_others_between_and_lines_may_be_empty(tmp_path):
    path = write(tmp_path / "a.csv", row() | {"note": "nice"}, columns=("note", *reversed(COLUMNS)))
    path.write_text(path.read_text() + "\n,,,,,,,\n")
    assert len(read(path)[0]) == 1


def test_what_was_kept_from_running_in_a_spreadsheet_is_read_as_it_was(tmp_path):
    path = write(tmp_path / "a.csv", row(image_id="'=p3@000", rater="'@anna"), row(rater="''tis Ben"))
    table, _ = read(path)
    assert set(table["image_id"]) == {"=p3@000", "p1@000"}
    assert set(table["rater"]) == {"@anna", "'tis Ben"}


def test_the_later_of_two_labels_of_an_image_by_one_rater_holds_whatever_the_order(tmp_path):
    late = row(label="shops", labelled_at="2026-05-04T14:00:00Z")
    one = write(tmp_path / "one.csv", late, row())
    two = write(tmp_path / "two.csv", row(rater="Ben", label="industrial"))
    # 15:30 in Athens is 13:30 in UTC, which is before
    three = write(tmp_path / "three.csv", row(label="main_road", labelled_at="2026-05-04T15:30:00+03:00"))
    table, _ = read(three, two, one)
    assert table.set_index("rater")["label"].to_dict() == {"Anna": "shops", "Ben": "industrial"}
    assert table["file"].tolist() == ["one.csv", "two.csv"]


def test_of_labels_without_a_time_the_later_line_holds(tmp_path):
    path = write(tmp_path / "a.csv", row(labelled_at=""), row(labelled_at="", label="shops"))
    assert read(path)[0]["label"].tolist() == ["shops"]


def test_a_rater_who_writes_the_name_another_way_is_the_same_rater(tmp_path):
    path = write(tmp_path / "a.csv", row(rater=" Zoë  Lee"), row(rater="zoe\u0308 lee ", image_id="p2@000"))
    assert read(path)[0]["rater"].tolist() == ["Zoë Lee", "Zoë Lee"]


def test_no_file_makes_a_table_without_rows():
    table, set_aside = read()
    assert table.empty
    assert set_aside == []


@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        ({"label": "parc"}, "has label 'parc'", "write one of terraced_houses"),
        ({"image_id": "p9@000"}, "has image 'p9@000', which is no classified image of farrowby", "delete"),
        ({"image_id": "d1@000"}, "no classified image of farrowby", "delete the line"),
        ({"study": "england"}, "is of study 'england', not of demo", "give it to that study"),
        ({"local_authority": "camden"}, "local authority 'camden'", "correct it"),
        ({"category_set_hash": "0123"}, "category set 0123", "label again"),
        ({"rater": " "}, "has no rater", "write a name"),
        ({"rater": "x" * 90}, "name of 90 letters", "write a name"),
        ({"labelled_at": "yesterday"}, "labelled at 'yesterday'", "2026-05-04T13:30:00Z"),
        ({"labelled_at": "0001-01-01T00:00:00+14:00"}, "labelled at", "leave it empty"),
        ({"label": "<script>\x1b[31m" + "x" * 200}, "has label '<script> [31mx", "write one of"),
    ],
)
def test_a_row_that_is_not_right_is_refused_by_file_line_and_remedy(tmp_path, changes, said, remedy):
    told = sentence(write(tmp_path / "anna.csv", row(), row(image_id="p2@000") | changes))
    assert told.startswith("anna.csv, line 3 ")
    assert said in told
    assert remedy in told
    assert len(told) < 400


def test_a_missing_column_is_named(tmp_path):
    told = sentence(write(tmp_path / "a.csv", row(), columns=[name for name in COLUMNS if name != "rater"]))
    assert "no column rater" in told


def test_a_line_with_a_cell_too_many_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", row())
    path.write_text(path.read_text().replace("Anna", "Anna, Lee"))
    assert "line 2 has 8 cells where the first line has 7" in sentence(path)


@pytest.mark.parametrize(
    "content", ["Anna, Köln".encode("latin-1"), b"\xff\xfe\x00a", b"", b"\x89PNG\r\n\x1a\n\x00"]
)
def test_what_is_no_csv_in_utf_8_is_refused(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    sentence(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LabelError, match=r"gone\.csv cannot be read"):
        read(tmp_path / "gone.csv")


def test_labels_of_other_prompts_or_of_images_that_are_gone_are_set_aside_when_the_study_reads_its_own(tmp_path):
    path = write(
        tmp_path / "a.csv", row(), row(image_id="gone@000"), row(image_id="p2@000", category_set_hash="0123")
    )
    table, set_aside = read(path)
    assert table["image_id"].tolist() == ["p1@000"]
    assert [said.partition(" has ")[0].partition(" was ")[0] for said in set_aside] == [
        "a.csv, line 3",
        "a.csv, line 4",
    ]
