"""Images and words that show what the most important features and directions look like."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import declared_page, page_result
from streetimd_assets.defs.study_wide import Coverage, everywhere
from streetimd_assets.defs.table_asset import Made, refusals_in_one_sentence, stamped, table_asset
from streetimd_assets.errors import TableMissingError
from streetimd_assets.plots import examples as example_plots
from streetimd_assets.schemas import TABLES
from streetimd_assets.science import directions, examples, fitted, texts
from streetimd_assets.science.model_tables import Model

_ABOUT = ("image_id", "lsoa_code", "heading_deg", "category", "is_rejected")
_FILES = ("image_id", "panorama_id", "image_path", "captured_on", "licence", "credit", "viewer_url")


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The choice of example images, and the page that shows them."""
    how, target = house.study.assessment, house.study.deprivation.target

    ridge = Model(target, "embeddings", "ridge", house.study.modelling.statistic)
    chosen_by = (how.n_example_features, how.n_examples, ridge.model_id)

    @table_asset(
        house,
        code_version=stamped(2, *chosen_by),
        deps=everywhere("image_embeddings", "category_probabilities", "street_images"),
    )
    def example_images(
        context: dg.AssetExecutionContext,
        config: Coverage,
        feature_importances: pd.DataFrame,
        fitted_models: pd.DataFrame,
        concept_correlations: pd.DataFrame,
        concept_directions: pd.DataFrame,
    ) -> Made:
        """Images at either end of the features a model loses most without, of its direction, and of texts.

        Numbers alone do not tell what a feature looks like. These are its extremes, not the usual case:
        what people see in them is a guess about the model, to be tested.
        """
        shown = _shown(
            how.n_example_features, ridge, feature_importances, fitted_models, concept_correlations,
            concept_directions,
        )  # fmt: skip
        slugs = house.covered(config.local_authorities)
        if not slugs:
            raise TableMissingError(
                "no local authority has lsoa_features yet; materialise it for one or more first"
            )
        parts = []
        for done, slug in enumerate(slugs, start=1):
            parts.append(_extremes(house, slug, shown, concept_directions, how.n_examples))
            context.log.info(f"{slug}: searched, {done:,} of {len(slugs):,} local authorities")
        table = examples.choose_examples(pd.concat(parts), n_examples=how.n_examples)
        table = table.merge(shown.leading[["feature", "model_id"]], on="feature", validate="many_to_one")
        return Made(
            table[list(TABLES["example_images"].column_names)],
            {
                "n_features": len(shown.leading),
                "n_images": int(table["image_id"].nunique()),
                "n_local_authorities_shown": int(table["lad_code"].nunique()),
                "n_local_authorities": len(slugs),
            },
        )

    @table_asset(house, code_version=stamped(1, *chosen_by))
    def example_words(
        feature_importances: pd.DataFrame,
        fitted_models: pd.DataFrame,
        concept_correlations: pd.DataFrame,
        concept_directions: pd.DataFrame,
    ) -> Made:
        """Texts at either end of the same dimensions and directions: what the model would call them.

        Texts and images lie apart in the model's space, so values are from the mean of the study's phrases.
        Words are chosen from those phrases only: a dimension may be about something none of them says.
        """
        shown = _shown(
            how.n_example_features, ridge, feature_importances, fitted_models, concept_correlations,
            concept_directions,
        )  # fmt: skip
        table = directions.example_words(
            shown.leading, shown.directions, concept_directions, n_words=how.n_examples
        )
        return Made(table, {"n_features": int(table["feature"].nunique()), "n_texts": int(table["text"].nunique())})

    @dg.asset(
        **declared_page(house, "importance", is_partitioned=False),
        code_version=stamped(1, house.study.heading, house.study.categories.titles, target),
        deps=["imd_correlations"],
    )
    def example_sheet(
        example_images: pd.DataFrame, example_words: pd.DataFrame, concept_correlations: pd.DataFrame
    ) -> dg.MaterializeResult:
        """The example images, and the words beside them, in one HTML page that opens anywhere, offline.

        It has no map, since some providers forbid their pictures beside one. A picture that was not kept
        is a gap with a link to where the provider shows it.
        """
        with refusals_in_one_sentence():
            found = house.store.holds("imd_correlations")
            page = example_plots.example_page(
                example_images,
                Acquisition(house).read_image,
                heading=house.study.heading,
                titles=house.study.categories.titles,
                correlations=house.store.read("imd_correlations") if found else None,
                target=target,
                words=example_words,
                concepts=concept_correlations,
            )
            return page_result(
                house,
                "example_sheet",
                page,
                n_features=int(example_images["feature"].nunique()),
                n_images=int(example_images["image_id"].nunique()),
            )

    return [example_images, example_words, example_sheet]


@dataclass(frozen=True, eq=False)
class _Shown:
    """The leading features and the directions beside them, and where those that are directions point."""

    leading: pd.DataFrame
    directions: dict[str, npt.NDArray[np.float32]]


def _shown(
    n_features: int,
    ridge: Model,
    importances: pd.DataFrame,
    models: pd.DataFrame,
    correlations: pd.DataFrame,
    text_directions: pd.DataFrame,
) -> _Shown:
    """Choose what is shown: the leading features, the model's direction, and of texts no more than of features."""
    leading = examples.leading_features(importances, n_features=n_features)
    rows: list[Any] = models[models["model_id"] == ridge.model_id].to_dict("records")
    model = fitted.load_model(rows[0]) if rows else None
    n_concepts = min(directions.MOST_CONCEPTS, n_features)
    names = directions.strongest_concepts(correlations, measure=ridge.target, n_concepts=n_concepts)
    found = directions.shown_directions(model, names, text_directions)
    return _Shown(directions.with_directions(leading, found, ridge_id=ridge.model_id), found)


def _extremes(
    house: House, slug: str, shown: _Shown, text_directions: pd.DataFrame, n_examples: int
) -> pd.DataFrame:
    """Search one local authority; its embeddings alone are in memory meanwhile."""
    store, shares = house.store, [f"{name}_probability" for name in house.study.categories.names]
    rows, embeddings = store.read_embeddings(slug)
    texts.require_one_encoder(text_directions, rows, "image_embeddings")
    about = store.read("category_probabilities", slug, [*_ABOUT, *shares])
    images = rows[["image_id"]].reset_index().merge(about, on="image_id", validate="one_to_one")
    images = images.merge(store.read("street_images", slug, _FILES), on="image_id", validate="one_to_one")
    images["lad_code"] = house.study.authority(slug).lad_code
    found = examples.extreme_images(
        shown.leading, images, embeddings[images["index"]], n_examples=n_examples, directions=shown.directions
    )
    return found.drop(columns=["index", "is_rejected", *shares])
