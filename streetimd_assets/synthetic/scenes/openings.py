"""Windows and doors: the parts of a wall that show most about who looks after it."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, shade
from streetimd_assets.synthetic.scenes.nature import bloom
from streetimd_assets.synthetic.scenes.place import GLASS, LAMPLIGHT
from streetimd_assets.synthetic.scenes.wear import board_up, smash

FINE_DETAIL_PX = 16.0


def glass_colour(canvas: Canvas) -> Colour:
    """Glass by day reflects; in the evening about half of the rooms are lit."""
    lit, pane = canvas.rng.random(), canvas.rng.choice(GLASS)
    return LAMPLIGHT if canvas.place.hour == "evening" and lit < 0.5 else pane


def hang_window(
    canvas: Canvas,
    x0: float,
    x1: float,
    y0: float,
    y1: float,
    z: float,
    frame: Colour,
    *,
    wear: float = 0.75,
    bars: int = 1,
) -> None:
    """A framed window with a sill, boarded or broken where nobody mends it."""
    glass = glass_colour(canvas)
    edge = 0.09
    canvas.wall(x0, x1, y0, y1, z, frame)
    inner = (x0 + edge, x1 - edge, y0 + edge, y1 - edge)
    neglected = canvas.wear(wear)
    cared_for = canvas.tidy(0.5)
    if neglected:
        if neglected.random() < 0.6:
            board_up(canvas, x0, x1, y0, y1, z)
        else:
            smash(canvas, neglected, *inner, z)
        return
    canvas.wall(*inner, z, glass)
    if canvas.scale(x0, z) < FINE_DETAIL_PX:
        return
    for bar in range(bars):
        x = x0 + (x1 - x0) * (bar + 1) / (bars + 1)
        canvas.line((x, y0, z), (x, y1, z), frame, 0.07)
    if cared_for:
        curtain = (x1 - x0) * 0.2
        canvas.wall(inner[0], inner[0] + curtain, y0 + edge, y1 - edge, z, (238, 228, 214))
        canvas.wall(inner[1] - curtain, inner[1], y0 + edge, y1 - edge, z, (238, 228, 214))
    canvas.wall(x0 - 0.08, x1 + 0.08, y0 - 0.1, y0, z, shade(frame, 0.85))


def hang_door(canvas: Canvas, x0: float, x1: float, tall: float, z: float, paint: Colour, frame: Colour) -> None:
    """A front door with a fanlight and a step."""
    canvas.wall(x0 - 0.12, x1 + 0.12, 0.0, tall + 0.12, z, frame)
    lower = tall * 0.8
    if canvas.wear(0.3):
        board_up(canvas, x0, x1, 0.0, tall, z)
    else:
        canvas.wall(x0, x1, 0.12, lower, z, paint)
        canvas.wall(x0, x1, lower + 0.06, tall, z, GLASS[1])
        if canvas.scale(x0, z) >= FINE_DETAIL_PX:
            canvas.wall(x0 + 0.15, x1 - 0.15, lower * 0.55, lower * 0.92, z, shade(paint, 0.8))
            canvas.disc(x1 - 0.15, lower * 0.48, z, 0.1, 0.1, (236, 206, 120))
    canvas.wall(x0 - 0.15, x1 + 0.15, 0.0, 0.12, z, (170, 166, 160))
    bloom(canvas, x0 - 0.75, x0 - 0.25, 0.1, z)
