"""The sensor that tells of failures, switched on in a running UI: the real daemon then tells."""

import json
import time
import urllib.request

import pytest

from streetimd_tests.standins.server import Reply, StandIn
from streetimd_tests.ui.dagster_page import served_ui

pytestmark = pytest.mark.ui
PLACE = {"repositoryLocationName": "streetimd_assets.definitions", "repositoryName": "__repository__"}
SENSOR = {**PLACE, "sensorName": "tell_of_failures"}
START = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
    __typename ... on Sensor { sensorState { status } } } }"""
STATE = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) {
    ... on Sensor { sensorState { status ticks(limit: 1) { status } } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename } }"""


def ask(address, query, **variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)["data"]


def wait_for(happened, seconds=150):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_run_that_fails_is_told_of_once_the_sensor_is_on(tmp_path, monkeypatch):
    with StandIn(lambda _: Reply(b"ok")) as chat:
        monkeypatch.setenv("STREETIMD_FAILURE_WEBHOOK", f"{chat.address}/hook")
        with served_ui("demo", tmp_path) as address:

            def state():
                return ask(address, STATE, sensor=SENSOR)["sensorOrError"]["sensorState"]

            assert state() == {"status": "STOPPED", "ticks": []}
            assert ask(address, START, sensor=SENSOR)["startSensor"]["sensorState"]["status"] == "RUNNING"
            # its first turn only takes note of the time: failures of before are nobody's news
            wait_for(lambda: state()["ticks"])
            params = {
                # there are no boundaries to lay roads in
                "selector": {
                    **PLACE,
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": ["road_segments"]}],
                },
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "farrowby"}]},
                "mode": "default",
            }
            assert ask(address, LAUNCH, params=params)["launchRun"]["__typename"] == "LaunchRunSuccess"
            wait_for(lambda: chat.log)
    (told,) = chat.log
    message = json.loads(told.body)
    assert message["local_authority"] == "farrowby"
    assert "lsoa_boundaries" in message["reason"]
