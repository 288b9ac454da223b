"""Made-up images whose true category is known, and raters who label them with errors that are planted."""

import numpy as np
import pandas as pd

NAMES = ("terrace", "park", "shops", "derelict")


def made_up_images(n_images=3000, *, temperature=1.0, seed=0):
    """Return rows of ``category_probabilities``, and the true category of each image.

    Truth is drawn from calibrated probabilities; the model states them sharper by ``temperature``.
    """
    rng = np.random.default_rng(seed)
    often = np.array([0.55, 0.3, 0.12, 0.03])
    start = rng.choice(4, n_images, p=often)
    logits = rng.normal(0, 1, (n_images, 4)) + np.eye(4)[start] * rng.gamma(2, 2.2, (n_images, 1)) + np.log(often)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (shares.cumsum(axis=1) < rng.random((n_images, 1))).sum(axis=1)
    stated = shares**temperature / (shares**temperature).sum(axis=1, keepdims=True)
    names = np.array(NAMES, dtype=object)
    table = pd.DataFrame(
        {
            "image_id": [f"p{number:05d}@090" for number in range(n_images)],
            "lsoa_code": "E01000001",
            "heading_deg": 90.0,
            "category": names[stated.argmax(axis=1)],
            "probability": stated.max(axis=1),
            "margin": 0.1,
            "entropy_share": 0.5,
            "is_rejected": False,
            "category_set_hash": "abc",
            "encoder": "made-up",
        }
        | {f"{name}_similarity": 0.1 for name in NAMES}
        | {f"{name}_probability": stated[:, place] for place, name in enumerate(NAMES)}
    )
    return table, pd.Series(names[truth], index=table["image_id"])


def files_of(probabilities):
    """Return rows of ``street_images`` with what the draw reads of them."""
    ids = probabilities["image_id"]
    return pd.DataFrame(
        {
            "image_id": ids,
            "image_path": "images/" + ids + ".jpg",
            "captured_on": None,
            "licence": "CC0",
            "credit": "A. Painter",
            "viewer_url": None,
        }
    )


def labels_by(rater, truth, *, errors=0.0, unsure=0.0, seed=0, names=NAMES):
    """Return rows of ``image_labels``: the truth, but for a planted share of wrong and of unsure answers."""
    rng = np.random.default_rng(seed)
    said = truth.to_numpy(dtype=object).copy()
    is_wrong = rng.random(len(said)) < errors
    others = [[name for name in names if name != true] for true in said]
    said[is_wrong] = [rng.choice(other) for other, wrong in zip(others, is_wrong, strict=True) if wrong]
    said[rng.random(len(said)) < unsure] = "unsure"
    return pd.DataFrame(
        {
            "image_id": truth.index, "rater": rater, "label": said, "lad_code": "E06000001",
            "labelled_at": pd.NaT, "file": "labels.csv",
        }
    )  # fmt: skip
