"""How sure the classification is of itself, and how much it hangs on the words of the prompts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.plots import pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

# a category that no street shows should take less than this
MOST_FOR_A_CONTROL = 0.005
_MOST_VARIANTS = 24
_SHARES = {"least": 0.05, "lower": 0.25, "middle": 0.5, "upper": 0.75, "most": 0.95}
_KINDS = {
    "reworded": ("in another sentence", style.COLOURS[0], ""),
    "without_prompt": ("one prompt left out", style.COLOURS[5], "/"),
    "without_template": ("one template left out", style.COLOURS[2], "x"),
}


def add_quality(page: pages.Page, tables: Tables, titles: Mapping[str, str]) -> None:
    """Add how decided the model is, and what other prompts would change."""
    page.add_section(
        "quality",
        "How good the classification is",
        "<h3>How decided the model is</h3>",
        *_decisiveness(page, rows_of(tables, "category_probabilities"), titles),
        "<h3>What other words would change</h3>",
        *_sensitivity(page, rows_of(tables, "prompt_sensitivities"), titles),
    )


def _decisiveness(page: pages.Page, images: pd.DataFrame | None, titles: Mapping[str, str]) -> list[str]:
    if images is None:
        return [missing_note("category_probabilities")]
    probability, margin = images["probability"].to_numpy(float), images["margin"].to_numpy(float)
    return [
        pages.paragraph(
            f"The median image has probability {style.number(np.median(probability), 3)} for its category and a "
            f"margin of {style.number(np.median(margin), 3)}; "
            f"{style.percent(np.mean(probability < 0.5))} of {style.plural(len(images), 'image')} have none above "
            "0.5.",
            f"Probability is {style.SHARE_NOTE}. A model can be sure and wrong. Margin is the cosine similarity of "
            "the first category minus that of the second.",
        ),
        page.figure(
            probability_and_margin(probability, margin),
            name="Bars: images by probability of their category, and by margin",
            caption="Images at the right are clear cases to the model; those at the left it can hardly decide.",
        ),
        page.figure(
            probability_by_category(images, titles),
            name="Lines and dots: probability of the images given each category",
            caption="Dot: the median of the images given the category; thick line: the middle half; thin line: "
            "nine in ten.",
        ),
    ]


def probability_and_margin(probability: npt.NDArray[np.float64], margin: npt.NDArray[np.float64]) -> "go.Figure":
    """Draw how many images have which probability, and which margin.

    Parameters
    ----------
    probability
        Of the category each image was given, shape (n_images,).
    margin
        Cosine similarity of the first category minus that of the second, shape (n_images,).
    """
    figure = style.new_figure(height=320, showlegend=False, margin={"t": 16, "b": 96})
    widest = max(float(margin.max(initial=0)), 0.05)
    for place, (values, high, name) in enumerate(((probability, 1.0, "probability"), (margin, widest, "margin"))):
        counts, edges = np.histogram(values, bins=20, range=(0, high))
        text = [
            f"{name} {style.number(low)} to {style.number(top)}<br>{style.plural(int(n), 'image')}"
            for low, top, n in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges), text=text, textposition="none",
            hoverinfo="text", marker={"color": style.COLOURS[0], "line": {"color": "white", "width": 1}},
            xaxis="x2" if place else "x", yaxis="y2" if place else "y",
        )  # fmt: skip
    images = style.plural(len(probability), "image")
    figure.update_layout(
        xaxis={"domain": [0, 0.42], "range": [0, 1],
               "title": {"text": f"Probability of the category given<br>{images}, 20 steps"}},
        yaxis={"title": {"text": "Images"}, "rangemode": "tozero"},
        xaxis2={"domain": [0.58, 1], "anchor": "y2", "range": [0, widest],
                "title": {"text": f"Margin (difference of cosines)<br>{images}, 20 steps"}},
        yaxis2={"anchor": "x2", "title": {"text": "Images"}, "rangemode": "tozero"},
    )  # fmt: skip
    return figure


def probability_by_category(images: pd.DataFrame, titles: Mapping[str, str]) -> "go.Figure":
    """Draw the probability of the images given each category: median, middle half, nine in ten.

    Parameters
    ----------
    images
        Columns ``category`` and ``probability`` of the table `category_probabilities`.
    titles
        Category names and what people read for them.
    """
    groups = images.groupby("category")["probability"]
    ends = pd.DataFrame({name: groups.quantile(share) for name, share in _SHARES.items()})
    ends = ends.assign(n=groups.size(), name=ends.index).sort_values(["middle", "name"], ascending=[False, True])
    figure = style.new_figure(height=110 + 26 * len(ends), showlegend=False, margin={"t": 16})
    place = np.arange(len(ends))
    for first, last, width in (("least", "most", 1.5), ("lower", "upper", 6)):
        figure.add_scatter(
            x=_gapped(ends[first], ends[last]), y=_gapped(place, place), mode="lines", hoverinfo="skip",
            line={"color": style.NOISE, "width": width},
        )  # fmt: skip
    labels = [style.title_of(str(name), titles) for name in ends.index]
    figure.add_scatter(
        x=ends["middle"].to_numpy(), y=place, mode="markers", hoverinfo="text",
        marker={"color": style.COLOURS[0], "size": 10},
        text=[
            f"{label}<br>median {style.number(middle)}<br>{style.plural(int(n), 'image')}"
            for label, middle, n in zip(labels, ends["middle"], ends["n"], strict=True)
        ],
    )  # fmt: skip
    figure.update_xaxes(
        title_text=f"Probability of the category given; {style.plural(len(images), 'image')}", range=[0, 1.01]
    )
    figure.update_yaxes(
        tickmode="array", tickvals=place,
        ticktext=[f"{label} (n = {style.count(n)})" for label, n in zip(labels, ends["n"], strict=True)],
        range=[len(ends) - 0.5, -0.5], ticks="",
    )  # fmt: skip
    return figure


def _gapped(first: "npt.ArrayLike", last: "npt.ArrayLike") -> list[float | None]:
    """Return pairs of numbers one after the other with a gap between pairs: one trace of many lines."""
    return [end for low, high in zip(np.asarray(first), np.asarray(last), strict=True) for end in (low, high, None)]


def pooled_sensitivities(sensitivities: pd.DataFrame) -> pd.DataFrame:
    """Sum `prompt_sensitivities` over local authorities.

    Returns
    -------
    pooled
        Columns ``variant``, ``kind``, ``category``, ``n_images``, ``n_changed`` and ``share``, the
        largest share first.
    """
    counted = sensitivities.assign(category=sensitivities["category"].fillna(""))
    pooled = counted.groupby(["variant", "kind", "category"], as_index=False)[["n_images", "n_changed"]].sum()
    pooled["share"] = pooled["n_changed"] / pooled["n_images"].where(pooled["n_images"] > 0)
    return pooled.sort_values(["share", "variant"], ascending=[False, True], ignore_index=True)


def _sensitivity(page: pages.Page, sensitivities: pd.DataFrame | None, titles: Mapping[str, str]) -> list[str]:
    if sensitivities is None:
        return [missing_note("prompt_sensitivities")]
    pooled = pooled_sensitivities(sensitivities)
    changes, controls = pooled[pooled["kind"] != "control"], pooled[pooled["kind"] == "control"]
    blocks = [_control_block(controls)] if len(controls) else []
    if len(changes):
        middle = changes["share"].median()
        blocks += [
            pages.paragraph(
                f"The same images were classified with {style.plural(len(changes), 'change')} of the prompts. The "
                f"median change moves {style.percent(middle)} of the images to another category, the largest "
                f"{style.percent(changes['share'].max())}. Where a small change of words moves many images, the "
                "shares of those categories are a matter of wording: look at which categories swap, and give them "
                "more prompts."
            ),
            page.figure(
                changed_by_variant(changes, titles),
                name="Bars: share of images that change category, by change of the prompts",
                caption="The same images, classified by other words; bars of prompts and of templates left out are "
                "hatched.",
            ),
            _kind_table(changes, titles),
        ]
    return blocks


def _control_block(controls: pd.DataFrame) -> str:
    sentences = [
        f"As a category among the others, <em>{style.escape(str(row['variant']).removeprefix('control: '))}</em>, "
        f"which no street shows, would take {style.count(row['n_changed'])} of "
        f"{style.plural(row['n_images'], 'image')} ({style.percent(row['share'], 2)}); "
        + (
            "that is as little as it should be."
            if not row["share"] >= MOST_FOR_A_CONTROL
            else f"under {style.percent(MOST_FOR_A_CONTROL)} was to be expected: some images fit no category."
        )
        for row in controls.to_dict("records")
    ]
    return pages.paragraph(*sentences)


def changed_by_variant(changes: pd.DataFrame, titles: Mapping[str, str]) -> "go.Figure":
    """Draw the share of images that change category, for the changes of the prompts that move most.

    Parameters
    ----------
    changes
        From :func:`pooled_sensitivities`, without controls.
    titles
        Category names and what people read for them.
    """
    moving = changes[changes["n_changed"] > 0]
    top = moving.head(_MOST_VARIANTS).reset_index(drop=True)
    figure = style.new_figure(height=170 + 34 * max(len(top), 1))
    for kind in [*_KINDS, *sorted(set(top["kind"]) - set(_KINDS))]:
        rows = top[top["kind"] == kind]
        if rows.empty:
            continue
        name, colour, pattern = _KINDS.get(kind, (style.escape(kind), style.COLOURS[6], "."))
        figure.add_bar(
            x=100 * rows["share"].to_numpy(float), y=rows.index.to_numpy(), orientation="h", name=name,
            # else bars of a kind that stands far apart grow over those between
            width=0.8,
            marker={"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}}, hoverinfo="text",
            text=[
                f"{_variant_label(row, titles)}<br>{style.count(row['n_changed'])} of "
                f"{style.plural(row['n_images'], 'image')} change category"
                for row in rows.to_dict("records")
            ],
            textposition="none",
        )  # fmt: skip
    figure.update_xaxes(
        title_text=f"Images that change category (%) of {style.count(changes['n_images'].max())}<br>"
        f"{_how_many(len(top), len(moving), len(changes))}",
        rangemode="tozero",
    )
    figure.update_yaxes(
        tickmode="array", tickvals=top.index.to_list(), ticks="", range=[len(top) - 0.4, -0.6],
        ticktext=[_short(_variant_label(row, titles)) for row in top.to_dict("records")],
    )  # fmt: skip
    figure.update_layout(barmode="overlay")
    return figure


def _how_many(n_drawn: int, n_moving: int, n_changes: int) -> str:
    """Say how many changes are drawn, and what the others do."""
    weaker = f", {n_moving - n_drawn} move fewer" if n_moving > n_drawn else ""
    still = f", {n_changes - n_moving} move none" if n_changes > n_moving else ""
    return f"{style.plural(n_changes, 'change')}: {n_drawn} drawn{weaker}{still}"


def _variant_label(row: Mapping[Any, Any], titles: Mapping[str, str]) -> str:
    """Return a change in words, escaped; the category's title in place of its name."""
    variant, category = str(row["variant"]).replace("{}", "…"), str(row["category"])
    if category and variant.startswith(category):
        return style.title_of(category, titles) + style.escape(variant.removeprefix(category))
    return style.escape(variant)


def _short(label: str) -> str:
    """Break a long label once, at a space: the side of a figure is narrow."""
    if len(label) <= 40:
        return label
    at = label.rfind(" ", 0, 40)
    return label if at < 0 else f"{label[:at]}<br>{label[at + 1 :]}"


def _kind_table(changes: pd.DataFrame, titles: Mapping[str, str]) -> str:
    rows = [
        [_KINDS.get(str(kind), (style.escape(kind),))[0], style.count(len(group)),
         style.percent(group["share"].median()), style.percent(group["share"].max()),
         _variant_label(group.to_dict("records")[0], titles) if group["n_changed"].any() else "none"]
        for kind, group in changes.groupby("kind", sort=True)
    ]  # fmt: skip
    heads = ["Prompts", "Changes", "Median share<br>of images", "Largest", "by"]
    return pages.table("Images that change category, by kind of change", heads, rows, words=(0, 4))
