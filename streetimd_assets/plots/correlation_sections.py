"""Sections on how embeddings go with deprivation: dimension by dimension, and by principal component."""

import numpy as np
import pandas as pd

from streetimd_assets.plots import correlation, model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, area_table_of, missing_note, rows_of
from streetimd_assets.schemas import MEASURES


def add_correlation(page: pages.Page, tables: Tables) -> None:
    """Add the correlation of single dimensions beside what noise alone reaches."""
    found, noise = rows_of(tables, "imd_correlations"), rows_of(tables, "noise_correlations")
    title = "Correlation with deprivation, beside noise"
    if found is None:
        page.add_section("correlation", title, missing_note("imd_correlations"))
        return
    drawn = noise if noise is not None else pd.DataFrame(columns=["max_absolute_r"])
    target = model_sections.target_of(tables)
    measure = target if target in set(found["measure"]) else str(found["measure"].min())
    noun = "area feature" if correlation.are_named(found) else "embedding dimension"
    strongest = correlation.correlations_beside_noise(found, drawn, measure=measure)
    signed = correlation.correlations_beside_noise(found, drawn, measure=measure, order="dimension")
    page.add_section(
        "correlation",
        title,
        _noise_sentences(found[found["measure"] == measure], noise, measure),
        page.figure(
            strongest,
            name=f"Dots: strength of each {noun}’s correlation with {style.measure_label(measure)}",
            caption=f"Every {noun}, the strongest first; the grey band is the sampling-noise floor, "
            "and the bars at the side count draws of noise by the largest |r| they reached.",
        ),
        page.figure(
            signed,
            name=f"Bars: signed correlation of each {noun} with {style.measure_label(measure)}",
            caption=f"The same correlations with their sign, by {noun}.",
        ),
        _measure_table(found, noise),
        "" if noise is not None else missing_note("noise_correlations"),
        pages.paragraph(
            "p-values and q-values take LSOAs as independent, which they are not: neighbours resemble one "
            "another, so the values are too small. The sampling-noise floor is drawn from noise without any "
            "spatial pattern; a smooth pattern that has nothing to do with deprivation can rise above it too. "
            "To lie above the floor is necessary, not sufficient."
        ),
    )


def strongest_of(rows: pd.DataFrame) -> pd.Series:
    """Return the row with the largest |r|; the first row where no r is known."""
    return rows.iloc[int(np.argmax(rows["pearson_r"].abs().fillna(-1).to_numpy()))]


def _name_of(row: pd.Series) -> str:
    """Return the area feature's own name, escaped, or the number of the dimension."""
    named = row.get("feature")
    return f"number {style.count(row['dimension'])}" if style.is_missing(named) else style.escape(named)


def _noise_sentences(rows: pd.DataFrame, noise: pd.DataFrame | None, measure: str) -> str:
    strongest = strongest_of(rows)
    sentences = [
        f"The strongest of {style.plural(len(rows), 'dimension')} is {_name_of(strongest)}: "
        f"r = {style.number(strongest['pearson_r'])} with {style.measure_label(measure)}, over "
        f"{style.plural(strongest['n_lsoas'], 'LSOA')}."
    ]
    if noise is not None:
        low, middle, high = correlation.noise_floor(noise)
        above = int((rows["pearson_r"].abs() > high).sum())
        sentences.append(
            f"As many dimensions of pure noise reach a largest |r| of {style.number(middle, 3)} "
            f"({style.number(low, 3)} to {style.number(high, 3)} in 90% of {style.plural(len(noise), 'draw')}): "
            f"the sampling-noise floor. {style.plural(above, 'dimension')} lie above it."
        )
    return pages.paragraph(*sentences)


def _measure_table(found: pd.DataFrame, noise: pd.DataFrame | None) -> str:
    floor = np.inf if noise is None else correlation.noise_floor(noise)[2]
    rows = []
    order = [*MEASURES, *sorted(set(found["measure"]) - set(MEASURES))]
    for measure, group in sorted(found.groupby("measure"), key=lambda pair: order.index(str(pair[0]))):
        strongest = strongest_of(group)
        above = None if noise is None else (group["pearson_r"].abs() > floor).sum()
        rows.append(
            [style.measure_label(str(measure)), style.number(strongest["pearson_r"], 3),
             _name_of(strongest).removeprefix("number "), style.number(strongest["spearman_r"], 3),
             style.count(above),
             style.count((group["q_value"] < 0.05).sum()), style.count(strongest["n_lsoas"])]
        )  # fmt: skip
    heads = ["Measure", "Strongest r", "Dimension", "its Spearman", "above the floor", "q < 0.05", "LSOAs"]
    return pages.table("Dimensions by measure; the floor was drawn for the target of the models", heads, rows)


def add_components(page: pages.Page, tables: Tables) -> None:
    """Add the principal components and their correlation with the target."""
    components = rows_of(tables, "embedding_components")
    if components is None:
        page.add_section("components", "Principal components", missing_note("embedding_components"))
        return
    target = model_sections.target_of(tables)
    strongest = strongest_of(components)
    is_of_images = area_table_of(tables) is None
    varying = "the mean embeddings" if is_of_images else "the area features, each in standard deviations"
    page.add_section(
        "components",
        "Principal components",
        pages.paragraph(
            f"{style.plural(len(components), 'component')} carry "
            f"{style.percent(components['explained_variance_share'].sum())} of the variance of {varying}.",
            f"Component {style.count(strongest['component'])} goes most with {style.measure_label(target)}: "
            f"r = {style.number(strongest['pearson_r'])}. The sign of a component is arbitrary.",
        ),
        page.figure(
            correlation.component_variances_and_correlations(components, target=target),
            name="Bars: variance and correlation of each principal component",
            caption="Above, the share of variance; below, the correlation of the scores with deprivation.",
        ),
        *_plane(page, tables, components, target),
    )


def _plane(page: pages.Page, tables: Tables, components: pd.DataFrame, target: str) -> list[str]:
    scores, deprivation = rows_of(tables, "component_scores"), rows_of(tables, "deprivation_indices")
    if scores is None or deprivation is None or "component_2" not in scores or target not in deprivation:
        return []
    drawn = correlation.component_plane(scores, deprivation, components, target=target)
    return [
        page.figure(
            drawn,
            name="Dots: LSOAs on the first two principal components, by deprivation",
            caption="One dot per LSOA, dark is most deprived. Where dark and light dots lie apart, deprivation "
            "goes with what differs most from LSOA to LSOA.",
        )
    ]
