"""What an encoder is; another one is one new file that has these members."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from streetimd_assets.encoders.computing import Computing

Vectors = npt.NDArray[np.float32]
# given the identity that would be chosen here, returns that which the study's embeddings have
Settle = Callable[[str], str]


class Encoder(Protocol):
    """A model that puts pictures and phrases into one space."""

    @property
    def identity(self) -> str:
        """Model, weights and the start of their SHA-256: ``ViT-B-32-quickgelu/openai@sha256:0123456789ab``.

        Followed by `` bf16`` where the weights were rounded to 16 bits: that changes embeddings a little.
        """
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

    @property
    def computing(self) -> Computing:
        """Device, precision and batch size."""
        ...

    @property
    def images_per_second_at_most(self) -> float:
        """Pictures that could be embedded each second if this machine did nothing but multiply matrices."""
        ...

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed pictures as unit vectors, shape (n_images, n_dimensions)."""
        ...

    def embed_files(self, paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> Vectors:
        """Embed image files as unit vectors, shape (n_images, n_dimensions); tell how many are done."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed phrases as unit vectors, shape (n_texts, n_dimensions)."""
        ...


def load_encoder(
    model: str,
    weights: str,
    *,
    batch_size: int | str = "auto",
    device: str = "auto",
    precision: str = "auto",
    settle: Settle | None = None,
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
        Pictures or phrases embedded together, or ``auto``; it changes the speed, and embeddings in
        their last digits only.
    device
        ``auto`` (a GPU if torch has one), ``cpu``, or a torch device such as ``cuda``.
    precision
        ``fp32`` computes in 32 bits. ``bf16`` rounds the weights to 16, about twice as fast on
        processors and GPUs that multiply these, at a cosine of about .9999 to ``fp32``; elsewhere
        the rounded weights are multiplied in 32 bits. ``auto`` is ``bf16`` for a vision transformer
        where that is fast, else ``fp32``.
    settle
        Asked when the precision is ``auto``: given the identity that would be chosen, it returns that
        of embeddings already made with the same weights, whose precision is then kept.

    Returns
    -------
    encoder
        Ready to embed. The same picture gets the same embedding alone and in a batch, to a cosine of
        .99999 in ``fp32`` and .9999 in ``bf16``.

    Raises
    ------
    EncoderError
        If the model, weights, device or precision cannot be used; one sentence says why.
    """
    from streetimd_assets.encoders.clip import load_clip

    return load_clip(model, weights, batch_size=batch_size, device=device, precision=precision, settle=settle)
