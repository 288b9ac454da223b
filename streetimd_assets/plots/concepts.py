"""What deprivation looks like in words: texts by how they go with it, beside random words."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.plots import model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

_RANDOM = "random"
_KINDS = {"pair": "Pairs of opposites", "prompt": "Single texts"}
_LONGEST_LABEL = 44
_SURE = 0.05


def add_concepts(page: pages.Page, tables: Tables) -> None:
    """Add how the places of LSOAs along texts go with deprivation."""
    found, title = rows_of(tables, "concept_correlations"), "What deprivation looks like in words"
    if found is None:
        page.add_section("concepts", title, missing_note("concept_correlations"))
        return
    target = model_sections.target_of(tables)
    measure = target if target in set(found["measure"]) else str(found["measure"].min())
    rows = found[found["measure"] == measure]
    blocks = [_introduction(rows, measure)]
    for kind, words in _KINDS.items():
        if (rows["kind"] == kind).any():
            blocks += [
                f"<h3>{words}</h3>",
                page.figure(
                    ranked_concepts(rows, kind=kind, measure=measure),
                    name=f"Dots with intervals: {words.lower()} by correlation with {style.measure_label(measure)}",
                    caption="The nearer to the top, the more a text goes with deprivation. Bars are 95% intervals "
                    "from resampling blocks of neighbours; the grey band holds 95% of "
                    f"{'random pairs of words' if kind == 'pair' else 'random words'}. Filled marks have a "
                    "spatial q below 0.05.",
                ),
            ]
    page.add_section("concepts", title, *blocks, _table(rows, measure))


def ranked_concepts(correlations: pd.DataFrame, *, kind: str, measure: str, n_each_end: int = 15) -> "go.Figure":
    """Draw r of texts with a measure as ranked dots with intervals, and the band of random words.

    Parameters
    ----------
    correlations
        The table `concept_correlations`; rows of other measures are left out.
    kind
        ``"pair"`` or ``"prompt"``: a pair is set beside random pairs, a text beside random words.
    measure
        A measure of the table, for example ``"imd_rank"``.
    n_each_end
        Of more than twice as many only those at either end are drawn, and the axis says so.
    """
    of_measure = correlations[correlations["measure"] == measure]
    rows = _ranked(of_measure[of_measure["kind"] == kind], measure)
    drawn = pd.concat([rows.head(n_each_end), rows.tail(n_each_end)]) if len(rows) > 2 * n_each_end else rows
    figure = style.new_figure(height=150 + 22 * max(len(drawn), 1))
    place, is_sure = np.arange(len(drawn)), (drawn["spatial_q_value"] < _SURE).to_numpy()
    for chosen, name, symbol in ((is_sure, "q < 0.05", "circle"), (~is_sure, "q not below 0.05", "circle-open")):
        if chosen.any():
            _draw_dots(figure, drawn[chosen], place[chosen], name=name, symbol=symbol)
    _draw_band(figure, random_words(of_measure, is_pair=kind == "pair"), is_pair=kind == "pair")
    shown = style.plural(len(rows), "text" if kind == "prompt" else "pair")
    if len(drawn) < len(rows):
        shown = f"{style.count(len(drawn))} of {shown}, those at either end"
    side = "left" if style.low_is_deprived(measure) else "right"
    n_lsoas = style.plural(int(rows["n_lsoas"].max()), "LSOA") if len(rows) else "no LSOAs"
    figure.update_xaxes(
        title_text=f"r with {style.measure_label(measure)}: deprivation to the {side}<br>{shown}; {n_lsoas}",
        zeroline=True,
        zerolinecolor=style.NOISE,
    )
    figure.update_yaxes(
        tickmode="array", tickvals=place.tolist(), ticktext=[_label(name) for name in drawn["concept"]],
        range=[len(drawn) - 0.4, -0.6], ticks="",
    )  # fmt: skip
    return figure


def random_words(rows: pd.DataFrame, *, is_pair: bool) -> pd.DataFrame:
    """Return the random words of one measure that texts, or pairs, are held beside, with a known r."""
    return rows[(rows["kind"] == _RANDOM) & (rows["away"].notna() == is_pair) & rows["pearson_r"].notna()]


def _ranked(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Order texts from those that go most with deprivation to those that go most against it."""
    known = rows[rows["pearson_r"].notna()]
    return known.sort_values(["pearson_r", "concept"], ascending=[style.low_is_deprived(measure), True])


def _label(concept: object) -> str:
    return style.escape(textwrap.shorten(str(concept), _LONGEST_LABEL, placeholder=" …"))


def _draw_dots(
    figure: "go.Figure",
    rows: pd.DataFrame,
    place: npt.NDArray[np.intp],
    *,
    name: str,
    symbol: str,
) -> None:
    r = rows["pearson_r"].to_numpy(float)
    low, high = rows["pearson_r_low"].to_numpy(float), rows["pearson_r_high"].to_numpy(float)
    text = [
        f"{style.escape(row['concept'])}<br>r = {_interval(row)}<br>Spearman {style.number(row['spearman_r'])}"
        f"<br>spatial q {style.number(row['spatial_q_value'], 3)}"
        for row in rows.to_dict("records")
    ]
    figure.add_scatter(
        x=r, y=place, mode="markers", name=name, text=text, hoverinfo="text",
        marker={"color": style.COLOURS[0], "symbol": symbol, "size": 9, "line": {"width": 1.5}},
        error_x={
            "type": "data", "symmetric": False, "array": np.nan_to_num(np.maximum(high - r, 0)),
            "arrayminus": np.nan_to_num(np.maximum(r - low, 0)), "color": style.INK, "thickness": 1.2, "width": 3,
        },
    )  # fmt: skip


def _draw_band(figure: "go.Figure", null: pd.DataFrame, *, is_pair: bool) -> None:
    """Draw where 95% of random words lie."""
    if null.empty:
        return
    low, high = np.quantile(null["pearson_r"].to_numpy(float), [0.025, 0.975])
    figure.add_shape(
        type="rect", yref="paper", x0=low, x1=high, y0=0, y1=1, fillcolor=style.NOISE_BAND, line_width=0,
        layer="below",
    )  # fmt: skip
    figure.add_annotation(
        xref="x", yref="paper", x=high, y=1, xanchor="right", yanchor="bottom", showarrow=False,
        text=f"95% of {style.plural(len(null), 'random pair' if is_pair else 'random word')}",
        font={"size": 12, "color": style.QUIET_INK},
    )  # fmt: skip


def _interval(row: Mapping[Any, Any] | pd.Series) -> str:
    value = style.number(row["pearson_r"])
    if style.is_missing(row["pearson_r_low"]):
        return value
    return f"{value} ({style.number(row['pearson_r_low'])} to {style.number(row['pearson_r_high'])})"


def _introduction(rows: pd.DataFrame, measure: str) -> str:
    told = _ranked(rows[rows["kind"] != _RANDOM], measure)
    explained = pages.paragraph(
        "The model puts images and texts into one space, so a text is a direction there, and the place of an LSOA "
        "along it is the mean over its images of their likeness to the text. What any text at all would show falls "
        "out: a single text is taken less the mean of all of them, and of a pair one end less the other.",
        "These are the model’s associations of words with pictures, learnt from the captions of others: they tell "
        "what it sees in streets and what it takes words to mean, and nothing of the people who live there.",
    )
    return explained + (pages.paragraph(*_findings(rows, told, measure)) if len(told) else "")


def _findings(rows: pd.DataFrame, told: pd.DataFrame, measure: str) -> list[str]:
    most, least = told.iloc[0], told.iloc[-1]
    sure = int((told["spatial_q_value"] < _SURE).sum())
    beyond = int((told["random_word_p_value"] <= _SURE).sum())
    n_random = len(random_words(rows, is_pair=False))
    return [
        f"Of {style.plural(len(told), 'text or pair', 'texts and pairs')}, “{style.escape(most['concept'])}” goes "
        f"most with deprivation: r = {_interval(most)} with {style.measure_label(measure)}; "
        f"“{style.escape(least['concept'])}” goes most against it: r = {_interval(least)}.",
        f"{style.count(sure)} have a q below 0.05 beside random surfaces that are as smooth as deprivation.",
        f"{style.count(beyond)} go with it more, either way, than 95% of random words, which have nothing to do "
        f"with it ({style.plural(n_random, 'word')}, and as many pairs): by chance alone about "
        f"{style.count(_SURE * len(told))} would."
        if n_random
        else "",
    ]


def _table(rows: pd.DataFrame, measure: str) -> str:
    cells = [
        [style.escape(row["concept"]), _opposite(row), _interval(row), style.number(row["spearman_r"]),
         style.number(row["spatial_p_value"], 4), style.number(row["spatial_q_value"], 3),
         style.number(row["random_word_p_value"], 3)]
        for row in _ranked(rows[rows["kind"] != _RANDOM], measure).to_dict("records")
    ]  # fmt: skip
    heads = ["Text or pair", "Opposite", "r (95% interval)", "Spearman", "spatial p", "spatial q", "random words p"]
    caption = f"Texts by correlation with {style.measure_label(measure)}, those that go with deprivation first"
    return pages.table(caption, heads, cells, words=(0, 1))


def _opposite(row: Mapping[Any, Any] | pd.Series) -> str:
    """Return the texts at the low end of a pair; a dash if it has none."""
    away = row["away"]
    return style.escape(away if style.is_missing(away) else "; ".join(str(away).split("\n")))
