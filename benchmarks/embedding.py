"""How fast pictures become embeddings, from JPEG bytes, beside a notebook's loop and a peer's way.

    python -m benchmarks.embedding

The model is ViT-B/32 with random weights, saved as a checkpoint of one's own: speed does not depend on
weights. Pictures are synthetic JPEGs of 640 x 640 pixels and about 50 kB. The loop takes one image at a
time, prepared by open_clip, in 32 bits, as notebooks do. The peer's way is that of clip-retrieval and
other tools: open_clip's own preparation in two worker processes of a DataLoader, batches of 32, in 32
bits; it is their method, not their code. All take turns in one run. The share of the ceiling is that of
the rate at which this machine multiplies matrices of 16-bit numbers, measured in the same rounds, over
8.82 billion operations an image. Memory is the largest of a fresh process that embeds.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.downloads import draw_jpegs
from benchmarks.findings import Finding, conclude, parser
from benchmarks.processes import peak_mib
from streetimd_assets.encoders import load_encoder
from streetimd_assets.encoders.workers import count_cores

MODEL = "ViT-B-32"
OPERATIONS = 8.82e9
N_LOOP, N_EACH, N_ROUNDS, N_MEMORY = 32, 256, 5, 512
N_GPU, N_PICTURES = 4096, 32
LEAST_RATIO, LEAST_SHARE, MOST_MEMORY_MIB = 3.5, 0.70, 1500
# below a cosine of one
MOST_BELOW_ONE, MOST_BELOW_ONE_ON_GPU = 0.0005, 0.001
LEAST_OF_DECODING = 0.9
END_TO_END = f"images embedded from JPEG, {MODEL}"


def save_checkpoint(path: Path) -> None:
    """Save random weights as a user's own would be."""
    import torch

    from streetimd_assets.encoders.torchvision_shim import import_open_clip

    torch.manual_seed(1)
    torch.save(import_open_clip().create_model(MODEL).state_dict(), path)


def save_pictures(folder: Path, n_pictures: int) -> list[Path]:
    """Write the JPEGs, as many pictures over and over."""
    jpegs = draw_jpegs(N_PICTURES)
    paths = [folder / f"{number}.jpg" for number in range(n_pictures)]
    for number, path in enumerate(paths):
        path.write_bytes(jpegs[number % len(jpegs)])
    return paths


class Files:
    """A data set as peers read it: a picture prepared by open_clip."""

    def __init__(self, paths: list[Path], prepare: Callable[[Any], Any]) -> None:
        self.paths, self.prepare = paths, prepare

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Any:
        from PIL import Image

        with Image.open(self.paths[number]) as picture:
            return self.prepare(picture.convert("RGB"))


class Notebook:
    """open_clip as its README uses it: one image at a time, or batches from a DataLoader; 32 bits."""

    def __init__(self, checkpoint: Path) -> None:
        from streetimd_assets.encoders.torchvision_shim import import_open_clip

        made = import_open_clip().create_model_and_transforms(MODEL, pretrained=str(checkpoint))
        self.network, self.prepare = made[0].eval(), made[2]

    def loop(self, paths: list[Path]) -> None:
        import torch

        files = Files(paths, self.prepare)
        for number in range(len(files)):
            with torch.no_grad():
                self.network.encode_image(files[number][None], normalize=True)

    def batches(self, paths: list[Path]) -> None:
        import torch

        loader: Any = torch.utils.data.DataLoader(Files(paths, self.prepare), batch_size=32, num_workers=2)
        for batch in loader:
            with torch.no_grad():
                self.network.encode_image(batch, normalize=True)


def rate(embed: Callable[[list[Path]], object], paths: list[Path]) -> float:
    """Images per second."""
    started = time.perf_counter()
    embed(paths)
    return len(paths) / (time.perf_counter() - started)


def on_processor(checkpoint: Path, paths: list[Path]) -> Iterator[Finding]:
    """Measure on the cores of this machine."""
    from streetimd_assets.encoders.computing import is_fast_at_bf16, pick_device
    from streetimd_assets.encoders.speed import matrix_shape, measure_peak

    half, full = (load_encoder(MODEL, str(checkpoint), device="cpu", precision=p) for p in ("bf16", "fp32"))
    is_fast, notebook = is_fast_at_bf16(pick_device("cpu")), Notebook(checkpoint)
    ways: dict[str, tuple[Callable[[list[Path]], object], int]] = {
        "loop": (notebook.loop, N_LOOP),
        "peer": (notebook.batches, N_EACH),
        "fp32": (full.embed_files, N_EACH),
        "bf16": (half.embed_files, N_EACH),
    }
    for embed, _ in ways.values():
        embed(paths[:16])
    rates: dict[str, list[float]] = {way: [] for way in [*ways, "ceiling"]}
    shape = matrix_shape(half._network, half.computing.batch_size)  # type: ignore[attr-defined]
    for _ in range(N_ROUNDS):
        for way, (embed, n_images) in ways.items():
            rates[way].append(rate(embed, paths[:n_images]))
        rates["ceiling"].append(measure_peak(half.computing, shape) / OPERATIONS)
    typical = {way: median(found) for way, found in rates.items()}
    of_rate = functools.partial(Finding, unit="images/s", more_is_better=True)
    why = "" if is_fast else "this processor does not multiply 16-bit numbers faster than 32-bit ones"
    wanted = f">= {LEAST_RATIO}" if is_fast else ""
    loop = ("a loop, 32 bits, one at a time", typical["loop"])
    yield of_rate(f"{END_TO_END}, bf16", typical["bf16"], beside=loop[0], other=loop[1], wanted=wanted)
    yield of_rate(f"{END_TO_END}, fp32", typical["fp32"], beside=loop[0], other=loop[1])
    yield of_rate(f"{END_TO_END}, bf16", typical["bf16"], beside="the same in fp32", other=typical["fp32"])
    peer = "DataLoader of 2 processes, batches of 32, 32 bits"
    yield of_rate(f"{END_TO_END}, bf16", typical["bf16"], beside=peer, other=typical["peer"])
    yield of_rate(f"{END_TO_END}, fp32", typical["fp32"], beside=peer, other=typical["peer"])
    share = typical["bf16"] / typical["ceiling"]
    what = "share of the rate at which matrices are multiplied in bf16"
    yield Finding(what, share if is_fast else None, "", wanted=f">= {LEAST_SHARE}", why=why, more_is_better=True)
    different = paths[:N_PICTURES]
    cosine = (half.embed_files(different) * full.embed_files(different)).sum(axis=1).min()
    what = f"one minus the least cosine, of {N_PICTURES} pictures, of an embedding in bf16 to that in fp32"
    yield Finding(what, max(0.0, 1 - float(cosine)), "", wanted=f"<= {MOST_BELOW_ONE}")


def memory(checkpoint: Path, paths: list[Path]) -> Iterator[Finding]:
    """Measure the largest memory of a fresh process that embeds."""
    command = [sys.executable, "-m", "benchmarks.embedding", "--measure", str(checkpoint), str(paths[0].parent)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)
    yield Finding(
        f"largest memory of a process that embeds, {told['precision']}",
        told["mib"],
        "MiB",
        wanted=f"<= {MOST_MEMORY_MIB}",
    )


def measure_memory(checkpoint: Path, folder: Path) -> None:
    """Embed in this process and print the most memory it had."""
    encoder = load_encoder(MODEL, str(checkpoint), device="cpu")
    encoder.embed_files(sorted(folder.glob("*.jpg"))[:N_MEMORY])
    print(json.dumps({"mib": peak_mib(), "precision": encoder.computing.precision}))


def decode_all(paths: list[Path]) -> None:
    """Decode on every core, and do nothing else."""
    from PIL import Image

    def decode(path: Path) -> None:
        with Image.open(path) as picture:
            picture.load()

    with ThreadPoolExecutor(count_cores()) as pool:
        list(pool.map(decode, paths))


def on_gpu(checkpoint: Path, paths: list[Path]) -> Iterator[Finding]:
    """Measure on a GPU, where there is one."""
    import torch

    fast = f"{END_TO_END}, on a GPU"
    alike = "one minus the least cosine of an embedding on the GPU to that on the processor"
    wanted, wanted_alike = f">= {LEAST_OF_DECODING}", f"<= {MOST_BELOW_ONE_ON_GPU}"
    if not torch.cuda.is_available():
        why = "torch sees no GPU here"
        yield Finding(fast, None, "images/s", wanted=wanted, more_is_better=True, why=why)
        yield Finding(alike, None, "", wanted=wanted_alike, why=why)
        return
    there, here = (load_encoder(MODEL, str(checkpoint), device=device) for device in ("cuda", "cpu"))
    many = (paths * (N_GPU // len(paths) + 1))[:N_GPU]
    there.embed_files(many[:512])
    rounds = [(rate(there.embed_files, many), rate(decode_all, many)) for _ in range(N_ROUNDS)]
    ours, decoding = (median(found) for found in zip(*rounds, strict=True))
    yield Finding(fast, ours, "images/s", "the cores only decode", decoding, wanted, more_is_better=True)
    different = paths[:N_PICTURES]
    cosine = float(np.min((there.embed_files(different) * here.embed_files(different)).sum(axis=1)))
    yield Finding(alike, max(0.0, 1 - cosine), "", wanted=wanted_alike)


def main(*, keep: bool) -> int:
    """Measure all, and return 1 if a target is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_checkpoint(folder / "own.pt")
        paths = save_pictures(folder, N_MEMORY)

        def findings() -> Iterator[Finding]:
            for measure in (memory, on_processor, on_gpu):
                yield from measure(folder / "own.pt", paths)

        return conclude("embedding", findings(), keep=keep)


if __name__ == "__main__":
    switches = parser(__doc__)
    switches.add_argument("--measure", nargs=2, metavar=("CHECKPOINT", "FOLDER"), help=argparse.SUPPRESS)
    options = switches.parse_args()
    if options.measure:
        measure_memory(*map(Path, options.measure))
    else:
        sys.exit(main(keep=options.keep))
