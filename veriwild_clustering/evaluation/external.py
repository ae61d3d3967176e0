"""External scores: how well a partition agrees with known classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.partition import Partition
from veriwild_clustering.evaluation.contingency import MEASURES, Contingency

__all__ = ["external_scores", "hungarian_accuracy", "scores_of_codes"]


def external_scores(partition: Partition, truth: ArrayLike) -> dict[str, float]:
    """Score how well a partition agrees with known classes.

    Parameters
    ----------
    partition : Partition
        The partition to score.
    truth : array of shape (n_images,)
        The class of each image: any column of the image table. Images without one (NaN, None or "") are left out.

    Returns
    -------
    dict of str to float
        `accuracy` (`hungarian_accuracy`, noise is wrong); `ari`, `ami`, `nmi`, `v_measure` as scikit-learn gives them
        for the labels as they are, that is, with noise as one more cluster; `n_scored`, the number of images with a
        class. NaN throughout where no image has one.

    Raises
    ------
    ValueError
        If `truth` does not have one entry per image.

    See Also
    --------
    pair_consistency : For identities, where each class has few images.

    Notes
    -----
    ARI and AMI are 0 on average for labels by chance; accuracy, NMI and V-measure grow with the number of clusters.
    O(n_images) and, for AMI, O(√n_images) for each two different sizes of a cluster and a class.

    References
    ----------
    .. [1] Hubert, L., & Arabie, P. (1985). Comparing partitions. Journal of Classification, 2, 193–218.
       https://doi.org/10.1007/BF01908075
    .. [2] Vinh, N. X., Epps, J., & Bailey, J. (2010). Information theoretic measures for clusterings comparison. JMLR,
       11, 2837–2854. https://jmlr.org/papers/v11/vinh10a.html

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, external_scores
    >>> partition = Partition([0, 0, 0, 1, 1, 1], Descriptor("toy", np.eye(6)), "by hand")
    >>> scores = external_scores(partition, ["bus", "bus", "bus", "car", "car", None])
    >>> scores["accuracy"], scores["ari"], scores["n_scored"]
    (1.0, 1.0, 5)
    """
    return scores_of_codes(partition.labels, encode("truth", truth, len(partition)))


def hungarian_accuracy(labels: ArrayLike, truth: ArrayLike) -> float:
    """Return the share of images in the right class under the best one-to-one match of clusters and classes.

    Parameters
    ----------
    labels : array of shape (n_images,), int
        Cluster of each image; negative is noise, which matches no class and so is wrong.
    truth : array of shape (n_images,)
        The class of each image; images without one (NaN, None or "") are left out.

    Returns
    -------
    float
        The accuracy, in [0, 1]. Clusters beyond the number of classes match none. NaN where no image has a class.

    Raises
    ------
    ValueError
        If `labels` and `truth` differ in length.

    Notes
    -----
    O(n_images + max(n_clusters, n_classes)³).

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research Logistics Quarterly, 2,
       83–97. https://doi.org/10.1002/nav.3800020109

    Examples
    --------
    >>> from veriwild_clustering import hungarian_accuracy
    >>> hungarian_accuracy([0, 0, 1, 1, -1], ["car", "car", "bus", "car", "bus"])
    0.6
    """
    given = np.asarray(labels)
    codes = encode("truth", truth, len(given))
    known = codes >= 0
    clusters = np.where(given < 0, 0, 1 + pd.factorize(given)[0])
    return _accuracy(Contingency(clusters[known], codes[known])) if known.any() else float("nan")


def scores_of_codes(labels: NDArray[np.int32], codes: NDArray[np.int64]) -> dict[str, float]:
    """Return the external scores of `labels` against encoded classes."""
    known = codes >= 0
    if not known.any():
        return dict.fromkeys(("accuracy", *MEASURES), float("nan")) | {"n_scored": 0}
    table = Contingency(labels[known] + 1, codes[known])
    scores = {name: measure(table) for name, measure in MEASURES.items()}
    return {"accuracy": _accuracy(table), **scores, "n_scored": table.n_images}


def _accuracy(table: Contingency) -> float:
    """Return the share of images in the right class; the first row of the table is noise, which has none."""
    from scipy.optimize import linear_sum_assignment

    counts = table.table[1:].toarray()
    return float(counts[linear_sum_assignment(counts, maximize=True)].sum() / table.n_images)
