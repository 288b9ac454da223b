"""The one decorator that makes a science function's table an asset.

An asset body returns its table, or a :class:`Made` with the figures a reader wants at a glance and
the checks it passed. Everything else that Dagster shows (group, columns with units, owner, row
count, data version) comes from ``schemas.py``, once.
"""

import functools
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import BaseModel

from streetimd_assets.defs.house import House
from streetimd_assets.errors import StreetIMDError

OWNER = "team:streetimd"


@dataclass(frozen=True)
class Check:
    """A true sentence about a table, and what to do where it is not true.

    A blocking check stops what follows, because later numbers would be wrong.
    """

    name: str
    remedy: str
    is_blocking: bool = True

    def spec(self, asset: str) -> dg.AssetCheckSpec:
        """Declare the check to Dagster."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.remedy, blocking=self.is_blocking)

    def result(self, is_true: bool, **measured: Any) -> dg.AssetCheckResult:
        """Say whether the sentence is true, with what was measured."""
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=bool(is_true),
            severity=dg.AssetCheckSeverity.ERROR if self.is_blocking else dg.AssetCheckSeverity.WARN,
            description=None if is_true else self.remedy,
            metadata=finite(measured),
        )


@dataclass(frozen=True)
class Made:
    """A table, the figures that matter, and the results of its checks."""

    table: pd.DataFrame
    figures: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[dg.AssetCheckResult] = ()


def table_asset(
    house: House, *, kinds: frozenset[str] = frozenset(), checks: Sequence[Check] = (), **options: Any
) -> Callable[[Callable[..., pd.DataFrame | Made]], dg.AssetsDefinition]:
    """Declare the decorated function as the asset of the table that has its name."""

    def decorate(function: Callable[..., pd.DataFrame | Made]) -> dg.AssetsDefinition:
        name = function.__name__

        @functools.wraps(function)
        def make(*args: Any, **kwargs: Any) -> Any:
            with refusals_in_one_sentence():
                made = function(*args, **kwargs)
                made = made if isinstance(made, Made) else Made(made)
                return materialised(house, name, made, value=made.table)

        _hide_return_type(make, function)
        return dg.asset(
            **declared(house, name, kinds), check_specs=[check.spec(name) for check in checks], **options
        )(make)

    return decorate


def declared(house: House, name: str, kinds: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return what ``schemas.py`` says of a table, in Dagster's words."""
    table = house.store.table(name)
    return {
        "group_name": table.group,
        "owners": [OWNER],
        "kinds": {"duckdb", *kinds},
        "tags": {"streetimd/study": house.study.name},
        "partitions_def": house.partitions if table.is_partitioned else None,
        "metadata": {"grain": f"one row is {table.grain}", "dagster/column_schema": _column_schema(house, name)},
    }


def materialised(house: House, name: str, made: Made, **value: Any) -> dg.MaterializeResult:
    """Turn a table into Dagster's result: its data version is the hash of its rows.

    Parameters
    ----------
    house, name, made
        The study, the table's name, its rows and what is said of them.
    **value
        ``value=made.table`` if the IO manager is to write it; nothing if it has been written.
    """
    return dg.MaterializeResult(
        asset_key=name,
        **value,
        metadata={"dagster/row_count": len(made.table), **finite(made.figures)},
        data_version=dg.DataVersion(house.store.frame_hash(name, made.table)),
        check_results=list(made.checks),
    )


def finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Replace numbers that are not known, which the UI cannot show, by words."""
    return {
        name: "not known" if isinstance(figure, float) and not math.isfinite(figure) else figure
        for name, figure in figures.items()
    }


def stamped(version: int, *choices: object) -> str:
    """Return a code version: our own number, and a hash of the study's choices that decide the result."""
    content = [choice.model_dump_json() if isinstance(choice, BaseModel) else choice for choice in choices]
    return f"{version}+{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]}"


class refusals_in_one_sentence:
    """Show a refusal of ours as its one sentence, and do not retry what cannot succeed."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StreetIMDError):
            raise dg.Failure(description=str(error), allow_retries=False) from error
        if isinstance(error, OSError):
            said = f"{error.filename or 'a file'} cannot be read or written ({error.strerror or error})"
            remedy = "see that the disk has room and that the place may be used, and materialise again"
            raise dg.Failure(description=f"{said}; {remedy}", allow_retries=False) from error


def _hide_return_type(make: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Keep the inputs' types and drop the return type: Dagster would read it as the output's."""
    signature = inspect.signature(function)
    make.__signature__ = signature.replace(return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
    make.__annotations__ = {key: kind for key, kind in function.__annotations__.items() if key != "return"}


def _column_schema(house: House, name: str) -> dg.TableSchema:
    table = house.store.table(name)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
                dg.TableColumnConstraints(nullable=column.nullable, unique=table.key == (column.name,)),
            )
            for column in table.columns
        ]
    )
