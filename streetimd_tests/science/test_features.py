"""Features speak of the images kept, and of nothing where there is none."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science import features

NAMES, REJECTS = ["terrace", "interior", "park", "works"], ["interior"]
CODES = ["E01000001", "E01000002", "E01000003", "E01000004"]


def make_world(n_images=200, seed=1):
    """Classified images in the first two LSOAs, one rejected image in the third, none in the fourth."""
    rng = np.random.default_rng(seed)
    classified = pd.DataFrame(
        {
            "image_id": [f"p{number:04d}@090" for number in range(n_images)],
            "lsoa_code": rng.choice(CODES[:2], n_images),
            "category": rng.choice(NAMES[:3], n_images),
            "category_set_hash": "abc",
            "encoder": "clip",
        }
    )
    classified.loc[0, ["lsoa_code", "category"]] = ["E01000003", "interior"]
    return classified, rng.standard_normal((n_images, 512)).astype(np.float32)


def summarise(classified, embeddings, in_ranges_of=None, **options):
    points = pd.DataFrame({"lsoa_code": ["E01000001", "E01000001", "E01000004"]})
    panoramas = pd.DataFrame({"lsoa_code": ["E01000001", "E01000001"], "status": ["ok", "too_far"]})
    defaults = {
        "categories": NAMES,
        "rejects": REJECTS,
        "min_images_per_category": 1,
        "category_set_hash": "abc",
        "encoder": "clip",
    }
    if in_ranges_of is not None:
        return features.summarise_in_ranges(
            CODES, "E09000007", points, panoramas, classified, embeddings,
            n_images_at_once=in_ranges_of, **defaults | options,
        )  # fmt: skip
    return features.summarise_lsoas(
        CODES, "E09000007", points, panoramas, classified, embeddings, **defaults | options
    )


def assert_same(left, right):
    """Same numbers, vectors to the last bits of single precision."""
    assert list(left.columns) == list(right.columns)
    vectors = [name for name in left if name.endswith("_embedding")]
    assert_frame_equal(left.drop(columns=vectors), right.drop(columns=vectors))
    for name in vectors:
        assert left[name].isna().tolist() == right[name].isna().tolist(), name
        stacked = [features.stack_embeddings(table[name]) for table in (left, right)]
        np.testing.assert_allclose(*stacked, rtol=1e-6, atol=1e-7, err_msg=name)


def test_columns_are_those_declared():
    summary = summarise(*make_world())
    assert list(summary.columns) == list(schemas.get_table("lsoa_features", NAMES).column_names)
    assert summary["lsoa_code"].tolist() == CODES


def test_embeddings_are_pooled_over_the_kept_images_of_each_lsoa():
    classified, embeddings = make_world()
    first = summarise(classified, embeddings).iloc[0]
    here = (classified["lsoa_code"] == CODES[0]).to_numpy()
    kept = embeddings[here & (classified["category"] != "interior").to_numpy()]
    np.testing.assert_allclose(first["mean_embedding"], kept.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(first["median_embedding"], np.median(kept, axis=0))
    np.testing.assert_array_equal(first["max_embedding"], kept.max(axis=0))
    parks = embeddings[here & (classified["category"] == "park").to_numpy()]
    np.testing.assert_array_equal(first["park_median_embedding"], np.median(parks, axis=0))
    np.testing.assert_array_equal(first["park_max_embedding"], parks.max(axis=0))
    assert first["n_images_kept"] == len(kept)
    assert first["n_park"] == len(parks)
    assert first["mean_embedding"].dtype == np.float32


def test_shares_of_kept_categories_sum_to_one_and_rejects_are_shares_of_all():
    summary = summarise(*make_world()).iloc[:2]
    kept = summary[["terrace_share", "park_share", "works_share"]].sum(axis=1)
    assert kept.tolist() == pytest.approx([1, 1])
    assert (summary["interior_share"] == summary["n_interior"] / summary["n_images"]).all()
    assert (summary["rejected_share"] == summary["interior_share"]).all()
    assert (summary["n_images"] == summary["n_images_kept"] + summary["n_interior"]).all()


def test_what_no_image_shows_is_null_and_never_zeros():
    summary = summarise(*make_world()).set_index("lsoa_code")
    assert summary.loc["E01000003", "rejected_share"] == 1
    assert summary.loc["E01000003", "n_images"] == 1
    assert np.isnan(summary.loc["E01000003", "park_share"])
    assert summary.loc["E01000003", "mean_embedding"] is None
    assert summary.loc["E01000003", "interior_mean_embedding"] is not None
    assert summary.loc["E01000004", ["n_images", "n_images_kept", "n_points"]].tolist() == [0, 0, 1]
    assert np.isnan(summary.loc["E01000004", "rejected_share"])
    assert summary["works_mean_embedding"].isna().all()
    assert (summary["works_share"].iloc[:2] == 0).all()
    assert features.zero_embeddings(summary) == []


def test_zeros_for_a_category_without_images_are_caught():
    summary = summarise(*make_world())
    summary["works_mean_embedding"] = [np.zeros(512, dtype=np.float32)] * len(summary)
    assert features.zero_embeddings(summary) == ["works_mean_embedding"]


def test_points_and_usable_panoramas_are_counted():
    summary = summarise(*make_world()).set_index("lsoa_code")
    assert summary["n_points"].tolist() == [2, 0, 0, 1]
    assert summary["n_panoramas"].tolist() == [1, 0, 0, 0]
    assert set(summary["lad_code"]) == {"E09000007"}


def test_a_category_with_fewer_images_than_asked_has_shares_but_no_embedding():
    classified, embeddings = make_world()
    least = int((classified.query("lsoa_code == 'E01000001'")["category"] == "park").sum()) + 1
    first = summarise(classified, embeddings, min_images_per_category=least).iloc[0]
    assert first["park_mean_embedding"] is None
    assert first["park_share"] > 0
    assert first["mean_embedding"] is not None


def test_shuffled_images_give_the_same_features():
    classified, embeddings = make_world()
    order = np.random.default_rng(5).permutation(len(classified))
    assert_same(summarise(classified, embeddings), summarise(classified.iloc[order], embeddings[order]))


def test_every_image_twice_gives_the_same_shares_means_medians_and_maxima():
    classified, embeddings = make_world()
    copies = classified.assign(image_id=classified["image_id"] + " again")
    twice = summarise(pd.concat([classified, copies], ignore_index=True), np.concatenate([embeddings, embeddings]))
    once = summarise(classified, embeddings)
    counts = [name for name in once if name.startswith(("n_images", *(f"n_{name}" for name in NAMES)))]
    assert (twice[counts] == 2 * once[counts]).all(axis=None)
    assert_same(once.drop(columns=counts), twice.drop(columns=counts))


def test_turning_the_embeddings_turns_their_means():
    classified, embeddings = make_world()
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((512, 512)))[0].astype(np.float32)
    turned = features.stack_embeddings(summarise(classified, embeddings @ rotation)["mean_embedding"])
    straight = features.stack_embeddings(summarise(classified, embeddings)["mean_embedding"])
    np.testing.assert_allclose(turned[:2], straight[:2] @ rotation, atol=1e-5)


def test_embeddings_joined_one_row_off_change_every_pooled_vector():
    classified, embeddings = make_world()
    right = features.stack_embeddings(summarise(classified, embeddings)["park_mean_embedding"])[:2]
    off = features.stack_embeddings(summarise(classified, np.roll(embeddings, 1, axis=0))["park_mean_embedding"])[
        :2
    ]
    similarity = (right * off).sum(axis=1) / np.linalg.norm(right, axis=1) / np.linalg.norm(off, axis=1)
    assert np.abs(similarity).max() < 0.6


@pytest.mark.parametrize("n_images", [1, 2, 3, 4, 5, 16, 33, 1000])
def test_a_pooled_vector_is_what_numpy_gives(n_images):
    block = np.random.default_rng(n_images).standard_normal((512, n_images)).astype(np.float32)
    block[0, 0], block[1] = np.nan, 0.25
    expected = block.mean(axis=1, dtype=np.float64).astype(np.float32), np.median(block, axis=1), block.max(axis=1)
    assert np.isnan([vector[0] for vector in expected]).all()
    for found, wanted in zip(features._pool(block), expected, strict=True):
        assert found.dtype == np.float32
        assert not np.shares_memory(found, block)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("n_at_once", [1, 80, 130, 200])
def test_in_ranges_of_lsoas_the_features_are_the_same_to_the_last_bit(n_at_once):
    classified, embeddings = make_world()
    classified = classified.sample(frac=1, random_state=2)
    place, read = {name: number for number, name in enumerate(classified["image_id"])}, []

    def read_embeddings(names):
        read.append(len(names))
        return embeddings[[place[name] for name in names]]

    whole = summarise(classified, embeddings)
    parts = summarise(classified, read_embeddings, in_ranges_of=n_at_once)
    assert sum(read) == 200
    assert max(read) <= max(n_at_once, classified["lsoa_code"].value_counts().max())
    assert len(read) == {1: 3, 80: 3, 130: 2, 200: 1}[n_at_once]
    assert list(parts.columns) == list(whole.columns)
    assert (parts.dtypes == whole.dtypes).all()
    vectors = [name for name in whole if name.endswith("_embedding")]
    assert_frame_equal(parts.drop(columns=vectors), whole.drop(columns=vectors), check_exact=True)
    for name in vectors:
        np.testing.assert_array_equal(*(features.stack_embeddings(table[name]) for table in (parts, whole)))


def test_in_ranges_too_an_image_of_another_lsoa_is_refused():
    classified, embeddings = make_world()
    classified.loc[3, "lsoa_code"] = "E01099999"
    with pytest.raises(ScienceError, match="images stand in E01099999"):
        summarise(classified, lambda names: embeddings[: len(names)], in_ranges_of=50)


def test_in_ranges_no_images_at_all_leave_every_lsoa_null():
    classified, embeddings = make_world()
    summary = summarise(classified.iloc[:0], lambda names: embeddings[: len(names)], in_ranges_of=50)
    assert summary["mean_embedding"].isna().tolist() == [True] * 4


def test_no_images_at_all_leave_every_lsoa_null():
    classified, embeddings = make_world()
    summary = summarise(classified.iloc[:0], embeddings[:0])
    assert len(summary) == 4
    assert summary["mean_embedding"].isna().all()
    assert summary["n_images"].tolist() == [0, 0, 0, 0]
    assert features.stack_embeddings(summary["mean_embedding"]).shape == (4, 512)


def test_stacked_embeddings_have_nan_where_null():
    column = pd.Series([None, np.arange(512, dtype=np.float32), None], dtype=object)
    stacked = features.stack_embeddings(column)
    assert stacked.shape == (3, 512)
    assert np.isnan(stacked[[0, 2]]).all()
    assert stacked[1].tolist() == list(range(512))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lsoa_code": "E01099999"}, "images stand in E01099999, not among the 4 LSOAs"),
        ({"category": "castle"}, "classified as castle, which"),
        ({"category_set_hash": "old"}, "category set old and encoder clip, and the study now has abc and clip"),
        ({"encoder": "older"}, "category set abc and encoder older"),
    ],
)
def test_images_that_do_not_fit_the_study_are_refused(change, sentence):
    classified, embeddings = make_world()
    classified.loc[7, list(change)] = list(change.values())
    with pytest.raises(ScienceError, match=sentence):
        summarise(classified, embeddings)


def test_an_embedding_too_few_is_refused():
    classified, embeddings = make_world()
    with pytest.raises(ScienceError, match="200 classified images do not pair with 199 embeddings"):
        summarise(classified, embeddings[1:])


def test_rows_of_two_vintages_are_never_pooled():
    summary = summarise(*make_world())
    features.require_one_vintage(summary)
    other = summary.assign(category_set_hash="def", lad_code="E09000030")
    with pytest.raises(
        ScienceError, match=r"set abc and encoder clip in E09000007; of category set def.*E09000030"
    ):
        features.require_one_vintage(pd.concat([summary, other]))
