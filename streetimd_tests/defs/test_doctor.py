"""The doctor asks every address a study needs, names what is missing, and never names a key."""

import time

import pytest

from streetimd_assets.defs import doctor
from streetimd_assets.settings import Settings
from streetimd_assets.sources.imagery.providers import all_providers, find_provider
from streetimd_assets.study import load_study
from streetimd_tests.standins.server import Reply, StandIn, busy
from streetimd_tests.standins.serving import serve_small_world

KEY = "AIzaPlantedKeyOfTheTests"


def study_of(source="google", **sections):
    """England's study with other values in some sections."""
    study = load_study("england")
    update = {name: getattr(study, name).model_copy(update=values) for name, values in sections.items()}
    imagery = update.get("imagery", study.imagery).model_copy(update={"source": source})
    return study.model_copy(update={**update, "imagery": imagery})


def examine_provider(study, environment):
    return list(doctor.examine_provider(find_provider(study.imagery.source), study, environment))


def states(findings):
    return [(finding.what, finding.state) for finding in findings]


def test_a_key_that_is_missing_is_named_with_its_meaning_and_the_remedy():
    first, *_ = examine_provider(study_of(), {})
    assert (first.what, first.state) == ("key", "problem")
    assert first.said.startswith("GOOGLE_MAPS_API_KEY is not set: ")
    assert ".env" in first.remedy


def test_terms_and_budget_are_problems_until_the_study_settles_them():
    found = examine_provider(study_of(), {"GOOGLE_MAPS_API_KEY": KEY})
    assert ("terms", "problem") in states(found)
    assert ("budget", "problem") in states(found)
    settled = study_of(imagery={"accept_terms": True}, budget={"max_images_per_month": 10})
    found = examine_provider(settled, {"GOOGLE_MAPS_API_KEY": KEY})
    assert {state for _, state in states(found)} == {"ok"}
    assert any("GOOGLE_MAPS_SIGNING_SECRET is not set, and may be left out" in finding.said for finding in found)


@pytest.mark.parametrize("name", sorted(set(all_providers())))
def test_no_finding_on_any_provider_holds_the_value_of_a_key(name):
    provider = find_provider(name)
    environment = dict.fromkeys([*provider.keys, *provider.optional_keys], KEY)
    found = examine_provider(study_of(name), environment)
    assert not any(finding.what == "key" and finding.state == "problem" for finding in found)
    assert KEY not in repr(found)


def test_every_address_of_a_study_is_asked_and_reached():
    with serve_small_world(faults=()) as servers, StandIn(lambda asked: Reply(status=403)) as provider:
        study = study_of(
            geography={
                "boundaries": f"{servers.lsoa_service}/FeatureServer/0",
                "lookup": f"{servers.lookup_service}/FeatureServer/0",
                "overpass_url": servers.overpass_url,
            },
            deprivation={"url": servers.deprivation_url},
            imagery={"address": provider.address},
        )
        addresses = doctor.addresses_of(study, find_provider("google"))
        found = doctor.examine_addresses(addresses)
        assert len(servers.requests) + len(provider.log) == len(found) == 5
        # one byte is asked for, not a file of many megabytes
        assert all(asked.headers["Range"] == "bytes=0-0" for asked in [*servers.requests, *provider.log])
    assert states(found) == [
        (what, "ok") for what in ("boundaries", "look-up", "roads", "deprivation index", "image source")
    ]
    assert "403 Forbidden" in found[-1].said


def test_a_study_that_names_no_address_asks_the_official_ones():
    hosts = {what: address.split("/")[2] for what, address in doctor.addresses_of(study_of("folder"), None).items()}
    assert hosts == {
        "boundaries": "services1.arcgis.com",
        "roads": "overpass-api.de",
        "deprivation index": "assets.publishing.service.gov.uk",
    }


def test_the_synthetic_world_asks_nobody():
    assert doctor.addresses_of(load_study("demo"), None) == {}
    assert doctor.examine_addresses({}) == []


def test_a_server_that_is_busy_is_there_and_one_that_is_not_there_is_a_problem():
    with StandIn(lambda asked: Reply(), faults=[busy(429)]) as server:
        (finding,) = doctor.examine_addresses({"roads": server.address})
        assert (finding.state, len(server.log)) == ("warning", 1)
        assert "429" in finding.said
        gone = server.address
    (finding,) = doctor.examine_addresses({"roads": gone})
    assert finding.state == "problem"
    assert "proxy" in finding.remedy


def test_a_deprivation_file_that_has_moved_is_a_problem():
    with StandIn(lambda asked: Reply(status=404)) as server:
        (finding,) = doctor.examine_addresses({"deprivation index": f"{server.address}/file.csv"})
    assert finding.state == "problem"
    assert "deprivation.url" in finding.remedy


def test_slow_servers_are_asked_at_the_same_time_and_not_waited_for_long(monkeypatch):
    monkeypatch.setattr(doctor, "LONGEST_ASKED_S", 0.5)

    def slow(asked):
        time.sleep(1.0)
        return Reply()

    with StandIn(slow) as server:
        started = time.monotonic()
        found = doctor.examine_addresses({str(number): server.address for number in range(6)})
        assert time.monotonic() - started < 1.0
    assert {finding.state for finding in found} == {"problem"}
    assert all("did not answer" in finding.said for finding in found)


def test_what_is_secret_in_an_address_stays_out_of_the_findings():
    with StandIn(lambda asked: Reply(status=403)) as server:
        address = server.address.replace("http://", f"http://user:{KEY}@")
        found = doctor.examine_addresses({"image source": f"{address}/metadata?key={KEY}"})
    found += doctor.examine_addresses({"image source": f"{address}/metadata?key={KEY}"})
    assert [finding.state for finding in found] == ["ok", "problem"]
    assert KEY not in repr(found)


def test_files_that_a_study_names_are_looked_for_and_not_asked_over_http(tmp_path):
    here = tmp_path / "roads.osm.pbf"
    here.touch()
    study = study_of(
        "folder",
        geography={"boundaries": str(tmp_path / "lsoas.gpkg"), "roads_file": str(here)},
        imagery={"folder": str(tmp_path)},
    )
    assert [(finding.state, finding.said.split()[0]) for finding in doctor.examine_local_files(study)] == [
        ("problem", "geography.boundaries"),
        ("ok", "geography.roads_file:"),
        ("ok", "imagery.folder:"),
    ]
    assert set(doctor.addresses_of(study, None)) == {"deprivation index"}


def test_the_estimate_follows_points_headings_and_whether_pictures_are_kept():
    study = study_of(sampling={"spacing_m": 50.0, "max_points_per_lsoa": 10})
    n_images = 33_755 * 10 * 4
    kept = doctor.estimate_bytes(study, retains_images=True)
    assert kept == n_images * (doctor.BYTES_PER_PICTURE + doctor.BYTES_PER_ROW)
    assert doctor.estimate_bytes(study, retains_images=False) == n_images * doctor.BYTES_PER_ROW
    halved = study_of(
        sampling={"spacing_m": 50.0, "max_points_per_lsoa": 10}, imagery={"headings_deg": (0.0, 180.0)}
    )
    assert doctor.estimate_bytes(halved, retains_images=True) == kept / 2


def test_a_folder_of_images_is_weighed_rather_than_estimated(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(bytes(1_000))
    study = study_of("folder", imagery={"folder": str(tmp_path)})
    assert doctor.estimate_bytes(study, retains_images=True) == 3 * (1_000 + doctor.BYTES_PER_ROW)


def test_the_demo_is_well_without_a_network_and_nothing_is_left_behind(tmp_path):
    found = doctor.examine(Settings("demo", tmp_path / "data"), load_study("demo"))
    assert not doctor.has_problems(found)
    assert {finding.what for finding in found} >= {"Python", "libraries", "image source", "disk", "weights"}
    assert list(tmp_path.iterdir()) == []


def test_an_image_source_that_nobody_knows_is_a_problem_among_the_others(tmp_path):
    study = load_study("demo")
    study = study.model_copy(update={"imagery": study.imagery.model_copy(update={"source": "periscope"})})
    found = doctor.examine(Settings("demo", tmp_path), study)
    assert doctor.has_problems(found)
    assert [finding.what for finding in found if finding.state == "problem"] == ["image source"]
    assert len(found) > 5
