"""A run that fails is told of: one JSON to an address of the user's, and no secret in it or in any log."""

import json

import dagster as dg
import pytest

from streetimd_assets.definitions import build_defs
from streetimd_assets.settings import Settings
from streetimd_tests.graph import new_instance, tiny_study
from streetimd_tests.standins.server import Reply, StandIn

SECRET_PATH = "/services/T000/B000/secretOfTheChat"
KEY = "AIzaPlantedKey0123456789"
JOB, PLACE = "collect", "farrowby"


class FailingEncoder:
    """Fails as a library does: with an address that holds a key."""

    def __init__(self, error):
        self._error = error

    @property
    def loaded(self):
        raise self._error(f"https://example.org/weights?key={KEY}")


@pytest.fixture
def chat():
    with StandIn(lambda _: Reply(b"ok")) as server:
        yield server


@pytest.fixture
def told(tmp_path, monkeypatch, capfd):
    """Let a run fail, and tell of it as Dagster's daemon has the sensor do; return what was printed."""

    def tell(*assets, encoder=None):
        overrides = {"encoder": encoder} if encoder else {}
        definitions = build_defs(tiny_study(), Settings("demo", tmp_path), **overrides)
        with new_instance(tmp_path / "dagster") as instance:
            result = definitions.resolve_job_def(JOB).execute_in_process(
                instance=instance,
                partition_key=PLACE,
                asset_selection=[dg.AssetKey(name) for name in assets],
                raise_on_error=False,
            )
            assert not result.success
            capfd.readouterr()
            context = dg.build_run_status_sensor_context(
                sensor_name="tell_of_failures",
                dagster_event=result.get_run_failure_event(),
                dagster_instance=instance,
                dagster_run=result.dagster_run,
            ).for_run_failure()
            repository = definitions.get_repository_def()
            repository.get_sensor_def("tell_of_failures")(context)
            return result.run_id, "".join(capfd.readouterr())

    monkeypatch.delenv("STREETIMD_FAILURE_WEBHOOK", raising=False)
    return tell


def test_the_address_is_told_once_what_failed_where_and_why(told, chat, monkeypatch):
    monkeypatch.setenv("STREETIMD_FAILURE_WEBHOOK", f"{chat.address}{SECRET_PATH}")
    # there are no boundaries to read
    run_id, printed = told("road_segments")
    (posted,) = chat.log
    assert (posted.method, posted.path) == ("POST", SECRET_PATH)
    assert posted.headers["Content-Type"] == "application/json"
    message = json.loads(posted.body)
    assert set(message) == {"text", "study", "local_authority", "job", "run_id", "reason", "told_at"}
    assert (message["study"], message["local_authority"], message["job"]) == ("demo", PLACE, JOB)
    assert message["run_id"] == run_id
    assert "lsoa_boundaries" in message["reason"]
    assert "materialise" in message["reason"]
    assert message["text"].endswith(message["reason"])
    assert message["text"] in printed
    assert "secretOfTheChat" not in printed


def test_without_an_address_it_is_only_logged(told, chat):
    _, printed = told("road_segments")
    assert "a run for farrowby has failed" in printed
    assert chat.log == []


@pytest.mark.parametrize(
    ("error", "reason"), [(RuntimeError, "see the run's log"), (ConnectionError, "(ConnectionError)")]
)
def test_what_a_library_says_of_its_error_is_not_passed_on(told, chat, monkeypatch, error, reason):
    monkeypatch.setenv("STREETIMD_FAILURE_WEBHOOK", f"{chat.address}{SECRET_PATH}")
    _, printed = told("category_embeddings", encoder=FailingEncoder(error))
    (posted,) = chat.log
    assert KEY.encode() not in posted.body
    assert KEY not in printed
    assert reason in json.loads(posted.body)["reason"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("{chat}/gone/secretOfTheChat", "answered 404"),
        ("http://127.0.0.1:9/secretOfTheChat", "cannot be reached"),
        ("file:///etc/secretOfTheChat", "must begin with https://"),
        # a blank, a port that is no number, a bracket without its fellow
        ("http://127.0.0.1:9/secretOfTheChat here", "cannot be reached"),
        ("http://127.0.0.1:secretOfTheChat/", "cannot be reached"),
        ("https://[secretOfTheChat/", "cannot be reached"),
    ],
)
def test_an_address_that_does_not_work_is_named_by_its_variable_only(told, chat, monkeypatch, address, said):
    chat.answer = lambda _: Reply(status=404)
    monkeypatch.setenv("STREETIMD_FAILURE_WEBHOOK", address.format(chat=chat.address))
    _, printed = told("road_segments")
    assert said in printed
    assert "STREETIMD_FAILURE_WEBHOOK" in printed
    assert "secretOfTheChat" not in printed
