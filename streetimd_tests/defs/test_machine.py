"""The doctor finds what is wrong with a machine, and nothing wrong where all is well."""

import importlib.metadata
import math
import sys
from types import SimpleNamespace

import pytest

from streetimd_assets.defs import machine
from streetimd_assets.study import load_study


@pytest.fixture(scope="module")
def demo():
    return load_study("demo")


@pytest.fixture(scope="module")
def england():
    return load_study("england")


def versions_but(**others):
    def installed(name):
        version = others.get(name, importlib.metadata.version(name))
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    return installed


def states(findings):
    return {finding.what: finding.state for finding in findings}


def test_the_versions_that_run_these_tests_are_as_required():
    assert states(machine.examine_python()) == {"Python": "ok"}
    assert states(machine.examine_libraries())["libraries"] == "ok"


@pytest.mark.parametrize(("version", "said"), [("1.4.5", "duckdb is 1.4.5"), (None, "duckdb is not installed")])
def test_a_library_of_another_version_or_none_is_named_with_what_is_needed(version, said):
    (finding,) = machine.examine_libraries(versions_but(duckdb=version))
    assert (finding.what, finding.state) == ("duckdb", "problem")
    assert finding.said.startswith(said)
    assert ">=2.0" in finding.said
    assert "constraints.txt" in finding.remedy


def test_a_torchvision_made_for_another_torch_is_a_warning():
    found = list(machine.examine_libraries(versions_but(torch="2.13.0+cpu", torchvision="0.29.2")))
    assert states(found) == {"libraries": "ok", "torchvision": "warning"}
    assert "which is 0.28" in found[-1].said
    matching = machine.examine_libraries(versions_but(torch="2.13.0+cpu", torchvision="0.28.0"))
    assert states(matching) == {"libraries": "ok"}


def test_data_are_written_nowhere_and_a_study_that_fits_is_ok(tmp_path):
    found = list(machine.examine_disk(tmp_path / "not" / "made" / "yet", 1_000))
    assert states(found) == {"data root": "ok", "disk": "ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_says_what_is_free_and_what_is_needed(tmp_path):
    *_, finding = machine.examine_disk(tmp_path, 10**21)
    assert (finding.what, finding.state) == ("disk", "warning")
    assert "1,000,000,000,000.0 GB" in finding.said
    assert "STREETIMD_DATA" in finding.remedy


def test_a_data_root_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    # the tests may run as a user for whom no folder is closed
    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    (finding,) = machine.examine_disk(tmp_path, 1)
    assert (finding.what, finding.state) == ("data root", "problem")
    assert f"{tmp_path} (Permission denied)" in finding.said


@pytest.mark.parametrize(
    ("soft", "hard", "state", "remedy"),
    [
        (4_096, 4_096, "ok", ""),
        (math.inf, math.inf, "ok", ""),
        (1_024, 1_048_576, "warning", "ulimit -n 1576"),
        (1_024, 1_024, "warning", "ask for more than 1,024"),
        (64, 64, "problem", "ask for more than 64"),
    ],
)
def test_the_limit_of_open_files_is_held_against_296_local_authorities(england, soft, hard, state, remedy):
    finding = machine.judge_open_files(soft, hard, england)
    assert finding.state == state
    assert finding.remedy.startswith(remedy)
    assert "296 local authorities" in finding.said


def test_1024_open_files_are_enough_for_the_demo(demo):
    assert machine.judge_open_files(1_024, 1_024, demo).state == "ok"


def test_the_bundled_encoder_is_at_hand_and_nothing_is_to_be_fetched(demo):
    found, address = machine.examine_encoder(demo)
    assert states(found) == {"device": "ok", "weights": "ok"}
    assert address is None
    assert "streetimd-demo.safetensors" in found[-1].said


def with_encoder(study, **changes):
    return study.model_copy(update={"encoder": study.encoder.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("choice", "what", "said"),
    [
        ({"device": "abacus"}, "device", "torch knows no device 'abacus'"),
        ({"weights": "nowhere.pt"}, "weights", "there is no checkpoint file nowhere.pt"),
        ({"model": "ViT-B-32", "weights": "no-such-tag"}, "weights", "ViT-B-32 has no weights 'no-such-tag'"),
    ],
)
def test_an_encoder_that_cannot_be_loaded_is_a_problem_said_in_its_own_words(demo, choice, what, said):
    found, address = machine.examine_encoder(with_encoder(demo, **choice))
    finding = next(finding for finding in found if finding.what == what)
    assert finding.state == "problem"
    assert finding.said.startswith(said)
    assert address is None


def test_weights_that_are_not_here_are_named_with_where_they_come_from(england, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, name: None)
    found, address = machine.examine_encoder(england)
    assert address == "https://huggingface.co/timm/vit_base_patch32_clip_224.openai"
    assert f"will be fetched from {address} at first use" in found[-1].said


def test_weights_that_were_fetched_before_are_found_where_they_lie(england, monkeypatch, tmp_path):
    import huggingface_hub

    held = tmp_path / "open_clip_model.safetensors"
    kept = {("timm/vit_base_patch32_clip_224.openai", held.name): str(held)}
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda repository, name: kept.get((repository, name))
    )
    found, address = machine.examine_encoder(england)
    assert address is None
    assert str(held) in found[-1].said


def test_every_tag_that_the_tables_can_hold_is_looked_for_on_the_hub():
    from streetimd_assets.encoders.torchvision_shim import import_open_clip
    from streetimd_assets.encoders.weights import read_config
    from streetimd_assets.errors import EncoderError

    n_tags = 0
    for model, tag in import_open_clip().list_pretrained():
        try:
            read_config(model)
        except EncoderError:
            continue
        assert import_open_clip().get_pretrained_cfg(model, tag)["hf_hub"].count("/") == 2
        n_tags += 1
    assert n_tags > 10


def test_a_system_without_limits_is_not_checked(demo, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert states(machine.examine_open_files(demo)) == {"open files": "not checked"}


def test_no_limit_at_all_is_enough(england, monkeypatch):
    limits = SimpleNamespace(RLIMIT_NOFILE=7, RLIM_INFINITY=-1, getrlimit=lambda what: (-1, -1))
    monkeypatch.setitem(sys.modules, "resource", limits)
    (finding,) = machine.examine_open_files(england)
    assert finding.state == "ok"
    assert finding.said.startswith("any number of files may be open")
