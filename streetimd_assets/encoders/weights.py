"""Find the file of weights that a study names, and refuse what would embed wrongly."""

import difflib
import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.errors import EncoderError

DEMO_MODEL = "streetimd-demo"
DEMO_FOLDER = Path(__file__).parent / "demo"
N_DIMENSIONS = 512
_CHECKPOINT_ENDINGS = {".pt", ".pth", ".bin", ".safetensors"}
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A checkpoint on disk.

    Attributes
    ----------
    path
        Where it is.
    label
        How the encoder's identity calls it: the tag, ``bundled``, or the file's name.
    sha256
        Of the file's bytes.
    preprocessing
        What the tag says about preparing pictures, where it differs from open_clip's default.
    """

    path: Path
    label: str
    sha256: str
    preprocessing: dict[str, Any] = field(default_factory=dict)


def read_config(model: str) -> dict[str, Any]:
    """The open_clip configuration of a model that this project can use.

    Raises
    ------
    EncoderError
        For an unknown name, a sigmoid (SigLIP) model, or embeddings that are not 512-D.
    """
    open_clip = import_open_clip()
    if model == DEMO_MODEL:
        open_clip.add_model_config(str(DEMO_FOLDER / f"{DEMO_MODEL}.json"))
    config: dict[str, Any] | None = open_clip.get_model_config(model)
    if config is None:
        close = difflib.get_close_matches(model, [*open_clip.list_models(), DEMO_MODEL], n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else f"; try ViT-B-32-quickgelu or {DEMO_MODEL}."
        raise EncoderError(f"open_clip knows no model '{model}'{hint}")
    if "init_logit_bias" in config or "siglip" in model.lower():
        raise EncoderError(
            f"{model} is a SigLIP model, whose scores are not shares among categories: choose a CLIP model "
            "such as ViT-B-32-quickgelu."
        )
    if config["embed_dim"] != N_DIMENSIONS:
        raise EncoderError(
            f"{model} gives {config['embed_dim']} dimensions and the tables hold {N_DIMENSIONS}: choose a "
            f"{N_DIMENSIONS}-D model such as ViT-B-32-quickgelu or ViT-B-16."
        )
    return config


def is_vision_transformer(config: dict[str, Any]) -> bool:
    """Return True if the image tower is open_clip's own vision transformer, not a convolutional or borrowed one."""
    tower = config["vision_cfg"]
    return "timm_model_name" not in tower and not isinstance(tower.get("layers"), list)


def find_weights(model: str, weights: str, config: dict[str, Any]) -> WeightsFile:
    """The checkpoint that ``weights`` names, fetched if it is a tag.

    Raises
    ------
    EncoderError
        If there is no such file or tag, it cannot be fetched, or it does not go with the model.
    """
    if weights == "bundled":
        if model != DEMO_MODEL:
            raise EncoderError(f"only {DEMO_MODEL} has bundled weights; name a tag or a checkpoint for {model}.")
        path = DEMO_FOLDER / f"{DEMO_MODEL}.safetensors"
        return WeightsFile(path, weights, _hash_file(path))
    path = Path(weights).expanduser()
    if path.is_file():
        _refuse_wrong_activation(model, path, config)
        return WeightsFile(path, path.name, _hash_file(path))
    if path.is_dir() or path.suffix in _CHECKPOINT_ENDINGS or "/" in weights or "\\" in weights:
        raise EncoderError(
            f"there is no checkpoint file {weights}: correct the path in `weights` under [encoder] of the study."
        )
    return _fetch_tag(model, weights, config)


def _fetch_tag(model: str, tag: str, config: dict[str, Any]) -> WeightsFile:
    open_clip = import_open_clip()
    known = open_clip.list_pretrained_tags_by_model(model)
    if tag not in known:
        offered = f"its tags are {', '.join(known)}" if known else "it has none"
        raise EncoderError(f"{model} has no weights '{tag}': {offered}; or give the path of a local checkpoint.")
    source = open_clip.get_pretrained_cfg(model, tag)
    if bool(source.get("quick_gelu")) != bool(config.get("quick_gelu")):
        raise EncoderError(_activation_sentence(model, tag, needs_quick=bool(source.get("quick_gelu"))))
    try:
        path = Path(open_clip.download_pretrained(source))
    except Exception as error:
        # whatever failed on the way (no network, a proxy, a full disk), the remedy is the same
        raise EncoderError(
            f"the weights '{tag}' of {model} could not be fetched ({type(error).__name__}): go online once, or "
            "set `weights` under [encoder] of the study to the path of a local checkpoint."
        ) from error
    preprocessing = {name: source[name] for name in _PREPROCESSING if source.get(name) is not None}
    return WeightsFile(path, tag, _hash_file(path), preprocessing)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, the form in which OpenAI published its weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _refuse_wrong_activation(model: str, path: Path, config: dict[str, Any]) -> None:
    # only openai's own archives tell which activation they were trained with
    if is_torchscript(path) and not config.get("quick_gelu"):
        raise EncoderError(_activation_sentence(model, path.name, needs_quick=True))


def _activation_sentence(model: str, weights: str, *, needs_quick: bool) -> str:
    plain = model.removesuffix("-quickgelu")
    if needs_quick:
        return f"the weights '{weights}' were trained with QuickGELU: use model '{plain}-quickgelu', not '{model}'."
    return f"the weights '{weights}' were not trained with QuickGELU: use model '{plain}', not '{model}'."


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise EncoderError(f"the checkpoint {path} cannot be read: {error.strerror or error}.") from error
