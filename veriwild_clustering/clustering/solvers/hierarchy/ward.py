"""Exact Ward clustering of weighted points in memory O(n * d): rounds of merging nearest neighbours.

Ward's distance of two clusters, |A||B| / (|A| + |B|) * ||mean(A) − mean(B)||², needs their sizes and means alone,
and it is reducible: merging two clusters brings neither nearer to a third. So all pairs that are each other's nearest
may merge at once, and only clusters whose nearest was merged have to look for another one [1]_.

.. [1] Murtagh, F. (1983). A survey of recent advances in hierarchical clustering algorithms.
   doi:10.1093/comjnl/26.4.354
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.hierarchy.linkage import Tree
from veriwild_clustering.clustering.solvers.threads import each, threads
from veriwild_clustering.core.progress import track

__all__ = ["ward_tree"]

_TILE = 512, 2048  # rows and columns of distances at a time: what stays in a processor's cache
_CHUNK = 128
_FARTHEST, _FAR = 1e20, 1e30  # above any squared distance of clusters, and that of a place whose cluster was merged
_CROWDED = 0.9  # the places of merged clusters are freed when fewer than this part of all places is in use

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def ward_tree(vectors: NDArray[Any], weights: NDArray[Any] | None = None, *, progress: bool | None = None) -> Tree:
    """Return the tree of Ward's method; a row of weight w counts as w equal rows that have merged.

    Parameters
    ----------
    vectors : array of shape (n_rows, n_features)
        Two or more finite rows.
    weights : array of shape (n_rows,), optional
        Positive; 1 by default.
    progress : bool, optional
        Whether to show a bar of the merges; by default in a terminal or a notebook.

    Returns
    -------
    Tree
        The heights are those of SciPy, sqrt(2 |A||B| / (|A| + |B|)) * ||mean(A) − mean(B)||. Equal rows merge first;
        of equal merges, that of the first rows comes first. Neither threads nor blocks change the result.

    Notes
    -----
    O(n² d) time, nearly all in float32 matrix products, and O(n d) memory. The products give lower bounds of the
    distances; every pair that they leave in question is compared in float64.
    """
    clusters = _Clusters(vectors, np.ones(len(vectors)) if weights is None else weights)
    with threads() as n_threads:
        merges = clusters.merge_all(n_threads)
        for _ in track(merges, description="Ward", total=len(vectors) - 1, show=progress):
            pass
    return clusters.tree()


class _Clusters:
    """The clusters of a round, each in a place of its own, with the nearest other cluster of each."""

    def __init__(self, vectors: NDArray[Any], weights: NDArray[Any]) -> None:
        group = _first_equal(vectors)
        leaves = np.flatnonzero(group == np.arange(len(group)))
        self.nodes, children = _merge_equal(group)
        self._children, self._heights = [children], [np.zeros(len(children))]
        self._n_nodes = len(group) + len(children)
        self.sizes = np.bincount(group, weights=weights)[leaves]
        self.means = vectors[leaves].astype(np.float64)
        self.means -= self.means.mean(axis=0)  # what all have in common would cost float32 its digits
        self._unit = 2.0 ** np.frexp(np.abs(self.means).max())[1]
        self.means /= self._unit
        self.alive = np.ones(len(leaves), dtype=bool)
        self.tops = np.zeros(len(leaves))  # the height of each cluster's last merge
        self.nearest = np.zeros(len(leaves), dtype=np.int64)
        self.gaps = np.zeros(len(leaves))  # Ward's distance to the nearest
        self.inverse = np.empty(len(leaves), dtype=np.float32)  # one over the size
        self.lifted = np.empty((len(leaves), vectors.shape[1] + 2), dtype=np.float32)
        self._lift(np.arange(len(leaves)))

    def merge_all(self, n_threads: int) -> Iterator[None]:
        """Merge until one cluster is left; yields once per merge."""
        yield from [None] * len(self._children[0])
        looking = np.arange(len(self.nodes))
        while len(self.nodes) > 1:
            step = max(1, min(_TILE[0], -(-len(looking) // n_threads)))
            each(self._look, [looking[i : i + step] for i in range(0, len(looking), step)])
            kept, gone = self._pairs()
            self._merge(kept, gone)
            yield from [None] * len(kept)
            changed = np.zeros(len(self.nodes), dtype=bool)
            changed[kept] = changed[gone] = True
            looking = np.flatnonzero(self.alive & (changed | changed[self.nearest]))
            n_alive = np.count_nonzero(self.alive)
            if n_alive == 1 or n_alive < _CROWDED * len(self.alive):
                looking = self._free_places(looking)

    def tree(self) -> Tree:
        """Return all merges so far as a tree."""
        return Tree.sorted(np.concatenate(self._children), np.concatenate(self._heights))

    def _lift(self, places: Indices) -> None:
        """Prepare means so that one matrix product gives lower bounds of all squared distances."""
        means, n_features = self.means[places], self.means.shape[1]
        error = (n_features + 8) * 2.0**-23  # of the product in float32, relative to the squared lengths
        self.lifted[places, :n_features] = means
        self.lifted[places, n_features] = 1
        self.lifted[places, n_features + 1] = (1 - error) * np.einsum("ij,ij->i", means, means)
        self.inverse[places] = 1 / self.sizes[places]

    def _look(self, places: Indices) -> None:
        """Find the nearest other cluster of those at `places`."""
        queries = self.lifted[places]
        queries[:, :-2] *= -2
        queries[:, -2:] = queries[:, :-3:-1].copy()
        gaps, nearest = _FARTHEST * self.sizes[places], np.full(len(places), -1)
        for start in range(0, len(self.lifted), _TILE[1]):
            bounds = queries @ self.lifted[start : start + _TILE[1]].T
            _nearer(bounds, start, places, self.means, self.sizes, self.inverse, gaps, nearest)
        self.gaps[places], self.nearest[places] = gaps, nearest

    def _pairs(self) -> tuple[Indices, Indices]:
        """Return the pairs that merge: those that are each other's nearest."""
        places = np.flatnonzero(self.alive)
        partners = self.nearest[places]
        mutual = (self.nearest[partners] == places) & (places < partners)
        if not mutual.any():  # equal distances in a circle
            mutual[self.gaps[places].argmin()] = True
        return places[mutual], partners[mutual]

    def _merge(self, kept: Indices, gone: Indices) -> None:
        """Merge pairs; what they become takes the place of the first."""
        heights = self._unit * np.sqrt(2 * self.gaps[kept])
        self.tops[kept] = np.max([heights, self.tops[kept], self.tops[gone]], axis=0)  # rounding may not swap merges
        self._children.append(np.column_stack([self.nodes[kept], self.nodes[gone]]))
        self._heights.append(self.tops[kept])
        self.nodes[kept] = np.arange(self._n_nodes, self._n_nodes + len(kept))
        self._n_nodes += len(kept)
        share = (self.sizes[gone] / (self.sizes[kept] + self.sizes[gone]))[:, None]
        self.means[kept] += share * (self.means[gone] - self.means[kept])
        self.sizes[kept] += self.sizes[gone]
        self._lift(kept)
        self.alive[gone] = False
        self.lifted[gone] = 0
        self.lifted[gone, -1] = _FAR

    def _free_places(self, looking: Indices) -> Indices:
        """Move the clusters together; returns where those that look for their nearest are now."""
        moved = np.cumsum(self.alive) - 1
        alive, self.nearest = self.alive, moved[self.nearest]
        for name in ("nodes", "sizes", "means", "tops", "nearest", "gaps", "lifted", "inverse", "alive"):
            setattr(self, name, getattr(self, name)[alive])
        return moved[looking]


def _first_equal(vectors: NDArray[Any]) -> Indices:
    """Return for each row the first row that equals it."""
    first: dict[bytes, int] = {}
    digests = (blake2b(row.tobytes(), digest_size=16).digest() for row in vectors)
    return np.array([first.setdefault(digest, place) for place, digest in enumerate(digests)])


def _merge_equal(group: Indices) -> tuple[Indices, Indices]:
    """Return the node in which all rows of each group have merged, and the children of those merges."""
    order = np.argsort(group, kind="stable")
    joins = np.flatnonzero(np.diff(group[order], prepend=-1) == 0)  # places in `order` that join the one before
    node = order.copy()
    node[joins] = len(group) + np.arange(len(joins))
    children = np.column_stack([node[joins - 1], order[joins]])
    return node[np.append(np.diff(group[order]) != 0, True)], children


@njit(nogil=True, cache=True, fastmath=True)
def _squared_distance(first, second):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(len(first)):
        total += (first[i] - second[i]) ** 2
    return total


@njit(nogil=True, cache=True)
def _nearer(bounds, start, places, means, sizes, inverse, gaps, nearest):  # type: ignore[no-untyped-def]
    """Update gaps and nearest of clusters by those from place `start` on, given bounds of the squared distances."""
    one, margin = np.float32(1), 1 + 1e-6
    for i, place in enumerate(places):
        size = sizes[place]
        size_32, limit = np.float32(size), np.float32(gaps[i] / size * margin)
        for left in range(0, bounds.shape[1], _CHUNK):
            chunk, scales = bounds[i, left : left + _CHUNK], inverse[start + left : start + left + _CHUNK]
            hits = np.uint32(0)
            for j in range(len(chunk)):  # a count, and no break: the compiler makes vector instructions of it
                hits += np.uint32(chunk[j] < limit * (one + size_32 * scales[j]))
            if hits == 0:
                continue
            for j in range(len(chunk)):
                other = start + left + j
                if other != place and chunk[j] < limit * (one + size_32 * scales[j]):
                    gap = size * sizes[other] / (size + sizes[other]) * _squared_distance(means[place], means[other])
                    if gap < gaps[i]:
                        gaps[i], nearest[i] = gap, other
                        limit = np.float32(gap / size * margin)
