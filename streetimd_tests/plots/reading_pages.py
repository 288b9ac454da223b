"""Read a finished page as a browser would: its elements, its scripts and its figures."""

import base64
import gzip
import json
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "link", "input", "hr"}


class ReadPage(HTMLParser):
    """A page taken apart; a tag that is closed out of turn is an AssertionError."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.text, self._open = [], [], [], []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data):
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))
        elif inside != "style":
            self.text.append(data)

    def attributes(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())

    @property
    def code(self):
        """Scripts that run; data and the packed plot library stand in scripts that do not."""
        return [text for attributes, text in self.scripts if "type" not in attributes]

    @property
    def plot_library(self):
        """Script that the packed plot library unpacks to, empty if the page has none."""
        packed = [text for attributes, text in self.scripts if attributes.get("id") == "plot-library"]
        return "".join(gzip.decompress(base64.b64decode(text)).decode() for text in packed)

    def data(self, name):
        """What stands as JSON in the scripts of a class."""
        return [json.loads(text) for attributes, text in self.scripts if attributes.get("class") == name]

    @property
    def figures(self):
        return [json.loads(text) for attributes, text in self.scripts if "data-figure" in attributes]
