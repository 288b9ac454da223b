"""``streetimd``: the few commands around the graph. Thin: each calls the rooms and Dagster."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
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
# more columns than these do not fit a narrow terminal
_SIDE_BY_SIDE = 3
console = Console(soft_wrap=True, highlight=False, markup=False)

DataRoot = Annotated[Path | None, typer.Option("--data", help="Data root; STREETIMD_DATA or ./data if left out.")]
Port = Annotated[int, typer.Option(help="Port of the Dagster UI on this machine.")]
LocalAuthorities = Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")]
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
    local_authority: LocalAuthorities = None,
    data: DataRoot = None,
    workers: Workers = 2,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask anew which panoramas there are.")] = False,
    fetch_again: Annotated[
        bool, typer.Option("--fetch-again", help="Fetch, and pay for, deleted pictures once more.")
    ] = False,
) -> None:
    """Materialise a study through Dagster from the terminal, with progress."""
    settings = _settings(study, data)
    _run(settings, local_authority, workers, is_refresh=refresh, fetch_again=fetch_again)
    _print_pages(settings)


@app.command()
def plan(
    study: Annotated[str, typer.Argument(help="A bundled study or a study file.")],
    local_authority: LocalAuthorities = None,
    data: DataRoot = None,
) -> None:
    """Say what imagery there is and what it would cost, per local authority; no image is fetched."""
    from streetimd_assets.defs.planning import read_plan
    from streetimd_assets.defs.running import plan_study

    settings = _settings(study, data)
    slugs = plan_study(settings, local_authorities=local_authority, say=console.print)
    planned = read_plan(settings, slugs)
    console.print(_as_table(planned.title, planned.rows), crop=False)
    for line in planned.notes:
        console.print(line)


@app.command()
def purge(
    study: Annotated[str, typer.Argument(help="A bundled study or a study file.")],
    local_authority: LocalAuthorities = None,
    data: DataRoot = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
) -> None:
    """Delete pictures, and pages that show them; tables, embeddings and the record of what was bought stay."""
    from streetimd_assets.defs.purging import find_pictures, purge_pictures

    settings = _settings(study, data)
    found = find_pictures(settings, local_authority)
    console.print(found.said)
    if found.is_empty or not (yes or typer.confirm("Delete them?")):
        return
    console.print(purge_pictures(settings, local_authority))


@app.command()
def doctor(
    study: Annotated[str, typer.Argument(help="A bundled study or a study file.")] = "demo",
    data: DataRoot = None,
) -> None:
    """Look at keys, addresses, disk, limits, versions and GPU: what is wrong, and what to do."""
    from streetimd_assets.defs.doctor import examine, has_problems

    settings = _settings(study, data)
    findings = examine(settings, load_study(settings.study))
    table = Table("what", "state", "found", "what to do", title=f"{study}: is all well?")
    for finding in findings:
        table.add_row(finding.what, finding.state, finding.said, finding.remedy)
    console.print(table)
    raise typer.Exit(1 if has_problems(findings) else 0)


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
    from streetimd_assets.defs.planning import imagery_notes

    chosen = load_study(study)
    n_lsoas = sum(authority.n_lsoas for authority in chosen.authorities)
    console.print(f"{study} is valid.")
    console.print(f"  {len(chosen.authorities)} local authorities, {n_lsoas:,} LSOAs")
    console.print(f"  {len(chosen.categories.category)} categories: {', '.join(chosen.categories.names)}")
    console.print(f"  images: {chosen.imagery.source}, headings {list(chosen.imagery.headings_deg)}")
    console.print(f"  encoder: {chosen.code_stamp}; target: {chosen.deprivation.target}")
    for line in imagery_notes(chosen):
        console.print(f"  {line}")


def _settings(study: str, data: Path | None) -> Settings:
    settings = replace(Settings.from_environment(), study=study)
    return replace(settings, data_root=data.resolve()) if data else settings


def _run(settings: Settings, local_authorities: list[str] | None, workers: int, **how: bool) -> None:
    from streetimd_assets.defs.running import run_study

    run_study(settings, local_authorities=local_authorities, n_workers=workers, say=console.print, **how)


def _as_table(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """Lay rows of text out, names to the left and numbers to the right; few rows stand side by side."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    if len(rows) <= _SIDE_BY_SIDE:
        lines = [list(column) for column in zip(*lines, strict=True)]
    table = Table(title=title, min_width=len(title))
    for place, column in enumerate(lines[0]):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for line in lines[1:]:
        table.add_row(*line)
    return table


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
