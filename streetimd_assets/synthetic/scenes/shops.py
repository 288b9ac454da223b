"""A parade of shops."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.openings import hang_window
from streetimd_assets.synthetic.scenes.place import LAMPLIGHT, PAINTS, ROOFS, WALLS
from streetimd_assets.synthetic.scenes.street import furnish_street, lay_street, stand_person
from streetimd_assets.synthetic.scenes.wear import board_up, scribble, stain_wall

FASCIA_M = 3.1


def paint_shops(canvas: Canvas) -> None:
    """Units side by side: a wide window and a door each, a blank fascia, most with an awning."""
    rng = canvas.rng
    front = rng.uniform(8.0, 14.0)
    lay_street(canvas, front)
    left, right = canvas.visible_span(front, 34.0)
    width, storeys = rng.uniform(5.0, 7.0), rng.choice((0, 1, 1, 1, 2))
    wall, pitched = rng.choice(WALLS), rng.random() < 0.4
    first = left - width * rng.random()
    starts = [first + i * width for i in range(int((right - first) / width) + 1)]
    for x in sorted(starts, key=lambda start: -abs(start + width / 2)):
        own = rng.choice(WALLS) if rng.random() < 0.5 else wall
        extra = rng.choice((0, 0, 0, 1)) if storeys else 0
        _paint_upper_floors(canvas, x, width, storeys + extra, front, own, pitched=pitched)
        _paint_shopfront(canvas, x, width, front, own)
    for _ in range(rng.choice((1, 2, 3))):
        stand_person(canvas, rng.uniform(left, right), front - rng.uniform(0.7, 2.2))
    furnish_street(canvas, front, trees=0.12)


def _paint_upper_floors(
    canvas: Canvas, x: float, width: float, storeys: int, front: float, wall: Colour, *, pitched: bool
) -> None:
    top = 3.9 + 2.8 * storeys
    frame = canvas.rng.choice(((240, 238, 232), (70, 66, 64), (226, 220, 206)))
    roof = canvas.rng.choice(ROOFS)
    if pitched:
        canvas.face(
            (
                (x, top, front),
                (x + width, top, front),
                (x + width, top + 1.7, front + 3),
                (x, top + 1.7, front + 3),
            ),
            roof,
        )
    canvas.wall(x, x + width, 0.0, top, front, wall)
    canvas.line((x, 0, front), (x, top, front), shade(wall, 0.7), 0.12)
    canvas.wall(x, x + width, top - 0.35, top, front - 0.05, mix(wall, (245, 240, 230), 0.5))
    stain_wall(canvas, x, x + width, 3.9, top, front, wall)
    for storey in range(storeys):
        foot = 4.3 + 2.8 * storey
        for share in (0.14, 0.6):
            hang_window(canvas, x + width * share, x + width * share + 1.4, foot, foot + 1.6, front, frame)


def _paint_shopfront(canvas: Canvas, x: float, width: float, front: float, wall: Colour) -> None:
    rng = canvas.rng
    paint, awning, stripe = rng.choice(PAINTS), rng.random() < 0.65, rng.choice(PAINTS)
    goods = [rng.choice(PAINTS) for _ in range(6)]
    door_right = rng.random() < 0.5
    stall, outside = rng.random() < 0.3, rng.random()
    x0, x1 = x + 0.3, x + width - 0.3
    canvas.wall(x0, x1, 0.0, FASCIA_M, front - 0.04, shade(paint, 0.75))
    door_x = x1 - 1.25 if door_right else x0 + 0.15
    pane = (x0 + 0.15, door_x - 0.15) if door_right else (door_x + 1.25, x1 - 0.15)
    shut = canvas.wear(0.7)
    faded = mix(paint, (150, 146, 140), 0.5 * canvas.disrepair)
    if shut and shut.random() < 0.65:
        _pull_shutter(canvas, x0 + 0.1, x1 - 0.1, front - 0.06)
        scribble(canvas, x0 + 0.3, x1 - 0.3, 0.6, 2.2, front - 0.08, 0.95)
    elif shut:
        board_up(canvas, pane[0], pane[1], 0.5, 2.8, front - 0.06)
        board_up(canvas, door_x, door_x + 1.1, 0.0, 2.5, front - 0.06)
    else:
        _dress_window(canvas, pane, door_x, front - 0.06, paint, goods)
    canvas.wall(x0, x1, FASCIA_M, FASCIA_M + 0.75, front - 0.15, faded)
    canvas.wall(
        x0 + 0.4, x1 - 0.4, FASCIA_M + 0.25, FASCIA_M + 0.5, front - 0.16, mix(faded, (250, 246, 236), 0.55)
    )
    if awning:
        _spread_awning(canvas, x0, x1, front, stripe)
    if stall and not shut:
        canvas.box(pane[0], pane[0] + 1.8, 0.0, 0.75, front - 1.0, front - 0.3, (150, 112, 72))
        for i, colour in enumerate(goods[:4]):
            canvas.disc(pane[0] + 0.25 + 0.44 * i, 0.85, front - 1.0, 0.42, 0.32, colour)
    if outside < 0.2 and not shut:
        board = (
            (door_x - 0.6, 0, front - 1.3),
            (door_x, 0, front - 1.3),
            (door_x - 0.1, 1.0, front - 1.2),
            (door_x - 0.5, 1.0, front - 1.2),
        )
        canvas.face(board, (52, 52, 56))


def _dress_window(
    canvas: Canvas, pane: tuple[float, float], door_x: float, z: float, paint: Colour, goods: list[Colour]
) -> None:
    evening = canvas.place.hour == "evening"
    inside = LAMPLIGHT if evening else (86, 98, 112)
    canvas.wall(pane[0], pane[1], 0.55, 2.9, z, inside)
    step = (pane[1] - pane[0]) / 6
    for i, colour in enumerate(goods):
        left = pane[0] + step * i + 0.08
        canvas.wall(left, left + step * 0.7, 0.6, 1.0 + 0.13 * (i * 5 % 4), z, colour)
    canvas.veil(
        (
            (pane[0], 0.55, z),
            (pane[0] + step * 2, 0.55, z),
            (pane[0] + step * 4, 2.9, z),
            (pane[0] + step * 2.5, 2.9, z),
        ),
        (255, 255, 255),
        0.2,
    )
    canvas.wall(door_x, door_x + 1.1, 0.1, 2.6, z, shade(paint, 1.1))
    canvas.wall(door_x + 0.15, door_x + 0.95, 0.6, 2.45, z, inside)
    if canvas.wear(0.5):
        middle = (pane[0] + pane[1]) / 2
        for dx, dy in ((0.9, 0.7), (-0.8, 0.8), (0.6, -0.9), (-0.9, -0.4)):
            canvas.line((middle, 1.7, z), (middle + dx, 1.7 + dy, z), (230, 238, 242), 0.06)


def _pull_shutter(canvas: Canvas, x0: float, x1: float, z: float) -> None:
    canvas.wall(x0, x1, 0.0, 2.95, z, (158, 162, 166))
    for i in range(1, 10):
        canvas.line((x0, 0.3 * i, z), (x1, 0.3 * i, z), (118, 122, 128), 0.06)


def _spread_awning(canvas: Canvas, x0: float, x1: float, front: float, colour: Colour) -> None:
    dirty = mix(colour, (110, 104, 94), 0.55 * canvas.disrepair)
    pale = mix((246, 242, 234), (140, 132, 120), 0.6 * canvas.disrepair)
    n_stripes, out, sag = 8, 1.3, 0.5 if canvas.wear(0.6) else 0.0
    step = (x1 - x0) / n_stripes
    for i in range(n_stripes):
        a, b = x0 + step * i, x0 + step * (i + 1)
        drop_a, drop_b = 2.45 - sag * i / n_stripes, 2.45 - sag * (i + 1) / n_stripes
        cloth = dirty if i % 2 else pale
        canvas.face(
            ((a, 3.15, front - 0.1), (b, 3.15, front - 0.1), (b, drop_b, front - out), (a, drop_a, front - out)),
            cloth,
        )
        canvas.face(
            (
                (a, drop_a, front - out),
                (b, drop_b, front - out),
                (b, drop_b - 0.25, front - out),
                (a, drop_a - 0.25, front - out),
            ),
            shade(cloth, 0.85),
        )
