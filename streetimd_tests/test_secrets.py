"""A planted key is searched for as raw bytes in everything a run leaves behind, also where the provider refuses."""

import asyncio
import os
import subprocess
import sys

import pytest

from streetimd_assets.sources import web
from streetimd_assets.sources.imagery.providers import open_source
from streetimd_assets.sources.web import Web
from streetimd_assets.study import load_study
from streetimd_assets.study.imagery import Imagery
from streetimd_tests.graph import collect, new_instance, store_of
from streetimd_tests.standins.google import serve_google
from streetimd_tests.standins.local_files import write_district

KEY = "AIzaPlantedKey0123456789"
# as Google gives it: base64 of 20 bytes
SECRET = "cGxhbnRlZC1zaWduaW5nLXNlY3I="
ASSETS = [
    "lsoa_boundaries",
    "road_segments",
    "deprivation_indices",
    "sample_points",
    "panoramas",
    "imagery_plan",
    "imagery_map",
    "street_images",
    "attribution_sheet",
]


@pytest.fixture(scope="module")
def google():
    with serve_google(key=KEY, secret=SECRET) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(web, "BASE_WAIT_S", 0.01)


@pytest.fixture
def study_file(google, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_MAPS_API_KEY", KEY)
    monkeypatch.setenv("GOOGLE_MAPS_SIGNING_SECRET", SECRET)
    district = write_district(tmp_path / "district")
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "west"\nlocal_authorities = ["Camden"]\ncategory_set = "demo"\n'
        f'{district}[sampling]\nspacing_m = 200\n[imagery]\nsource = "google"\naddress = "{google.address}"\n'
        "image_size_px = 96\naccept_terms = true\nretain_images = true\n[budget]\nmax_images_per_month = 100000\n"
        '[encoder]\nmodel = "streetimd-demo"\nweights = "bundled"\n',
        encoding="utf-8",
    )
    return path


def assert_nothing_leaked(folder, *said):
    """Search every file below a folder, every table's text, and what was printed."""
    secrets = [KEY.encode(), SECRET.encode(), b"signature="]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    for printed in said:
        assert not any(secret in printed for secret in secrets), printed.decode(errors="replace")[-2000:]


def assert_no_table_tells(study, folder):
    """Search the rows as well: the database compresses text."""
    store = store_of(study, folder)
    held = [name for name in ("panoramas", "street_images", "imagery_plan") if store.holds(name, "camden")]
    for name in held:
        text = store.read(name, "camden").to_csv()
        assert KEY not in text
        assert SECRET not in text
    return held


def test_a_run_that_succeeds_leaves_the_key_nowhere(google, study_file, tmp_path, capfdbinary):
    google.change(always="", fault_share=0.05)
    study = load_study(study_file)
    with new_instance(tmp_path / "data" / "dagster") as instance:
        assert collect(study, tmp_path / "data", "camden", instance, assets=ASSETS).success
    google.change(fault_share=0.0)
    out, err = capfdbinary.readouterr()
    assert len(assert_no_table_tells(study, tmp_path / "data")) == 3
    assert_nothing_leaked(tmp_path / "data", out, err)


REFUSALS = [
    *(("metadata", fault) for fault in ("403", "login", "html", "REQUEST_DENIED")),
    *(("images", fault) for fault in ("403", "login")),
]


@pytest.mark.parametrize(("at", "fault"), REFUSALS)
def test_a_run_that_is_refused_leaves_the_key_nowhere(google, study_file, tmp_path, capfdbinary, at, fault):
    study = load_study(study_file)
    data = tmp_path / "data"
    with new_instance(data / "dagster") as instance:
        if at == "images":
            google.change(always="")
            assert collect(study, data, "camden", instance, assets=ASSETS[:6]).success
        google.change(always=fault)
        try:
            collect(study, data, "camden", instance, assets=ASSETS if at == "metadata" else ASSETS[7:])
        finally:
            google.change(always="")
    out, err = capfdbinary.readouterr()
    assert_no_table_tells(study, data)
    assert_nothing_leaked(data, out, err)


def test_the_command_line_prints_no_key_where_it_is_refused(google, study_file, tmp_path):
    google.change(always="403")
    try:
        command = [sys.executable, "-m", "streetimd_assets.cli", "run", str(study_file)]
        done = subprocess.run(
            [*command, "--data", str(tmp_path / "data")],
            capture_output=True,
            env={**os.environ, "DAGSTER_HOME": ""},
            check=False,
        )
    finally:
        google.change(always="")
    assert done.returncode == 2, done.stderr.decode()
    assert b"GOOGLE_MAPS_API_KEY" in done.stderr, "the sentence names the variable, never its value"
    assert_nothing_leaked(tmp_path / "data", done.stdout, done.stderr)


@pytest.mark.parametrize("fault", ["hang", "drop", "cut_off", "503"])
def test_no_error_of_a_request_holds_the_key(google, fault):
    google.change(always=fault)
    choice = Imagery(source="google", address=google.address, accept_terms=True)
    source = open_source(choice, {"GOOGLE_MAPS_API_KEY": KEY, "GOOGLE_MAPS_SIGNING_SECRET": SECRET})
    panorama = {"panorama_id": "p", "is_360": True, "road_bearing_deg": None, "camera_heading_deg": None}

    async def fetch():
        async with Web(read_timeout_s=0.3, n_tries=2) as client:
            await source.fetch(source.shots_of(panorama)[0], client)

    try:
        with pytest.raises(Exception, match=r"\w") as raised:
            asyncio.run(fetch())
    finally:
        google.change(always="")
    error, told = raised.value, []
    while error is not None:
        told.append(f"{error!r} {error} {vars(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert not any(KEY in text or SECRET in text for text in told), told
    assert KEY not in repr(source)
