"""Pictures are prepared as open_clip prepares them, to one grey level; broken ones are refused in a sentence."""

import numpy as np
import pytest
from PIL import Image

from streetimd_assets.encoders import preprocessing
from streetimd_assets.encoders.preprocessing import choose_preparation, open_picture, read_pixels
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.errors import EncoderError
from streetimd_assets.synthetic.scenes import paint_scene
from streetimd_tests.real_data import real_data_folder

SIZES = [
    *((640, 640), (224, 224), (1024, 768), (768, 1025), (333, 217), (2048, 1536)),
    # a panorama; one in several pieces of memory; smaller than what the model sees; one pixel off
    *((4096, 2048), (6000, 1000), (96, 80), (40, 300), (225, 224), (224, 223)),
]


def settings_of(**options):
    return import_open_clip().transform.PreprocessCfg(**options)


def preparation_of(settings):
    return choose_preparation(settings, import_open_clip().transform.image_transform_v2(settings, is_train=False))


def grey_levels(tensor, settings):
    std, mean = (tensor.new_tensor(part)[:, None, None] for part in (settings.std, settings.mean))
    return (tensor * std + mean) * 255


def picture_of(size):
    grain = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    scene = paint_scene("shops", disrepair=0.5, place_seed=1, view_seed=1).resize(size)
    return Image.blend(scene, Image.fromarray(grain), 0.4)


def assert_one_grey_level(picture, settings, resize_of=None):
    """All but one value in 50,000 differ by a grey level at most, and none by more than two."""
    import torch

    preparation = preparation_of(settings)
    assert preparation.transform is None
    prepared = preparation.prepare(picture) if resize_of is None else resize_of(preparation)
    ours = preparation.centre(prepared[None], torch.float32)[0]
    theirs = import_open_clip().transform.image_transform_v2(settings, is_train=False)(picture)
    assert ours.shape == theirs.shape
    levels = (grey_levels(ours, settings) - grey_levels(theirs, settings)).abs().round()
    assert levels.max() <= 2
    assert (levels > 1).double().mean() < 1 / 50_000


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_prepared_picture_is_within_one_grey_level_of_open_clips(size):
    assert_one_grey_level(picture_of(size), settings_of())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_so_is_one_resized_in_32_bits_as_on_a_gpu(size):
    picture = picture_of(size)

    def resized(preparation):
        # what is of its size already is only cut
        tall, wide = (int(224 * side / min(size)) for side in reversed(size))
        return preparation.resize(preprocessing._in_two_goes(read_pixels(picture), tall, wide))[0]

    assert_one_grey_level(picture, settings_of(), resized)


def test_the_models_own_size_and_colours_are_used():
    assert_one_grey_level(picture_of((300, 200)), settings_of(size=96, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)))


@pytest.mark.parametrize("folder", ["london_mapillary", "exif_geotagged", "uk_traffic_cameras_ogl"])
def test_real_photographs_are_within_one_grey_level(folder):
    paths = sorted(
        path
        for path in (real_data_folder() / "images" / folder).rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
    )[:12]
    assert paths
    for path in paths:
        assert_one_grey_level(open_picture(path), settings_of())


@pytest.mark.parametrize(
    "options",
    [{"resize_mode": "squash"}, {"resize_mode": "longest"}, {"interpolation": "bilinear"}, {"size": (96, 64)}],
)
def test_what_is_not_reproduced_is_left_to_open_clips_own_transform(options):
    import torch

    settings, picture = settings_of(**options), picture_of((300, 200))
    preparation = preparation_of(settings)
    theirs = import_open_clip().transform.image_transform_v2(settings, is_train=False)(picture)
    assert torch.equal(preparation.centre(preparation.prepare(picture)[None], torch.float32)[0], theirs)


def test_a_telephone_held_upright_is_turned(tmp_path):
    picture = picture_of((300, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "upright.jpg", exif=exif, quality=95)
    turned = open_picture(tmp_path / "upright.jpg")
    assert (turned.size, turned.mode) == ((200, 300), "RGB")
    with Image.open(tmp_path / "upright.jpg") as plain:
        np.testing.assert_array_equal(np.asarray(turned), np.rot90(np.asarray(plain), -1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_a_file_in_any_mode_is_read_as_rgb(tmp_path, mode):
    file = tmp_path / ("any.jpg" if mode == "CMYK" else "any.png")
    picture_of((50, 40)).convert(mode).save(file)
    with Image.open(file) as picture:
        expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(open_picture(file)), expected)
    np.testing.assert_array_equal(read_pixels(open_picture(file))[0, :3].permute(1, 2, 0).numpy(), expected)


def test_a_damaged_file_is_refused_and_named(tmp_path):
    picture_of((300, 200)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    for name, content in {"half.jpg": whole[: len(whole) // 2], "page.jpg": b"<html>", "empty.jpg": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EncoderError, match=name):
            open_picture(tmp_path / name)


def test_a_picture_meant_to_exhaust_memory_is_refused(tmp_path, monkeypatch):
    picture_of((300, 200)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(EncoderError, match=r"large\.png"):
        open_picture(tmp_path / "large.png")


def test_a_file_that_is_not_there_is_no_broken_picture(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_picture(tmp_path / "gone.jpg")
