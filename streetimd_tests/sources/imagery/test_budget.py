"""What images cost across free tier and price steps, and a purse that stops at each limit exactly."""

import asyncio
import random
import subprocess
import sys
import time
from datetime import date

import pytest

from streetimd_assets.errors import BudgetError, StoreError
from streetimd_assets.sources.imagery import budget as budget_module
from streetimd_assets.sources.imagery.base import Prices
from streetimd_assets.sources.imagery.budget import BLOCK, UNLIMITED, cost_usd, images_allowed, open_purse
from streetimd_assets.store.ledger import Ledger
from streetimd_assets.study.imagery import Budget

PRICES = Prices(date(2026, 1, 1), "https://example.org", 10_000, ((100_000, 7.00), (500_000, 5.60)))
MONTH = "2026-05"

# several processes, each with a purse of its own: what is bought until the limit
SPEND = """
import asyncio, sys
from datetime import date
from streetimd_assets.errors import BudgetError
from streetimd_assets.sources.imagery.base import Prices
from streetimd_assets.sources.imagery.budget import open_purse
from streetimd_assets.store.ledger import Ledger
from streetimd_assets.study.imagery import Budget

async def spend(purse):
    n_bought = 0
    try:
        while True:
            await purse.reserve()
            n_bought += 1
    except BudgetError:
        return n_bought

prices = Prices(date(2026, 1, 1), "", 1000, ((100_000, 7.0),))
budget = Budget(max_usd_per_month=7.0)
with open_purse(Ledger(sys.argv[1], "google", "2026-05"), prices, budget, sys.argv[2]) as purse:
    print(asyncio.run(spend(purse)))
"""


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path, "google", MONTH)


def use_up(ledger, n_requests, run_id="earlier"):
    """Let another run use so much of the month."""
    with ledger.open_run(run_id) as run:
        left = n_requests
        while left:
            share = run.take_share(lambda month_before, parts, left=left: 10 * left)
            run.reserve(min(share, left))
            left -= min(share, left)


def spend(purse, n_requests, n_workers=1):
    """Pay for so many requests from several tasks; return how many were paid and what stopped it."""
    paid, problems = [], []

    async def work(n_of_mine):
        try:
            for _ in range(n_of_mine):
                await purse.reserve()
                paid.append(1)
        except BudgetError as problem:
            problems.append(str(problem))

    async def run():
        shares = [n_requests // n_workers + (number < n_requests % n_workers) for number in range(n_workers)]
        await asyncio.gather(*map(work, shares))

    asyncio.run(run())
    return len(paid), problems


@pytest.mark.parametrize(
    ("n_requests", "used_before", "usd"),
    [
        (0, 0, 0),
        (10_000, 0, 0),
        (10_001, 0, 0.007),
        (100_000, 0, 630),
        (100_001, 0, 630.0056),
        (500_000, 0, 630 + 2240),
        # the last price holds beyond the table
        (600_000, 0, 630 + 2800),
        (1000, 10_000, 7),
        (2000, 99_000, 12.6),
        (1000, 9_500, 3.5),
        (1000, 700_000, 5.6),
    ],
)
def test_the_price_of_a_request_depends_on_those_before_it_in_the_month(n_requests, used_before, usd):
    assert cost_usd(PRICES, n_requests, used_before) == pytest.approx(usd, abs=1e-9)


def test_a_cost_is_the_sum_of_its_parts_however_it_is_cut():
    draw = random.Random(1)
    for _ in range(200):
        first, second, before = (draw.randrange(400_000) for _ in range(3))
        parts = cost_usd(PRICES, first, before) + cost_usd(PRICES, second, before + first)
        assert cost_usd(PRICES, first + second, before) == pytest.approx(parts)


def test_what_costs_nothing_costs_nothing_and_money_does_not_limit_it():
    assert cost_usd(None, 10**6) == 0
    assert images_allowed(None, Budget(max_usd_per_month=0), run_used=0, run_usd=0, month_used=0) == UNLIMITED
    assert images_allowed(None, Budget(max_images_per_run=5), run_used=2, run_usd=0, month_used=0) == 3


@pytest.mark.parametrize(
    ("limits", "run_used", "run_usd", "month_used", "allowed"),
    [
        ({}, 5, 5.0, 5, UNLIMITED),
        ({"max_images_per_run": 100}, 40, 0.0, 900, 60),
        ({"max_images_per_month": 1000}, 40, 0.0, 900, 100),
        ({"max_images_per_month": 1000}, 40, 0.0, 1200, 0),
        # nothing to spend is the free tier
        ({"max_usd_per_month": 0}, 0, 0.0, 9_990, 10),
        ({"max_usd_per_run": 0}, 0, 0.0, 10_000, 0),
        # seven dollars are a thousand images, not one less for a rounding error
        ({"max_usd_per_month": 7}, 0, 0.0, 0, 11_000),
        ({"max_usd_per_month": 7}, 0, 0.0, 10_999, 1),
        ({"max_usd_per_month": 7}, 0, 0.0, 11_000, 0),
        ({"max_usd_per_run": 0.7}, 0, 0.0, 10_000, 100),
        ({"max_usd_per_run": 0.7}, 90, 0.63, 10_090, 10),
        # across the step at 100,000: 7.00 for the last thousand, then 5.60 for each
        ({"max_usd_per_run": 12.6}, 0, 0.0, 99_000, 2000),
        ({"max_usd_per_month": 635.6}, 0, 0.0, 0, 101_000),
        # the tightest limit counts
        ({"max_images_per_run": 50, "max_usd_per_month": 7, "max_images_per_month": 20_000}, 0, 0.0, 10_900, 50),
        ({"max_images_per_run": 500, "max_usd_per_month": 7, "max_images_per_month": 20_000}, 0, 0.0, 10_900, 100),
    ],
)
def test_a_budget_allows_exactly_what_its_limits_pay_for(limits, run_used, run_usd, month_used, allowed):
    used = {"run_used": run_used, "run_usd": run_usd, "month_used": month_used}
    assert images_allowed(PRICES, Budget(**limits), **used) == allowed


def test_one_more_than_allowed_would_exceed_the_money():
    draw = random.Random(2)
    for _ in range(200):
        month_used, usd = draw.randrange(550_000), draw.randrange(4_000_00) / 100
        n_more = images_allowed(PRICES, Budget(max_usd_per_run=usd), run_used=0, run_usd=0.0, month_used=month_used)
        assert cost_usd(PRICES, n_more, month_used) <= usd + 1e-9
        assert cost_usd(PRICES, n_more + 1, month_used) > usd - 1e-9


@pytest.mark.parametrize(
    ("limits", "used_before", "n_paid", "sentence"),
    [
        (
            {"max_images_per_run": 37, "max_images_per_month": 10**6},
            0,
            37,
            r"budget.max_images_per_run = 37 images is reached: this run has set aside 37 requests to 'google' "
            r"\(0.00 US dollars\); raise it under \[budget\], or materialise again for the rest",
        ),
        (
            {"max_images_per_month": 1100},
            1000,
            100,
            r"budget.max_images_per_month = 1,100 images is reached: in 2026-05 all runs together have set aside "
            r"1,100 requests to 'google' \(0.00 US dollars\); raise it under \[budget\], or materialise again next",
        ),
        (
            {"max_usd_per_month": 0.7},
            9_990,
            110,
            r"budget.max_usd_per_month = 0.70 US dollars is reached: .* 10,100 requests .* \(0.70 US dollars\)",
        ),
        (
            {"max_usd_per_run": 0.07, "max_usd_per_month": 50},
            10_000,
            10,
            r"budget.max_usd_per_run = 0.07 US dollars is reached: this run has set aside 10 requests",
        ),
        ({"max_images_per_month": 0}, 0, 0, "budget.max_images_per_month = 0 images is reached"),
    ],
)
def test_a_purse_stops_at_the_limit_and_says_which(ledger, limits, used_before, n_paid, sentence):
    use_up(ledger, used_before)
    with open_purse(ledger, PRICES, Budget(**limits), "this") as purse:
        paid, problems = spend(purse, n_paid + 200, n_workers=16)
    assert paid == n_paid
    assert len(problems) == 16
    for problem in problems:
        with pytest.raises(BudgetError, match=sentence):
            raise BudgetError(problem)
    assert ledger.month_total() == used_before + n_paid


def test_what_is_paid_is_in_the_ledger_before_the_request_is_sent(ledger):
    with open_purse(ledger, PRICES, Budget(max_images_per_month=10**6), "this") as purse:
        for n_sent in (1, BLOCK, 133):
            spend(purse, n_sent)
            counted = next(use.n_used for use in ledger.runs() if use.run_id == "this")
            assert counted % BLOCK == 0
        assert counted == 160 >= 1 + BLOCK + 133
    assert ledger.month_total() == 154


def test_a_run_that_goes_on_under_its_name_has_the_rest_of_its_limit(ledger):
    budget = Budget(max_images_per_run=100, max_images_per_month=1000)
    with open_purse(ledger, PRICES, budget, "this") as purse:
        assert spend(purse, 64) == (64, [])
    with open_purse(ledger, PRICES, budget, "this") as purse:
        assert spend(purse, 100)[0] == 36
    with open_purse(ledger, PRICES, budget, "another") as purse:
        assert spend(purse, 100)[0] == 100


def test_two_purses_of_one_run_share_its_limit(ledger):
    budget = Budget(max_images_per_run=100, max_images_per_month=1000)
    with open_purse(ledger, PRICES, budget, "this") as one, open_purse(ledger, PRICES, budget, "this") as two:
        n_paid = spend(one, 10)[0] + spend(two, 100)[0] + spend(one, 100)[0]
    assert n_paid == 100


def test_money_of_a_run_is_counted_at_the_price_of_its_place_in_the_month(ledger):
    use_up(ledger, 10_000)
    budget = Budget(max_usd_per_run=4.2, max_usd_per_month=100)
    with open_purse(ledger, PRICES, budget, "dear") as purse:
        assert spend(purse, 2000)[0] == 600
    with open_purse(ledger, PRICES, budget, "dear") as purse:
        assert spend(purse, 10)[0] == 0


def test_a_run_that_lasts_beyond_the_month_goes_on_in_the_next_ones_ledger(ledger):
    months = iter(["2026-05"] * 51 + ["2026-06"] * 10_000)
    budget = Budget(max_images_per_run=120, max_images_per_month=60)
    purse = open_purse(ledger, PRICES, budget, "long", month_now=lambda: next(months))
    assert spend(purse, 200)[0] == 50 + 60
    purse.close()
    assert ledger.month_total() == 50
    assert ledger.of_month("2026-06").month_total() == 60
    # the month's limit stopped it, and the run's has been counting on
    with open_purse(ledger.of_month("2026-06"), PRICES, Budget(max_images_per_month=100), "other") as purse:
        assert spend(purse, 100)[0] == 40


def test_a_month_whose_ledger_does_not_open_leaves_those_who_wait_without_a_paid_request(ledger, monkeypatch):
    months = iter(["2026-05"] * 51 + ["2026-06"] * 10_000)
    budget = Budget(max_images_per_run=120, max_images_per_month=60)
    purse = open_purse(ledger, PRICES, budget, "long", month_now=lambda: next(months))
    assert spend(purse, 50) == (50, [])
    open_run, refusals = Ledger.open_run, []

    def refuse(self, run_id):
        refusals.append(self.month)
        raise StoreError("the ledger cannot be opened")

    async def many():
        return await asyncio.gather(*(purse.reserve() for _ in range(8)), return_exceptions=True)

    monkeypatch.setattr(Ledger, "open_run", refuse)
    assert [type(problem) for problem in asyncio.run(many())] == [StoreError] * 8
    assert refusals == ["2026-06"] * 8
    # nothing was taken from the month that ended, and the page turns once the next one opens
    assert next(use.n_used for use in ledger.runs()) == 60
    monkeypatch.setattr(Ledger, "open_run", open_run)
    assert spend(purse, 200)[0] == 60
    purse.close()
    assert ledger.month_total() == 50
    assert ledger.of_month("2026-06").month_total() == 60


def test_the_event_loop_goes_on_while_the_disk_is_waited_for(ledger, monkeypatch):
    with open_purse(ledger, PRICES, Budget(max_images_per_month=1000), "this") as purse:
        set_aside = budget_module.Purse._set_aside

        def slowly(self):
            time.sleep(0.2)
            return set_aside(self)

        monkeypatch.setattr(budget_module.Purse, "_set_aside", slowly)

        async def run():
            paying = asyncio.create_task(purse.reserve())
            n_turns = 0
            while not paying.done():
                await asyncio.sleep(0.005)
                n_turns += 1
            return n_turns

        assert asyncio.run(run()) > 10


def test_processes_that_share_a_month_spend_its_money_and_not_more(ledger):
    command = [sys.executable, "-c", SPEND, str(ledger.data_root)]
    processes = [
        subprocess.Popen([*command, f"run-{number}"], stdout=subprocess.PIPE, text=True) for number in range(4)
    ]
    bought = [int(process.communicate()[0]) for process in processes]
    # a thousand free ones, and seven dollars' worth
    assert sum(bought) == ledger.month_total() == 2000
