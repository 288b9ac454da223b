"""Tower blocks of flats."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.nature import plant_bush, plant_tree
from streetimd_assets.synthetic.scenes.openings import glass_colour
from streetimd_assets.synthetic.scenes.place import GLASS, PAINTS, PAVINGS, WALLS
from streetimd_assets.synthetic.scenes.street import furnish_street, lay_street, park_car
from streetimd_assets.synthetic.scenes.wear import BOARD, scribble, sprout_weeds

STOREY_M = 2.8


def paint_tower_flats(canvas: Canvas) -> None:
    """One to three tall blocks, each a grid of windows and balconies, behind a green or a car park."""
    rng = canvas.rng
    front = rng.uniform(20.0, 36.0)
    edge = rng.uniform(8.0, 13.0)
    canvas.horizon += canvas.size * rng.uniform(0.0, 0.2)
    lay_street(canvas, edge)
    _lay_forecourt(canvas, edge, front)
    left, right = canvas.visible_span(front, 30.0)
    width = rng.uniform(11.0, 18.0)
    x = left + (right - left) * rng.uniform(0.05, 0.5) - width * rng.uniform(0.0, 0.5)
    places = [(x, front)]
    if rng.random() < 0.6:
        places.append((x + width + rng.uniform(6, 14), front + rng.uniform(0, 14)))
    if rng.random() < 0.3:
        places.append((x - width - rng.uniform(6, 14), front + rng.uniform(4, 16)))
    for block_x, z in sorted(places, key=lambda place: -place[1]):
        _paint_block(canvas, block_x, width, z)
    for _ in range(rng.choice((0, 1, 2, 3))):
        plant_tree(canvas, rng.uniform(left, right), rng.uniform(edge + 1, front - 1), rng.uniform(4, 7))
    for _ in range(3):
        plant_bush(canvas, rng.uniform(left, right), rng.uniform(edge + 1, front - 1), rng.uniform(0.8, 1.6))
    sprout_weeds(canvas, left, right, edge, front)
    furnish_street(canvas, edge, trees=0.25)


def _lay_forecourt(canvas: Canvas, edge: float, front: float) -> None:
    rng = canvas.rng
    green = mix(canvas.place.grass, (150, 140, 90), 0.4 * canvas.disrepair)
    paved = rng.choice(PAVINGS)
    colour = canvas.place.ground(green if rng.random() < 0.55 else paved)
    canvas.floor(-60, 60, edge, front + 40, colour)
    for _ in range(rng.choice((0, 0, 2, 3))):
        park_car(canvas, rng.uniform(-12, 12), front - 2.5)


def _paint_block(canvas: Canvas, x: float, width: float, z: float) -> None:
    rng = canvas.rng
    floors, bays = rng.randint(7, 14), rng.randint(4, 6)
    wall, trim = rng.choice(WALLS), rng.choice(WALLS)
    balconies, bands = rng.random() < 0.6, rng.random() < 0.5
    tall = STOREY_M * (floors + 1)
    canvas.box(x + width * 0.35, x + width * 0.65, tall, tall + 2.4, z + 3, z + 7, shade(wall, 0.85))
    canvas.box(x, x + width, 0.0, tall, z, z + 12.0, wall)
    _stripe_flank(canvas, x, width, floors, z, wall)
    canvas.wall(x - 0.2, x + width + 0.2, tall - 0.5, tall, z - 0.05, trim)
    step = width / bays
    for floor in range(1, floors + 1):
        foot = STOREY_M * floor
        if bands:
            canvas.wall(x, x + width, foot - 0.1, foot + 0.75, z, trim)
        for bay in range(bays):
            _paint_flat(canvas, x + step * bay, step, foot, z, trim, balcony=balconies and bay % 2 == 0)
    if canvas.disrepair > 0.1:
        _streak_walls(canvas, x, width, tall, z)
    _paint_entrance(canvas, x, width, z, wall)


def _stripe_flank(canvas: Canvas, x: float, width: float, floors: int, z: float, wall: Colour) -> None:
    flank = x if x > 0 else x + width if x + width < 0 else None
    if flank is not None:
        dark = shade(wall, 0.55)
        for column in (z + 2.5, z + 7.5):
            for floor in range(1, floors + 1, 1):
                foot = STOREY_M * floor + 0.8
                canvas.side(flank, column, column + 1.8, foot, foot + 1.3, dark)


def _paint_flat(
    canvas: Canvas, x: float, step: float, foot: float, z: float, trim: Colour, *, balcony: bool
) -> None:
    glass = glass_colour(canvas)
    marks = canvas.wear(0.45)
    washing = canvas.rng.random()
    if marks:
        glass = BOARD if marks.random() < 0.6 else (26, 28, 32)
    canvas.wall(x + step * 0.16, x + step * 0.84, foot + 0.75, foot + 2.2, z, glass)
    if not marks:
        canvas.wall(x + step * 0.47, x + step * 0.53, foot + 0.75, foot + 2.2, z, (232, 230, 224))
    if balcony:
        canvas.wall(x + step * 0.08, x + step * 0.92, foot - 0.1, foot + 0.95, z - 0.9, shade(trim, 0.9))
        canvas.wall(x + step * 0.08, x + step * 0.92, foot + 0.95, foot + 1.05, z - 0.9, shade(trim, 0.6))
        if washing < 0.12:
            canvas.wall(
                x + step * 0.3, x + step * 0.6, foot + 0.5, foot + 1.4, z - 0.95, PAINTS[int(washing * 80) % 10]
            )


def _streak_walls(canvas: Canvas, x: float, width: float, tall: float, z: float) -> None:
    for streak in range(6):
        if marks := canvas.wear(0.9):
            left, wide, long = (
                x + width * (streak + marks.random() * 0.7) / 6,
                marks.uniform(0.3, 1.0),
                tall * marks.uniform(0.3, 0.8),
            )
            outline = (
                (left, tall, z),
                (left + wide, tall, z),
                (left + wide * 0.7, tall - long, z),
                (left + wide * 0.3, tall - long, z),
            )
            canvas.veil(outline, (44, 42, 36), 0.2 + 0.2 * canvas.disrepair)


def _paint_entrance(canvas: Canvas, x: float, width: float, z: float, wall: Colour) -> None:
    paint = canvas.rng.choice(PAINTS)
    canvas.wall(x, x + width, 0.0, STOREY_M - 0.2, z, shade(wall, 0.75))
    middle = x + width / 2
    canvas.wall(middle - 1.6, middle + 1.6, 0.0, 2.3, z, GLASS[0])
    canvas.wall(middle - 0.08, middle + 0.08, 0.0, 2.3, z, (220, 220, 218))
    canvas.box(middle - 2.4, middle + 2.4, 2.4, 2.8, z - 2.0, z, paint)
    for side in (-1, 1):
        canvas.line((middle + side * 2.2, 0, z - 1.9), (middle + side * 2.2, 2.4, z - 1.9), shade(paint, 0.7), 0.14)
        scribble(canvas, middle + side * 4.5 - 1.5, middle + side * 4.5 + 1.5, 0.4, 2.0, z, 0.9)
