"""A changed study marks exactly what it decides as stale, by Dagster's own reckoning.

Every asset of the real graph is recorded as materialised by a stand-in that has its key, its
dependencies, its partitions and its code version, and does nothing. Then Dagster is asked what is
stale under the definitions of the changed study.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from streetimd_assets.definitions import build_defs
from streetimd_assets.defs.jobs import AFTER_MODELS, WORDS
from streetimd_assets.settings import Settings
from streetimd_assets.study import load_study

PLACES = ("Farrowby", "Elmsthorpe")
# they print the study's settings
REPORTS = {"local_authority_report", "study_report"}
SHEETS = {"classification_report", "labelling_page", "example_sheet"}
COMPARED = {"model_scores", "model_differences", "lsoa_predictions", "fitted_models"}
MODELS = {*COMPARED, "feature_importances"}
# they draw random surfaces, or the numbers these are drawn from
SURFACES = {"spatial_fields", "imd_correlations", "noise_correlations"}
LEFT_OVER = {"residual_autocorrelation", "residual_clusters"}
# what each change decides itself, beside the reports; what follows is stale once these come out different
DECIDED_BY = {
    "a prompt of a category": {"category_embeddings", "prompt_variants", "labelling_page", "image_labels"},
    "the label of a category": SHEETS,
    "title": {*SHEETS, "imagery_map", "attribution_sheet"},
    "sampling.spacing_m": {"sample_points"},
    "a text of one's own": {"concept_directions"},
    "concept_set": {"concept_directions"},
    "deprivation.target": {
        *(*MODELS, "spatial_fields", "noise_correlations", "embedding_components", "concept_correlations"),
        *(*LEFT_OVER, "learning_curve"),
        *("example_images", "example_words", "example_sheet"),
    },
    "modelling.n_trees": MODELS,
    "modelling.n_repeats": {"model_scores", "model_differences"},
    "modelling.block_side_m": {*COMPARED, "concept_correlations", "learning_curve"},
    "modelling.feature_set": COMPARED,
    "modelling.enough_images_per_lsoa": COMPARED,
    "modelling.n_permutations": {"feature_importances"},
    "modelling.n_clusters": {"feature_importances"},
    "modelling.n_noise_draws": {"noise_correlations"},
    "modelling.n_components": {"embedding_components", "feature_importances"},
    "modelling.effort": {*MODELS, "imd_correlations", "concept_correlations", "learning_curve"},
    "modelling.seed": {*MODELS, *SURFACES, *LEFT_OVER, "concept_correlations", "learning_curve"},
    "modelling.n_folds": {*MODELS, "concept_correlations", "learning_curve"},
    "modelling.statistic": {*MODELS, "example_images", "example_words"},
    "assessment.n_per_category": {"assessment_images"},
    "assessment.rewordings": {"prompt_variants"},
    "assessment.n_labels_per_group": {"label_candidates"},
    "assessment.n_examples": {"example_images", "example_words"},
    "encoder.weights": {"image_embeddings", "category_embeddings", "prompt_variants", "concept_directions"},
    "encoder.precision": {"image_embeddings", "category_embeddings", "prompt_variants", "concept_directions"},
    "encoder.batch_size": set(),
    "imagery.max_connections": set(),
}
# what a report does not name: it follows where a number comes out different
NOT_PRINTED = {"a prompt of a category", "a text of one's own", "encoder.batch_size", "imagery.max_connections"}


def demo():
    """The demo in two places, its categories written out."""
    study = load_study("demo")
    own = [category.model_dump() for category in study.categories.category]
    templates = study.categories.templates
    told = {"local_authorities": PLACES, "category_set": None, "category": own, "templates": templates}
    return type(study).model_validate(study.model_dump() | told)


def changed(change):
    study = demo()
    section, _, field = change.partition(".")
    if field:
        part = getattr(study, section)
        return study.model_copy(update={section: part.model_copy(update={field: VALUES[change]})})
    if section == "title":
        return study.model_copy(update={"title": "Another title"})
    if section == "concept_set":
        return type(study).model_validate(study.model_dump() | {"concept_set": "street-life"})
    if change == "a text of one's own":
        pair = {"name": "wet", "toward": ["a wet street"], "away": ["a dry street"]}
        return type(study).model_validate(study.model_dump() | {"concept_pair": [pair]})
    told = {"prompts": ["a row of shop windows"]} if "prompt" in change else {"label": "another name"}
    first, *others = study.model_dump()["category"]
    return type(study).model_validate(study.model_dump() | {"category": [first | told, *others]})


VALUES = {
    "sampling.spacing_m": 30.0,
    "deprivation.target": "imd_score",
    "modelling.effort": "full",
    "modelling.n_trees": 33,
    "modelling.n_repeats": 9,
    "modelling.block_side_m": 900.0,
    "modelling.n_folds": 9,
    "modelling.feature_set": "both",
    "modelling.enough_images_per_lsoa": 3,
    "modelling.n_permutations": 9,
    "modelling.n_clusters": 9,
    "modelling.n_noise_draws": 99,
    "modelling.n_components": 9,
    "modelling.seed": 9,
    "modelling.statistic": "median",
    "assessment.n_per_category": 3,
    "assessment.rewordings": ("{} by the road.",),
    "assessment.n_labels_per_group": 7,
    "assessment.n_examples": 2,
    "encoder.weights": "others",
    "encoder.precision": "bf16",
    "encoder.batch_size": 7,
    "imagery.max_connections": 3,
}


def definitions(study) -> dg.Definitions:
    return build_defs(study, Settings("demo", Path("nowhere")))


def hollow(made: dg.AssetsDefinition, versions: Mapping[str, str]) -> dg.AssetsDefinition:
    """A step with the same specifications that makes nothing; its data versions are "first" if not given."""

    @dg.multi_asset(name=made.op.name, specs=list(made.specs))
    def step():
        for spec in made.specs:
            version = versions.get(spec.key.to_user_string(), "first")
            yield dg.MaterializeResult(asset_key=spec.key, data_version=dg.DataVersion(version))

    return step


def record(study, instance, versions: Mapping[str, str] | None = None, only: Collection[str] = ()) -> None:
    """Record every asset of a study, or only some, as materialised for each of its local authorities."""
    steps = [hollow(made, versions or {}) for made in definitions(study).assets]
    for names, is_partitioned in _in_order(steps):
        selection = [dg.AssetKey(name) for name in names if not only or name in only]
        for slug in study.slugs if is_partitioned else [None]:
            if selection:
                run = dg.materialize(steps, selection=selection, partition_key=slug, instance=instance)
                assert run.success


def _in_order(steps) -> Iterator[tuple[list[str], bool]]:
    """Parts of the graph that can run one after another: of the whole study, or per local authority."""
    graph = dg.Definitions(steps).resolve_asset_graph()
    made = graph.materializable_asset_keys
    names = [key.to_user_string() for key in graph.toposorted_asset_keys if key in made]
    is_per_authority = {name: graph.get(dg.AssetKey(name)).is_partitioned for name in names}
    words = [name for name in names if name in WORDS]
    before = [name for name in names if is_per_authority[name] and name not in AFTER_MODELS]
    whole = [name for name in names if not is_per_authority[name] and name not in WORDS]
    after = [name for name in names if name in AFTER_MODELS]
    yield from ((words, False), (before, True), (whole, False), (after, True))


def stale(study, instance) -> set[str]:
    graph = definitions(study).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = {}
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        slugs = study.slugs if node.is_partitioned else [None]
        found[key.to_user_string()] = {resolver.get_status(key, slug) for slug in slugs}
    assert not [name for name, statuses in found.items() if StaleStatus.MISSING in statuses]
    return {name for name, statuses in found.items() if StaleStatus.STALE in statuses}


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as kept:
        record(demo(), kept)
        yield kept


def test_an_unchanged_study_has_nothing_stale(instance):
    assert stale(demo(), instance) == set()


@pytest.mark.parametrize("change", DECIDED_BY)
def test_a_change_marks_exactly_what_it_decides(instance, change):
    printed = set() if change in NOT_PRINTED else REPORTS
    assert stale(changed(change), instance) == DECIDED_BY[change] | printed


def test_what_follows_is_stale_once_the_changed_table_has_come_out_different():
    study = changed("a prompt of a category")
    with dg.DagsterInstance.ephemeral() as instance:
        record(demo(), instance)
        record(study, instance, {"category_embeddings": "second"}, only=["category_embeddings"])
        found = stale(study, instance)
    assert {"category_probabilities", "lsoa_features", "study_report"} <= found
    assert found.isdisjoint({"category_embeddings", "image_embeddings", "street_images", "panoramas"})


def test_what_follows_stays_as_it_is_where_the_same_table_comes_out_again():
    study = changed("sampling.spacing_m")
    with dg.DagsterInstance.ephemeral() as instance:
        record(demo(), instance)
        record(study, instance, only=["sample_points"])
        assert stale(study, instance) == REPORTS
