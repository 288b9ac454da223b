"""The README is the tour: its tables, commands and files are true."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streetimd_assets.cli import app
from streetimd_assets.definitions import build_defs
from streetimd_assets.settings import Settings
from streetimd_assets.sources.imagery.budget import cost_usd
from streetimd_assets.sources.imagery.providers import all_providers, find_provider
from streetimd_assets.study import BUNDLED_STUDIES, find_local_authority, load_study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)) + "\n".join(
    re.findall(r"`([^`\n]+)`", README)
)


def test_the_glossary_is_the_schemas():
    with_glossary = runpy.run_path(str(ROOT / "docs" / "write_tables.py"))["with_glossary"]
    assert with_glossary(README) == README, "run: python docs/write_tables.py"


def test_the_two_commands_stand_word_for_word():
    assert "\npip install -e . -c constraints.txt && streetimd demo\n" in README
    assert '\npip install -e ".[test]" -c constraints.txt && pytest\n' in README


def test_every_streetimd_command_named_exists():
    named = set(re.findall(r"streetimd (demo|[a-z]+)(?= |$)", CODE, flags=re.MULTILINE))
    offered = {command.callback.__name__ for command in app.registered_commands}
    assert named <= offered
    assert {"demo", "init", "check", "plan", "run", "ui", "doctor", "purge"} <= named


def test_every_option_named_exists():
    helps = "".join(
        CliRunner()
        .invoke(app, [command.callback.__name__, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
        .output
        for command in app.registered_commands
    )
    for option in set(re.findall(r"streetimd [^`\n]*?(--[a-z-]+)", CODE)) | {"--port"}:
        assert option in helps, option


def test_every_asset_is_in_the_table_of_steps_and_no_other():
    table = README.split("## From seven notebooks to assets")[1].split("## Tables and columns")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    graph = build_defs(load_study("demo"), Settings("demo", Path("data"))).resolve_asset_graph()
    assert named == {key.to_user_string() for key in graph.materializable_asset_keys}


@pytest.mark.parametrize("name", BUNDLED_STUDIES)
def test_every_bundled_study_is_named(name):
    assert f"`{name}`" in README


def test_every_file_named_is_there():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / path).exists(), path
    for path in ("constraints.txt", "docker-compose.yml", "workspace.yaml", "deploy/env.example", "CITATION.cff"):
        assert path in README
        assert (ROOT / path).exists(), path


def test_the_cpu_install_is_the_version_that_is_constrained():
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for pin in re.findall(r"torch(?:vision)?==[\d.]+", README):
        assert pin in constraints


def test_the_python_version_is_the_one_required():
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert "Python 3.11 or newer" in README
    assert required.startswith(">=3.11")


def test_the_worked_cost_for_leeds_is_what_the_price_table_gives():
    prices = find_provider("google").prices
    leeds = find_local_authority("Leeds")
    n_images = 3_000_000 // 50 * 4
    assert f"Leeds has {leeds.n_lsoas} LSOAs" in README
    assert f"{n_images // 4:,} places and {n_images:,} images" in README
    assert f"**${cost_usd(prices, n_images):,.0f}**" in README
    n_few = 5 * leeds.n_lsoas * 4
    assert f"are {n_few:,} images and cost nothing" in README
    assert cost_usd(prices, n_few) == 0
    assert f"{prices.free_per_month:,} images a month free" in README
    for up_to, price in prices.tiers:
        assert f"${price:.2f}" in README
        assert f"{up_to:,}" in README


def test_every_provider_is_in_the_table_of_sources_and_every_study_snippet_is_valid(tmp_path):
    table = README.split("## Which images")[1].split("Only official")[0]
    listed = set(re.findall(r"^\| `([a-z]+)` \|", table, flags=re.MULTILINE)) - {"source"}
    assert listed == {*all_providers(), "painted"}
    for snippet in re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL):
        lines = 'name = "readme"\nlocal_authorities = ["Leeds"]\ncategory_set = "uk-streets"\n'
        imagery = "" if "[imagery]" in snippet else '[imagery]\nsource = "panoramax"\n'
        (tmp_path / "study.toml").write_text(f"{lines}{snippet}\n{imagery}", encoding="utf-8")
        assert load_study(tmp_path / "study.toml").name == "readme"
