"""Links out of a page: to a provider's own viewer, its terms, a licence; and to other pages of the study.

A page fetches nothing by itself; a link is followed only by who clicks it. The page it leads to is
told neither where it was clicked nor given a hand on the page it was clicked in.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from streetimd_assets.plots import style


def web_address(url: Any) -> str | None:
    """Return an address as it may stand in an attribute, or None if it is not one of the web.

    Only ``http`` and ``https`` with a host and without user or password are; all else, such as
    ``javascript:``, would act on the page or tell a secret.
    """
    if style.is_missing(url):
        return None
    text = str(url).strip()
    try:
        parts = urlsplit(text)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return None
    # browsers drop line breaks and tabs and take a backslash for a slash: what is checked is what is written
    is_plain = text.isprintable() and not any(sign in text for sign in ' \\"<>')
    return style.escape(text) if is_web and is_plain else None


def outside_link(url: Any, words: str) -> str:
    """Return words, already escaped, as a link that opens a tab of its own; only the words if it is no address."""
    address = web_address(url)
    if address is None:
        return words
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer">{words}</a>'


def page_link(address: str, words: str) -> str:
    """Return words, already escaped, as a link to another page of the study; `address` is relative to this one."""
    return f'<a href="{style.escape(address)}">{words}</a>'


def other_pages(addresses: Mapping[str, str]) -> str:
    """Return a line of links to other pages of the study: relative addresses by what is there, already escaped."""
    if not addresses:
        return ""
    ways = " · ".join(page_link(address, words) for words, address in addresses.items())
    return f'<p class="ways">See also: {ways}</p>'
