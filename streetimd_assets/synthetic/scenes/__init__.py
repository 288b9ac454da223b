"""Painted street scenes: known-truth pictures for the demo study and the tests."""

from streetimd_assets.synthetic.scenes.captions import CLASS_PHRASES, Caption, caption_scene, describe_place
from streetimd_assets.synthetic.scenes.painting import SCENE_CLASSES, encode_jpeg, paint_scene

__all__ = [
    "CLASS_PHRASES",
    "SCENE_CLASSES",
    "Caption",
    "caption_scene",
    "describe_place",
    "encode_jpeg",
    "paint_scene",
]
