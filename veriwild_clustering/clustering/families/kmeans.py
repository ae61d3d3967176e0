"""K-means and its mini-batch form, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.families.family import Arrays, Family, Params, centroid_confidence
from veriwild_clustering.core.partition import canonical_labels

__all__ = ["KMeansFamily", "MiniBatchKMeansFamily"]


@dataclass(frozen=True)
class KMeansFamily(Family):
    """Lloyd's k-means [1]_, seeded by k-means++ [2]_: O(n * k * d) per iteration.

    Parameters are those of `sklearn.cluster.KMeans` with its defaults; `n_init="auto"` runs one seeding of k-means++.
    New rows go to the nearest center.

    References
    ----------
    .. [1] Lloyd, S. (1982). Least squares quantization in PCM. doi:10.1109/TIT.1982.1056489
    .. [2] Arthur, D., Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding. SODA, 1027-1035.
    """

    name: str = "kmeans"

    def estimator(self) -> Any:
        """Return scikit-learn's KMeans."""
        from sklearn.cluster import KMeans

        return KMeans()

    def fit(self, vectors: NDArray[np.float32], params: Params) -> tuple[NDArray, NDArray, Arrays, Params]:
        """Return labels, confidence and the centers that k-means itself settled on."""
        fitted = self.build(params).fit(vectors)
        labels, order = canonical_labels(fitted.labels_)
        centers = fitted.cluster_centers_[order]
        return labels, centroid_confidence(vectors, labels, centers), {"centers": centers}, {}


@dataclass(frozen=True)
class MiniBatchKMeansFamily(KMeansFamily):
    """K-means on random batches of rows [1]_: less exact, and cheaper where rows are many.

    Parameters are those of `sklearn.cluster.MiniBatchKMeans` with its defaults. New rows go to the nearest center.

    References
    ----------
    .. [1] Sculley, D. (2010). Web-scale k-means clustering. doi:10.1145/1772690.1772862
    """

    name: str = "minibatch_kmeans"

    def estimator(self) -> Any:
        """Return scikit-learn's MiniBatchKMeans."""
        from sklearn.cluster import MiniBatchKMeans

        return MiniBatchKMeans()

    def check_values(self, params: Params, n_usable: int) -> None:
        """Raise if one of the parameters, defaults included, is out of its range."""
        super().check_values(params, n_usable)
        if params["compute_labels"] is not True:
            raise ValueError(f"`compute_labels` must be True. Got {params['compute_labels']!r} instead.")
