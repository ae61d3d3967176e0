"""A partition corrected by hand: clusters named and merged, images marked as outliers; each step is remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.partition import NOISE, Partition, canonical_labels
from veriwild_clustering.core.validation import check_int

__all__ = ["mark_outliers", "marked_outliers", "merge_clusters", "rename_cluster", "unmark_outliers"]

MAX_NAME = 80
_EDITED = "edited"
_MARKS = ("marked_rows", "marked_clusters", "marked_confidence")


def rename_cluster(partition: Partition, cluster: int, name: str) -> Partition:
    """Return the partition with another name of one cluster.

    Parameters
    ----------
    partition : Partition
        The partition; it stays as it is.
    cluster : int
        The cluster.
    name : str
        Its name, at most 80 characters on one line; "" takes the name away.

    Returns
    -------
    Partition
        The same clusters, with what was done as the last of `params["edits"]`.

    Raises
    ------
    TypeError, ValueError
        If there is no such cluster, or the name is not possible.

    Notes
    -----
    O(n_images).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, rename_cluster
    >>> partition = Partition([0, 0, 1], Descriptor("toy", np.eye(3)), "by hand")
    >>> rename_cluster(partition, 1, "taxis").cluster_name(1)
    'taxis'
    """
    cluster = _checked_cluster(partition, cluster)
    if not isinstance(name, str):
        raise TypeError(f"`name` must be a str. Got {name!r} instead.")
    name = name.strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"`name` must be at most {MAX_NAME} characters that can be printed. Got {name!r} instead.")
    names = list(partition.cluster_names) or [""] * partition.n_clusters
    names[cluster] = name
    return _edited(partition, {"kind": "rename", "cluster": cluster, "name": name}, names=names)


def merge_clusters(partition: Partition, clusters: Sequence[int]) -> Partition:
    """Return the partition with several clusters as one.

    Parameters
    ----------
    partition : Partition
        The partition; it stays as it is.
    clusters : sequence of int
        Two or more clusters. The name is that of the largest of them that has one.

    Returns
    -------
    Partition
        Clusters are numbered by size anew. What was done is the last of `params["edits"]`.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two different clusters, or one of them does not exist.

    Notes
    -----
    O(n_images). What the algorithm needed to place new rows does not hold for the merged cluster, so it is left out:
    new rows go to the nearest cluster mean.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, merge_clusters
    >>> partition = Partition([0, 0, 0, 1, 2], Descriptor("toy", np.eye(5)), "by hand")
    >>> merge_clusters(partition, [1, 2]).sizes
    array([3, 2])
    """
    chosen = sorted({_checked_cluster(partition, cluster) for cluster in clusters})
    if len(chosen) < 2:
        raise ValueError(f"`clusters` must be two or more different clusters. Got {list(clusters)!r} instead.")
    labels = _without_marks(partition)
    labels[np.isin(labels, chosen)] = chosen[0]
    names = list(partition.cluster_names)
    if names:
        names[chosen[0]] = next((names[cluster] for cluster in chosen if names[cluster]), "")
    edit = {"kind": "merge", "clusters": chosen}
    return _edited(partition, edit, labels=labels, marked=marked_outliers(partition), names=names)


def mark_outliers(partition: Partition, rows: ArrayLike) -> Partition:
    """Return the partition with images marked as outliers: they are noise, and where they came from is remembered.

    Parameters
    ----------
    partition : Partition
        The partition; it stays as it is.
    rows : array of int
        The images. Those that are marked already stay marked.

    Returns
    -------
    Partition
        Clusters are numbered by size anew. What was done is the last of `params["edits"]`.

    Raises
    ------
    ValueError
        If there is no such row, or a cluster would keep no image.

    Notes
    -----
    O(n_images).

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, mark_outliers, unmark_outliers
    >>> partition = Partition([0, 0, 0, 1, 1], Descriptor("toy", np.eye(5)), "by hand")
    >>> marked = mark_outliers(partition, [2])
    >>> marked.labels, unmark_outliers(marked, [2]).labels
    (array([ 0,  0, -1,  1,  1], dtype=int32), array([0, 0, 0, 1, 1], dtype=int32))
    """
    given = _checked_rows(partition, rows)
    labels, marked = _without_marks(partition), np.union1d(marked_outliers(partition), given)
    left = np.delete(labels, marked)
    lost = np.setdiff1d(np.arange(partition.n_clusters), left)
    if len(lost):
        raise ValueError(
            f"{partition.cluster_name(int(lost[0]))!r} would keep no image. Merge it with another cluster instead."
        )
    return _edited(partition, {"kind": "mark_outlier", "n_rows": len(given)}, labels=labels, marked=marked)


def unmark_outliers(partition: Partition, rows: ArrayLike) -> Partition:
    """Return the partition with marked images back in the clusters that they came from.

    Parameters
    ----------
    partition : Partition
        The partition; it stays as it is.
    rows : array of int
        Images that are marked.

    Returns
    -------
    Partition
        Clusters are numbered by size anew. What was done is the last of `params["edits"]`.

    Raises
    ------
    ValueError
        If there is no such row, or one is not marked.

    Notes
    -----
    O(n_images). An image that was noise before it was marked is noise again.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition, mark_outliers, unmark_outliers
    >>> marked = mark_outliers(Partition([0, 0, 0, 1], Descriptor("toy", np.eye(4)), "by hand"), [0, 2])
    >>> unmark_outliers(marked, [0]).labels
    array([ 0,  0, -1,  1], dtype=int32)
    """
    given, marked = _checked_rows(partition, rows), marked_outliers(partition)
    strange = np.setdiff1d(given, marked)
    if len(strange):
        raise ValueError(f"Row {strange[0]} is not marked as an outlier.")
    edit = {"kind": "unmark_outlier", "n_rows": len(given)}
    return _edited(partition, edit, labels=_without_marks(partition), marked=np.setdiff1d(marked, given))


def marked_outliers(partition: Partition) -> NDArray[np.int64]:
    """Return the rows that are marked as outliers, in order."""
    return np.asarray(partition.state.get("marked_rows", ()), dtype=np.int64)


def _without_marks(partition: Partition) -> NDArray[np.int32]:
    """Return the labels with marked images in the clusters that they came from."""
    labels = partition.labels.copy()
    if "marked_rows" in partition.state:
        labels[partition.state["marked_rows"]] = partition.state["marked_clusters"]
    return labels


def _edited(
    partition: Partition,
    edit: Mapping[str, Any],
    *,
    labels: NDArray[np.int32] | None = None,
    marked: NDArray[np.int64] | None = None,
    names: Sequence[str] | None = None,
) -> Partition:
    """Return the partition after an edit; without `labels` its clusters stay as they are."""
    edits = [*partition.params.get("edits", ()), dict(edit)]
    state, algorithm, confidence = dict(partition.state), partition.algorithm, partition.confidence
    given = partition.labels
    if labels is not None and marked is not None:
        confidence = confidence.copy()
        if "marked_rows" in state:
            confidence[state["marked_rows"]] = state["marked_confidence"]
        given = labels.copy()
        given[marked] = NOISE
        state = _marks(labels, given, marked, confidence)
        algorithm = algorithm if algorithm.endswith(_EDITED) else f"{algorithm} {_EDITED}"
    return Partition(
        given,
        partition.descriptor,
        algorithm,
        params={**partition.params, "edits": edits},
        confidence=confidence,
        state=state,
        cluster_names=partition.cluster_names if names is None else names,
        seconds=partition.seconds,
    )


def _marks(
    labels: NDArray[np.int32], given: NDArray[np.int32], marked: NDArray[np.int64], confidence: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Return what is remembered of marked images: clusters as they will be numbered once `given` are the labels."""
    if not len(marked):
        return {}
    _, order = canonical_labels(given)
    renumbered = np.full(int(labels.max(initial=0)) + 2, NOISE, dtype=np.int32)  # the last place is that of noise
    renumbered[order] = np.arange(len(order))
    values = (marked, renumbered[labels[marked]], confidence[marked])
    return dict(zip(_MARKS, values, strict=True))


def _checked_cluster(partition: Partition, cluster: Any) -> int:
    return check_int("cluster", cluster, low=0, high=partition.n_clusters, high_name="n_clusters")


def _checked_rows(partition: Partition, rows: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(rows, dtype=object).ravel()
    if not len(given):
        raise ValueError("`rows` must name an image at least. Got none.")
    checked = [check_int("rows", row, low=0, high=len(partition), high_name="n_images") for row in given]
    return np.unique(np.array(checked, dtype=np.int64))
