"""Paint one street scene from seeds, and nothing else."""

import io
from collections.abc import Callable

from PIL import Image

from streetimd_assets.synthetic.scenes.blocks import paint_tower_flats
from streetimd_assets.synthetic.scenes.canvas import Canvas
from streetimd_assets.synthetic.scenes.derelict import paint_derelict_land
from streetimd_assets.synthetic.scenes.houses import paint_detached_houses, paint_terraced_houses
from streetimd_assets.synthetic.scenes.interior import paint_interior
from streetimd_assets.synthetic.scenes.park import paint_park
from streetimd_assets.synthetic.scenes.place import settle_place
from streetimd_assets.synthetic.scenes.roads import paint_main_road
from streetimd_assets.synthetic.scenes.shops import paint_shops
from streetimd_assets.synthetic.scenes.sky import finish, paint_sky
from streetimd_assets.synthetic.scenes.works import paint_industrial

_PAINTERS: dict[str, Callable[[Canvas], None]] = {
    "terraced_houses": paint_terraced_houses,
    "detached_houses": paint_detached_houses,
    "tower_flats": paint_tower_flats,
    "shops": paint_shops,
    "industrial": paint_industrial,
    "park": paint_park,
    "main_road": paint_main_road,
    "derelict_land": paint_derelict_land,
    "interior": paint_interior,
}

SCENE_CLASSES: tuple[str, ...] = tuple(_PAINTERS)


def paint_scene(
    scene_class: str,
    *,
    disrepair: float,
    place_seed: int,
    view_seed: int,
    month: int = 6,
    size_px: int = 192,
) -> Image.Image:
    """Paint one view of a street.

    Parameters
    ----------
    scene_class
        One of `SCENE_CLASSES`. It decides shapes only: all classes share their palettes.
    disrepair
        Visible neglect, 0 (tidy) to 1: litter, boarded windows, scribbles, cracks, weeds. It never
        moves a house: only the wear changes. Indoors it shows nothing.
    place_seed
        Fixes weather, light, time of day, tint and camera height, which the headings of one
        panorama share.
    view_seed
        Fixes everything else: layout, colours, cars, direction of view.
    month
        1 to 12: leaves, grass and, rarely, snow.
    size_px
        Width and height, pixels.

    Returns
    -------
    image
        RGB; the same arguments always give the same bytes.

    Raises
    ------
    ValueError
        For an unknown class, or a disrepair or month out of range.
    """
    if scene_class not in _PAINTERS:
        raise ValueError(f"unknown scene class {scene_class!r}; choose one of {', '.join(SCENE_CLASSES)}")
    if not 0.0 <= disrepair <= 1.0:
        raise ValueError(f"disrepair must lie between 0 and 1, not {disrepair}")
    if month not in range(1, 13):
        raise ValueError(f"month must lie between 1 and 12, not {month}")
    canvas = Canvas(settle_place(place_seed, month), disrepair=disrepair, view_seed=view_seed, size_px=size_px)
    outdoors = scene_class != "interior"
    if outdoors:
        paint_sky(canvas)
    _PAINTERS[scene_class](canvas)
    return finish(canvas, outdoors=outdoors)


def encode_jpeg(image: Image.Image, quality: int = 85) -> bytes:
    """Compress a picture as JPEG.

    Parameters
    ----------
    image
        RGB picture.
    quality
        JPEG quality, 1 to 95.

    Returns
    -------
    content
        The bytes of the file.
    """
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()
