"""Turn similarities between images and words into category probabilities."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from streetimd_assets.errors import ScienceError

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]

_BLOCK = 8192


def average_prompts(prompts: Vectors) -> Vectors:
    """Average the prompt embeddings of one category.

    Parameters
    ----------
    prompts
        Text embeddings, shape (n_prompts, n_dimensions); each is brought to unit length first, so that
        every prompt counts the same.

    Returns
    -------
    embedding
        Unit-length mean direction, shape (n_dimensions,).
    """
    mean = (prompts / np.linalg.norm(prompts, axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def similarities(images: Vectors, categories: Vectors) -> Vectors:
    """Cosine similarity of every image with every category.

    Parameters
    ----------
    images
        Unit-length image embeddings, shape (n_images, n_dimensions).
    categories
        Unit-length category embeddings, shape (n_categories, n_dimensions).

    Returns
    -------
    similarities
        Shape (n_images, n_categories), from -1 to 1.
    """
    return images @ categories.T


def category_probabilities(images: Vectors, categories: Vectors, *, logit_scale: float) -> Vectors:
    """Share each image among the categories by softmax of cosine similarity.

    The shares are relative to the categories offered. They are not calibrated: an image unlike every
    category still sums to one.

    Parameters
    ----------
    images
        Unit-length image embeddings, shape (n_images, n_dimensions).
    categories
        Unit-length category embeddings, shape (n_categories, n_dimensions).
    logit_scale
        Sharpness of the softmax, as the model learnt it; near 100 in CLIP [1]_.

    Returns
    -------
    probabilities
        Shape (n_images, n_categories); each row sums to one.

    References
    ----------
    .. [1] Radford et al. (2021), Learning transferable visual models from natural language supervision.
       https://arxiv.org/abs/2103.00020

    Examples
    --------
    >>> axes = np.eye(2, dtype=np.float32)
    >>> category_probabilities(axes, axes, logit_scale=0.0)
    array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """
    return _softmax(similarities(images, categories), logit_scale).astype(np.float32)


def margins(similarity: Vectors) -> Vectors:
    """Lead of the most similar category over the second, in cosine; shape (n_images,).

    Small where an image falls between two categories: the order in which to look at doubtful images.
    """
    second, first = np.partition(similarity, -2, axis=1)[:, -2:].T
    return first - second


def entropy_shares(probabilities: npt.NDArray[np.floating]) -> Numbers:
    """Shannon entropy of each row over its maximum, log(n_categories); shape (n_images,), 0 to 1."""
    shares = np.asarray(probabilities, dtype=np.float64)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=1) / np.log(shares.shape[1])) + 0.0


def classify_images(images: pd.DataFrame, embeddings: Vectors, category_embeddings: pd.DataFrame) -> pd.DataFrame:
    """Give every image its most similar category, and the probabilities of all.

    Parameters
    ----------
    images
        Columns image_id, lsoa_code, heading_deg and, where known, encoder.
    embeddings
        Unit-length image embeddings in the order of ``images``, shape (n_images, n_dimensions).
    category_embeddings
        Rows of ``category_embeddings``. Columns of the result are named by category, never by place.

    Returns
    -------
    classified
        Rows of ``category_probabilities``, in the order of image_id.

    Raises
    ------
    ScienceError
        If images and categories were embedded by different encoders, or images and embeddings do not pair.
    """
    offered = category_embeddings.sort_values("position", ignore_index=True)
    _require_one_encoder(images, offered)
    if len(images) != len(embeddings):
        raise ScienceError(
            f"{len(images)} images do not pair with {len(embeddings)} embeddings; read both from image_embeddings"
        )
    order = np.argsort(images["image_id"].to_numpy(dtype=object), kind="stable")
    # one block of images at a time: the embeddings of a large city are gigabytes and are not copied whole
    words = np.stack([np.asarray(vector, dtype=np.float32) for vector in offered["embedding"]])
    blocks = np.split(order, range(_BLOCK, len(order), _BLOCK))
    similarity = np.concatenate([similarities(embeddings[block], words) for block in blocks])
    classified = images.iloc[order][["image_id", "lsoa_code", "heading_deg"]].reset_index(drop=True)
    return pd.concat([classified, _answers(similarity, offered)], axis=1)


def largest_norm_deviation(embeddings: Vectors) -> float:
    """Largest difference of a row's length from one; 0 without rows."""
    norms = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float64))
    return float(np.abs(norms - 1).max(initial=0.0))


def largest_sum_deviation(probabilities: npt.NDArray[np.floating]) -> float:
    """Largest difference of a row's sum from one, shape (n_images, n_categories); 0 without rows."""
    return float(np.abs(probabilities.sum(axis=1) - 1).max(initial=0.0))


def _softmax(similarity: Vectors, logit_scale: float) -> Numbers:
    logits = logit_scale * similarity.astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _answers(similarity: Vectors, offered: pd.DataFrame) -> pd.DataFrame:
    """Columns of ``category_probabilities`` that follow from the similarities."""
    names = offered["category"].to_numpy(dtype=object)
    probability = _softmax(similarity, float(offered["logit_scale"].iloc[0]))
    first = similarity.argmax(axis=1)
    answers = {
        "category": names[first],
        "probability": probability[np.arange(len(first)), first],
        "margin": margins(similarity).astype(np.float64),
        "entropy_share": entropy_shares(probability),
        "is_rejected": offered["is_reject"].to_numpy(dtype=bool)[first],
    }
    answers |= {
        f"{name}_similarity": column for name, column in zip(names, similarity.T.astype(float), strict=True)
    }
    answers |= {f"{name}_probability": column for name, column in zip(names, probability.T, strict=True)}
    table = pd.DataFrame(answers)
    return table.assign(category_set_hash=offered["category_set_hash"].iloc[0], encoder=offered["encoder"].iloc[0])


def _require_one_encoder(images: pd.DataFrame, offered: pd.DataFrame) -> None:
    encoders = sorted(set(offered["encoder"]) | set(images.get("encoder", ())))
    if len(encoders) > 1:
        raise ScienceError(
            f"images and categories were embedded by different encoders ({' and '.join(encoders)}), so they "
            "cannot be compared; materialise image_embeddings and category_embeddings again with one of them"
        )
