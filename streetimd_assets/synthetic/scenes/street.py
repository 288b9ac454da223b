"""The ground of a street and what stands on it: kerbs, cars, lamp posts, bins, people."""

import math

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.nature import plant_tree
from streetimd_assets.synthetic.scenes.place import EARTHS, GLASS, LAMPLIGHT, PAINTS, PAVINGS, ROADS
from streetimd_assets.synthetic.scenes.wear import crack_ground, scatter_litter, sprout_weeds

REACH_M = 60.0
_CAR_BODY = ((-2.1, 0.35), (2.1, 0.35), (2.15, 0.8), (1.35, 0.95), (0.75, 1.42), (-1.05, 1.45), (-1.75, 0.95),
             (-2.15, 0.85))  # fmt: skip
_VAN_BODY = ((-2.4, 0.4), (2.4, 0.4), (2.4, 1.1), (1.7, 1.3), (1.3, 2.1), (-2.4, 2.1))


def lay_ground(canvas: Canvas, colour: Colour | None = None) -> Colour:
    """Cover everything below the horizon with grass, paving or earth."""
    picked = canvas.rng.choice((canvas.place.grass, *PAVINGS[:2], EARTHS[2]))
    ground = canvas.place.ground(colour or picked)
    canvas.draw.rectangle((0, canvas.horizon, canvas.size, canvas.size), fill=ground)
    return ground


def lay_street(canvas: Canvas, facade_z: float) -> None:
    """Carriageway, kerb and pavement in front of a row that stands at ``facade_z``."""
    rng, place = canvas.rng, canvas.place
    lay_ground(canvas)
    road, paving = place.ground(rng.choice(ROADS)), place.ground(rng.choice(PAVINGS))
    pavement = rng.uniform(1.8, 3.2)
    kerb = facade_z - pavement
    start = rng.uniform(-4.0, kerb * 0.35)
    canvas.floor(-REACH_M, REACH_M, start, kerb, road)
    canvas.floor(-REACH_M, REACH_M, kerb, facade_z, paving, y=0.0)
    canvas.floor(-REACH_M, REACH_M, kerb - 0.15, kerb, shade(paving, 0.72))
    _mark_road(canvas, start, kerb, mix(road, (236, 232, 220), 0.75 - 0.4 * canvas.disrepair))
    left, right = canvas.visible_span(kerb, 16.0)
    crack_ground(canvas, left, right, max(start, 3.0), kerb, road)
    for x in range(-16, 17, 4):
        canvas.line((x, 0.01, kerb), (x, 0.01, facade_z), shade(paving, 0.88), 0.05)


def _mark_road(canvas: Canvas, start: float, kerb: float, white: Colour) -> None:
    style = canvas.rng.random()
    middle = max(start, 0.0) * 0.5 + kerb * 0.5
    if style < 0.45:
        for x in range(-24, 25, 6):
            canvas.floor(x, x + 2.5, middle, middle + 0.16, white)
    elif style < 0.65:
        canvas.floor(-REACH_M, REACH_M, kerb - 0.55, kerb - 0.4, white)


def furnish_street(canvas: Canvas, facade_z: float, *, trees: float = 0.4) -> None:
    """Cars, lamp posts, trees, bins, people and litter between the camera and the row."""
    rng = canvas.rng
    left, right = canvas.visible_span(facade_z, 20.0)
    kerb = facade_z - 2.4
    sprout_weeds(canvas, left, right, facade_z - 0.3, facade_z - 0.05, n_slots=7)
    if rng.random() < trees:
        plant_tree(canvas, rng.uniform(left, right), kerb + 0.5, rng.uniform(3.5, 6.5))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        stand_person(canvas, rng.uniform(left, right), kerb + rng.uniform(0.6, 1.8))
    for _ in range(rng.choice((0, 0, 1))):
        stand_bin(canvas, rng.uniform(left, right), kerb + 1.4)
    if rng.random() < 0.5:
        stand_lamp(canvas, rng.uniform(left, right), kerb + 0.3)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        park_car(canvas, rng.uniform(left, right), kerb - 1.0)
    scatter_litter(canvas, left, right, max(4.0, kerb - 4.5), facade_z - 0.3)


def park_car(canvas: Canvas, x: float, z: float) -> None:
    """A car or van seen from its side; a wreck shows rust and no hub caps."""
    rng = canvas.rng
    colour, turned, van = rng.choice(PAINTS), rng.random() < 0.5, rng.random() < 0.2
    if not canvas.scale(x, z):
        return
    way = -1.0 if turned else 1.0
    body = _VAN_BODY if van else _CAR_BODY
    if canvas.wear(0.35):
        colour = mix(colour, (120, 78, 52), 0.55)
    canvas.shadow(x, z, 5.2, deep=1.2)
    canvas.face([(x + way * dx, y, z) for dx, y in body], colour)
    glass = GLASS[2] if canvas.place.hour == "day" else GLASS[0]
    if van:
        left, right = sorted((x + way * 1.4, x + way * 0.7))
        canvas.wall(left, right, 1.25, 1.9, z, glass)
    else:
        canvas.face(
            [(x + way * dx, y, z) for dx, y in ((1.15, 0.98), (0.68, 1.34), (0.0, 1.36), (0.0, 0.98))], glass
        )
        canvas.face(
            [(x + way * dx, y, z) for dx, y in ((-0.12, 0.98), (-0.12, 1.36), (-0.95, 1.36), (-1.45, 0.98))], glass
        )
    for dx in (-1.35, 1.35):
        canvas.disc(x + dx, 0.36, z, 0.74, 0.72, (30, 30, 34))
        canvas.disc(x + dx, 0.36, z, 0.36, 0.36, (150, 152, 158))


def stand_lamp(canvas: Canvas, x: float, z: float, tall: float = 5.5, arms: int = 1) -> None:
    """A lamp post, alight in the evening, with one arm or two."""
    steel: Colour = (86, 92, 98)
    canvas.line((x, 0, z), (x, tall, z), steel, 0.14)
    for way in (-1, 1)[:arms]:
        canvas.line((x, tall, z), (x + way * 1.1, tall + 0.25, z), steel, 0.1)
        glow = LAMPLIGHT if canvas.place.hour == "evening" else (210, 212, 214)
        canvas.disc(x + way * 1.2, tall + 0.2, z, 0.7, 0.28, glow)


def stand_bin(canvas: Canvas, x: float, z: float) -> None:
    """A wheeled bin, upright or, neglected, overflowing."""
    colour = shade(canvas.rng.choice(PAINTS), 0.8)
    canvas.box(x - 0.3, x + 0.3, 0.0, 1.0, z, z + 0.5, colour)
    if canvas.wear(0.9):
        canvas.disc(x, 1.1, z, 0.7, 0.5, (40, 42, 48))
    else:
        canvas.wall(x - 0.34, x + 0.34, 1.0, 1.1, z, shade(colour, 0.7))


def stand_person(canvas: Canvas, x: float, z: float) -> None:
    """Somebody walking by, faceless."""
    rng = canvas.rng
    coat, legs, stride = rng.choice(PAINTS), shade(rng.choice(PAINTS), 0.5), rng.uniform(0.05, 0.22)
    skin = rng.choice(((224, 182, 150), (150, 104, 76), (98, 68, 52)))
    canvas.shadow(x, z, 0.7)
    for way in (-1, 1):
        canvas.line((x, 0.85, z), (x + way * stride, 0.05, z), legs, 0.17)
    canvas.disc(x, 1.12, z, 0.5, 0.8, coat)
    canvas.disc(x, 1.62, z, 0.26, 0.3, skin)


def wheel_lorry(canvas: Canvas, x: float, z: float) -> None:
    """A lorry from its side."""
    rng = canvas.rng
    trailer, cab = rng.choice(PAINTS), rng.choice(PAINTS)
    canvas.shadow(x, z, 9.5, deep=0.7)
    canvas.wall(x - 4.2, x + 2.4, 0.9, 3.5, z, trailer)
    canvas.wall(x + 2.6, x + 4.4, 0.5, 2.9, z, cab)
    canvas.wall(x + 3.4, x + 4.3, 1.7, 2.6, z, GLASS[1])
    for dx in (-3.4, -2.4, 3.4):
        canvas.disc(x + dx, 0.5, z, 1.0, 1.0, (30, 30, 34))


def lay_path(canvas: Canvas, x: float, z0: float, z1: float, width: float, colour: Colour, bend: float) -> None:
    """A path that winds away from the camera."""
    left, right = [], []
    for step in range(9):
        z = z0 + (z1 - z0) * step / 8
        middle = x + bend * math.sin(step / 8 * 3.2) + bend * 0.5 * step / 8
        left.append((middle - width / 2, 0.01, z))
        right.append((middle + width / 2, 0.01, z))
    canvas.face(left + right[::-1], colour)
