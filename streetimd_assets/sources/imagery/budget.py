"""What images cost, how many more a budget allows, and the purse that a collector pays from.

A price table has tiers by the number of requests billed in a calendar month, so what one request costs
depends on how many there were before it. Money is counted in fractions: seven dollars at seven
dollars a thousand are a thousand images, not nine hundred and ninety-nine.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Protocol, Self

from streetimd_assets.errors import BudgetError
from streetimd_assets.sources.imagery.base import Prices
from streetimd_assets.study.imagery import Budget

# set aside together: at most so many are counted and not sent when a process is killed
BLOCK = 20
UNLIMITED = sys.maxsize

Parts = Sequence[tuple[int, int]]


class RunBook(Protocol):
    """A run's own file in a ledger."""

    def take_share(self, allowed: Callable[[int, Parts], int]) -> int:
        """Take a share of the month; ``allowed`` says how many more there may be."""
        ...

    def reserve(self, n_requests: int) -> None:
        """Set requests of the share aside, on the disk."""
        ...

    def close(self, n_unused: int = 0) -> None:
        """Give back what was not sent, and end."""
        ...


class Book(Protocol):
    """A ledger: what all runs asked of one provider in one month."""

    @property
    def provider(self) -> str:
        """Name of the provider."""
        ...

    @property
    def month(self) -> str:
        """Month as ``YYYY-MM``."""
        ...

    def of_month(self, month: str) -> "Book":
        """Return the same provider's ledger of another month."""
        ...

    def open_run(self, run_id: str) -> RunBook:
        """Open a run's file."""
        ...


def this_month() -> str:
    """Return the calendar month in UTC, as ``YYYY-MM``."""
    return f"{datetime.now(UTC):%Y-%m}"


def cost_usd(prices: Prices | None, n_requests: int, used_before: int = 0) -> float:
    """Return what the next requests of a month cost, US dollars.

    Parameters
    ----------
    prices
        The provider's price table; None for one that costs nothing.
    n_requests
        How many are asked for.
    used_before
        How many were billed earlier in the month, free ones included.

    Examples
    --------
    >>> from datetime import date
    >>> prices = Prices(date(2026, 1, 1), "", 10_000, ((100_000, 7.0), (500_000, 5.6)))
    >>> cost_usd(prices, 12_000), cost_usd(prices, 2_000, used_before=99_000)
    (14.0, 12.6)
    """
    return float(_cost(prices, n_requests, used_before))


def images_allowed(prices: Prices | None, budget: Budget, *, run_used: int, run_usd: float, month_used: int) -> int:
    """Return how many more images no limit of the budget forbids; :data:`UNLIMITED` if none limits.

    Parameters
    ----------
    prices, budget
        The provider's price table and the study's budget.
    run_used, run_usd
        Images this run has asked for, and their cost.
    month_used
        Images asked of the provider this month, by all runs.
    """
    return _tightest(prices, budget, run_used, Fraction(str(run_usd)), month_used)[1]


def open_purse(
    ledger: Book,
    prices: Prices | None,
    budget: Budget,
    run_id: str,
    *,
    month_now: Callable[[], str] = this_month,
) -> "Purse":
    """Open the purse of one run: see :class:`Purse`.

    Parameters
    ----------
    ledger
        Of the provider and the month.
    prices, budget
        The provider's price table and the study's budget.
    run_id
        Names the run in the ledger; a run that goes on keeps its name.
    month_now
        Says which month it is.
    """
    return Purse(ledger, prices, budget, run_id, month_now)


class Purse:
    """Pays for one request at a time, within the budget, from a run's share of the month.

    What is paid is in the ledger, on the disk, before the request is sent. When a run lasts beyond the
    end of a month, it goes on in the ledger of the next; what the run may use counts on.
    """

    def __init__(
        self, ledger: Book, prices: Prices | None, budget: Budget, run_id: str, month_now: Callable[[], str]
    ) -> None:
        self._ledger = ledger
        self._prices = prices
        self._budget = budget
        self._run_id = run_id
        self._month_now = month_now
        self._opened_in = month_now()
        self._run = ledger.open_run(run_id)
        self._one_at_a_time = asyncio.Lock()
        self._n_at_hand = 0
        self._n_in_share = 0
        self._parts: Parts = ()
        self._earlier_parts: Parts = ()
        self._month_used = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def reserve(self) -> None:
        """Pay for one request, before it is sent.

        Raises
        ------
        BudgetError
            If a limit of the budget is reached, now or for what other runs have set aside.
        StoreError
            If the ledger cannot be written.
        """
        async with self._one_at_a_time:
            if self._month_now() != self._opened_in:
                await asyncio.to_thread(self._turn_the_page)
            if not self._n_at_hand:
                # the disk is waited for in a thread: what is in flight goes on
                self._n_at_hand = await asyncio.to_thread(self._set_aside)
            self._n_at_hand -= 1

    def close(self) -> None:
        """Give back what was set aside and not used."""
        self._run.close(self._n_at_hand)
        self._n_at_hand = self._n_in_share = 0

    def _set_aside(self) -> int:
        if not self._n_in_share:
            self._n_in_share = self._run.take_share(self._allowed)
        if not self._n_in_share:
            raise BudgetError(self._refusal())
        block = min(BLOCK, self._n_in_share)
        self._run.reserve(block)
        self._n_in_share -= block
        return block

    def _allowed(self, month_used: int, parts: Parts) -> int:
        self._month_used, self._parts = month_used, parts
        return _tightest(self._prices, self._budget, self._run_used, self._run_usd, month_used)[1]

    @property
    def _run_used(self) -> int:
        return sum(n for n, _ in (*self._earlier_parts, *self._parts))

    @property
    def _run_usd(self) -> Fraction:
        parts = (*self._earlier_parts, *self._parts)
        return sum((_cost(self._prices, n, before) for n, before in parts), Fraction(0))

    def _turn_the_page(self) -> None:
        month = self._month_now()
        ledger = self._ledger.of_month(month)
        # this may fail; whoever waits must then find the old month's run as it was, not one that is closed
        run = ledger.open_run(self._run_id)
        ended, n_unused = self._run, self._n_at_hand
        self._n_at_hand = self._n_in_share = 0
        self._earlier_parts, self._parts = (*self._earlier_parts, *self._parts), ()
        self._ledger, self._run, self._opened_in = ledger, run, month
        # what was asked in the month that ended stays in its ledger
        ended.close(n_unused)

    def _refusal(self) -> str:
        limit, _ = _tightest(self._prices, self._budget, self._run_used, self._run_usd, self._month_used)
        value = getattr(self._budget, limit)
        named = f"{limit} = {value:,.2f} US dollars" if "usd" in limit else f"{limit} = {value:,} images"
        if limit.endswith("run"):
            n_used, usd, whose = self._run_used, self._run_usd, "this run has"
            remedy = "materialise again for the rest"
        else:
            n_used, usd = self._month_used, _cost(self._prices, self._month_used, 0)
            whose = f"in {self._ledger.month} all runs together have"
            remedy = "materialise again next month, or when runs that go on have given back what they do not use"
        return (
            f"budget.{named} is reached: {whose} set aside {n_used:,} requests to '{self._ledger.provider}' "
            f"({float(usd):,.2f} US dollars); raise it under [budget], or {remedy}"
        )


def _tightest(
    prices: Prices | None, budget: Budget, run_used: int, run_usd: Fraction, month_used: int
) -> tuple[str, int]:
    """Return the limit that is reached first, and how many more images it allows."""
    allowed = {
        "max_images_per_run": _left(budget.max_images_per_run, run_used),
        "max_images_per_month": _left(budget.max_images_per_month, month_used),
    }
    for name, usd, spent in (
        ("max_usd_per_run", budget.max_usd_per_run, run_usd),
        ("max_usd_per_month", budget.max_usd_per_month, _cost(prices, month_used, 0)),
    ):
        allowed[name] = UNLIMITED if usd is None else _affordable(prices, Fraction(str(usd)) - spent, month_used)
    return min(allowed.items(), key=lambda limit: limit[1])


def _left(limit: int | None, used: int) -> int:
    return UNLIMITED if limit is None else max(0, limit - used)


def _steps(prices: Prices, used_before: int) -> Iterator[tuple[int, Fraction]]:
    """From here on: how many requests (the last without end) and dollars for each."""
    at = used_before
    tiers = [(prices.free_per_month, Fraction(0))]
    tiers += [(up_to, Fraction(str(usd)) / 1000) for up_to, usd in prices.tiers]
    for up_to, each in tiers:
        if at < up_to:
            yield up_to - at, each
            at = up_to
    yield UNLIMITED, tiers[-1][1]


def _cost(prices: Prices | None, n_requests: int, used_before: int) -> Fraction:
    total, left = Fraction(0), n_requests
    for n_in_step, each in _steps(prices, used_before) if prices else ():
        total += min(left, n_in_step) * each
        left -= min(left, n_in_step)
    return total


def _affordable(prices: Prices | None, usd: Fraction, used_before: int) -> int:
    """Return how many requests so much money pays for."""
    if prices is None:
        return UNLIMITED
    n_affordable = 0
    for n_in_step, each in _steps(prices, used_before):
        n_paid = n_in_step if each == 0 else min(n_in_step, max(0, usd // each))
        n_affordable += n_paid
        usd -= n_paid * each
        if n_paid < n_in_step:
            break
    return min(n_affordable, UNLIMITED)
