"""The labelling page has every picture drawn, and nothing that tells what the model made of it."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from streetimd_assets.plots import labelling
from streetimd_tests.plots.made_up_tables import HEADING, SCRIPT, TITLES
from streetimd_tests.plots.reading_pages import ReadPage

MEANINGS = dict.fromkeys(TITLES, "what belongs there")


def picture(side=240, *, noisy=False, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    image = Image.fromarray(pixels) if noisy else Image.new("RGB", (side, side), (90, 120, 60))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def candidates(n_images=5):
    ids = [f"p{number:04d}@090" for number in range(n_images)]
    return pd.DataFrame(
        {
            "image_id": ids, "position": range(n_images, 0, -1), "design": "stratified",
            "stratum": "terrace: lower half", "n_in_stratum": 77123, "lsoa_code": "Z0000001", "heading_deg": 90.0,
            "category": "terrace", "probability": 0.7654321, "image_path": ids, "captured_on": None,
            "licence": "CC BY-SA 4.0", "credit": "A. Photographer", "viewer_url": None,
            "category_set_hash": "abc123", "encoder": "made-up",
        }
    )  # fmt: skip


def draw(table, read_image=lambda path: picture(), **changes):
    given = {
        "heading": HEADING, "study": "demo", "local_authority": "camden", "titles": TITLES, "meanings": MEANINGS
    }  # fmt: skip
    return labelling.labelling_page(table, read_image, **given | changes)


def data_of(page):
    read = ReadPage(page.html)
    (text,) = (text for attributes, text in read.scripts if attributes.get("id") == "labelling-data")
    return json.loads(text)


def test_every_image_is_on_the_page_in_the_order_for_raters_with_its_credit():
    page = draw(candidates())
    data = data_of(page)
    assert [image["id"] for image in data["images"]] == [f"p{number:04d}@090" for number in (4, 3, 2, 1, 0)]
    assert {image["about"] for image in data["images"]} == {"A. Photographer · CC BY-SA 4.0"}
    shown = Image.open(io.BytesIO(base64.b64decode(data["images"][0]["picture"])))
    assert shown.size == (240, 240)
    assert (page.n_images, page.n_pictures) == (5, 5)
    assert (data["study"], data["local_authority"], data["category_set_hash"]) == ("demo", "camden", "abc123")


def test_nothing_on_the_page_tells_what_the_model_predicted():
    page = draw(candidates()).html
    assert "0.765" not in page
    assert "77123" not in page
    assert "half" not in page
    # the category is named as one of the answers, for no image
    assert '"terrace"' not in json.dumps(data_of(draw(candidates()))["images"])
    other = candidates().assign(category="park", stratum="park: upper half", probability=0.1, design="random")
    assert draw(other).html == page


def test_every_category_and_unsure_has_a_button_and_a_key_that_is_shown():
    read = ReadPage(draw(candidates()).html)
    names = [attributes["data-name"] for attributes in read.attributes("button") if "data-name" in attributes]
    assert names == [*TITLES, "unsure"]
    assert [choice["key"] for choice in data_of(draw(candidates()))["choices"]] == ["1", "2", "3", "0"]


def test_twenty_categories_have_keys_of_their_own_and_none_is_taken_twice():
    titles = {f"kind_{number}": f"Kind {number}" for number in range(20)}
    keys = [choice["key"] for choice in data_of(draw(candidates(), titles=titles, meanings={}))["choices"]]
    assert keys[:10] == [*"123456789", "a"]
    assert len(set(keys)) == 21
    assert "o" not in keys


def test_a_picture_that_is_gone_leaves_a_gap_with_the_providers_page_if_there_is_one():
    table = candidates(3).assign(viewer_url=["https://viewer.example/?a=1&b=2", "javascript:alert(1)", None])
    page = draw(table, lambda path: None)
    images = data_of(page)["images"]
    assert page.n_pictures == 0
    assert [image["picture"] for image in images] == [None, None, None]
    assert [image["href"] for image in images] == [None, None, "https://viewer.example/?a=1&b=2"]


def test_markup_from_outside_is_text_everywhere():
    evil = f"</script>{SCRIPT}\u2028"
    table = candidates(2).assign(credit=evil, licence=evil, image_id=[f"{evil}1", f"{evil}2"])
    page = draw(table, heading=evil, titles=dict.fromkeys(TITLES, evil), meanings=dict.fromkeys(TITLES, evil))
    read = ReadPage(page.html)
    assert len(read.scripts) == 2
    assert all("alert(1)" not in code for code in read.code)
    assert data_of(page)["images"][0]["about"] == f"{evil} · {evil}"


def test_the_page_fetches_nothing_and_runs_its_own_script_alone():
    read = ReadPage(draw(candidates()).html)
    (policy,) = (attributes["content"] for attributes in read.attributes("meta") if "http-equiv" in attributes)
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 1
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    assert not any("src" in attributes for _, attributes in read.elements)


def test_1200_pictures_stay_below_20_mb_and_few_are_kept_at_their_best():
    # as hard for a picture as streets are: 1 over frequency, in grey with a tint
    pictures = [street(seed) for seed in range(3)]
    paths = [f"{number}" for number in range(1200)]
    side_px, quality = labelling.choose_setting(paths, lambda path: pictures[int(path) % 3])
    assert side_px >= 320
    page = draw(candidates(12), lambda path: pictures[int(path[1:5]) % 3])
    assert labelling.choose_setting(paths[:60], lambda path: pictures[int(path) % 3]) == labelling.SETTINGS[0]
    shown = Image.open(io.BytesIO(base64.b64decode(data_of(page)["images"][0]["picture"])))
    assert shown.format == "WEBP"
    assert shown.size == (400, 400)
    buffers = [io.BytesIO() for _ in pictures]
    for data, buffer in zip(pictures, buffers, strict=True):
        Image.open(io.BytesIO(data)).resize((side_px, side_px)).save(buffer, "WEBP", quality=quality, method=2)
    assert sum(buffer.tell() for buffer in buffers) / 3 * 1200 * 4 / 3 < 19_500_000


def street(seed):
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(480), np.fft.fftfreq(480)))
    frequency[0, 0] = 1
    noise = np.random.default_rng(seed).normal(size=(480, 480))
    light = np.real(np.fft.ifft2(np.fft.fft2(noise) / frequency**1.2))
    light = 120 + 50 * (light - light.mean()) / light.std()
    image = Image.fromarray(np.stack([light, 0.9 * light, 0.8 * light], axis=-1).clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def test_pictures_that_cannot_be_made_small_enough_are_as_small_as_a_street_can_be_told_in():
    hard = picture(200, noisy=True)
    assert labelling.choose_setting(["x"] * 3000, lambda path: hard) == labelling.SETTINGS[-1]
    assert labelling.choose_setting([], lambda path: hard) == labelling.SETTINGS[0]
    assert labelling.choose_setting([None] * 5, lambda path: hard) == labelling.SETTINGS[0]


def test_without_an_image_the_page_says_so():
    assert "There is no image to label here" in ReadPage(draw(candidates().iloc[:0]).html).words


@pytest.mark.parametrize("place", ["title", "h1"])
def test_the_heading_with_synthetic_images_stands_on_top(place):
    page = draw(candidates()).html
    assert "SYNTHETIC IMAGES" in page.partition(f"<{place}>")[2].partition(f"</{place}>")[0]
