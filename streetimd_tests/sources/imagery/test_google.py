"""Google Street View: what its replies mean, and a service that misbehaves in every way it is known to."""

import asyncio
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from streetimd_assets.errors import ImageryError, TermsError
from streetimd_assets.sources import web as web_module
from streetimd_assets.sources.imagery.base import ANSWER_COLUMNS, FetchFailed, Shot, heading_label
from streetimd_assets.sources.imagery.checking import check_image
from streetimd_assets.sources.imagery.providers import find_provider, google, open_source
from streetimd_assets.sources.web import Answer, NoAnswer, Web
from streetimd_assets.study.imagery import Imagery
from streetimd_tests.standins.google import serve_google

REPLIES = Path(__file__).parent / "replies" / "google"
POINT = {"point_id": "5290000_1840000", "longitude_deg": -0.1425, "latitude_deg": 51.5391}
KEY = "AIza-planted-key"
SECRET = "cGxhbnRlZCBzZWNyZXQ_-A=="
PASSING = "429,500,503,cut_off,drop,html,json"
SHARES = ("fault", "zero_results", "not_found", "displaced", "far", "shared", "unofficial", "year_only", "undated")
PLAIN = {"secret": "", "always": "", "always_after": 0, "kinds": PASSING, "hang_s": 30.0}
PLAIN |= {f"{name}_share": 0.0 for name in SHARES}


def choose(**more):
    return Imagery(source="google", accept_terms=True, **more)


def parse(name, **more):
    return google.parse_metadata((REPLIES / name).read_bytes(), POINT, choose(**more))


@pytest.fixture(scope="module")
def running():
    with serve_google(key=KEY) as service:
        yield service


@pytest.fixture
def service(running, monkeypatch):
    """The service without faults; a test changes it to its wish."""
    monkeypatch.setattr(web_module, "BASE_WAIT_S", 0.001)
    running.change(**PLAIN)
    return running


@pytest.fixture
def panorama(service):
    """A panorama that is there."""
    return find(service, points_apart(1)).to_dict("records")[0]


def points_apart(n_points):
    """Points about 40 m apart, so that each has a panorama of its own."""
    rows = [(f"{n:05d}", -0.15 + 0.0006 * (n % 100), 51.5 + 0.0004 * (n // 100)) for n in range(n_points)]
    return pd.DataFrame(rows, columns=["point_id", "longitude_deg", "latitude_deg"])


def ask(service, do, *, key=KEY, secret=None, n_tries=4, read_timeout_s=20, **more):
    """Do something with a source and a client of the service."""

    async def run():
        source = google.GoogleStreetView(choose(address=service.address, **more), key, secret)
        async with Web(n_tries=n_tries, read_timeout_s=read_timeout_s) as web:
            return await do(source, web)

    return asyncio.run(run())


def find(service, points, progress=None, **more):
    return ask(service, lambda source, web: source.find_panoramas(points, web, progress), **more)


def fetch(service, panorama, heading_deg=90.0, **more):
    shot = Shot(panorama, (heading_deg,))
    return ask(service, lambda source, web: source.fetch(shot, web), **more)[heading_deg]


def test_a_good_reply_becomes_a_panorama_with_its_own_position():
    row = parse("ok.json")
    assert set(row) == set(ANSWER_COLUMNS)
    assert row == {
        "point_id": "5290000_1840000",
        "panorama_id": "Zr3kVwq0bY7mO-2n_XhT9A",
        "status": "ok",
        "status_detail": None,
        "longitude_deg": -0.14253108,
        "latitude_deg": 51.53912487,
        "captured_on": date(2022, 7, 1),
        "is_360": True,
        "camera_heading_deg": None,
        "source": "google",
        "licence": "Google Maps Platform Terms of Service",
        "credit": "© Google",
        "viewer_url": "https://www.google.com/maps/@?api=1&map_action=pano&pano=Zr3kVwq0bY7mO-2n_XhT9A",
    }


@pytest.mark.parametrize(
    ("reply", "status", "detail"),
    [
        ("ok_year_only.json", "ok", None),
        ("ok_without_date.json", "ok", None),
        # where it stands is for the boundaries to judge
        ("ok_on_another_continent.json", "ok", None),
        ("ok_by_a_visitor.json", "not_official", "by © A. Visitor"),
        ("ok_without_position.json", "failed", "metadata lack the panorama's name or position"),
        ("zero_results.json", "no_imagery", "ZERO_RESULTS"),
        ("not_found.json", "no_imagery", "NOT_FOUND"),
        ("unknown_error.json", "failed", "status 'UNKNOWN_ERROR'"),
        ("page.html", "failed", "answered with no metadata"),
    ],
)
def test_every_oddity_of_a_reply_has_a_status(reply, status, detail):
    row = parse(reply)
    assert (row["status"], row["status_detail"]) == (status, detail)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ("request_denied.json", "refuses the key in GOOGLE_MAPS_API_KEY: the key is not valid; check the key"),
        ("request_denied_without_billing.json", "billing is not enabled for the key's project"),
        ("invalid_request.json", "does not understand the request"),
        ("over_query_limit.json", "the quota is used up"),
    ],
)
def test_a_refusal_stops_the_run_with_one_sentence(reply, sentence):
    with pytest.raises(ImageryError, match=sentence) as told:
        parse(reply)
    assert "\n" not in str(told.value)


def test_a_date_without_a_day_is_its_first_day_and_none_is_unknown():
    taken = [parse(f"{name}.json")["captured_on"] for name in ("ok", "ok_year_only", "ok_without_date")]
    assert taken == [date(2022, 7, 1), date(2014, 1, 1), None]


def test_what_users_uploaded_is_used_if_the_study_wants_it():
    assert parse("ok_by_a_visitor.json", official_only=False)["status"] == "ok"


@pytest.mark.parametrize(
    ("reply", "wish", "status"),
    [
        ("ok.json", {"captured_from": date(2022, 7, 1)}, "ok"),
        ("ok.json", {"captured_from": date(2022, 7, 2)}, "outside_dates"),
        ("ok.json", {"captured_to": date(2022, 7, 31)}, "ok"),
        ("ok.json", {"captured_to": date(2022, 7, 30)}, "outside_dates"),
        ("ok.json", {"months": (6, 7, 8)}, "ok"),
        ("ok.json", {"months": (1, 2)}, "outside_dates"),
        ("ok_year_only.json", {"months": (6, 7, 8)}, "outside_dates"),
        ("ok_year_only.json", {"months": tuple(range(1, 13))}, "ok"),
        ("ok_year_only.json", {"captured_from": date(2014, 1, 1), "captured_to": date(2014, 12, 31)}, "ok"),
        ("ok_year_only.json", {"captured_from": date(2014, 6, 1)}, "outside_dates"),
        ("ok_without_date.json", {"captured_from": date(2000, 1, 1)}, "outside_dates"),
        ("ok_without_date.json", {"months": (7,)}, "outside_dates"),
    ],
)
def test_a_date_must_prove_that_a_panorama_is_one_of_those_chosen(reply, wish, status):
    assert parse(reply, **wish)["status"] == status


def test_metadata_are_asked_by_place_and_images_by_panorama():
    source = google.GoogleStreetView(choose(max_distance_m=0.4, pitch_deg=-5, field_of_view_deg=80), KEY)
    assert source.metadata_params(POINT) == {
        "location": "51.5391000,-0.1425000",
        "radius": "1",
        "source": "outdoor",
    }
    assert source.image_params("a b", 359.999) == {
        "pano": "a b",
        "size": "640x640",
        "heading": "360",
        "fov": "80",
        "pitch": "-5",
        "return_error_code": "true",
    }
    indoors_too = google.GoogleStreetView(choose(outdoor_only=False, max_distance_m=49.2), KEY)
    assert indoors_too.metadata_params(POINT)["source"] == "default"
    assert indoors_too.metadata_params(POINT)["radius"] == "50"


def test_each_heading_is_one_billed_request_turned_with_the_road():
    source = google.GoogleStreetView(choose(headings_deg=(0, 90), headings_from="road"), KEY)
    shots = source.shots_of({"panorama_id": "p", "road_bearing_deg": 30.0})
    assert [shot.headings_deg for shot in shots] == [(30,), (120,)]


def test_a_signature_is_the_one_that_googles_documentation_works_out():
    signed = "/maps/api/geocode/json?address=New+York&client=clientID"
    assert google.sign(signed, "vNIXE0xscrmjlyV-12Nj_BvUPaw=") == "chaRF2hTJKOScPr-RQCEhZbSzIE="


def test_a_secret_that_is_none_is_refused_without_repeating_it():
    with pytest.raises(TermsError, match="GOOGLE_MAPS_SIGNING_SECRET is no signing secret") as told:
        google.GoogleStreetView(choose(), KEY, "not a secret!")
    assert "not a secret" not in str(told.value)


def test_the_viewer_opens_the_panorama_in_its_direction():
    assert google.viewer_url("a/b", 90) == (
        "https://www.google.com/maps/@?api=1&map_action=pano&pano=a%2Fb&heading=90"
    )


def test_the_provider_is_opt_in_paid_and_keeps_no_pixels():
    provider = find_provider("google")
    assert provider.terms.needs_acceptance
    assert not provider.terms.may_store_pixels
    assert provider.prices is not None
    assert open_source(choose(), {google.KEY: KEY}).name == "google"
    with pytest.raises(TermsError, match="accept_terms = true"):
        open_source(Imagery(source="google"), {google.KEY: KEY})


def test_points_are_answered_in_their_order_and_progress_ends_at_their_number(service):
    told = []
    points = points_apart(450)
    answers = find(service, points, lambda *counts: told.append(counts))
    assert answers["point_id"].tolist() == points["point_id"].tolist()
    assert list(answers.columns) == list(ANSWER_COLUMNS)
    assert (answers["status"] == "ok").all()
    assert answers["panorama_id"].is_unique
    assert (answers["latitude_deg"] - points["latitude_deg"]).abs().max() < 0.0002
    assert told == [(200, 450), (400, 450), (450, 450)]


def test_no_points_give_no_panoramas(service):
    answers = find(service, points_apart(0))
    assert answers.empty
    assert list(answers.columns) == list(ANSWER_COLUMNS)


def test_faults_that_pass_leave_no_trace_in_the_panoramas(service):
    points = points_apart(600)
    before = find(service, points)
    n_asked = service.counts()["n_metadata"]
    service.change(fault_share=0.1, kinds=f"{PASSING},OVER_QUERY_LIMIT,UNKNOWN_ERROR")
    pd.testing.assert_frame_equal(find(service, points, n_tries=8), before)
    assert service.counts()["n_metadata"] > n_asked + 620


def test_places_without_imagery_and_by_visitors_are_rows(service):
    service.change(zero_results_share=0.2, not_found_share=0.2, unofficial_share=0.2, undated_share=0.5)
    counts = find(service, points_apart(500))["status"].value_counts()
    assert set(counts.index) == {"ok", "no_imagery", "not_official"}
    assert counts["no_imagery"] == pytest.approx(500 * 0.36, rel=0.2)


def test_an_unknown_error_that_stays_is_a_row_and_the_others_go_on(service):
    service.change(fault_share=0.6, kinds="UNKNOWN_ERROR")
    answers = find(service, points_apart(60), n_tries=2)
    failed = answers[answers["status"] == "failed"]
    assert 5 < len(failed) < 55
    assert set(failed["status_detail"]) == {"UNKNOWN_ERROR"}


def test_a_quota_that_is_used_up_stops_the_run_soon(service):
    n_before = service.counts()["n_metadata"]
    service.change(always="OVER_QUERY_LIMIT", always_after=n_before + 100)
    with pytest.raises(ImageryError, match="the quota is used up"):
        find(service, points_apart(1000), n_tries=2)
    assert service.counts()["n_metadata"] - n_before < 400


def test_a_service_that_is_gone_stops_the_run_soon(service):
    service.change(always="drop")
    n_before = service.counts()["n_metadata"]
    with pytest.raises(ImageryError, match=r"did not answer \d+ questions in a row .*; check the network"):
        find(service, points_apart(1000), n_tries=1)
    assert service.counts()["n_metadata"] - n_before < 300


def test_a_service_that_is_silent_to_few_points_is_no_result_either(service):
    service.change(always="drop")
    with pytest.raises(ImageryError, match=r"did not answer 4 of 12 questions .*; check the network") as caught:
        find(service, points_apart(12), n_tries=1)
    assert caught.value.may_pass


@pytest.mark.parametrize("kind", ["REQUEST_DENIED", "INVALID_REQUEST", "403", "login"])
def test_what_refuses_metadata_stops_the_run_at_once(service, kind):
    service.change(always=kind)
    n_before = service.counts()["n_metadata"]
    with pytest.raises(ImageryError) as told:
        find(service, points_apart(1000))
    assert service.counts()["n_metadata"] - n_before < 100
    assert KEY not in str(told.value)


def test_a_picture_is_bought_for_each_heading(service, panorama):
    pictures = {heading: fetch(service, panorama, heading) for heading in (0.0, 90.0, 180.0, 270.0)}
    assert len(set(pictures.values())) == 4
    assert all(check_image(picture).status == "ok" for picture in pictures.values())
    billed = service.counts()["billed"]
    assert all(billed[f"{panorama['panorama_id']}@{heading_label(heading)}"] == 1 for heading in pictures)


@pytest.mark.parametrize("kind", PASSING.split(","))
def test_a_picture_is_had_after_faults_of_every_kind(service, panorama, kind):
    n_before = service.counts()["kinds"].get(kind, 0)
    service.change(fault_share=0.3, kinds=kind)
    for heading in range(0, 360, 30):
        assert check_image(fetch(service, panorama, float(heading), n_tries=12)).status == "ok"
    assert service.counts()["kinds"][kind] > n_before


@pytest.mark.parametrize("kind", ["html", "json", "cut_off", "500", "404"])
def test_a_picture_that_cannot_be_had_is_that_pictures_failure(service, panorama, kind):
    service.change(always=kind)
    with pytest.raises((FetchFailed, NoAnswer)) as told:
        fetch(service, panorama, n_tries=2)
    assert KEY not in str(told.value)


def test_a_service_that_is_silent_is_given_up(service, panorama):
    service.change(always="hang", hang_s=5.0)
    with pytest.raises(NoAnswer, match="did not answer after 2 tries") as told:
        fetch(service, panorama, n_tries=2, read_timeout_s=0.2)
    assert KEY not in str(told.value)


def test_a_panorama_that_is_gone_is_not_replaced_by_a_grey_card(service):
    with pytest.raises(FetchFailed, match="no longer has this panorama"):
        fetch(service, {"panorama_id": "AAdKNP___b4ZoAfkUefxCQ"})


def test_a_grey_card_is_a_picture_that_the_check_finds_out(service, panorama):
    service.change(always="blank")
    assert check_image(fetch(service, panorama)).status == "invalid_image"


def test_a_wrong_key_is_refused_for_images_too_and_never_repeated(service, panorama):
    with pytest.raises(TermsError, match="GOOGLE_MAPS_API_KEY: the key is not valid") as told:
        fetch(service, panorama, key="AIza-wrong-key")
    assert "AIza" not in str(told.value)


def test_a_redirect_stops_the_run_and_does_not_carry_the_key_on(service, panorama):
    service.change(always="login")
    with pytest.raises(ImageryError, match="which its service never does") as told:
        fetch(service, panorama)
    assert KEY not in str(told.value)


def test_signed_requests_are_accepted_and_wrongly_signed_ones_are_not(service, panorama):
    service.change(secret=SECRET)
    assert check_image(fetch(service, panorama, secret=SECRET)).status == "ok"
    assert (find(service, points_apart(3), secret=SECRET)["status"] == "ok").all()
    with pytest.raises(TermsError, match="the signature is not valid"):
        fetch(service, panorama, secret="d3Jvbmcgc2VjcmV0")
    with pytest.raises(TermsError, match="the signature is not valid"):
        find(service, points_apart(3))


def test_a_page_with_status_200_is_no_picture():
    with pytest.raises(FetchFailed, match="text, not a picture"):
        google.judge_image(Answer(200, "OK", (REPLIES / "page.html").read_bytes(), "image/jpeg", None))
