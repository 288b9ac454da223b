"""Whatever bytes come as a picture, it is said whether they are one, and if not, why."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from streetimd_assets.schemas import IMAGE_STATUSES
from streetimd_assets.sources.imagery.checking import check_image
from streetimd_tests.fuzzing.spoiling import broken_text, is_sentence


def encoded(kind, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    picture, file = Image.fromarray(pixels).convert(mode), io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


PICTURES = [
    encoded(kind, mode)
    for kind, mode in (
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("WEBP", "RGB"),
    )
]


@given(st.one_of(st.sampled_from(PICTURES).flatmap(broken_text), st.binary(max_size=200)))
def test_bytes_of_a_picture(data):
    found = check_image(data)
    assert found.status in IMAGE_STATUSES
    if found.status == "ok":
        assert (found.width_px, found.height_px) == Image.open(io.BytesIO(data)).size
    else:
        assert is_sentence(found.status_detail)
