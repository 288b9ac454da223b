"""The command line says what it did, and refuses in one sentence with exit status 2."""

import socket
import subprocess
import sys

import pytest

from streetimd_assets import cli
from streetimd_assets.settings import Settings
from streetimd_tests.store.made_up_study import write_study


@pytest.fixture
def streetimd(monkeypatch, capsys, tmp_path):
    """Run the command line in this process; return its exit status and what it wrote."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["streetimd", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        written = capsys.readouterr()
        return left.value.code, written.out, written.err

    return run


def is_one_sentence(said):
    return said.startswith("streetimd: ") and said.count("\n") == 1 and "Traceback" not in said


@pytest.mark.parametrize(
    ("study", "says"),
    [
        ("demo", ["6 local authorities, 300 LSOAs", "images: painted", "streetimd-demo/bundled"]),
        ("england", ["296 local authorities, 33,755 LSOAs", "images: mapillary", "MAPILLARY_ACCESS_TOKEN"]),
        ("greater-manchester", ["10 local authorities, 1,702 LSOAs", "10 categories: indoor, single_house"]),
    ],
)
def test_check_says_what_a_bundled_study_would_do(streetimd, study, says):
    status, out, err = streetimd("check", study)
    assert (status, err) == (0, "")
    assert out.startswith(f"{study} is valid.")
    assert [words for words in says if words not in out] == []


def test_init_writes_a_study_that_check_finds_valid(streetimd):
    status, out, _ = streetimd("init", "mine.toml")
    assert status == 0
    assert "mine.toml" in out
    status, out, _ = streetimd("check", "mine.toml")
    assert status == 0
    assert "2 local authorities" in out


def test_init_never_replaces_a_file(streetimd, tmp_path):
    (tmp_path / "study.toml").write_text("mine")
    status, _, err = streetimd("init")
    assert status == 2
    assert is_one_sentence(err)
    assert "study.toml is already there" in err
    assert (tmp_path / "study.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "mine"\nlocal_authorities = ["Cmden"]', "'imagery' is missing"),
        (
            'name = "m"\nlocal_authorities = ["Cmden"]\ncategory_set = "uk-streets"\nimagery.folder = "x"',
            "local_authorities: 'Cmden' is not one of",
        ),
        (
            'name = "m"\nlocal_authorities = ["Camden"]\ncategory_set = "uk"\nimagery.folder = "x"',
            'category_set = "uk" is not allowed',
        ),
        ("name = ", "is not valid TOML"),
    ],
    ids=["no imagery", "an unknown place", "an unknown set", "malformed"],
)
@pytest.mark.parametrize("command", ["check", "run", "ui"])
def test_a_bad_study_is_refused_in_one_sentence_with_status_2(streetimd, tmp_path, command, text, says):
    (tmp_path / "mine.toml").write_text(text)
    status, _, err = streetimd(command, "mine.toml")
    assert status == 2
    assert is_one_sentence(err), err
    assert err.startswith("streetimd: mine.toml")
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "nowhere.toml"], "'nowhere.toml' is neither a bundled study"),
        (["check", "."], "'.' is a folder"),
        (["init", "no-such-folder/study.toml"], "no-such-folder/study.toml cannot be written"),
        (
            ["run", "greater-manchester", "--local-authority", "Camden"],
            "'Camden' is not one of the study's local authorities",
        ),
    ],
    ids=["no file", "a folder", "no place to write", "another's local authority"],
)
def test_what_cannot_be_done_is_refused_in_one_sentence_with_status_2(streetimd, arguments, says):
    status, _, err = streetimd(*arguments)
    assert status == 2
    assert is_one_sentence(err), err
    assert says in err


@pytest.mark.parametrize("command", [["demo"], ["ui", "demo"]])
def test_a_busy_port_is_refused_before_any_work(streetimd, tmp_path, command):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        status, _, err = streetimd(*command, "--port", port)
    assert status == 2
    assert is_one_sentence(err), err
    assert f"port {port} is taken" in err
    assert list(tmp_path.iterdir()) == []


def test_the_shell_sees_one_sentence_and_status_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "streetimd_assets.cli", "check", "nowhere.toml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert is_one_sentence(done.stderr), done.stderr
    assert done.stdout == ""


def test_a_wrong_use_shows_how_it_is_used(streetimd):
    status, _, err = streetimd("check")
    assert status == 2
    assert "Usage: " in err
    assert "Missing argument" in err


def test_what_a_query_finds_is_shown_as_it_is_and_commands_no_terminal(streetimd, tmp_path):
    write_study(tmp_path / "data" / "demo")
    asked = "SELECT 'a' || chr(27) || '[2J' || chr(10) || 'b' AS text, NULL AS none, 'nan' AS nan, 0.5 AS half"
    status, out, _ = streetimd("sql", "demo", asked)
    assert status == 0
    assert [cell.strip() for cell in out.splitlines()[3].split("│")[1:-1]] == ["a [2J b", "NULL", "nan", "0.5"]
    assert "first 40 rows" not in out
    _, out, _ = streetimd("sql", "demo", "FROM range(50)")
    assert out.splitlines()[-1] == "the first 40 rows; --csv FILE writes all"
    _, out, _ = streetimd("sql", "demo", "FROM range(50)", "--csv", "rows.csv")
    assert out == "wrote rows.csv: 50 rows\n"


def test_help_names_every_command(streetimd):
    status, out, _ = streetimd("--help")
    assert status == 0
    for command in ("demo", "run", "ui", "init", "check"):
        assert command in out


def test_an_empty_variable_counts_as_one_that_is_not_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for variable in ("STREETIMD_STUDY", "STREETIMD_DATA", "DAGSTER_HOME"):
        monkeypatch.setenv(variable, "")
    settings = Settings.from_environment()
    assert (settings.study, settings.data_root) == ("demo", tmp_path / "data")
    assert settings.dagster_home("demo") == tmp_path / "data" / "demo" / "dagster_home"


def test_folders_are_absolute_however_they_are_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STREETIMD_DATA", "~/kept")
    monkeypatch.setenv("DAGSTER_HOME", "runs")
    settings = Settings.from_environment()
    assert settings.data_root == tmp_path / "kept"
    assert settings.dagster_home("demo") == tmp_path / "runs"


def test_the_demo_writes_links_to_the_port_at_which_its_pages_are_then_served(streetimd, monkeypatch):
    addresses = []
    monkeypatch.delenv("STREETIMD_PAGES_URL", raising=False)
    monkeypatch.setattr(cli, "_run", lambda settings, *rest: addresses.append(settings.pages_url))
    monkeypatch.setattr(cli, "_print_findings", lambda settings: None)
    assert streetimd("demo", "--no-ui", "--pages-port", 3999)[0] == 0
    assert addresses == ["http://127.0.0.1:3999"]
