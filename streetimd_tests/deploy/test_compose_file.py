"""What the deployment's files promise, read from the files themselves."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from streetimd_tests.deploy.compose import (
    COMPOSE_FILE,
    DAGSTER_SERVICES,
    PYTHON_SERVICES,
    REPOSITORY,
    WORKERS,
    NotSetError,
    mounts,
    read_compose,
    read_environment_file,
    services_to_start,
)

DEPLOY = REPOSITORY / "deploy"
SCALE = {"COMPOSE_PROFILES": "scale", "POSTGRES_PASSWORD": "chosen", "REDIS_PASSWORD": "digits123"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose({"POSTGRES_PASSWORD": "chosen"})


@pytest.fixture(scope="module")
def scaled() -> dict[str, Any]:
    """The file as it is with the profile `scale`."""
    return read_compose(SCALE)


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def copied(dockerfile: list[tuple[str, str]]) -> set[str]:
    """What the image copies from the repository."""
    sources = [text.split()[:-1] for instruction, text in dockerfile if instruction == "COPY"]
    return {name for names in sources for name in names}


def validate(*paths: Path) -> subprocess.CompletedProcess[str]:
    """Validate by the specification's own schema, a copy of which comes with check-jsonschema."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *paths]
    return subprocess.run(command, capture_output=True, text=True)


def environment_of_image(dockerfile: list[tuple[str, str]]) -> dict[str, str]:
    pairs = " ".join(text for instruction, text in dockerfile if instruction == "ENV").split()
    return dict(pair.split("=", 1) for pair in pairs)


def test_every_port_is_published_on_this_machine_only(compose):
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:3000:3000", "127.0.0.1:3001:3001"]


def test_no_service_sees_the_docker_engine_or_has_more_rights_than_it_needs(compose):
    assert "docker.sock" not in json.dumps(compose)
    for name, service in compose["services"].items():
        assert not service.get("privileged"), name
        assert service.get("network_mode") != "host", name
    for name in (*PYTHON_SERVICES, "redis"):
        assert compose["services"][name]["cap_drop"] == ["ALL"], name
        assert compose["services"][name]["security_opt"] == ["no-new-privileges:true"], name


def test_a_missing_password_stops_with_a_sentence_that_says_what_to_do():
    example = read_environment_file(DEPLOY / "env.example")
    assert example == {"POSTGRES_PASSWORD": ""}
    with pytest.raises(NotSetError, match=r"copy deploy/env\.example to \.env and choose a password there"):
        read_compose(example)


def test_the_password_in_the_file_of_secrets_reaches_the_database_and_its_users(compose):
    held = [compose["services"][name]["environment"]["POSTGRES_PASSWORD"] for name in ("db", *DAGSTER_SERVICES)]
    assert held == ["chosen"] * 6
    assert ".env" in (REPOSITORY / ".gitignore").read_text().splitlines()
    assert "!.env" not in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_every_service_is_watched_restarted_and_given_time_to_stop(compose):
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"].endswith("s"), name


def test_nothing_starts_before_what_it_needs_answers(compose):
    waits = {name: compose["services"][name]["depends_on"] for name in DAGSTER_SERVICES}
    healthy, if_started = {"condition": "service_healthy"}, {"condition": "service_healthy", "required": False}
    assert waits == {
        "code": {"db": healthy},
        "webserver": {"db": healthy, "code": healthy},
        "daemon": {"db": healthy, "code": healthy, "redis": if_started},
        "worker": {"db": healthy, "redis": healthy},
        "gpu-worker": {"db": healthy, "redis": healthy},
    }


def test_python_services_are_one_image_that_does_not_run_as_root(compose, dockerfile):
    assert {compose["services"][name]["image"] for name in PYTHON_SERVICES} == {"streetimd:local"}
    assert all("user" not in compose["services"][name] for name in PYTHON_SERVICES)
    last_user = [text for instruction, text in dockerfile if instruction == "USER"][-1]
    assert last_user == "streetimd"
    assert compose["services"]["redis"]["user"] == "redis"


def test_every_image_is_pinned_to_a_release(compose, dockerfile):
    bases = [text for instruction, text in dockerfile if instruction == "FROM"]
    for image in [*bases, *(compose["services"][name]["image"] for name in ("db", "redis"))]:
        assert re.search(r":\d+(\.\d+)+-", image), image
    assert int(re.search(r":(\d+)", compose["services"]["db"]["image"])[1]) >= 15


def test_a_service_may_open_a_file_for_each_local_authority_of_england_in_several_tables(compose):
    assert all(compose["services"][name]["ulimits"]["nofile"] >= 65536 for name in PYTHON_SERVICES)


def test_every_file_that_is_mounted_or_copied_into_the_image_is_there(compose, scaled, copied):
    mounted = {
        outside
        for service in (*compose["services"].values(), *scaled["services"].values())
        for outside in mounts(service).values()
        if outside.startswith(".")
    }
    assert mounted == {"./deploy/dagster.yaml", "./deploy/dagster-scale.yaml", "./deploy/workspace.yaml"}
    assert [name for name in copied | mounted if not (REPOSITORY / name).exists()] == []


def test_the_build_context_holds_exactly_what_the_image_copies(copied):
    allowed = {
        line.removeprefix("!")
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert allowed == {PurePosixPath(name).parts[0] for name in copied}


def test_every_volume_named_is_declared_and_used(compose):
    sources = {outside for service in compose["services"].values() for outside in mounts(service).values()}
    assert {name for name in sources if not name.startswith((".", "/"))} == set(compose["volumes"])


def test_data_and_logs_lie_on_the_volume_that_all_of_dagsters_services_share(compose, dockerfile):
    image = environment_of_image(dockerfile)
    for name in DAGSTER_SERVICES:
        service = compose["services"][name]
        (data,) = [inside for inside, outside in mounts(service).items() if outside == "data"]
        environment = image | service["environment"]
        for variable in ("STREETIMD_DATA", "DAGSTER_LOGS", "XDG_CACHE_HOME"):
            assert PurePosixPath(environment[variable]).is_relative_to(data), variable
        assert f"{environment['DAGSTER_HOME']}/dagster.yaml" in mounts(service)


def test_the_server_of_reports_may_only_read_the_data_and_is_told_no_secret(compose):
    reports = compose["services"]["reports"]
    assert reports["volumes"] == ["data:/data:ro"]
    assert reports["read_only"] is True
    assert reports["environment"] == {"STREETIMD_DATA": "/data", "STREETIMD_PAGES_URL": "http://127.0.0.1:3001"}


def test_links_to_reports_lead_to_where_the_server_of_reports_is_published(compose):
    (published,) = compose["services"]["reports"]["ports"]
    assert published.endswith(":3001")
    for name in DAGSTER_SERVICES:
        address = compose["services"][name]["environment"]["STREETIMD_PAGES_URL"]
        assert address == f"http://{published.removesuffix(':3001')}"


def test_the_server_of_reports_shows_the_study_that_the_others_run():
    compose = read_compose({"POSTGRES_PASSWORD": "chosen", "STREETIMD_STUDY": "england"})
    assert compose["services"]["reports"]["command"][:3] == ["streetimd", "pages", "england"]
    assert compose["services"]["code"]["environment"]["STREETIMD_STUDY"] == "england"


def test_every_command_is_one_that_the_package_installs_and_every_module_is_there(compose):
    installed = {script.name for script in entry_points(group="console_scripts")}
    for name in PYTHON_SERVICES:
        service = compose["services"][name]
        assert service["command"][0] in installed, name
        assert service["healthcheck"]["test"][1] in installed | {"python", "sh"}, name
    command = compose["services"]["code"]["command"]
    assert importlib.util.find_spec(command[command.index("-m") + 1])


def test_the_workspace_looks_for_the_code_server_where_it_listens(compose):
    (location,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    command = compose["services"]["code"]["command"]
    assert location["grpc_server"]["host"] == "code"
    assert str(location["grpc_server"]["port"]) == command[command.index("-p") + 1]


def test_every_variable_that_dagster_reads_is_set(compose):
    wanted = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster-scale.yaml").read_text()))
    assert len(wanted) == 7
    for name in DAGSTER_SERVICES:
        assert wanted <= set(compose["services"][name]["environment"]), name


def test_runs_are_queued_by_the_same_rules_as_on_one_machine():
    deployed = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    local = yaml.safe_load((REPOSITORY / "streetimd_assets" / "defs" / "dagster.yaml").read_text())
    assert {key: deployed[key] for key in local} == local


def test_the_image_installs_pytorch_for_cpus_unless_told_otherwise(compose, dockerfile):
    address = "https://download.pytorch.org/whl/cpu"
    assert ("ARG", f"TORCH_INDEX={address}") in dockerfile
    assert compose["services"]["code"]["build"]["args"]["TORCH_INDEX"] == address


def test_every_variable_offered_in_the_example_is_one_the_compose_file_reads():
    offered = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "env.example").read_text(), flags=re.MULTILINE))
    read = set(re.findall(r"\$\{(\w+)", COMPOSE_FILE.read_text()))
    # which files there are is read by Docker itself
    assert offered == read | {"COMPOSE_FILE"}


@pytest.mark.parametrize("variables", [{}, {"COMPOSE_PROFILES": "scale"}])
def test_files_are_valid_by_the_compose_specification(tmp_path, variables):
    filled = tmp_path / "filled.yml"
    filled.write_text(yaml.safe_dump(read_compose({"POSTGRES_PASSWORD": "chosen", **variables})))
    done = validate(filled, COMPOSE_FILE, DEPLOY / "gpu.yml")
    assert done.returncode == 0, done.stdout


def test_a_misspelt_key_is_not_valid(tmp_path, compose):
    misspelt = tmp_path / "misspelt.yml"
    misspelt.write_text(yaml.safe_dump(compose).replace("stop_grace_period", "stop_grace_time"))
    done = validate(misspelt)
    assert done.returncode == 1
    assert "stop_grace_time" in done.stdout


def test_without_the_profile_nothing_is_known_of_workers(compose):
    assert services_to_start(compose, {}) == ["db", "code", "webserver", "reports", "daemon"]
    assert mounts(compose["services"]["code"])["/opt/dagster/dagster.yaml"] == "./deploy/dagster.yaml"
    alone = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert alone["run_launcher"] == {"module": "streetimd_assets.defs.noticing", "class": "NoticingLauncher"}


def test_the_profile_starts_redis_and_workers_and_sends_runs_to_them(scaled):
    assert set(services_to_start(scaled, SCALE)) == set(scaled["services"])
    for name in DAGSTER_SERVICES:
        assert mounts(scaled["services"][name])["/opt/dagster/dagster.yaml"] == "./deploy/dagster-scale.yaml"
        assert scaled["services"][name]["environment"]["REDIS_URL"] == "redis://:digits123@redis:6379/0"


def test_the_two_ways_to_run_differ_only_in_where_runs_go():
    alone, scaled = (yaml.safe_load((DEPLOY / f"dagster{end}.yaml").read_text()) for end in ("", "-scale"))
    assert scaled.keys() == alone.keys()
    assert {key for key in alone if alone[key] != scaled[key]} == {
        "concurrency",
        "run_coordinator",
        "run_launcher",
        "run_monitoring",
    }
    assert alone["concurrency"]["pools"] == scaled["concurrency"]["pools"]
    limits = [settings["concurrency"]["runs"]["tag_concurrency_limits"] for settings in (alone, scaled)]
    assert limits[1][: len(limits[0])] == limits[0]


def test_no_more_runs_leave_dagsters_queue_than_the_workers_take(scaled):
    runs = yaml.safe_load((DEPLOY / "dagster-scale.yaml").read_text())["concurrency"]["runs"]
    taken = {}
    for name in WORKERS:
        command = scaled["services"][name]["command"]
        taken[command[command.index("-Q") + 1]] = int(command[command.index("--concurrency") + 1])
    limits = {
        each["value"]: each["limit"]
        for each in runs["tag_concurrency_limits"]
        if each["key"] == "dagster-celery/queue"
    }
    assert limits == taken
    assert runs["max_concurrent_runs"] == sum(taken.values())


def test_gpus_are_given_to_what_embeds_images():
    services = yaml.safe_load((DEPLOY / "gpu.yml").read_text())["services"]
    assert set(services) == {"code", "gpu-worker"}


@pytest.mark.parametrize("password", ["", "with space", "a/b", "p@ss"])
def test_redis_refuses_a_password_that_no_address_can_hold_in_one_sentence(password):
    redis = read_compose({"POSTGRES_PASSWORD": "chosen", "REDIS_PASSWORD": password})["services"]["redis"]
    environment = {"PATH": os.environ["PATH"], **redis["environment"]}
    done = subprocess.run(redis["command"], env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == "choose a REDIS_PASSWORD in .env, of letters and digits only\n"


def test_services_started_from_the_terminal_want_a_password_in_the_same_sentence_as_docker():
    command = [sys.executable, "-m", "streetimd_tests.deploy.local_services", DEPLOY / "env.example"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "copy deploy/env.example to .env and choose a password there\n"
