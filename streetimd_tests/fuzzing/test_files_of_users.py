"""Whatever stands in a file that a user gives, it is read, or refused in one sentence."""

import csv
import io
import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from streetimd_assets.errors import LabelError, StudyError
from streetimd_assets.schemas import UNSURE
from streetimd_assets.sources.label_files import COLUMNS, read_label_files
from streetimd_assets.study import Study, load_study
from streetimd_assets.study.reading import BUNDLED_STUDIES, bundled_study_text
from streetimd_tests.fuzzing.spoiling import SCALARS, broken_text, is_sentence, read_or_refused, spoilt

STUDY = load_study("demo")
TEXTS = [bundled_study_text(name) for name in BUNDLED_STUDIES]
LABEL = {
    "image_id": "p1@000",
    "rater": "Anna",
    "label": "park",
    "labelled_at": "2026-05-04T13:30:00.000Z",
    "study": "demo",
    "local_authority": "farrowby",
    "category_set_hash": STUDY.categories.content_hash,
}


def to_toml(content):
    """Write content as TOML, in one line for each field; what TOML has no word for becomes text."""
    return "\n".join(f"{json.dumps(str(name))} = {_value(value)}" for name, value in content.items())


def _value(value):
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(str(name))} = {_value(inner)}" for name, inner in value.items())
        return "{" + inside + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}.get(str(value), repr(value))
    return json.dumps(value) if isinstance(value, int) else json.dumps(str(value))


def study_files():
    contents = [tomllib.loads(text) for text in TEXTS]
    return st.one_of(
        st.sampled_from(contents).flatmap(spoilt).map(lambda content: to_toml(content).encode()),
        st.sampled_from([text.encode() for text in TEXTS]).flatmap(broken_text),
        st.binary(max_size=80),
    )


@given(content=study_files())
def test_a_study_file(content, tmp_path):
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    study, refusal = read_or_refused(lambda: load_study(path), StudyError)
    if study is None:
        assert str(path) in refusal
        assert is_sentence(refusal)
    else:
        assert isinstance(study, Study)


def label_files():
    cells = st.one_of(SCALARS.map(str), st.sampled_from(["park", "Anna", "", "'=1", "2026-05-04", "p2@000"]))
    changes = st.dictionaries(st.sampled_from(COLUMNS), cells, max_size=3)
    rows = st.lists(changes.map(lambda change: LABEL | change), max_size=4)
    written = rows.map(_as_csv)
    return st.one_of(written, written.flatmap(broken_text), st.binary(max_size=80))


def _as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def images_of(_):
    return {"p1@000", "p2@000"}


@given(content=label_files())
def test_a_file_of_labels(content, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    found, refusal = read_or_refused(lambda: read_label_files([path], study=STUDY, images_of=images_of), LabelError)
    if found is None:
        assert path.name in refusal
        assert is_sentence(refusal)
        return
    table, set_aside = found
    assert set(table["label"]) <= {*STUDY.categories.names, UNSURE}
    assert set(table["image_id"]) <= {"p1@000", "p2@000"}
    assert not table.duplicated(["image_id", "rater"]).any()
    assert all(map(is_sentence, set_aside))
