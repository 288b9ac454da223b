"""Dagster's records in PostgreSQL, where several runs may be the first to ask for a pool.

Named by the ``dagster.yaml`` of ``docker-compose.yml``; nothing else imports this module. To be left out once
https://github.com/dagster-io/dagster/issues/33552 is closed.
"""

from typing import Any, Self

from dagster._core.storage.event_log.schema import ConcurrencyLimitsTable
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy.dialects.postgresql import insert


class _EventLog(PostgresEventLogStorage):
    def initialize_concurrency_limit_to_default(self, concurrency_key: str) -> bool:
        """Give a pool the limit that ``dagster.yaml`` has for all.

        Dagster's own way tries to add the pool and goes on where it is there already. PostgreSQL has
        given the transaction up by then, and the run fails: where two runs are the first to use a pool,
        and in every run once the limit in ``dagster.yaml`` is changed.
        """
        limit = self._instance.global_op_concurrency_default_limit
        if limit is None:
            return super().initialize_concurrency_limit_to_default(concurrency_key)
        wanted = {"limit": limit, "using_default_limit": True}
        pool = insert(ConcurrencyLimitsTable).values(concurrency_key=concurrency_key, **wanted)
        with self.index_transaction() as connection:
            connection.execute(pool.on_conflict_do_update(index_elements=["concurrency_key"], set_=wanted))
            self._allocate_concurrency_slots(connection, concurrency_key, limit)
        return True


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's own storage in PostgreSQL but for the limits of pools."""

    def __init__(self, postgres_url: str, *args: Any, **options: Any) -> None:
        super().__init__(postgres_url, *args, **options)
        self._event_log_storage = _EventLog(postgres_url, self.should_autocreate_tables)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        """Make the storage that ``dagster.yaml`` describes."""
        return cls(pg_url_from_config(config_value), inst_data=inst_data)
