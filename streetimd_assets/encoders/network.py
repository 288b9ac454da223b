"""Build open_clip's networks and fill them with weights, which come in several kinds of file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streetimd_assets.encoders.computing import Computing
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.encoders.weights import WeightsFile, is_torchscript
from streetimd_assets.errors import EncoderError

# what an archive also carries: its sizes, and the causal mask that every model makes itself
_NOT_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")


def build_network(model: str, checkpoint: WeightsFile, computing: Computing) -> Any:
    """Build the architecture with its weights, in evaluation mode, which is not open_clip's default.

    Raises
    ------
    EncoderError
        If the checkpoint is none, is of another model, or is not of a CLIP model.
    """
    import torch

    open_clip = import_open_clip()
    with _without_random_weights_warning():
        network = open_clip.create_model(
            model, pretrained_text=False, force_preprocess_cfg=checkpoint.preprocessing
        )
    if computing.precision == "bf16":
        # before the weights are read, which are rounded as they are copied: both in 32 bits take 300 MB more
        network.to(torch.bfloat16)
        network.logit_scale.data = network.logit_scale.data.float()
    try:
        if is_torchscript(checkpoint.path):
            network.load_state_dict(_read_torchscript(checkpoint))
        else:
            open_clip.load_checkpoint(network, str(checkpoint.path))
    except Exception as error:
        raise EncoderError(_refusal(model, checkpoint.path)) from error
    if getattr(network, "logit_bias", None) is not None:
        raise EncoderError(f"{model} scores with a sigmoid and a bias, not as CLIP does: choose a CLIP model.")
    scale = network.logit_scale.detach().clone()
    network.eval().to(computing.device, computing.dtype)
    # the softmax is computed elsewhere, in full: its scale is no weight to be rounded
    network.logit_scale.data = scale.to(computing.device)
    return network


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
