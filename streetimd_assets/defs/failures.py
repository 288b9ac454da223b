"""Tell somebody that a run has failed: in the daemon's log, and at an address if there is one. Off at first."""

from datetime import UTC, datetime

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.errors import SourceError
from streetimd_assets.settings import read_environment
from streetimd_assets.sources.webhook import post_json

ADDRESS = "STREETIMD_FAILURE_WEBHOOK"
_SEE_THE_LOG = "see the run's log in the Dagster UI"


def sensor(house: House) -> dg.SensorDefinition:
    """Return the sensor that tells of each failed run; off until switched on."""

    @dg.run_failure_sensor(
        name="tell_of_failures",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
        description=(
            "Write one line to the daemon's log for each run that fails, and post it as JSON to the address in "
            f"the environment variable {ADDRESS}, if it is set."
        ),
    )
    def tell_of_failures(context: dg.RunFailureSensorContext) -> None:
        told = describe(house, context)
        context.log.error(told["text"])
        address = read_environment().get(ADDRESS)
        if address:
            try:
                post_json(address, told, named=ADDRESS)
            except SourceError as problem:
                # the run has failed whether or not anybody could be told; the next one is told of again
                context.log.error(str(problem))

    return tell_of_failures


def describe(house: House, context: dg.RunFailureSensorContext) -> dict[str, str]:
    """Say of a failed run what a person wants to know. ``text`` is what chats show.

    Only sentences of ours are passed on: what a library says of an error may hold an address with a key.
    """
    run, said = context.dagster_run, _SEE_THE_LOG
    for event in context.get_step_failure_events():
        failure = event.step_failure_data.user_failure_data
        if failure and failure.description:
            said = failure.description
            break
    where = run.tags.get("dagster/partition", "whole study")
    return {
        "text": f"StreetIMD, {house.study.name}: a run for {where} has failed: {said}",
        "study": house.study.name,
        "local_authority": where,
        "job": run.job_name,
        "run_id": run.run_id,
        "reason": said,
        "told_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
