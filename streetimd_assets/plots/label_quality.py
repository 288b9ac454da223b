"""What people's labels say of the classification, as a section of a report: tables, figures and sentences."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from streetimd_assets.plots import pages, style
from streetimd_assets.plots.coverage import Tables, rows_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

HOW_TO_LABEL = (
    "Nobody has labelled images yet, so how often the classification is right is not known. "
    "<code>streetimd label STUDY</code> makes a page on which to label, and "
    "<code>streetimd label STUDY --read FILE</code> takes what was saved there."
)
_SCALED = " Each image was scaled by what was fitted on the other half of the labels."
_STAGES = {
    "before": ("as the model gives it", style.COLOURS[1], "circle-open", "dot"),
    "after": ("after temperature scaling", style.COLOURS[0], "diamond", "solid"),
}


def add_label_quality(page: pages.Page, tables: Tables, titles: Mapping[str, str]) -> None:
    """Add how far people agree with the classification, and what that corrects; how to label if nobody has.

    Parameters
    ----------
    page
        The page the section is added to, under the anchor ``labels``.
    tables
        The tables by name; of label_agreement, label_figures, label_confusions and reliability_bins those
        that are missing or without rows are passed over.
    titles
        Category names and what people read for them.
    """
    agreement, figures = (_filled(tables, name) for name in ("label_agreement", "label_figures"))
    if agreement is None or figures is None:
        page.add_section("labels", "What people say", pages.paragraph(HOW_TO_LABEL))
        return
    confusions, bins = (_filled(tables, name) for name in ("label_confusions", "reliability_bins"))
    blocks = [
        *_headline(figures.set_index("figure").to_dict("index")),
        _category_table(agreement, titles),
        page.figure(
            corrected_shares(agreement, titles),
            name="Dots: share of images by category, as predicted and as corrected by labels",
            caption="Where the bar does not reach the circle, the model names the category too often or too "
            "seldom. Shares of LSOAs are not corrected: labels are too few for one LSOA.",
        ),
    ]
    if confusions is not None:
        blocks.append(
            page.figure(
                confusion_matrix(confusions, titles, n_images=int(agreement["n_predicted"].sum())),
                name="Matrix: what people say in rows, what the model says in columns",
                caption="Of the images people give the label of a row, the share (%) the model gives each "
                "category, re-weighted to all images; labelled images stand in brackets, tied ones with each of "
                "their labels. The diagonal is recall.",
            )
        )
    if bins is not None:
        blocks.append(
            page.figure(
                reliability_curve(bins),
                name="Dots: how often people agree, by the model's probability, before and after scaling",
                caption="On the dashed line a probability says how often people agree. Below it the model is too "
                f"sure.{_SCALED if (bins['stage'] == 'after').any() else ''}",
            )
        )
    page.add_section("labels", "What people say", *blocks)


def _filled(tables: Tables, name: str) -> pd.DataFrame | None:
    rows = rows_of(tables, name)
    return None if rows is None or rows.empty else rows


def _headline(figures: Mapping[Any, Mapping[Any, Any]]) -> list[str]:
    """Say accuracy, agreement of raters and calibration in sentences."""
    accuracy, kappa = figures.get("accuracy", {}), figures.get("cohens_kappa", {})
    temperature = figures.get("temperature", {})
    before, after = (figures.get(f"calibration_error_{stage}", {}) for stage in _STAGES)
    blocks = [
        '<p class="headline">'
        f"People agree with the model on {style.percent(accuracy.get('value'))} of images "
        f"(95% interval {_interval(accuracy, style.percent)}).</p>",
        pages.paragraph(f"That is of {style.escape(accuracy.get('detail'))}."),
        pages.paragraph(
            "Two raters: Cohen's kappa "
            f"{style.number(kappa.get('value'))} ({_interval(kappa, style.number)}); 1 is perfect, 0 is chance, "
            f"and 0.7 is asked for. {style.escape(kappa.get('detail'))}."
            if not style.is_missing(kappa.get("value"))
            else "How far raters agree is not known until two have labelled the same images."
        ),
    ]
    if not style.is_missing(temperature.get("value")):
        blocks.append(
            pages.paragraph(
                f"Temperature {style.number(temperature['value'])} ({_interval(temperature, style.number)}; "
                f"{style.escape(temperature.get('detail'))}). Probability is off by "
                f"{style.percent(before.get('value'))} on average as the model gives it, and by "
                f"{style.percent(after.get('value'))} after scaling. Probabilities in the tables are not scaled."
            )
        )
    return blocks


def _interval(row: Mapping[Any, Any], say: Any) -> str:
    low, high = row.get("low"), row.get("high")
    return "interval not known" if style.is_missing(low) or style.is_missing(high) else f"{say(low)} to {say(high)}"


def _category_table(agreement: pd.DataFrame, titles: Mapping[str, str]) -> str:
    def with_interval(row: Mapping[Any, Any], name: str) -> str:
        if style.is_missing(row[name]):
            return style.NOT_KNOWN
        ends = {end: row[f"{name}_{end}"] for end in ("low", "high")}
        return f'{style.percent(row[name])} <span class="quiet">({_interval(ends, style.percent)})</span>'

    return pages.table(
        "Each category by people's labels, with 95% intervals, re-weighted to all images. Precision: of the images "
        "the model gives the category, those people do too. Recall: of the images people give it, those the model "
        "does too.",
        ["Category", "Labelled so", "Predicted so", "Precision", "Recall", "Predicted share", "Corrected share"],
        [
            (
                style.title_of(str(row["category"]), titles),
                style.count(row["n_labelled"]),
                style.count(row["n_predicted"]),
                with_interval(row, "precision"),
                with_interval(row, "recall"),
                style.percent(row["predicted_share"]),
                with_interval(row, "corrected_share"),
            )
            for row in _in_order(agreement, titles).to_dict("records")
        ],
    )


def _in_order(rows: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Put categories into the study's order, those it does not know last."""
    place = {name: number for number, name in enumerate(titles)}
    return rows.sort_values(
        "category", key=lambda names: names.map(lambda name: (place.get(name, len(place)), name))
    )


def corrected_shares(agreement: pd.DataFrame, titles: Mapping[str, str]) -> "go.Figure":
    """Draw each category's share of images: a circle as predicted, a diamond and bar as corrected.

    Parameters
    ----------
    agreement
        The table `label_agreement`.
    titles
        Category names and what people read for them.
    """
    rows = agreement.sort_values("predicted_share", ascending=False, kind="stable")
    names = [style.title_of(str(name), titles) for name in rows["category"]]
    share, low, high = (
        100 * rows[name].to_numpy(float)
        for name in ("corrected_share", "corrected_share_low", "corrected_share_high")
    )
    figure = style.new_figure(height=150 + 32 * len(rows))
    figure.add_scatter(
        x=100 * rows["predicted_share"].to_numpy(float), y=names, mode="markers", name="as predicted",
        marker={"symbol": "circle-open", "size": 11, "color": style.COLOURS[1], "line": {"width": 2}},
        hovertemplate="%{y}: %{x:.1f}% predicted<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=share, y=names, mode="markers", name="as corrected by labels, 95% interval",
        marker={"symbol": "diamond", "size": 8, "color": style.COLOURS[0]},
        error_x={"type": "data", "symmetric": False, "array": high - share, "arrayminus": share - low,
                 "color": style.COLOURS[0], "thickness": 1.6, "width": 4},
        hovertemplate="%{y}: %{x:.1f}% corrected<extra></extra>",
    )  # fmt: skip
    # a tied image counts for each of its labels, but is predicted once
    n = style.plural(int(rows["n_predicted"].sum()), "labelled image")
    figure.update_xaxes(title_text=f"Share of images (%); from {n}", rangemode="tozero")
    figure.update_yaxes(type="category", autorange="reversed", ticks="")
    return figure


def confusion_matrix(confusions: pd.DataFrame, titles: Mapping[str, str], *, n_images: int) -> "go.Figure":
    """Draw what people say against what the model says, a number in each cell.

    Parameters
    ----------
    confusions
        The table `label_confusions`.
    titles
        Category names and what people read for them.
    n_images
        Labelled images it is about; a tied one stands in several cells.
    """
    found = set(confusions["label"]) | set(confusions["category"])
    names = [*(name for name in titles if name in found), *sorted(found - set(titles))]
    cells = confusions.set_index(["label", "category"]).reindex(pd.MultiIndex.from_product([names, names]))
    share, counted = (cells[value].to_numpy(float).reshape(len(names), -1) for value in ("share", "n_images"))
    of_label = share.sum(axis=1, keepdims=True)
    percent = np.divide(100 * share, of_label, out=np.full_like(share, np.nan), where=of_label > 0)
    shown = [style.title_of(name, titles) for name in names]
    figure = style.new_figure(height=230 + 46 * len(names))
    figure.add_heatmap(
        z=percent, x=shown, y=shown, zmin=0, zmax=100, xgap=1, ygap=1, customdata=counted,
        colorscale=[[0, "#ffffff"], [1, "#08306b"]], colorbar={"title": {"text": "% of row"}, "thickness": 12},
        hovertemplate="people say %{y}<br>model says %{x}<br>%{z:.1f}%; %{customdata:.0f} labelled images"
        "<extra></extra>",
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(percent):
        if counted[row, column]:
            figure.add_annotation(
                x=shown[column], y=shown[row], showarrow=False,
                text=f"{style.number(value, 0 if value >= 0.95 else 1)}<br>({style.count(counted[row, column])})",
                font={"size": 11, "color": "white" if value > 50 else style.INK},
            )  # fmt: skip
    n = style.plural(n_images, "labelled image")
    figure.update_xaxes(title_text=f"The model says; {n}", ticks="", tickangle=-40, showgrid=False)
    figure.update_yaxes(title_text="People say", autorange="reversed", ticks="", showgrid=False)
    return figure


def reliability_curve(bins: pd.DataFrame) -> "go.Figure":
    """Draw how often people agree against the model's probability, with the line of perfect calibration.

    Parameters
    ----------
    bins
        The table `reliability_bins`.
    """
    figure = style.new_figure(height=520)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", name="as often as it says",
        line={"color": style.INK, "dash": "dash", "width": 1.2},
    )  # fmt: skip
    counts = []
    for stage, (label, colour, symbol, dash) in _STAGES.items():
        rows = bins[bins["stage"] == stage].sort_values("bin")
        if rows.empty:
            continue
        share = rows["agreement_share"].to_numpy(float)
        counts.append(int(rows["n_images"].sum()))
        figure.add_scatter(
            x=rows["mean_probability"].to_numpy(float), y=share, mode="lines+markers", name=label,
            line={"color": colour, "dash": dash, "width": 1.5},
            marker={"symbol": symbol, "size": 9, "color": colour, "line": {"width": 2, "color": colour}},
            error_y={"type": "data", "symmetric": False, "color": colour, "thickness": 1.2, "width": 3,
                     "array": rows["agreement_high"].to_numpy(float) - share,
                     "arrayminus": share - rows["agreement_low"].to_numpy(float)},
            text=[style.plural(n, "labelled image") for n in rows["n_images"]],
            hovertemplate="probability %{x:.2f}, people agree %{y:.2f}<br>%{text}<extra></extra>",
        )  # fmt: skip
    n = style.plural(max(counts, default=0), "labelled image")
    figure.update_xaxes(title_text=f"Mean probability of the category predicted; {n}", range=[-0.02, 1.03])
    figure.update_yaxes(
        title_text="Share of images on which people agree<br>bar: 95% interval", range=[-0.03, 1.03]
    )
    return figure
