"""Other words for the same categories: which there are, and the images that change category with them."""

import numpy as np
import pandas as pd
import pytest

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science import prompts
from streetimd_assets.science.classification import category_probabilities
from streetimd_assets.study import Category, CategorySet

# the first categories lie along the first axes, so that a similarity is a coordinate
AXES = np.eye(512, dtype=np.float32)
NAMES = ["shops", "park", "road"]


def category_set(*, templates=("a photo of {}.",), n_prompts=(2, 1, 1)):
    categories = [
        Category(name=name, prompts=tuple(f"{name} {number}" for number in range(n)))
        for name, n in zip(NAMES, n_prompts, strict=True)
    ]
    return CategorySet(templates=templates, category=categories)


def unit(*coordinates):
    vector = np.zeros(512, dtype=np.float32)
    vector[: len(coordinates)] = coordinates
    return vector / np.linalg.norm(vector)


def categories_table(encoder="clip", content="abc"):
    return pd.DataFrame(
        {
            "position": range(3),
            "category": NAMES,
            "embedding": list(AXES[:3]),
            "logit_scale": 100.0,
            "category_set_hash": content,
            "encoder": encoder,
        }
    )


def variants_table(*rows, encoder="clip", content="abc"):
    table = pd.DataFrame(rows, columns=["variant", "kind", "category", "embedding"])
    return table.assign(category_set_hash=content, encoder=encoder)


def images_table(n_images, encoder="clip"):
    return pd.DataFrame({"image_id": [f"p{number:05d}@090" for number in range(n_images)], "encoder": encoder})


# four like shops, three like a park, two like a road and one that is like nothing
IMAGES = np.stack(
    [
        *[unit(1, 0.1 * place, 0) for place in range(4)],
        *[unit(0, 1, 0.1 * place) for place in range(3)],
        *[unit(0.1 * place, 0, 1) for place in range(2)],
        unit(0.02, 0.01, 0, 1),
    ]
)


def count(*variants, images=IMAGES):
    table = prompts.prompt_sensitivities(
        images_table(len(images)), images, categories_table(), variants_table(*variants)
    )
    return table.set_index("variant")


def said(words):
    return {(wording.variant, wording.category): wording.phrases for wording in words}


def test_a_rewording_puts_every_prompt_of_every_category_into_its_sentence_alone():
    words = said(prompts.wordings(category_set(), rewordings=["{} seen from the road."], control_prompts=[]))
    variant = "reworded: {} seen from the road."
    assert words[(variant, "shops")] == ("shops 0 seen from the road.", "shops 1 seen from the road.")
    assert words[(variant, "park")] == ("park 0 seen from the road.",)
    assert {category for name, category in words if name == variant} == set(NAMES)


def test_a_rewording_that_is_the_only_template_changes_nothing_and_is_left_out():
    one, two = ("a photo of {}.",), ("a photo of {}.", "{}")
    for templates, n_reworded in ((one, 0), (two, 3)):
        words = prompts.wordings(category_set(templates=templates), rewordings=one, control_prompts=[])
        assert sum(wording.kind == "reworded" for wording in words) == n_reworded


def test_each_prompt_is_left_out_where_others_are_left_and_only_there():
    words = prompts.wordings(category_set(n_prompts=(3, 1, 2)), rewordings=[], control_prompts=[])
    left_out = said(wording for wording in words if wording.kind == "without_prompt")
    assert left_out[("shops without: shops 1", "shops")] == ("a photo of shops 0.", "a photo of shops 2.")
    assert left_out[("road without: road 0", "road")] == ("a photo of road 1.",)
    assert sorted(category for _, category in left_out) == ["road", "road", "shops", "shops", "shops"]


def test_a_template_is_left_out_of_every_category_where_there_are_others():
    words = prompts.wordings(category_set(templates=("{}", "a {}", "the {}")), rewordings=[], control_prompts=[])
    left_out = said(wording for wording in words if wording.kind == "without_template")
    assert left_out[("without template: a {}", "park")] == ("park 0", "the park 0")
    assert len(left_out) == 3 * 3
    assert not prompts.wordings(category_set(n_prompts=(1, 1, 1)), rewordings=[], control_prompts=[])


def test_a_control_is_put_into_the_templates_of_the_set():
    words = said(prompts.wordings(category_set(templates=("a {}", "{}")), rewordings=[], control_prompts=["fish"]))
    assert words[("control: fish", "control")] == ("a fish", "fish")


def test_a_prompt_or_a_sentence_said_twice_gives_no_variant_twice():
    twice = CategorySet(
        templates=("{}", "{}"),
        category=(
            Category(name="shops", prompts=("shops", "shops", "stores")),
            Category(name="park", prompts=("a park", "a park")),
        ),
    )
    words = prompts.wordings(twice, rewordings=["a {}", "a {}"], control_prompts=["fish", "fish"])
    assert len(said(words)) == len(words)
    assert said(words)[("shops without: shops", "shops")] == ("stores",)
    assert ("park without: a park", "park") not in said(words)


def test_words_that_mean_the_same_direction_change_no_image():
    rows = [("reworded: the same", "reworded", name, AXES[place]) for place, name in enumerate(NAMES)]
    answer = count(*rows).loc["reworded: the same"]
    assert (answer["n_images"], answer["n_changed"], answer["changed_share"]) == (10, 0, 0.0)
    assert answer[["category", "changed_from", "changed_to"]].isna().all()


def test_two_categories_whose_words_are_swapped_swap_their_images():
    rows = [
        ("reworded: swapped", "reworded", name, AXES[place]) for name, place in zip(NAMES, (1, 0, 2), strict=True)
    ]
    answer = count(*rows).loc["reworded: swapped"]
    # the four of shops, the three of park and the odd one, which is nearest to shops
    assert answer["n_changed"] == 8
    assert answer["changed_share"] == pytest.approx(0.8)
    assert (answer["changed_from"], answer["changed_to"], answer["n_changed_from_to"]) == ("shops", "park", 5)


def test_leaving_a_prompt_out_changes_that_category_and_no_other():
    # without its best prompt, shops points away: its images fall to the park, where most have something of it
    answer = count(("shops without: shops 0", "without_prompt", "shops", AXES[100])).loc["shops without: shops 0"]
    assert answer["category"] == "shops"
    # the first is as unlike the others as what is left of shops, and stays
    assert answer["n_changed"] == 4
    assert (answer["changed_from"], answer["changed_to"]) == ("shops", "park")


def test_a_control_takes_the_images_that_every_category_fits_worse():
    table = count(
        ("control: fish", "control", "control", AXES[3]), ("control: fowl", "control", "control", AXES[9])
    )
    fish, fowl = table.loc["control: fish"], table.loc["control: fowl"]
    assert (fish["n_changed"], fish["changed_share"], fish["changed_to"]) == (1, 0.1, "control")
    assert (fowl["n_changed"], fowl["changed_share"]) == (0, 0.0)
    assert fish["category"] is None


def test_a_control_beside_a_category_of_that_name_is_still_the_control():
    categories = categories_table().assign(category=["control", "park", "road"])
    variants = variants_table(("control: fish", "control", "control", AXES[3]))
    table = prompts.prompt_sensitivities(images_table(10), IMAGES, categories, variants)
    assert table["n_changed"].tolist() == [1]


def test_counts_do_not_depend_on_the_order_of_any_table_nor_on_the_size_of_blocks(monkeypatch):
    rng = np.random.default_rng(4)
    images = np.stack([unit(*rng.random(6)) for _ in range(500)])
    rows = [("reworded: other", "reworded", name, unit(*rng.random(6))) for name in NAMES]
    rows += [("control: fish", "control", "control", unit(*rng.random(6)))]
    variants, categories = variants_table(*rows), categories_table()
    first = prompts.prompt_sensitivities(images_table(500), images, categories, variants)
    assert first["n_changed"].min() > 0
    monkeypatch.setattr(prompts, "_BLOCK", 7)
    shuffled = [table.sample(frac=1, random_state=2) for table in (categories, variants)]
    again = prompts.prompt_sensitivities(images_table(500), images[::-1], *shuffled)
    pd.testing.assert_frame_equal(first, again)
    assert list(first.columns) == list(schemas.TABLES["prompt_sensitivities"].column_names)


def test_no_image_and_no_variant_give_no_share():
    answer = count(("control: fish", "control", "control", AXES[3]), images=IMAGES[:0]).loc["control: fish"]
    assert (answer["n_images"], answer["n_changed"]) == (0, 0)
    assert answer["changed_share"] is None
    assert count().empty


def test_the_share_of_the_control_is_that_of_one_more_category():
    control = unit(0, 0, 0.2, 1)
    variants = variants_table(("control: fish", "control", "control", control))
    shares = prompts.control_probabilities(images_table(10), IMAGES, categories_table(), variants)
    offered = category_probabilities(IMAGES, np.stack([*AXES[:3], control]), logit_scale=100.0)
    np.testing.assert_allclose(shares, offered[:, 3], atol=1e-6)
    assert shares.argmax() == 9


def test_of_several_controls_the_one_most_like_the_image_counts():
    variants = variants_table(
        ("control: fish", "control", "control", AXES[3]), ("control: fowl", "control", "control", AXES[0])
    )
    shares = prompts.control_probabilities(images_table(10), IMAGES, categories_table(), variants)
    assert shares[0] == pytest.approx(0.5, abs=1e-3)
    assert shares[9] > 0.99


def test_without_a_control_there_is_no_share_of_it():
    variants = variants_table(("shops without: x", "without_prompt", "shops", AXES[5]))
    assert prompts.control_probabilities(images_table(10), IMAGES, categories_table(), variants) is None


@pytest.mark.parametrize("other", ["images", "variants", "set"])
def test_tables_that_do_not_belong_together_are_refused_in_one_sentence(other):
    rows = ("control: fish", "control", "control", AXES[3])
    images = images_table(10, encoder="older" if other == "images" else "clip")
    variants = variants_table(
        rows, encoder="older" if other == "variants" else "clip", content="old" if other == "set" else "abc"
    )
    with pytest.raises(ScienceError, match=r"old.*materialise"):
        prompts.prompt_sensitivities(images, IMAGES, categories_table(), variants)
