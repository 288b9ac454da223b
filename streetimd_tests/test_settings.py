import pytest

from streetimd_assets.errors import StudyError
from streetimd_assets.settings import read_environment

KEY = "MAPILLARY_ACCESS_TOKEN"


@pytest.fixture
def dotenv(tmp_path, monkeypatch):
    """The file ``.env`` of the current folder, and no key in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY, raising=False)
    return tmp_path / ".env"


def test_the_environment_comes_before_the_file_and_the_file_before_nothing(dotenv, monkeypatch):
    assert KEY not in read_environment()
    dotenv.write_text(f"{KEY}=of-the-file\n", encoding="utf-8")
    assert read_environment()[KEY] == "of-the-file"
    monkeypatch.setenv(KEY, "of-the-environment")
    assert read_environment()[KEY] == "of-the-environment"


@pytest.mark.parametrize("nothing", ["", "  ", "\n"])
def test_a_variable_without_a_value_does_not_hide_the_file(dotenv, monkeypatch, nothing):
    monkeypatch.setenv(KEY, nothing)
    assert KEY not in read_environment()
    dotenv.write_text(f"{KEY}=of-the-file\n", encoding="utf-8")
    assert read_environment()[KEY] == "of-the-file"


def test_blanks_and_line_ends_are_no_part_of_a_value(dotenv, monkeypatch):
    dotenv.write_bytes(f'{KEY}=" MLY|1|a \\n"\r\nOTHER_KEY\r\n'.encode())
    assert read_environment()[KEY] == "MLY|1|a"
    assert "OTHER_KEY" not in read_environment()
    monkeypatch.setenv(KEY, " MLY|2|b\r\n")
    assert read_environment()[KEY] == "MLY|2|b"


def test_a_file_that_begins_with_a_byte_order_mark_is_read(dotenv):
    dotenv.write_text(f"{KEY}=of-the-file\n", encoding="utf-8-sig")
    assert read_environment()[KEY] == "of-the-file"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_that_is_not_utf_8_is_one_sentence_that_names_it_and_not_what_is_in_it(dotenv, encoding):
    dotenv.write_text(f"# Schlüssel\n{KEY}=hide-me\n", encoding=encoding)
    with pytest.raises(StudyError) as caught:
        read_environment()
    assert str(caught.value) == (
        f"'{dotenv}' cannot be read (UnicodeDecodeError); save it as plain text in UTF-8, or remove it"
    )
    assert caught.value.__cause__ is None
