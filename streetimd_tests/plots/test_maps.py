"""Maps are plain polygons in metres, dark where there is more deprivation."""

import json

import numpy as np
import pandas as pd
import pytest
import shapely

from streetimd_assets.plots import maps, pages
from streetimd_tests.plots.made_up_tables import SCRIPT, TITLES, made_up_lsoas


@pytest.fixture(scope="module")
def lsoas():
    return made_up_lsoas(1)


def ranks(lsoas):
    return pd.Series(np.arange(1, len(lsoas) + 1), index=lsoas["lsoa_code"])


def draw(lsoas, values, measure="imd_rank", shading=None):
    shading = shading or maps.deprivation_shading(values, measure)
    return maps.lsoa_map(lsoas, values, label="IMD rank (1 = most deprived)", shading=shading)


def area(trace):
    """Area of a drawn outline, its holes taken off."""
    rings, ring = [], []
    for place in zip([*trace.x, None], [*trace.y, None], strict=True):
        if place == (None, None):
            rings.append(shapely.Polygon(ring))
            ring = []
        else:
            ring.append(place)
    shape = rings[0]
    for hole in rings[1:]:
        shape = shape.difference(hole)
    return shape.area


def lightness(colour):
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_each_lsoa_is_drawn_where_it_lies_with_its_area_and_holes(lsoas):
    figure = draw(lsoas, ranks(lsoas))
    areas = [area(trace) for trace in figure.data[:-1]]
    assert areas == pytest.approx(lsoas.area.tolist())
    assert areas[0] == 500 * 500 - 100 * 100
    assert min(figure.data[3].x) == lsoas.geometry.iloc[3].bounds[0]


def test_both_axes_have_the_same_metres_per_pixel_and_say_their_system(lsoas):
    layout = draw(lsoas, ranks(lsoas)).layout
    assert (layout.yaxis.scaleanchor, layout.yaxis.scaleratio) == ("x", 1)
    assert "m, EPSG:27700" in layout.xaxis.title.text
    assert "m, EPSG:27700" in layout.yaxis.title.text
    assert "25 LSOAs" in layout.xaxis.title.text


def test_values_are_matched_by_code_not_by_order(lsoas):
    values = ranks(lsoas)
    shuffled = values.sample(frac=1, random_state=1)
    assert draw(lsoas, shuffled).to_json() == draw(lsoas, values).to_json()


@pytest.mark.parametrize(("measure", "most_deprived"), [("imd_rank", 0), ("imd_decile", 0), ("imd_score", -1)])
def test_the_most_deprived_lsoa_is_the_darkest(lsoas, measure, most_deprived):
    values = ranks(lsoas) if measure != "imd_decile" else (ranks(lsoas) + 4) // 5
    light = [lightness(trace.fillcolor) for trace in draw(lsoas, values, measure).data[:-1]]
    assert light[most_deprived] == min(light)
    assert light[-1 - most_deprived if most_deprived else -1] == max(light)


def test_an_lsoa_without_a_value_is_crossed_and_counted(lsoas):
    values = ranks(lsoas).astype(float)
    values.iloc[2] = np.nan
    figure = draw(lsoas, values.drop(values.index[3]))
    for place in (2, 3):
        assert figure.data[place].fillpattern.shape == "x"
        assert figure.data[place].text.endswith("no value")
    assert figure.data[4].fillpattern.shape == ""
    assert "2 crossed" in figure.layout.xaxis.title.text


def test_residuals_are_white_at_zero_and_hatched_below(lsoas):
    values = pd.Series(0.0, index=lsoas["lsoa_code"])
    values.iloc[:2] = [-40.0, 25.0]
    figure = draw(lsoas, values, shading=maps.residual_shading(values, "imd_rank"))
    low, high, zero = figure.data[:3]
    assert (low.fillpattern.shape, high.fillpattern.shape, zero.fillpattern.shape) == ("/", "", "")
    assert lightness(zero.fillcolor) > max(lightness(low.fillcolor), lightness(high.fillcolor))
    assert (figure.data[-1].marker.cmin, figure.data[-1].marker.cmax) == (-40, 40)


def test_neighbours_keep_their_shared_border_when_simplified():
    # a wavy border, finer than a screen can show
    steps = np.linspace(0, 50_000, 4_001)
    border = np.column_stack([25_000 + 8 * np.sin(steps / 15), steps])
    west = shapely.Polygon([*border, (0, 50_000), (0, 0)])
    east = shapely.Polygon([*border, (50_000, 50_000), (50_000, 0)])
    lsoas = made_up_lsoas(1).iloc[:2].set_geometry([west, east], crs="EPSG:27700")
    first, second = draw(lsoas, ranks(lsoas)).data[:2]
    assert len(first.x) < 200
    assert area(first) + area(second) == pytest.approx(50_000**2)


def test_the_menu_changes_category_colours_texts_and_scale(lsoas):
    shares = pd.DataFrame({"park": np.linspace(0, 0.5, 25), "terrace": 0.2}, index=lsoas["lsoa_code"])
    figure = maps.category_share_map(lsoas, shares, TITLES)
    first, second = figure.layout.updatemenus[0].buttons
    assert (first.label, second.label) == ("Park", "Terraced houses")
    (change,) = first.args
    assert change["fillcolor"][:-1] == [trace.fillcolor for trace in figure.data[:-1]]
    assert change["text"][:-1] == [trace.text for trace in figure.data[:-1]]
    (change,) = second.args
    assert change["marker.cmax"][-1] == pytest.approx(20)
    assert all("Terraced houses" in text for text in change["text"][:-1])


def test_an_lsoa_that_has_a_share_of_one_category_only_is_crossed_for_the_other(lsoas):
    shares = pd.DataFrame({"park": np.linspace(0, 0.5, 25), "terrace": 0.2}, index=lsoas["lsoa_code"])
    shares.iloc[6, 0] = np.nan
    figure = maps.category_share_map(lsoas, shares, TITLES)
    crossed = [button.args[0]["fillpattern.shape"][6] for button in figure.layout.updatemenus[0].buttons]
    assert crossed == ["x", ""]


def test_names_of_lsoas_are_text_in_hover_boxes(lsoas):
    planted = lsoas.assign(lsoa_name=SCRIPT, lsoa_code=[f"{SCRIPT}{place}" for place in range(len(lsoas))])
    text = pages.figure_json(draw(planted, ranks(planted)))
    assert "<" not in text
    shown = json.loads(text)["data"][0]["text"]
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
