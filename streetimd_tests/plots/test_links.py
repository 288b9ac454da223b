"""Only addresses of the web become links, and what is clicked tells nothing of where it stood."""

import pytest

from streetimd_assets.plots import links
from streetimd_tests.plots.reading_pages import ReadPage


@pytest.mark.parametrize(
    "url",
    [
        "https://www.google.com/maps/@?api=1&map_action=pano&pano=a-B_c&heading=90",
        "https://www.mapillary.com/app/?pKey=123",
        "http://127.0.0.1:8080/#focus=pic&pic=0a1b",
    ],
)
def test_an_address_of_the_web_comes_back_from_the_page_as_it_was(url):
    (link,) = ReadPage(links.outside_link(url, "open")).attributes("a")
    assert link == {"href": url, "target": "_blank", "rel": "noopener noreferrer"}


@pytest.mark.parametrize(
    "url",
    [
        None, float("nan"), "", "viewer", "//host/page", "https://", "javascript:alert(1)", "JavaScript:alert(1)",
        "java\nscript:alert(1)", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd",
        "https://name:secret@host/", "https:\\\\host\\page", "https://host/\x00", "https://host/a b",
        'https://host/" onclick="alert(1)', "http://[broken", "ftp://host/file",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web_stays_words(url):
    assert links.outside_link(url, "open") == "open"
