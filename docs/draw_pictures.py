"""Draw the pictures of the UI and of the pages: python docs/draw_pictures.py DATA_ROOT [FOLDER]

DATA_ROOT is where ``streetimd demo --no-ui --data DATA_ROOT`` has put the demo. With FOLDER, every
figure and map of the study report and of one local authority's report is drawn into it as well, in
colour and in grey as a printer would, to be looked at after a change. Needs the test extra and the
browser Chromium.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from streetimd_tests.ui.dagster_page import browser_page, chromium, served_ui

HERE = Path(__file__).parent


def draw_ui(data_root: Path) -> None:
    """Draw the asset graph, an asset, its partitions and the schedules."""
    with served_ui("demo", data_root) as address, browser_page(chromium(), width=1500, height=900) as page:
        _hide_navigation(page, address)
        page.goto(f"{address}/asset-groups")
        page.get_by_text("importance", exact=True).first.wait_for()
        _draw(page, "asset-graph")
        page.set_viewport_size({"width": 1500, "height": 900})
        page.goto(f"{address}/assets/lsoa_features")
        page.get_by_text("n_lsoas_with_images").first.wait_for()
        _draw(page, "asset")
        page.goto(f"{address}/assets/lsoa_features?view=partitions&partition=farrowby")
        page.get_by_text("n_lsoas_with_images").first.wait_for()
        _draw(page, "partition")
        page.goto(f"{address}/automation")
        page.get_by_text("analyse_study").first.wait_for()
        _draw(page, "schedules")


def _hide_navigation(page: Any, address: str) -> None:
    """Leave the room to the graph: without the menu, in a window as wide and high as the graph is."""
    page.set_viewport_size({"width": 1400, "height": 1000})
    page.goto(address)
    page.get_by_text("Hide navigation").click()


def draw_pages(data_root: Path) -> None:
    """Draw the top of each kind of page, and maps with an LSOA pointed at."""
    pages = data_root / "demo" / "pages"
    chosen = {
        "study-report": pages / "study_report.html",
        "contact-sheet": pages / "classification_report" / "farrowby.html",
        "local-authority-report": pages / "local_authority_report" / "farrowby.html",
        "imagery-plan": pages / "imagery_map" / "farrowby.html",
        "example-images": pages / "example_sheet.html",
    }
    with browser_page(chromium(), width=1100, height=1600) as page:
        for name, path in chosen.items():
            page.goto(path.as_uri())
            _draw(page, name)
        page.goto(f"{chosen['study-report'].as_uri()}#maps")
        page.locator("svg.land").first.hover()
        _draw(page, "linked-maps")
        page.set_viewport_size({"width": 1366, "height": 700})
        page.goto(_labelling_page(data_root).as_uri())
        page.keyboard.type("Ann")
        page.keyboard.press("Enter")
        page.keyboard.press("2")
        _draw(page, "labelling-page")


def _labelling_page(data_root: Path) -> Path:
    """Make the page on which people label, which the demo leaves to who wants one."""
    label = [sys.executable, "-m", "streetimd_assets.cli", "label", "demo", "--local-authority", "farrowby"]
    subprocess.run([*label, "--data", str(data_root)], check=True)
    return data_root / "demo" / "pages" / "labelling_page" / "farrowby.html"


def _draw(page: Any, name: str) -> None:
    # figures and the graph are drawn after the page has loaded
    page.wait_for_timeout(3000)
    page.screenshot(path=str(HERE / f"{name}.png"))
    print(f"docs/{name}.png")


def draw_figures(data_root: Path, folder: Path) -> None:
    """Draw every figure and map of two reports, each choice of a menu too, in colour and in grey."""
    pages = data_root / "demo" / "pages"
    folder.mkdir(parents=True, exist_ok=True)
    with browser_page(chromium(), width=1250, height=1000) as page:
        for kind, path in (
            ("study", pages / "study_report.html"),
            ("farrowby", pages / "local_authority_report" / "farrowby.html"),
        ):
            page.goto(path.as_uri())
            for place, figure in enumerate(page.locator("main figure.plot, main figure.map").all(), start=1):
                for name, shown in _shown_by(figure):
                    drawn = folder / f"{kind}-{place:02d}-{_slug(name)}.png"
                    shown.screenshot(path=str(drawn))
                    Image.open(drawn).convert("L").save(drawn.with_suffix(".grey.png"))
                    print(drawn)


def _shown_by(figure: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a figure shows by name: itself, or each choice of its menu."""
    figure.scroll_into_view_if_needed()
    if "plot" in figure.get_attribute("class").split():
        figure.locator(".main-svg").first.wait_for()
        yield figure.locator("[role=img]").first.get_attribute("aria-label"), figure
        return
    menu = figure.locator("select")
    for title in menu.locator("option").all_text_contents():
        menu.select_option(label=title)
        yield f"map {title}", figure
    if not menu.count():
        yield f"map {figure.locator('.label').first.text_content()}", figure


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]


if __name__ == "__main__":
    root = Path(sys.argv[1]).resolve()
    draw_ui(root)
    draw_pages(root)
    if len(sys.argv) > 2:
        draw_figures(root, Path(sys.argv[2]).resolve())
