"""Every check catches the mistake it is for: the step is spoilt, and the check fails in one sentence.

Each case takes what the real step makes and spoils it as a known mistake would. A check that blocks
leaves the table that was there; one that warns lets the new one stand.
"""

import shutil

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from shapely.affinity import scale

from streetimd_assets.defs import comparison as comparison_defs
from streetimd_assets.defs import embedding as embedding_defs
from streetimd_assets.defs import imagery as imagery_defs
from streetimd_assets.defs import shapes
from streetimd_assets.encoders.clip import ClipEncoder
from streetimd_assets.schemas import TABLES
from streetimd_assets.science import (
    classification,
    comparison,
    components,
    concepts,
    correlation,
    features,
    fitted,
    forest_table,
    importance,
    learning_curve,
    local_scores,
    panoramas,
    residuals,
    sampling,
    texts,
)
from streetimd_assets.synthetic import deprivation, geography
from streetimd_assets.synthetic.painting import PaintedStreets
from streetimd_tests.graph import failure_sentence, hashes, store_of

PLACE = "farrowby"
TRIED_BESIDE_THEIR_OWN_STAGE = {"prompt_sensitivities", "label_agreement", "label_figures", "image_labels"}


@pytest.fixture(scope="module")
def workshop(tiny, tmp_path_factory):
    """The small study, copied for the tests of this page to spoil, its definitions built once."""
    folder = tmp_path_factory.mktemp("workshop")
    for part in ("tables", "images"):
        shutil.copytree(tiny.folder / "demo" / part, folder / "demo" / part)
    return type(tiny)(tiny.study, folder)


@pytest.fixture
def copy(tiny, workshop):
    """The small study as it was made."""
    yield workshop
    for part in ("tables", "images"):
        _restore(tiny.folder / "demo" / part, workshop.folder / "demo" / part)


def _restore(true, spoilt):
    """Put back what differs, by size and time of change."""
    kept = {path.relative_to(true): path.stat() for path in true.rglob("*") if path.is_file()}
    for path in [path for path in spoilt.rglob("*") if path.is_file()]:
        was = kept.pop(path.relative_to(spoilt), None)
        if was is None:
            path.unlink()
        elif (was.st_size, was.st_mtime_ns) != (path.stat().st_size, path.stat().st_mtime_ns):
            shutil.copy2(true / path.relative_to(spoilt), path)
    for lost in kept:
        (spoilt / lost).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(true / lost, spoilt / lost)


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as kept:
        yield kept


def put(**columns):
    """Give every row these values; a function is given the rows."""
    return lambda rows: rows.assign(**columns)


def roll(*columns):
    """Move columns one row down: rows joined by their order and off by one."""

    def rolled(rows):
        return rows.assign(**{column: np.roll(rows[column].to_numpy(), 1) for column in columns})

    return rolled


def drop_first(rows):
    return rows.iloc[1:]


def in_part(share, **columns):
    """Give a share of the rows these values."""

    def changed(rows):
        rows = rows.copy()
        rows.loc[rows.index[: int(share * len(rows))], list(columns)] = list(columns.values())
        return rows

    return changed


def larger_outlines(lsoas):
    """Outlines of another census: they reach into one another."""
    return lsoas.assign(geometry=lsoas.geometry.map(lambda outline: scale(outline, 1.5, 1.5)))


def every_second(rows):
    return rows.iloc[::2]


def without_first_of_each(lsoas):
    return lsoas[lsoas.duplicated("lad_code")]


def at_scale_one(rows):
    """The softmax as it is without the model's own scale: nearly uniform."""
    names = [name.removesuffix("_similarity") for name in rows if name.endswith("_similarity")]
    powers = np.exp(rows[[f"{name}_similarity" for name in names]].to_numpy())
    even = pd.DataFrame(powers / powers.sum(axis=1, keepdims=True), rows.index, [f"{n}_probability" for n in names])
    return rows.assign(**even)


def rotated_categories(rows):
    names = [name for name in rows if name.endswith("_similarity")]
    return rows.assign(**dict(zip(names, [rows[name] for name in np.roll(names, 1)], strict=True)))


def zero_first_embedding(rows):
    return rows.assign(mean_embedding=[np.zeros(512, np.float32), *rows["mean_embedding"].iloc[1:]])


def same_file_for_all_headings(rows):
    return rows.assign(sha256=rows.groupby("panorama_id")["sha256"].transform("first"))


def ranks_the_other_way(rows):
    wrong = rows["measure"] == "imd_rank"
    return rows.assign(spearman_r=rows["spearman_r"].where(~wrong, -rows["spearman_r"]))


def two_alike(rows):
    """The second phrase is given the direction of the first."""
    prompts = rows.index[rows["kind"] == "prompt"]
    embeddings = rows["embedding"].to_dict()
    return rows.assign(embedding=pd.Series(embeddings | {prompts[1]: embeddings[prompts[0]]}))


def components_reversed(made):
    table, scores = made
    return table.assign(explained_variance_share=table["explained_variance_share"].to_numpy()[::-1]), scores


def high_for_low(rows):
    """Every LSOA in a clump of the other side than its residual."""
    is_high = rows["residual"] > rows["residual"].mean()
    return rows.assign(cluster=np.where(is_high, "low_low", "high_high"), local_i=0.5)


def one_more_step(**columns):
    """A curve that goes on from where it ends."""

    def longer(rows):
        last = rows[rows["repeat"] == "all"].iloc[[-1]]
        n_points = last["n_points_per_lsoa"] + 1
        return pd.concat([rows, last.assign(n_points_per_lsoa=n_points, **columns)], ignore_index=True)

    return longer


class Mute:
    """The demo's encoder with the softmax of a model whose scale was not read."""

    def __init__(self, encoder):
        self._encoder = encoder

    logit_scale = 1.0

    def __getattr__(self, name):
        return getattr(self._encoder, name)


# the function whose result is spoilt, by the asset it makes
MADE_BY = {
    "lsoa_boundaries": (geography, "build_lsoas"),
    "road_segments": (sampling, "road_lengths"),
    "deprivation_indices": (deprivation, "build_deprivation"),
    "sample_points": (sampling, "sample_points"),
    "panoramas": (panoramas, "locate_panoramas"),
    "imagery_plan": (panoramas, "plan_imagery"),
    "street_images": (imagery_defs, "collect_images"),
    "image_embeddings": (ClipEncoder, "embed_files"),
    "category_embeddings": (classification, "average_prompts"),
    "category_probabilities": (classification, "classify_images"),
    "lsoa_features": (features, "summarise_lsoas"),
    "planted_lsoas": (PaintedStreets, "planted_lsoas"),
    "planted_scenes": (PaintedStreets, "planted_scenes"),
    "imd_correlations": (correlation, "dimension_correlations"),
    "noise_correlations": (correlation, "noise_correlations"),
    "spatial_fields": (correlation, "spatial_fields"),
    "embedding_components": (components, "principal_components"),
    "concept_directions": (texts, "concept_directions"),
    "concept_correlations": (concepts, "concept_correlations"),
    "residual_autocorrelation": (residuals, "residual_autocorrelation"),
    "residual_clusters": (residuals, "residual_clusters"),
    "learning_curve": (learning_curve, "learning_curve"),
    "local_authority_scores": (local_scores, "score_local_authority"),
}
# or another one, for some checks
MADE_BESIDE = {
    "points_keep_their_distance": (sampling, "smallest_spacing"),
    "embeddings_belong_to_their_image": (embedding_defs, "_rows"),
    "every_image_is_embedded": (embedding_defs, "_chunks"),
    "scale_is_the_models_own": (embedding_defs.LazyEncoder, "loaded"),
}
OF_THE_STUDY = {
    *("spatial_fields", "imd_correlations", "noise_correlations", "embedding_components", "concept_correlations"),
    "feature_importances",
    *("residual_autocorrelation", "residual_clusters", "learning_curve"),
}
SPOILT = [
    ("lsoa_boundaries", "no_lsoa_is_missing", without_first_of_each),
    ("lsoa_boundaries", "outlines_do_not_overlap", larger_outlines),
    ("road_segments", "most_lsoas_have_roads", lambda lengths: lengths * 0),
    ("deprivation_indices", "every_lsoa_is_ranked", every_second),
    ("deprivation_indices", "rank_1_is_the_most_deprived", put(imd_rank=lambda rows: 301 - rows["imd_rank"])),
    ("sample_points", "points_lie_on_roads", put(easting_m=lambda rows: rows["easting_m"] + 9)),
    ("sample_points", "points_keep_their_distance", lambda metres: 0.0),
    ("sample_points", "points_lie_in_their_lsoa", roll("lsoa_code")),
    ("sample_points", "most_lsoas_are_sampled", every_second),
    ("panoramas", "half_the_points_have_imagery", in_part(0.8, status="no_imagery")),
    ("panoramas", "few_points_went_unanswered", in_part(0.1, status="failed")),
    ("panoramas", "panoramas_stand_in_their_lsoa", roll("lsoa_code")),
    ("imagery_plan", "planned_images_add_up", put(n_images_held=1)),
    ("imagery_plan", "most_lsoas_have_imagery", put(n_panoramas=0)),
    ("street_images", "all_headings_per_panorama", in_part(0.3, status="failed")),
    ("street_images", "image_files_differ", same_file_for_all_headings),
    ("street_images", "few_requests_failed", in_part(0.1, status="failed")),
    ("street_images", "images_stand_where_their_panorama_does", roll("lsoa_code")),
    ("image_embeddings", "embeddings_have_unit_length", lambda made: made * 3),
    ("image_embeddings", "headings_look_different", lambda made: np.repeat(made[:1], len(made), 0)),
    ("image_embeddings", "embeddings_belong_to_their_image", roll("sha256")),
    ("image_embeddings", "every_image_is_embedded", lambda parts: [part.iloc[1:] for part in parts]),
    ("category_embeddings", "words_have_unit_length", lambda vector: vector * 3),
    ("category_embeddings", "categories_differ_in_words", lambda vector: np.eye(512, dtype=np.float32)[0]),
    ("category_embeddings", "scale_is_the_models_own", Mute),
    ("category_probabilities", "every_image_sums_to_one", put(park_probability=0.0)),
    ("category_probabilities", "similarities_belong_to_their_category", rotated_categories),
    ("category_probabilities", "softmax_is_at_the_models_scale", at_scale_one),
    ("category_probabilities", "predictions_are_decisive", put(entropy_share=0.99)),
    ("lsoa_features", "one_row_per_lsoa", drop_first),
    ("lsoa_features", "missing_is_null_not_zero", zero_first_embedding),
    ("lsoa_features", "every_image_is_counted_once", roll("n_images", "n_park")),
    ("lsoa_features", "most_lsoas_have_images", put(n_images_kept=0)),
    ("planted_lsoas", "planted_shares_sum_to_one", put(park_planted_share=0.9)),
    ("planted_scenes", "every_picture_was_planted", drop_first),
    ("spatial_fields", "surrogates_keep_autocorrelation", put(range_m=1.0, longest_range_m=1.0)),
    ("imd_correlations", "ranks_and_scores_mirror_each_other", ranks_the_other_way),
    ("imd_correlations", "there_are_enough_lsoas", lambda rows: rows),
    ("noise_correlations", "noise_has_its_expected_size", put(median_absolute_r=0.4)),
    ("embedding_components", "components_are_in_order", components_reversed),
    ("residual_autocorrelation", "every_model_is_examined", drop_first),
    (
        "residual_autocorrelation",
        "residuals_are_less_alike_than_the_target",
        put(morans_i=lambda rows: rows["observed_morans_i"] + 0.2),
    ),
    ("residual_clusters", "every_lsoa_has_one_cluster", drop_first),
    # high and low swapped, or taken from another row
    ("residual_clusters", "clusters_follow_their_residuals", high_for_low),
    ("learning_curve", "same_lsoas_at_every_step", in_part(0.5, n_lsoas=21)),
    ("learning_curve", "more_points_do_not_read_worse", one_more_step(r2=-0.9, r2_low=-1.0, r2_high=-0.8)),
    (
        "concept_directions",
        "directions_have_unit_length",
        put(embedding=lambda rows: rows["embedding"].map(lambda direction: 3 * direction)),
    ),
    ("concept_directions", "texts_differ_to_the_model", two_alike),
    ("concept_correlations", "words_mirror_ranks_and_scores", ranks_the_other_way),
    ("concept_correlations", "texts_say_more_than_random_words", put(random_word_p_value=0.5)),
    (
        "local_authority_scores",
        "predictions_are_not_one_sided",
        put(mean_error=lambda rows: rows["mean_absolute_error"]),
    ),
]


def spoil(monkeypatch, owner, name, change):
    """Let a function return something else than it made."""
    if name == "loaded":
        true = owner.__dict__[name].func
        monkeypatch.setattr(owner, name, property(lambda self: change(true(self))))
        return
    true = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: change(true(*args, **kwargs)))


def evaluations(result):
    """Checks of a run by name, and whether they were met."""
    made = [
        event.event_specific_data
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    return {evaluation.check_name: evaluation for evaluation in made}


def job_of(asset):
    if asset == "local_authority_scores":
        return "report_local_authority"
    return "analyse" if asset in OF_THE_STUDY else "collect"


def see_it_fail(copy, instance, asset, check):
    """Run the asset; its check fails, and stops it if it blocks."""
    if asset == "image_embeddings":
        # what is in the table already would be carried on
        shutil.rmtree(copy.folder / "demo/tables/image_embeddings")
    before = hashes(copy.folder / "demo" / "tables" / asset)
    result = copy.run(job_of(asset), instance, [asset])
    evaluation = evaluations(result)[check]
    assert not evaluation.passed
    assert evaluation.description.endswith(".")
    if evaluation.blocking and evaluation.severity == dg.AssetCheckSeverity.ERROR:
        said = failure_sentence(result)
        assert said.startswith(
            (f"{asset} was not kept, what was there stays: ", f"{asset} must not be used as it is: ")
        )
        assert check.replace("_", " ") in said
        assert evaluation.description in said
        assert hashes(copy.folder / "demo" / "tables" / asset).items() >= before.items()
    else:
        assert result.success


@pytest.mark.parametrize(("asset", "check", "change"), SPOILT, ids=[f"{case[0]}-{case[1]}" for case in SPOILT])
def test_a_check_catches_the_mistake_it_is_for(copy, instance, monkeypatch, asset, check, change):
    spoil(monkeypatch, *MADE_BESIDE.get(check, MADE_BY[asset]), change)
    see_it_fail(copy, instance, asset, check)


@pytest.fixture
def modelled(copy, monkeypatch):
    """Put the tables made before in place of an hour of fitting, spoilt."""
    store = store_of(copy.study, copy.folder)
    made = {name: store.read(name) for name in comparison_defs.CHECKS}

    def spoilt(table, change):
        made[table] = change(made[table])
        models = [fitted.load_model(row) for row in store.read("fitted_models").to_dict("records")]
        if table == "fitted_models":
            models = [
                type("Damaged", (), {"to_row": lambda self, row=row: row})()
                for row in made[table].to_dict("records")
            ]
        tuned = comparison.TunedModels(
            made["model_scores"], made["model_differences"], made["lsoa_predictions"], models
        )
        forests = forest_table.ForestTable(made["model_scores"].iloc[:0], made["model_differences"].iloc[:0])
        monkeypatch.setattr(comparison_defs, "_fit", lambda *args: (forests, tuned))

    return spoilt


@pytest.mark.parametrize(
    ("table", "check", "change"),
    [
        ("model_scores", "no_score_is_too_good", put(r2=0.999, r2_low=0.9, r2_high=1.0)),
        ("model_scores", "images_say_more_than_the_map", put(r2=0.2, r2_low=0.1, r2_high=0.3)),
        ("model_scores", "intervals_hold_what_they_say", put(interval_coverage_share=0.5)),
        ("model_differences", "differences_agree_with_scores", put(r2_difference=0.3, r2_difference_high=0.4)),
        ("lsoa_predictions", "every_prediction_is_held_out", drop_first),
        ("fitted_models", "every_model_loads_again", put(payload=b"damaged")),
    ],
)
def test_a_check_of_the_models_catches_the_mistake_it_is_for(copy, instance, modelled, table, check, change):
    modelled(table, change)
    result = copy.run("analyse", instance, list(comparison_defs.CHECKS))
    evaluation = evaluations(result)[check]
    assert not evaluation.passed
    if evaluation.severity == dg.AssetCheckSeverity.ERROR:
        assert check.replace("_", " ") in failure_sentence(result)


def test_an_importance_no_larger_than_chance_gives_is_warned_of(copy, instance, monkeypatch):
    table = store_of(copy.study, copy.folder).read("feature_importances").assign(band_low=-1.0, band_high=-0.9)
    # above the band, as one feature in forty is by chance, and above the highest by chance or not
    for highest, is_met in ((-0.8, True), (table["importance"].max(), False)):
        made = table.assign(band_top=highest)
        monkeypatch.setattr(importance, "feature_importances", lambda *args, made=made, **kwargs: made)
        result = copy.run("analyse", instance, ["feature_importances"])
        assert result.success
        assert evaluations(result)["leading_feature_stands_out"].passed == is_met


def test_a_study_without_images_has_no_learning_curve_and_goes_on(copy, instance):
    shutil.rmtree(copy.folder / "demo/tables/image_embeddings")
    result = copy.run("analyse", instance, ["learning_curve"])
    assert result.success
    assert all(evaluation.passed for evaluation in evaluations(result).values())
    assert store_of(copy.study, copy.folder).read("learning_curve").empty


def test_every_check_of_these_stages_is_spoilt_here(tiny):
    graph = tiny.definitions.resolve_asset_graph()
    ours = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    tried = {(asset, check) for asset, check, _ in SPOILT}
    tried |= {(name, check.name) for name, checks in comparison_defs.CHECKS.items() for check in checks}
    tried |= {("feature_importances", "leading_feature_stands_out")}
    left = {(asset, check) for asset, check in ours - tried if check != "columns_are_as_declared"}
    assert {asset for asset, _ in left} <= TRIED_BESIDE_THEIR_OWN_STAGE


@pytest.mark.parametrize("before", ["kept", "nothing"])
def test_a_table_of_another_shape_is_not_kept_and_what_was_there_stays(copy, instance, monkeypatch, before):
    folder = copy.folder / "demo/tables/category_probabilities"
    if before == "nothing":
        shutil.rmtree(folder)
    there = hashes(folder)
    spoil(monkeypatch, classification, "classify_images", put(probability=1.5))
    result = copy.run("collect", instance, ["category_probabilities", "lsoa_features"])
    assert failure_sentence(result).startswith(
        "category_probabilities was not kept, what was there stays: category_probabilities.probability must be "
        "from 0 up to 1 and is not in "
    )
    shape = evaluations(result)["columns_are_as_declared"]
    assert not shape.passed
    assert shape.blocking
    assert hashes(folder) == there
    assert not [event for event in result.all_events if event.is_step_materialization]


def first(**columns):
    """Give the first row these values."""

    def changed(rows):
        rows = rows.copy()
        for column, value in columns.items():
            rows[column] = pd.Series([value, *rows[column].iloc[1:]], rows.index, dtype=object)
        return rows

    return changed


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("lsoa_features", lambda rows: rows.drop(columns="n_points"), "lacks ['n_points']"),
        ("lsoa_features", put(extra=1), "unknown columns ['extra']"),
        ("lsoa_features", first(n_points="many"), "n_points cannot be kept as INTEGER"),
        ("lsoa_features", first(n_points=None), "n_points is NULL in 1 rows"),
        ("lsoa_features", lambda rows: pd.concat([rows, rows.iloc[:1]]), "two rows with"),
        ("lsoa_features", first(n_points=-1), "n_points must be at least 0 and is not in 1 of"),
        ("lsoa_features", first(park_share=1.2), "park_share must be from 0 up to 1 and is not in 1 of"),
        ("lsoa_features", first(mean_embedding=np.full(512, np.nan)), "mean_embedding must be 512 finite numbers"),
        ("category_probabilities", first(category="harbour"), "category must be one of"),
        ("category_probabilities", first(heading_deg=360.0), "heading_deg must be from 0 up to but not 360"),
        ("category_probabilities", first(margin=np.inf), "margin must be from 0 up to 2"),
        ("category_probabilities", first(park_similarity=-1.5), "park_similarity must be from -1 up to 1"),
        ("panoramas", first(status="perhaps"), "status must be one of ok, no_imagery"),
        ("panoramas", first(latitude_deg=95.0), "latitude_deg must be from -90 up to 90"),
        ("street_images", first(status="perhaps"), "status must be one of ok, invalid_image"),
        ("street_images", first(width_px=0), "width_px must be at least 1"),
        ("deprivation_indices", first(imd_rank=0), "imd_rank must be at least 1"),
        ("deprivation_indices", first(imd_decile=11), "imd_decile must be from 1 up to 10"),
        ("deprivation_indices", first(imd_score=np.inf), "imd_score must be any finite number"),
        ("lsoa_predictions", first(predicted_low=1e9), "predicted_low must be at most predicted_high"),
        ("model_scores", first(r2=1.5), "r2 must be at most 1"),
        ("imd_correlations", first(pearson_r=-1.5), "pearson_r must be from -1 up to 1"),
    ],
)
def test_the_shape_of_a_table_is_what_its_declaration_says(tiny, name, change, said):
    store = store_of(tiny.study, tiny.folder)
    rows = store.read(name, PLACE if TABLES[name].is_partitioned else None)
    assert shapes.find_faults(store, name, rows)[0] == []
    faults, _ = shapes.find_faults(store, name, change(rows))
    assert len(faults) == 1
    assert said in faults[0]
