"""Words for painted scenes, by which the demo encoder learns them, and whether they are true."""

import random
from dataclasses import dataclass

from streetimd_assets.synthetic.scenes.place import settle_place

CLASS_PHRASES: dict[str, tuple[str, ...]] = {
    "terraced_houses": (
        "a row of terraced houses", "terraced houses", "a terrace of joined houses",
        "a street of terraced housing", "row houses with chimneys", "a residential terrace",
        "a long row of brick terraces", "joined houses with front doors on the street",
    ),
    "detached_houses": (
        "detached houses", "a detached house with a garden", "separate houses with front gardens",
        "a suburban house with a driveway", "a single family house", "houses with gardens and garages",
        "a detached home with a lawn", "a suburban street of detached houses",
    ),
    "tower_flats": (
        "tower blocks", "a tower block of flats", "high-rise flats", "a block of flats",
        "a tall apartment building", "an apartment tower with balconies", "a high-rise residential tower",
        "blocks of flats with many windows",
    ),
    "shops": (
        "shops", "a row of shops", "shop fronts with awnings", "a high street with shops",
        "shops and cafes", "a parade of shops", "storefronts with large windows", "a shopping street",
    ),
    "industrial": (
        "industrial buildings", "a factory with chimneys", "a warehouse with roller doors",
        "an industrial estate", "factory sheds and tanks", "a works with a saw-tooth roof",
        "storage sheds and silos", "warehouses and factories",
    ),
    "park": (
        "a park", "a park with trees and grass", "a green space with a path", "a public garden",
        "a park with benches", "lawns and trees in a park", "a playground in a park", "a green park",
    ),
    "main_road": (
        "a main road", "a dual carriageway", "a wide road with several lanes", "a busy main road",
        "a highway with lane markings", "a road with crash barriers", "a motorway", "an urban highway",
    ),
    "derelict_land": (
        "derelict land", "an empty plot", "wasteland with rubble", "a vacant plot with heaps of rubble",
        "a vacant site behind a broken fence", "a brownfield site", "waste ground with weeds",
        "a demolished site",
    ),
    "interior": (
        "an interior", "the inside of a room", "an indoor view of a room", "a living room",
        "a room with furniture", "an indoor scene", "the interior of a building", "a furnished room indoors",
    ),
}  # fmt: skip

WEAR_PHRASES: dict[str, tuple[str, ...]] = {
    "low": ("well kept", "tidy", "clean and cared for", "neat"),
    "middle": ("somewhat worn", "a little neglected", "in fair condition", "slightly worn"),
    "high": ("in disrepair", "run down", "neglected, with litter and graffiti", "boarded up and littered"),
}
_WEATHER_PHRASES: dict[str, tuple[str, ...]] = {
    "clear": ("under a clear sky", "on a sunny day"),
    "cloudy": ("with clouds in the sky", "on a cloudy day"),
    "overcast": ("under a grey sky", "on an overcast day"),
    "rain": ("in the rain", "on a rainy day"),
    "fog": ("in fog", "on a misty day"),
    "snow": ("in the snow", "on a snowy day"),
}
_OPENINGS = ("", "", "a photo of ", "a picture of ", "a street view of ", "a painting of ")


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about a scene and the attributes it commits itself to (None: says nothing)."""

    text: str
    scene_class: str
    wear_level: str | None
    weather: str | None
    season: str | None


def wear_level(disrepair: float) -> str:
    """Low, middle or high disrepair, in thirds."""
    return ("low", "middle", "high")[min(2, int(disrepair * 3))]


def describe_place(place_seed: int, month: int) -> tuple[str, str]:
    """The weather and the season of a place."""
    place = settle_place(place_seed, month)
    return place.weather, place.season


def caption_scene(scene_class: str, *, disrepair: float, place_seed: int, month: int, seed: int) -> Caption:
    """Write one of many true sentences about a painted scene.

    Parameters
    ----------
    scene_class, disrepair, place_seed, month
        As given to `paint_scene`.
    seed
        Fixes which words are chosen and which attributes are mentioned. Disrepair, weather and
        season are mentioned in some sentences only; indoors, none of them.

    Returns
    -------
    caption
        The sentence, with the attributes that it mentions.
    """
    rng = random.Random(f"caption {seed}")
    text = rng.choice(_OPENINGS) + rng.choice(CLASS_PHRASES[scene_class])
    if scene_class == "interior":
        return Caption(text, scene_class, None, None, None)
    level = wear_level(disrepair) if rng.random() < 0.8 else None
    weather, season = describe_place(place_seed, month)
    said_weather = weather if rng.random() < 0.2 else None
    said_season = season if rng.random() < 0.2 else None
    if level:
        text += ", " + rng.choice(WEAR_PHRASES[level])
    if said_weather:
        text += ", " + rng.choice(_WEATHER_PHRASES[said_weather])
    if said_season:
        text += ", in " + said_season
    return Caption(text, scene_class, level, said_weather, said_season)
