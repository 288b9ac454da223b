"""Outlines are drawn to scale with north up, and a key says what the colours mean."""

import re

import numpy as np
import pandas as pd
import pytest
import shapely

from streetimd_assets.plots import maps, style, svg_maps
from streetimd_tests.plots.made_up_tables import SCRIPT, made_up_lsoas
from streetimd_tests.plots.reading_pages import ReadPage


def corners(outline):
    """Corners of the rings of an SVG path, followed step by step."""
    rings = []
    for ring in outline.removesuffix("z").split("z"):
        start, steps = ring.removeprefix("M").split("l")
        moves = [
            [int(part) for part in start.split()],
            *np.reshape(re.findall(r"-?\d+", steps), (-1, 2)).astype(int),
        ]
        rings.append(np.cumsum(moves, axis=0))
    return rings


def shape_of(land, place):
    """An outline as a shape in metres from the map's north-west corner, y downwards."""
    shell, *holes = (ring * land.metres_per_unit for ring in corners(land.outlines[place]))
    return shapely.Polygon(shell, holes)


def draw(shapes):
    return svg_maps.draw_land(np.asarray(shapes))


def test_each_lsoa_is_drawn_to_scale_with_its_hole_and_north_up():
    land = draw(made_up_lsoas(1).geometry)
    shapes = [shape_of(land, place) for place in range(25)]
    assert shapes[0].area == pytest.approx(500**2 - 100**2)
    assert [shape.area for shape in shapes[1:]] == pytest.approx([500**2] * 24)
    # the first stands in the south-west, the last in the north-east
    assert shapes[0].bounds == pytest.approx((0, 2000, 500, 2500))
    assert shapes[24].bounds == pytest.approx((2000, 0, 2500, 500))


def test_the_window_holds_the_land_with_the_same_metres_per_unit_on_both_axes():
    for west, north in ((10_000, 2_000), (2_000, 10_000)):
        land = draw([shapely.box(0, 0, west, north), shapely.box(west, 0, west + 10, north)])
        across, down = (west + 10) / land.metres_per_unit, north / land.metres_per_unit
        assert land.width >= across - 1
        assert land.height >= down
        assert land.left == pytest.approx((across - land.width) / 2, abs=1)
        assert land.metres_shown == pytest.approx(land.width * land.metres_per_unit / 800)
        assert 0 < land.height_shown <= 861


def test_neighbours_keep_their_shared_border_when_simplified():
    # a wavy border, finer than a screen can show
    steps = np.linspace(0, 50_000, 4_001)
    border = np.column_stack([25_000 + 8 * np.sin(steps / 15), steps])
    land = draw(
        [shapely.Polygon([*border, (0, 50_000), (0, 0)]), shapely.Polygon([*border, (50_000, 50_000), (50_000, 0)])]
    )
    first, second = shape_of(land, 0), shape_of(land, 1)
    assert len(first.exterior.coords) < 500
    assert first.area + second.area == pytest.approx(50_000**2, rel=1e-4)
    assert shapely.intersection(first, second).area == 0


def test_small_lsoas_keep_their_shape_in_a_large_map():
    far = shapely.box(600_000, 600_000, 600_500, 600_500)
    small = [shapely.box(500 * place, 0, 500 * place + 500, 500) for place in range(20)]
    land = draw([*small, far])
    assert [shape_of(land, place).area for place in range(20)] == pytest.approx([500**2] * 20, rel=0.2)


def test_no_lsoas_at_all_is_a_window_without_outlines():
    assert draw([]).outlines == ()


def key_of(values, shading, label="IMD rank (1 = most deprived)"):
    return svg_maps.key("key-1", label, shading, np.asarray(values, dtype=float))


def texts_of(drawn):
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawn)


def test_a_key_says_what_is_shown_and_how_many_lsoas_have_no_value():
    shading = maps.Shading(1, 300, style.SEQUENTIAL)
    texts = texts_of(key_of([1, 300, np.nan], shading))
    assert texts == [
        "IMD rank (1 = most deprived)",
        "1",
        "100",
        "200",
        "300",
        "none",
        "n = 2 LSOAs, 1 without a value",
    ]
    assert texts_of(key_of([1, 300], shading))[-1] == "n = 2 LSOAs"
    assert "none" not in texts_of(key_of([1, 300], shading))


def test_a_key_of_deciles_has_a_box_for_each_in_the_colour_of_the_map():
    shading = maps.deprivation_shading(pd.Series([2.0, 9.0]), "imd_decile")
    drawn = key_of([2, 9], shading)
    assert re.findall(r'fill="(#\w+)"', drawn) == [shading.colour(value) for value in range(1, 11)]
    assert texts_of(drawn)[1:-1] == [str(value) for value in range(1, 11)]


def test_a_key_is_hatched_below_zero_where_the_map_is():
    values = pd.Series([-40.0, 30.0])
    assert 'fill="url(#key-1-below)"' in key_of(values, maps.residual_shading(values, "imd_rank"))
    assert "below" not in key_of(values, maps.share_shading(values))


@pytest.mark.parametrize("ends", [(1, 33_755), (-156, 156), (0, 0.4), (0, 19.6), (1200, 1201), (0, 1)])
@pytest.mark.parametrize("digits", [0, 1])
def test_ticks_of_a_key_rise_and_do_not_run_into_each_other(ends, digits):
    shading = maps.Shading(*ends, style.SEQUENTIAL, digits=digits, hatches_negative=ends[0] < 0)
    drawn = key_of([ends[0], ends[1]], shading)
    if shading.is_counted_in_boxes:
        return
    ticks = re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="(\w+)">([^<]+)<', drawn)
    left = {"start": 0.0, "middle": 0.5, "end": 1.0}
    starts = [float(x) - left[anchor] * 9.6 * len(words) for x, anchor, words in ticks]
    stops = [start + 9.6 * len(words) for start, (_, _, words) in zip(starts, ticks, strict=True)]
    assert all(stop + 5 < start for stop, start in zip(stops[:-1], starts[1:], strict=True))
    assert len(ticks) >= 2


def test_the_scale_bar_is_as_long_as_the_metres_it_names_and_names_the_coordinate_system():
    for extent in (900, 12_000, 660_000):
        land = draw([shapely.box(0, 0, extent, extent / 2)])
        drawn = svg_maps.corner(land, "Trial")
        (metres,) = (float(text.split()[0].replace(",", "")) for text in texts_of(drawn) if "EPSG:27700" in text)
        (length,) = map(float, re.findall(r"v10h([\d.]+)v-10", drawn))
        assert length * land.metres_shown == pytest.approx(metres, rel=0.01)
        assert 70 < length <= 190


def test_the_heading_in_the_corner_is_text():
    drawn = svg_maps.corner(draw([shapely.box(0, 0, 1, 1)]), SCRIPT)
    assert "<script" not in drawn
    assert SCRIPT in ReadPage(f"<svg>{drawn}</svg>").words
