"""The one decorator that makes a science function's table an asset.

An asset body returns its table, or a :class:`Made` with the figures a reader wants at a glance and
the checks it passed. Everything else that Dagster shows (group, columns with units, owner, row
count, data version) comes from ``schemas.py``, once. Where a blocking check is not met, the table
that was there before stays, and the run ends with one sentence that says what to do.
"""

import functools
import hashlib
import inspect
import json
import math
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg
import pandas as pd
from pydantic import BaseModel

from streetimd_assets.defs.house import House
from streetimd_assets.defs.shapes import bounds_of, find_faults
from streetimd_assets.errors import StreetIMDError
from streetimd_assets.schemas import TABLES, Column, Table
from streetimd_assets.store.views import show_table

OWNER = "team:streetimd"
# seconds before the first of two more tries of what is asked of the outside world, doubled for the second
RETRY_AFTER_S = 20.0


@dataclass(frozen=True)
class Check:
    """A true sentence about a table, and what to do where it is not true.

    A blocking check stops what follows, because later numbers would be wrong.

    Parameters
    ----------
    name
        The sentence, its words joined by underscores.
    remedy
        What to do where it is not true; goes on after a colon, and ends with a full stop.
    is_blocking
        False if it only warns.
    meaning
        More words about the sentence, if it needs any.
    """

    name: str
    remedy: str
    is_blocking: bool = True
    meaning: str = ""

    @property
    def sentence(self) -> str:
        """The name as a sentence."""
        return self.name.replace("_", " ").capitalize()

    def spec(self, asset: str, partitions: dg.PartitionsDefinition | None = None) -> dg.AssetCheckSpec:
        """Declare the check to Dagster, which keeps a result for each partition."""
        said = f"{self.sentence}{self.meaning and ': ' + self.meaning}. If not: {self.remedy}"
        with warnings.catch_warnings():
            # without partitions, a warning about one local authority would be gone once another is met
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.AssetCheckSpec(
                self.name, asset=asset, description=said, blocking=self.is_blocking, partitions_def=partitions
            )

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


# of every table, and seen to before it takes the place of the one that was there
COLUMNS_ARE_AS_DECLARED = Check(
    "columns_are_as_declared",
    "materialise what the table is made from again; if that does not help it is our mistake, so tell us.",
    meaning="each has its type, no value lies outside its bounds, nothing is missing that must be there, and no "
    "row stands twice",
)


def check_specs(
    name: str, checks: Sequence[Check] = (), partitions: dg.PartitionsDefinition | None = None
) -> list[dg.AssetCheckSpec]:
    """Declare a table's checks to Dagster: of its shape, and of its meaning."""
    return [check.spec(name, partitions) for check in (COLUMNS_ARE_AS_DECLARED, *checks)]


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
                judged = yield from judge(house, name, made)
            yield _materialised(name, made, judged, value=made.table)

        _hide_return_type(make, function)
        told = declared(house, name, kinds)
        specs = check_specs(name, checks, told["partitions_def"])
        return dg.asset(**told, check_specs=specs, **options)(make)

    return decorate


def declared(house: House, name: str, kinds: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return what ``schemas.py`` says of a table, in Dagster's words."""
    table = house.store.table(name)
    return {
        "group_name": table.group,
        "owners": [OWNER],
        "kinds": {"duckdb", *kinds},
        "tags": tags(house, is_partitioned=table.is_partitioned),
        "partitions_def": house.partitions if table.is_partitioned else None,
        "metadata": {"grain": f"one row is {table.grain}", "dagster/column_schema": _column_schema(table)},
    }


def versioned_by_columns(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Add a hash of its columns to the code version of each table.

    A table written before a column was declared is then out of date, and made again rather than refused.
    """

    def with_columns(spec: dg.AssetSpec) -> dg.AssetSpec:
        table = TABLES.get(spec.key.to_user_string())
        if table is None:
            return spec
        declared_as = [(column.name, column.type, column.nullable) for column in table.columns]
        return spec.replace_attributes(code_version=f"{spec.code_version}.{_hashed(declared_as)}")

    return list(dg.map_asset_specs(with_columns, assets))


def tags(house: House, *, is_partitioned: bool) -> dict[str, str]:
    """Return what assets can be searched by: their study, and what one materialisation covers."""
    return {
        "streetimd/study": house.study.name,
        "streetimd/covers": "local-authority" if is_partitioned else "whole-study",
    }


@dataclass(frozen=True)
class Judged:
    """A table that may be kept: the results of its checks, and the hash of its rows."""

    results: Sequence[dg.AssetCheckResult]
    version: str


def judge(house: House, name: str, made: Made) -> Generator[dg.AssetCheckResult, None, Judged]:
    """Check a table before it is kept; where it must not be, tell Dagster which checks say so, and stop.

    Raises
    ------
    dagster.Failure
        If a blocking check is not met: the table must not be kept.
    """
    faults, version = find_faults(house.store, name, made.table)
    shape = shape_result(faults, len(made.table))
    results = [result._replace(asset_key=dg.AssetKey(name)) for result in (shape, *made.checks)]
    if any(_forbids(result) for result in results):
        yield from results
        if faults:
            more = f" (and {len(faults) - 1} faults more, see the check)" if len(faults) > 1 else ""
            raise _not_kept(name, f"{faults[0]}{more}; {COLUMNS_ARE_AS_DECLARED.remedy}")
        refuse_where_not_met(name, made.checks)
    return Judged(results, version)


def _forbids(result: dg.AssetCheckResult) -> bool:
    return not result.passed and result.severity == dg.AssetCheckSeverity.ERROR


def shape_result(faults: Sequence[str], n_rows: int) -> dg.AssetCheckResult:
    """Say whether rows are as declared; the first faults are named."""
    named = {"faults": list(faults[:10])} if faults else {}
    return COLUMNS_ARE_AS_DECLARED.result(not faults, n_rows=n_rows, n_faults=len(faults), **named)


def refuse_where_not_met(name: str, results: Sequence[dg.AssetCheckResult], *, is_in_place: bool = False) -> None:
    """Stop where a check is not met that blocks, before the table is put in place or after.

    Raises
    ------
    dagster.Failure
        One sentence: which check, what was measured and what to do.
    """
    for result in results:
        if _forbids(result):
            figures = ", ".join(f"{key} {value.value}" for key, value in result.metadata.items())
            said = f"it is not true that {str(result.check_name).replace('_', ' ')} ({figures})"
            if is_in_place:
                sentence = f"{name} must not be used as it is: {said}; {result.description}"
                raise dg.Failure(description=sentence, allow_retries=False)
            raise _not_kept(name, f"{said}; {result.description}")


def _not_kept(name: str, why: str) -> dg.Failure:
    return dg.Failure(description=f"{name} was not kept, what was there stays: {why}", allow_retries=False)


def kept(house: House, name: str, made: Made) -> Generator[Any, None, None]:
    """Check a table, put it in place and say so: for a step that makes several."""
    judged = yield from judge(house, name, made)
    house.store.write(name, made.table)
    show_table(house.store, name)
    path = {"path": dg.MetadataValue.path(str(house.store.path(name)))}
    yield _materialised(name, replace(made, figures={**made.figures, **path}), judged)


def _materialised(name: str, made: Made, judged: Judged, **value: Any) -> dg.MaterializeResult:
    """Say that a table is there: its data version is the hash of its rows."""
    return dg.MaterializeResult(
        asset_key=name,
        # given where the IO manager is to write it
        **value,
        metadata={"dagster/row_count": len(made.table), **finite(made.figures)},
        data_version=dg.DataVersion(judged.version),
        check_results=list(judged.results),
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
    return f"{version}+{_hashed(content)}"


def _hashed(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]


def patience() -> dg.RetryPolicy:
    """Return how an asset that is fetched is tried again, where the outside world was silent.

    A refusal (a key, a limit, terms, a table that must not be kept) is not tried again: it would be the
    same. Each request has been sent several times before it counts as unanswered.
    """
    # with jitter, so that local authorities stopped by one silence do not all come back at once
    return dg.RetryPolicy(
        max_retries=2, delay=RETRY_AFTER_S, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
    )


class refusals_in_one_sentence:
    """Show a refusal of ours as its one sentence, and do not retry what cannot succeed."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, StreetIMDError):
            raise dg.Failure(description=str(error), allow_retries=error.may_pass) from error
        if isinstance(error, OSError):
            # a library's own words may hold an address with a key
            why = error.strerror or type(error).__name__
            said = f"{error.filename or 'a file'} cannot be read or written ({why})"
            remedy = "see that the disk has room and that the place may be used, and materialise again"
            raise dg.Failure(description=f"{said}; {remedy}", allow_retries=False) from error


def _hide_return_type(make: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Keep the inputs' types and drop the return type: Dagster would read it as the output's."""
    signature = inspect.signature(function)
    make.__signature__ = signature.replace(return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
    make.__annotations__ = {key: kind for key, kind in function.__annotations__.items() if key != "return"}


def _column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[_column(table, column) for column in table.columns],
        constraints=dg.TableConstraints(other=[f"key: {', '.join(table.key)}"]),
    )


def _column(table: Table, column: Column) -> dg.TableColumn:
    bounds = bounds_of(column)
    return dg.TableColumn(
        column.name,
        column.type,
        f"{column.meaning} [{column.unit}]" if column.unit else column.meaning,
        dg.TableColumnConstraints(
            nullable=column.nullable,
            unique=table.key == (column.name,),
            other=[str(bounds)] if bounds is not None and bounds.is_limited else [],
        ),
    )
