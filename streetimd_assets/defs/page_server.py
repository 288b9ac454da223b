"""A small web server that shows a study's pages, and nothing else, to browsers of this machine.

``http://127.0.0.1:3001/<study>/`` lists the pages there are; each asset's link in the Dagster UI leads
to its own. Only ``.html`` files that lie in ``<study folder>/pages`` are ever sent: no tables, no
pictures, no other study, nothing that a link in that folder points to outside it.
"""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streetimd_assets.defs.house import House
from streetimd_assets.errors import ServiceError
from streetimd_assets.plots.pages import Page, bullets, paragraph
from streetimd_assets.plots.style import escape
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

# pages are replaced and purged, so a browser keeps none of them
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # what a page allows itself stands in the page; no other site may frame it
    "Content-Security-Policy": "frame-ancestors 'none'",
}
# how long a browser that is being answered may hold up the end
_PATIENCE_S = 2
_LAST_PORT = 65_535


def serve_pages(settings: Settings, *, host: str = "127.0.0.1", port: int = 3001) -> None:
    """Show a study's pages until stopped with Ctrl+C or SIGTERM.

    Parameters
    ----------
    settings
        Names the study and where its data are kept.
    host, port
        Where to listen; the default is reached from this machine only.

    Raises
    ------
    ServiceError
        If the port is taken, or there is no such address here.
    """
    # once it has ended in good order, the server passes Ctrl+C on
    with listen(host, port) as door, suppress(KeyboardInterrupt):
        _server(reached_at(settings, port)).run(sockets=[door])


def reached_at(settings: Settings, port: int) -> Settings:
    """Return settings that say where browsers find the pages: at this port, unless somebody has said so."""
    is_said = settings.pages_url != Settings.pages_url
    return settings if is_said else replace(settings, pages_url=f"http://127.0.0.1:{port}")


@contextmanager
def pages_served(settings: Settings, door: socket.socket) -> Iterator[None]:
    """Show a study's pages at an open door while the block runs, in a thread of this process."""
    server = _server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, name="pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * _PATIENCE_S)


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Open a door for browsers; `option` is what chooses another port on the command line.

    Raises
    ------
    ServiceError
        If the port is taken, or there is no such address here.
    """
    if not 0 <= port <= _LAST_PORT:
        raise ServiceError(f"there is no port {port}; choose one up to {_LAST_PORT} with {option}")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise ServiceError(
                f"port {port} is taken by another program; choose another with {option} {port + 1}"
            ) from None
        raise ServiceError(
            f"nothing can be shown at {host}, port {port} ({problem}); choose another port with {option}"
        ) from None


def page_application(settings: Settings) -> Starlette:
    """Return the web application that shows one study's pages."""
    house = House(load_study(settings.study), settings)
    address = urlsplit(settings.pages_url).hostname
    names = {"127.0.0.1", "localhost", "::1"} | ({address} if address else set())
    return Starlette(
        routes=[Route("/{place:path}", _Answers(house).answer, methods=["GET"])],
        middleware=[Middleware(_Doorkeeper, names=frozenset(names), address=settings.pages_url)],
    )


def _server(settings: Settings) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            page_application(settings),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_PATIENCE_S,
        )
    )


class _Doorkeeper:
    """Refuses visitors who came by another name, and adds what every answer says.

    A page of another site can make its own name mean this machine and then read what it is sent: the
    name asked for still is that site's.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], address: str) -> None:
        self._app = app
        self._names = names
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        if scope["type"] != "http":
            return
        app = self._app if self._is_known(Request(scope).headers.get("host", "")) else self._refusal()
        await app(scope, receive, send_with_headers)

    def _is_known(self, host: str) -> bool:
        try:
            return urlsplit(f"//{host}").hostname in self._names
        except ValueError:
            return False

    def _refusal(self) -> Response:
        return PlainTextResponse(
            f"These pages are shown at {self._address}; if you reach them by another name, say so in "
            "STREETIMD_PAGES_URL and start their server again.\n",
            status_code=400,
        )


class _Answers:
    """What one study's server says to each address."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._name = house.study.name
        self._folder = house.folder / "pages"

    def answer(self, request: Request) -> Response:
        """Return the page, the list of pages, or a page that says what is not there."""
        place = request.path_params["place"]
        home, _, page = place.partition("/")
        if place in ("", self._name):
            return RedirectResponse(f"/{quote(self._name)}/")
        if home == self._name and not page:
            return HTMLResponse(self._index())
        path = find_page(self._folder, page) if home == self._name else None
        try:
            # read whole: a page that is replaced meanwhile is sent as it was or as it is, never mixed
            return HTMLResponse(path.read_bytes()) if path else self._missing(place)
        except OSError:
            return self._missing(place)

    def _index(self) -> str:
        page = Page(self._house.study.heading, "pages of this study")
        groups = list_pages(self._folder)
        if not groups:
            page.introduction.append(
                paragraph("There is no page yet: materialise the study's reports in the Dagster UI.")
            )
        for folder, places in groups.items():
            anchor = f"pages-{folder}" if folder else "study"
            page.add_section(
                quote(anchor), _words(folder) if folder else "Whole study", bullets(map(self._link, places))
            )
        return page.render()

    def _link(self, place: str) -> str:
        stem = Path(place).stem
        authorities = {authority.slug: authority.name for authority in self._house.study.authorities}
        name = escape(authorities[stem]) if stem in authorities else _words(stem)
        file = (self._folder / place).stat()
        made = f"{datetime.fromtimestamp(file.st_mtime, UTC):%Y-%m-%d %H:%M} UTC, {file.st_size / 1e3:,.0f} kB"
        return f'<a href="{escape(quote(place))}">{name}</a> <span class="quiet">{made}</span>'

    def _missing(self, place: str) -> Response:
        page = Page(self._house.study.heading, "no such page")
        name = escape(self._name)
        page.introduction += [
            paragraph(
                f"This server shows the pages of study {name} only, and <code>/{escape(place)}</code> is none of "
                "them now: materialise its asset in the Dagster UI and load this address again; pages of "
                "another study are shown by <code>streetimd ui</code> with the name of that study."
            ),
            paragraph(f'<a href="/{escape(quote(self._name))}/">All pages of {name}</a>'),
        ]
        return HTMLResponse(page.render(), status_code=404)


def find_page(folder: Path, place: str) -> Path | None:
    """Return the page at a place below a folder, or None if there is none that may be shown.

    However the place is written, and wherever links lead: only an HTML file inside the folder is shown.
    """
    try:
        root = folder.resolve()
        path = (root / place).resolve()
        is_inside = path.is_relative_to(root) and _is_page(path.relative_to(root))
        # a page has one address: links in it are taken from there
        is_shown = is_inside and path.is_file() and PurePosixPath(place).as_posix() == place
    except (ValueError, OSError, RuntimeError):
        # a null character, a name too long, a link to itself
        return None
    return path if is_shown else None


def list_pages(folder: Path) -> dict[str, list[str]]:
    """Return the places of all pages by the folder they stand in, those of the whole study first."""
    places = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    groups: dict[str, list[str]] = {}
    for place in sorted(places, key=lambda place: (place.count("/"), place)):
        if find_page(folder, place):
            groups.setdefault(place.rpartition("/")[0], []).append(place)
    return groups


def _is_page(place: Path) -> bool:
    # a name that starts with a dot is a page that is still being written
    return place.suffix == ".html" and not any(part.startswith(".") for part in place.parts)


def _words(name: str) -> str:
    """Return the name of a file or folder as words, escaped."""
    return escape(name.replace("_", " ").replace("-", " ").replace("/", ", ").capitalize())
