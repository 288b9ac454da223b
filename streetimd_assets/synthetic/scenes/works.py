"""Industrial sheds, tanks and chimneys."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.place import EARTHS, GLASS, PAINTS, ROOFS, WALLS
from streetimd_assets.synthetic.scenes.street import furnish_street, lay_street, wheel_lorry
from streetimd_assets.synthetic.scenes.wear import board_up, crack_ground, scribble, smash, sprout_weeds, stain_wall


def paint_industrial(canvas: Canvas) -> None:
    """Sheds with saw-tooth or shallow roofs and roller doors, with chimneys, tanks or silos by them."""
    rng = canvas.rng
    gate = rng.uniform(7.0, 11.0)
    front = gate + rng.uniform(5.0, 13.0)
    lay_street(canvas, gate)
    yard = canvas.place.ground(rng.choice((*EARTHS[2:], (150, 148, 148), (124, 120, 116), canvas.place.grass)))
    canvas.floor(-60, 60, gate, front + 30, yard)
    crack_ground(canvas, -10, 10, gate, front, yard)
    left, right = canvas.visible_span(front, 38.0)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _raise_chimney(canvas, rng.uniform(left, right), front + 12)
    width = rng.uniform(11.0, 18.0)
    first = left - width * rng.random()
    starts = [first + i * (width + 1.5) for i in range(int((right - first) / (width + 1.5)) + 1)]
    for x in sorted(starts, key=lambda start: -abs(start + width / 2)):
        if rng.random() < 0.22 and len(starts) > 1:
            for i in range(rng.choice((2, 3))):
                _stand_tank(canvas, x + 2.6 + 5.0 * i, front + 3)
        else:
            _paint_shed(canvas, x, width, front)
    _clutter_yard(canvas, left, right, gate, front)
    sprout_weeds(canvas, left, right, gate + 0.3, front - 0.3, n_slots=12)
    if rng.random() < 0.6:
        _fence_off(canvas, left, right, gate + 0.2)
    furnish_street(canvas, gate, trees=0.08)


def _paint_shed(canvas: Canvas, x: float, width: float, front: float) -> None:
    rng = canvas.rng
    wall, roof, door = rng.choice(WALLS), rng.choice(ROOFS), rng.choice(PAINTS)
    eaves, saw_tooth = rng.uniform(4.6, 6.6), rng.random() < 0.6
    rusty = mix(wall, (138, 88, 58), 0.35 * canvas.disrepair)
    if not saw_tooth:
        canvas.box(x, x + width, 0.0, eaves, front, front + 14, rusty)
        peak = eaves + width * 0.14
        canvas.face(((x - 0.3, eaves, front), (x + width + 0.3, eaves, front), (x + width / 2, peak, front)), rusty)
        for edge in (x - 0.3, x + width + 0.3):
            canvas.line((edge, eaves, front), (x + width / 2, peak, front), roof, 0.4)
    else:
        canvas.box(x, x + width, 0.0, eaves, front, front + 14, rusty)
        _cut_saw_teeth(canvas, x, width, eaves, front, roof, flip=rng.random() < 0.5)
    stain_wall(canvas, x, x + width, 0.0, eaves, front, rusty)
    for i in range(1, 14):
        line_x = x + width * i / 14
        canvas.line((line_x, 0, front), (line_x, eaves, front), shade(rusty, 0.88), 0.06)
    n_doors = rng.choice((1, 2, 2))
    for i in range(n_doors):
        left = x + width * (0.12 + 0.42 * i)
        _hang_roller_door(canvas, left, left + width * 0.27, front, door)
    for i in range(4):
        left = x + width * (0.1 + 0.21 * i)
        _glaze_strip(canvas, left, left + width * 0.15, eaves - 1.2, eaves - 0.5, front)
    scribble(canvas, x + 0.5, x + width - 0.5, 0.5, 2.2, front - 0.05, 0.8)


def _cut_saw_teeth(
    canvas: Canvas, x: float, width: float, eaves: float, front: float, roof: Colour, *, flip: bool
) -> None:
    n_teeth, rise = 4, 2.3
    step = width / n_teeth
    for i in range(n_teeth):
        a, b = x + step * i, x + step * (i + 1)
        tip = a if flip else b
        canvas.face(((a, eaves, front), (b, eaves, front), (tip, eaves + rise, front)), roof)
        low = b if flip else a
        inner = low + (tip - low) * 0.5
        pane = ((inner, eaves + 0.25, front), (tip + (inner - tip) * 0.15, eaves + 0.25, front),
                (tip + (inner - tip) * 0.15, eaves + rise * 0.72, front))  # fmt: skip
        canvas.face(pane, (40, 42, 46) if canvas.wear(0.7) else GLASS[2])


def _hang_roller_door(canvas: Canvas, x0: float, x1: float, z: float, paint: Colour) -> None:
    worn = mix(paint, (132, 92, 66), 0.5 * canvas.disrepair)
    canvas.wall(x0 - 0.2, x1 + 0.2, 0.0, 3.7, z - 0.02, (70, 72, 78))
    canvas.wall(x0, x1, 0.0, 3.5, z - 0.03, worn)
    for i in range(1, 7):
        canvas.line((x0, 0.5 * i, z - 0.03), (x1, 0.5 * i, z - 0.03), shade(worn, 0.72), 0.07)
    if canvas.wear(0.35):
        board_up(canvas, x0, x1, 0.0, 2.4, z - 0.05)
    scribble(canvas, x0, x1, 0.4, 2.2, z - 0.06, 0.6)


def _glaze_strip(canvas: Canvas, x0: float, x1: float, y0: float, y1: float, z: float) -> None:
    canvas.wall(x0, x1, y0, y1, z - 0.02, GLASS[1])
    if marks := canvas.wear(0.8):
        smash(canvas, marks, x0, x1, y0, y1, z - 0.02)


def _raise_chimney(canvas: Canvas, x: float, z: float) -> None:
    rng = canvas.rng
    colour, tall, wide = rng.choice(WALLS), rng.uniform(13, 22), rng.uniform(0.8, 1.4)
    smoking = rng.random() < 0.45
    canvas.face(
        ((x - wide, 0, z), (x + wide, 0, z), (x + wide * 0.65, tall, z), (x - wide * 0.65, tall, z)), colour
    )
    canvas.face(
        ((x + wide * 0.2, 0, z), (x + wide, 0, z), (x + wide * 0.65, tall, z), (x + wide * 0.2, tall, z)),
        shade(colour, 0.75),
    )
    for share in (0.82, 0.95):
        canvas.wall(x - wide * 0.75, x + wide * 0.75, tall * share, tall * share + 0.5, z, shade(colour, 0.55))
    pixels = canvas.scale(x, z)
    if smoking and pixels:
        left, top = canvas.spot(x, tall, z)
        for puff in range(5):
            reach = pixels * (0.7 + 0.5 * puff)
            middle = (left + pixels * 1.1 * puff, top - pixels * (0.8 + 0.9 * puff))
            canvas.glaze.ellipse(
                (middle[0] - reach, middle[1] - reach * 0.7, middle[0] + reach, middle[1] + reach * 0.7),
                fill=(214, 212, 208, 150 - 22 * puff),
            )


def _stand_tank(canvas: Canvas, x: float, z: float) -> None:
    rng = canvas.rng
    colour = mix(rng.choice(WALLS), (138, 88, 58), 0.4 * canvas.disrepair)
    wide, tall = rng.uniform(3.4, 4.6), rng.uniform(5.0, 9.5)
    canvas.disc(x, 0.0, z, wide, wide * 0.16, shade(colour, 0.8))
    canvas.wall(x - wide / 2, x + wide / 2, 0.0, tall, z, colour)
    canvas.wall(x - wide / 2, x - wide * 0.2, 0.0, tall, z, shade(colour, 1.12))
    canvas.wall(x + wide * 0.22, x + wide / 2, 0.0, tall, z, shade(colour, 0.75))
    canvas.disc(x, tall, z, wide, wide * 0.28, shade(colour, 1.15))
    for share in (0.33, 0.66):
        canvas.line((x - wide / 2, tall * share, z), (x + wide / 2, tall * share, z), shade(colour, 0.6), 0.12)


def _clutter_yard(canvas: Canvas, left: float, right: float, gate: float, front: float) -> None:
    rng = canvas.rng
    for _ in range(rng.choice((0, 1, 1, 2))):
        x, colour = rng.uniform(left, right), rng.choice(PAINTS)
        canvas.box(x, x + 6.0, 0.0, 2.5, front - 2.2, front - 0.4, colour)
        for i in range(1, 8):
            canvas.line(
                (x + 0.75 * i, 0.1, front - 2.2), (x + 0.75 * i, 2.4, front - 2.2), shade(colour, 0.75), 0.1
            )
    for _ in range(rng.choice((0, 1, 2))):
        x = rng.uniform(left, right)
        for level in range(3):
            canvas.box(x, x + 1.2, 0.4 * level, 0.4 * level + 0.25, gate + 1.5, gate + 2.5, (164, 124, 80))
    if rng.random() < 0.45:
        wheel_lorry(canvas, rng.uniform(left, right), (gate + front) / 2)


def _fence_off(canvas: Canvas, left: float, right: float, z: float) -> None:
    steel: Colour = (112, 124, 124)
    n_pales = 34
    step = (right - left) / n_pales
    for i in range(n_pales):
        x = left + step * i
        if not canvas.wear(0.45):
            canvas.line((x, 0.0, z), (x, 1.7, z), steel, 0.07)
    for y in (0.4, 1.4):
        canvas.line((left, y, z), (right, y, z), steel, 0.07)
