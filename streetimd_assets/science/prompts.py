"""How much the words decide: the categories said otherwise, and a control that no street shows.

Zero-shot categories are their prompts. If many images change category when the same thing is said in
another sentence, the shares are about the sentence. A control, such as a cucumber, is offered as one
more category: the images it would take are those that every category fits badly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets import schemas
from streetimd_assets.errors import ScienceError
from streetimd_assets.science.classification import Vectors, similarities
from streetimd_assets.study import CategorySet

Array = npt.NDArray[np.float64]
CONTROL = "control"

_BLOCK = 8192


@dataclass(frozen=True)
class Wording:
    """One category in other words, or the control.

    Parameters
    ----------
    variant
        What was changed, in words; one variant may change several categories.
    kind
        ``reworded``, ``without_prompt``, ``without_template`` or ``control``.
    category
        The category whose words were changed, or ``control``.
    phrases
        What is averaged instead.
    """

    variant: str
    kind: str
    category: str
    phrases: tuple[str, ...]


def wordings(
    categories: CategorySet, *, rewordings: Sequence[str], control_prompts: Sequence[str]
) -> list[Wording]:
    """Say the categories in other words.

    Every category in each rewording alone (one that equals the set's only template changes nothing
    and is left out); each prompt left out where a category has others; each template left out where
    there are others; each control in the set's templates.

    Parameters
    ----------
    categories
        The study's category set.
    rewordings
        Sentences that hold ``{}`` once, where the prompt goes.
    control_prompts
        What no street shows.

    Returns
    -------
    wordings
        At most one per variant and category.

    Examples
    --------
    >>> from streetimd_assets.study import load_category_set
    >>> changed = wordings(load_category_set("demo"), rewordings=["a map of {}"], control_prompts=["a cucumber"])
    >>> changed[0].variant, changed[0].phrases[0]
    ('reworded: a map of {}', 'a map of terraced houses')
    """
    templates = tuple(dict.fromkeys(categories.templates))
    return [
        *_reworded(categories, [text for text in dict.fromkeys(rewordings) if (text,) != templates]),
        *_without_each_prompt(categories, templates),
        *_without_each_template(categories, templates),
        *(
            Wording(f"control: {prompt}", CONTROL, CONTROL, _put_into(templates, [prompt]))
            for prompt in dict.fromkeys(control_prompts)
        ),
    ]


def prompt_sensitivities(
    images: pd.DataFrame, embeddings: Vectors, category_embeddings: pd.DataFrame, prompt_variants: pd.DataFrame
) -> pd.DataFrame:
    """Count the images that change category under each change of the prompts.

    Parameters
    ----------
    images
        Column encoder: what embedded each image.
    embeddings
        Unit-length image embeddings, shape (n_images, n_dimensions); read once, in blocks.
    category_embeddings, prompt_variants
        Rows of the tables of these names.

    Returns
    -------
    sensitivities
        Rows of ``prompt_sensitivities``. Of a control, the images it would take from every category.

    Raises
    ------
    ScienceError
        If images, categories and variants were embedded by different encoders, or the variants are of
        another category set.
    """
    offered = _offered(images, category_embeddings, prompt_variants)
    names = offered["category"].tolist()
    changed = prompt_variants.sort_values(["variant", "category"], ignore_index=True)
    words, others = _stacked(offered), _stacked(changed)
    # from the category an image had (row) to the one it has then (column); the last one is the control
    moves = {name: np.zeros((len(names), len(names) + 1), dtype=np.int64) for name in changed["variant"].unique()}
    for block in _blocks(embeddings):
        before, after = similarities(block, words), similarities(block, others)
        was = before.argmax(axis=1)
        for variant, rows in changed.groupby("variant").indices.items():
            places = _places(changed.iloc[rows], names)
            offer = np.concatenate([before, np.full((len(block), 1), -np.inf, before.dtype)], axis=1)
            offer[:, places] = after[:, rows]
            np.add.at(moves[variant], (was, offer.argmax(axis=1)), 1)
    counted = [_counted(changed, variant, names, counts) for variant, counts in moves.items()]
    return pd.DataFrame(counted, columns=list(schemas.TABLES["prompt_sensitivities"].column_names))


def control_probabilities(
    images: pd.DataFrame, embeddings: Vectors, category_embeddings: pd.DataFrame, prompt_variants: pd.DataFrame
) -> Array | None:
    """Softmax share that the control would have of each image if it were offered beside the categories.

    Parameters
    ----------
    images, embeddings, category_embeddings, prompt_variants
        As for :func:`prompt_sensitivities`.

    Returns
    -------
    probabilities
        Shape (n_images,): of several controls, the share of the one most like the image. None if the
        study has no control.

    Raises
    ------
    ScienceError
        As for :func:`prompt_sensitivities`.
    """
    offered = _offered(images, category_embeddings, prompt_variants)
    controls = prompt_variants[prompt_variants["kind"] == CONTROL]
    if controls.empty:
        return None
    words, others, scale = _stacked(offered), _stacked(controls), float(offered["logit_scale"].iloc[0])
    shares = []
    for block in _blocks(embeddings):
        nearest = similarities(block, others).max(axis=1, keepdims=True)
        lead = scale * (similarities(block, words).astype(np.float64) - nearest)
        shares.append(1 / (1 + np.exp(np.minimum(lead, 700)).sum(axis=1)))
    return np.concatenate([np.empty(0), *shares])


def _reworded(categories: CategorySet, rewordings: Iterable[str]) -> Iterator[Wording]:
    for sentence in rewordings:
        for category in categories.category:
            phrases = _put_into([sentence], category.prompts)
            yield Wording(f"reworded: {sentence}", "reworded", category.name, phrases)


def _without_each_prompt(categories: CategorySet, templates: Sequence[str]) -> Iterator[Wording]:
    for category in categories.category:
        for prompt in dict.fromkeys(category.prompts):
            if left := [other for other in category.prompts if other != prompt]:
                variant = f"{category.name} without: {prompt}"
                yield Wording(variant, "without_prompt", category.name, _put_into(templates, left))


def _without_each_template(categories: CategorySet, templates: Sequence[str]) -> Iterator[Wording]:
    for template in templates:
        if left := [other for other in templates if other != template]:
            for category in categories.category:
                phrases = _put_into(left, category.prompts)
                yield Wording(f"without template: {template}", "without_template", category.name, phrases)


def _put_into(templates: Sequence[str], prompts: Sequence[str]) -> tuple[str, ...]:
    return tuple(template.replace("{}", prompt) for prompt in prompts for template in templates)


def _offered(images: pd.DataFrame, category_embeddings: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """Return the categories in their order, having seen that all three tables belong together."""
    encoders = sorted({*images["encoder"], *category_embeddings["encoder"], *variants["encoder"]})
    if len(encoders) > 1:
        raise ScienceError(
            f"images, categories and their variants are of different encoders ({' and '.join(encoders)}), so they "
            "cannot be compared; materialise image_embeddings, category_embeddings and prompt_variants with one"
        )
    hashes = sorted({*category_embeddings["category_set_hash"], *variants["category_set_hash"]})
    if len(hashes) > 1:
        raise ScienceError(
            f"categories and their variants are of different category sets ({' and '.join(hashes)}); materialise "
            "category_embeddings and prompt_variants again"
        )
    return category_embeddings.sort_values("position", ignore_index=True)


def _stacked(table: pd.DataFrame) -> Vectors:
    vectors = [np.asarray(vector, dtype=np.float32) for vector in table["embedding"]]
    return np.stack(vectors) if vectors else np.empty((0, schemas.EMBEDDING_DIMENSIONS), np.float32)


def _blocks(embeddings: Vectors) -> Iterator[Vectors]:
    return (embeddings[start : start + _BLOCK] for start in range(0, len(embeddings), _BLOCK))


def _places(rows: pd.DataFrame, names: Sequence[str]) -> list[int]:
    """Columns that a variant fills: its categories', or the last for a control."""
    if rows["kind"].iloc[0] == CONTROL:
        return [len(names)]
    return [names.index(name) for name in rows["category"]]


def _counted(
    changed: pd.DataFrame, variant: str, names: Sequence[str], moves: npt.NDArray[np.int64]
) -> dict[str, object]:
    rows = changed[changed["variant"] == variant]
    n_images, of_control = int(moves.sum()), rows["kind"].iloc[0] == CONTROL
    away = moves.copy()
    np.fill_diagonal(away, 0)
    first, second = divmod(int(away.argmax()), away.shape[1])
    n_changed = int(away.sum())
    return {
        "variant": variant,
        "kind": rows["kind"].iloc[0],
        "category": rows["category"].iloc[0] if len(rows) == 1 and not of_control else None,
        "n_images": n_images,
        "n_changed": n_changed,
        "changed_share": n_changed / n_images if n_images else None,
        "changed_from": names[first] if n_changed else None,
        "changed_to": [*names, CONTROL][second] if n_changed else None,
        "n_changed_from_to": int(away[first, second]),
    }
