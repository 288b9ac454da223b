"""Which features the models lean on."""

import dagster as dg
import pandas as pd

from streetimd_assets.defs.correlation import WAIST
from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, everywhere, read_waist
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import importance

LEADING_FEATURE_STANDS_OUT = Check(
    "leading_feature_stands_out",
    "shuffling the leading feature costs the model little more than chance; do not read the order of features.",
    is_blocking=False,
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Permutation and Gini importance of the main models."""
    how, target = house.study.modelling, house.study.deprivation.target

    @table_asset(
        house,
        deps=everywhere(*WAIST),
        code_version=stamped(
            1,
            *(
                target,
                how.statistic,
                how.n_folds,
                how.n_permutations,
                how.n_trees,
                how.min_images_per_lsoa,
                how.seed,
            ),
        ),
        kinds=frozenset({"scikitlearn"}),
        checks=[LEADING_FEATURE_STANDS_OUT],
    )
    def feature_importances(
        context: dg.AssetExecutionContext, config: Coverage, model_scores: pd.DataFrame
    ) -> Made:
        """Features ranked by what a model loses without them (permutation, on LSOAs it never saw) and by Gini.

        They say what to look at in the pictures, not what causes deprivation. Gini importance favours
        features with many values and says nothing of LSOAs held out. Correlated dimensions share their
        importance, so a low rank does not mean no relation.
        """
        waist = read_waist(house, config.local_authorities)
        table = importance.feature_importances(
            waist.features,
            waist.target(target),
            model_scores,
            target_name=target,
            shares=waist.shares,
            feature_set="both" if house.study.has_images else "table",
            statistic=how.statistic,
            n_folds=how.n_folds,
            n_permutations=how.n_permutations,
            n_trees=how.n_trees,
            seed=how.seed,
            progress=context.log.info,
        )
        first = table[(table["method"] == "permutation") & (table["position"] == 1)].iloc[0]
        loss, spread = float(first["importance"]), float(first["importance_sd"])
        figures = {
            "loss_of_r2_without_the_leading_feature": loss,
            "n_features_that_matter": int((table["importance"] > 2 * table["importance_sd"]).sum()),
            "leading_feature": str(first["feature"]),
        }
        checks = [LEADING_FEATURE_STANDS_OUT.result(loss > 2 * spread, loss_of_r2=loss, standard_deviation=spread)]
        return Made(table, {**figures, **waist.figures}, checks)

    return [feature_importances]
