"""Sections of the study report: what was asked, what was found, and how far it can be trusted."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from streetimd_assets.plots import correlation, coverage, importance, model_sections, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of
from streetimd_assets.schemas import MEASURES


def question(tables: Tables) -> str:
    """Return the question in three sentences, and the headline if there are models."""
    asked = pages.paragraph(
        "Streets look different in deprived and in prosperous neighbourhoods.",
        "This study turns street images into numbers per LSOA, with a model that was never shown a deprivation "
        "figure.",
        "It asks how much of deprivation those numbers can tell in neighbourhoods held out from the fit, beyond "
        "what location and chance alone would give.",
    )
    found = model_sections.headline(rows_of(tables, "model_scores"))
    return asked + (f'\n<p class="headline">{found}</p>' if found else "")


def add_coverage(page: pages.Page, tables: Tables) -> None:
    """Add what was covered, by local authority and by status."""
    features = rows_of(tables, "lsoa_features")
    blocks = []
    if features is None:
        blocks.append(missing_note("lsoa_features"))
    else:
        counts = coverage.authority_counts(features, rows_of(tables, "lsoa_boundaries"))
        total = counts.sum()
        blocks.append(
            pages.paragraph(
                f"{style.count(total['n_lsoas_with_images'])} of {style.plural(total['n_lsoas'], 'LSOA')} in "
                f"{style.plural(len(counts), 'local authority', 'local authorities')} have images: "
                f"{style.count(total['n_images'])} were classified and {style.count(total['n_images_kept'])} kept.",
                coverage.capture_sentence(rows_of(tables, "panoramas")),
            )
        )
        blocks.append(coverage.authority_table(counts))
    page.add_section("coverage", "Coverage", *blocks, coverage.status_table(tables))


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
    strongest = correlation.correlations_beside_noise(found, drawn, measure=measure)
    signed = correlation.correlations_beside_noise(found, drawn, measure=measure, order="dimension")
    page.add_section(
        "correlation",
        title,
        _noise_sentences(found[found["measure"] == measure], noise, measure),
        page.figure(
            strongest,
            name=f"Dots: strength of each dimension’s correlation with {style.measure_label(measure)}",
            caption="Every embedding dimension, the strongest first; the grey band is the sampling-noise floor, "
            "and the bars at the side count draws of noise by the largest |r| they reached.",
        ),
        page.figure(
            signed,
            name=f"Bars: signed correlation of each dimension with {style.measure_label(measure)}",
            caption="The same correlations with their sign, by dimension.",
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


def _noise_sentences(rows: pd.DataFrame, noise: pd.DataFrame | None, measure: str) -> str:
    strongest = strongest_of(rows)
    sentences = [
        f"The strongest of {style.plural(len(rows), 'dimension')} is number "
        f"{style.count(strongest['dimension'])}: r = {style.number(strongest['pearson_r'])} with "
        f"{style.measure_label(measure)}, over "
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
             style.count(strongest["dimension"]), style.number(strongest["spearman_r"], 3), style.count(above),
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
            correlation.component_variances_and_correlations(components, target=target),
            name="Bars: variance and correlation of each principal component",
            caption="Above, the share of variance; below, the correlation of the scores with deprivation.",
        ),
    )


def add_importance(page: pages.Page, tables: Tables, titles: Mapping[str, str]) -> None:
    """Add the features the models lean on, by each method."""
    rows = rows_of(tables, "feature_importances")
    if rows is None:
        page.add_section("importance", "Feature importance", missing_note("feature_importances"))
        return
    blocks = [
        pages.paragraph(
            "Embedding dimensions have no names and go together: shuffling one of several that say the same costs "
            "little, so a small bar does not mean a useless feature. Importance is the model’s, not the world’s."
        )
    ]
    for method, model_id in sorted(set(zip(rows["method"], rows["model_id"], strict=True)), reverse=True):
        blocks.append(
            page.figure(
                importance.ranked_importances(rows, method=method, titles=titles, model_id=model_id),
                name=f"Bars: features ranked by {style.escape(method)} importance",
                caption=f"{style.escape(method).capitalize()} importance in model "
                f"<code>{style.escape(model_id)}</code>; hatched bars are category shares.",
            )
        )
    page.add_section("importance", "Feature importance", *blocks)


def add_recovered(page: pages.Page, tables: Tables) -> None:
    """Add what was planted beside what was recovered, where the world is synthetic."""
    rows = rows_of(tables, "recovered_beside_planted")
    if rows is None:
        return
    cells = [
        [
            style.escape(row["finding"]),
            _found(row["planted"]),
            _found(row["recovered"]),
            style.escape(row["unit"]),
        ]
        for row in rows.to_dict("records")
    ]
    page.add_section(
        "recovered",
        "Planted and recovered",
        pages.paragraph(
            "The images were painted, so the answers are known; this is how well they were found again."
        ),
        pages.table("Planted and recovered", ["Finding", "Planted", "Recovered", "Unit"], cells, words=(0, 3)),
    )


def _found(value: object) -> str:
    return style.number(value, 3) if isinstance(value, int | float) else style.escape(value)


def add_meaning(page: pages.Page) -> None:
    """Add what the numbers do and do not say."""
    page.add_section(
        "meaning",
        "What these numbers say, and what they do not",
        pages.bullets(
            [
                "These are statements about neighbourhoods (LSOAs), never about the people or households in them.",
                "Correlation is not causation: the look of a street neither makes nor proves deprivation.",
                "A prediction is an estimate with an error, not a measurement; the official index stays the "
                "reference, and rank 1 is the most deprived.",
                f"Probability is {style.SHARE_NOTE}; categories are what the model takes an image for.",
                "Max pooling grows with sample size: an LSOA with more images has higher maxima.",
                "Neighbouring LSOAs resemble one another: random folds flatter every model, and p-values that "
                "take LSOAs as independent are too small.",
                "Images show streets where and when a camera passed; places without images are not described.",
            ]
        ),
    )
