"""Find the images nearest to a direction of the embedding space, such as a phrase's."""

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.classification import Vectors

_BLOCK = 8192


def similarities_to(embeddings: Vectors, direction: Vectors) -> Vectors:
    """Cosine similarity of every image with one direction, computed in blocks.

    Parameters
    ----------
    embeddings
        Unit-length image embeddings, shape (n_images, n_dimensions).
    direction
        Unit-length embedding of a phrase or an image, shape (n_dimensions,).

    Returns
    -------
    similarity
        Shape (n_images,), from -1 to 1.
    """
    blocks = [embeddings[start : start + _BLOCK] @ direction for start in range(0, len(embeddings), _BLOCK)]
    return np.concatenate([np.empty(0, np.float32), *blocks])


def nearest(similarity: Vectors, n_images: int) -> npt.NDArray[np.int64]:
    """Return the places of the largest similarities, the largest first; of equal ones, the earlier.

    Examples
    --------
    >>> nearest(np.array([0.1, 0.3, 0.2, 0.3], dtype=np.float32), 3)
    array([1, 3, 2])
    """
    # a full sort of millions for a handful is not needed: all that reach the last one's similarity are sorted
    if n_images < len(similarity):
        least = np.partition(similarity, len(similarity) - n_images)[len(similarity) - n_images]
        among = np.flatnonzero(similarity >= least)
    else:
        among = np.arange(len(similarity))
    return among[np.argsort(-similarity[among], kind="stable")][:n_images]


def standing(similarity: Vectors) -> dict[str, float]:
    """Say how the nearest image stands out from all: its similarity beside the middle and the top of the rest.

    A phrase is never far from any picture in CLIP's space, so a similarity says something only beside the
    others of the same phrase.

    Parameters
    ----------
    similarity
        Of every image that was searched, shape (n_images,), at least one.

    Returns
    -------
    figures
        ``nearest``, ``median`` and ``top_percent``: the similarity that one image in a hundred reaches.
    """
    values = similarity.astype(np.float64)
    return {
        "nearest": float(values.max()),
        "median": float(np.median(values)),
        "top_percent": float(np.quantile(values, 0.99)),
    }
