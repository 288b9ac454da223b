"""The queue of runs, heaviest local authority first: the last ones are then short, and no large one runs alone."""

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.tags import PARTITION_NAME_TAG, PRIORITY_TAG

from streetimd_assets.study.local_authorities import SYNTHETIC_LOCAL_AUTHORITIES, all_local_authorities

# above every local authority: one run of the whole study does not wait for three hundred of its parts
OF_THE_WHOLE_STUDY = 10_000


class HeaviestFirst(QueuedRunCoordinator):
    """Gives each run that has no priority of its own that of its local authority's LSOAs.

    Dagster itself submits the runs of a backfill of assets in alphabetical order. Named in ``dagster.yaml``;
    the daemon then takes the run of highest priority from the queue.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Put a run in the queue, with its priority."""
        run = context.dagster_run
        if PRIORITY_TAG not in run.tags:
            self._instance.add_run_tags(run.run_id, {PRIORITY_TAG: str(priority(run.tags.get(PARTITION_NAME_TAG)))})
        return super().submit_run(context)


def priority(slug: str | None) -> int:
    """Return the LSOAs of a local authority, or a number above them all for a run of the whole study."""
    if slug is None:
        return OF_THE_WHOLE_STUDY
    invented = {authority.slug: authority for authority in SYNTHETIC_LOCAL_AUTHORITIES}
    known = all_local_authorities().get(slug) or invented.get(slug)
    return known.n_lsoas if known else 0
