"""Clusters against known classes, one cluster for each class: the table, the match, and what each class gets of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from veriwild_clustering.core.classes import encode
from veriwild_clustering.core.partition import NOISE, Partition

__all__ = ["class_scores", "confusion_table"]


def confusion_table(partition: Partition, truth: ArrayLike) -> pd.DataFrame:
    """Count the images of each known class in each cluster, matched pairs on the diagonal.

    Parameters
    ----------
    partition : Partition
        The clusters; any number of them.
    truth : array of shape (n_images,)
        The class of each image. Images without one (NaN, None or "") are left out.

    Returns
    -------
    DataFrame
        Counts. Rows are the classes, largest first, those that match no cluster last; columns the numbers of the
        clusters: first that of each class, in the same order, then those that match none, and −1 for noise if there is
        any. Each cluster matches one class at most, so that the diagonal holds as many images as it can.

    Raises
    ------
    ValueError
        If `truth` does not have one entry per image.

    Notes
    -----
    O(n_images + max(n_clusters, n_classes)³) [1]_.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research Logistics Quarterly, 2,
       83–97. https://doi.org/10.1002/nav.3800020109

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, confusion_table
    >>> partition = Partition([0, 0, 0, 1, 1, -1], Descriptor("toy", np.eye(6)), "by hand")
    >>> confusion_table(partition, ["car", "car", "bus", "bus", "bus", "car"])
          1  0  -1
    bus   2  1   0
    car   0  2   1
    """
    table, pairs = _matched(partition, truth)
    clusters = [*pairs.values(), *(name for name in table.columns if name not in pairs.values())]
    clusters.sort(key=lambda name: name == NOISE)
    classes = [*pairs, *(name for name in table.index if name not in pairs)]
    return table.loc[classes, clusters]


def class_scores(partition: Partition, truth: ArrayLike) -> pd.DataFrame:
    """Score each known class by the one cluster that it matches.

    Parameters
    ----------
    partition : Partition
        The clusters.
    truth : array of shape (n_images,)
        The class of each image. Images without one (NaN, None or "") are left out.

    Returns
    -------
    DataFrame
        One row per class, largest first: `class`; `n_images`; `share` of all images with a class, which is also the
        precision that images drawn at random would have; `cluster` that it matches, −1 if none is left; `name` of that
        cluster; `precision`, the share of the cluster that has the class; `recall`, the share of the class that lies in
        the cluster; `f1`, their harmonic mean; `noise`, the share of the class without a cluster.

    Raises
    ------
    ValueError
        If `truth` does not have one entry per image.

    See Also
    --------
    confusion_table : Where the others lie.

    Notes
    -----
    O(n_images + max(n_clusters, n_classes)³).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, class_scores
    >>> partition = Partition([0, 0, 0, 1], Descriptor("toy", np.eye(4)), "by hand", cluster_names=["cars", "buses"])
    >>> class_scores(partition, ["car", "car", "bus", "bus"])[["class", "name", "precision", "recall"]]
      class   name  precision  recall
    0   bus  buses   1.000000     0.5
    1   car   cars   0.666667     1.0
    """
    table, pairs = _matched(partition, truth)
    sizes = table.sum(axis=0)
    rows = []
    for name, counts in table.iterrows():
        n_images, cluster = int(counts.sum()), pairs.get(name, NOISE)
        right = int(counts[cluster]) if cluster != NOISE else 0
        precision, recall = right / max(1, sizes.get(cluster, 1)), right / n_images
        rows.append(
            {
                "class": name,
                "n_images": n_images,
                "share": n_images / sizes.sum(),
                "cluster": cluster,
                "name": partition.cluster_name(cluster) if cluster != NOISE else "",
                "precision": precision if cluster != NOISE else np.nan,
                "recall": recall,
                "f1": 2 * precision * recall / (precision + recall) if right else 0.0,
                "noise": int(counts.get(NOISE, 0)) / n_images,
            }
        )
    columns = ["class", "n_images", "share", "cluster", "name", "precision", "recall", "f1", "noise"]
    return pd.DataFrame(rows, columns=columns)


def _matched(partition: Partition, truth: ArrayLike) -> tuple[pd.DataFrame, dict[object, int]]:
    """Return the counts of classes (rows, largest first) by clusters, and the cluster of each class that has one."""
    from scipy.optimize import linear_sum_assignment

    known = encode("truth", truth, len(partition)) >= 0
    classes = pd.Series(np.asarray(truth, dtype=object)[known], name=None)
    table = pd.crosstab(classes, pd.Series(partition.labels[known]))
    table.index.name = table.columns.name = None
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    clusters = table.drop(columns=NOISE, errors="ignore")
    counts, names, numbers = clusters.to_numpy(), table.index.to_numpy(dtype=object), clusters.columns.to_numpy()
    places = zip(*linear_sum_assignment(counts, maximize=True), strict=True)
    return table, {names[row]: int(numbers[column]) for row, column in places if counts[row, column]}
