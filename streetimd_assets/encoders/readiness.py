"""Whether an encoder could be loaded here: its device, and its weights, without fetching anything."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from streetimd_assets.encoders.computing import choose_computing, pick_device
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.encoders.weights import find_weights, is_vision_transformer, read_config
from streetimd_assets.encoders.workers import count_cores


@dataclass(frozen=True, slots=True)
class WeightsAtHand:
    """Where an encoder's weights are.

    Attributes
    ----------
    path
        Their file, None if they are still to be fetched.
    address
        Where they are fetched from at first use, None for weights that never are.
    """

    path: Path | None
    address: str | None


def describe_computing(model: str, device: str, precision: str) -> str:
    """Return what would compute embeddings, and in how many bits, in words.

    Parameters
    ----------
    model, device, precision
        As for :func:`streetimd_assets.encoders.load_encoder`.

    Raises
    ------
    EncoderError
        If there is no such model, device or precision.
    """
    import torch

    chosen = pick_device(device)
    is_transformer = is_vision_transformer(read_config(model))
    bits = str(choose_computing(device, precision, "auto", is_transformer=is_transformer))
    if precision == "auto":
        bits += ", or in what the study is embedded in already"
    if chosen.type == "cuda":
        return f"GPU {torch.cuda.get_device_name(chosen)}, {bits}"
    if chosen.type == "cpu":
        return f"CPU, {count_cores()} threads, {bits}"
    return f"{chosen.type}, {bits}"


def find_weights_at_hand(model: str, weights: str) -> WeightsAtHand:
    """Return where a model's weights are, or where they would be fetched from.

    Parameters
    ----------
    model, weights
        As for :func:`streetimd_assets.encoders.load_encoder`.

    Raises
    ------
    EncoderError
        If there is no such model, tag or file, or they do not go together.
    """
    config = read_config(model)
    is_tag = weights in import_open_clip().list_pretrained_tags_by_model(model)
    if not is_tag or Path(weights).is_file():
        # what is neither bundled, nor a file, nor a tag is refused here
        return WeightsAtHand(find_weights(model, weights, config).path, None)
    # every tag of 512 dimensions is on the Hugging Face hub, which open_clip prefers to other places
    return _find_on_hub(import_open_clip().get_pretrained_cfg(model, weights)["hf_hub"])


def _find_on_hub(place: str) -> WeightsAtHand:
    """Look for weights, named ``owner/model/`` or with a file's name, in the hub's cache on this machine."""
    import huggingface_hub

    names = import_open_clip().constants
    repository, _, file = place.rpartition("/")
    # open_clip takes a safetensors file before any other
    files = [str(PurePosixPath(file).with_suffix(".safetensors")), file] if file else []
    for name in files or [names.HF_SAFE_WEIGHTS_NAME, names.HF_WEIGHTS_NAME]:
        held: Any = huggingface_hub.try_to_load_from_cache(repository, name)
        if isinstance(held, str):
            return WeightsAtHand(Path(held), None)
    return WeightsAtHand(None, f"{huggingface_hub.constants.ENDPOINT}/{repository}")
