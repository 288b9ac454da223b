"""How embeddings go together with deprivation, beside how random noise does."""

import math

import dagster as dg

from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, everywhere, read_waist
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.schemas import MEASURES
from streetimd_assets.science import correlation, soundness

# of all embeddings of an LSOA, only the mean over its images
LIGHT = ("lsoa_code", "lad_code", "n_images_kept", "mean_embedding", "category_set_hash", "encoder")
WAIST = ("lsoa_features", "deprivation_indices")
ENOUGH_LSOAS = 100

RANKS_AND_SCORES_MIRROR_EACH_OTHER = Check(
    "ranks_and_scores_mirror_each_other",
    "what grows with a score must fall with its rank; materialise deprivation_indices and this again.",
)
THERE_ARE_ENOUGH_LSOAS = Check(
    "there_are_enough_lsoas",
    f"with fewer than {ENOUGH_LSOAS} LSOAs correlations are mostly chance; collect more local authorities.",
    is_blocking=False,
)
NOISE_HAS_ITS_EXPECTED_SIZE = Check(
    "noise_has_its_expected_size",
    "random numbers correlate more or less than they can; materialise this again with another modelling.seed.",
)
COMPONENTS_ARE_IN_ORDER = Check(
    "components_are_in_order",
    "shares of variance must fall from component to component and sum to at most 1; materialise this again, "
    "and tell us.",
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Correlations, the noise floor, and principal components."""
    how, target = house.study.modelling, house.study.deprivation.target

    least = how.min_images_per_lsoa

    @table_asset(
        house,
        code_version=stamped(1, least),
        deps=everywhere(*WAIST),
        checks=[RANKS_AND_SCORES_MIRROR_EACH_OTHER, THERE_ARE_ENOUGH_LSOAS],
    )
    def imd_correlations(config: Coverage) -> Made:
        """Correlation of each of the 512 dimensions with the index and its domains, over LSOAs.

        Read it beside noise_correlations: of 512 numbers some correlate by chance.
        Rank 1 is the most deprived, so what grows with deprivation correlates negatively with ranks.
        The p-values take LSOAs as independent, which neighbours are not.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        table = correlation.dimension_correlations(waist.embeddings, waist.deprivation[list(MEASURES)])
        table["feature"] = table["dimension"].map(dict(enumerate(house.study.area_features)))
        ranks = table[table["measure"] == "imd_rank"]
        mirror = soundness.mirror_of_ranks(table)
        return Made(
            table,
            {
                "largest_absolute_r_with_imd_rank": float(ranks["pearson_r"].abs().max()),
                "n_dimensions_with_q_below_0.05": int((ranks["q_value"] < 0.05).sum()),
                **waist.figures,
            },
            [
                RANKS_AND_SCORES_MIRROR_EACH_OTHER.result(not mirror > -0.9, correlation_of_the_two=mirror),
                THERE_ARE_ENOUGH_LSOAS.result(len(waist.features) >= ENOUGH_LSOAS, n_lsoas=len(waist.features)),
            ],
        )

    @table_asset(
        house,
        code_version=stamped(1, target, least, how.n_noise_draws, how.seed),
        deps=everywhere(*WAIST),
        checks=[NOISE_HAS_ITS_EXPECTED_SIZE],
    )
    def noise_correlations(config: Coverage) -> Made:
        """The same correlations for hundreds of draws of random numbers: the sampling-noise floor.

        A correlation below the largest of a typical draw says nothing. The draws take LSOAs as
        independent; neighbours are alike, so the true floor lies higher.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        table = correlation.noise_correlations(
            waist.target(target).to_numpy(),
            n_dimensions=house.study.n_dimensions,
            n_draws=how.n_noise_draws,
            seed=how.seed,
        )
        figures = {
            "median_largest_absolute_r": float(table["max_absolute_r"].median()),
            "largest_absolute_r_exceeded_by_5_percent": float(table["max_absolute_r"].quantile(0.95)),
        }
        size = soundness.noise_beside_expected(table)
        is_near = abs(math.log(size)) < soundness.noise_tolerance(table)
        checks = [NOISE_HAS_ITS_EXPECTED_SIZE.result(is_near, found_over_expected=size)]
        return Made(table, {**figures, **waist.figures}, checks)

    @table_asset(
        house,
        code_version=stamped(1, target, least, how.n_components),
        deps=everywhere(*WAIST),
        checks=[COMPONENTS_ARE_IN_ORDER],
    )
    def embedding_components(config: Coverage) -> Made:
        """Principal components of the mean embeddings, and how they go with the target.

        The few directions in which LSOAs look most different from one another. The first carry most of
        the difference, which need not be the difference that goes with deprivation.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        table, _ = correlation.principal_components(
            waist.embeddings, waist.target(target).to_numpy(), n_components=how.n_components
        )
        first = table.iloc[0]
        figures = {
            "first_component_variance_share": float(first["explained_variance_share"]),
            "first_component_pearson_r": float(first["pearson_r"]),
        }
        shares = table["explained_variance_share"]
        in_order = bool(shares.is_monotonic_decreasing and shares.sum() < 1 + 1e-6)
        checks = [COMPONENTS_ARE_IN_ORDER.result(in_order, sum_of_shares=float(shares.sum()))]
        return Made(table, {**figures, **waist.figures}, checks)

    return [imd_correlations, noise_correlations, embedding_components]
