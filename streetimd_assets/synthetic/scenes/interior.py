"""Rooms, which a street study rejects."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.place import EARTHS, GLASS, LAMPLIGHT, PAINTS, PAVINGS, WALLS


def paint_interior(canvas: Canvas) -> None:
    """The corner of a furnished room: floor, walls, ceiling, and things along the back wall."""
    rng = canvas.rng
    canvas.aim(yaw=rng.uniform(-0.45, 0.45))
    canvas.camera_height_m = min(canvas.camera_height_m, rng.uniform(1.2, 2.0))
    canvas.horizon = canvas.size * rng.uniform(0.35, 0.6)
    half, back, tall = rng.uniform(2.4, 4.2), rng.uniform(4.5, 7.0), rng.uniform(2.5, 3.2)
    wall, floor = rng.choice(WALLS), rng.choice((*EARTHS, *PAVINGS, *WALLS[:4]))
    _build_shell(canvas, half, back, tall, wall, floor)
    _hang_on_back_wall(canvas, half, back, tall)
    slots = [-half * 0.62, 0.0, half * 0.62]
    rng.shuffle(slots)
    furniture = rng.sample([_put_sofa, _put_bookcase, _put_table, _put_lamp, _put_plant, _put_screen], 3)
    for x, put in zip(slots, furniture, strict=True):
        put(canvas, x, back - rng.uniform(0.5, 1.0))
    if rng.random() < 0.6:
        _put_table(canvas, rng.uniform(-half, half) * 0.5, rng.uniform(2.6, back - 1.5))


def _build_shell(canvas: Canvas, half: float, back: float, tall: float, wall: Colour, floor: Colour) -> None:
    rng = canvas.rng
    canvas.draw.rectangle((0, 0, canvas.size, canvas.size), fill=shade(wall, 0.85))
    canvas.floor(-half, half, 0.3, back, mix(wall, (244, 242, 238), 0.7), y=tall)
    canvas.floor(-half, half, 0.3, back, floor)
    canvas.side(-half, 0.3, back, 0.0, tall, shade(wall, 0.9 if canvas.place.sun_from_left else 0.74))
    canvas.side(half, 0.3, back, 0.0, tall, shade(wall, 0.74 if canvas.place.sun_from_left else 0.9))
    canvas.wall(-half, half, 0.0, tall, back, wall)
    if rng.random() < 0.6:
        for board in range(1, 9):
            x = -half + 2 * half * board / 9
            canvas.line((x, 0.0, 1.2), (x, 0.0, back), shade(floor, 0.82), 0.02)
    canvas.wall(-half, half, 0.0, 0.14, back, (240, 236, 228))
    rug, reach = rng.choice(PAINTS), rng.uniform(0.4, 0.75) * half
    if rng.random() < 0.6:
        canvas.floor(-reach, reach, back * 0.45, back * 0.85, rug)
        canvas.floor(-reach * 0.85, reach * 0.85, back * 0.49, back * 0.81, mix(rug, (244, 238, 226), 0.4))
    canvas.line((0.0, tall, back * 0.6), (0.0, tall - 0.45, back * 0.6), (60, 60, 62), 0.03)
    canvas.disc(0.0, tall - 0.55, back * 0.6, 0.5, 0.3, LAMPLIGHT)


def _hang_on_back_wall(canvas: Canvas, half: float, back: float, tall: float) -> None:
    rng = canvas.rng
    window_x = rng.uniform(-half + 0.2, half - 1.8)
    cloth = rng.choice(PAINTS)
    outside = GLASS[3] if canvas.place.hour == "evening" else canvas.place.sky[1]
    canvas.wall(window_x - 0.08, window_x + 1.48, 0.85, 2.15, back - 0.01, (244, 242, 238))
    canvas.wall(window_x, window_x + 1.4, 0.93, 2.07, back - 0.02, outside)
    canvas.line((window_x + 0.7, 0.93, back - 0.02), (window_x + 0.7, 2.07, back - 0.02), (244, 242, 238), 0.05)
    for x in (window_x - 0.3, window_x + 1.25):
        canvas.wall(x, x + 0.45, 0.6, 2.3, back - 0.05, cloth)
        canvas.wall(x + 0.15, x + 0.28, 0.6, 2.3, back - 0.05, shade(cloth, 0.8))
    canvas.line((window_x - 0.4, 2.3, back - 0.05), (window_x + 1.8, 2.3, back - 0.05), (90, 70, 56), 0.05)
    for side in (-1, 1):
        _hang_picture(canvas, side, half, back, tall)


def _hang_picture(canvas: Canvas, side: int, half: float, back: float, tall: float) -> None:
    rng = canvas.rng
    x, z, door = side * half, back * rng.uniform(0.45, 0.6), rng.random() < 0.45
    if door:
        canvas.side(x * 0.995, z, z + 1.0, 0.0, 2.05, (226, 216, 198))
        canvas.side(x * 0.99, z + 0.12, z + 0.88, 1.1, 1.9, (206, 194, 174))
        canvas.side(x * 0.99, z + 0.12, z + 0.88, 0.2, 0.95, (206, 194, 174))
    else:
        canvas.side(x * 0.995, z, z + 0.9, 1.2, min(1.95, tall - 0.3), (92, 66, 48))
        canvas.side(x * 0.99, z + 0.08, z + 0.82, 1.28, min(1.87, tall - 0.38), rng.choice(PAINTS))


def _put_sofa(canvas: Canvas, x: float, z: float) -> None:
    colour = canvas.rng.choice(PAINTS)
    canvas.shadow(x, z, 2.2)
    canvas.wall(x - 0.95, x + 0.95, 0.3, 0.95, z, shade(colour, 0.85))
    canvas.box(x - 0.85, x + 0.85, 0.1, 0.48, z - 0.6, z, colour)
    for side in (-1.0, 0.78):
        canvas.box(x + side, x + side + 0.22, 0.05, 0.65, z - 0.65, z, shade(colour, 0.95))
    canvas.line((x, 0.1, z - 0.6), (x, 0.48, z - 0.6), shade(colour, 0.7), 0.03)
    canvas.wall(x - 0.7, x - 0.3, 0.5, 0.85, z - 0.1, canvas.rng.choice(PAINTS))


def _put_bookcase(canvas: Canvas, x: float, z: float) -> None:
    rng = canvas.rng
    wood: Colour = rng.choice(((134, 92, 60), (226, 218, 204), (92, 66, 48)))
    canvas.box(x - 0.6, x + 0.6, 0.0, 1.9, z, z + 0.35, wood)
    for shelf in range(4):
        foot = 0.1 + 0.45 * shelf
        canvas.wall(x - 0.53, x + 0.53, foot, foot + 0.38, z - 0.01, shade(wood, 0.55))
        for book in range(6):
            left = x - 0.5 + 0.16 * book
            canvas.wall(left, left + 0.13, foot, foot + rng.uniform(0.22, 0.36), z - 0.02, rng.choice(PAINTS))


def _put_table(canvas: Canvas, x: float, z: float) -> None:
    wood: Colour = canvas.rng.choice(((160, 112, 72), (110, 78, 56), (230, 224, 212)))
    canvas.shadow(x, z, 1.6)
    for dx in (-0.6, 0.52):
        canvas.wall(x + dx, x + dx + 0.08, 0.0, 0.7, z, shade(wood, 0.7))
        canvas.wall(x + dx, x + dx + 0.08, 0.1, 0.7, z + 0.6, shade(wood, 0.55))
    canvas.box(x - 0.7, x + 0.7, 0.7, 0.78, z - 0.05, z + 0.7, wood)
    canvas.wall(x - 0.1, x + 0.08, 0.78, 1.0, z + 0.2, canvas.rng.choice(PAINTS))
    canvas.disc(x - 0.01, 1.1, z + 0.2, 0.3, 0.28, (92, 150, 84))


def _put_lamp(canvas: Canvas, x: float, z: float) -> None:
    canvas.disc(x, 0.03, z, 0.4, 0.08, (60, 58, 56))
    canvas.line((x, 0.0, z), (x, 1.4, z), (60, 58, 56), 0.05)
    shade_cloth = ((x - 0.32, 1.35, z), (x + 0.32, 1.35, z), (x + 0.18, 1.8, z), (x - 0.18, 1.8, z))
    canvas.face(shade_cloth, LAMPLIGHT)


def _put_plant(canvas: Canvas, x: float, z: float) -> None:
    pot = canvas.rng.choice(PAINTS)
    for dx, up, green in ((-0.25, 0.85, (62, 120, 72)), (0.25, 0.9, (84, 142, 84)), (0.0, 1.15, (72, 132, 76))):
        canvas.disc(x + dx, up, z, 0.36, 0.75, green)
    canvas.face(((x - 0.16, 0, z), (x + 0.16, 0, z), (x + 0.24, 0.5, z), (x - 0.24, 0.5, z)), pot)


def _put_screen(canvas: Canvas, x: float, z: float) -> None:
    canvas.box(x - 0.7, x + 0.7, 0.0, 0.5, z - 0.2, z + 0.2, (134, 92, 60))
    canvas.wall(x - 0.6, x + 0.6, 0.6, 1.3, z, (26, 28, 32))
    canvas.veil(
        ((x - 0.5, 0.7, z), (x + 0.1, 0.7, z), (x - 0.2, 1.25, z), (x - 0.5, 1.25, z)), (120, 140, 160), 0.5
    )
    canvas.wall(x - 0.06, x + 0.06, 0.5, 0.6, z, (26, 28, 32))
