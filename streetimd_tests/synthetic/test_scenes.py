"""Painted scenes: the same seeds paint the same picture, and neglect shows."""

import io
import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from streetimd_assets.synthetic.scenes import SCENE_CLASSES, caption_scene, encode_jpeg, paint_scene
from streetimd_assets.synthetic.scenes.place import settle_place
from streetimd_assets.synthetic.scenes.seeds import BENCHMARK_SEEDS, TRAINING_SEEDS, WORLD_SEEDS

OUTDOORS = tuple(name for name in SCENE_CLASSES if name != "interior")


def paint(name, *, disrepair=0.4, place_seed=11, view_seed=12, month=6, size_px=96):
    return paint_scene(
        name, disrepair=disrepair, place_seed=place_seed, view_seed=view_seed, month=month, size_px=size_px
    )


def pixels(picture):
    return np.asarray(picture, dtype=float)


def difference(first, second):
    return np.abs(pixels(first) - pixels(second)).mean()


@pytest.mark.parametrize("name", SCENE_CLASSES)
def test_the_same_arguments_paint_the_same_bytes(name):
    assert paint(name).tobytes() == paint(name).tobytes()


def test_another_process_paints_the_same_bytes():
    code = (
        "import hashlib; from streetimd_assets.synthetic.scenes import paint_scene;"
        "p = paint_scene('shops', disrepair=.4, place_seed=11, view_seed=12, size_px=96);"
        "print(hashlib.sha256(p.tobytes()).hexdigest())"
    )
    answers = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
        for env in ({"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)}, {"PYTHONPATH": ":".join(sys.path)})
    }
    assert len(answers) == 1


@pytest.mark.parametrize("name", SCENE_CLASSES)
def test_four_views_of_one_place_are_visibly_different(name):
    views = [paint(name, view_seed=seed) for seed in range(4)]
    closest = min(difference(a, b) for i, a in enumerate(views) for b in views[:i])
    assert closest > 5.0, "grey levels out of 255"


def test_views_of_one_place_share_their_weather_and_light():
    assert settle_place(5, 6) == settle_place(5, 6)
    assert len({(settle_place(seed, 6).weather, settle_place(seed, 6).hour) for seed in range(60)}) > 5


@pytest.mark.parametrize("name", OUTDOORS)
def test_disrepair_changes_every_outdoor_class_step_by_step(name):
    steps = (0.0, 0.3, 0.6, 1.0)
    n_views = 6
    growing = np.zeros(len(steps))
    for view in range(n_views):
        tidy, *worse = [paint(name, disrepair=step, view_seed=view, size_px=192) for step in steps]
        growing += [0.0, *(difference(tidy, picture) for picture in worse)]
    assert (np.diff(growing / n_views) > 0.2).all(), growing


def test_disrepair_never_moves_the_scene():
    for name in OUTDOORS:
        changed = np.abs(pixels(paint(name, disrepair=0.5)) - pixels(paint(name, disrepair=0.51))).max(axis=2)
        assert (changed > 0).mean() < 0.2, f"{name}: a small change of disrepair repaints a small part"


def test_an_interior_shows_no_disrepair():
    assert paint("interior", disrepair=0.0).tobytes() == paint("interior", disrepair=1.0).tobytes()


def test_seasons_differ_and_snow_falls_only_in_winter():
    assert difference(paint("park", month=6), paint("park", month=12)) > 1.0
    weathers = {month: {settle_place(seed, month).weather for seed in range(300)} for month in range(1, 13)}
    assert {month for month, seen in weathers.items() if "snow" in seen} == {12, 1, 2}


def test_no_class_owns_a_colour():
    """Average colours overlap: the spread inside a class is wider than the spread between classes."""
    means = {
        name: np.stack(
            [pixels(paint(name, place_seed=seed, view_seed=seed)).mean(axis=(0, 1)) for seed in range(40)]
        )
        for name in SCENE_CLASSES
    }
    between = np.stack([colours.mean(axis=0) for colours in means.values()]).std(axis=0)
    within = np.mean([colours.std(axis=0) for colours in means.values()], axis=0)
    assert (between < 0.75 * within).all(), (between, within)


def test_a_jpeg_decodes_to_nearly_the_same_picture():
    picture = paint("shops", size_px=192)
    content = encode_jpeg(picture)
    decoded = Image.open(io.BytesIO(content))
    assert decoded.size == (192, 192)
    assert len(content) < 40_000
    assert difference(decoded, picture) < 8.0


def test_captions_say_only_what_is_true():
    said = [caption_scene("park", disrepair=0.9, place_seed=3, month=10, seed=seed) for seed in range(80)]
    assert {caption.wear_level for caption in said} == {None, "high"}
    assert {caption.season for caption in said} == {None, "autumn"}
    assert {caption.weather for caption in said} == {None, settle_place(3, 10).weather}
    assert len({caption.text for caption in said}) > 40


def test_training_benchmark_and_world_seeds_never_meet():
    ranges = sorted((WORLD_SEEDS, BENCHMARK_SEEDS, TRAINING_SEEDS), key=lambda seeds: seeds.start)
    assert all(lower.stop <= upper.start for lower, upper in itertools.pairwise(ranges))


@pytest.mark.parametrize(
    "wrong", [{"name": "castle"}, {"name": "park", "disrepair": 1.5}, {"name": "park", "month": 13}]
)
def test_impossible_scenes_are_refused(wrong):
    with pytest.raises(ValueError, match=r"castle|1\.5|13"):
        paint(**wrong)


def test_painting_needs_no_torch():
    code = "import sys, streetimd_assets.synthetic.scenes; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
