"""What an encoder is; another one is one new file that has these members."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """A model that puts pictures and phrases into one space."""

    @property
    def identity(self) -> str:
        """Model, weights and the start of their SHA-256: ``ViT-B-32-quickgelu/openai@sha256:0123456789ab``."""
        ...

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file, 64 hexadecimal digits."""
        ...

    @property
    def logit_scale(self) -> float:
        """Sharpness of the softmax over cosine similarities, as the model learnt it."""
        ...

    @property
    def n_dimensions(self) -> int:
        """Length of an embedding."""
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed pictures as unit vectors, shape (n_images, n_dimensions)."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed phrases as unit vectors, shape (n_texts, n_dimensions)."""
        ...


def load_encoder(
    model: str, weights: str, *, batch_size: int = 32, device: str = "auto", precision: str = "auto"
) -> Encoder:
    """Load a CLIP model of open_clip, or the bundled demo encoder.

    Parameters
    ----------
    model
        Name of an open_clip model with 512 dimensions, such as ``ViT-B-32-quickgelu``, or
        ``streetimd-demo``.
    weights
        ``bundled`` (the demo's own), an open_clip tag such as ``openai``, which is fetched at first
        use, or the path of a local checkpoint (.pt, .safetensors or .bin).
    batch_size
        Pictures or phrases embedded together; it changes the speed, not the embeddings.
    device
        ``auto`` (a GPU if torch has one), ``cpu``, or a torch device such as ``cuda``.
    precision
        ``auto`` and ``fp32`` compute in 32 bits; ``bf16`` keeps the weights in 16 bits, which is
        about twice as fast on CPUs that have it, at a cosine of about .9999 to ``fp32``.

    Returns
    -------
    encoder
        Ready to embed; the same picture gets the same embedding alone and in a batch.

    Raises
    ------
    EncoderError
        If the model, weights, device or precision cannot be used; one sentence says why.
    """
    from streetimd_assets.encoders.clip import load_clip

    return load_clip(model, weights, batch_size=batch_size, device=device, precision=precision)
