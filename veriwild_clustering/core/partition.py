"""Partition: one label per image, with the descriptor, the algorithm and the parameters that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from veriwild_clustering.core.descriptor import Descriptor
from veriwild_clustering.core.html import card
from veriwild_clustering.core.validation import check_rows, frozen_params

__all__ = ["NOISE", "NOT_IN_NAME", "Partition", "canonical_labels"]

NOISE = -1
_FULL: Any = None  # default of `confidence`: 1 in every cluster


def canonical_labels(labels: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Renumber clusters by size: 0 is the largest, ties go to the one that appears first, noise stays −1.

    Parameters
    ----------
    labels : array of shape (n_images,), int
        Any labels; negative ones are noise.

    Returns
    -------
    labels : array of shape (n_images,), int32
        The renumbered labels.
    order : array of shape (n_clusters,), int64
        The old label of each new one: per-cluster arrays follow as `centers[order]`.

    Notes
    -----
    O(n_images).

    Examples
    --------
    >>> from veriwild_clustering import canonical_labels
    >>> canonical_labels([7, 3, 3, -1])
    (array([ 1,  0,  0, -1], dtype=int32), array([3, 7]))
    """
    given = np.asarray(labels, dtype=np.int64)
    clustered = given >= 0
    codes, values = pd.factorize(given[clustered])  # numbered as they appear
    ranking = np.argsort(-np.bincount(codes, minlength=len(values)), kind="stable")
    new_of_code = np.empty(len(values), dtype=np.int32)
    new_of_code[ranking] = np.arange(len(values), dtype=np.int32)
    renumbered = np.full(given.shape, NOISE, dtype=np.int32)
    renumbered[clustered] = new_of_code[codes]
    return renumbered, values[ranking]


@dataclass(frozen=True, eq=False, repr=False)
class Partition:
    """One label per image and what made it. Clusters are numbered by size: 0 is the largest, −1 is noise.

    Parameters
    ----------
    labels : array of shape (n_images,), int
        Cluster of each image; renumbered by size when the object is made. Images without a usable vector are noise.
    descriptor : Descriptor
        The space in which the clusters were found.
    algorithm : str
        Name of the algorithm's family, such as "kmeans".
    params : mapping, optional
        The parameters that made it, `random_state` and any "approximation" included.
    confidence : array of shape (n_images,), float32 in [0, 1], optional
        How firmly each image belongs to its cluster; 0 for noise.
    state : mapping of str to array, optional
        What assigning new rows needs, clusters in the order of `labels` **as given**: arrays under "centers" and other
        keys that begin with "cluster_" are reordered along with the labels.
    cluster_names : sequence of str, optional
        What each cluster is called, in the order of `labels` **as given**; "" for one without a name. None by default.
    seconds : float, optional
        How long fitting took.

    Raises
    ------
    ValueError
        If `labels` or `confidence` do not have one entry per image, or a cluster is missing in `cluster_names`.

    Examples
    --------
    >>> import numpy as np
    >>> from veriwild_clustering import Descriptor, Partition
    >>> space = Descriptor("toy", np.array([[0.0], [0.1], [5.0], [9.0]], dtype=np.float32))
    >>> partition = Partition([1, 1, 0, -1], space, "by hand")
    >>> partition.labels, partition.n_clusters, partition.noise_fraction
    (array([ 0,  0,  1, -1], dtype=int32), 2, 0.25)
    """

    labels: NDArray[np.int32]
    descriptor: Descriptor
    algorithm: str
    _: KW_ONLY
    params: Mapping[str, Any] = field(default_factory=dict)
    confidence: NDArray[np.float32] = _FULL
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    cluster_names: Sequence[str] = ()
    seconds: float = float("nan")

    def __post_init__(self) -> None:
        given = check_rows("labels", self.labels, len(self.descriptor))
        labels, order = canonical_labels(np.where(self.descriptor.valid, given, NOISE))
        state = {
            key: np.asarray(value)[order] if key == "centers" or key.startswith("cluster_") else np.asarray(value)
            for key, value in self.state.items()
        }
        confidence = np.ones(len(labels)) if self.confidence is None else self.confidence
        confidence = check_rows("confidence", confidence, len(labels)).astype(np.float32)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "params", frozen_params(self.params))
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "cluster_names", _ordered_names(self.cluster_names, order))
        object.__setattr__(self, "confidence", np.where(labels == NOISE, np.float32(0), confidence))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Partition({self.name!r}, {self.n_clusters} clusters, {self.noise_fraction:.1%} noise)"

    def _repr_html_(self) -> str:
        sizes = ", ".join(f"{size:,}" for size in self.sizes[:12]) + (" …" if self.n_clusters > 12 else "")
        rows = {
            "clusters": self.n_clusters,
            **({"names": ", ".join(map(self.cluster_name, range(self.n_clusters)))} if self.cluster_names else {}),
            "sizes": sizes,
            "noise": f"{self.noise_fraction:.1%}",
            "space": self.descriptor.recipe,
            "parameters": self.settings,
        }
        return card(f"Partition {self.name}", rows)

    @property
    def settings(self) -> str:
        """The parameters as text."""
        return ", ".join(f"{key}={value!r}" for key, value in self.params.items())

    @property
    def name(self) -> str:
        """Algorithm, parameters and descriptor in one line."""
        shown = ", ".join(f"{key}={value}" for key, value in self.params.items() if key not in NOT_IN_NAME)
        return f"{self.algorithm}({shown}) on {self.descriptor.name}"

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of images in each cluster, largest first, shape (n_clusters,)."""
        return np.bincount(self.labels[self.labels >= 0])

    @property
    def n_clusters(self) -> int:
        """Number of clusters, noise not counted."""
        return len(self.sizes)

    @property
    def clustered(self) -> NDArray[np.bool_]:
        """Which images belong to a cluster, shape (n_images,)."""
        return self.labels != NOISE

    @property
    def noise_fraction(self) -> float:
        """Share of images that belong to no cluster."""
        return float(np.mean(self.labels == NOISE)) if len(self) else 0.0

    def numbered_name(self, cluster: int) -> str:
        """Return the number of a cluster with its name if it has one, as in "3 · red"; −1 is "noise"."""
        own = "noise" if cluster == NOISE else self.own_name(cluster)
        return own if cluster == NOISE else f"{cluster} · {own}" if own else str(cluster)

    def cluster_name(self, cluster: int) -> str:
        """Return what a cluster is called: its name, else "cluster 3"; −1 is "noise"."""
        if cluster == NOISE:
            return "noise"
        return self.own_name(cluster) or f"cluster {cluster}"

    def own_name(self, cluster: int) -> str:
        """Return the name that a cluster was given, "" if it has none."""
        return self.cluster_names[cluster] if self.cluster_names and cluster != NOISE else ""

    def members(self, cluster: int) -> NDArray[np.int64]:
        """Return the rows of one cluster, in row order."""
        return np.flatnonzero(self.labels == cluster)


def _ordered_names(names: Sequence[str], order: NDArray[np.int64]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"`cluster_names` must be a sequence of str, one per cluster. Got {names!r} instead.")
    if len(names) and len(names) <= order.max(initial=-1):
        raise ValueError(
            f"`cluster_names` must name every cluster, {order.max() + 1} of them. Got {len(names)} names instead."
        )
    return tuple(names[cluster] for cluster in order) if any(names) else ()


NOT_IN_NAME = frozenset({"random_state", "approximation", "edits", "outcome"})
"""Parameters that no name and no table of parameters shows: what they say is long, or has a place of its own."""
