"""What the models leave over: how alike neighbours err, and where."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import everywhere
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import geography, residuals, soundness
from streetimd_assets.science.model_tables import headline_model_id

EVERY_MODEL_IS_EXAMINED = Check(
    "every_model_is_examined",
    "a model has predictions and no Moran's I; materialise lsoa_predictions and this again, and tell us.",
)
RESIDUALS_ARE_LESS_ALIKE_THAN_THE_TARGET = Check(
    "residuals_are_less_alike_than_the_target",
    "neighbours err as alike as they are deprived alike: the headline model misses what varies over the map; look "
    "at the map of clumped errors in study_report before its predictions are used.",
    is_blocking=False,
)
EVERY_LSOA_HAS_ONE_CLUSTER = Check(
    "every_lsoa_has_one_cluster",
    "LSOAs differ from those the headline model predicts; materialise lsoa_predictions and this again.",
)
CLUSTERS_FOLLOW_THEIR_RESIDUALS = Check(
    "clusters_follow_their_residuals",
    "an LSOA called high lies below the mean residual, or one called low above it; materialise this again, and "
    "tell us.",
)
# Moran's I of a few hundred LSOAs is this uncertain
_SLACK = 0.05


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Moran's I of every model's residuals, and the clusters of the headline model's."""
    seed, target = house.study.modelling.seed, house.study.deprivation.target
    outlines = everywhere("lsoa_boundaries")

    @table_asset(
        house,
        code_version=stamped(1, seed, target),
        deps=outlines,
        checks=[EVERY_MODEL_IS_EXAMINED, RESIDUALS_ARE_LESS_ALIKE_THAN_THE_TARGET],
    )
    def residual_autocorrelation(lsoa_predictions: pd.DataFrame, model_scores: pd.DataFrame) -> Made:
        """Whether neighbouring LSOAs err alike: Moran's I of each model's held-out residuals.

        Positive means errors in clumps: what a model misses varies over the map, and scores rest on fewer
        independent LSOAs than were counted. The same of the target stands beside it.
        """
        coordinates = _coordinates(house, lsoa_predictions)
        table = residuals.residual_autocorrelation(lsoa_predictions, model_scores, coordinates, seed=seed)
        named = headline_model_id(model_scores, lsoa_predictions, target)
        left, whole = soundness.alike_among_neighbours(table, named)
        return Made(
            table,
            {
                "morans_i_of_the_headline_model": left,
                "morans_i_of_the_target": whole,
                "n_models": len(table),
                "headline_model": named,
            },
            [
                EVERY_MODEL_IS_EXAMINED.result(
                    set(table["model_id"]) == set(lsoa_predictions["model_id"]), n_models=len(table)
                ),
                RESIDUALS_ARE_LESS_ALIKE_THAN_THE_TARGET.result(
                    not left > whole + _SLACK, morans_i_of_residuals=left, morans_i_of_target=whole
                ),
            ],
        )

    @table_asset(
        house,
        code_version=stamped(1, seed, target),
        deps=outlines,
        checks=[EVERY_LSOA_HAS_ONE_CLUSTER, CLUSTERS_FOLLOW_THEIR_RESIDUALS],
    )
    def residual_clusters(lsoa_predictions: pd.DataFrame, model_scores: pd.DataFrame) -> Made:
        """Where the headline model errs in clumps: local Moran's I of its residuals, LSOA by LSOA.

        A clump of low residuals, where the target is a rank, is more deprived than its streets suggest.
        The model is ridge on embeddings under the hardest split, named beforehand. Of the LSOAs that are
        called clumped about one in twenty is so by chance.
        """
        named = headline_model_id(model_scores, lsoa_predictions, target)
        coordinates = _coordinates(house, lsoa_predictions)
        table = residuals.residual_clusters(lsoa_predictions, coordinates, model_id=named, seed=seed)
        predicted = lsoa_predictions.loc[lsoa_predictions["model_id"] == named, "lsoa_code"]
        n_astray = soundness.clusters_astray(table)
        return Made(
            table,
            {
                "n_lsoas_in_clumps_of_high_residuals": int((table["cluster"] == "high_high").sum()),
                "n_lsoas_in_clumps_of_low_residuals": int((table["cluster"] == "low_low").sum()),
                "n_lsoas_unlike_their_neighbours": int(table["cluster"].isin(["high_low", "low_high"]).sum()),
                "model": named,
            },
            [
                EVERY_LSOA_HAS_ONE_CLUSTER.result(
                    sorted(table["lsoa_code"]) == sorted(predicted), n_lsoas=len(table), n_predicted=len(predicted)
                ),
                CLUSTERS_FOLLOW_THEIR_RESIDUALS.result(n_astray == 0, n_lsoas_astray=n_astray),
            ],
        )

    return [residual_autocorrelation, residual_clusters]


def _coordinates(house: House, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return where the LSOAs of all local authorities with predictions are."""
    covered = set(predictions["lad_code"])
    slugs = [authority.slug for authority in house.study.authorities if authority.lad_code in covered]
    outlines = house.store.read_study_wide("lsoa_boundaries", slugs)
    return geography.lsoa_positions(geography.as_geodataframe(outlines))
