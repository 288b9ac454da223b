"""What deprivation looks like in words: texts as directions, and how LSOAs lie along them."""

import dagster as dg
import numpy as np
import pandas as pd

from streetimd_assets.defs.correlation import LIGHT, WAIST
from streetimd_assets.defs.house import House
from streetimd_assets.defs.resources import LazyEncoder
from streetimd_assets.defs.study_wide import Coverage, coordinates, everywhere, read_waist
from streetimd_assets.defs.table_asset import Check, Made, stamped, table_asset
from streetimd_assets.schemas import MEASURES
from streetimd_assets.science import classification, concepts, directions, soundness, texts

DIRECTIONS_HAVE_UNIT_LENGTH = Check(
    "directions_have_unit_length",
    "places of LSOAs along texts would not compare; choose another encoder (encoder.model), and tell us.",
)
TEXTS_DIFFER_TO_THE_MODEL = Check(
    "texts_differ_to_the_model",
    "two texts are almost the same to the model; leave one of them out, or say it in other words.",
    is_blocking=False,
)
WORDS_MIRROR_RANKS_AND_SCORES = Check(
    "words_mirror_ranks_and_scores",
    "what grows with a score must fall with its rank; materialise deprivation_indices and this again.",
)
TEXTS_SAY_MORE_THAN_RANDOM_WORDS = Check(
    "texts_say_more_than_random_words",
    "words that have nothing to do with streets go with deprivation as much as those of the study; do not read "
    "them as a description of streets.",
    is_blocking=False,
)
_ALMOST_THE_SAME = 0.999
# of texts that say nothing one in twenty goes more with deprivation than 95% of random words
_BY_CHANCE = 0.05


def assets(house: House) -> list[dg.AssetsDefinition]:
    """Directions of texts, and their correlation with deprivation."""
    study, choice, how = house.study, house.study.encoder, house.study.modelling
    effort, target, templates = how.what_is_done, study.deprivation.target, study.categories.templates

    @table_asset(
        house,
        kinds=frozenset({"pytorch"}),
        code_version=stamped(1, *choice.deciding, study.concepts.content_hash, templates),
        pool="torch",
        checks=[DIRECTIONS_HAVE_UNIT_LENGTH, TEXTS_DIFFER_TO_THE_MODEL],
    )
    def concept_directions(encoder: dg.ResourceParam[LazyEncoder]) -> Made:
        """Each text of the study's concepts, and each pair of opposites, as a direction among embeddings.

        Made once for the study, so that everything later needs no encoder. Random words, which have
        nothing to do with streets, are among them: they show what any word at all would say.
        """
        model, told = encoder.loaded, texts.concepts_of(study.concepts)
        said = texts.sentences(told, templates)
        vectors = dict(zip(said, model.embed_texts(said), strict=True))
        table = texts.concept_directions(told, vectors, templates=templates, encoder=model.identity)
        matrix = np.stack(table["embedding"].tolist())
        deviation = classification.largest_norm_deviation(matrix)
        alike = texts.largest_likeness(table)
        return Made(
            table,
            {"n_texts": len(said), "n_random": int((table["kind"] == texts.RANDOM).sum())},
            [
                DIRECTIONS_HAVE_UNIT_LENGTH.result(deviation < 1e-3, largest_deviation=deviation),
                TEXTS_DIFFER_TO_THE_MODEL.result(alike < _ALMOST_THE_SAME, largest_cosine=alike),
            ],
        )

    @table_asset(
        house,
        code_version=stamped(
            1, target, how.min_images_per_lsoa, effort.n_surrogates, effort.n_bootstrap, how.n_folds,
            how.block_side_m, how.seed,
        ),
        deps=everywhere(*WAIST, "lsoa_boundaries"),
        kinds=frozenset({"scipy"}),
        checks=[WORDS_MIRROR_RANKS_AND_SCORES, TEXTS_SAY_MORE_THAN_RANDOM_WORDS],
    )  # fmt: skip
    def concept_correlations(
        context: dg.AssetExecutionContext,
        config: Coverage,
        concept_directions: pd.DataFrame,
        spatial_fields: pd.DataFrame,
    ) -> Made:
        """How the places of LSOAs along each text go with the index and its domains.

        What deprivation looks like in words, as far as the model's own associations go: they are of
        pictures and phrases, not of people. Read each beside the random words, which are rows too.
        """
        waist = read_waist(house, config.local_authorities, LIGHT)
        texts.require_one_encoder(concept_directions, waist.features, "lsoa_features")
        table = concepts.concept_correlations(
            waist.embeddings,
            waist.measures(tuple(dict.fromkeys([*MEASURES, target]))),
            coordinates(house, waist).set_index("lsoa_code"),
            concept_directions,
            n_surrogates=effort.n_surrogates,
            n_bootstrap=effort.n_bootstrap,
            n_blocks=6 * how.n_folds,
            block_side_m=how.block_side_m,
            fields=spatial_fields,
            seed=how.seed,
            progress=context.log.info,
        )
        (name,) = directions.strongest_concepts(table, measure=target, n_concepts=1)
        strongest = table[(table["measure"] == target) & (table["concept"] == name)].iloc[0]
        beyond = concepts.beyond_random_words(table, target)
        mirror = soundness.mirror_of_ranks(table.rename(columns={"concept": "dimension"}))
        return Made(
            table,
            {
                "strongest_text": name,
                "its_pearson_r": float(strongest["pearson_r"]),
                "its_spatial_q_value": float(strongest["spatial_q_value"]),
                "share_beyond_random_words": beyond,
                **waist.figures,
            },
            [
                WORDS_MIRROR_RANKS_AND_SCORES.result(not mirror > -0.9, correlation_of_the_two=mirror),
                TEXTS_SAY_MORE_THAN_RANDOM_WORDS.result(beyond > _BY_CHANCE, share_beyond_random_words=beyond),
            ],
        )

    return [concept_directions, concept_correlations]
