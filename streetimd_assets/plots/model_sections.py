"""Sections on models: which were compared, how far each got, and which one is shown in detail."""

from collections.abc import Mapping

import pandas as pd

from streetimd_assets.plots import comparison, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of

# the strictest way of holding out comes first
_MAIN_SETS = ("embeddings", "table")
_PREFERRED_SPLITS = ("leave_one_la_out", "spatial_blocks", "random_folds")


def target_of(tables: Tables) -> str:
    """Return the measure the models predict, the IMD rank where no model says otherwise."""
    scores = rows_of(tables, "model_scores")
    return "imd_rank" if scores is None else str(scores["target"].mode().iloc[0])


def headline(scores: pd.DataFrame | None) -> str:
    """Return the gain of images over what needs no image in one sentence; empty without both models.

    The image model is ridge on embeddings, or on the area features there are instead, named beforehand; the
    best of many would flatter. It is set against coordinates, or against the training mean where
    coordinates do worse than that.
    """
    if scores is None:
        return ""
    rows = comparison.overall_scores(scores)
    for split in _PREFERRED_SPLITS:
        here = rows[rows["split"] == split]
        ridge = here[(here["estimator"] == "ridge") & here["feature_set"].isin(_MAIN_SETS)]
        place = here[(here["estimator"] == "coordinates") | (here["feature_set"] == "coordinates")]
        if len(ridge) and len(place):
            seen, known = ridge.iloc[0], place.iloc[0]
            return (
                f"With {style.split_label(split)} held out, ridge on "
                f"{style.feature_set_label(str(seen['feature_set']))} explains R² = "
                f"{_interval(seen)} of {style.measure_label(str(seen['target']))}, coordinates alone "
                f"{_interval(known)}{_gain(seen, known, here[here['estimator'] == 'mean'])} "
                f"({style.plural(seen['n_test'], 'LSOA')})."
            )
    return ""


def _gain(seen: pd.Series, known: pd.Series, means: pd.DataFrame) -> str:
    """Say what images add to the better of location and the training mean."""
    best, name, told = known["r2"], "location", ""
    if len(means) and means["r2"].iloc[0] > best:
        best, name = means["r2"].iloc[0], "that mean"
        told = f", which is less than the training mean’s {_interval(means.iloc[0])}"
    gain, what = seen["r2"] - best, "area features" if seen["feature_set"] == "table" else "images"
    if gain <= 0:
        return f"{told}: {what} gain nothing over {name}"
    return f"{told}: {what} gain {style.number(gain)} over {name}"


def _interval(row: pd.Series) -> str:
    """Return R² with its 95% interval where there is one."""
    value = style.number(row["r2"])
    if style.is_missing(row["r2_low"]) or style.is_missing(row["r2_high"]):
        return value
    return f"{value} ({style.number(row['r2_low'])} to {style.number(row['r2_high'])})"


def add_models(page: pages.Page, tables: Tables, titles: Mapping[str, str]) -> None:
    """Add the comparison of models: 80/20 forests, tuned models by split, observed and predicted."""
    scores, predictions = rows_of(tables, "model_scores"), rows_of(tables, "lsoa_predictions")
    if scores is None:
        page.add_section("models", "Models", missing_note("model_scores"))
        return
    blocks = [*_tuned_blocks(page, scores), *_forest_blocks(page, scores, titles)]
    model_id = chosen_model(scores, predictions)
    if predictions is None or model_id is None:
        blocks.append(missing_note("lsoa_predictions"))
    else:
        names = _lsoa_names(tables)
        blocks += [
            "<h3>Observed and predicted</h3>",
            page.figure(
                comparison.observed_and_predicted(
                    predictions, model_id=model_id, target=target_of(tables), names=names
                ),
                name="Dots: observed against predicted deprivation, one per LSOA",
                caption=f"Model <code>{style.escape(model_id)}</code>, each LSOA predicted while held out; "
                "on the dashed line the two agree.",
            ),
        ]
    page.add_section("models", "Models", *blocks)


def chosen_model(scores: pd.DataFrame | None, predictions: pd.DataFrame | None) -> str | None:
    """Return the model shown in detail: ridge on embeddings under the strictest split there is.

    It is named beforehand, not for its score. Without it, the first model by name is taken.
    """
    if predictions is None or predictions.empty:
        return None
    ids = set(predictions["model_id"])
    if scores is not None:
        rows = scores[(scores["estimator"] == "ridge") & scores["feature_set"].isin(_MAIN_SETS)]
        for split in _PREFERRED_SPLITS:
            found = sorted(ids & set(rows.loc[rows["split"] == split, "model_id"]))
            if found:
                return str(found[0])
    return str(min(ids))


def _lsoa_names(tables: Tables) -> dict[str, str]:
    boundaries = rows_of(tables, "lsoa_boundaries")
    if boundaries is None:
        return {}
    return dict(zip(boundaries["lsoa_code"], boundaries["lsoa_name"], strict=True))


def _tuned_blocks(page: pages.Page, scores: pd.DataFrame) -> list[str]:
    rows = comparison.overall_scores(scores)
    if rows.empty:
        return [pages.paragraph("No tuned models have been scored yet.", quiet=True)]
    seen = "feature" if (rows["feature_set"] == "table").any() else "image"
    return [
        "<h3>Tuned models and baselines</h3>",
        pages.paragraph(
            f"R² is on LSOAs the model never saw, tuning included. Baselines look at no {seen}: what they reach is "
            f"not owed to the {seen}s. Random folds leave neighbours of a held-out LSOA in the fit; leaving out a "
            "whole local authority does not, and is the harder and fairer question."
        ),
        page.figure(
            comparison.tuned_scores(scores),
            name="Dots with intervals: R² of the tuned models by split, with baselines",
            caption=f"Filled marks look at {seen}s, open marks are baselines; bars are 95% intervals.",
        ),
        _score_table("Tuned models and baselines", rows),
    ]


def _forest_blocks(page: pages.Page, scores: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    rows = comparison.overall_scores(scores, experiment=comparison.FOREST)
    if rows.empty:
        return [pages.paragraph("The 80/20 forests have not been scored yet.", quiet=True)]
    is_repeat = (scores["experiment"] == comparison.FOREST) & (scores["fold"].astype(str) != "all")
    repeats = style.plural(scores.loc[is_repeat, "fold"].nunique(), "repeat")
    if (rows["feature_set"] == "table").all():
        about = pages.paragraph(f"One forest on all area features, {repeats} of a random split.")
        return ["<h3>Random forest on 80/20 splits</h3>", about, _forest_table(rows, titles)]
    return [
        "<h3>Random forests on 80/20 splits, by pooling and category</h3>",
        pages.paragraph(
            f"The same forest on every set of features, {repeats} of a random "
            "split. Max pooling grows with the number of images, so part of what it tells is how many images "
            "an LSOA has. Few LSOAs have images of a rare category; n says how many."
        ),
        page.figure(
            comparison.forest_scores(scores, titles),
            name="Dots with intervals: R² of random forests by pooling and category",
            caption="Colour and shape tell how the images of an LSOA are pooled.",
        ),
        _forest_table(rows, titles),
    ]


def _score_table(caption: str, rows: pd.DataFrame) -> str:
    ordered = rows.sort_values(["split", "r2", "model_id"], ascending=[True, False, True])
    cells = [
        [comparison.model_label(row["estimator"], row["feature_set"]), style.split_label(row["split"]),
         style.count(row["n_test"]), _interval(pd.Series(row)), style.number(row["mean_absolute_error"], 1),
         style.number(row["spearman_r"])]
        for row in ordered.to_dict("records")
    ]  # fmt: skip
    heads = ["Model", "Held out", "LSOAs", "R²<br>(95% interval)", "Mean absolute<br>error", "Spearman"]
    return pages.table(caption, heads, cells, words=(0, 1))


def _forest_table(rows: pd.DataFrame, titles: Mapping[str, str]) -> str:
    ordered = rows.assign(whole=rows["category"].isna()).sort_values(
        ["whole", "category", "feature_set", "statistic"], ascending=[False, True, True, True], kind="stable"
    )
    cells = [
        [comparison.forest_label(row["feature_set"], row["category"], titles), style.escape(row["statistic"]),
         style.count(row["n_lsoas"]), _interval(pd.Series(row)), style.number(row["spearman_r"])]
        for row in ordered.to_dict("records")
    ]  # fmt: skip
    heads = ["Features", "Pooling", "LSOAs", "R² (95% interval)", "Spearman"]
    return pages.table("Random forests on 80/20 splits", heads, cells, words=(0, 1))
