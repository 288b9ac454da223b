"""Which features the models lean on."""

from typing import Any

import dagster as dg
import pandas as pd

from streetimd_assets.defs.correlation import WAIST
from streetimd_assets.defs.house import House
from streetimd_assets.defs.study_wide import Coverage, everywhere, read_waist
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.science import importance
from streetimd_assets.science.ranking import leading_beside_chance

LEADING_FEATURE_STANDS_OUT = Check(
    "leading_feature_stands_out",
    "some feature costs a model as much where the target is shuffled: single features are not told apart from "
    "chance; do not read their order, read the groups, or collect more.",
    is_blocking=False,
    meaning="shuffling it costs more than shuffling any feature of a model fitted to a shuffled target",
)


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Permutation, Gini and SHAP importance of the main models, beside what chance gives."""
    how, target = house.study.modelling, house.study.deprivation.target
    effort = how.what_is_done
    times: dict[str, Any] = {
        "statistic": how.statistic,
        "n_folds": how.n_folds,
        "n_permutations": how.n_permutations,
        "n_trees": how.n_trees_grown,
        "n_clusters": how.n_clusters,
        "n_components": how.n_components,
        "n_seeds": effort.n_importance_seeds,
        "n_shuffled_targets": effort.n_shuffled_targets,
        # tuned in every fold, forests of 1,700 LSOAs take longer than all else together: only where all is
        "tunes": effort.tuning == "all",
        "seed": how.seed,
    }

    @table_asset(
        house,
        deps=everywhere(*WAIST),
        code_version=stamped(2, target, how.min_images_per_lsoa, times),
        kinds=frozenset({"scikitlearn"}),
        checks=[LEADING_FEATURE_STANDS_OUT],
    )
    def feature_importances(
        context: dg.AssetExecutionContext, config: Coverage, model_scores: pd.DataFrame
    ) -> Made:
        """Features ranked by what a model loses without them, beside what they get where the target is shuffled.

        Permutation is on LSOAs the model never saw, of single features and of groups; correlated dimensions
        share their importance, so a low rank does not mean no relation. Gini importance favours features with
        many values and says nothing of LSOAs held out. SHAP is of boosted trees on category shares alone, or on
        area features. All say what to look at in the pictures, not what causes deprivation.
        """
        waist = read_waist(house, config.local_authorities)
        table = importance.feature_importances(
            waist.features,
            waist.target(target),
            model_scores,
            target_name=target,
            shares=waist.shares,
            feature_set="both" if house.study.has_images else "table",
            progress=context.log.info,
            **times,
        )
        first = leading_beside_chance(table)
        figures = {
            "leading_feature": first.feature,
            "loss_of_r2_without_the_leading_feature": first.loss,
            "highest_loss_of_r2_by_chance": first.loss_by_chance,
            "n_features_above_the_band_of_chance": first.n_above_band,
            "n_features_above_it_expected_by_chance": first.n_expected,
        }
        stands_out = LEADING_FEATURE_STANDS_OUT.result(
            first.loss > first.loss_by_chance, loss_of_r2=first.loss, highest_by_chance=first.loss_by_chance
        )
        return Made(table, {**figures, **waist.figures}, [stands_out])

    return [feature_importances]
