"""When the street images were taken: over time, and by local authority."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streetimd_assets.plots import pages, style
from streetimd_assets.plots.coverage import Tables, authority_names, missing_note, rows_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

# bars are months over this many years, quarters over that many, years beyond
_MONTHS_UP_TO, _QUARTERS_UP_TO = 4, 12
_PERIODS = {"M": "month", "Q": "quarter", "Y": "year"}
# more local authorities than this stand in the table alone
_MOST_DRAWN = 60


def capture_days(panoramas: pd.DataFrame) -> pd.Series:
    """Return the day of capture of every panorama used, by row; NaT where it is not known."""
    used = panoramas[panoramas["status"] == "ok"]
    return pd.to_datetime(used["captured_on"])


def add_capture_dates(page: pages.Page, tables: Tables) -> None:
    """Add when the panoramas used were taken: how many in each month or year, and where they are older."""
    panoramas = rows_of(tables, "panoramas")
    if panoramas is None:
        page.add_section("dates", "Capture dates", missing_note("panoramas"))
        return
    days = capture_days(panoramas)
    blocks = [pages.paragraph(*_sentences(days))]
    if days.notna().any():
        blocks.append(
            page.figure(
                taken_over_time(days),
                name="Bars: panoramas used by when they were taken",
                caption="Panoramas used, by when they were taken, as the provider says; many providers tell the "
                "month only.",
            )
        )
        blocks += _by_authority(page, days, _authorities(panoramas, rows_of(tables, "lsoa_boundaries")))
    page.add_section("dates", "Capture dates", *blocks)


def _sentences(days: pd.Series) -> list[str]:
    known = days.dropna()
    if known.empty:
        return [f"Of none of the {style.plural(len(days), 'panorama')} used is the day of capture known."]
    early, middle, late = (known.quantile(share, interpolation="nearest") for share in (0.05, 0.5, 0.95))
    when = (
        f"from {known.min():%B %Y} to {known.max():%B %Y}, half of them before {middle:%B %Y}, nine in ten from "
        f"{early:%B %Y} to {late:%B %Y}"
    )
    if f"{known.min():%B %Y}" == f"{known.max():%B %Y}":
        when = f"all in {middle:%B %Y}"
    sentences = [
        f"Of {style.plural(len(days), 'panorama')} used, the day of capture is known of "
        f"{style.count(len(known))}: {when}."
    ]
    summer = known.dt.month.between(4, 9).mean()
    sentences.append(f"{style.percent(summer, 0)} were taken from April to September, when trees are green.")
    return sentences


def taken_over_time(days: pd.Series) -> "go.Figure":
    """Draw how many panoramas were taken in each month, quarter or year.

    Parameters
    ----------
    days
        Days of capture; those not known are left out, and the axis says how many there are.
    """
    known = days.dropna()
    years = (known.max() - known.min()).days / 365.25
    unit = "M" if years <= _MONTHS_UP_TO else "Q" if years <= _QUARTERS_UP_TO else "Y"
    taken = known.dt.to_period(unit)
    periods = pd.period_range(taken.min(), taken.max(), freq=unit)
    counts = taken.value_counts().reindex(periods, fill_value=0)
    text = [
        f"{_period_words(period, unit)}<br>{style.plural(int(n), 'panorama')}"
        for period, n in zip(periods, counts, strict=True)
    ]
    figure = style.new_figure(height=280, showlegend=False, margin={"t": 16})
    figure.add_bar(
        # the middle of the period, so that a bar stands over its own months
        x=[(period.start_time + (period.end_time - period.start_time) / 2).isoformat() for period in periods],
        y=counts.to_numpy(), text=text, textposition="none", hoverinfo="text",
        width=[0.92 * (period.end_time - period.start_time).total_seconds() * 1000 for period in periods],
        marker={"color": style.COLOURS[0]},
    )  # fmt: skip
    unknown = f"; {style.count(len(days) - len(known))} more of unknown date" if len(days) > len(known) else ""
    figure.update_xaxes(
        title_text=f"Taken in ({_PERIODS[unit]} by {_PERIODS[unit]}); "
        f"{style.plural(len(known), 'panorama')}{unknown}",
        type="date",
        range=[periods[0].start_time.isoformat(), periods[-1].end_time.isoformat()],
    )
    figure.update_yaxes(title_text=f"Panoramas in a {_PERIODS[unit]}", rangemode="tozero")
    return figure


def _period_words(period: pd.Period, unit: str) -> str:
    if unit == "Q":
        return f"{period.start_time:%B} to {period.end_time:%B %Y}"
    return f"{period.start_time:%B %Y}" if unit == "M" else f"{period.start_time:%Y}"


def _authorities(panoramas: pd.DataFrame, boundaries: pd.DataFrame | None) -> pd.Series | None:
    """Return the name of the local authority of each panorama, by row; None if it cannot be told."""
    if boundaries is None or "lsoa_code" not in panoramas:
        return None
    codes = panoramas["lsoa_code"].map(dict(zip(boundaries["lsoa_code"], boundaries["lad_code"], strict=True)))
    return codes.map(authority_names()).fillna(codes)


def _by_authority(page: pages.Page, days: pd.Series, authorities: pd.Series | None) -> list[str]:
    if authorities is None:
        return []
    groups = {str(name): part for name, part in days.groupby(authorities.reindex(days.index), sort=True)}
    if len(groups) < 2:
        return []
    ordered = dict(sorted(groups.items(), key=lambda pair: (pair[1].median(), pair[0])))
    blocks = []
    if len(groups) <= _MOST_DRAWN:
        blocks.append(
            page.figure(
                taken_by_authority(ordered),
                name="Lines and dots: when panoramas were taken, by local authority",
                caption="Dot: the median day; thick line: the middle half; thin line: nine in ten. Where the dates "
                "differ, so may what the streets looked like.",
            )
        )
    return [*blocks, _authority_table(ordered)]


def taken_by_authority(days: Mapping[str, pd.Series]) -> "go.Figure":
    """Draw when the panoramas of each local authority were taken: median, middle half, nine in ten.

    Parameters
    ----------
    days
        Days of capture by local authority, drawn from the top down.
    """
    figure = style.new_figure(height=110 + 26 * len(days), showlegend=False, margin={"t": 16})
    for place, (name, some) in enumerate(days.items()):
        known = some.dropna()
        if known.empty:
            continue
        ends = [f"{day:%Y-%m-%d}" for day in _quantiles(known)]
        label = (
            f"{style.escape(name)}<br>median {known.median():%d %B %Y}<br>{style.plural(len(known), 'panorama')}"
        )
        for first, last, width in ((0, 4, 1.5), (1, 3, 6)):
            figure.add_scatter(
                x=[ends[first], ends[last]], y=[place, place], mode="lines", hoverinfo="skip",
                line={"color": style.NOISE, "width": width},
            )  # fmt: skip
        figure.add_scatter(
            x=[ends[2]], y=[place], mode="markers", text=[label], hoverinfo="text",
            marker={"color": style.COLOURS[0], "size": 10},
        )  # fmt: skip
    n_known = sum(int(some.notna().sum()) for some in days.values())
    figure.update_xaxes(title_text=f"Day of capture; {style.plural(n_known, 'panorama')}", type="date")
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(days))),
        ticktext=[f"{style.escape(name)} (n = {style.count(some.notna().sum())})" for name, some in days.items()],
        range=[len(days) - 0.5, -0.5],
        ticks="",
    )
    return figure


def _quantiles(known: pd.Series) -> "pd.DatetimeIndex":
    """Return the days before which 5, 25, 50, 75 and 95 in a hundred were taken."""
    ordered = np.sort(known.to_numpy("datetime64[s]"))
    return pd.DatetimeIndex([ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.25, 0.5, 0.75, 0.95)])


def _authority_table(days: Mapping[str, pd.Series]) -> str:
    rows = []
    for name, some in days.items():
        known = np.sort(some.dropna().to_numpy())
        ends = [known[0], known[(len(known) - 1) // 2], known[-1]] if len(known) else [None] * 3
        written = [style.NOT_KNOWN if end is None else style.day(pd.Timestamp(end)) for end in ends]
        rows.append([style.escape(name), *written, style.count(len(known)), style.count(len(some) - len(known))])
    heads = ["Local authority", "Oldest", "Median", "Newest", "Panoramas", "date not known"]
    return pages.table("Days of capture by local authority, the oldest first", heads, rows)
