"""Trees, bushes and hedges, leafy or bare as the season has it."""

import math

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.place import SNOW

BARK: Colour = (92, 72, 58)
_CROWN = ((0.0, 0.62, 0.7), (-0.26, 0.7, 0.5), (0.26, 0.68, 0.52), (0.05, 0.84, 0.46))


def plant_tree(canvas: Canvas, x: float, z: float, tall: float) -> None:
    """A tree of one of three habits; bare in winter unless it is a conifer."""
    rng = canvas.rng
    habit, turn, leaf = rng.random(), rng.random(), rng.choice(canvas.place.leaves)
    if not canvas.scale(x, z):
        return
    canvas.shadow(x, z, tall * 0.7)
    if habit < 0.14:
        _conifer(canvas, x, z, tall)
    elif canvas.place.bare_trees:
        _bare_tree(canvas, x, z, tall, turn)
    else:
        _leafy_tree(canvas, x, z, tall, leaf, slim=0.62 if habit < 0.3 else 1.0)


def _leafy_tree(canvas: Canvas, x: float, z: float, tall: float, leaf: Colour, slim: float) -> None:
    trunk = tall * 0.035
    canvas.wall(x - trunk, x + trunk, 0.0, tall * 0.55, z, BARK)
    for layer, (dx, up, across) in enumerate(_CROWN):
        colour = shade(leaf, 0.8 + 0.12 * layer)
        canvas.disc(x + dx * tall * slim, up * tall, z, across * tall * slim, across * tall * 0.85, colour)


def _bare_tree(canvas: Canvas, x: float, z: float, tall: float, turn: float) -> None:
    colour = mix(BARK, SNOW, 0.25) if canvas.place.weather == "snow" else BARK
    canvas.line((x, 0, z), (x, tall * 0.6, z), colour, tall * 0.06)
    for branch in range(7):
        lean = (branch - 3) * 0.24 + 0.1 * math.sin(9 * turn + branch)
        root, reach = tall * (0.3 + 0.04 * branch), tall * 0.5
        tip = (x + reach * math.sin(lean), root + reach * math.cos(lean) * 0.85, z)
        canvas.line((x, root, z), tip, colour, tall * 0.02)


def _conifer(canvas: Canvas, x: float, z: float, tall: float) -> None:
    green: Colour = mix((44, 84, 62), SNOW, 0.5 if canvas.place.weather == "snow" else 0.0)
    for layer in range(3):
        foot, half = tall * (0.12 + 0.24 * layer), tall * (0.24 - 0.05 * layer)
        peak = ((x - half, foot, z), (x + half, foot, z), (x, foot + tall * 0.42, z))
        canvas.face(peak, shade(green, 0.85 + 0.15 * layer))


def plant_bush(canvas: Canvas, x: float, z: float, across: float) -> None:
    """A round bush; overgrown with disrepair."""
    leaf = canvas.rng.choice(canvas.place.leaves)
    grown = across * (1.0 + 0.4 * canvas.disrepair)
    canvas.disc(x, grown * 0.3, z, grown, grown * 0.75, shade(leaf, 0.8))
    canvas.disc(x + across * 0.2, grown * 0.42, z, grown * 0.6, grown * 0.5, leaf)


def trim_hedge(canvas: Canvas, x0: float, x1: float, z: float, tall: float) -> None:
    """A box hedge that loses its edge and grows patchy with disrepair."""
    leaf = shade(canvas.rng.choice(canvas.place.leaves), 0.85)
    canvas.box(x0, x1, 0.0, tall, z, z + 0.7, leaf)
    step = (x1 - x0) / 5
    for i in range(5):
        if marks := canvas.wear(0.8):
            ragged = marks.uniform(0.5, 1.1)
            canvas.disc(x0 + step * (i + 0.5), tall, z, step * 1.2, ragged, shade(leaf, marks.uniform(0.75, 1.1)))


def bloom(canvas: Canvas, x0: float, x1: float, y: float, z: float) -> None:
    """A line of flowers, where somebody cares for them."""
    if (care := canvas.tidy(0.7)) and canvas.place.season != "winter":
        for step in range(6):
            x = x0 + (x1 - x0) * (step + 0.5) / 6
            colour = care.choice(((222, 70, 90), (246, 210, 80), (240, 240, 246), (190, 110, 190)))
            canvas.disc(x, y + 0.12, z, 0.24, 0.24, colour)
