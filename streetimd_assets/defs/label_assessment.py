"""What people's labels say of the classification: four tables, made together from one labelled sample."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import everywhere
from streetimd_assets.defs.table_asset import (
    Check,
    Made,
    check_specs,
    declared,
    kept,
    refusals_in_one_sentence,
    stamped,
)
from streetimd_assets.science.label_agreement import TABLES_MADE, Assessed, assess_labels

ENOUGH_KAPPA = 0.7
ENOUGH_FOR_TEMPERATURE = 300

RATERS_AGREE = Check(
    "raters_agree",
    "Cohen's kappa of the two raters with most images in common is below 0.7, or only one has labelled: let a "
    "second rater label the same page, talk over the images they differ on, and say in prompts or titles what "
    "belongs to which category.",
    is_blocking=False,
)
LABELS_SUFFICE_FOR_TEMPERATURE = Check(
    "labels_suffice_for_temperature",
    "Fewer than 300 images have a label: take temperature and reliability curve for a hint, and label more.",
    is_blocking=False,
)
EVERY_STRATUM_HAS_A_LABEL = Check(
    "every_stratum_has_a_label",
    "Images of a stratum without a label are stood for by others of their category: let raters go further down "
    "the labelling page, whose order is random.",
    is_blocking=False,
)
IMAGES_ARE_CLASSIFIED_AS_WHEN_DRAWN = Check(
    "images_are_classified_as_when_drawn",
    "Local authorities are left out whose images were classified anew since they were drawn: materialise "
    "label_candidates for them; labels given so far are kept, and count where the image is drawn again.",
    is_blocking=False,
)
_CHECKS = {
    "label_agreement": [EVERY_STRATUM_HAS_A_LABEL, IMAGES_ARE_CLASSIFIED_AS_WHEN_DRAWN],
    "label_figures": [RATERS_AGREE, LABELS_SUFFICE_FOR_TEMPERATURE],
}


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Agreement with people's labels, per category and over all, who is mixed up with whom, and calibration."""

    @dg.multi_asset(
        name="label_assessment",
        specs=[
            dg.AssetSpec(
                name,
                deps=["image_labels", *everywhere("label_candidates", "category_probabilities")],
                description=_DESCRIPTIONS[name],
                code_version=stamped(1, house.study.assessment.seed),
                **declared(house, name),
            )
            for name in TABLES_MADE
        ],
        check_specs=[spec for name in TABLES_MADE for spec in check_specs(name, _CHECKS.get(name, ()))],
    )
    def label_assessment() -> Iterator[Any]:
        """Judge the classification by people's labels."""
        with refusals_in_one_sentence():
            assessed = _assess(house)
            for name in TABLES_MADE:
                figures, checks = _figures(name, assessed), _results(name, assessed)
                yield from kept(house, name, Made(assessed.tables[name], figures, checks))

    return [label_assessment]


def _assess(house: House) -> Assessed:
    """Read what is needed of the local authorities that have labels."""
    labels = house.store.read("image_labels")
    labelled = set(labels["lad_code"])
    slugs = [authority.slug for authority in house.study.authorities if authority.lad_code in labelled]
    slugs = [slug for slug in slugs if house.store.holds("label_candidates", slug)]
    candidates = [house.store.read("label_candidates", slug).assign(local_authority=slug) for slug in slugs]
    wanted = ["image_id", "category", "probability"]
    wanted += [f"{name}_probability" for name in house.study.categories.names]
    probabilities = [
        every[every["image_id"].isin(drawn["image_id"])]
        for slug, drawn in zip(slugs, candidates, strict=True)
        for every in [house.store.read("category_probabilities", slug, wanted)]
    ]
    return assess_labels(
        pd.concat(candidates) if slugs else pd.DataFrame(),
        labels,
        pd.concat(probabilities) if slugs else pd.DataFrame(),
        categories=house.study.categories.names,
        seed=house.study.assessment.seed,
    )


def _figures(name: str, assessed: Assessed) -> dict[str, Any]:
    """Return the figures that Dagster shows beside one of the tables, as numbers."""
    sample = assessed.sample
    told: dict[str, Any] = {
        "n_labelled": 0 if sample is None else sample.n_labelled,
        "n_unsure": 0 if sample is None else sample.n_unsure,
        "n_tied": 0 if sample is None else sample.n_tied,
        "n_raters": 0 if sample is None else sample.n_raters,
    }
    if sample is not None and name == "label_agreement":
        told["n_images_stood_for"] = sample.n_images - sample.n_not_covered
    values = {figure: assessed.figure(figure) for figure in _FIGURES[name]}
    return told | {figure: value for figure, value in values.items() if value is not None}


def _results(name: str, assessed: Assessed) -> list[dg.AssetCheckResult]:
    """Return the results of a table's checks; while nobody has labelled there is nothing to warn of."""
    sample = assessed.sample
    if name == "label_agreement":
        n_bare = 0 if sample is None else sample.n_strata_without_label
        outdated = ", ".join(assessed.outdated)
        return [
            EVERY_STRATUM_HAS_A_LABEL.result(n_bare == 0, n_strata_without_label=n_bare),
            IMAGES_ARE_CLASSIFIED_AS_WHEN_DRAWN.result(not outdated, local_authorities=outdated or "none"),
        ]
    if name == "label_figures":
        n = 0 if sample is None else sample.n_labelled
        kappa = assessed.figure("cohens_kappa")
        return [
            RATERS_AGREE.result(
                sample is None or (kappa is not None and kappa >= ENOUGH_KAPPA),
                cohens_kappa=float("nan") if kappa is None else kappa,
            ),
            LABELS_SUFFICE_FOR_TEMPERATURE.result(sample is None or n >= ENOUGH_FOR_TEMPERATURE, n_labelled=n),
        ]
    return []


_FIGURES = {
    "label_agreement": ("accuracy",),
    "label_figures": ("accuracy", "cohens_kappa", "temperature"),
    "label_confusions": ("accuracy",),
    "reliability_bins": ("calibration_error_before", "calibration_error_after"),
}
_DESCRIPTIONS = {
    "label_agreement": (
        "How far people agree with the model on each category. Precision is how often it is right, recall how much "
        "of it is found, and its share of all images is corrected for misclassification, each with a 95% interval. "
        "Empty until people label; images they are unsure of are taken to be like the others of their stratum."
    ),
    "label_figures": (
        "Accuracy, agreement of raters, and temperature. Accuracy is re-weighted to all images; the temperature "
        "would make probabilities say how often people agree. Empty until people label; accuracy can be no better "
        "known than raters agree (Cohen's kappa)."
    ),
    "label_confusions": (
        "What people say beside what the model says. Re-weighted to all images, it shows which categories are "
        "mixed up. Empty until people label; cells of few images are uncertain."
    ),
    "reliability_bins": (
        "How often people agree where the model is this sure. Before and after temperature scaling; after is "
        "cross-fitted, so it is about images the temperature has not seen. Empty until people label."
    ),
}
