"""What of a job must be made again, by what Dagster has recorded and by what is on disk."""

import hashlib
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter

from streetimd_assets.defs.house import House
from streetimd_assets.study.imagery import NO_IMAGES


def out_of_date(
    definitions: dg.Definitions,
    house: House,
    instance: dg.DagsterInstance,
    job: str,
    partition: str | None,
    anew: Sequence[str] = (),
    only: Sequence[str] = (),
) -> list[str]:
    """Return the assets of a job that must be made again, and all of the job that follows from them.

    With ``only``, nothing but the assets it names is looked at.

    An asset is out of date if its file is gone, if it was last made by other code or other choices,
    if a check stopped it, or if what it was made from has changed since.
    """
    graph = definitions.resolve_asset_graph()
    ours = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    if only:
        ours = {key for key in ours if key.to_user_string() in only}
    latest = Materialisations(graph, instance, partition)
    is_online = house.study.imagery.source not in ("painted", "folder", NO_IMAGES)
    stale: set[dg.AssetKey] = set()
    for key in graph.toposorted_asset_keys:
        if key not in ours:
            continue
        node = graph.get(key)
        slug = partition if node.is_partitioned else None
        if (
            node.parent_keys & stale
            or key.to_user_string() in anew
            or not house.file_of(key.to_user_string(), slug).exists()
            or latest.code_version(key) != node.code_version
            or latest.was_stopped(key)
            or any(latest.is_older(key, parent) for parent in node.parent_keys)
            or (is_online and latest.left_undone(key))
        ):
            # tables made in one step are made again together
            stale |= node.execution_set_asset_keys
    return sorted(key.to_user_string() for key in stale)


class Materialisations:
    """The latest materialisation of each asset, for one local authority where it has partitions."""

    def __init__(self, graph: Any, instance: dg.DagsterInstance, partition: str | None) -> None:
        self._graph = graph
        self._instance = instance
        self._partition = partition
        self._found: dict[dg.AssetKey, Any] = {}

    def code_version(self, key: dg.AssetKey) -> str | None:
        """Return the code version that made the asset, or None if nothing did."""
        return self._tag(key, "dagster/code_version")

    def was_stopped(self, key: dg.AssetKey) -> bool:
        """Return True if the step failed after it had written: a blocking check was not met."""
        record = self._latest(key)
        if record is None:
            return False
        steps = self._instance.get_run_step_stats(record.run_id, [record.event_log_entry.step_key])
        return any(step.status is not None and step.status.value == "FAILURE" for step in steps)

    def left_undone(self, key: dg.AssetKey) -> bool:
        """Return True if some requests of the asset failed, which may succeed when sent again."""
        record = self._latest(key)
        count = record.asset_materialization.metadata.get("n_failed") if record else None
        return count is not None and bool(count.value)

    def is_older(self, key: dg.AssetKey, parent: dg.AssetKey) -> bool:
        """Return True if the parent's content has changed since the asset was made from it."""
        mine, its = self._latest(key), self._latest(parent)
        if mine is None or its is None:
            return mine is None
        if self._graph.get(parent).is_partitioned and not self._graph.get(key).is_partitioned:
            # study-wide from many parts: whichever part is newest decides
            return its.timestamp > mine.timestamp
        used = self._tag(key, f"dagster/input_data_version/{parent.to_user_string()}")
        now = self._tag(parent, "dagster/data_version") or ""
        # of an input with partitions, Dagster records the hash of their versions put together
        return used not in {now, hashlib.sha256(now.encode()).hexdigest()}

    def _tag(self, key: dg.AssetKey, name: str) -> str | None:
        record = self._latest(key)
        return (record.asset_materialization.tags or {}).get(name) if record else None

    def _latest(self, key: dg.AssetKey) -> Any:
        if key not in self._found:
            partitions = [self._partition] if self._partition and self._graph.get(key).is_partitioned else None
            chosen = AssetRecordsFilter(asset_key=key, asset_partitions=partitions)
            self._found[key] = next(iter(self._instance.fetch_materializations(chosen, limit=1).records), None)
        return self._found[key]
