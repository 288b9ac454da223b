"""Train the bundled demo encoder, `streetimd-demo`, on painted scenes.

    python benchmarks/training/train_demo_encoder.py --scenes 60000 --minutes 25 --bf16

It paints `--scenes` scenes from seeds that nothing else uses, trains open_clip's own CLIP of the
bundled JSON configuration contrastively against captions, and writes fp16 safetensors into
`streetimd_assets/encoders/demo/`. Two CPU cores are enough. Then measure it on unseen seeds with
`python benchmarks/zero_shot.py`.

Two captions of one batch can both be true of a picture ("a park", "a tidy park"), so the target of a
picture is shared equally among all the captions of its batch that are true of it, and the other way
round; with one true caption each this is CLIP's own loss.
"""

import argparse
import json
import math
import multiprocessing
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.synthetic.scenes import SCENE_CLASSES, Caption, caption_scene, paint_scene
from streetimd_assets.synthetic.scenes.captions import describe_place, wear_level
from streetimd_assets.synthetic.scenes.seeds import TRAINING_SEEDS

DEMO = Path(__file__).parents[2] / "streetimd_assets" / "encoders" / "demo"
CONFIG = DEMO / "streetimd-demo.json"
WEIGHTS = DEMO / "streetimd-demo.safetensors"
MARGIN_PX = 8
LARGEST_LOGIT_SCALE = 100.0
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scene:
    """What was painted, as captions may speak of it."""

    scene_class: str
    disrepair: float
    seed: int
    month: int

    @classmethod
    def draw(cls, seed: int) -> "Scene":
        """Every class and every disrepair equally often."""
        rng = random.Random(seed)
        return cls(rng.choice(SCENE_CLASSES), rng.random(), seed, rng.randint(1, 12))

    @property
    def facts(self) -> tuple[str, str | None, str | None, str | None]:
        """Class, disrepair level, weather and season; indoors only the class."""
        if self.scene_class == "interior":
            return self.scene_class, None, None, None
        return self.scene_class, wear_level(self.disrepair), *describe_place(self.seed, self.month)

    def caption(self, seed: int) -> Caption:
        """One of the many captions that are true of it."""
        return caption_scene(
            self.scene_class, disrepair=self.disrepair, place_seed=self.seed, month=self.month, seed=seed
        )


def paint(seed: int, size_px: int) -> Pixels:
    """One training picture, a little larger than the model sees, so that it can be cropped."""
    scene = Scene.draw(seed)
    picture = paint_scene(
        scene.scene_class, disrepair=scene.disrepair, place_seed=seed, view_seed=seed, month=scene.month
    )
    return np.asarray(picture.resize((size_px, size_px), Image.Resampling.BICUBIC))


def paint_all(seeds: range, size_px: int, cache: Path | None) -> Pixels:
    """Paint every training scene on two cores, or read those of an earlier run."""
    if cache and cache.exists():
        return np.load(cache)
    with multiprocessing.Pool(2) as pool:
        pictures = pool.starmap(paint, [(seed, size_px) for seed in seeds], chunksize=256)
    painted = np.stack(pictures)
    if cache:
        np.save(cache, painted)
    return painted


def is_true(caption: Caption, facts: tuple[str, str | None, str | None, str | None]) -> bool:
    """Whether everything that a caption says holds of a scene."""
    said = (caption.scene_class, caption.wear_level, caption.weather, caption.season)
    return all(claim is None or claim == fact for claim, fact in zip(said, facts, strict=True))


def augment(pictures: Pixels, size_px: int, rng: np.random.Generator) -> Pixels:
    """Crop by a random margin and mirror half of the pictures."""
    cropped = np.empty((len(pictures), size_px, size_px, 3), np.uint8)
    for i, picture in enumerate(pictures):
        side = int(rng.integers(size_px, picture.shape[0] + 1))
        top, left = rng.integers(0, picture.shape[0] - side + 1, 2)
        view = Image.fromarray(picture[top : top + side, left : left + side])
        small = np.asarray(view.resize((size_px, size_px), Image.Resampling.BILINEAR))
        cropped[i] = small[:, ::-1] if rng.random() < 0.5 else small
    return cropped


def train(arguments: argparse.Namespace) -> None:
    """Paint, train, save."""
    open_clip = import_open_clip()
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    open_clip.add_model_config(str(CONFIG))
    model = open_clip.create_model("streetimd-demo").to(memory_format=torch.channels_last)
    if arguments.resume:
        open_clip.load_checkpoint(model, str(WEIGHTS))
    tokenizer = open_clip.get_tokenizer("streetimd-demo")
    size_px = json.loads(CONFIG.read_text())["vision_cfg"]["image_size"]
    seeds = TRAINING_SEEDS[: arguments.scenes]
    pictures = paint_all(seeds, size_px + MARGIN_PX, arguments.cache)
    scenes = [Scene.draw(seed) for seed in seeds]
    facts = [scene.facts for scene in scenes]
    print(f"{len(scenes)} scenes ready", flush=True)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(3, 1, 1) * 255
    spread = torch.tensor(open_clip.OPENAI_DATASET_STD).view(3, 1, 1) * 255
    kernels = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimiser = torch.optim.AdamW(
        [{"params": kernels, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
        lr=arguments.rate, betas=(0.9, 0.98),
    )  # fmt: skip
    rng, started, step, seen = np.random.default_rng(1 if arguments.resume else 0), time.monotonic(), 0, 0
    model.train()
    share, running = 0.0, 0.0
    while share < 1.0:
        share = (time.monotonic() - started) / (60 * arguments.minutes)
        warm = min(1.0, (step + 1) / 150)
        for group in optimiser.param_groups:
            group["lr"] = arguments.rate * warm * max(0.01, 0.5 + 0.5 * math.cos(math.pi * min(1.0, share)))
        chosen = np.sort(rng.choice(len(scenes), arguments.batch, replace=False))
        captions = [scenes[i].caption(int(rng.integers(2**31))) for i in chosen]
        crops = torch.from_numpy(augment(pictures[chosen], size_px, rng)).permute(0, 3, 1, 2)
        images = ((crops.float() - mean) / spread).contiguous(memory_format=torch.channels_last)
        truth = torch.tensor([[float(is_true(c, facts[i])) for c in captions] for i in chosen])
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16):
            image_features = model.encode_image(images, normalize=True).float()
            text_features = model.encode_text(tokenizer([c.text for c in captions]), normalize=True).float()
        logits = model.logit_scale.exp() * image_features @ text_features.T
        loss = 0.5 * (soft_cross_entropy(logits, truth) + soft_cross_entropy(logits.T, truth.T))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, math.log(LARGEST_LOGIT_SCALE))
            hit = truth.gather(1, logits.argmax(1, keepdim=True)).mean().item()
        running = hit if step == 0 else 0.98 * running + 0.02 * hit
        step, seen = step + 1, seen + arguments.batch
        if step % 100 == 0:
            scale = model.logit_scale.exp().item()
            print(f"step {step}  scenes {seen}  {share:.0%}  loss {loss.item():.3f}  "
                  f"true caption first {running:.3f}  scale {scale:.1f}", flush=True)  # fmt: skip
    save(model)


def soft_cross_entropy(logits, truth):  # type: ignore[no-untyped-def]
    """Cross-entropy against targets shared among all true answers, above its smallest value."""
    import torch

    targets = truth / truth.sum(1, keepdim=True)
    return -(targets * torch.log_softmax(logits, 1)).sum(1).mean() - truth.sum(1).log().mean()


def save(model) -> None:  # type: ignore[no-untyped-def]
    """Write the weights as fp16 safetensors."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, WEIGHTS)
    WEIGHTS.chmod(0o644)
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scenes", type=int, default=60_000)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--resume", action="store_true", help="go on from the bundled weights")
    parser.add_argument("--bf16", action="store_true", help="mixed precision, where the CPU has it")
    parser.add_argument("--cache", type=Path, help="an .npy file to keep the painted scenes in")
    train(parser.parse_args())
