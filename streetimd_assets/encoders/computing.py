"""What embeddings are computed on, in how many bits, and how many at a time: chosen where it is not said."""

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from streetimd_assets.errors import EncoderError

PRECISIONS = ("fp32", "bf16")
# more than these embed no faster: measured on a processor, a GPU with room for two in flight
_ON_PROCESSOR, _ON_GPU, _ON_SMALL_GPU = 32, 256, 64
_ROOMY_BYTES = 6 * 2**30
# NVIDIA's Ampere and later multiply bf16 at full speed; earlier ones convert
_FAST_GPU = (8, 0)
_FAST_FLAGS = {"avx512_bf16", "amx_bf16"}


@dataclass(frozen=True, slots=True)
class Computing:
    """How an encoder computes.

    Attributes
    ----------
    device
        torch's name of it: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    precision
        ``fp32``, or ``bf16`` for weights rounded to 16 bits.
    is_fast
        Whether the device multiplies at that precision; where it does not, rounded weights are
        multiplied in 32 bits, which takes the time of ``fp32`` and gives nearly what 16 bits give.
    batch_size
        Pictures or phrases embedded together.
    """

    device: str
    precision: str
    is_fast: bool
    batch_size: int

    @property
    def dtype(self) -> Any:
        """The type, in torch, of what is multiplied."""
        import torch

        return torch.bfloat16 if self.precision == "bf16" and self.is_fast else torch.float32

    def __str__(self) -> str:
        bits = "32 bits" if self.precision == "fp32" else "bf16 weights"
        return bits if self.is_fast or self.precision == "fp32" else f"{bits} multiplied in 32 bits"


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


def choose_computing(device: str, precision: str, batch_size: int | str, *, is_transformer: bool) -> Computing:
    """Choose what is left to choose.

    Sixteen bits are chosen by what the device can do, not by timing it, so that the same machine
    always gives the same: x86 processors with AVX512-BF16 or AMX, and NVIDIA GPUs from compute
    capability 8. A convolutional image tower, as the demo's, stays in 32 bits: it gains little and
    loses more (a cosine of about .99 to 32 bits, where transformers keep .9999).

    Parameters
    ----------
    device, precision, batch_size
        As for :func:`streetimd_assets.encoders.load_encoder`.
    is_transformer
        Whether the image tower is open_clip's vision transformer.

    Raises
    ------
    EncoderError
        If there is no such device or precision, or the batch size is not a number above 0.
    """
    if precision not in {"auto", *PRECISIONS}:
        raise EncoderError(f"precision is auto, fp32 or bf16, not '{precision}'.")
    if batch_size != "auto" and not (isinstance(batch_size, int) and batch_size > 0):
        raise EncoderError(f"batch_size is auto or a number above 0, not '{batch_size}'.")
    chosen = pick_device(device)
    is_fast = is_fast_at_bf16(chosen)
    if precision == "auto":
        precision = "bf16" if is_fast and is_transformer else "fp32"
    size = _batch_size(chosen) if isinstance(batch_size, str) else batch_size
    return Computing(str(chosen), precision, is_fast, size)


def is_fast_at_bf16(device: Any) -> bool:
    """Return True if a device multiplies 16-bit floats (bfloat16) faster than 32-bit ones."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= _FAST_GPU
    return device.type == "cpu" and bool(_FAST_FLAGS & processor_flags())


@cache
def processor_flags() -> frozenset[str]:
    """Return what an x86 processor says that it can do; nothing where it is not asked."""
    told = Path("/proc/cpuinfo")
    if platform.machine() not in {"x86_64", "AMD64"} or not told.is_file():
        return frozenset()
    lines = (line for line in told.read_text().splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").partition(":")[2].split())


def _batch_size(device: Any) -> int:
    if device.type == "cpu":
        return _ON_PROCESSOR
    if device.type != "cuda":
        return _ON_SMALL_GPU
    import torch

    memory = torch.cuda.get_device_properties(device).total_memory
    return _ON_GPU if memory >= _ROOMY_BYTES else _ON_SMALL_GPU
