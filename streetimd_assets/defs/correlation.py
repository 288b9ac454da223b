"""How embeddings go together with deprivation, beside how random noise does."""

import math

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, coordinates, everywhere, read_waist
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.schemas import MEASURES
from streetimd_assets.science import components, correlation, soundness

# of all embeddings of an LSOA, only the mean over its images
LIGHT = ("lsoa_code", "lad_code", "n_images_kept", "mean_embedding", "category_set_hash", "encoder")
WAIST = ("lsoa_features", "deprivation_indices")
ENOUGH_LSOAS = 100
# Moran's I that a few surfaces of few LSOAs may lack by chance
ROUGH_ANYWAY = 0.1

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
SURROGATES_KEEP_AUTOCORRELATION = Check(
    "surrogates_keep_autocorrelation",
    "random surfaces are rougher than the target they stand for, so spatial p-values would be too small; "
    "materialise spatial_fields again, with another modelling.seed.",
    meaning="surfaces drawn from the field of the target have at least half its Moran's I",
)
COMPONENTS_ARE_IN_ORDER = Check(
    "components_are_in_order",
    "shares of variance must fall from component to component and sum to at most 1; materialise this again, "
    "and tell us.",
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """How alike neighbours are, correlations, the noise floors, and principal components."""
    how, target = house.study.modelling, house.study.deprivation.target

    least, n_surrogates = how.min_images_per_lsoa, how.what_is_done.n_surrogates

    @table_asset(
        house,
        code_version=stamped(1, target, least, how.seed),
        deps=everywhere(*WAIST, "lsoa_boundaries"),
        checks=[SURROGATES_KEEP_AUTOCORRELATION],
    )
    def spatial_fields(config: Coverage) -> Made:
        """How alike neighbouring LSOAs are in the index and its domains, and over what distance.

        Random surfaces that are as smooth are drawn from these fields: the spatial p-values of other
        tables rest on them.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        places = coordinates(house, waist).set_index("lsoa_code")
        table = correlation.spatial_fields(waist.measures(MEASURES), places, seed=how.seed)
        measured, drawn = soundness.autocorrelation_of_surrogates(
            waist.target(target), places, table, seed=how.seed
        )
        of_target = table[table["measure"] == target]
        return Made(
            table,
            {
                "morans_i_of_target": measured,
                "range_m_of_target": float(of_target["range_m"].mean()),
                **waist.figures,
            },
            [
                SURROGATES_KEEP_AUTOCORRELATION.result(
                    drawn > measured / 2 - ROUGH_ANYWAY, morans_i=measured, morans_i_of_surfaces=drawn
                )
            ],
        )

    @table_asset(
        house,
        code_version=stamped(2, least, n_surrogates, how.seed),
        deps=everywhere(*WAIST, "lsoa_boundaries"),
        checks=[RANKS_AND_SCORES_MIRROR_EACH_OTHER, THERE_ARE_ENOUGH_LSOAS],
    )
    def imd_correlations(context: dg.AssetExecutionContext, config: Coverage, spatial_fields: pd.DataFrame) -> Made:
        """Correlation of each of the 512 dimensions, or of each area feature, with the index and its domains.

        Over LSOAs. Read it beside noise_correlations: of 512 numbers some correlate by chance.
        Rank 1 is the most deprived, so what grows with deprivation correlates negatively with ranks.
        p_value is naive: it takes LSOAs as independent, which neighbours are not. spatial_p_value sets
        the measure beside random surfaces as smooth as it is.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        table = correlation.dimension_correlations(
            waist.embeddings,
            waist.measures(MEASURES),
            coordinates(house, waist).set_index("lsoa_code"),
            n_surrogates=n_surrogates,
            seed=how.seed,
            fields=spatial_fields,
            names=house.study.area_features,
            progress=context.log.info,
        )
        ranks = table[table["measure"] == "imd_rank"]
        mirror = soundness.mirror_of_ranks(table)
        return Made(
            table,
            {
                "largest_absolute_r_with_imd_rank": float(ranks["pearson_r"].abs().max()),
                "n_dimensions_with_naive_q_below_0.05": int((ranks["q_value"] < 0.05).sum()),
                "n_dimensions_with_spatial_q_below_0.05": int((ranks["spatial_q_value"] < 0.05).sum()),
                "n_surrogates": n_surrogates,
                **waist.figures,
            },
            [
                RANKS_AND_SCORES_MIRROR_EACH_OTHER.result(not mirror > -0.9, correlation_of_the_two=mirror),
                THERE_ARE_ENOUGH_LSOAS.result(len(waist.features) >= ENOUGH_LSOAS, n_lsoas=len(waist.features)),
            ],
        )

    @table_asset(
        house,
        code_version=stamped(2, target, least, how.n_noise_draws, how.seed),
        deps=everywhere(*WAIST, "lsoa_boundaries"),
        checks=[NOISE_HAS_ITS_EXPECTED_SIZE],
    )
    def noise_correlations(config: Coverage, spatial_fields: pd.DataFrame) -> Made:
        """The same correlations for hundreds of draws of noise, of two kinds.

        Independent: random numbers in place of the embeddings, the sampling-noise floor; a correlation
        below the largest of a typical draw says nothing. Spatial: random surfaces as smooth as the target
        in its place, the spatial-noise floor, which lies higher because neighbours are alike.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        wanted = {"n_draws": how.n_noise_draws, "seed": how.seed}
        independent = correlation.noise_correlations(
            waist.target(target).to_numpy(), n_dimensions=house.study.n_dimensions, **wanted
        )
        spatial = correlation.spatial_noise_correlations(
            waist.embeddings,
            waist.target(target),
            coordinates(house, waist).set_index("lsoa_code"),
            field=correlation.field_of(spatial_fields, target),
            **wanted,
        )
        figures = {}
        for kind, draws in (("sampling", independent), ("spatial", spatial)):
            figures[f"median_largest_absolute_r_of_{kind}_noise"] = float(draws["max_absolute_r"].median())
            exceeded = float(draws["max_absolute_r"].quantile(0.95))
            figures[f"largest_absolute_r_exceeded_by_5_percent_of_{kind}_noise"] = exceeded
        table = pd.concat([independent, spatial], ignore_index=True)
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
        table, _ = components.principal_components(
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

    return [spatial_fields, imd_correlations, noise_correlations, embedding_components]
