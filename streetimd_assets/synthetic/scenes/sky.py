"""Sky and skyline behind every outdoor scene, and the weather in front of it."""

import random

import numpy as np
from PIL import Image

from streetimd_assets.synthetic.scenes.canvas import SUPERSAMPLING, Canvas, mix, shade
from streetimd_assets.synthetic.scenes.place import ROOFS, WALLS


def paint_sky(canvas: Canvas) -> None:
    """Sky, clouds and a skyline: hills, trees or far roofs, whatever the class."""
    top, low = canvas.place.sky
    steps = np.linspace(0.0, canvas.size / canvas.horizon, canvas.size).clip(0, 1)[:, None, None]
    column = np.array(top) * (1 - steps) + np.array(low) * steps
    picture = np.broadcast_to(column, (canvas.size, canvas.size, 3)).astype(np.uint8)
    canvas.image.paste(Image.fromarray(picture))
    # asked whatever the weather, so that the weather of a place moves nothing on the ground
    drift = canvas.rng.randrange(2**20)
    if canvas.place.weather in {"clear", "cloudy"}:
        _paint_clouds(canvas, drift, n_clouds=6 if canvas.place.weather == "cloudy" else 2)
    _paint_skyline(canvas)


def _paint_clouds(canvas: Canvas, drift: int, n_clouds: int) -> None:
    rng = random.Random(canvas.place.cloud_seed + drift)
    white = mix((255, 255, 255), canvas.place.sky[1], 0.25)
    for _ in range(n_clouds):
        x, y = rng.uniform(0, canvas.size), rng.uniform(0, 0.75) * canvas.horizon
        width = rng.uniform(0.12, 0.3) * canvas.size
        for _ in range(4):
            dx, across = rng.uniform(-0.5, 0.5) * width, rng.uniform(0.4, 0.9) * width
            tall = across * rng.uniform(0.2, 0.4)
            box = (x + dx - across / 2, y - tall, x + dx + across / 2, y + tall * 0.4)
            canvas.glaze.ellipse(box, fill=(*white, 150))


def _paint_skyline(canvas: Canvas) -> None:
    rng, haze = canvas.rng, canvas.place.sky[1]
    size, horizon = canvas.size, canvas.horizon
    kind = rng.choice(["hills", "trees", "roofs", "nothing"])
    if kind == "hills":
        ridge = [(size * i / 6, horizon - size * rng.uniform(0.01, 0.1)) for i in range(7)]
        canvas.draw.polygon([(0, size), *ridge, (size, size)], fill=mix(canvas.place.grass, haze, 0.6))
    elif kind == "trees":
        for i in range(14):
            x, tall = size * (i + rng.random()) / 14, size * rng.uniform(0.03, 0.12)
            leaf = mix(rng.choice(canvas.place.leaves), haze, 0.45)
            canvas.draw.ellipse((x - tall, horizon - tall, x + tall, horizon + tall), fill=leaf)
    elif kind == "roofs":
        for _ in range(9):
            x, wide, tall = size * rng.random(), size * rng.uniform(0.05, 0.14), size * rng.uniform(0.03, 0.12)
            wall = mix(rng.choice(WALLS), haze, 0.55)
            canvas.draw.rectangle((x, horizon - tall, x + wide, horizon), fill=wall)
            roof = mix(rng.choice(ROOFS), haze, 0.55)
            peak = [(x, horizon - tall), (x + wide / 2, horizon - tall * 1.5), (x + wide, horizon - tall)]
            canvas.draw.polygon(peak, fill=roof)


def finish(canvas: Canvas, *, outdoors: bool) -> Image.Image:
    """Let the weather fall, halve the picture, and tint it as the light of the place does."""
    place = canvas.place
    if outdoors and place.weather in {"rain", "snow"}:
        _paint_precipitation(canvas)
    image = canvas.image.reduce(SUPERSAMPLING)
    if outdoors and place.weather == "fog":
        image = Image.blend(image, Image.new("RGB", image.size, shade(place.sky[1], 1.05)), 0.34)
    curve: list[int] = []
    for gain in place.gains:
        curve.extend(min(255, int(level * gain + 6)) for level in range(256))
    return image.point(curve)


def _paint_precipitation(canvas: Canvas) -> None:
    rng = random.Random(canvas.rng.random())
    size = canvas.size
    for _ in range(45):
        x, y, long = rng.uniform(0, size), rng.uniform(0, size), size * rng.uniform(0.02, 0.05)
        if canvas.place.weather == "rain":
            canvas.glaze.line((x, y, x - long * 0.3, y + long), fill=(226, 232, 240, 110), width=2)
        else:
            dot = long * 0.13
            canvas.glaze.ellipse((x - dot, y - dot, x + dot, y + dot), fill=(255, 255, 255, 200))
