"""What a provider's date of capture proves: some name a day, others a month or only a year."""

import re
from calendar import monthrange
from datetime import date

from streetimd_assets.study.imagery import Imagery


def days_of(taken: str) -> tuple[date, date] | None:
    """Return the first and the last day that a date may mean, or None if it is no date.

    Examples
    --------
    >>> days_of("2024-02")
    (datetime.date(2024, 2, 1), datetime.date(2024, 2, 29))
    >>> days_of("2024-02-30") is None
    True
    """
    found = re.fullmatch(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", taken, re.ASCII)
    if not found:
        return None
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
    except ValueError:
        return None
    last_month = month or 12
    return first, date(first.year, last_month, day or monthrange(first.year, last_month)[1])


def why_outside(taken: str, choice: Imagery) -> str | None:
    """Say why a date does not prove that a picture is one of those a study chooses, or None if it does.

    Parameters
    ----------
    taken
        ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``; anything else is not known. Every day it may mean must be
        one of those chosen.
    choice
        The study's imagery section: ``captured_from``, ``captured_to`` and ``months``.
    """
    if choice.captured_from is None and choice.captured_to is None and not choice.months:
        return None
    days = days_of(taken)
    if days is None:
        return "its date is not known"
    first, last = days
    if choice.captured_from is not None and first < choice.captured_from:
        return f"taken in {taken}, not surely on or after {choice.captured_from}"
    if choice.captured_to is not None and last > choice.captured_to:
        return f"taken in {taken}, not surely on or before {choice.captured_to}"
    if choice.months and not set(range(first.month, last.month + 1)) <= set(choice.months):
        return f"taken in {taken}, not surely in one of the months {', '.join(map(str, choice.months))}"
    return None
