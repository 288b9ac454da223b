"""How embeddings go together with deprivation, beside how random noise does."""

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, everywhere, read_waist
from streetimd_assets.defs.table_asset import Made, stamped, table_asset
from streetimd_assets.schemas import EMBEDDING_DIMENSIONS, MEASURES
from streetimd_assets.science import correlation

# of all embeddings of an LSOA, only the mean over its images
LIGHT = ("lsoa_code", "lad_code", "n_images_kept", "mean_embedding", "category_set_hash", "encoder")
WAIST = ("lsoa_features", "deprivation_indices")


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Correlations, the noise floor, and principal components."""
    how, target = house.study.modelling, house.study.deprivation.target

    @table_asset(house, code_version=stamped(1, how.min_images_per_lsoa), deps=everywhere(*WAIST))
    def imd_correlations(config: Coverage) -> Made:
        """Correlation of each of the 512 dimensions with the index and its domains, over LSOAs.

        Rank 1 is the most deprived, so what grows with deprivation correlates negatively with ranks.
        The p-values take LSOAs as independent, which neighbours are not.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        table = correlation.dimension_correlations(waist.embeddings, waist.deprivation[list(MEASURES)])
        ranks = table[table["measure"] == "imd_rank"]
        return Made(
            table,
            {
                "largest_absolute_r_with_imd_rank": float(ranks["pearson_r"].abs().max()),
                "n_dimensions_with_q_below_0.05": int((ranks["q_value"] < 0.05).sum()),
                **waist.figures,
            },
        )

    @table_asset(house, code_version=stamped(1, target, how), deps=everywhere(*WAIST))
    def noise_correlations(config: Coverage) -> Made:
        """The same correlations for hundreds of draws of random numbers: the sampling-noise floor."""
        waist = read_waist(house, config.local_authorities, LIGHT)
        table = correlation.noise_correlations(
            waist.target(target).to_numpy(),
            n_dimensions=EMBEDDING_DIMENSIONS,
            n_draws=how.n_noise_draws,
            seed=how.seed,
        )
        figures = {"median_largest_absolute_r": float(table["max_absolute_r"].median())}
        return Made(table, {**figures, **waist.figures})

    @table_asset(house, code_version=stamped(1, target, how), deps=everywhere(*WAIST))
    def embedding_components(config: Coverage) -> Made:
        """Principal components of the mean embeddings, and how they go with the target."""
        waist = read_waist(house, config.local_authorities, LIGHT)
        table, _ = correlation.principal_components(
            waist.embeddings, waist.target(target).to_numpy(), n_components=how.n_components
        )
        first = table.iloc[0]
        figures = {
            "first_component_variance_share": float(first["explained_variance_share"]),
            "first_component_pearson_r": float(first["pearson_r"]),
        }
        return Made(table, {**figures, **waist.figures})

    return [imd_correlations, noise_correlations, embedding_components]
