"""Maps of the same LSOAs that answer together: what is pointed at in one is marked in all.

The outlines stand in a page once, in its first map; the others refer to them. Without a script every
map still shows, with its values as tooltips; the script of :mod:`streetimd_assets.plots.map_script`
adds the box with all values of an LSOA, the menus, the arrow keys, zooming, and the way to the LSOA's
row in a table.
"""

import html
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from streetimd_assets.plots import style, svg_maps
from streetimd_assets.plots.map_script import CSS, SCRIPT
from streetimd_assets.plots.maps import Shading

if TYPE_CHECKING:
    import geopandas as gpd

# a page with more LSOAs than this has one map with a menu instead of many maps
MANY_LSOAS = 4_000
# signs that stand for the places of a palette in the data of a menu; a blank is a missing value
_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-."


class LinkedMaps:
    """The maps of one page, which takes their :attr:`css` and :attr:`script`.

    Parameters
    ----------
    lsoas
        Columns ``lsoa_code``, ``lsoa_name`` and ``geometry`` in EPSG:27700.
    heading
        Title of the study, written into each map's corner and escaped here.
    extra
        By ``lsoa_code``, further labels and texts for the box of an LSOA, as they came from outside.

    Examples
    --------
    >>> maps = LinkedMaps(lsoas, heading=heading)  # doctest: +SKIP
    >>> page.css += maps.css  # doctest: +SKIP
    >>> page.scripts.append(maps.script)  # doctest: +SKIP
    >>> page.add_section("maps", "Maps", maps.map(deciles, label=..., ...))  # doctest: +SKIP
    """

    css = svg_maps.CSS + CSS
    script = SCRIPT

    def __init__(
        self,
        lsoas: "gpd.GeoDataFrame",
        *,
        heading: str,
        extra: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        self._heading, self._extra = heading, extra or {}
        self._codes = [_shown(code) for code in lsoas["lsoa_code"]]
        self._index = pd.Index(lsoas["lsoa_code"])
        names = zip(lsoas["lsoa_name"], lsoas["lsoa_code"], strict=True)
        self._names = [f"{style.escape(name)} {style.escape(code)}" for name, code in names]
        self._land = svg_maps.draw_land(np.asarray(lsoas.geometry))
        self._n_maps = 0

    @property
    def are_many(self) -> bool:
        """True if a page should show one map with a menu rather than many maps."""
        return len(self._codes) > MANY_LSOAS

    def map(self, values: pd.Series, *, label: str, caption: str, shading: Shading) -> str:
        """Return a map of one value per LSOA as a block of a page.

        Parameters
        ----------
        values
            By ``lsoa_code``; an LSOA without a value is drawn pale and dashed.
        label
            What the values are, already escaped.
        caption
            A sentence below the map, already escaped.
        shading
            How values become colours.
        """
        numbers = self._numbers(values)
        place = self._n_maps = self._n_maps + 1
        keys = f'<g class="key">{svg_maps.key(f"key-{place}", label, shading, numbers)}</g>'
        return self._figure(numbers, shading, label, keys, caption)

    def menu_map(self, choices: Mapping[str, tuple[pd.Series, Shading]], *, label: str, caption: str) -> str:
        """Return a map with a menu of what it shows as a block of a page.

        Parameters
        ----------
        choices
            Values by ``lsoa_code`` and their shading, under titles already escaped; the first is shown
            at first, and remains where scripts do not run.
        label
            What the values of every choice are, already escaped, such as ``"share of images"``; it
            follows the title. Empty if the titles say all.
        caption
            A sentence below the map, already escaped.
        """
        place = self._n_maps = self._n_maps + 1
        labels = [f"{title}: {label}" if label else title for title in choices]
        numbers = [self._numbers(values) for values, _ in choices.values()]
        shadings = [shading for _, shading in choices.values()]
        drawn = zip(labels, shadings, numbers, strict=True)
        keys = "".join(
            f'<g class="key"{" hidden" if k else ""}>{svg_maps.key(f"key-{place}-{k}", *parts)}</g>'
            for k, parts in enumerate(drawn)
        )
        options = "".join(f"<option>{title}</option>" for title in choices)
        menu = f'<label class="menu" hidden>Show <select autocomplete="off">{options}</select></label>'
        data = [_choice(*parts) for parts in zip(numbers, shadings, strict=True)]
        return self._figure(numbers[0], shadings[0], labels[0], keys, caption, menu, _data("choices", data))

    def _numbers(self, values: pd.Series) -> np.ndarray:
        return values.reindex(self._index).to_numpy(dtype=float, na_value=np.nan)

    def _figure(
        self,
        numbers: np.ndarray,
        shading: Shading,
        label: str,
        keys: str,
        caption: str,
        menu: str = "",
        data: str = "",
    ) -> str:
        land, place = self._land, self._n_maps
        height, pale = land.height_shown, " pale" if shading.hatches_negative else ""
        drawn = "\n".join(
            [
                f'<g class="areas{pale}" stroke-width="{land.line:g}">',
                *self._areas(numbers, shading),
                "</g>",
                svg_maps.overlays(land, numbers, shading, f"below-{place}"),
            ]
        )
        first = _data("linked-maps", self._page_data()) if place == 1 else ""
        return (
            f'<figure class="map">{menu}<svg class="map" viewBox="0 0 {svg_maps.WIDTH} '
            f'{height + svg_maps.LEGEND_HEIGHT:.5g}" role="img" aria-label="{label}">\n{land.window(drawn)}\n'
            f'<g transform="translate(0 {height:.5g})">{keys}{svg_maps.corner(land, self._heading)}</g></svg>\n'
            f"{first}{data}<figcaption>{caption}</figcaption></figure>"
        )

    def _areas(self, numbers: np.ndarray, shading: Shading) -> list[str]:
        """Return each LSOA with its colour and words; the first map draws outlines, later ones refer to them."""
        palette = [*shading.palette, style.NO_VALUE]
        steps = shading.steps(numbers).tolist()
        areas = []
        for place, (step, value, name) in enumerate(zip(steps, numbers.tolist(), self._names, strict=True)):
            look = f'fill="{palette[step]}"'
            words = f"<title>{name}: {shading.words(value)}</title>"
            if self._n_maps == 1:
                areas.append(f'<g {look}><path id="o{place}" d="{self._land.outlines[place]}"/>{words}</g>')
            else:
                areas.append(f'<use href="#o{place}" {look}>{words}</use>')
        return areas

    def _page_data(self) -> dict[str, Any]:
        """Return what the script knows of the LSOAs; names it reads from the tooltips."""
        extra = {
            str(place): [[_shown(label), _shown(text)] for label, text in self._extra[code]]
            for place, code in enumerate(self._index)
            if code in self._extra
        }
        return {"codes": self._codes, "extra": extra}


def _choice(numbers: np.ndarray, shading: Shading) -> dict[str, Any]:
    """Return one choice of a menu as data: a sign for each LSOA's colour, and its value in words."""
    steps = shading.steps(numbers)
    used = sorted(set(steps[steps >= 0].tolist()))
    palette = shading.palette
    return {
        "palette": {_SIGNS[step]: palette[step] for step in used} | {" ": style.NO_VALUE},
        "signs": "".join(_SIGNS[step] if step >= 0 else " " for step in steps.tolist()),
        "words": "|".join(shading.words(value) for value in numbers.tolist()),
        "hatches": shading.hatches_negative,
        # by place: of kinds no word tells which lie below zero
        "below": np.flatnonzero(numbers < 0).tolist() if shading.hatches_negative else [],
    }


def _shown(text: object) -> str:
    """Return text as a page shows it once it has been escaped."""
    return html.unescape(style.escape(text))


def _data(name: str, content: Any) -> str:
    """Return data for the script as an element that does not run."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" class="{name}">{text}</script>\n'
