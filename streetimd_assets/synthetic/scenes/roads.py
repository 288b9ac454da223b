"""Main roads with several marked lanes."""

from dataclasses import dataclass

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.nature import plant_bush, plant_tree
from streetimd_assets.synthetic.scenes.place import EARTHS, GLASS, PAINTS, PAVINGS, ROADS, WALLS
from streetimd_assets.synthetic.scenes.street import lay_ground, stand_lamp
from streetimd_assets.synthetic.scenes.wear import crack_ground, scatter_litter, scribble, sprout_weeds

LANE_M = 3.5
FAR_M = 160.0


@dataclass(frozen=True, slots=True)
class _Layout:
    """Cross-section of the road, metres along x."""

    left: float
    middle: float
    right: float
    n_lanes: int


def paint_main_road(canvas: Canvas) -> None:
    """Lanes that run to the horizon between barriers, with tall lamps, gantries and traffic."""
    rng, place = canvas.rng, canvas.place
    canvas.aim(yaw=rng.uniform(-0.3, 0.3))
    canvas.camera_height_m += rng.choice((0.0, 0.0, 2.5, 5.0))
    verge = lay_ground(canvas, rng.choice((place.grass, place.grass, *PAVINGS[:2], EARTHS[2])))
    n_lanes = rng.choice((2, 2, 3))
    shift = rng.uniform(-LANE_M * n_lanes, LANE_M * n_lanes) * 0.8
    half = n_lanes * LANE_M + 1.6
    layout = _Layout(shift - half, shift, shift + half, n_lanes)
    _line_with_buildings(canvas, layout)
    road = rng.choice(ROADS)
    surface = mix(place.ground(road), road, 0.7)
    canvas.floor(layout.left, layout.right, 0.5, FAR_M, surface)
    _mark_lanes(canvas, layout, mix(surface, (244, 242, 234), 0.9 - 0.45 * canvas.disrepair))
    crack_ground(canvas, layout.left, layout.right, 3.5, 18.0, surface)
    if rng.random() < 0.4:
        _span_bridge(canvas, layout, rng.uniform(24, 55))
    elif rng.random() < 0.6:
        _span_gantry(canvas, layout, rng.uniform(16, 34))
    _raise_central_reserve(canvas, layout, verge)
    _drive_traffic(canvas, layout)
    _guard_edges(canvas, layout)
    sprout_weeds(canvas, layout.left - 3, layout.left, 5, 20, n_slots=7)
    sprout_weeds(canvas, layout.right, layout.right + 3, 5, 20, n_slots=7)
    sprout_weeds(canvas, layout.middle - 0.6, layout.middle + 0.6, 5, 20, n_slots=6)
    scatter_litter(canvas, layout.left - 3, layout.right + 3, 4.0, 15.0, n_slots=34)


def _mark_lanes(canvas: Canvas, layout: _Layout, white: Colour) -> None:
    for edge in (layout.left + 0.35, layout.middle - 1.15, layout.middle + 0.95, layout.right - 0.55):
        canvas.floor(edge, edge + 0.2, 0.5, FAR_M, white)
    for way in (-1, 1):
        for lane in range(1, layout.n_lanes):
            x = layout.middle + way * (1.3 + lane * LANE_M)
            for dash in range(9):
                canvas.floor(x - 0.1, x + 0.1, 3 + dash * 6.5, 3 + dash * 6.5 + 3.2, white)


def _raise_central_reserve(canvas: Canvas, layout: _Layout, verge: Colour) -> None:
    concrete, green = canvas.rng.random() < 0.5, canvas.rng.random() < 0.6
    x = layout.middle
    canvas.floor(x - 0.9, x + 0.9, 1.0, FAR_M, verge if green else (170, 168, 162))
    for z in (46.0, 30.0, 15.0):
        stand_lamp(canvas, x, z, tall=9.0, arms=2)
    if concrete:
        flank = x - 0.3 if x > 0 else x + 0.3
        canvas.floor(x - 0.3, x + 0.3, 3.0, FAR_M, (206, 202, 194), y=0.85)
        canvas.side(flank, 3.0, FAR_M, 0.0, 0.85, (164, 162, 156))
    else:
        _run_rail(canvas, x)


def _run_rail(canvas: Canvas, x: float) -> None:
    steel: Colour = mix((192, 198, 202), (142, 100, 74), 0.45 * canvas.disrepair)
    canvas.side(x, 3.0, FAR_M, 0.5, 0.82, steel)
    canvas.side(x, 3.0, FAR_M, 0.62, 0.68, shade(steel, 0.7))
    for post in range(9):
        z = 4.0 + post * 4.0
        canvas.line((x, 0, z), (x, 0.8, z), shade(steel, 0.65), 0.12)


def _guard_edges(canvas: Canvas, layout: _Layout) -> None:
    rng = canvas.rng
    left_rail, right_rail = rng.random() < 0.7, rng.random() < 0.7
    for present, x in ((left_rail, layout.left - 0.5), (right_rail, layout.right + 0.5)):
        for z in (34.0, 19.0, 9.5):
            if canvas.rng.random() < 0.3:
                plant_bush(canvas, x + (2.0 if x > layout.middle else -2.0), z, rng.uniform(1.2, 2.4))
        if present:
            _run_rail(canvas, x)
        else:
            stand_lamp(canvas, x, 12.0, tall=8.0)
            stand_lamp(canvas, x, 28.0, tall=8.0)


def _drive_traffic(canvas: Canvas, layout: _Layout) -> None:
    rng = canvas.rng
    cars = sorted((rng.uniform(7, 42) for _ in range(rng.randint(2, 6))), reverse=True)
    for z in cars:
        way, lane = rng.choice((-1, 1)), rng.randrange(layout.n_lanes)
        x = layout.middle + way * (1.3 + (lane + 0.5) * LANE_M)
        if rng.random() < 0.22:
            _see_lorry(canvas, x, z, receding=way < 0)
        else:
            _see_car(canvas, x, z, receding=way < 0)


def _see_car(canvas: Canvas, x: float, z: float, *, receding: bool) -> None:
    colour = canvas.rng.choice(PAINTS)
    canvas.shadow(x, z, 2.6)
    canvas.box(x - 0.9, x + 0.9, 0.3, 0.95, z, z + 3.6, colour)
    canvas.face(
        ((x - 0.85, 0.95, z), (x + 0.85, 0.95, z), (x + 0.65, 1.5, z + 0.3), (x - 0.65, 1.5, z + 0.3)), GLASS[0]
    )
    canvas.floor(x - 0.66, x + 0.66, z + 0.3, z + 2.6, shade(colour, 1.1), y=1.5)
    lights = (214, 40, 40) if receding else (252, 244, 206)
    for dx in (-0.7, 0.7):
        canvas.disc(x + dx, 0.75, z, 0.34, 0.24, lights)
        canvas.wall(x + dx - 0.16, x + dx + 0.16, 0.0, 0.36, z, (30, 30, 34))


def _see_lorry(canvas: Canvas, x: float, z: float, *, receding: bool) -> None:
    colour = canvas.rng.choice(PAINTS)
    canvas.shadow(x, z, 3.2)
    canvas.box(x - 1.2, x + 1.2, 0.6, 3.6, z, z + 8.0, colour)
    if not receding:
        canvas.wall(x - 1.0, x + 1.0, 1.7, 2.6, z, GLASS[1])
    for dx in (-0.85, 0.85):
        canvas.wall(x + dx - 0.25, x + dx + 0.25, 0.0, 0.7, z, (30, 30, 34))
        canvas.disc(x + dx, 0.8, z, 0.3, 0.22, (214, 40, 40) if receding else (252, 244, 206))


def _span_gantry(canvas: Canvas, layout: _Layout, z: float) -> None:
    plate, steel = canvas.rng.choice(PAINTS), (96, 102, 108)
    for x in (layout.left - 0.8, layout.right + 0.8):
        canvas.wall(x - 0.15, x + 0.15, 0.0, 6.4, z, steel)
    canvas.wall(layout.left - 0.8, layout.right + 0.8, 6.2, 6.6, z, steel)
    for x in (layout.left + 1.0, layout.middle + 1.0):
        canvas.wall(x, x + 4.6, 5.0, 7.2, z, (240, 240, 236))
        canvas.wall(x + 0.15, x + 4.45, 5.15, 7.05, z, plate)
        canvas.face(((x + 2.0, 5.5, z), (x + 2.6, 5.5, z), (x + 2.6, 6.2, z), (x + 3.0, 6.2, z), (x + 2.3, 6.9, z),
                     (x + 1.6, 6.2, z), (x + 2.0, 6.2, z)), (244, 244, 240))  # fmt: skip
    scribble(canvas, layout.left + 1.2, layout.left + 5.0, 5.3, 6.8, z - 0.05, 0.6)


def _span_bridge(canvas: Canvas, layout: _Layout, z: float) -> None:
    colour = canvas.rng.choice(WALLS)
    for x in (layout.left - 2.5, layout.middle, layout.right + 2.5):
        canvas.wall(x - 0.5, x + 0.5, 0.0, 5.4, z + 1, shade(colour, 0.7))
    canvas.wall(layout.left - 40, layout.right + 40, 5.3, 6.6, z, colour)
    canvas.wall(layout.left - 40, layout.right + 40, 6.6, 7.6, z, shade(colour, 0.85))
    for _ in range(2):
        scribble(canvas, layout.left, layout.right, 5.4, 6.5, z - 0.05, 0.9)


def _line_with_buildings(canvas: Canvas, layout: _Layout) -> None:
    rng = canvas.rng
    for way, edge in ((-1, layout.left - 7.0), (1, layout.right + 7.0)):
        kind = rng.choice(("trees", "trees", "boxes", "open"))
        for z in (70.0, 52.0, 38.0, 26.0, 17.0):
            tall, wall, reach = rng.uniform(4, 9), rng.choice(WALLS), rng.uniform(0, 5)
            near = edge + way * reach
            if kind == "trees":
                plant_tree(canvas, near, z, tall)
            elif kind == "boxes":
                x0, x1 = sorted((near, near + way * 10))
                canvas.box(x0, x1, 0.0, tall, z, z + 9, wall)
