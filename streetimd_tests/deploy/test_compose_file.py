"""What the deployment's files promise, read from the files themselves."""

import importlib.util
import json
import re
from importlib.metadata import entry_points
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from streetimd_tests.deploy.compose import (
    COMPOSE_FILE,
    DAGSTER_SERVICES,
    PYTHON_SERVICES,
    REPOSITORY,
    NotSetError,
    mounts,
    read_compose,
    read_environment_file,
)

DEPLOY = REPOSITORY / "deploy"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose({"POSTGRES_PASSWORD": "chosen"})


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
    for name in PYTHON_SERVICES:
        assert compose["services"][name]["cap_drop"] == ["ALL"], name
        assert compose["services"][name]["security_opt"] == ["no-new-privileges:true"], name


def test_a_missing_password_stops_with_a_sentence_that_says_what_to_do():
    example = read_environment_file(DEPLOY / "env.example")
    assert example == {"POSTGRES_PASSWORD": ""}
    with pytest.raises(NotSetError, match=r"copy deploy/env\.example to \.env and choose a password there"):
        read_compose(example)


def test_the_password_in_the_file_of_secrets_reaches_the_database_and_its_three_users(compose):
    held = [compose["services"][name]["environment"]["POSTGRES_PASSWORD"] for name in ("db", *DAGSTER_SERVICES)]
    assert held == ["chosen"] * 4
    assert ".env" in (REPOSITORY / ".gitignore").read_text().splitlines()
    assert "!.env" not in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_every_service_is_watched_restarted_and_given_time_to_stop(compose):
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name
        assert service["stop_grace_period"].endswith("s"), name


def test_nothing_starts_before_what_it_needs_answers(compose):
    waits = {name: set(compose["services"][name]["depends_on"]) for name in DAGSTER_SERVICES}
    assert waits == {"code": {"db"}, "webserver": {"db", "code"}, "daemon": {"db", "code"}}
    for name in DAGSTER_SERVICES:
        conditions = compose["services"][name]["depends_on"].values()
        assert all(condition == {"condition": "service_healthy"} for condition in conditions)


def test_the_four_services_are_one_image_that_does_not_run_as_root(compose, dockerfile):
    assert {compose["services"][name]["image"] for name in PYTHON_SERVICES} == {"streetimd:local"}
    assert all("user" not in compose["services"][name] for name in PYTHON_SERVICES)
    last_user = [text for instruction, text in dockerfile if instruction == "USER"][-1]
    assert last_user == "streetimd"


def test_every_image_is_pinned_to_a_release(compose, dockerfile):
    bases = [text for instruction, text in dockerfile if instruction == "FROM"]
    for image in [*bases, compose["services"]["db"]["image"]]:
        assert re.search(r":\d+(\.\d+)+-", image), image
    assert int(re.search(r":(\d+)", compose["services"]["db"]["image"])[1]) >= 15


def test_a_service_may_open_a_file_for_each_local_authority_of_england_in_several_tables(compose):
    assert all(compose["services"][name]["ulimits"]["nofile"] >= 65536 for name in PYTHON_SERVICES)


def test_every_file_that_is_mounted_or_copied_into_the_image_is_there(compose, copied):
    mounted = {
        outside
        for service in compose["services"].values()
        for outside in mounts(service).values()
        if outside.startswith(".")
    }
    assert mounted == {"./deploy/dagster.yaml", "./deploy/workspace.yaml"}
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
        assert service["healthcheck"]["test"][1] in installed | {"python"}, name
    command = compose["services"]["code"]["command"]
    assert importlib.util.find_spec(command[command.index("-m") + 1])


def test_the_workspace_looks_for_the_code_server_where_it_listens(compose):
    (location,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    command = compose["services"]["code"]["command"]
    assert location["grpc_server"]["host"] == "code"
    assert str(location["grpc_server"]["port"]) == command[command.index("-p") + 1]


def test_every_variable_that_dagster_reads_is_set(compose):
    wanted = set(re.findall(r"\{env: (\w+)\}", (DEPLOY / "dagster.yaml").read_text()))
    assert len(wanted) == 6
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
    assert offered == read
