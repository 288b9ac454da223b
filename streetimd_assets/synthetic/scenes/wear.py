"""Signs of neglect. Each asks the canvas whether it is there, so more disrepair shows more of them."""

import math
import random

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, Point, mix, shade
from streetimd_assets.synthetic.scenes.place import PAINTS

BOARD: Colour = (190, 150, 98)
LITTER: tuple[Colour, ...] = ((236, 234, 226), (40, 42, 48), (196, 60, 52), (70, 120, 180), (222, 190, 90))


def scatter_litter(canvas: Canvas, x0: float, x1: float, z0: float, z1: float, n_slots: int = 26) -> None:
    """Paper, cups and bin bags on the ground between two depths."""
    for _ in range(n_slots):
        if marks := canvas.wear(0.95):
            near = marks.random() ** 1.6
            x, z = marks.uniform(x0, x1), z0 + (z1 - z0) * near
            if marks.random() < 0.12:
                tall = marks.uniform(0.35, 0.6)
                canvas.disc(x, tall / 2, z, tall * 1.2, tall, (38, 40, 46))
                canvas.disc(x, tall * 0.95, z, tall * 0.3, tall * 0.3, (58, 60, 68))
            else:
                _drop_paper(canvas, marks, x, z)


def _drop_paper(canvas: Canvas, marks: random.Random, x: float, z: float) -> None:
    size, turn = marks.uniform(0.14, 0.34), marks.uniform(0, math.pi)
    corners: list[Point] = [
        (x + size * math.cos(turn + step), 0.02, z + size * math.sin(turn + step)) for step in (0.0, 1.4, 3.0, 4.5)
    ]
    canvas.face(corners, marks.choice(LITTER))


def scribble(canvas: Canvas, x0: float, x1: float, y0: float, y1: float, z: float, chance: float) -> None:
    """A loose loop of spray paint on a wall: never a letter."""
    if marks := canvas.wear(chance):
        spray(canvas, marks, x0, x1, y0, y1, z)


def spray(canvas: Canvas, marks: random.Random, x0: float, x1: float, y0: float, y1: float, z: float) -> None:
    """Draw a scribble inside a rectangle that faces the camera."""
    wide = min(x1 - x0, marks.uniform(1.2, 2.6))
    left = marks.uniform(x0, x1 - wide)
    colour = marks.choice(PAINTS)
    phase, loops = marks.uniform(0, 6), marks.randint(3, 5)
    middle, half = (y0 + y1) / 2, (y1 - y0) / 2
    stroke = []
    for step in range(16):
        share = step / 15
        swing = math.sin(phase + share * loops * 2 * math.pi)
        stroke.append(
            (left + wide * share + 0.25 * math.cos(loops * 2 * math.pi * share), middle + half * swing, z)
        )
    pixels = canvas.scale((x0 + x1) / 2, z)
    if pixels:
        width = max(2, int(0.13 * pixels))
        canvas.draw.line([canvas.spot(*p) for p in stroke], fill=colour, width=width, joint="curve")


def stain_wall(canvas: Canvas, x0: float, x1: float, y0: float, y1: float, z: float, colour: Colour) -> None:
    """Damp that spreads with disrepair, and patches where the wall has peeled."""
    if canvas.disrepair > 0.1:
        canvas.veil(
            ((x0, y0, z), (x1, y0, z), (x1, y0 + (y1 - y0) * 0.3, z), (x0, y0 + (y1 - y0) * 0.22, z)),
            (52, 48, 38),
            0.4 * canvas.disrepair,
        )
    for _ in range(3):
        if marks := canvas.wear(0.6):
            x, y = marks.uniform(x0, x1), marks.uniform(y0, y1)
            size = 0.35 + 0.5 * canvas.disrepair
            patch = [
                (
                    min(x1, max(x0, x + size * marks.uniform(0.6, 1.2) * math.cos(a))),
                    min(y1, max(y0, y + size * marks.uniform(0.5, 1.0) * math.sin(a))),
                    z,
                )
                for a in (0.2, 1.2, 2.2, 3.3, 4.4, 5.4)
            ]
            canvas.face(patch, mix(shade(colour, 0.62), (150, 140, 126), 0.45))


def crack_ground(canvas: Canvas, x0: float, x1: float, z0: float, z1: float, colour: Colour) -> None:
    """Cracks, patches and potholes in a road or yard."""
    for _ in range(7):
        if marks := canvas.wear(0.9):
            x, z = marks.uniform(x0, x1), z0 + (z1 - z0) * marks.random() ** 1.5
            if marks.random() < 0.45:
                wide, deep = marks.uniform(0.5, 1.6), marks.uniform(0.25, 0.7)
                patch = shade(colour, marks.choice((0.62, 0.75, 1.12)))
                canvas.floor(max(x0, x - wide), min(x1, x + wide), z, z + deep, patch)
            else:
                _draw_crack(canvas, marks, x, z, shade(colour, 0.45))


def _draw_crack(canvas: Canvas, marks: random.Random, x: float, z: float, colour: Colour) -> None:
    here: Point = (x, 0.01, z)
    for _ in range(5):
        there = (here[0] + marks.uniform(-0.2, 0.9), 0.01, here[2] + marks.uniform(-0.35, 0.45))
        canvas.line(here, there, colour, 0.07)
        here = there


def sprout_weeds(
    canvas: Canvas, x0: float, x1: float, z0: float, z1: float, n_slots: int = 9, chance: float = 0.9
) -> None:
    """Tufts of weeds, taller with more disrepair."""
    green = mix(canvas.place.grass, (74, 96, 48), 0.55)
    for _ in range(n_slots):
        if marks := canvas.wear(chance):
            tuft(canvas, marks, marks.uniform(x0, x1), marks.uniform(z0, z1), 0.3 + 0.7 * canvas.disrepair, green)


def tuft(canvas: Canvas, marks: random.Random, x: float, z: float, tall: float, green: Colour) -> None:
    """One tuft: a fan of pointed blades."""
    pixels = canvas.scale(x, z)
    if not pixels:
        return
    foot_x, foot_y = canvas.spot(x, 0.0, z)
    fan = []
    for blade in range(5):
        lean = (blade - 2) * 0.22 + marks.uniform(-0.1, 0.1)
        reach = tall * marks.uniform(0.7, 1.2) * pixels
        fan.append((foot_x + (blade - 2.5) * 0.07 * pixels, foot_y))
        fan.append((foot_x + lean * reach, foot_y - reach))
    fan.append((foot_x + 0.18 * pixels, foot_y))
    canvas.draw.polygon(fan, fill=shade(green, marks.uniform(0.75, 1.1)))


def board_up(canvas: Canvas, x0: float, x1: float, y0: float, y1: float, z: float) -> None:
    """Chipboard over an opening."""
    canvas.wall(x0, x1, y0, y1, z, BOARD)
    dark = shade(BOARD, 0.7)
    for share in (0.34, 0.67):
        y = y0 + (y1 - y0) * share
        canvas.line((x0, y, z), (x1, y, z), dark, 0.05)


def smash(canvas: Canvas, marks: random.Random, x0: float, x1: float, y0: float, y1: float, z: float) -> None:
    """A broken pane: a jagged dark hole in pale, cracked glass."""
    canvas.wall(x0, x1, y0, y1, z, (150, 168, 180))
    middle_x, middle_y = marks.uniform(0.4, 0.6), marks.uniform(0.4, 0.6)
    wide, tall = x1 - x0, y1 - y0
    hole = []
    for point in range(9):
        angle, reach = point * 0.698, marks.uniform(0.38, 0.5) if point % 2 else marks.uniform(0.12, 0.3)
        hole.append(
            (x0 + wide * (middle_x + reach * math.cos(angle)), y0 + tall * (middle_y + reach * math.sin(angle)), z)
        )
    canvas.face([(min(x1, max(x0, x)), min(y1, max(y0, y)), z) for x, y, z in hole], (22, 24, 28))
