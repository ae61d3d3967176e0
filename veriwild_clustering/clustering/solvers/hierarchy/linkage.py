"""Trees of merges: what they are, where they are cut, and those of average, complete and single linkage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tree", "cut_tree", "linkage_tree"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tree:
    """Merges from single leaves up to one cluster, in the order of their heights.

    Parameters
    ----------
    children : array of shape (n_leaves - 1, 2), int64
        The two nodes that merge i joins into node n_leaves + i.
    heights : array of shape (n_leaves - 1,), float64
        The distance at which they merge, in ascending order.
    """

    children: NDArray[np.int64]
    heights: Floats

    @classmethod
    def sorted(cls, children: NDArray[np.int64], heights: Floats) -> Tree:
        """Return the tree of merges given in any order in which a node is made before it is merged itself."""
        n_leaves = len(heights) + 1
        order = np.argsort(heights, kind="stable")
        renamed = np.arange(2 * n_leaves - 1)
        renamed[n_leaves + order] = np.arange(n_leaves, 2 * n_leaves - 1)
        return cls(np.sort(renamed[children[order]], axis=1), heights[order])

    def cut(self, n_clusters: int) -> NDArray[np.int32]:
        """Return the label of each leaf where there are `n_clusters` left."""
        return cut_tree(self.children, n_clusters)

    def n_clusters_at(self, threshold: float) -> int:
        """Return how many clusters are left by the merges below a height."""
        return int(np.count_nonzero(self.heights >= threshold)) + 1


def cut_tree(children: NDArray[np.integer], n_clusters: int) -> NDArray[np.int32]:
    """Return the label of each leaf after all but the last n_clusters − 1 merges.

    Row i of `children` holds the two nodes that merge i joins into node n_leaves + i, in the order of merging. O(n).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_leaves = len(children) + 1
    n_merges = n_leaves - n_clusters
    merged = np.repeat(np.arange(n_leaves, n_leaves + n_merges), 2)
    links = (np.ones(2 * n_merges, dtype=bool), (merged, children[:n_merges].ravel()))
    n_nodes = n_leaves + n_merges
    labels: NDArray[np.int32] = connected_components(coo_array(links, shape=(n_nodes, n_nodes)), directed=False)[1]
    return labels[:n_leaves]


def linkage_tree(means: NDArray[Any], sizes: NDArray[Any], linkage: Literal["average", "complete", "single"]) -> Tree:
    """Return the tree of weighted points under average, complete or single linkage; O(n²) time and memory.

    A point of weight w counts as w equal ones. The greatest and the least distance of two clusters do not depend on
    weights, so SciPy's trees serve; its average linkage knows no weights.
    """
    from scipy.cluster.hierarchy import linkage as linkage_of
    from scipy.spatial.distance import pdist, squareform

    distances = pdist(means)
    if linkage == "average" and np.ptp(sizes) > 0:
        return _average_tree(squareform(distances), np.asarray(sizes, dtype=np.float64))
    merges = linkage_of(distances, linkage)
    return Tree(merges[:, :2].astype(np.int64), merges[:, 2])


def _average_tree(distances: Floats, sizes: Floats) -> Tree:
    """Return the tree of weighted average linkage by the nearest-neighbour chain [1]_; both arguments are used up.

    .. [1] Müllner, D. (2011). Modern hierarchical, agglomerative clustering algorithms. doi:10.48550/arXiv.1109.2378
    """
    n_leaves = len(sizes)
    np.fill_diagonal(distances, np.inf)
    nodes, tops = np.arange(n_leaves), np.zeros(n_leaves)
    children, heights = np.empty((n_leaves - 1, 2), dtype=np.int64), np.empty(n_leaves - 1)
    chain: list[int] = []
    for merge in range(n_leaves - 1):
        chain = chain or [int(sizes.argmax())]  # the places of merged clusters have size 0
        while True:
            to_last = distances[chain[-1]]
            nearest = int(to_last.argmin())
            if len(chain) > 1 and to_last[chain[-2]] <= to_last[nearest]:
                break
            chain.append(nearest)
        gone, kept = chain.pop(), chain.pop()
        tops[kept] = max(distances[kept, gone], tops[kept], tops[gone])  # rounding may not swap merges
        children[merge], heights[merge] = (nodes[kept], nodes[gone]), tops[kept]
        nodes[kept] = n_leaves + merge
        joined = (sizes[kept] * distances[kept] + sizes[gone] * distances[gone]) / (sizes[kept] + sizes[gone])
        sizes[kept], sizes[gone] = sizes[kept] + sizes[gone], 0
        distances[kept] = distances[:, kept] = joined
        distances[gone] = distances[:, gone] = np.inf
    return Tree.sorted(children, heights)
