"""Terraced and detached houses."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.nature import bloom, plant_bush, plant_tree, trim_hedge
from streetimd_assets.synthetic.scenes.openings import hang_door, hang_window
from streetimd_assets.synthetic.scenes.place import PAINTS, PAVINGS, ROOFS, SNOW, WALLS
from streetimd_assets.synthetic.scenes.street import furnish_street, lay_street, park_car
from streetimd_assets.synthetic.scenes.wear import scribble, sprout_weeds, stain_wall

FRAMES: tuple[Colour, ...] = ((240, 238, 232), (226, 220, 206), (70, 66, 64))


def paint_terraced_houses(canvas: Canvas) -> None:
    """One unbroken row: a door and a window to each house, a chimney on each party wall."""
    rng = canvas.rng
    front = rng.uniform(7.5, 15.0)
    lay_street(canvas, front)
    left, right = canvas.visible_span(front, 34.0)
    width, storeys = rng.uniform(4.0, 5.4), rng.choice((2, 2, 2, 3))
    eaves = 2.75 * storeys
    wall, roof = rng.choice(WALLS), rng.choice(ROOFS)
    style = _TerraceStyle(canvas)
    first = left - width * rng.random()
    starts = [first + i * width for i in range(int((right - first) / width) + 1)]
    _paint_terrace_roof(canvas, starts, width, eaves, front, roof)
    for x in sorted(starts, key=lambda start: -abs(start)):
        own = rng.choice(WALLS) if rng.random() < style.painted_share else wall
        _paint_terraced_house(canvas, x, width, storeys, front, own, style)
    if style.front_wall:
        canvas.wall(left, right, 0.0, 0.75, front - 1.3, shade(wall, 0.9))
        canvas.floor(left, right, front - 1.3, front - 1.05, shade(wall, 1.1), y=0.75)
        scribble(canvas, left, right, 0.1, 0.7, front - 1.3, 0.7)
    furnish_street(canvas, front - (1.4 if style.front_wall else 0.0), trees=0.25)


class _TerraceStyle:
    """What all the houses of one terrace have in common."""

    def __init__(self, canvas: Canvas) -> None:
        rng = canvas.rng
        self.frame = rng.choice(FRAMES)
        self.lintel = rng.choice(((226, 218, 200), (150, 74, 58), (120, 118, 114)))
        self.bay = rng.random() < 0.4
        self.front_wall = rng.random() < 0.3
        self.painted_share = rng.choice((0.0, 0.15, 0.7))
        self.door_left = rng.random() < 0.5


def _paint_terrace_roof(
    canvas: Canvas, starts: list[float], width: float, eaves: float, front: float, roof: Colour
) -> None:
    slate = SNOW if canvas.place.weather == "snow" else roof
    left, right = starts[0], starts[-1] + width
    rise, run = 2.3, 3.2
    for x in starts:
        # the stack stands on the ridge, behind the slope, so it is painted first
        for pot in range(3):
            canvas.wall(x - 0.5 + pot * 0.36, x - 0.24 + pot * 0.36, eaves + rise + 1.1, eaves + rise + 1.6,
                        front + run, (190, 104, 74))  # fmt: skip
        canvas.box(x - 0.65, x + 0.65, eaves + rise - 0.8, eaves + rise + 1.1, front + run, front + run + 0.8,
                   (150, 84, 66))  # fmt: skip
    ridge = ((left, eaves, front - 0.2), (right, eaves, front - 0.2))
    canvas.face((*ridge, (right, eaves + rise, front + run), (left, eaves + rise, front + run)), slate)
    for x in starts:
        canvas.line((x, eaves, front - 0.2), (x, eaves + rise, front + run), shade(slate, 0.72), 0.16)
        if canvas.wear(0.6):
            hole = ((x + 1.2, 0.25), (x + 2.4, 0.3), (x + 2.2, 0.62), (x + 1.4, 0.55))
            canvas.face([(hx, eaves + rise * s, front + run * s) for hx, s in hole], shade(roof, 0.45))


def _paint_terraced_house(
    canvas: Canvas, x: float, width: float, storeys: int, front: float, wall: Colour, style: _TerraceStyle
) -> None:
    rng = canvas.rng
    eaves, door = 2.75 * storeys, rng.choice(PAINTS)
    canvas.wall(x, x + width, 0.0, eaves, front, wall)
    stain_wall(canvas, x, x + width, 0.0, eaves, front, wall)
    canvas.line((x, 0, front), (x, eaves, front), shade(wall, 0.7), 0.1)
    canvas.wall(x, x + width, eaves - 0.2, eaves, front, mix(wall, (245, 240, 230), 0.6))
    door_x = x + 0.5 if style.door_left else x + width - 1.5
    window_x = x + width - 2.2 if style.door_left else x + 0.5
    if style.bay:
        canvas.box(window_x - 0.2, window_x + 1.9, 0.0, 2.5, front - 0.6, front, shade(wall, 1.06))
    pane_z = front - 0.6 if style.bay else front
    canvas.wall(window_x - 0.1, window_x + 1.8, 2.25, 2.45, pane_z, style.lintel)
    hang_window(canvas, window_x, window_x + 1.7, 0.85, 2.25, pane_z, style.frame, bars=2 if style.bay else 1)
    hang_door(canvas, door_x, door_x + 0.95, 2.3, front, door, style.frame)
    for storey in range(1, storeys):
        foot = 2.75 * storey + 0.65
        for wx in (door_x - 0.05, window_x + 0.3):
            canvas.wall(wx - 0.1, wx + 1.15, foot + 1.45, foot + 1.62, front, style.lintel)
            hang_window(canvas, wx, wx + 1.05, foot, foot + 1.45, front, style.frame)
    scribble(canvas, x + 0.3, x + width - 0.3, 0.5, 1.5, front, 0.35)


def paint_detached_houses(canvas: Canvas) -> None:
    """Houses that stand apart, each with a pitched roof, a garden and a drive."""
    rng = canvas.rng
    gate = rng.uniform(7.0, 11.0)
    front = gate + rng.uniform(4.0, 8.0)
    lay_street(canvas, gate)
    lawn = canvas.place.ground(mix(canvas.place.grass, (150, 140, 90), 0.4 * canvas.disrepair))
    canvas.floor(-60, 60, gate, front + 14, lawn)
    width, gap = rng.uniform(6.5, 9.5), rng.uniform(4.0, 7.0)
    left, right = canvas.visible_span(front, 34.0)
    first = left - width * rng.random()
    starts = [first + i * (width + gap) for i in range(int((right - first) / (width + gap)) + 1)]
    for x in starts:
        plant_tree(canvas, x + width + gap * 0.5, front + 9, rng.uniform(5, 9))
    for x in sorted(starts, key=lambda start: -abs(start + width / 2)):
        _paint_house(canvas, x, width * rng.uniform(0.88, 1.05), front)
        _paint_garden(canvas, x, width, gap, gate, front)
    furnish_street(canvas, gate, trees=0.2)


def _paint_house(canvas: Canvas, x: float, width: float, front: float) -> None:
    rng = canvas.rng
    wall, roof, frame = rng.choice(WALLS), rng.choice(ROOFS), rng.choice(FRAMES)
    door, bungalow, gable = rng.choice(PAINTS), rng.random() < 0.2, rng.random() < 0.45
    garage = rng.random() < 0.45
    eaves = 2.9 if bungalow else 5.3
    if garage:
        _paint_garage(canvas, x + width, front + 1.0, wall, rng.choice(PAINTS))
    _paint_chimney(canvas, x + width * 0.22, eaves + (2.6 if gable else 1.7), front + 3.5)
    canvas.box(x, x + width, 0.0, eaves, front, front + 8.0, wall)
    stain_wall(canvas, x, x + width, 0.0, eaves, front, wall)
    _paint_pitched_roof(canvas, x, width, eaves, front, wall, roof, gable=gable)
    door_x = x + width * rng.choice((0.42, 0.1, 0.74))
    canvas.wall(door_x - 0.35, door_x + 1.35, 2.35, 2.55, front - 0.02, roof)
    hang_door(canvas, door_x, door_x + 1.0, 2.2, front, door, frame)
    for share in (0.08, 0.64):
        wx = x + width * share
        if abs(wx + 0.9 - door_x) > 1.7:
            hang_window(canvas, wx, wx + 1.9, 0.9, 2.2, front, frame, bars=2)
        if not bungalow:
            hang_window(canvas, wx, wx + 1.6, 3.4, 4.6, front, frame)
    scribble(canvas, x + 0.3, x + width - 0.3, 0.5, 1.6, front, 0.35)


def _paint_pitched_roof(
    canvas: Canvas, x: float, width: float, eaves: float, front: float, wall: Colour, roof: Colour, *, gable: bool
) -> None:
    tiles = SNOW if canvas.place.weather == "snow" else roof
    over, deep = 0.4, 8.0
    x0, x1 = x - over, x + width + over
    if gable:
        peak = eaves + width * 0.42
        middle = x + width / 2
        for edge in sorted((x0, x1), key=lambda e: -abs(e)):
            slope = ((edge, eaves - 0.2, front - over), (middle, peak, front - over), (middle, peak, front + deep),
                     (edge, eaves - 0.2, front + deep))  # fmt: skip
            canvas.face(slope, shade(tiles, 0.85))
        canvas.face(((x, eaves, front), (x + width, eaves, front), (middle, peak - 0.3, front)), wall)
        for edge in (x0, x1):
            canvas.line((edge, eaves - 0.2, front - 0.05), (middle, peak, front - 0.05), tiles, 0.35)
        return
    peak, ridge = eaves + 2.6, front + deep / 2
    inset = width * canvas.rng.choice((0.0, 0.25))
    canvas.face(((x0, eaves, front - over), (x1, eaves, front - over), (x1 - inset, peak, ridge),
                 (x0 + inset, peak, ridge)), tiles)  # fmt: skip
    if x0 > 0:
        canvas.face(((x0, eaves, front), (x0, eaves, front + deep), (x0 + inset, peak, ridge)), shade(tiles, 0.7))
    elif x1 < 0:
        canvas.face(((x1, eaves, front), (x1, eaves, front + deep), (x1 - inset, peak, ridge)), shade(tiles, 0.7))
    if canvas.wear(0.6):
        hole = ((0.3, 0.25), (0.5, 0.3), (0.46, 0.65), (0.34, 0.55))
        canvas.face([(x0 + (x1 - x0) * s, eaves + 2.6 * t, front + 4 * t) for s, t in hole], shade(roof, 0.45))


def _paint_chimney(canvas: Canvas, x: float, y: float, z: float) -> None:
    canvas.box(x, x + 0.9, y - 1.5, y + 1.2, z, z + 0.8, (150, 84, 66))
    canvas.wall(x + 0.3, x + 0.6, y + 1.2, y + 1.6, z, (190, 104, 74))


def _paint_garage(canvas: Canvas, x: float, front: float, wall: Colour, door: Colour) -> None:
    canvas.box(x, x + 3.2, 0.0, 2.7, front, front + 5.0, shade(wall, 0.93))
    canvas.wall(x + 0.3, x + 2.9, 0.0, 2.2, front, door)
    for y in (0.55, 1.1, 1.65):
        canvas.line((x + 0.3, y, front), (x + 2.9, y, front), shade(door, 0.75), 0.05)


def _paint_garden(canvas: Canvas, x: float, width: float, gap: float, gate: float, front: float) -> None:
    rng = canvas.rng
    drive = canvas.place.ground(rng.choice(PAVINGS))
    canvas.floor(x + width * 0.55, x + width * 0.55 + 1.1, gate, front, drive)
    canvas.floor(x + width + 0.3, x + width + 3.0, gate, front, drive)
    if rng.random() < 0.4:
        park_car(canvas, x + width + 1.6, gate + 2.6)
    for _ in range(2):
        plant_bush(canvas, x + rng.uniform(0, width * 0.5), front - 0.6, rng.uniform(0.8, 1.5))
    bloom(canvas, x, x + width * 0.5, 0.15, front - 1.2)
    sprout_weeds(canvas, x, x + width, gate + 0.5, front - 0.5, n_slots=6)
    if rng.random() < 0.35:
        plant_tree(canvas, x + width * rng.random(), gate + 1.5, rng.uniform(2.5, 4.5))
    if rng.random() < 0.5:
        trim_hedge(canvas, x - gap * 0.3, x + width * 0.5, gate + 0.1, rng.uniform(0.7, 1.2))
    else:
        _paint_picket_fence(canvas, x - gap * 0.3, x + width * 0.5, gate + 0.1)


def _paint_picket_fence(canvas: Canvas, x0: float, x1: float, z: float) -> None:
    white = mix((240, 238, 230), (140, 120, 96), canvas.disrepair)
    canvas.line((x0, 0.55, z), (x1, 0.55, z), white, 0.08)
    n_pickets = 11
    for i in range(n_pickets):
        x = x0 + (x1 - x0) * i / n_pickets
        if not canvas.wear(0.6):
            canvas.wall(x, x + 0.16, 0.0, 0.85, z, white)
