"""Images that show what the most important features look like."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.acquisition import Acquisition
from streetimd_assets.defs.house import House
from streetimd_assets.defs.pages import declared_page, page_result
from streetimd_assets.defs.study_wide import Coverage, everywhere
from streetimd_assets.defs.table_asset import Made, refusals_in_one_sentence, stamped, table_asset
from streetimd_assets.errors import TableMissingError
from streetimd_assets.plots import examples as example_plots
from streetimd_assets.schemas import TABLES
from streetimd_assets.science import examples

_ABOUT = ("image_id", "lsoa_code", "heading_deg", "category", "is_rejected")
_FILES = ("image_id", "panorama_id", "image_path", "captured_on", "licence", "credit", "viewer_url")


def assets(house: House) -> list[dg.AssetsDefinition]:
    """The choice of example images, and the page that shows them."""
    how, target = house.study.assessment, house.study.deprivation.target

    @table_asset(
        house,
        code_version=stamped(1, how.n_example_features, how.n_examples),
        deps=everywhere("image_embeddings", "category_probabilities", "street_images"),
    )
    def example_images(
        context: dg.AssetExecutionContext, config: Coverage, feature_importances: pd.DataFrame
    ) -> Made:
        """Images at either end of the features a model loses most without.

        Numbers alone do not tell what a feature looks like. These are its extremes, not the usual case:
        what people see in them is a guess about the model, to be tested.
        """
        leading = examples.leading_features(feature_importances, n_features=how.n_example_features)
        slugs = house.covered(config.local_authorities)
        if not slugs:
            raise TableMissingError(
                "no local authority has lsoa_features yet; materialise it for one or more first"
            )
        parts = []
        for done, slug in enumerate(slugs, start=1):
            parts.append(_extremes(house, slug, leading, how.n_examples))
            context.log.info(f"{slug}: searched, {done:,} of {len(slugs):,} local authorities")
        table = examples.choose_examples(pd.concat(parts), n_examples=how.n_examples)
        table["model_id"] = leading["model_id"].iloc[0] if len(leading) else ""
        return Made(
            table[list(TABLES["example_images"].column_names)],
            {
                "n_features": len(leading),
                "n_images": int(table["image_id"].nunique()),
                "n_local_authorities_shown": int(table["lad_code"].nunique()),
                "n_local_authorities": len(slugs),
            },
        )

    @dg.asset(
        **declared_page(house, "importance", is_partitioned=False),
        code_version=stamped(1, house.study.heading, house.study.categories.titles, target),
        deps=["imd_correlations"],
    )
    def example_sheet(example_images: pd.DataFrame) -> dg.MaterializeResult:
        """The example images in one HTML page that opens anywhere, offline.

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
            )
            return page_result(
                house,
                "example_sheet",
                page,
                n_features=int(example_images["feature"].nunique()),
                n_images=int(example_images["image_id"].nunique()),
            )

    return [example_images, example_sheet]


def _extremes(house: House, slug: str, leading: pd.DataFrame, n_examples: int) -> pd.DataFrame:
    """Search one local authority; its embeddings alone are in memory meanwhile."""
    store, shares = house.store, [f"{name}_probability" for name in house.study.categories.names]
    rows, embeddings = store.read_embeddings(slug)
    about = store.read("category_probabilities", slug, [*_ABOUT, *shares])
    images = rows[["image_id"]].reset_index().merge(about, on="image_id", validate="one_to_one")
    images = images.merge(store.read("street_images", slug, _FILES), on="image_id", validate="one_to_one")
    images["lad_code"] = house.study.authority(slug).lad_code
    found = examples.extreme_images(leading, images, embeddings[images["index"]], n_examples=n_examples)
    return found.drop(columns=["index", "is_rejected", *shares])
