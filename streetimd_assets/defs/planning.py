"""What a study's imagery would take, in words for a terminal: coverage, cost, terms and what is left to spend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.errors import StreetIMDError
from streetimd_assets.settings import Settings, read_environment
from streetimd_assets.sources.imagery.budget import UNLIMITED, images_allowed
from streetimd_assets.sources.imagery.providers import (
    find_provider,
    require_acceptance,
    require_budget,
    require_keys,
)
from streetimd_assets.study import Study, load_study


@dataclass(frozen=True)
class Plan:
    """A table of text, one row per local authority and one for all, and lines below it."""

    title: str
    rows: Sequence[Mapping[str, str]]
    notes: Sequence[str]


def read_plan(settings: Settings, slugs: Sequence[str]) -> Plan:
    """Read the plans of some local authorities as a table for the terminal.

    The cost of several together is that of one bill: a price that falls, or a free part of the
    month, counts once.
    """
    house = House(load_study(settings.study), settings)
    acquisition = Acquisition(house)
    plans = {slug: house.store.read("imagery_plan", slug) for slug in slugs}
    rows = [
        _row(house.study.authority(slug).name, plan, float(plan["cost_usd"].sum())) for slug, plan in plans.items()
    ]
    if len(plans) > 1:
        whole = pd.concat(plans.values())
        rows.append(_row("all of them", whole, acquisition.cost_usd(int(whole["n_images_to_fetch"].sum()))))
    notes = [acquisition.price_line, *imagery_notes(house.study)]
    if acquisition.ledger is not None:
        notes.append(_left_to_spend(acquisition))
    return Plan(f"{house.study.heading}: imagery, before any is fetched", rows, notes)


def _left_to_spend(acquisition: Acquisition) -> str:
    """Say what the month (UTC) has had, and what the budget leaves of it."""
    ledger, provider = acquisition.ledger, acquisition.provider
    used = ledger.month_total() if ledger else 0
    left = images_allowed(
        provider.prices if provider else None,
        acquisition.house.study.budget,
        run_used=0,
        run_usd=0,
        month_used=used,
    )
    said = "the budget sets no limit" if left == UNLIMITED else f"the budget leaves {left:,} to a run"
    return f"requests set aside this month (UTC), all studies of this data root: {used:,}; {said}"


def _row(name: str, plan: pd.DataFrame, cost_usd: float) -> dict[str, str]:
    age = plan["median_age_years"].median()
    return {
        "local authority": name,
        "road km": f"{plan['road_length_m'].sum() / 1000:,.0f}",
        "points": f"{plan['n_points'].sum():,}",
        "panoramas": f"{plan['n_panoramas'].sum():,}",
        "LSOAs without imagery": f"{(plan['n_panoramas'] == 0).sum():,} of {len(plan):,}",
        "median age, years": "not known" if pd.isna(age) else f"{age:.1f}",
        "images": f"{plan['n_images_planned'].sum():,}",
        "held": f"{plan['n_images_held'].sum():,}",
        "to fetch": f"{plan['n_images_to_fetch'].sum():,}",
        "USD": f"{cost_usd:,.2f}",
    }


def imagery_notes(study: Study) -> list[str]:
    """Say what the study's image source allows, and what is still missing before it can be asked or bought from.

    Raises
    ------
    StudyError
        If there is no such source.
    """
    if not study.has_images:
        table = study.area_table
        passed_over = f"; passed over: {', '.join(table.passed_over)}" if table.passed_over else ""
        return [f"no images: {len(table.features)} area features of {table.path.name}{passed_over}"]
    if study.has_painted_images:
        return ["images are painted: every title says SYNTHETIC IMAGES"]
    provider = find_provider(study.imagery.source)
    where = f" ({provider.terms.url})" if provider.terms.url else ""
    notes = [f"{provider.title}{where}: {provider.terms.summary} {provider.terms.retention}"]
    for requirement in (
        lambda: require_acceptance(provider, study.imagery),
        lambda: require_keys(provider, read_environment()),
        lambda: require_budget(provider, study.budget),
    ):
        try:
            requirement()
        except StreetIMDError as missing:
            notes.append(f"still missing: {missing}")
    return notes
