"""Whatever a provider replies, it is read as rows that a table takes, or refused in one sentence."""

import math
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streetimd_assets.errors import ImageryError
from streetimd_assets.schemas import PANORAMA_STATUSES
from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS, FetchFailed
from streetimd_assets.sources.imagery.providers.google import judge_image, parse_metadata
from streetimd_assets.sources.imagery.providers.mapillary import parse_images
from streetimd_assets.sources.imagery.providers.panoramax import parse_items
from streetimd_assets.sources.web import Answer, NoAnswer
from streetimd_tests.fuzzing.spoiling import is_sentence, read_or_refused, spoilt_json
from streetimd_tests.sources.imagery.asking import choose

REPLIES = Path(__file__).parents[1] / "sources" / "imagery" / "replies"
POINT = {"point_id": "p1", "longitude_deg": -0.17, "latitude_deg": 51.5}
CHOICES = [
    choose("google", accept_terms=True),
    choose("google", accept_terms=True, official_only=False, captured_from="2015-03-01", months=[6, 7]),
]


def replies_of(provider):
    return spoilt_json([path.read_bytes() for path in sorted((REPLIES / provider).glob("*.json"))])


def is_text(value):
    return value is None or isinstance(value, str)


def require_place(longitude_deg, latitude_deg):
    assert isinstance(longitude_deg, float)
    assert isinstance(latitude_deg, float)
    assert -180 <= longitude_deg <= 180
    assert -90 <= latitude_deg <= 90


@given(replies_of("google"), st.sampled_from(CHOICES))
def test_google_metadata(body, choice):
    row, refusal = read_or_refused(lambda: parse_metadata(body, POINT, choice), ImageryError)
    if row is None:
        assert is_sentence(refusal)
        return
    assert set(row) == set(ANSWER_COLUMNS)
    assert row["point_id"] == "p1"
    assert row["status"] in PANORAMA_STATUSES
    for name in ("panorama_id", "status_detail", "credit", "viewer_url"):
        assert is_text(row[name]), name
    assert row["captured_on"] is None or type(row["captured_on"]) is date
    if row["status"] == "ok":
        assert row["panorama_id"]
        require_place(row["longitude_deg"], row["latitude_deg"])


@pytest.mark.parametrize(
    ("provider", "parse"),
    [("mapillary", parse_images), ("panoramax", lambda body: parse_items(body, "https://u:secret@api.x/api"))],
)
def test_a_search_for_pictures(provider, parse):
    @given(replies_of(provider))
    def read(body):
        found, refusal = read_or_refused(lambda: parse(body), NoAnswer)
        if found is None:
            assert is_sentence(refusal)
            return
        pictures, is_full = found
        assert isinstance(is_full, bool)
        for picture in pictures:
            assert picture.panorama_id
            assert isinstance(picture.panorama_id, str)
            require_place(picture.longitude_deg, picture.latitude_deg)
            assert picture.captured_on is None or type(picture.captured_on) is date
            heading = picture.camera_heading_deg
            assert heading is None or (math.isfinite(heading) and 0 <= heading < 360)
            assert all(map(is_text, (picture.licence, picture.credit, picture.viewer_url)))
            assert "secret" not in picture.viewer_url

    read()


@given(
    st.integers(100, 599), st.text(max_size=20), st.one_of(st.none(), st.text(max_size=30)), replies_of("google")
)
def test_whatever_comes_in_place_of_a_picture(status, reason, location, body):
    answer = Answer(status=status, reason=reason, body=body, content_type="image/jpeg", location=location)
    with pytest.raises((FetchFailed, ImageryError)):
        judge_image(answer)
