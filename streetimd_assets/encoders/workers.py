"""Keep the cores and the GPU busy: pictures are decoded, moved and embedded at the same time.

On a processor each worker thread decodes a batch and embeds it with one core. Threads share the
weights and do not wait for one another, as they would when all cores multiply one matrix; so it is
also what gives way best where several runs share the cores. For a GPU the cores decode ahead
(Pillow does not hold Python's lock meanwhile, and pixels are handed over without copying them in
Python), pictures travel while the batch before is embedded, and are resized there.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from streetimd_assets.encoders.preprocessing import Picture, Preparation, open_picture, read_pixels

# each has a batch's activations in memory; with more cores, each worker uses several
_MOST_WORKERS = 8
# batches decoded before their turn
_AHEAD = 2
# larger pictures are resized where they are decoded: they would fill memory, and take long to move
_MOST_PIXELS_MOVED = 1_200_000
# in 32 bits, pictures take much of a GPU's memory
_RESIZED_TOGETHER = 32
_one_at_a_time = threading.Lock()

Batch = Sequence[Picture]
Encode = Callable[[Any], Any]


def count_cores() -> int:
    """Return how many cores may be used: what the system allows, and no more than torch is told to use."""
    import joblib
    import torch

    return max(1, min(torch.get_num_threads(), joblib.cpu_count()))


@contextmanager
def workers(n_workers: int, n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads in each of which torch computes with `n_threads`; others keep their setting."""
    import torch

    started = threading.Barrier(n_workers + 1)

    def begin() -> None:
        # torch sets a thread up when first asked, which would undo what was set before
        torch.get_num_threads()
        torch.set_num_threads(n_threads)
        started.wait()

    pool = ThreadPoolExecutor(n_workers, "embedding", initializer=begin)
    try:
        with _one_at_a_time:
            before = torch.get_num_threads()
            try:
                for _ in range(n_workers):
                    pool.submit(int)
            except BaseException:
                # those that have begun would wait for ever for one that could not
                started.abort()
                raise
            started.wait()
            # a thread's own setting is also what later threads begin with
            torch.set_num_threads(before)
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def share_cores(n_cores: int, n_batches: int) -> tuple[int, int]:
    """Return how many workers there are, and how many threads each computes with."""
    n_threads = math.ceil(n_cores / _MOST_WORKERS)
    n_workers = max(1, min(n_cores // n_threads, n_batches))
    return n_workers, n_cores // n_workers


def embed_on_processor(batches: Sequence[Batch], preparation: Preparation, encode: Encode) -> Iterator[Any]:
    """Yield the embeddings of each batch in order, shape (n_images, n_dimensions).

    Parameters
    ----------
    batches
        Pictures or paths of image files.
    preparation
        What the model sees of a picture.
    encode
        From a batch prepared, shape (n_images, 3, size, size), to its embeddings.
    """
    import torch

    def embed(batch: Batch) -> Any:
        return encode(torch.stack([preparation.prepare(open_picture(source)) for source in batch]))

    if len(batches) == 1:
        # all cores multiply for the one
        yield embed(batches[0])
        return
    with workers(*share_cores(count_cores(), len(batches))) as pool:
        yield from pool.map(embed, batches)


def embed_on_gpu(
    batches: Iterable[Batch], preparation: Preparation, encode: Encode, device: Any, n_threads: int
) -> Iterator[Any]:
    """Yield the embeddings of each batch in order, shape (n_images, n_dimensions), on the processor.

    Parameters
    ----------
    batches, preparation, encode
        As for :func:`embed_on_processor`.
    device
        torch's device. Any will do; only CUDA moves pictures while it computes.
    n_threads
        Threads that decode.
    """
    import torch

    made: deque[tuple[Any, Any]] = deque()
    for prepared in _prepared(batches, preparation, device, n_threads):
        vectors = encode(prepared).to("cpu", non_blocking=True)
        event = None
        if device.type == "cuda":
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(device))
        made.append((vectors, event))
        if len(made) > 1:
            yield _arrived(*made.popleft())
    while made:
        yield _arrived(*made.popleft())


def _arrived(vectors: Any, event: Any) -> Any:
    if event is not None:
        event.synchronize()
    return vectors


def _prepared(batches: Iterable[Batch], preparation: Preparation, device: Any, n_threads: int) -> Iterator[Any]:
    """Yield each batch prepared and on its device, while later ones are decoded."""
    import torch

    is_cuda = device.type == "cuda"
    copying = torch.cuda.Stream(device) if is_cuda else None

    def decode(source: Picture) -> Any:
        pixels = _decoded(source, preparation)
        # pinned memory is what a GPU can fetch from by itself
        return pixels.pin_memory() if is_cuda else pixels

    pool = ThreadPoolExecutor(n_threads, "decoding")
    waiting: deque[list[Future[Any]]] = deque()
    try:
        for batch in batches:
            waiting.append([pool.submit(decode, source) for source in batch])
            if len(waiting) > _AHEAD:
                yield _moved([one.result() for one in waiting.popleft()], preparation, device, copying)
        while waiting:
            yield _moved([one.result() for one in waiting.popleft()], preparation, device, copying)
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded(source: Picture, preparation: Preparation) -> Any:
    """Return pixels to be resized, shape (1, 4 or 3, height, width), or what is prepared, (3, size, size)."""
    picture = open_picture(source)
    if preparation.transform is not None or picture.width * picture.height > _MOST_PIXELS_MOVED:
        return preparation.prepare(picture)
    return read_pixels(picture)


def _moved(pictures: list[Any], preparation: Preparation, device: Any, copying: Any) -> Any:
    """Move decoded pictures to the device and resize there those that are not yet; those of one size together."""
    import torch

    if copying is None:
        moved = [pixels.to(device) for pixels in pictures]
    else:
        computing = torch.cuda.current_stream(device)
        with torch.cuda.stream(copying):
            moved = [pixels.to(device, non_blocking=True) for pixels in pictures]
        computing.wait_stream(copying)
        for pixels in moved:
            pixels.record_stream(computing)
    # what is resized already stays as it is, in its place
    prepared = list(moved)
    alike: dict[Any, list[int]] = {}
    for place, pixels in enumerate(moved):
        if pixels.ndim == 4:
            alike.setdefault(tuple(pixels.shape), []).append(place)
    for places in _split(alike.values(), _RESIZED_TOGETHER):
        resized = preparation.resize(torch.cat([moved[place] for place in places]))
        for place, one in zip(places, resized, strict=True):
            prepared[place] = one
    return torch.stack(prepared)


def _split(groups: Iterable[list[int]], size: int) -> Iterator[list[int]]:
    for group in groups:
        yield from (group[start : start + size] for start in range(0, len(group), size))
