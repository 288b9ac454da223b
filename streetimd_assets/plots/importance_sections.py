"""The section of the report on importance: bars beside chance, groups with their members, and what they mean."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from streetimd_assets.plots import importance, pages, style

_MOST_MEMBERS = 6
_TITLES = {
    "permutation": "What is lost without a feature",
    "permutation_cluster": "What is lost without a cluster of correlated features",
    "permutation_component": "What is lost without a principal component",
    "gini": "Gini importance of the forest",
    "shap": "How much each of {them} moves a prediction",
}
_NAMES = {
    "permutation": "Permutation importance",
    "permutation_cluster": "Permutation importance of clusters",
    "permutation_component": "Permutation importance of components",
    "gini": "Gini importance",
    "shap": "Mean absolute SHAP value",
}
_MEANINGS = {
    "permutation": "Each feature is shuffled among LSOAs that the model was not fitted on, for several seeds of "
    "folds and models; the loss of R² is what the model owed to it. Features that say the same share their loss.",
    "permutation_cluster": "Correlated features are shuffled together, so that what they share is lost as well. "
    "The clusters join whatever correlates, whichever way, and look at no deprivation figure.",
    "permutation_component": "LSOAs exchange their scores along one direction and keep all that is at right angles "
    "to it. The components are numbered as in the section on principal components, where images are pooled by "
    "their mean.",
    "gini": "Shown because it is widely reported. It favours features with many distinct values over those with "
    "few, and comes from LSOAs that the forest has seen; so where there are both, dimensions and shares have a "
    "grey band each, and a feature that says nothing still gets its part.",
    "shap": "Of boosted trees on {them} alone: how far each moves the prediction of an LSOA held out from the mean "
    "prediction, up or down. It is never below zero, so only what stands out of the band says anything; of those "
    "that go together the model may use one or the other.",
}


def importance_blocks(
    page: pages.Page, rows: pd.DataFrame, titles: Mapping[str, str], *, is_of_images: bool = True
) -> list[str]:
    """Return the figures of every method and model, each beside what chance gives.

    Parameters
    ----------
    page
        The page they will stand in.
    rows
        The table `feature_importances`.
    titles
        Category names and what people read for them; names of area features.
    is_of_images
        False if the features come from a table.
    """
    them = "the category shares" if is_of_images else "the area features"
    they = "Embedding dimensions have no names and go together" if is_of_images else "Features go together"
    blocks = [
        pages.paragraph(
            f"{they}: shuffling one of several that say the same costs "
            "little, so a small bar does not mean a useless feature. Importance is the model’s, not the world’s."
        ),
        pages.paragraph(
            "The grey band is what the same features get in models fitted to a shuffled target: one feature in "
            "forty lies above it by chance. The upright tick is the highest of them all, which the first of a "
            "ranking has to pass to mean anything. The shuffle takes LSOAs as independent: a feature and a measure "
            "that are both smooth over the map can pass it and have nothing to do with each other.",
        ),
    ]
    known = [method for method in importance.METHODS if (rows["method"] == method).any()]
    others = sorted(set(rows["method"]) - set(known))
    for method in [*known, *others]:
        title = _TITLES[method].format(them=them) if method in _TITLES else style.escape(method)
        blocks.append(f"<h3>{title}</h3>")
        if method in _MEANINGS:
            blocks.append(pages.paragraph(_MEANINGS[method].format(them=them)))
        for model_id, some in rows[rows["method"] == method].groupby("model_id", sort=True):
            blocks += _of_model(page, some, method, str(model_id), titles)
    return blocks


def _of_model(
    page: pages.Page, rows: pd.DataFrame, method: str, model_id: str, titles: Mapping[str, str]
) -> Iterator[str]:
    are_shares = {importance.is_share(feature, titles) for feature in rows["feature"]}
    hatched = "; hatched bars are category shares" if are_shares == {True, False} else ""
    figure = importance.ranked_importances(rows, method=method, titles=titles, model_id=model_id)
    name = _NAMES.get(method, style.escape(method))
    stability = (
        "In brackets: seeds in which it is among the 20 highest. " if rows["top_share"].notna().any() else ""
    )
    yield page.figure(
        figure,
        name=f"Bars: features ranked by {name[0].lower() + name[1:]}, beside what chance gives",
        caption=f"{name} in model <code>{style.escape(model_id)}</code>{hatched}. {stability}{beside_chance(rows)}",
    )
    if importance.is_of_groups(method):
        yield _members_table(rows, method, model_id, titles)


def beside_chance(rows: pd.DataFrame) -> str:
    """Say how many features rise above chance, and if the first does, escaped; empty if it is not known.

    Parameters
    ----------
    rows
        Of one model and method.
    """
    known = rows[rows["band_high"].notna()]
    if known.empty:
        return "What chance gives is not known."
    n_above = int((known["importance"] > known["band_high"]).sum())
    first = known.sort_values("position").iloc[0]
    stands_out = first["importance"] > first["band_top"]
    return (
        f"{style.count(n_above)} of {style.count(len(known))} lie above the band, where chance would put "
        f"{style.number(len(known) / 40, 1)}; the first is {'' if stands_out else 'not '}higher than the highest "
        f"by chance{'' if stands_out else ', so do not read the order'}."
    )


def _members_table(rows: pd.DataFrame, method: str, model_id: str, titles: Mapping[str, str]) -> str:
    cells = [
        [
            importance.feature_label(row, titles),
            style.number(row["importance"], 4),
            "yes" if row["importance"] > row["band_high"] else "no",
            _members(row, titles),
        ]
        for row in rows.sort_values("position").to_dict("records")
    ]
    is_component = method == "permutation_component"
    what = "Largest loadings" if is_component else "Members"
    title = f"{what} of the groups, {style.escape(model_id)}"
    return pages.folded(
        title, pages.table(title, ["Group", "Loss of R²", "Above the band", what], cells, words=(0, 2, 3))
    )


def _members(row: Mapping[Any, Any], titles: Mapping[str, str]) -> str:
    """Name the shares of a group first, they alone have names, and no more than a few."""
    members = importance.member_features(row)
    if row["method"] != "permutation_component":
        members = sorted(members, key=lambda feature: not importance.is_share(feature, titles))
    named = [style.feature_label(feature, titles) for feature in members[:_MOST_MEMBERS]]
    n_left = len(members) - len(named)
    return ", ".join(named) + (f" and {style.count(n_left)} more" if n_left else "")
