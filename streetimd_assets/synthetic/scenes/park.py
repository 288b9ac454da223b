"""Parks and greens."""

from streetimd_assets.synthetic.scenes.canvas import Canvas, Colour, mix, shade
from streetimd_assets.synthetic.scenes.nature import bloom, plant_bush, plant_tree, trim_hedge
from streetimd_assets.synthetic.scenes.place import EARTHS, PAINTS, PAVINGS, SNOW
from streetimd_assets.synthetic.scenes.street import lay_ground, lay_path, stand_bin, stand_lamp, stand_person
from streetimd_assets.synthetic.scenes.wear import crack_ground, scatter_litter, scribble, sprout_weeds


def paint_park(canvas: Canvas) -> None:
    """Lawns, trees near and far and winding paths, with benches and now and then a pond or swings."""
    rng, place = canvas.rng, canvas.place
    lawn = lay_ground(canvas, mix(place.grass, EARTHS[0], 0.15 + 0.35 * canvas.disrepair))
    _mow(canvas, lawn)
    path = place.ground(rng.choice((*PAVINGS, EARTHS[2])))
    bend, path_x = rng.uniform(-7, 7), rng.uniform(-3, 3)
    lay_path(canvas, path_x, 2.0, 45.0, rng.uniform(1.6, 3.0), path, bend)
    crack_ground(canvas, path_x - 1, path_x + 1, 3, 12, path)
    if rng.random() < 0.35:
        _dig_pond(canvas, rng.uniform(-9, 9), rng.uniform(12, 20))
    things: list[tuple[float, float, str]] = [
        (rng.uniform(-1.1, 1.1) * z, z, "tree") for z in (rng.uniform(7, 42) for _ in range(rng.randint(7, 13)))
    ]
    extras = rng.sample(["swings", "slide", "bandstand", "bed", "hedge", "bush", "bush", "person"], 4)
    things += [(rng.uniform(-0.6, 0.6) * z, z, kind) for kind, z in ((k, rng.uniform(7, 17)) for k in extras)]
    side = rng.choice((-1, 1))
    things += [
        (path_x + side * rng.uniform(2.0, 3.2), z, "bench") for z in (rng.uniform(5.5, 8), rng.uniform(9, 15))
    ]
    for x, z, kind in sorted(things, key=lambda thing: -thing[1]):
        _place(canvas, x, z, kind)
    if rng.random() < 0.4:
        stand_lamp(canvas, path_x - side * 2.2, rng.uniform(7, 14), tall=3.6)
    stand_bin(canvas, path_x + side * 3.6, rng.uniform(6, 9))
    if rng.random() < 0.25:
        _rail_off(canvas, rng.uniform(4.5, 6.5))
    sprout_weeds(canvas, -6, 6, 4.5, 14, n_slots=16)
    scatter_litter(canvas, -6, 6, 4.0, 13.0)


def _mow(canvas: Canvas, lawn: Colour) -> None:
    stripes = canvas.rng.random() < 0.4
    if stripes and canvas.place.weather != "snow":
        pale = mix(shade(lawn, 1.08), lawn, canvas.disrepair)
        for x in range(-40, 41, 5):
            canvas.floor(x, x + 2.5, 3.0, 60.0, pale)


def _place(canvas: Canvas, x: float, z: float, kind: str) -> None:
    rng = canvas.rng
    if kind == "tree":
        plant_tree(canvas, x, z, rng.uniform(4.5, 9.0))
    elif kind == "bush":
        plant_bush(canvas, x, z, rng.uniform(1.2, 2.6))
    elif kind == "person":
        stand_person(canvas, x, z)
    elif kind == "hedge":
        trim_hedge(canvas, x - 3, x + 3, z, 1.1)
    elif kind == "bench":
        _set_bench(canvas, x, z)
    elif kind == "swings":
        _hang_swings(canvas, x, z)
    elif kind == "slide":
        _put_slide(canvas, x, z)
    elif kind == "bandstand":
        _raise_bandstand(canvas, x, z)
    else:
        _dig_bed(canvas, x, z)


def _set_bench(canvas: Canvas, x: float, z: float) -> None:
    wood = mix((150, 98, 58), (110, 104, 96), canvas.disrepair)
    canvas.shadow(x, z, 2.2)
    for leg in (-0.75, 0.75):
        canvas.wall(x + leg - 0.06, x + leg + 0.06, 0.0, 0.95, z, (60, 62, 66))
    slats = (0.42, 0.66, 0.86)
    for y in slats:
        if not canvas.wear(0.6):
            canvas.wall(x - 0.95, x + 0.95, y, y + 0.13, z - (0.35 if y < 0.5 else 0.0), wood)
    scribble(canvas, x - 0.9, x + 0.9, 0.45, 0.9, z - 0.36, 0.6)


def _hang_swings(canvas: Canvas, x: float, z: float) -> None:
    paint = canvas.rng.choice(PAINTS)
    worn = mix(paint, (120, 84, 62), 0.5 * canvas.disrepair)
    for end in (-1.9, 1.9):
        for foot in (-0.6, 0.6):
            canvas.line((x + end + foot, 0, z), (x + end, 2.6, z), worn, 0.13)
    canvas.line((x - 1.9, 2.6, z), (x + 1.9, 2.6, z), worn, 0.15)
    for seat in (-0.9, 0.7):
        broken = canvas.wear(0.6)
        for rope in (0.0, 0.5):
            if not (broken and rope):
                canvas.line((x + seat + rope, 2.6, z), (x + seat + rope, 0.6, z), (60, 60, 64), 0.05)
        if not broken:
            canvas.wall(x + seat - 0.05, x + seat + 0.55, 0.52, 0.64, z, (44, 44, 48))


def _put_slide(canvas: Canvas, x: float, z: float) -> None:
    paint = mix(canvas.rng.choice(PAINTS), (120, 84, 62), 0.4 * canvas.disrepair)
    for rail in (0.0, 0.5):
        canvas.line((x + rail, 0, z), (x + rail, 2.3, z), shade(paint, 0.7), 0.1)
    for rung in (0.5, 1.0, 1.5):
        canvas.line((x, rung, z), (x + 0.5, rung, z), shade(paint, 0.7), 0.08)
    canvas.face(((x + 0.4, 1.9, z), (x + 0.4, 1.5, z), (x + 3.0, 0.0, z), (x + 3.4, 0.3, z)), paint)


def _raise_bandstand(canvas: Canvas, x: float, z: float) -> None:
    roof = canvas.rng.choice(PAINTS)
    canvas.wall(x - 2.2, x + 2.2, 0.0, 0.5, z, (176, 172, 164))
    for post in (-1.9, -0.65, 0.65, 1.9):
        canvas.line((x + post, 0.5, z), (x + post, 2.8, z), (236, 232, 222), 0.14)
    top = SNOW if canvas.place.weather == "snow" else mix(roof, (110, 104, 98), 0.4 * canvas.disrepair)
    canvas.face(((x - 2.6, 2.7, z), (x + 2.6, 2.7, z), (x, 4.4, z)), top)
    scribble(canvas, x - 2.0, x + 2.0, 0.05, 0.45, z - 0.02, 0.8)


def _dig_bed(canvas: Canvas, x: float, z: float) -> None:
    canvas.disc(x, 0.0, z, 4.0, 0.7, EARTHS[1])
    for dx in (-1.8, -0.4):
        bloom(canvas, x + dx, x + dx + 2.0, 0.05, z)
    sprout_weeds(canvas, x - 1.8, x + 1.8, z - 0.3, z + 0.3, n_slots=5)


def _dig_pond(canvas: Canvas, x: float, z: float) -> None:
    water = mix(mix((92, 128, 150), canvas.place.sky[1], 0.35), (96, 100, 62), 0.5 * canvas.disrepair)
    canvas.disc(x, 0.0, z, 11.0, 2.0, shade(canvas.place.grass, 0.7))
    canvas.disc(x, 0.0, z, 10.4, 1.75, water)
    if care := canvas.tidy(0.8):
        for _ in range(3):
            dx = care.uniform(-3.5, 3.5)
            canvas.disc(x + dx, 0.18, z, 0.8, 0.35, (244, 242, 236))
            canvas.disc(x + dx + 0.35, 0.42, z, 0.28, 0.28, (244, 242, 236))


def _rail_off(canvas: Canvas, z: float) -> None:
    left, right = canvas.visible_span(z)
    for i in range(24):
        x = left + (right - left) * i / 24
        if not canvas.wear(0.5):
            canvas.line((x, 0.0, z), (x, 1.0, z), (44, 56, 52), 0.05)
    canvas.line((left, 0.9, z), (right, 0.9, z), (44, 56, 52), 0.06)
