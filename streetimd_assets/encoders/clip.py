"""CLIP models of open_clip, the bundled demo among them, all through the same code."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from streetimd_assets.encoders.base import Settle, Vectors
from streetimd_assets.encoders.computing import Computing, choose_computing
from streetimd_assets.encoders.network import build_network
from streetimd_assets.encoders.preprocessing import Picture, Preparation, choose_preparation
from streetimd_assets.encoders.speed import count_operations, matrix_shape, measure_peak
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.encoders.weights import (
    N_DIMENSIONS,
    WeightsFile,
    find_weights,
    is_vision_transformer,
    read_config,
)
from streetimd_assets.encoders.workers import count_cores, embed_on_gpu, embed_on_processor
from streetimd_assets.errors import EncoderError

_IN_16_BITS = " bf16"


class ClipEncoder:
    """A loaded CLIP model; see `streetimd_assets.encoders.base.Encoder`.

    Parameters
    ----------
    network
        open_clip model in evaluation mode, on its device.
    preparation
        What the model sees of a picture.
    tokenise
        open_clip's tokeniser of this model; longer phrases are cut at its context length.
    identity
        Model, weights and the start of their SHA-256, and the precision if it is not 32 bits.
    weights_sha256
        SHA-256 of the weights file.
    computing
        Device, precision and batch size.
    """

    def __init__(
        self,
        network: Any,
        preparation: Preparation,
        tokenise: Callable[[list[str]], Any],
        *,
        identity: str,
        weights_sha256: str,
        computing: Computing,
    ) -> None:
        self._network = network
        self._preparation = preparation
        self._tokenise = tokenise
        self.computing = computing
        self.identity = identity
        self.weights_sha256 = weights_sha256
        self.logit_scale = float(network.logit_scale.detach().float().exp())
        self.n_dimensions = N_DIMENSIONS

    @cached_property
    def images_per_second_at_most(self) -> float:
        """Pictures that could be embedded each second if matrices were all: measured once."""
        shape = matrix_shape(self._network, self.computing.batch_size)
        return measure_peak(self.computing, shape) / count_operations(self._network, self._preparation.size)

    def embed_images(self, images: Sequence[Image.Image]) -> Vectors:
        """Embed pictures.

        Parameters
        ----------
        images
            Of any size; a picture that is not square loses its longer side's ends to open_clip's
            centre crop.

        Returns
        -------
        embeddings
            Unit vectors, shape (n_images, 512).
        """
        return self._embed_pictures(images)

    def embed_files(self, paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> Vectors:
        """Embed image files, of which a few batches are in memory at a time.

        Parameters
        ----------
        paths
            JPEG or other image files; a picture is turned upright as its EXIF says.
        progress
            Told how many are done.

        Returns
        -------
        embeddings
            Unit vectors, shape (n_images, 512).

        Raises
        ------
        EncoderError
            If a file is not a picture, or damaged.
        """
        return self._embed_pictures(paths, progress)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed phrases.

        Parameters
        ----------
        texts
            Sentences or phrases in English.

        Returns
        -------
        embeddings
            Unit vectors, shape (n_texts, 512).
        """
        return self._joined([self._encode_texts(batch) for batch in self._batches(texts)])

    def _embed_pictures(self, sources: Sequence[Picture], progress: Callable[[int], None] | None = None) -> Vectors:
        import torch

        embed: Callable[..., Any] = embed_on_processor
        if self.computing.device != "cpu":
            device = torch.device(self.computing.device)
            embed = partial(embed_on_gpu, device=device, n_threads=count_cores())
        made: list[Any] = []
        n_done = 0
        for vectors in embed(self._batches(sources), self._preparation, self._encode_images):
            made.append(vectors)
            n_done += len(vectors)
            if progress is not None:
                progress(n_done)
        return self._joined(made)

    def _encode_images(self, prepared: Any) -> Any:
        import torch

        # each thread says for itself that no gradients are wanted
        with torch.inference_mode():
            pixels = self._preparation.centre(prepared.to(self.computing.device), self.computing.dtype)
            return _of_unit_length(self._network.encode_image(pixels))

    def _encode_texts(self, texts: Sequence[str]) -> Any:
        import torch

        with torch.inference_mode():
            words = self._tokenise(list(texts)).to(self.computing.device)
            return _of_unit_length(self._network.encode_text(words))

    def _batches(self, items: Sequence[Any]) -> list[Sequence[Any]]:
        size = self.computing.batch_size
        return [items[start : start + size] for start in range(0, len(items), size)]

    def _joined(self, parts: list[Any]) -> Vectors:
        if not parts:
            return np.empty((0, self.n_dimensions), dtype=np.float32)
        return np.concatenate([part.cpu().numpy() for part in parts])


def _of_unit_length(vectors: Any) -> Any:
    import torch

    return torch.nn.functional.normalize(vectors.float(), dim=-1)


def load_clip(
    model: str, weights: str, *, batch_size: int | str, device: str, precision: str, settle: Settle | None
) -> ClipEncoder:
    """Load a CLIP model; the parameters are those of `streetimd_assets.encoders.base.load_encoder`."""
    config = read_config(model)
    is_transformer = is_vision_transformer(config)
    choose = partial(choose_computing, device, batch_size=batch_size, is_transformer=is_transformer)
    computing = choose(precision)
    checkpoint = find_weights(model, weights, config)
    identity = _name(model, checkpoint, computing.precision)
    if precision == "auto" and settle is not None:
        identity = settle(identity)
        computing = choose("bf16" if identity.endswith(_IN_16_BITS) else "fp32")
    network = build_network(model, checkpoint, computing)
    open_clip = import_open_clip()
    try:
        tokenise = open_clip.get_tokenizer(model)
    except Exception as error:
        # a few models bring a tokeniser that open_clip fetches
        raise EncoderError(
            f"the tokeniser of {model} could not be fetched ({type(error).__name__}): go online once, or choose a "
            "model with open_clip's own, such as ViT-B-32-quickgelu."
        ) from error
    settings = open_clip.transform.PreprocessCfg(**network.visual.preprocess_cfg)
    return ClipEncoder(
        network,
        choose_preparation(settings, open_clip.transform.image_transform_v2(settings, is_train=False)),
        tokenise,
        identity=identity,
        weights_sha256=checkpoint.sha256,
        computing=computing,
    )


def _name(model: str, checkpoint: WeightsFile, precision: str) -> str:
    suffix = _IN_16_BITS if precision == "bf16" else ""
    return f"{model}/{checkpoint.label}@sha256:{checkpoint.sha256[:12]}{suffix}"
