"""Panoramas whose colours say which way each pixel looks."""

import io

import numpy as np
from PIL import Image


def render_panorama(width_px, camera_heading_deg):
    """Red is how far east a pixel looks, green how far north, blue how far up."""
    height_px = width_px // 2
    bearing = np.radians((np.arange(width_px) + 0.5) / width_px * 360 - 180 + camera_heading_deg)
    elevation = 90 - (np.arange(height_px) + 0.5) / height_px * 180
    pixels = np.empty((height_px, width_px, 3))
    pixels[..., 0] = 127.5 + 127.5 * np.sin(bearing)
    pixels[..., 1] = 127.5 + 127.5 * np.cos(bearing)
    pixels[..., 2] = ((elevation + 90) / 180 * 255)[:, np.newaxis]
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def gpano(**fields):
    """Photo sphere metadata of a panorama, as its file's XMP."""
    said = {"ProjectionType": "equirectangular", **fields}
    attributes = " ".join(f'GPano:{name}="{value}"' for name, value in said.items())
    return f"<x:xmpmeta><rdf:Description {attributes}/></x:xmpmeta>".encode()


def gpano_cropped(width_px, *, top_px=0, height_px=None):
    """Metadata of a panorama that wide, of which so many rows from the top one on were kept."""
    return gpano(
        FullPanoWidthPixels=width_px,
        FullPanoHeightPixels=width_px // 2,
        CroppedAreaLeftPixels=0,
        CroppedAreaTopPixels=top_px,
        CroppedAreaImageWidthPixels=width_px,
        CroppedAreaImageHeightPixels=height_px or width_px // 2,
    )


def encode(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()
