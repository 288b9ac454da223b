"""Predict a local authority that a study's models have never seen, from its features."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.errors import ScienceError, TableMissingError
from streetimd_assets.plots import style
from streetimd_assets.schemas import HARDEST_FIRST
from streetimd_assets.science import prediction
from streetimd_assets.science.fitted import FittedModel, load_model
from streetimd_assets.science.model_tables import headline_model_id
from streetimd_assets.settings import Settings
from streetimd_assets.store.files import written_whole
from streetimd_assets.study import load_study


@dataclass(frozen=True)
class Predicted:
    """Predictions of a local authority, and sentences about them."""

    rows: pd.DataFrame
    notes: tuple[str, ...]


def predict_local_authority(
    settings: Settings, local_authority: str, *, features_of: str | None = None, model_id: str | None = None
) -> Predicted:
    """Predict a local authority by a fitted model of a study.

    Parameters
    ----------
    settings
        The study whose models predict, and where data are kept.
    local_authority
        Name of the place predicted.
    features_of
        The study, below the same data root, that has collected the place; the same one if None.
    model_id
        A model of ``fitted_models``; ridge on embeddings, or on area features, if None.

    Raises
    ------
    TableMissingError
        If the study has no models, or the place has no features.
    ScienceError
        If there is no such model, or it may not predict this place.
    UnknownLocalAuthorityError
        If the place is not one of the other study's.
    """
    house = House(load_study(settings.study), settings)
    model, scored_as = _model(house, model_id)
    there = replace(settings, study=features_of or settings.study)
    place = House(load_study(there.study), there)
    authority = place.study.authority(local_authority)
    rows = prediction.predict_unseen(
        model,
        _features(place, authority.slug),
        _held_out(house, model, scored_as),
        place=authority.name,
        shares=house.study.share_columns,
        enough_images=house.study.enough_images_per_lsoa,
    )
    return Predicted(rows, tuple(_notes(house, place, authority.name, model, scored_as, rows)))


def write_predictions(predicted: Predicted, path: Path) -> None:
    """Write predictions as a CSV file; what is not known is empty."""
    with written_whole(path, elsewhere="name another file with --to") as temporary:
        predicted.rows.to_csv(temporary, index=False, encoding="utf-8")


def _model(house: House, model_id: str | None) -> tuple[FittedModel, str]:
    """Return the model, and its name where it was scored under the hardest split."""
    store = house.store
    for name in ("fitted_models", "model_scores", "lsoa_predictions"):
        if not store.holds(name):
            raise TableMissingError(
                f"{name} of {house.study.name} has not been materialised yet; run `streetimd run "
                f"{house.settings.study}` first"
            )
    named = store.read("lsoa_predictions", columns=["model_id", "lsoa_code"]).drop_duplicates("model_id")
    if model_id is None:
        scored_as = headline_model_id(store.read("model_scores"), named, house.study.deprivation.target)
        model_id = scored_as.rpartition("/")[0]
    models = store.read("fitted_models").set_index("model_id", drop=False)
    if model_id not in models.index:
        raise ScienceError(
            f"'{model_id}' is not a fitted model of {house.study.name}; name one with --model: "
            f"{', '.join(sorted(models.index))}"
        )
    row = {str(name): cell for name, cell in models.loc[model_id].items()}
    return load_model(row), _hardest(model_id, set(named["model_id"]))


def _hardest(model_id: str, scored: set[str]) -> str:
    found = [f"{model_id}/{split}" for split in HARDEST_FIRST if f"{model_id}/{split}" in scored]
    if not found:
        raise ScienceError(
            f"model {model_id} has no held-out predictions, so nobody knows how far off it is; name another with "
            "--model"
        )
    return found[0]


def _features(place: House, slug: str) -> pd.DataFrame:
    if not place.store.holds("lsoa_features", slug):
        raise TableMissingError(
            f"{slug} has no lsoa_features in {place.study.name} yet; run `streetimd run {place.settings.study} "
            f"--local-authority {slug}` first"
        )
    return place.store.read("lsoa_features", slug)


def _held_out(house: House, model: FittedModel, scored_as: str) -> prediction.HeldOutErrors:
    slugs = [each.slug for each in house.study.authorities if each.lad_code in model.local_authorities]
    images = house.store.read_study_wide("lsoa_features", slugs, ["lsoa_code", "n_images_kept"])
    n_images = images.set_index("lsoa_code")["n_images_kept"]
    return prediction.HeldOutErrors.of(house.store.read("lsoa_predictions"), n_images, scored_as)


def _notes(
    house: House, place: House, name: str, model: FittedModel, scored_as: str, rows: pd.DataFrame
) -> Iterator[str]:
    """Say what was predicted by what, how wide the intervals are, and for what places they hold."""
    known, study = rows[rows["predicted"].notna()], house.study
    fitted_on = style.plural(len(model.local_authorities), "local authority", "local authorities")
    yield (
        f"{place.study.heading}: {len(known):,} of {len(rows):,} LSOAs of {name} predicted, "
        f"{style.measure_label(model.model.target)}, by {model.model.model_id} of {house.study.heading}, fitted on "
        f"{model.n_lsoas:,} LSOAs of {fitted_on}."
    )
    yield from _about_intervals(known, scored_as.rpartition("/")[2])
    n_thin, enough = int(known["is_thin"].sum()), study.enough_images_per_lsoa
    if study.has_images:
        yield f"{n_thin:,} of {len(known):,} are thin (fewer than {enough} images kept): trust those less."
    elif enough > 1:
        yield f"{n_thin:,} of {len(known):,} are thin (n_images below {enough}): trust those less."
    if len(known) < len(rows):
        what = "no image to speak from" if study.has_images else "not every area feature"
        yield f"{len(rows) - len(known):,} LSOAs have {what}: their rows are empty."


def _about_intervals(known: pd.DataFrame, split: str) -> Iterator[str]:
    width = (known["predicted_high"] - known["predicted_low"]).median()
    yield (
        f"Half of the 90% intervals are wider than {style.number(width, 1)}; they are as wide as the errors were "
        f"with {style.split_label(split)} held out, and hold for places like those fitted on, not one unlike all."
    )
    if split != HARDEST_FIRST[0]:
        yield "No whole local authority was held out, so errors in one never seen may well be larger."
