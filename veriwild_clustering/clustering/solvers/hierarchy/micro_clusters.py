"""Micro-clusters: Ward's own early merges, found cell by cell, so that most pairs of rows are never compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veriwild_clustering.clustering.solvers.hierarchy.linkage import Tree
from veriwild_clustering.clustering.solvers.hierarchy.ward import ward_tree
from veriwild_clustering.core.progress import track
from veriwild_clustering.core.vectors.blocks import release, row_blocks

__all__ = ["CELL_ROWS", "MicroClusters", "micro_clusters"]

CELL_ROWS = 30_000
"""Most rows of a cell, within which all pairs are compared."""

_SAMPLE_ROWS = 256  # per cell, from which its center is found
_SEED = 0

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MicroClusters:
    """Many small clusters, each known by its mean and size.

    Parameters
    ----------
    labels : array of shape (n_rows,), int32
        The micro-cluster of each row.
    means : array of shape (n_micro, n_features), float64
        The mean of each.
    sizes : array of shape (n_micro,), int64
        Number of rows of each.
    """

    labels: NDArray[np.int32]
    means: NDArray[np.float64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def centers(self, labels: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the mean of the rows of each cluster of micro-clusters, given the label of each micro-cluster."""
        from scipy.sparse import csr_array

        weights = self.sizes / np.bincount(labels, weights=self.sizes)[labels]
        members = csr_array((weights, (labels, np.arange(len(self)))))
        return np.asarray(members @ self.means)


def micro_clusters(
    vectors: NDArray[np.float32],
    n_clusters: int,
    *,
    valid: NDArray[np.bool_] | None = None,
    cell_rows: int = CELL_ROWS,
    progress: bool | None = None,
) -> MicroClusters:
    """Return the clusters of Ward's method with all merges between cells left out.

    Parameters
    ----------
    vectors : array of shape (n_images, n_features), float32
        May be a memory map: what is read at a time are the rows of a cell.
    n_clusters : int
        How many micro-clusters, fewer than rows; there are at least as many as cells.
    valid : array of shape (n_images,), bool, optional
        Which rows to take; all by default.
    cell_rows : int, optional
        Most rows of a cell.
    progress : bool, optional
        Whether to show progress bars; by default in a terminal or a notebook.

    Returns
    -------
    MicroClusters
        Labels are those of the valid rows, in their order. The seed of k-means is fixed, so that the result depends
        on the vectors alone.

    Notes
    -----
    Cells come from k-means, which splits those that are too large again. Each gets its exact tree of Ward; the lowest
    merges of all trees are made until `n_clusters` are left. O(n * cell_rows * d) time. The memory is that of a cell in
    float64, and of the means.
    """
    chosen = np.arange(len(vectors)) if valid is None else np.flatnonzero(valid)
    cells = _cells(vectors, chosen, cell_rows)
    found = (_ward_of(vectors, rows) for rows in cells)
    trees = list(track(found, description="Ward within cells", total=len(cells), show=progress))
    cuts = _cuts([tree.heights for tree in trees], n_clusters)
    labels = np.empty(len(vectors), dtype=np.int32)
    means, sizes, first = [], [], 0
    for rows, tree, cut in zip(cells, trees, cuts, strict=True):
        micro = tree.cut(cut)
        labels[rows] = first + micro
        means.append(_means(vectors[rows], micro))
        sizes.append(np.bincount(micro))
        first += cut
        release(vectors)
    return MicroClusters(labels[chosen], np.concatenate(means), np.concatenate(sizes))


def _ward_of(vectors: NDArray[np.float32], rows: Indices) -> Tree:
    block = vectors[rows]
    release(vectors)
    return ward_tree(block, progress=False)


def _cells(vectors: NDArray[np.float32], rows: Indices, most: int) -> list[Indices]:
    """Split rows until no cell has more than `most`."""
    if len(rows) <= most:
        return [rows]
    label = _nearest_of_few(vectors, rows, -(-len(rows) // most))
    parts = [rows[label == cell] for cell in np.unique(label)]
    if len(parts) == 1:  # all equal
        parts = np.array_split(rows, -(-len(rows) // most))
    return [cell for part in parts for cell in _cells(vectors, part, most)]


def _nearest_of_few(vectors: NDArray[np.float32], rows: Indices, n_centers: int) -> Indices:
    """Return the nearest of a few centers of k-means for each of the rows."""
    import faiss

    n_sampled = min(_SAMPLE_ROWS * n_centers, len(rows))
    sample = vectors[np.sort(np.random.default_rng(_SEED).choice(rows, n_sampled, replace=False))]
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    kmeans = faiss.Kmeans(vectors.shape[1], n_centers, seed=_SEED + 1, min_points_per_centroid=1)
    kmeans.train(sample - mean)
    label = np.empty(len(rows), dtype=np.int64)
    for block in row_blocks(len(rows), 4 * vectors.shape[1]):
        label[block] = kmeans.index.search(vectors[rows[block]] - mean, 1)[1][:, 0]
        release(vectors)
    return label


def _cuts(heights: list[NDArray[np.float64]], n_clusters: int) -> Indices:
    """Return into how many clusters to cut each tree, so that the lowest merges of all of them are made."""
    n_merges = np.array([len(tree) for tree in heights])
    n_made = max(0, n_merges.sum() + len(heights) - n_clusters)
    lowest = np.argsort(np.concatenate(heights), kind="stable")[:n_made]
    made = np.bincount(np.repeat(np.arange(len(heights)), n_merges)[lowest], minlength=len(heights))
    cuts: Indices = n_merges + 1 - made
    return cuts


def _means(block: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    return np.add.reduceat(block[order].astype(np.float64), starts) / sizes[:, None]
