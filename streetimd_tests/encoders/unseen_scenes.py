"""Scenes from seeds that the demo encoder never learnt from."""

import random

import numpy as np

from streetimd_assets.synthetic.scenes import SCENE_CLASSES, paint_scene
from streetimd_assets.synthetic.scenes.seeds import WORLD_SEEDS


def paint_unseen(n_scenes, first):
    """Pictures, class numbers and disrepair of scenes that the encoder never learnt from."""
    pictures, disrepairs = [], []
    for number, seed in enumerate(WORLD_SEEDS[first : first + n_scenes]):
        rng = random.Random(seed)
        disrepairs.append(rng.random())
        name = SCENE_CLASSES[number % len(SCENE_CLASSES)]
        month = rng.randint(1, 12)
        pictures.append(paint_scene(name, disrepair=disrepairs[-1], place_seed=seed, view_seed=seed, month=month))
    return pictures, np.arange(n_scenes) % len(SCENE_CLASSES), np.array(disrepairs)
