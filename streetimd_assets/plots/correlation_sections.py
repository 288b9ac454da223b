"""Sections on how embeddings go with deprivation: dimension by dimension, and by principal component."""

import numpy as np
import pandas as pd

from streetimd_assets.plots import components as component_figures
from streetimd_assets.plots import correlation, model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of
from streetimd_assets.schemas import MEASURES


def add_correlation(page: pages.Page, tables: Tables) -> None:
    """Add the correlation of single dimensions beside what noise alone reaches."""
    found, noise = rows_of(tables, "imd_correlations"), rows_of(tables, "noise_correlations")
    title = "Correlation with deprivation, beside noise"
    if found is None:
        page.add_section("correlation", title, missing_note("imd_correlations"))
        return
    drawn = noise if noise is not None else pd.DataFrame(columns=["kind", "max_absolute_r"])
    target = model_sections.target_of(tables)
    measure = target if target in set(found["measure"]) else str(found["measure"].min())
    strongest = correlation.correlations_beside_noise(found, drawn, measure=measure)
    signed = correlation.correlations_beside_noise(found, drawn, measure=measure, order="dimension")
    page.add_section(
        "correlation",
        title,
        _noise_sentences(found[found["measure"] == measure], noise, measure),
        page.figure(
            strongest,
            name=f"Dots: strength of each dimension’s correlation with {style.measure_label(measure)}",
            caption="Every embedding dimension, the strongest first. The grey band is the sampling-noise floor, "
            "the dotted one the spatial-noise floor; the bars at the side count draws of noise by the largest |r| "
            "they reached, hatched for spatial noise.",
        ),
        page.figure(
            signed,
            name=f"Bars: signed correlation of each dimension with {style.measure_label(measure)}",
            caption="The same correlations with their sign, by dimension.",
        ),
        _spatial_sentences(tables, found[found["measure"] == measure], measure),
        _measure_table(found, noise),
        *(missing_note(name) for name in ("noise_correlations", "spatial_fields") if rows_of(tables, name) is None),
        pages.paragraph(
            "Naive p- and q-values take LSOAs as independent, which they are not: neighbours resemble one "
            "another, and two smooth patterns that have nothing to do with each other go together more often "
            "than these values say. Naive values are kept for comparison with studies that report them.",
            "Spatial p-values set the measure beside random surfaces with its very values and as smooth as it "
            "is, drawn from a field fitted to it; spectral ones beside surfaces with the same Moran’s I (Moran "
            "spectral randomisation), which are a little too small where a measure is very smooth. "
            "A correlation that stands out from both still does not say why.",
        ),
    )


def strongest_of(rows: pd.DataFrame) -> pd.Series:
    """Return the row with the largest |r|; the first row where no r is known."""
    return rows.iloc[int(np.argmax(rows["pearson_r"].abs().fillna(-1).to_numpy()))]


def _noise_sentences(rows: pd.DataFrame, noise: pd.DataFrame | None, measure: str) -> str:
    strongest = strongest_of(rows)
    sentences = [
        f"The strongest of {style.plural(len(rows), 'dimension')} is number "
        f"{style.count(strongest['dimension'])}: r = {style.number(strongest['pearson_r'])} with "
        f"{style.measure_label(measure)}, over "
        f"{style.plural(strongest['n_lsoas'], 'LSOA')}."
    ]
    for floor, what in (
        (correlation.SAMPLING, "As many dimensions of independent random numbers"),
        (correlation.SPATIAL, "The same dimensions beside random surfaces as smooth as the target of the models"),
    ):
        ends = correlation.noise_floor(noise, floor)
        if ends is not None:
            low, middle, high = (style.number(end, 3) for end in ends)
            above = int((rows["pearson_r"].abs() > ends[2]).sum())
            sentences.append(
                f"{what} reach a largest |r| of {middle} ({low} to {high} in 90% of draws): the {floor.name}. "
                f"{style.plural(above, 'dimension')} {'lies' if above == 1 else 'lie'} above it."
            )
    return pages.paragraph(*sentences)


def _spatial_sentences(tables: Tables, rows: pd.DataFrame, measure: str) -> str:
    """Say how smooth a measure is, and how many dimensions stand out from chance once that is allowed for."""
    sentences = [
        f"With a false discovery rate of 5%, {_n_found(rows, 'spatial_q_value')} of "
        f"{style.plural(len(rows), 'dimension')} go with {style.measure_label(measure)} more than random surfaces "
        f"as smooth as it do ({_n_found(rows, 'spectral_q_value')} by spectral randomisation); the naive test, "
        f"which takes LSOAs as independent, would say {_n_found(rows, 'q_value')}."
    ]
    fields = rows_of(tables, "spatial_fields")
    own = fields[fields["measure"] == measure] if fields is not None else pd.DataFrame()
    if len(own):
        field = own.iloc[0]
        reach, longest = (style.number(field[name] / 1000, 1) for name in ("range_m", "longest_range_m"))
        sentences.insert(
            0,
            f"{style.measure_label(measure)} is alike among neighbours: Moran’s I is "
            f"{style.number(field['morans_i'])}, {style.percent(field['smooth_share'], 0)} of its variance is "
            f"common to neighbours, and their likeness falls to 1/e over {reach} km{_stretched(field)}. "
            f"Up to {longest} km is nearly as likely: surfaces are drawn with that, so as not to be too rough.",
        )
    return pages.paragraph(*sentences)


def _stretched(field: pd.Series) -> str:
    """Return in which direction likeness reaches farther, in words; empty if it is the same in all."""
    if field["stretch"] < 1.05:
        return ""
    return (
        f" ({style.number(field['stretch'], 1)} times farther along a bearing of "
        f"{style.count(field['bearing_deg'])}° than across it)"
    )


def _n_found(rows: pd.DataFrame, column: str) -> str:
    """Return how many q-values are below 0.05; a dash where none is known."""
    q_values = rows[column].astype(float)
    return style.NOT_KNOWN if q_values.isna().all() else style.count((q_values < 0.05).sum())


def _measure_table(found: pd.DataFrame, noise: pd.DataFrame | None) -> str:
    ends = correlation.noise_floor(noise)
    floor = np.inf if ends is None else ends[2]
    rows = []
    order = [*MEASURES, *sorted(set(found["measure"]) - set(MEASURES))]
    for measure, group in sorted(found.groupby("measure"), key=lambda pair: order.index(str(pair[0]))):
        strongest = strongest_of(group)
        above = None if noise is None else (group["pearson_r"].abs() > floor).sum()
        rows.append(
            [style.measure_label(str(measure)), style.number(strongest["pearson_r"], 3),
             style.count(strongest["dimension"]), style.number(strongest["spearman_r"], 3), style.count(above),
             *(_n_found(group, column) for column in _Q_VALUES.values()), style.count(strongest["n_lsoas"])]
        )  # fmt: skip
    heads = [
        "Measure",
        "Strongest r",
        "Dimension",
        "its Spearman",
        "above the<br>sampling floor",
        *_Q_VALUES,
        "LSOAs",
    ]
    caption = "Dimensions by measure; the sampling-noise floor was drawn for the target of the models"
    return pages.table(caption, heads, rows)


_Q_VALUES = {
    "naive<br>q < 0.05": "q_value",
    "spatial<br>q < 0.05": "spatial_q_value",
    "spectral<br>q < 0.05": "spectral_q_value",
}


def add_components(page: pages.Page, tables: Tables) -> None:
    """Add the principal components and their correlation with the target."""
    components = rows_of(tables, "embedding_components")
    if components is None:
        page.add_section("components", "Principal components", missing_note("embedding_components"))
        return
    target = model_sections.target_of(tables)
    strongest = strongest_of(components)
    page.add_section(
        "components",
        "Principal components",
        pages.paragraph(
            f"{style.plural(len(components), 'component')} carry "
            f"{style.percent(components['explained_variance_share'].sum())} of the variance of the mean "
            "embeddings.",
            f"Component {style.count(strongest['component'])} goes most with {style.measure_label(target)}: "
            f"r = {style.number(strongest['pearson_r'])}. The sign of a component is arbitrary.",
        ),
        page.figure(
            component_figures.component_variances_and_correlations(components, target=target),
            name="Bars: variance and correlation of each principal component",
            caption="Above, the share of variance; below, the correlation of the scores with deprivation.",
        ),
        page.figure(
            component_figures.component_loadings(components),
            name="Lines: ranked loadings of the first principal components",
            caption="How much each dimension counts in a component, largest first. A steep end is a component of "
            "few dimensions; a straight slope is one of all alike.",
        ),
        *_plane(page, tables, components, target),
    )


def _plane(page: pages.Page, tables: Tables, components: pd.DataFrame, target: str) -> list[str]:
    scores, deprivation = rows_of(tables, "component_scores"), rows_of(tables, "deprivation_indices")
    if scores is None or deprivation is None or "component_2" not in scores or target not in deprivation:
        return []
    drawn = component_figures.component_plane(scores, deprivation, components, target=target)
    return [
        page.figure(
            drawn,
            name="Dots: LSOAs on the first two principal components, by deprivation",
            caption="One dot per LSOA, dark is most deprived. Where dark and light dots lie apart, deprivation "
            "goes with what differs most from street to street.",
        )
    ]
