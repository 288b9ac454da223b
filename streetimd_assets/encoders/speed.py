"""How fast a model could embed at most here: by the rate at which this machine multiplies matrices."""

import time
from collections.abc import Callable
from typing import Any

from streetimd_assets.encoders.computing import Computing
from streetimd_assets.encoders.workers import count_cores, share_cores, workers

_ROUNDS, _TIMES_ON_GPU = 5, 50
_USUAL_WIDTH, _USUAL_PATCHES = 768, 50


def count_operations(network: Any, size: int) -> int:
    """Return the multiplications and additions with which a model embeds one picture.

    torch counts them while a blank picture is embedded: 8.7 billion for ViT-B/32, where open_clip's
    profile says 8.8, of which torch leaves out small change. Attention is made to take its plain way for the while,
    since the fast one hides what it computes.

    Parameters
    ----------
    network
        open_clip model in evaluation mode.
    size
        Side of the square that it sees, in pixels.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    first = next(network.visual.parameters())
    blank = torch.zeros(1, 3, size, size, dtype=first.dtype, device=first.device)
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network.encode_image(blank)
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)
    return int(counter.get_total_flops())


def matrix_shape(network: Any, batch_size: int) -> tuple[int, int, int]:
    """Return rows, inner length and columns of the largest product in a vision transformer, with a batch."""
    width = getattr(getattr(network.visual, "transformer", None), "width", _USUAL_WIDTH)
    positions = getattr(network.visual, "positional_embedding", None)
    n_patches = len(positions) if positions is not None and positions.ndim == 2 else _USUAL_PATCHES
    return batch_size * n_patches, width, 4 * width


def measure_peak(computing: Computing, shape: tuple[int, int, int]) -> float:
    """Measure how many operations a second this machine does when it only multiplies matrices.

    Takes a fraction of a second for a batch of 32, with the workers that embedding has.

    Parameters
    ----------
    computing
        Device and type of number.
    shape
        As of :func:`matrix_shape`.
    """
    import torch

    rows, inner, columns = shape
    device = torch.device(computing.device)

    def multiply(n_times: int) -> None:
        left = torch.ones(rows, inner, dtype=computing.dtype, device=device)
        right = torch.ones(inner, columns, dtype=computing.dtype, device=device)
        for _ in range(n_times):
            torch.mm(left, right)

    n_operations = 2 * rows * inner * columns
    if device.type == "cpu":
        n_workers, n_threads = share_cores(count_cores(), count_cores())
        with torch.inference_mode(), workers(n_workers, n_threads) as pool:
            return _rate(lambda n: list(pool.map(multiply, [n] * n_workers)), n_workers * n_operations, 2)

    def run(n_times: int) -> None:
        multiply(n_times)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return _rate(run, n_operations, _TIMES_ON_GPU)


def _rate(run: Callable[[int], object], n_operations: int, n_times: int) -> float:
    """Operations a second in the best of several rounds, after one that is not counted."""
    run(1)
    best = 0.0
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        run(n_times)
        best = max(best, n_times * n_operations / (time.perf_counter() - started))
    return best
