"""External scores: how well a partition agrees with known classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.partition import Partition
from veriwild_clustering.core.validation import check_rows

__all__ = ["encode", "external_scores", "hungarian_accuracy", "scores_of_codes"]


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
    O(n_images) and, for AMI, O(n_clusters * n_classes * size of a class).

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
    return _accuracy(given, encode("truth", truth, len(given)))


def encode(name: str, values: Any, n_images: int) -> NDArray[np.int64]:
    """Return `values` as numbers from 0, −1 where NaN, None or the empty string stands for a missing value."""
    check_rows(name, values, n_images)
    array = pd.Series(values).to_numpy(dtype=object, copy=True)
    array[array == ""] = None
    return np.asarray(pd.factorize(array)[0], dtype=np.int64)


def scores_of_codes(labels: NDArray[np.int32], codes: NDArray[np.int64]) -> dict[str, float]:
    """Return the external scores of `labels` against encoded classes."""
    from sklearn import metrics

    known = codes >= 0
    if not known.any():
        return dict.fromkeys(("accuracy", "ari", "ami", "nmi", "v_measure"), float("nan")) | {"n_scored": 0}
    clusters, classes = labels[known], codes[known]
    return {
        "accuracy": _accuracy(labels, codes),
        "ari": float(metrics.adjusted_rand_score(classes, clusters)),
        "ami": float(metrics.adjusted_mutual_info_score(classes, clusters)),
        "nmi": float(metrics.normalized_mutual_info_score(classes, clusters)),
        "v_measure": float(metrics.v_measure_score(classes, clusters)),
        "n_scored": int(np.count_nonzero(known)),
    }


def _accuracy(labels: NDArray[Any], codes: NDArray[np.int64]) -> float:
    from scipy.optimize import linear_sum_assignment

    n_known = np.count_nonzero(codes >= 0)
    if n_known == 0:
        return float("nan")
    scored = (codes >= 0) & (labels >= 0)
    table = pd.crosstab(labels[scored], codes[scored]).to_numpy()
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / n_known)
