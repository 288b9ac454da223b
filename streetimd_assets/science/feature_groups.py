"""Groups of features that say the same, found without looking at what is predicted.

A model that can read the same from several correlated dimensions loses little without any one of
them. Groups are shuffled as one, so that what their members share is seen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.matrices import FeatureMatrix

Array = npt.NDArray[np.float64]
MOST_MEMBERS_NAMED = 10


@dataclass(frozen=True, eq=False)
class FeatureGroups:
    """Clusters and directions of the features of a matrix.

    Parameters
    ----------
    names
        Names of the features, shape (n_features,).
    clusters
        Number of the cluster of each feature, from 0, shape (n_features,); None where there are no more
        features than clusters.
    directions
        Principal components of the embedding, of unit length, zero for shares, shape
        (n_components, n_features).
    """

    names: tuple[str, ...]
    clusters: npt.NDArray[np.intp] | None
    directions: Array

    def cluster_members(self) -> dict[str, str]:
        """Features of each cluster, one per line; ``cluster_01`` is the one with most members."""
        if self.clusters is None:
            return {}
        columns = np.array(self.names, dtype=object)
        members = [columns[self.clusters == number] for number in range(self.clusters.max() + 1)]
        return {f"cluster_{number:02d}": "\n".join(some) for number, some in enumerate(members, start=1)}

    def component_members(self) -> dict[str, str]:
        """Features with the largest loadings on each component, one per line, the largest first.

        Along ``component_01`` LSOAs differ most.
        """
        columns = np.array(self.names, dtype=object)
        largest = np.argsort(-np.abs(self.directions), axis=1, kind="stable")[:, :MOST_MEMBERS_NAMED]
        kept = [row[loadings[row] != 0] for row, loadings in zip(largest, self.directions, strict=True)]
        return {f"component_{number:02d}": "\n".join(columns[row]) for number, row in enumerate(kept, start=1)}


def find_groups(matrix: FeatureMatrix, *, n_clusters: int, n_components: int) -> FeatureGroups:
    """Find clusters of correlated features, and principal components of the embedding.

    Both are found once, on all LSOAs. They look at features alone, never at the target, and no model
    is given them: they only say which features are shuffled together in models of single features that
    never saw the LSOAs held out. So nothing of a held-out LSOA's deprivation can reach a model, and a
    cluster means the same in every fold, which clusters of each training part would not.

    Clusters join by complete linkage of 1 - abs(r): any two members correlate, and none is in merely because it
    resembles another that resembles a third. Average linkage, tried on 512 correlated dimensions cut into 20,
    leaves 19 small clusters and one of 441.

    Parameters
    ----------
    matrix
        Features, shape (n_lsoas, n_features).
    n_clusters
        Number of clusters, into which no more features than these are not put.
    n_components
        The most components; fewer where LSOAs or dimensions allow no more, none without an embedding.
    """
    values = matrix.values.astype(np.float64)
    return FeatureGroups(
        names=matrix.names,
        clusters=_clusters(values, n_clusters) if values.shape[1] > n_clusters else None,
        directions=_directions(values, matrix.is_embedding, n_components),
    )


def _clusters(values: Array, n_clusters: int) -> npt.NDArray[np.intp]:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    varies = np.ptp(values, axis=0) > 0
    r = np.zeros((values.shape[1], values.shape[1]))
    # a feature that is the same everywhere correlates with nothing
    r[np.ix_(varies, varies)] = np.atleast_2d(np.corrcoef(values[:, varies], rowvar=False))
    np.fill_diagonal(r, 1)
    # rounding must neither make a distance negative nor break the tie of copies
    distances = np.round(np.clip(1 - np.abs(r), 0, 1), 9)
    tree = hierarchy.linkage(squareform(distances, checks=False), "complete")
    found = hierarchy.fcluster(tree, n_clusters, "maxclust")
    names, first, sizes = np.unique(found, return_index=True, return_counts=True)
    place = np.empty(found.max() + 1, dtype=np.intp)
    place[names[np.lexsort((first, -sizes))]] = np.arange(len(names))
    return place[found]


def _directions(values: Array, is_embedding: npt.NDArray[np.bool_], n_components: int) -> Array:
    """Directions of the embedding's dimensions, centred and not rescaled, as in ``embedding_components``."""
    vectors = values[:, is_embedding]
    n_kept = min(n_components, len(vectors) - 1, vectors.shape[1])
    directions = np.zeros((n_kept, values.shape[1]))
    if n_kept:
        directions[:, is_embedding] = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)[2][:n_kept]
    return directions
