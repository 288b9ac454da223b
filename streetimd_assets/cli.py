"""``streetimd``: the few commands around the graph. Thin: each calls the rooms and Dagster."""

import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from streetimd_assets.errors import StreetIMDError, StudyError
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study
from streetimd_assets.study.writing import commented_study

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="How much of deprivation can be seen from the street?", no_args_is_help=True, add_completion=False
)
# more columns than these do not fit a narrow terminal
_SIDE_BY_SIDE = 3
_ROWS_SHOWN = 40
USUAL_PAGES_PORT = 3001
_CELL_SHOWN = 60
console = Console(soft_wrap=True, highlight=False, markup=False)

DataRoot = Annotated[Path | None, typer.Option("--data", help="Data root; STREETIMD_DATA or ./data if left out.")]
Port = Annotated[int, typer.Option(help="Port of the Dagster UI on this machine.")]
PagesPort = Annotated[int, typer.Option(help="Port of the pages the UI links to.")]
StudyNamed = Annotated[str, typer.Argument(help="A bundled study or a study file.")]
LocalAuthorities = Annotated[list[str] | None, typer.Option(help="Only this one; may be given several times.")]
Workers = Annotated[int, typer.Option(min=1, help="Local authorities collected at the same time.")]


@app.command()
def demo(
    data: DataRoot = None,
    port: Port = 3000,
    pages_port: PagesPort = USUAL_PAGES_PORT,
    ui: Annotated[bool, typer.Option(help="Open the Dagster UI when all is done.")] = True,
    workers: Workers = 2,
) -> None:
    """Materialise the whole demo study through Dagster, print its findings, and open the UI."""
    from streetimd_assets.defs import serving
    from streetimd_assets.defs.page_server import reached_at

    if ui:
        serving.require_free_ports(port, pages_port)
    # the links written now lead to where the pages are served afterwards
    settings = reached_at(_settings("demo", data), pages_port)
    _run(settings, None, workers)
    _print_findings(settings)
    _print_pages(settings)
    if ui:
        _serve(settings, port, pages_port)


@app.command()
def run(
    study: StudyNamed,
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
    study: StudyNamed,
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
    study: StudyNamed,
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
    study: StudyNamed = "demo",
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
    study: StudyNamed = "demo",
    data: DataRoot = None,
    port: Port = 3000,
    pages_port: PagesPort = USUAL_PAGES_PORT,
) -> None:
    """Open the Dagster UI on a study, with DAGSTER_HOME set for you, and serve the pages it links to."""
    settings = _settings(study, data)
    load_study(settings.study)
    _serve(settings, port, pages_port)


@app.command()
def pages(
    study: StudyNamed = "demo",
    data: DataRoot = None,
    port: Annotated[int, typer.Option(help="Port of the pages.")] = 3001,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's may then read.")] = (
        "127.0.0.1"
    ),
) -> None:
    """Serve a study's pages, and nothing else, to browsers; `streetimd ui` does so too."""
    from streetimd_assets.defs.page_server import reached_at, serve_pages

    settings = reached_at(_settings(study, data), port)
    console.print(f"Pages: {settings.pages_url}/{load_study(settings.study).name}/ (Ctrl+C stops it)")
    serve_pages(settings, host=host, port=port)


@app.command()
def label(
    study: StudyNamed = "demo",
    local_authority: LocalAuthorities = None,
    data: DataRoot = None,
    read: Annotated[
        list[Path] | None, typer.Option(help="A CSV file that a rater saved; may be given several times.")
    ] = None,
) -> None:
    """Make the pages on which people label images; with --read, take what they saved into the study."""
    from streetimd_assets.defs.labelling import take_labels
    from streetimd_assets.defs.running import label_study

    settings = _settings(study, data)
    if read:
        console.print(take_labels(settings, read))
        return
    folder = settings.study_folder(load_study(settings.study).name) / "pages" / "labelling_page"
    for slug in label_study(settings, local_authorities=local_authority, say=console.print):
        console.print(f"Label on: {folder / slug}.html")
    console.print(f"then: streetimd label {study} --read labels_….csv (a file for each rater), and materialise")
    console.print("label_agreement, which `streetimd run` does too")


@app.command()
def search(
    text: Annotated[str, typer.Argument(help='What to look for, such as "boarded-up shop".')],
    study: Annotated[str, typer.Option(help="A bundled study or a study file.")] = "demo",
    local_authority: LocalAuthorities = None,
    n: Annotated[int, typer.Option(min=1, max=500, help="Images to show.")] = 24,
    data: DataRoot = None,
) -> None:
    """Find the images nearest to a text, by stored embeddings; write them as a page."""
    from streetimd_assets.defs.searching import search_images

    found = search_images(_settings(study, data), text, local_authority, n)
    _print_rows(found.rows[["image_id", "local_authority", "lsoa_code", "similarity", "category", "captured_on"]])
    for line in found.notes:
        console.print(line)
    console.print(f"Page: {found.page}")


@app.command()
def export(
    study: StudyNamed = "demo",
    to: Annotated[Path | None, typer.Option(help="New folder of the bundle; <study>-export if left out.")] = None,
    local_authority: LocalAuthorities = None,
    data: DataRoot = None,
) -> None:
    """Write tables, maps and their meaning to share: no picture, for QGIS, geopandas and spreadsheets."""
    from streetimd_assets.defs.exporting import export_study

    settings = _settings(study, data)
    folder = to or Path(f"{load_study(settings.study).name}-export")
    console.print(f"wrote {export_study(settings, folder, local_authority, console.print)}")


@app.command()
def predict(
    study: StudyNamed,
    local_authority: Annotated[str, typer.Option(help="The place to predict, which the study was not fitted on.")],
    features_of: Annotated[
        str | None, typer.Option(help="The study that has collected it, if another; below the same data root.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model_id of fitted_models; ridge on embeddings if left out.")
    ] = None,
    to: Annotated[Path, typer.Option(help="CSV file to write.")] = Path("predictions.csv"),
    data: DataRoot = None,
) -> None:
    """Predict a local authority that a fitted study has never seen, with intervals, as a CSV file."""
    from streetimd_assets.defs.predicting import predict_local_authority, write_predictions

    settings = _settings(study, data)
    predicted = predict_local_authority(settings, local_authority, features_of=features_of, model_id=model)
    write_predictions(predicted, to)
    for line in predicted.notes:
        console.print(line)
    console.print(f"wrote {to}: {len(predicted.rows):,} rows")


@app.command()
def sql(
    study: StudyNamed = "demo",
    query: Annotated[str | None, typer.Argument(help="A query; left out: list the tables.")] = None,
    data: DataRoot = None,
    csv: Annotated[Path | None, typer.Option(help="Write all rows of the query to this CSV file instead.")] = None,
) -> None:
    """Ask the study's tables in SQL, read-only."""
    from streetimd_assets.store import querying

    settings = _settings(study, data)
    folder = settings.study_folder(load_study(settings.study).name)
    if not query:
        _print_rows(querying.tables(folder))
    elif csv:
        n_rows = querying.write_csv(folder, query, csv)
        console.print(f"wrote {csv}: {n_rows:,} rows")
    else:
        rows, is_all = querying.first_rows(folder, query, _ROWS_SHOWN)
        _print_rows(rows)
        if not is_all:
            console.print(f"the first {_ROWS_SHOWN} rows; --csv FILE writes all")


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("study.toml"),
) -> None:
    """Write a commented study file to edit."""
    if path.exists():
        raise StudyError(f"{path} is already there; name another file, or remove it first")
    try:
        path.write_text(commented_study(path.stem), encoding="utf-8")
    except OSError as error:
        raise StudyError(f"{path} cannot be written ({error.strerror}); name a file in a folder of yours") from None
    console.print(f"wrote {path}; edit it, then: streetimd check {path}")


@app.command()
def check(study: StudyNamed) -> None:
    """Say whether a study is valid, and what it would do."""
    from streetimd_assets.defs.planning import imagery_notes

    chosen = load_study(study)
    n_lsoas = sum(authority.n_lsoas for authority in chosen.authorities)
    console.print(f"{study} is valid.")
    console.print(f"  {len(chosen.authorities)} local authorities, {n_lsoas:,} LSOAs")
    if chosen.has_images:
        console.print(f"  {len(chosen.categories.category)} categories: {', '.join(chosen.categories.names)}")
        console.print(f"  images: {chosen.imagery.source}, headings {list(chosen.imagery.headings_deg)}")
    encoder = f"encoder: {chosen.code_stamp}; " if chosen.has_images else ""
    console.print(f"  {encoder}target: {chosen.deprivation.target}")
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
        table.add_row(str(row["finding"]), *map(_figure, numbers), str(row["unit"]))
    console.print(table)


def _figure(number: float) -> str:
    """Return a figure with three digits, and a count of more than that whole."""
    if math.isnan(number):
        return ""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _print_pages(settings: Settings) -> None:
    pages = settings.study_folder(load_study(settings.study).name) / "pages"
    console.print(f"Pages: {pages / 'study_report.html'}")
    for folder in sorted(path for path in pages.glob("*") if path.is_dir()):
        console.print(f"       {folder}/ ({len(list(folder.glob('*.html')))} pages)")


def _print_rows(rows: "pd.DataFrame") -> None:
    table = Table()
    for name in rows.columns:
        # a name that is cut cannot be copied
        table.add_column(str(name), overflow="fold")
    for row in rows.itertuples(index=False):
        table.add_row(*(_short(value) for value in row))
    console.print(table)


def _short(value: object) -> str:
    """Return a cell of a table in the terminal: what is long is cut, and no text commands the terminal."""
    if value is None or (not isinstance(value, str) and str(value) in ("nan", "NaT", "<NA>")):
        return "NULL"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    return text if len(text) <= _CELL_SHOWN else f"{text[: _CELL_SHOWN - 1]}…"


def _serve(settings: Settings, port: int, pages_port: int) -> None:
    from streetimd_assets.defs import serving
    from streetimd_assets.defs.page_server import reached_at

    serving.require_free_ports(port, pages_port)
    console.print(f"Dagster UI: http://127.0.0.1:{port} (Ctrl+C stops it)")
    console.print(f"Pages:      {reached_at(settings, pages_port).pages_url}")
    if pages_port != USUAL_PAGES_PORT:
        console.print(f"Links to pages made earlier lead to port {USUAL_PAGES_PORT}, or where it then was.")
    raise typer.Exit(serving.serve(settings, port, pages_port))


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
