"""Measure the bundled demo encoder on painted scenes whose seeds nothing else uses.

    python -m benchmarks.zero_shot

Prints zero-shot accuracy with the prompts of the demo's category set, the accuracy of a logistic
regression on 8 x 8 colour thumbnails beside it (what colour and layout alone give away), and how
well disrepair can be read from the embeddings within each class by ridge regression.
"""

import argparse
import random
import tomllib
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from PIL import Image

from streetimd_assets.encoders import Encoder, load_encoder
from streetimd_assets.synthetic.scenes import SCENE_CLASSES, paint_scene
from streetimd_assets.synthetic.scenes.seeds import BENCHMARK_SEEDS

Floats = npt.NDArray[np.float64]


def paint_scenes(seeds: range) -> tuple[list[Image.Image], Floats, Floats]:
    """Pictures, their class numbers and their disrepair; classes in turn."""
    pictures, classes, disrepairs = [], [], []
    for number, seed in enumerate(seeds):
        rng = random.Random(seed)
        disrepair, month = rng.random(), rng.randint(1, 12)
        chosen = number % len(SCENE_CLASSES)
        pictures.append(
            paint_scene(SCENE_CLASSES[chosen], disrepair=disrepair, place_seed=seed, view_seed=seed, month=month)
        )
        classes.append(chosen)
        disrepairs.append(disrepair)
    return pictures, np.array(classes), np.array(disrepairs)


def thumbnails(pictures: list[Image.Image]) -> Floats:
    """Mean colours of an 8 x 8 grid, shape (n_pictures, 192)."""
    small = [np.asarray(picture.resize((8, 8), Image.Resampling.BOX)) for picture in pictures]
    return np.stack(small).reshape(len(pictures), -1) / 255.0


def thumbnail_accuracy(train: tuple[Floats, Floats], test: tuple[Floats, Floats]) -> float:
    """Best of three strengths of a logistic regression, chosen on the test scenes in its favour."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = []
    for strength in (0.01, 0.1, 1.0):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        scores.append(model.fit(*train).score(*test))
    return max(scores)


def category_embeddings(encoder: Encoder) -> npt.NDArray[np.float32]:
    """Prompt ensembles of the demo's categories, in the order of `SCENE_CLASSES`."""
    text = (files("streetimd_assets") / "study" / "category_sets" / "demo.toml").read_text(encoding="utf-8")
    categories = {category["name"]: category["prompts"] for category in tomllib.loads(text)["category"]}
    means = [encoder.embed_texts(categories[name]).mean(axis=0) for name in SCENE_CLASSES]
    return np.stack([mean / np.linalg.norm(mean) for mean in means])


def disrepair_r2(train: tuple[Floats, Floats], test: tuple[Floats, Floats]) -> float:
    """Share of the variance of disrepair that a ridge regression explains in unseen scenes."""
    from sklearn.linear_model import RidgeCV

    return float(RidgeCV(np.logspace(-4, 2, 13)).fit(*train).score(*test))


def measure(n_train: int, n_test: int) -> None:
    """Paint, embed and print."""
    encoder = load_encoder("streetimd-demo", "bundled")
    train, classes, disrepair = paint_scenes(BENCHMARK_SEEDS[:n_train])
    test, test_classes, test_disrepair = paint_scenes(BENCHMARK_SEEDS[n_train : n_train + n_test])
    embedded, test_embedded = encoder.embed_images(train), encoder.embed_images(test)
    predicted = (test_embedded @ category_embeddings(encoder).T).argmax(axis=1)
    print(f"{encoder.identity}, logit scale {encoder.logit_scale:.1f}; {n_test} unseen scenes")
    print(f"zero-shot top-1              {(predicted == test_classes).mean():.3f}")
    baseline = thumbnail_accuracy((thumbnails(train), classes), (thumbnails(test), test_classes))
    print(f"8 x 8 thumbnails, logistic   {baseline:.3f}  ({n_train} training scenes)")
    print("class                 recall   R2 of disrepair")
    for number, name in enumerate(SCENE_CLASSES):
        inside, test_inside = classes == number, test_classes == number
        r2 = disrepair_r2(
            (embedded[inside], disrepair[inside]), (test_embedded[test_inside], test_disrepair[test_inside])
        )
        shown = "shows none" if name == "interior" else f"{r2:.2f}"
        print(f"{name:20} {(predicted[test_inside] == number).mean():7.3f}   {shown}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=int, default=4500, help="scenes for the two regressions")
    parser.add_argument("--test", type=int, default=1800, help="unseen scenes to judge by")
    arguments = parser.parse_args()
    measure(arguments.train, arguments.test)
