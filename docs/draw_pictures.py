"""Draw the pictures of the UI and of the pages: python docs/draw_pictures.py DATA_ROOT

DATA_ROOT is where ``streetimd demo --no-ui --data DATA_ROOT`` has put the demo. Needs the test extra
and the browser Chromium.
"""

import sys
from pathlib import Path
from typing import Any

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
    """Leave the room to the graph: without the menu, in a window as wide and low as the graph is."""
    page.set_viewport_size({"width": 1400, "height": 640})
    page.goto(address)
    page.get_by_text("Hide navigation").click()


def draw_pages(data_root: Path) -> None:
    """Draw the top of each kind of page."""
    pages = data_root / "demo" / "pages"
    chosen = {
        "study-report": pages / "study_report.html",
        "contact-sheet": pages / "classification_report" / "farrowby.html",
        "local-authority-report": pages / "local_authority_report" / "farrowby.html",
    }
    with browser_page(chromium(), width=1100, height=1600) as page:
        for name, path in chosen.items():
            page.goto(path.as_uri())
            _draw(page, name)


def _draw(page: Any, name: str) -> None:
    # figures and the graph are drawn after the page has loaded
    page.wait_for_timeout(3000)
    page.screenshot(path=str(HERE / f"{name}.png"))
    print(f"docs/{name}.png")


if __name__ == "__main__":
    draw_ui(Path(sys.argv[1]).resolve())
    draw_pages(Path(sys.argv[1]).resolve())
