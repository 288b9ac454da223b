"""Maps of a page share their outlines and carry what the script needs, as data and never as code."""

import html
import json

import numpy as np
import pandas as pd
import pytest

from streetimd_assets.plots import maps, pages, style
from streetimd_assets.plots.linked_maps import MANY_LSOAS, LinkedMaps
from streetimd_tests.plots.made_up_tables import SCRIPT, made_up_lsoas
from streetimd_tests.plots.reading_pages import ReadPage

HEADING = "Trial (SYNTHETIC IMAGES)"


@pytest.fixture(scope="module")
def lsoas():
    return made_up_lsoas(1)


def ranks(lsoas):
    return pd.Series(np.arange(1.0, len(lsoas) + 1), index=lsoas["lsoa_code"])


def draw(linked, values, label="IMD rank (1 = most deprived)", shading=None):
    shading = shading or maps.deprivation_shading(values, "imd_rank")
    return linked.map(values, label=label, caption="Dark is most deprived.", shading=shading)


def areas_of(read):
    """Colour of each LSOA, whether it is drawn here or refers to an outline of another map."""
    return [a["fill"] for tag, a in read.elements if tag in ("g", "use") and "fill" in a]


def choices_of(shares):
    return {title: (100 * shares[title], maps.share_shading(100 * shares[title])) for title in shares}


def test_outlines_are_drawn_once_and_every_other_map_refers_to_them(lsoas):
    linked = LinkedMaps(lsoas, heading=HEADING)
    read = ReadPage("".join(draw(linked, ranks(lsoas)) for _ in range(3)))
    outlines = [path["id"] for path in read.attributes("path") if "id" in path]
    assert outlines == [f"o{place}" for place in range(25)]
    assert [use["href"] for use in read.attributes("use")] == [f"#{name}" for name in outlines] * 2
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_map_has_the_colour_and_the_words_of_each_value_without_any_script(lsoas):
    linked, values = LinkedMaps(lsoas, heading=HEADING), 100 * ranks(lsoas)
    shading = maps.deprivation_shading(values, "imd_rank")
    for _ in range(2):
        read = ReadPage(draw(linked, values))
        assert areas_of(read) == [shading.colour(value) for value in values]
        assert f"{lsoas['lsoa_name'].iloc[24]} {lsoas['lsoa_code'].iloc[24]}: 2,500" in read.words


def test_values_are_matched_by_code_not_by_order(lsoas):
    values = ranks(lsoas)
    shuffled = values.sample(frac=1, random_state=1)
    first, second = (draw(LinkedMaps(lsoas, heading=HEADING), given) for given in (values, shuffled))
    assert first == second


def test_an_lsoa_without_a_value_is_pale_dashed_counted_and_said(lsoas):
    values = ranks(lsoas)
    values.iloc[2] = np.nan
    read = ReadPage(draw(LinkedMaps(lsoas, heading=HEADING), values.drop(values.index[3])))
    outlines = [path["d"] for path in read.attributes("path") if "id" in path]
    (dashed,) = [path["d"] for path in read.attributes("path") if path.get("class") == "missing"]
    assert dashed == outlines[2] + outlines[3]
    assert [place for place, colour in enumerate(areas_of(read)) if colour == style.NO_VALUE] == [2, 3]
    assert "n = 23 LSOAs, 2 without a value" in read.words
    assert f"{lsoas['lsoa_code'].iloc[3]}: no value" in read.words


def test_residuals_below_zero_are_hatched_and_no_others(lsoas):
    values = ranks(lsoas) - 3
    read = ReadPage(
        draw(LinkedMaps(lsoas, heading=HEADING), values, shading=maps.residual_shading(values, "imd_rank"))
    )
    outlines = [path["d"] for path in read.attributes("path") if "id" in path]
    (hatched,) = [path for path in read.attributes("path") if path.get("class") == "hatching"]
    assert hatched["d"] == outlines[0] + outlines[1]
    patterns = {pattern["id"] for pattern in read.attributes("pattern")}
    assert hatched["fill"].removeprefix("url(#").removesuffix(")") in patterns


def test_every_map_carries_the_heading_the_scale_and_the_coordinate_system(lsoas):
    words = ReadPage(draw(LinkedMaps(lsoas, heading=HEADING), ranks(lsoas))).words
    assert HEADING in words
    assert "500 m, EPSG:27700" in words


def test_a_menu_carries_for_each_choice_what_a_map_of_its_own_would_show(lsoas):
    shares = pd.DataFrame({"Park": np.linspace(0, 0.5, 25), "Terraces": 0.2}, index=lsoas["lsoa_code"])
    shares.iloc[6, 1] = np.nan
    linked, choices = LinkedMaps(lsoas, heading=HEADING), choices_of(shares)
    read = ReadPage(linked.menu_map(choices, label="share of images", caption="Dark is high."))
    (data,) = read.data("choices")
    for (values, shading), choice in zip(choices.values(), data, strict=True):
        shown = [choice["palette"][sign] for sign in choice["signs"]]
        alone = ReadPage(draw(LinkedMaps(lsoas, heading=HEADING), values, shading=shading))
        assert shown == areas_of(alone)
        assert choice["words"].split("|") == [shading.words(value) for value in values]
    assert data[1]["signs"][6] == " "
    assert areas_of(read) == [data[0]["palette"][sign] for sign in data[0]["signs"]]
    # the menu itself works by script alone, and is shown by it
    assert "hidden" in read.attributes("label")[0]
    assert ["hidden" in key for key in read.attributes("g") if key.get("class") == "key"] == [False, True]


def test_names_codes_and_texts_from_outside_are_text(lsoas):
    planted = lsoas.assign(lsoa_name=SCRIPT, lsoa_code=[f"{SCRIPT}{place}" for place in range(len(lsoas))])
    extra = {planted["lsoa_code"].iloc[0]: [(SCRIPT, "</script>")]}
    linked = LinkedMaps(planted, heading=SCRIPT, extra=extra)
    page = pages.Page(SCRIPT, SCRIPT, css=linked.css, scripts=[linked.script])
    page.add_section("maps", "Maps", draw(linked, ranks(planted)))
    read = ReadPage(page.render())
    assert read.code == [linked.script]
    (data,) = read.data("linked-maps")
    assert data["codes"][3] == f"{SCRIPT}3"
    assert data["extra"] == {"0": [[SCRIPT, "</script>"]]}
    assert f"{SCRIPT} {SCRIPT}3: 4" in read.words


def test_what_the_script_calls_an_lsoa_is_what_its_row_is_called(lsoas):
    planted = lsoas.assign(lsoa_code=["a\x00b & 'c'", *lsoas["lsoa_code"].iloc[1:]])
    read = ReadPage(draw(LinkedMaps(planted, heading=HEADING), ranks(planted)))
    assert read.data("linked-maps")[0]["codes"][0] == html.unescape(style.escape(planted["lsoa_code"].iloc[0]))


def test_many_lsoas_call_for_one_map_with_a_menu(lsoas):
    assert not LinkedMaps(lsoas, heading=HEADING).are_many
    assert LinkedMaps(made_up_lsoas(1, side=64), heading=HEADING).are_many
    assert MANY_LSOAS < 64**2


def test_a_place_without_lsoas_still_has_its_maps():
    nothing = made_up_lsoas(1).iloc[:0]
    values = pd.Series([], index=nothing["lsoa_code"], dtype=float)
    read = ReadPage(draw(LinkedMaps(nothing, heading=HEADING), values))
    assert "n = 0 LSOAs" in read.words
    assert json.dumps(read.data("linked-maps")) == '[{"codes": [], "extra": {}}]'
