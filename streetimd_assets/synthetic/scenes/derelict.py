"""Derelict land: plots where something stood."""

import math
import random

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.nature import plant_bush, plant_tree
from streetimd_assets.synthetic.scenes.place import EARTHS, PAINTS, WALLS
from streetimd_assets.synthetic.scenes.street import furnish_street, lay_ground, lay_street
from streetimd_assets.synthetic.scenes.wear import scatter_litter, scribble, spray, sprout_weeds, tuft


def paint_derelict_land(canvas: Canvas) -> None:
    """An empty plot with heaps of rubble and weeds behind a fence with gaps, perhaps a ruin."""
    rng = canvas.rng
    edge = rng.uniform(4.0, 9.0)
    if rng.random() < 0.65:
        lay_street(canvas, edge)
    else:
        lay_ground(canvas)
    soil = canvas.place.ground(mix(rng.choice(EARTHS), canvas.place.grass, rng.choice((0.1, 0.35, 0.6))))
    canvas.floor(-70, 70, edge, 75.0, soil)
    _patch_soil(canvas, edge, soil)
    if rng.random() < 0.4:
        _leave_ruin(canvas, rng.uniform(-9, 5), rng.uniform(edge + 9, edge + 18))
    if rng.random() < 0.35:
        plant_tree(canvas, rng.uniform(-12, 12), edge + 20, rng.uniform(3.5, 6))
    heaps = [
        (rng.uniform(-0.65, 0.65) * z, z) for z in (edge + rng.uniform(2.5, 13) for _ in range(rng.randint(4, 6)))
    ]
    for x, z in sorted(heaps, key=lambda heap: -heap[1]):
        _heap_rubble(canvas, x, z, rng.uniform(3.5, 7.5), rng.uniform(1.2, 2.8))
    _grow_wild(canvas, edge)
    if rng.random() < 0.4:
        _dump(canvas, rng.uniform(-5, 5), edge + rng.uniform(1.5, 4))
    scatter_litter(canvas, -7, 7, edge + 0.3, edge + 10, n_slots=34)
    if rng.random() < 0.85:
        _break_fence(canvas, edge + 0.2, hoarding=rng.random() < 0.4)
    if edge > 7.5:
        furnish_street(canvas, edge, trees=0.05)


def _patch_soil(canvas: Canvas, edge: float, soil: Colour) -> None:
    rng = canvas.rng
    for _ in range(6):
        x, z, wide = rng.uniform(-14, 14), rng.uniform(edge + 1, edge + 18), rng.uniform(2, 6)
        outline = [(x + wide * rng.uniform(0.6, 1.0) * math.cos(a), 0.0, max(edge, z + 0.5 * wide * math.sin(a)))
                   for a in (0.3, 1.3, 2.4, 3.3, 4.3, 5.5)]  # fmt: skip
        puddle = mix(canvas.place.sky[1], soil, 0.3)
        canvas.face(
            outline, rng.choice((shade(soil, 0.85), shade(soil, 1.1), mix(soil, canvas.place.grass, 0.5), puddle))
        )


def _heap_rubble(canvas: Canvas, x: float, z: float, wide: float, tall: float) -> None:
    rng = canvas.rng
    colour = rng.choice((*EARTHS, *WALLS[:3], WALLS[7]))
    canvas.shadow(x, z, wide * 1.2)
    ridge = [(x - wide / 2, 0.0, z)]
    for step in range(1, 8):
        share = step / 8
        ridge.append((x + wide * (share - 0.5), tall * math.sin(math.pi * share) * rng.uniform(0.7, 1.1), z))
    ridge.append((x + wide / 2, 0.0, z))
    canvas.face(ridge, colour)
    canvas.face([ridge[0], *((px, py * 0.45, pz) for px, py, pz in ridge[1:-1]), ridge[-1]], shade(colour, 0.82))
    stones = random.Random(rng.random())
    for _ in range(16):
        dx = stones.uniform(-0.5, 0.5)
        up = stones.random() * tall * 0.8 * math.cos(math.pi * dx)
        size = stones.uniform(0.2, 0.55)
        brick = stones.choice((shade(colour, 0.6), shade(colour, 1.25), WALLS[0], (176, 172, 166)))
        sx = x + dx * wide
        canvas.face(((sx, up, z), (sx + size, up + size * stones.uniform(-0.4, 0.4), z),
                     (sx + size * 0.9, up + size * 0.7, z), (sx - 0.05, up + size * 0.55, z)), brick)  # fmt: skip
    if marks := canvas.wear(0.9):
        canvas.line(
            (x, tall * 0.4, z),
            (x + marks.uniform(-1.5, 1.5), tall + marks.uniform(0.5, 1.2), z),
            (110, 76, 54),
            0.14,
        )


def _grow_wild(canvas: Canvas, edge: float) -> None:
    rng = canvas.rng
    green = mix(canvas.place.grass, (120, 112, 60), 0.4)
    for _ in range(14):
        x, z, own = rng.uniform(-9, 9), edge + 0.5 + 12 * rng.random() ** 2, random.Random(rng.random())
        tuft(canvas, own, x, z, 0.25 + 0.35 * canvas.disrepair + 0.2 * own.random(), green)
    for _ in range(rng.choice((0, 1, 2))):
        plant_bush(canvas, rng.uniform(-8, 8), edge + rng.uniform(4, 12), rng.uniform(0.8, 1.6))
    sprout_weeds(canvas, -8, 8, edge + 0.4, edge + 8, n_slots=24)


def _leave_ruin(canvas: Canvas, x: float, z: float) -> None:
    rng = canvas.rng
    wall, wide, tall = rng.choice(WALLS), rng.uniform(7, 12), rng.uniform(2.8, 5.0)
    top = [(x + wide * i / 7, tall * rng.uniform(0.45, 1.0), z) for i in range(8)]
    canvas.face([(x, 0.0, z), *top, (x + wide, 0.0, z)], wall)
    canvas.face(
        [(px, py - 0.25, pz) for px, py, pz in top] + [(px, py, pz) for px, py, pz in reversed(top)],
        shade(wall, 0.65),
    )
    for share in (0.2, 0.62):
        canvas.wall(
            x + wide * share,
            x + wide * share + 1.2,
            0.7,
            1.3 + tall * 0.15,
            z,
            mix(canvas.place.sky[1], (60, 60, 60), 0.5),
        )
    scribble(canvas, x, x + wide, 0.2, 1.4, z - 0.05, 0.95)
    scribble(canvas, x, x + wide, 0.4, 1.6, z - 0.05, 0.8)


def _break_fence(canvas: Canvas, z: float, *, hoarding: bool) -> None:
    """Planks with gaps even at its tidiest; more lean or are gone with disrepair."""
    rng = canvas.rng
    left, right = canvas.visible_span(z, 25.0)
    wood, tall = rng.choice((*WALLS[:4], WALLS[8], (150, 118, 82))), rng.uniform(1.1, 1.7)
    step = 1.9 if hoarding else 0.42
    opening = rng.uniform(left, right)
    for i in range(min(40, int((right - left) / step) + 1)):
        x, own = left + step * i, random.Random(rng.random())
        always_gone = abs(x - opening) < 2.4 or own.random() < 0.2
        gone, leaning, sprayed = canvas.wear(0.5), canvas.wear(0.7), canvas.wear(0.6)
        if always_gone or gone:
            continue
        tilt = own.uniform(-0.35, 0.35) if leaning else own.uniform(-0.04, 0.04)
        high, end = tall * own.uniform(0.88, 1.05), x + step * 0.88
        plank = ((x, 0.0, z), (end, 0.0, z), (end + tilt, high, z), (x + tilt, high, z))
        canvas.face(plank, shade(wood, own.uniform(0.85, 1.1)))
        if hoarding and sprayed:
            spray(canvas, sprayed, x + 0.2, end - 0.2, 0.3, tall * 0.8, z - 0.02)


def _dump(canvas: Canvas, x: float, z: float) -> None:
    rng = canvas.rng
    kind, colour = rng.random(), rng.choice(PAINTS)
    if kind < 0.5:
        for dx in (0.0, 0.7, 0.35):
            up = 0.6 if dx == 0.35 else 0.25
            canvas.disc(x + dx, up, z, 0.75, 0.55, (36, 36, 40))
            canvas.disc(x + dx, up, z, 0.34, 0.24, (110, 104, 96))
    else:
        canvas.box(x, x + 1.9, 0.25, 0.65, z, z + 0.8, shade(colour, 0.9))
        canvas.wall(x, x + 1.9, 0.6, 1.1, z + 0.8, shade(colour, 0.75))
