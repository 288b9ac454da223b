"""Real CLIP architectures load through the same code, and what would embed wrongly is refused."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from streetimd_assets.encoders import load_encoder
from streetimd_assets.encoders.torchvision_shim import import_open_clip
from streetimd_assets.encoders.weights import DEMO_FOLDER
from streetimd_assets.errors import EncoderError
from streetimd_assets.synthetic.scenes import paint_scene


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The study's architecture with random weights, saved as a user's own checkpoint would be."""
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "own.pt"
    torch.save(import_open_clip().create_model("ViT-B-32").state_dict(), path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def own(checkpoint):
    return load_encoder("ViT-B-32", str(checkpoint), batch_size=2, precision="fp32")


def pictures(n_pictures):
    return [paint_scene("shops", disrepair=0.5, place_seed=s, view_seed=s) for s in range(n_pictures)]


def test_a_local_checkpoint_of_the_real_architecture_embeds_in_512_dimensions(own):
    embedded = own.embed_images(pictures(3))
    assert embedded.shape == (3, 512)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1.0, atol=1e-5)
    assert own.identity.startswith("ViT-B-32/own.pt@sha256:")


def test_embeddings_equal_those_of_open_clip_itself(own, checkpoint):
    import torch

    open_clip = import_open_clip()
    model, _, prepare = open_clip.create_model_and_transforms("ViT-B-32", pretrained=str(checkpoint))
    model.eval()
    oblong = pictures(1)[0].resize((260, 190))
    with torch.inference_mode():
        reference = model.encode_image(prepare(oblong)[None], normalize=True).numpy()[0]
        words = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(["a park"]), normalize=True).numpy()[0]
    assert reference @ own.embed_images([oblong])[0] > 0.99999
    assert words @ own.embed_texts(["a park"])[0] > 0.99999
    assert own.logit_scale == pytest.approx(model.logit_scale.exp().item())


def test_a_picture_is_embedded_alike_alone_and_in_company(own):
    some = pictures(3)
    assert (own.embed_images(some) * np.vstack([own.embed_images([one]) for one in some])).sum(1).min() > 0.9999


def test_half_precision_weights_embed_nearly_the_same(demo):
    half = load_encoder("streetimd-demo", "bundled", precision="bf16")
    some = pictures(4)
    assert (half.embed_images(some) * demo.embed_images(some)).sum(axis=1).min() > 0.99
    assert half.identity != demo.identity


def refusal(model, weights, **options):
    with pytest.raises(EncoderError) as caught:
        load_encoder(model, str(weights), **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_checkpoint_of_another_model_is_refused(checkpoint):
    assert "does not fit ViT-B-16" in refusal("ViT-B-16", checkpoint)
    assert "does not fit ViT-B-32" in refusal("ViT-B-32", DEMO_FOLDER / "streetimd-demo.safetensors")


@pytest.mark.parametrize("name", ["page.pt", "page.safetensors", "page.bin"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, name):
    (tmp_path / name).write_text("<html>Sign in to download</html>")
    assert "not a checkpoint" in refusal("streetimd-demo", tmp_path / name)


def test_a_missing_checkpoint_is_named(tmp_path):
    assert f"no checkpoint file {tmp_path / 'gone.pt'}" in refusal("ViT-B-32", tmp_path / "gone.pt")


def test_openai_weights_need_the_quickgelu_model():
    assert "use model 'ViT-B-32-quickgelu'" in refusal("ViT-B-32", "openai")


def test_a_tag_that_cannot_be_fetched_names_the_remedy():
    code = """
import os
os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=os.devnull + "/none", HTTPS_PROXY="http://127.0.0.1:9")
from streetimd_assets.encoders import load_encoder
from streetimd_assets.errors import EncoderError
try:
    load_encoder("ViT-B-32-quickgelu", "openai")
except EncoderError as error:
    print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'openai' of ViT-B-32-quickgelu could not be fetched" in answer.stdout
    assert "local checkpoint" in answer.stdout


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("ViT-B-16-SigLIP", "webli", "SigLIP"),
        ("ViT-L-14", "openai", "768 dimensions"),
        ("ViT-B-23", "openai", "did you mean"),
        ("ViT-B-32", "bundled", "only streetimd-demo"),
        ("ViT-B-32", "openia", "its tags are"),
        ("streetimd-demo", "openai", "it has none"),
    ],
)
def test_models_and_weights_that_cannot_serve_are_refused(model, weights, said):
    assert said in refusal(model, weights)


def test_unknown_devices_and_precisions_are_refused():
    assert "no device 'abacus'" in refusal("streetimd-demo", "bundled", device="abacus")
    assert "not 'int8'" in refusal("streetimd-demo", "bundled", precision="int8")


@pytest.fixture(scope="module")
def openai_style_archive(tmp_path_factory):
    """A small QuickGELU model saved as OpenAI published its own: as a TorchScript archive."""
    import torch

    folder = tmp_path_factory.mktemp("archive")
    config = json.loads((DEMO_FOLDER / "streetimd-demo.json").read_text()) | {"quick_gelu": True}
    (folder / "tiny-quickgelu.json").write_text(json.dumps(config))
    open_clip = import_open_clip()
    open_clip.add_model_config(str(folder))
    model = open_clip.create_model("tiny-quickgelu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(model).save(str(folder / "own.pt"))
    return folder / "own.pt"


def test_an_archive_as_openai_published_loads_as_a_quickgelu_model(openai_style_archive):
    encoder = load_encoder("tiny-quickgelu", str(openai_style_archive))
    np.testing.assert_allclose(np.linalg.norm(encoder.embed_texts(["a park"]), axis=1), 1.0, atol=1e-5)


def test_an_archive_as_openai_published_is_refused_by_any_other_model(openai_style_archive):
    assert "use model 'ViT-B-32-quickgelu'" in refusal("ViT-B-32", openai_style_archive)
    assert "does not fit ViT-B-32-quickgelu" in refusal("ViT-B-32-quickgelu", openai_style_archive)
