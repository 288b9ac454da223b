"""What the views of one place share: weather, light, season, camera height; and the palettes of all."""

import random
from dataclasses import dataclass

Colour = tuple[int, int, int]

# one palette for every kind of scene: a class must be told by shapes, never by its colours
WALLS: tuple[Colour, ...] = (
    (168, 84, 66), (140, 70, 58), (190, 140, 98), (214, 190, 146), (232, 224, 204), (245, 243, 238),
    (176, 174, 170), (128, 132, 138), (116, 92, 76), (184, 206, 214), (214, 172, 160), (158, 176, 148),
    (206, 160, 110), (96, 104, 116),
)  # fmt: skip
ROOFS: tuple[Colour, ...] = (
    (84, 88, 100), (110, 70, 58), (150, 84, 62), (70, 72, 76), (124, 112, 100), (98, 110, 98),
)  # fmt: skip
PAINTS: tuple[Colour, ...] = (
    (178, 44, 48), (36, 84, 140), (40, 110, 78), (226, 178, 58), (44, 48, 58), (240, 238, 232),
    (126, 70, 120), (224, 122, 60), (92, 160, 176), (120, 126, 134),
)  # fmt: skip
ROADS: tuple[Colour, ...] = ((84, 86, 92), (104, 104, 106), (66, 68, 76), (124, 120, 116))
PAVINGS: tuple[Colour, ...] = ((176, 172, 164), (150, 148, 148), (190, 178, 158), (132, 130, 128))
EARTHS: tuple[Colour, ...] = ((142, 118, 90), (120, 100, 82), (160, 146, 120), (104, 98, 90))
GLASS: tuple[Colour, ...] = ((62, 76, 94), (92, 112, 132), (140, 164, 184), (48, 54, 64))
LAMPLIGHT: Colour = (255, 214, 130)
SNOW: Colour = (238, 242, 248)

_LEAVES: dict[str, tuple[Colour, ...]] = {
    "spring": ((122, 172, 82), (150, 188, 96), (222, 182, 200)),
    "summer": ((62, 122, 62), (84, 140, 66), (48, 100, 62)),
    "autumn": ((204, 130, 48), (178, 82, 44), (214, 172, 70)),
    "winter": ((96, 92, 80), (84, 92, 76), (110, 100, 88)),
}
_GRASS: dict[str, tuple[Colour, ...]] = {
    "spring": ((124, 176, 84), (140, 178, 96)),
    "summer": ((110, 160, 74), (150, 160, 86)),
    "autumn": ((132, 142, 78), (150, 144, 84)),
    "winter": ((126, 132, 92), (138, 138, 104)),
}
_SKIES: dict[str, tuple[tuple[Colour, Colour], ...]] = {
    # top of the sky, then the sky at the horizon
    "clear": (((70, 130, 200), (190, 216, 236)), ((104, 160, 214), (232, 232, 220))),
    "cloudy": (((120, 156, 196), (214, 220, 224)), ((150, 166, 186), (222, 216, 206))),
    "overcast": (((168, 172, 178), (206, 206, 204)), ((140, 146, 154), (190, 190, 190))),
    "rain": (((110, 118, 130), (160, 166, 172)), ((132, 136, 142), (172, 174, 176))),
    "fog": (((188, 192, 196), (212, 212, 210)), ((172, 176, 182), (200, 202, 204))),
    "snow": (((176, 184, 196), (222, 226, 232)), ((150, 160, 174), (212, 216, 222))),
}
_EVENING: tuple[tuple[Colour, Colour], ...] = (
    ((66, 78, 124), (222, 160, 134)),
    ((58, 72, 116), (160, 152, 172)),
)
_LOW_SUN: tuple[tuple[Colour, Colour], ...] = (
    ((110, 140, 190), (248, 208, 150)),
    ((140, 150, 186), (244, 190, 160)),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Weather, light, season and camera of one place.

    Attributes
    ----------
    weather
        ``clear``, ``cloudy``, ``overcast``, ``rain``, ``fog`` or ``snow``.
    hour
        ``day``, ``low_sun`` or ``evening``.
    season
        ``spring``, ``summer``, ``autumn`` or ``winter``, from the month.
    camera_height_m
        Height of the lens above the road, metres.
    horizon
        Height of the horizon in the picture, share of its height from the top.
    gains
        What each of red, green and blue is multiplied by at the end.
    """

    weather: str
    hour: str
    season: str
    camera_height_m: float
    horizon: float
    sky: tuple[Colour, Colour]
    gains: tuple[float, float, float]
    sun_from_left: bool
    leaves: tuple[Colour, ...]
    grass: Colour
    cloud_seed: int

    @property
    def shadow(self) -> float:
        """How dark shadows are, 0 to 1."""
        return 0.42 if self.weather == "clear" else 0.22

    @property
    def bare_trees(self) -> bool:
        """Whether the leaves are down."""
        return self.season == "winter"

    def flank_light(self, x: float) -> float:
        """Brightness of a wall at right angles to the street, seen at ``x``."""
        towards_sun = (x > 0) == self.sun_from_left
        return 0.92 if towards_sun else 0.7

    def ground(self, colour: Colour) -> Colour:
        """A ground colour as this weather leaves it: white under snow, darker in rain."""
        if self.weather == "snow":
            return SNOW
        if self.weather == "rain":
            return (int(colour[0] * 0.85), int(colour[1] * 0.87), int(colour[2] * 0.92))
        return colour


def season_of(month: int) -> str:
    """The meteorological season of a month, 1 to 12."""
    return ("winter", "spring", "summer", "autumn")[month % 12 // 3]


def settle_place(place_seed: int, month: int) -> Place:
    """Decide weather, light, season, tint and camera of a place.

    Parameters
    ----------
    place_seed
        Fixes every choice; the same place looks the same from all four headings.
    month
        1 to 12; snow falls rarely, and only from December to February.
    """
    rng = random.Random(f"place {place_seed}")
    season = season_of(month)
    weather = rng.choices(["clear", "cloudy", "overcast", "rain", "fog"], weights=[8, 8, 6, 3, 2])[0]
    if rng.random() < 0.2 and season == "winter":
        weather = "snow"
    hour = rng.choices(["day", "low_sun", "evening"], weights=[7, 2, 1.5])[0]
    brightness = rng.uniform(0.78, 1.14) * (0.88 if hour == "evening" else 1.0)
    warmth = rng.uniform(-0.1, 0.1) + (0.07 if hour == "low_sun" else 0.0)
    tint = rng.uniform(-0.05, 0.05)
    skies = {"evening": _EVENING, "low_sun": _LOW_SUN}.get(hour, _SKIES[weather])
    return Place(
        weather=weather,
        hour=hour,
        season=season,
        camera_height_m=rng.uniform(1.6, 3.2),
        horizon=rng.uniform(0.46, 0.64),
        sky=rng.choice(skies),
        gains=(brightness * (1 + warmth), brightness * (1 + tint), brightness * (1 - warmth)),
        sun_from_left=rng.random() < 0.5,
        leaves=_LEAVES[season],
        grass=rng.choice(_GRASS[season]),
        cloud_seed=rng.randrange(2**30),
    )
