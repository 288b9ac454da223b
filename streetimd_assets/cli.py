"""``streetimd``: the few commands around the graph. Thin: each calls the rooms and Dagster."""

import math
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streetimd_assets.errors import StreetIMDError, StudyError
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_assets.study.writing import commented_study

app = typer.Typer(
    help="How much of deprivation can be seen from the street?", no_args_is_help=True, add_completion=False
)
console = Console(soft_wrap=True, highlight=False)

DataRoot = Annotated[Path | None, typer.Option("--data", help="Data root; STREETIMD_DATA or ./data if left out.")]
Port = Annotated[int, typer.Option(help="Port of the Dagster UI on this machine.")]
Workers = Annotated[int, typer.Option(min=1, help="Local authorities collected at the same time.")]


@app.command()
def demo(
    data: DataRoot = None,
    port: Port = 3000,
    ui: Annotated[bool, typer.Option(help="Open the Dagster UI when all is done.")] = True,
    workers: Workers = 2,
) -> None:
    """Materialise the whole demo study through Dagster, print its findings, and open the UI."""
    from streetimd_assets.defs import serving

    if ui:
        serving.require_free_port(port)
    settings = _settings("demo", data)
    _run(settings, None, workers)
    _print_findings(settings)
    _print_pages(settings)
    if ui:
        _serve(settings, port)


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A bundled study or a study file.")],
    local_authority: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be given several times.")
    ] = None,
    data: DataRoot = None,
    workers: Workers = 2,
) -> None:
    """Materialise a study through Dagster from the terminal, with progress."""
    settings = _settings(study, data)
    _run(settings, local_authority, workers)
    _print_pages(settings)


@app.command()
def ui(
    study: Annotated[str, typer.Argument(help="A bundled study or a study file.")] = "demo",
    data: DataRoot = None,
    port: Port = 3000,
) -> None:
    """Open the Dagster UI on a study, with DAGSTER_HOME set for you."""
    settings = _settings(study, data)
    load_study(settings.study)
    _serve(settings, port)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("study.toml"),
) -> None:
    """Write a commented study file to edit."""
    if path.exists():
        raise StudyError(f"{path} is already there; name another file, or remove it first")
    try:
        path.write_text(commented_study(), encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror}); name a file in a folder of yours") from None
    console.print(f"wrote {path}; edit it, then: streetimd check {path}")


@app.command()
def check(study: Annotated[str, typer.Argument(help="A bundled study or a study file.")]) -> None:
    """Say whether a study is valid, and what it would do."""
    chosen = load_study(study)
    n_lsoas = sum(authority.n_lsoas for authority in chosen.authorities)
    console.print(f"{study} is valid.")
    console.print(f"  {len(chosen.authorities)} local authorities, {n_lsoas:,} LSOAs")
    console.print(f"  {len(chosen.categories.category)} categories: {', '.join(chosen.categories.names)}")
    console.print(f"  images: {chosen.imagery.source}, headings {list(chosen.imagery.headings_deg)}")
    console.print(f"  encoder: {chosen.code_stamp}; target: {chosen.deprivation.target}")


def _settings(study: str, data: Path | None) -> Settings:
    settings = replace(Settings.from_environment(), study=study)
    return replace(settings, data_root=data.resolve()) if data else settings


def _run(settings: Settings, local_authorities: list[str] | None, workers: int) -> None:
    from streetimd_assets.defs.running import run_study

    run_study(settings, local_authorities=local_authorities, n_workers=workers, say=console.print)


def _print_findings(settings: Settings) -> None:
    from streetimd_assets.defs.findings import read_findings
    from streetimd_assets.defs.house import House

    house = House(load_study(settings.study), settings)
    table = Table(title=f"{house.study.heading}: recovered beside planted")
    for column in ("finding", "planted", "recovered", "unit"):
        table.add_column(column, justify="left" if column in ("finding", "unit") else "right")
    for row in read_findings(house).to_dict("records"):
        numbers = [float(row[column]) for column in ("planted", "recovered")]
        shown = ["" if math.isnan(number) else f"{number:.3g}" for number in numbers]
        table.add_row(str(row["finding"]), *shown, str(row["unit"]))
    console.print(table)


def _print_pages(settings: Settings) -> None:
    pages = settings.study_folder(load_study(settings.study).name) / "pages"
    console.print(f"Pages: {pages / 'study_report.html'}")
    for folder in sorted(path for path in pages.glob("*") if path.is_dir()):
        console.print(f"       {folder}/ ({len(list(folder.glob('*.html')))} local authorities)")


def _serve(settings: Settings, port: int) -> None:
    from streetimd_assets.defs import serving

    console.print(f"Dagster UI: http://127.0.0.1:{port} (Ctrl+C stops it)")
    raise typer.Exit(serving.serve(settings, port))


def main() -> None:
    """Run the command line; a refusal is one sentence and exit status 2."""
    # libraries' warnings are for developers; ours are errors and sentences
    warnings.simplefilter("ignore")
    try:
        app()
    except StreetIMDError as error:
        print(f"streetimd: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
