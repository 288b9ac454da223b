"""Sections on models: which were compared, how far each got, and which one is shown in detail."""

from collections.abc import Mapping

import pandas as pd

from streetimd_assets.plots import comparison, pages, style
from streetimd_assets.plots.coverage import Tables, missing_note, rows_of
from streetimd_assets.schemas import HARDEST_FIRST
from streetimd_assets.study.headline import LEADING_FEATURES, headline_ridge


def target_of(tables: Tables) -> str:
    """Return the measure the models predict, the IMD rank where no model says otherwise."""
    scores = rows_of(tables, "model_scores")
    return "imd_rank" if scores is None else comparison.main_target(scores)


def headline(scores: pd.DataFrame | None, differences: pd.DataFrame | None = None) -> str:
    """Return what images add to what needs no image, in one sentence; empty without both models.

    The image model is ridge on the main features, named beforehand; the best of many would flatter. It is
    set against coordinates under the hardest split there is, or against the training mean where
    coordinates do worse than that.
    """
    if scores is None:
        return ""
    rows = comparison.overall_scores(scores)
    for split in HARDEST_FIRST:
        here = rows[(rows["split"] == split) & rows["r2"].notna()]
        ridge = here[(here["estimator"] == "ridge") & here["feature_set"].isin(LEADING_FEATURES)]
        place = here[here["estimator"] == "coordinates"]
        if len(ridge) and len(place):
            seen, known = _leading(ridge), place.iloc[0]
            features = style.feature_set_label(str(seen["feature_set"]))
            return (
                f"With {style.split_label(split)} held out, ridge on {features} explains R² = "
                f"{style.interval(seen, 'r2')} of {style.measure_label(str(seen['target']))}, coordinates alone "
                f"{style.interval(known, 'r2')}"
                f"{_gain(seen, known, here[here['estimator'] == 'mean'], differences)} "
                f"({style.plural(seen['n_test'], 'LSOA')}).{_unscored(rows)}"
            )
    return ""


def _leading(rows: pd.DataFrame) -> pd.Series:
    """Return the row of the features named first in ``LEADING_FEATURES`` that are there."""
    order = {name: place for place, name in enumerate(LEADING_FEATURES)}
    return rows.sort_values("feature_set", key=lambda names: names.map(order)).iloc[0]


def _gain(seen: pd.Series, known: pd.Series, means: pd.DataFrame, differences: pd.DataFrame | None) -> str:
    """Say what images add to the better of location and the training mean, with the interval of the difference."""
    best, name, told = known, "location", ""
    if len(means) and means["r2"].iloc[0] > known["r2"]:
        best, name = means.iloc[0], "that mean"
        told = f", which is less than the training mean’s {style.interval(best, 'r2')}"
    gain, what = seen["r2"] - best["r2"], "area features" if seen["feature_set"] == "table" else "images"
    if gain <= 0:
        return f"{told}: {what} gain nothing over {name}"
    return f"{told}: {what} gain {style.number(gain)}{_interval_of_gain(seen, best, differences)} over {name}"


def _interval_of_gain(seen: pd.Series, best: pd.Series, differences: pd.DataFrame | None) -> str:
    if differences is None:
        return ""
    pairs = differences.set_index(["model_id", "reference_id"])
    # a difference is kept one way round, against the ridge or against coordinates
    for first, second, sign in ((seen, best, 1), (best, seen, -1)):
        if (first["model_id"], second["model_id"]) in pairs.index:
            row = pairs.loc[(first["model_id"], second["model_id"])]
            ends = sorted(sign * row[end] for end in ("r2_difference_low", "r2_difference_high"))
            return f" ({' to '.join(style.number(end) for end in ends)})"
    return ""


def _unscored(rows: pd.DataFrame) -> str:
    """Return why a harder split has no score, as a sentence; empty if all have."""
    notes = rows.loc[(rows["split"] == HARDEST_FIRST[0]) & (rows["estimator"] == "mean"), "note"].dropna()
    return f" No local authority is left out: {style.escape(notes.iloc[0])}." if len(notes) else ""


def add_models(page: pages.Page, tables: Tables, titles: Mapping[str, str], effort: str = "") -> None:
    """Add the comparison of models: tuned models by split and target, 80/20 forests, observed and predicted.

    `effort` says in a sentence how much was computed.
    """
    scores, predictions = rows_of(tables, "model_scores"), rows_of(tables, "lsoa_predictions")
    if scores is None:
        page.add_section("models", "Models", missing_note("model_scores"))
        return
    blocks = [
        pages.paragraph(f"Effort {style.escape(effort)}", quiet=True) if effort else "",
        *_tuned_blocks(page, scores),
        *_difference_blocks(scores, rows_of(tables, "model_differences")),
        *_target_blocks(page, scores),
        *_forest_blocks(page, scores, titles),
    ]
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
    named = headline_ridge(scores, ids) if scores is not None else None
    return named or str(min(ids))


def _lsoa_names(tables: Tables) -> dict[str, str]:
    boundaries = rows_of(tables, "lsoa_boundaries")
    if boundaries is None:
        return {}
    return dict(zip(boundaries["lsoa_code"], boundaries["lsoa_name"], strict=True))


def _tuned_blocks(page: pages.Page, scores: pd.DataFrame) -> list[str]:
    rows = comparison.overall_scores(scores)
    if rows.empty:
        return [pages.paragraph("No tuned models have been scored yet.", quiet=True)]
    notes = _notes(rows)
    seen = "feature" if _are_of_a_table(rows) else "image"
    return [
        "<h3>Tuned models and baselines</h3>",
        pages.paragraph(
            f"R² is on LSOAs the model never saw, tuning included. Baselines look at no {seen}: what they reach is "
            f"not owed to the {seen}s. Random folds leave neighbours of a held-out LSOA in the fit; blocks of "
            "neighbours leave few, and leaving out a whole local authority none: the harder and fairer question. "
            "Intervals resample blocks of neighbours, since neighbours err alike."
        ),
        *(
            pages.paragraph(f"Not scored, {what}: {style.escape(note)}.", quiet=True)
            for what, note in notes.items()
        ),
        page.figure(
            comparison.tuned_scores(scores),
            name="Dots with intervals: R² of the tuned models by split, with baselines",
            caption=f"Filled marks look at {seen}s, open marks are baselines; bars are 95% intervals.",
        ),
        _score_table("Tuned models and baselines", rows[rows["r2"].notna()]),
    ]


def _notes(rows: pd.DataFrame) -> dict[str, str]:
    """Say once of each split, or of the one baseline that is meant, why there is no score."""
    unscored = rows[rows["note"].notna()]
    n_models = unscored.groupby("split")["estimator"].nunique()
    of_split = unscored["split"].map(n_models) > 1
    told = {style.split_label(row["split"]): str(row["note"]) for row in unscored[of_split].to_dict("records")}
    alone = unscored[~of_split].to_dict("records")
    return told | {style.estimator_label(row["estimator"]): str(row["note"]) for row in alone}


def _difference_blocks(scores: pd.DataFrame, differences: pd.DataFrame | None) -> list[str]:
    """Set models beside coordinates under the hardest split: the interval of a difference is its own."""
    if differences is None:
        return [missing_note("model_differences")]
    rows = comparison.overall_scores(scores).set_index("model_id")
    here = differences[differences["model_id"].isin(rows.index) & differences["reference_id"].isin(rows.index)]
    here = here[rows.loc[here["reference_id"], "estimator"].eq("coordinates").to_numpy()]
    split = next((name for name in HARDEST_FIRST if (here["split"] == name).any()), "")
    cells = [
        [comparison.model_label(*rows.loc[row["model_id"], ["estimator", "feature_set"]]),
         style.number(row["r2_difference"]),
         f"{style.number(row['r2_difference_low'])} to {style.number(row['r2_difference_high'])}",
         style.count(row["n_lsoas"])]
        for row in here[here["split"] == split].sort_values("r2_difference", ascending=False).to_dict("records")
    ]  # fmt: skip
    if not cells:
        return []
    caption = f"What models add to coordinates alone, {style.split_label(split)} held out"
    return [
        pages.paragraph(
            "Two models err in the same LSOAs, so their difference is surer than either score: its interval "
            "resamples the same blocks for both."
        ),
        pages.table(caption, ["Model", "R² more", "95% interval", "LSOAs"], cells, words=(0,)),
    ]


def _target_blocks(page: pages.Page, scores: pd.DataFrame) -> list[str]:
    """Add the other targets: rank, score, decile and domains."""
    tuned = scores[(scores["experiment"] == "tuned") & scores["r2"].notna()]
    if tuned["target"].nunique() < 2:
        return []
    split = next(name for name in HARDEST_FIRST if (tuned["split"] == name).any())
    return [
        "<h3>Other measures of deprivation</h3>",
        pages.paragraph(
            "The same features, asked for other measures. Domains share data and go together, so that one is read "
            "well does not mean that the features show that domain itself."
        ),
        page.figure(
            comparison.target_scores(tuned, split=split),
            name="Dots with intervals: R² by measure of deprivation and estimator",
            caption=f"With {style.split_label(split)} held out; open marks are coordinates alone.",
        ),
    ]


def _forest_blocks(page: pages.Page, scores: pd.DataFrame, titles: Mapping[str, str]) -> list[str]:
    rows = comparison.overall_scores(scores, experiment=comparison.FOREST)
    if rows.empty:
        return [pages.paragraph("The 80/20 forests have not been scored yet.", quiet=True)]
    is_repeat = (scores["experiment"] == comparison.FOREST) & (scores["fold"].astype(str) != "all")
    repeats = style.plural(scores.loc[is_repeat, "fold"].nunique(), "repeat")
    if _are_of_a_table(rows):
        about = pages.paragraph(f"One forest on all area features, {repeats} of a random split.")
        return ["<h3>Random forest on 80/20 splits</h3>", about, _forest_table("Random forest", rows, titles)]
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
        _forest_table("Random forests on 80/20 splits", rows[rows["lsoas"] == "own"], titles),
        *_common_blocks(page, scores, rows[rows["lsoas"] == "common"], titles),
    ]


def _are_of_a_table(rows: pd.DataFrame) -> bool:
    """Return True if models look at area features, for there are no images."""
    return bool((rows["feature_set"] == "table").any())


def _common_blocks(
    page: pages.Page, scores: pd.DataFrame, rows: pd.DataFrame, titles: Mapping[str, str]
) -> list[str]:
    """Add the categories that can be compared, on the LSOAs that show all of them."""
    rows = rows[rows["r2"].notna()]
    if rows.empty:
        return []
    return [
        pages.paragraph(
            "Above, each category is scored on the LSOAs that show it, and those differ. Below, categories that at "
            f"least half of the LSOAs show are scored on the same {style.plural(rows['n_lsoas'].max(), 'LSOA')}, "
            "which show all of them: only these can be compared with one another."
        ),
        page.figure(
            comparison.forest_scores(scores, titles, lsoas="common"),
            name="Dots with intervals: R² of random forests by category, on the same LSOAs",
            caption="Colour and shape tell how the images of an LSOA are pooled.",
        ),
        _forest_table("Random forests on LSOAs in common", rows, titles),
    ]


def _score_table(caption: str, rows: pd.DataFrame) -> str:
    order = {split: place for place, split in enumerate(HARDEST_FIRST)}
    ordered = rows.assign(place=rows["split"].map(order)).sort_values(
        ["place", "r2", "model_id"], ascending=[True, False, True]
    )
    cells = [
        [comparison.model_label(row["estimator"], row["feature_set"]), style.split_label(row["split"]),
         style.interval(row, "r2"), style.number(row["mean_absolute_error"], 1),
         style.number(row["decile_absolute_error"]), style.percent(row["within_one_decile_share"], 0),
         style.number(row["weighted_kappa"]), style.number(row["spearman_r"]),
         style.percent(row["interval_coverage_share"], 0)]
        for row in ordered.to_dict("records")
    ]  # fmt: skip
    heads = [
        "Model", "Held out", "R²<br>(95% interval)", "Mean absolute<br>error", "…in<br>tenths",
        "Within one<br>tenth", "Weighted<br>kappa", "Spearman", "Inside 90%<br>intervals",
    ]  # fmt: skip
    n_lsoas = style.plural(rows["n_test"].max(), "LSOA")
    return pages.table(f"{caption}; {n_lsoas}, tenths are of these", heads, cells, words=(0, 1))


def _forest_table(caption: str, rows: pd.DataFrame, titles: Mapping[str, str]) -> str:
    ordered = rows.assign(whole=rows["category"].isna()).sort_values(
        ["whole", "category", "feature_set", "statistic"], ascending=[False, True, True, True], kind="stable"
    )
    cells = [
        [comparison.forest_label(row["feature_set"], row["category"], titles), style.escape(row["statistic"]),
         style.count(row["n_lsoas"]), style.percent(row["coverage_share"], 0), style.interval(row, "r2"),
         style.number(row["spearman_r"])]
        for row in ordered.to_dict("records")
    ]  # fmt: skip
    heads = ["Features", "Pooling", "LSOAs", "of all", "R² (95% interval)", "Spearman"]
    return pages.table(caption, heads, cells, words=(0, 1))
