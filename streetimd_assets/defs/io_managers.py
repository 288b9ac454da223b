"""Dagster's context turned into calls of the table store."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.table_asset import refusals_in_one_sentence
from streetimd_assets.store.tables import TableStore
from streetimd_assets.store.views import show_table


class TableIOManager(dg.IOManager):
    """Write an asset's table to its file; read an upstream table of the same local authority."""

    def __init__(self, store: TableStore) -> None:
        self._store = store

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Replace the table, or the part of it that this run is about."""
        slug = context.partition_key if context.has_asset_partitions else None
        with refusals_in_one_sentence():
            self._store.write(context.asset_key.path[-1], obj, slug)
            show_table(self._store, context.asset_key.path[-1])
        context.add_output_metadata(
            {"path": dg.MetadataValue.path(str(self._store.path(context.asset_key.path[-1], slug)))}
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read an upstream table; one kept per local authority is read for this run's."""
        slug = context.partition_key if context.has_asset_partitions else None
        with refusals_in_one_sentence():
            return self._store.read(context.asset_key.path[-1], slug)
