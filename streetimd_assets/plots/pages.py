"""One self-contained HTML page: sections, tables and figures, nothing fetched from anywhere.

Blocks are strings of finished HTML. Words in them come from this room or have passed through
:func:`streetimd_assets.plots.style.escape`. Each page also carries a content security policy that lets
no script run but those of this room, so that text which slipped through would still be only text.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from streetimd_assets.plots import style

if TYPE_CHECKING:
    import plotly.graph_objects as go

CSS = """
:root { color-scheme: light; --ink: #1f2933; --quiet: #52606d; --line: #cbd2d9; --accent: #0b5394; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 0 1.25rem 4rem; max-width: 72rem; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 1.75rem 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid #0b5394; outline-offset: 2px; }
.skip { position: absolute; left: -999rem; } .skip:focus { left: 1rem; top: .5rem; background: #fff; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; padding: 0; margin: .75rem 0; list-style: none; }
.quiet, figcaption { color: var(--quiet); font-size: .92rem; }
.headline { border-left: 4px solid var(--accent); padding: .1rem 0 .1rem 1rem; font-size: 1.08rem; }
figure.plot { margin: 1rem 0 1.5rem; }
figure.plot { overflow: auto hidden; } figure.plot > div { width: 100%; min-width: 40rem; }
figure.plot figcaption { margin-top: .4rem; max-width: 46rem; position: sticky; left: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 0 1.25rem; }
.pair > * { min-width: 0; }
.scroll { overflow-x: auto; margin: .75rem 0 1.25rem; } .long { max-height: 40rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .35rem; }
th, td { padding: .28rem .75rem .28rem 0; border-bottom: 1px solid #e4e7eb; text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); } tbody th { font-weight: 500; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.text, tbody th { overflow-wrap: break-word; } thead th.number { white-space: normal; vertical-align: bottom; }
@page { margin: 14mm 12mm; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } nav, .skip { display: none; }
  figure.plot, tr { break-inside: avoid; } h2, h3, caption, thead { break-after: avoid; }
  tbody tr:first-child { break-before: avoid; }
  table { font-size: 8.5pt; } th, td { padding-right: .5rem; }
  .long { max-height: none; } .scroll, figure.plot { overflow: visible; } }
"""

# where scripts do not run there are no figures, and no room is left for them
_UNDRAWN_CSS = "<noscript><style>figure.plot > div { height: auto !important; min-width: 0; }</style></noscript>"
_UNDRAWN = "<noscript>This figure is drawn by a script, and scripts do not run here.</noscript>"

# unpacks the plot library, which stands in the page as gzip in base64, and runs it: the policy knows
# its hash; then draws each figure from the data beside it as it comes near the window, and all of
# them for a print
_DRAW = """
(async () => {
const packed = document.getElementById("plot-library");
if (!window.DecompressionStream) {
  for (const data of document.querySelectorAll("script[data-figure]"))
    document.getElementById(data.dataset.figure).textContent =
      "This figure needs a browser of 2023 or later: Chrome, Edge, Firefox or Safari, brought up to date.";
  return;
}
const bytes = Uint8Array.from(atob(packed.textContent), (sign) => sign.charCodeAt(0));
packed.remove();
const library = document.createElement("script");
library.textContent = await new Response(
  new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
// maps, which need no library, come first
const later = window.requestIdleCallback || setTimeout;
await new Promise((done) => later(() => done(), window.requestIdleCallback && {timeout: 500}));
document.head.append(library);
const holders = new Map();
for (const data of document.querySelectorAll("script[data-figure]"))
  holders.set(document.getElementById(data.dataset.figure), data);
function draw(holder) {
  const data = holders.get(holder);
  if (!data) return;
  holders.delete(holder);
  const figure = JSON.parse(data.textContent);
  Plotly.newPlot(holder, figure.data, figure.layout, {
    responsive: true, displaylogo: false, showSendToCloud: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  });
}
// one at a time, so that the page answers in between
let wanted = [];
async function drawWanted() {
  while (wanted.length) {
    draw(wanted[0]);
    await new Promise((done) => setTimeout(done));
    wanted.shift();
  }
}
const watcher = new IntersectionObserver((seen) => {
  const near = seen.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
  for (const holder of near) watcher.unobserve(holder);
  const isIdle = !wanted.length;
  wanted.push(...near);
  if (isIdle) drawWanted();
}, {rootMargin: "800px"});
for (const holder of holders.keys()) watcher.observe(holder);
// a sheet of paper is narrower than a window
const plots = () => document.querySelectorAll(".js-plotly-plot");
const resize = (change) => { for (const plot of plots()) Plotly.relayout(plot, change); };
addEventListener("beforeprint", () => {
  for (const holder of [...holders.keys()]) draw(holder);
  resize({autosize: false, width: 670});
});
addEventListener("afterprint", () => resize({autosize: true, width: null}));
document.documentElement.dataset.figures = "ready";
})();
"""


# pixels below a figure for the heading of the study
_HEADING_LINE = 20
# a table of more rows scrolls inside its own box
_LONG_TABLE = 60


@dataclass
class Page:
    """A page under construction; call :meth:`add_section` in reading order, then :meth:`render`.

    Parameters
    ----------
    heading
        The study's title, which says SYNTHETIC IMAGES where images are painted; as it came from
        outside, it is escaped here and stands on every figure.
    subject
        What the page is about, beside the heading; escaped here too.
    introduction
        Blocks that stand before the first section.
    css
        Rules beside those of every page.
    scripts
        Small scripts of this room beside the one that draws figures, run in this order once the page
        is there; never with anything from outside in them.
    """

    heading: str
    subject: str
    introduction: list[str] = field(default_factory=list)
    css: str = ""
    scripts: list[str] = field(default_factory=list)
    _sections: list[tuple[str, str, str]] = field(default_factory=list)
    _n_figures: int = 0

    @property
    def anchors(self) -> list[str]:
        """Ids of the sections so far."""
        return [anchor for anchor, _, _ in self._sections]

    def add_section(self, anchor: str, title: str, *blocks: str) -> None:
        """Add a section under a title that is already escaped; `anchor` is its id."""
        self._sections.append((anchor, title, "\n".join(blocks)))

    def figure(self, figure: "go.Figure", *, name: str, caption: str) -> str:
        """Return a figure as a block, its data beside it as JSON.

        Parameters
        ----------
        figure
            A plotly figure; the page's heading is written into its lower right corner, so that a
            picture saved from the page still says whether its images are synthetic.
        name
            What a screen reader says, escaped.
        caption
            A sentence or two below it, escaped.
        """
        self._n_figures += 1
        place = f"figure-{self._n_figures}"
        # a line of its own, so that it meets no title of an axis
        bottom = figure.layout.margin.b or figure.layout.template.layout.margin.b or 0
        figure.update_layout(
            height=figure.layout.height + _HEADING_LINE,
            margin={"b": bottom + _HEADING_LINE},
            title={
                "text": style.escape(self.heading), "font": {"size": 11, "color": style.QUIET_INK},
                "x": 1, "xref": "paper", "xanchor": "right", "y": 0, "yanchor": "bottom", "pad": {"b": 4},
            }
        )  # fmt: skip
        return (
            f'<figure class="plot"><div id="{place}" role="img" aria-label="{name}" '
            f'style="height:{figure.layout.height}px">{_UNDRAWN}</div>\n'
            f'<script type="application/json" data-figure="{place}">{figure_json(figure)}</script>\n'
            f"<figcaption>{caption}</figcaption></figure>"
        )

    def render(self) -> str:
        """Return the whole page."""
        title = f"{style.escape(self.subject)} · {style.escape(self.heading)}"
        undrawn = _UNDRAWN_CSS if self._n_figures else ""
        links = "".join(f'<li><a href="#{anchor}">{name}</a></li>' for anchor, name, _ in self._sections)
        body = "\n".join(
            f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
            f'<h2 id="{anchor}-title">{name}</h2>\n{content}</section>'
            for anchor, name, content in self._sections
        )
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{self._policy()}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title>\n<style>{CSS}{self.css}</style>{undrawn}\n</head>\n<body>\n"
            '<a class="skip" href="#content">Skip to the content</a>\n'
            f"<header><h1>{style.escape(self.heading)}<br>{style.escape(self.subject)}</h1>\n"
            f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n<main id="content">\n'
            + "\n".join([*self.introduction, body, "</main>"])
            + self._scripts()
            + "\n</body>\n</html>\n"
        )

    def _scripts(self) -> str:
        """Return the page's scripts, small ones first: they need not wait for the plot library."""
        small = "".join(f"\n<script>{script}</script>" for script in self.scripts)
        if not self._n_figures:
            return small
        packed, _ = _plot_library()
        return f'{small}\n<script type="text/plain" id="plot-library">{packed}</script>\n<script>{_DRAW}</script>'

    def _policy(self) -> str:
        """Return a content security policy: no network, and no script but those of the page."""
        hashes = [_hash(script) for script in self.scripts]
        if self._n_figures:
            hashes += [_plot_library()[1], _hash(_DRAW)]
        allowed = " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"
        return (
            "default-src 'none'; form-action 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
            f"script-src {allowed}"
        )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _plot_library() -> tuple[str, str]:
    """Return plotly's script packed to two fifths of its size, and the hash of what unpacks from it."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs()
    # no time of making: the same page twice is the same bytes
    return base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode(), _hash(script)


def figure_json(figure: "go.Figure") -> str:
    """Return a figure's data and layout as JSON that may stand inside a script element."""
    import plotly.io

    content = json.loads(plotly.io.to_json(figure, validate=False, engine="json"))
    text = json.dumps(_slim(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _slim(content: Any) -> Any:
    """Round every number to seven significant digits: a northing keeps its metres."""
    if isinstance(content, Mapping):
        return {name: _slim(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_slim(value) for value in content]
    if isinstance(content, float):
        return float(f"{content:.7g}")
    return content


def paragraph(*sentences: str, quiet: bool = False) -> str:
    """Return sentences, already escaped, as a paragraph."""
    opening = '<p class="quiet">' if quiet else "<p>"
    return f"{opening}{' '.join(sentence for sentence in sentences if sentence)}</p>"


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences, already escaped, as a list."""
    return "<ul>" + "".join(f"<li>{sentence}</li>" for sentence in sentences) + "</ul>"


def folded(title: str, block: str) -> str:
    """Return a block that opens at a click, and is open in print."""
    return f'<details class="folded"><summary>{title}</summary>{block}</details>'


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
    ids: Sequence[str] | None = None,
) -> str:
    """Return an HTML table of finished cells, its first column the rows' heads.

    Parameters
    ----------
    caption
        What the table shows, already escaped.
    heads
        Titles of the columns, already escaped.
    rows
        Cells, already escaped.
    words
        Places of the columns that hold words; the others are numbers, set to the right.
    ids
        An id for each row, already escaped, such as the ``lsoa-<code>`` that maps jump to; none if left out.
    """
    kinds = ["text" if place in words else "number" for place in range(len(heads))]
    head = "".join(f'<th scope="col" class="{kind}">{title}</th>' for kind, title in zip(kinds, heads, strict=True))
    rows = list(rows)
    marks = [""] * len(rows) if ids is None else [f' id="{name}"' for name in ids]
    body = "".join(f"<tr{mark}>{_cells(row, kinds)}</tr>\n" for mark, row in zip(marks, rows, strict=True))
    length = " long" if len(rows) > _LONG_TABLE else ""
    # a region that scrolls must be reachable by keyboard
    return (
        f'<div class="scroll{length}" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption>"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], kinds: Sequence[str]) -> str:
    first, *others = zip(row, kinds, strict=True)
    return f'<th scope="row" class="{first[1]}">{first[0]}</th>' + "".join(
        f'<td class="{kind}">{cell}</td>' for cell, kind in others
    )
