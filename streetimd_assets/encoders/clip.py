"""CLIP models of open_clip, the bundled demo among them, all through the same code."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from streetimd_assets.encoders.base import Vectors
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.encoders.weights import N_DIMENSIONS, WeightsFile, find_weights, is_torchscript, read_config
from streetimd_assets.errors import EncoderError

# what an archive also carries: its sizes, and the causal mask that every model makes itself
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")


class ClipEncoder:
    """A loaded CLIP model; see `streetimd_assets.encoders.base.Encoder`.

    Parameters
    ----------
    network
        open_clip model in evaluation mode, on its device.
    prepare
        open_clip's own preprocessing: resize the shorter side (bicubic), centre crop, normalise.
    tokenise
        open_clip's tokeniser of this model; longer phrases are cut at its context length.
    identity
        Model, weights and the start of their SHA-256.
    weights_sha256
        SHA-256 of the weights file.
    batch_size
        Pictures or phrases embedded together.
    """

    def __init__(
        self,
        network: Any,
        prepare: Callable[[Image.Image], Any],
        tokenise: Callable[[list[str]], Any],
        *,
        identity: str,
        weights_sha256: str,
        batch_size: int,
    ) -> None:
        self._network = network
        self._prepare = prepare
        self._tokenise = tokenise
        self._batch_size = batch_size
        self.identity = identity
        self.weights_sha256 = weights_sha256
        self.logit_scale = float(network.logit_scale.detach().float().exp())
        self.n_dimensions = N_DIMENSIONS

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
        import torch

        first = next(self._network.parameters())

        def embed(batch: Sequence[Image.Image]) -> Any:
            pixels = torch.stack([self._prepare(image) for image in batch])
            return self._network.encode_image(pixels.to(first.device, first.dtype))

        return self._embed(images, embed)

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
        device = next(self._network.parameters()).device
        return self._embed(texts, lambda batch: self._network.encode_text(self._tokenise(list(batch)).to(device)))

    def _embed(self, items: Sequence[Any], embed: Callable[[Sequence[Any]], Any]) -> Vectors:
        import torch

        batches = [items[start : start + self._batch_size] for start in range(0, len(items), self._batch_size)]
        with torch.inference_mode():
            parts = [torch.nn.functional.normalize(embed(batch).float(), dim=-1).cpu() for batch in batches]
        if not parts:
            return np.empty((0, self.n_dimensions), dtype=np.float32)
        return np.ascontiguousarray(torch.cat(parts).numpy(), dtype=np.float32)


def load_clip(model: str, weights: str, *, batch_size: int, device: str, precision: str) -> ClipEncoder:
    """Load a CLIP model; the parameters are those of `streetimd_assets.encoders.base.load_encoder`."""
    if precision not in {"auto", "fp32", "bf16"}:
        raise EncoderError(f"precision is auto, fp32 or bf16, not '{precision}'.")
    config = read_config(model)
    checkpoint = find_weights(model, weights, config)
    network = _build_network(model, checkpoint, pick_device(device), half=precision == "bf16")
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
    suffix = " bf16" if precision == "bf16" else ""
    return ClipEncoder(
        network,
        open_clip.transform.image_transform_v2(settings, is_train=False),
        tokenise,
        identity=f"{model}/{checkpoint.label}@sha256:{checkpoint.sha256[:12]}{suffix}",
        weights_sha256=checkpoint.sha256,
        batch_size=batch_size,
    )


def pick_device(device: str) -> Any:
    """Return torch's device of this name; ``auto`` is a GPU if there is one, else the processor."""
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise EncoderError(f"torch knows no device '{device}': use auto, cpu or cuda.") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise EncoderError("device 'cuda' is asked for and this torch sees no GPU: use device 'auto' or 'cpu'.")
    return chosen


def _build_network(model: str, checkpoint: WeightsFile, device: Any, *, half: bool) -> Any:
    """The architecture with its weights, in evaluation mode, which is not open_clip's default."""
    import torch

    open_clip = import_open_clip()
    with _without_random_weights_warning():
        network = open_clip.create_model(
            model, pretrained_text=False, force_preprocess_cfg=checkpoint.preprocessing
        )
    try:
        if is_torchscript(checkpoint.path):
            network.load_state_dict(_read_torchscript(checkpoint))
        else:
            open_clip.load_checkpoint(network, str(checkpoint.path))
    except Exception as error:
        raise EncoderError(_refusal(model, checkpoint.path)) from error
    if getattr(network, "logit_bias", None) is not None:
        raise EncoderError(f"{model} scores with a sigmoid and a bias, not as CLIP does: choose a CLIP model.")
    return network.eval().to(device, torch.bfloat16 if half else torch.float32)


def _refusal(model: str, path: Path) -> str:
    if _holds_tensors(path):
        return f"the checkpoint {path} does not fit {model}: name the model that it was trained as."
    return f"{path} is not a checkpoint that open_clip can read: download it again, or correct the path."


def _holds_tensors(path: Path) -> bool:
    import torch

    try:
        if is_torchscript(path):
            return True
        state = import_open_clip().factory.load_state_dict(str(path))
        return any(isinstance(value, torch.Tensor) for value in state.values())
    except Exception:
        # a web page or half a download fails in as many ways as there are readers
        return False


def _read_torchscript(checkpoint: WeightsFile) -> dict[str, Any]:
    import torch

    with warnings.catch_warnings():
        # torch deprecates TorchScript, but OpenAI's files are in it
        warnings.simplefilter("ignore")
        archive = torch.jit.load(str(checkpoint.path), map_location="cpu")
    return {name: tensor for name, tensor in archive.state_dict().items() if name not in _NOT_WEIGHTS}


@contextmanager
def _without_random_weights_warning() -> Iterator[None]:
    # open_clip warns that a fresh model is random; the checkpoint is loaded a moment later
    def refuse(record: logging.LogRecord) -> bool:
        return "Model initialized randomly" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(refuse)
    try:
        yield
    finally:
        root.removeFilter(refuse)
