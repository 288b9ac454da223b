"""CLIP models: pictures and phrases to unit vectors. The only room with torch, loaded when asked for."""

from streetimd_assets.encoders.base import Encoder, load_encoder

__all__ = ["Encoder", "load_encoder"]
