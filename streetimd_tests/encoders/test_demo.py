"""The bundled encoder reads painted streets it has never seen, by their shapes."""

import tomllib
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from streetimd_assets.encoders.weights import DEMO_FOLDER
from streetimd_assets.synthetic.scenes import SCENE_CLASSES
from streetimd_tests.encoders.unseen_scenes import paint_unseen


@pytest.fixture(scope="module")
def embedded(demo, unseen):
    return demo.embed_images(unseen[0])


@pytest.fixture(scope="module")
def zero_shot_accuracy(demo, unseen, embedded):
    text = (files("streetimd_assets") / "study" / "category_sets" / "demo.toml").read_text(encoding="utf-8")
    prompts = {category["name"]: category["prompts"] for category in tomllib.loads(text)["category"]}
    means = np.stack([demo.embed_texts(prompts[name]).mean(axis=0) for name in SCENE_CLASSES])
    words = means / np.linalg.norm(means, axis=1, keepdims=True)
    return float(((embedded @ words.T).argmax(axis=1) == unseen[1]).mean())


def test_nine_in_ten_unseen_scenes_are_named_rightly(zero_shot_accuracy):
    assert zero_shot_accuracy >= 0.90


def test_colour_thumbnails_do_far_worse(zero_shot_accuracy, unseen):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def thumbnails(pictures):
        small = [np.asarray(picture.resize((8, 8), Image.Resampling.BOX)) for picture in pictures]
        return np.stack(small).reshape(len(pictures), -1) / 255.0

    pictures, classes, _ = paint_unseen(900, first=410_000_000)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=500))
    accuracy = model.fit(thumbnails(pictures), classes).score(thumbnails(unseen[0]), unseen[1])
    assert accuracy <= zero_shot_accuracy - 0.20


def test_disrepair_can_be_read_from_the_embeddings(demo, unseen, embedded):
    from sklearn.linear_model import RidgeCV

    pictures, classes, disrepair = paint_unseen(720, first=420_000_000)
    outdoors, test_outdoors = classes != 8, unseen[1] != 8
    fitted = RidgeCV(np.logspace(-4, 2, 13)).fit(demo.embed_images(pictures)[outdoors], disrepair[outdoors])
    assert fitted.score(embedded[test_outdoors], unseen[2][test_outdoors]) > 0.4


def test_words_of_wear_point_the_way_of_disrepair(demo, unseen, embedded):
    worn, tidy = demo.embed_texts(["run down, with litter and graffiti", "tidy and well kept"])
    outdoors = unseen[1] != 8
    along = (embedded @ (worn - tidy))[outdoors]
    assert np.corrcoef(along, unseen[2][outdoors])[0, 1] > 0.4


def test_embeddings_are_unit_vectors_in_32_bits(demo, embedded):
    assert embedded.dtype == np.float32
    assert embedded.shape == (360, 512)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1.0, atol=1e-5)
    texts = demo.embed_texts(["a park", "shops"])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1.0, atol=1e-5)


def test_a_picture_is_embedded_alike_alone_and_in_company(demo, unseen, embedded):
    for number in (0, 5, 33):
        alone = demo.embed_images([unseen[0][number]])[0]
        assert alone @ embedded[number] > 0.9999


def test_nothing_to_embed_gives_no_rows(demo):
    assert demo.embed_images([]).shape == (0, 512)
    assert demo.embed_texts([]).shape == (0, 512)


def test_greyscale_transparent_and_oblong_pictures_are_taken(demo):
    pictures = [Image.new("L", (300, 200)), Image.new("RGBA", (64, 64)), Image.new("P", (50, 400))]
    assert np.isfinite(demo.embed_images(pictures)).all()


def test_the_identity_names_model_weights_and_hash(demo):
    assert demo.identity == f"streetimd-demo/bundled@sha256:{demo.weights_sha256[:12]}"
    assert len(demo.weights_sha256) == 64
    assert demo.n_dimensions == 512
    assert 1.0 < demo.logit_scale <= 100.1


def test_the_bundle_is_small():
    assert sum(path.stat().st_size for path in DEMO_FOLDER.iterdir()) < 20_000_000
