"""What the server of pages shows to a browser, and all that it does not, asked over a real connection."""

import http.client
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from streetimd_assets.defs.house import House
from streetimd_assets.defs.page_server import listen, pages_served, reached_at
from streetimd_assets.errors import ServiceError
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

REPORT = b"<!DOCTYPE html><h1>report</h1>"
SECRET = b"not for browsers"


@pytest.fixture
def house(tmp_path):
    """A study with pages, and much beside them that is nobody's business."""
    house = House(load_study("demo"), Settings("demo", tmp_path / "data"))
    for path in (house.page("study_report"), house.page("local_authority_report", "farrowby")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(REPORT)
    hidden = [
        house.folder / "demo.duckdb",
        house.folder / "tables" / "street_images" / "part.duckdb",
        house.folder / "pages" / "notes.txt",
        house.folder / "pages" / ".tmp-0-study_report.html",
        house.folder / "pages" / ".hidden" / "page.html",
        house.folder / "pages_of_others.html",
        tmp_path / "data" / "other" / "pages" / "study_report.html",
        tmp_path / "outside.html",
    ]
    for path in hidden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET)
    (house.folder / "pages" / "link.html").symlink_to(tmp_path / "outside.html")
    (house.folder / "pages" / "folder").symlink_to(tmp_path / "data" / "other" / "pages")
    return house


@pytest.fixture
def port(house):
    with listen("127.0.0.1", 0) as door:
        port = door.getsockname()[1]
        with pages_served(replace(house.settings, pages_url=f"http://pages.example:{port}"), door):
            yield port


def ask(port, path, method="GET", host=None):
    """Send a path letter by letter, as no browser would; return the answer and what it says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_the_address_in_an_assets_metadata_opens_its_page(house, port):
    at_home = House(house.study, replace(house.settings, pages_url=f"http://127.0.0.1:{port}"))
    for path in (house.page("study_report"), house.page("local_authority_report", "farrowby")):
        answer, body = ask(port, urlsplit(at_home.page_url(path)).path)
        assert (answer.status, body) == (200, REPORT)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_page_that_is_replaced_is_shown_as_it_is_now_and_one_that_is_purged_no_more(house, port):
    house.page("study_report").write_bytes(b"<h1>newer</h1>")
    assert ask(port, "/demo/study_report.html")[1] == b"<h1>newer</h1>"
    house.page("study_report").unlink()
    assert ask(port, "/demo/study_report.html")[0].status == 404


def test_the_front_door_leads_to_a_list_of_all_pages_by_name(house, port):
    for asset, slug in (("local_authority_report", "dunmere"), ("search", "boarded-up-shop")):
        house.page(asset, slug).parent.mkdir(exist_ok=True)
        house.page(asset, slug).write_bytes(REPORT)
    for path in ("/", "/demo"):
        assert ask(port, path)[0].headers["Location"] == "/demo/"
    answer, body = ask(port, "/demo/")
    listed = re.findall(r'<a href="([^"#]+)">([^<]+)</a>', body.decode())
    assert answer.status == 200
    assert "Demo (SYNTHETIC IMAGES)" in body.decode()
    assert listed == [
        ("study_report.html", "Study report"),
        ("local_authority_report/dunmere.html", "Dunmere"),
        ("local_authority_report/farrowby.html", "Farrowby"),
        ("search/boarded-up-shop.html", "Boarded up shop"),
    ]


def test_the_list_shows_markup_in_a_name_as_text_and_its_link_opens_the_page(house, port):
    house.page('"><img src=x onerror=alert(1)>& 50%#?').write_bytes(REPORT)
    body = ask(port, "/demo/")[1].decode()
    assert "<img" not in body
    (link,) = [link for link in re.findall(r'href="([^"#]+)"', body) if "onerror" in link]
    assert ask(port, f"/demo/{link}")[1] == REPORT


def test_a_study_without_pages_says_what_makes_them_and_shows_them_once_they_are_there(house, port):
    shutil.rmtree(house.folder / "pages")
    answer, body = ask(port, "/demo/")
    assert answer.status == 200
    assert "There is no page yet: materialise" in body.decode()
    house.page("study_report").parent.mkdir()
    house.page("study_report").write_bytes(REPORT)
    assert b"study_report.html" in ask(port, "/demo/")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/demo/demo.duckdb",
        "/demo/../demo.duckdb",
        "/demo/%2e%2e/demo.duckdb",
        "/demo/..%2fdemo.duckdb",
        "/demo/..%5cdemo.duckdb",
        "/demo/%252e%252e/pages_of_others.html",
        "/demo/../pages_of_others.html",
        "/demo/%2e%2e/pages_of_others.html",
        "/demo/..%2f..%2fother/pages/study_report.html",
        "/demo/local_authority_report/../../pages_of_others.html",
        "/other/study_report.html",
        "/demo/../../other/pages/study_report.html",
        "/pages/study_report.html",
        "/study_report.html",
        "/demo/notes.txt",
        "/demo/.tmp-0-study_report.html",
        "/demo/.hidden/page.html",
        "/demo/link.html",
        "/demo/folder/study_report.html",
        "/demo/local_authority_report",
        "/demo/local_authority_report/",
        "/demo/study_report.html/",
        "/demo//study_report.html",
        "/demo/study_report.html%00.txt",
        "/demo/" + "a" * 5000 + ".html",
        "/demo/line%0abreak.html",
        "{outside}",
        "/{outside}",
        "/demo/{outside}",
        "/demo//{outside}",
        "/demo/%2f{outside}",
    ],
)
def test_nothing_but_a_page_in_the_folder_is_shown_however_it_is_asked_for(house, port, path, tmp_path):
    answer, body = ask(port, path.replace("{outside}", str(tmp_path / "outside.html")))
    assert answer.status == 404
    assert SECRET not in body


def test_a_page_that_is_not_there_names_the_study_shown_and_the_remedy(port):
    answer, body = ask(port, "/camden/study_report.html?<script>")
    assert answer.status == 404
    for said in ("study demo only", "/camden/study_report.html", "materialise its asset", "streetimd ui"):
        assert said in body.decode()
    assert "<script>" not in body.decode()


def test_pages_are_read_and_never_written_to(port):
    head, body = ask(port, "/demo/study_report.html", "HEAD")
    assert (head.status, body, head.headers["Content-Length"]) == (200, b"", str(len(REPORT)))
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert ask(port, "/demo/study_report.html", method)[0].status == 405


def test_a_visitor_who_came_by_another_sites_name_is_sent_away_with_the_address_to_use(port):
    for host in ("evil.example", f"127.0.0.1.evil.example:{port}", " ", "["):
        answer, body = ask(port, "/demo/study_report.html", host=host)
        assert answer.status == 400
        assert f"shown at http://pages.example:{port};" in body.decode()
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "pages.example"):
        assert ask(port, "/demo/study_report.html", host=host)[1] == REPORT


def test_pages_at_another_port_are_reached_there_unless_an_address_was_said(house):
    assert reached_at(house.settings, 4001).pages_url == "http://127.0.0.1:4001"
    said = replace(house.settings, pages_url="https://pages.example")
    assert reached_at(said, 4001) == said


def test_a_taken_port_is_named_with_the_option_that_chooses_another(port):
    with pytest.raises(ServiceError, match=rf"port {port} is taken .* --pages-port {port + 1}$"):
        listen("127.0.0.1", port, option="--pages-port")
    with pytest.raises(ServiceError, match=r"nothing can be shown at nowhere\.invalid"):
        listen("nowhere.invalid", port)
    with pytest.raises(ServiceError, match="no port 70000; choose one up to 65535"):
        listen("127.0.0.1", 70000)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_when_it_is_asked_to_without_a_word(house, sign):
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    code = (
        "import sys, pathlib; from streetimd_assets.settings import Settings; "
        "from streetimd_assets.defs.page_server import serve_pages; "
        f"serve_pages(Settings('demo', pathlib.Path(sys.argv[1])), port={port})"
    )
    server = subprocess.Popen([sys.executable, "-c", code, house.settings.data_root], stderr=subprocess.PIPE)
    try:
        wait_until_it_answers(port, server)
        server.send_signal(sign)
        _, said = server.communicate(timeout=10)
    finally:
        server.kill()
    assert said == b""
    assert server.returncode in (0, -sign)


def wait_until_it_answers(port, server):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            assert ask(port, "/demo/study_report.html")[1] == REPORT
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError(f"no answer; the server's status is {server.poll()}")
